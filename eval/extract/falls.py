"""Changes that are told in words and not by a sign: 下降了12.5%, `decreased by 12.5%`, `a net loss of 3.2 million`.

Whether the sign is asked for the question says: of "by how much did it fall" the answer is 12.5 %, of "what was the
change" it is -12.5 %. So a fall counts as a minus only where the answer to be met is below zero.
"""

import re
from collections.abc import Sequence
from decimal import Decimal

from eval.extract import claim
from eval.extract.numerals import Number, numbers

RULE = "fall"
WINDOW = 90  # characters before a number in which its clause is looked for
CLAUSE = re.compile(r"[,;。!?\n]|\.(?=\s|$)")
ABOUT = r"(?:大约|大概|约|将?近|接近|分别|共计?|合计|[:=]|人民币|\s)*"
DROP = r"(?:下[降跌滑调挫]|减少|降低|缩减|缩水|回落|萎缩|缩小|[低少]了|降|跌(?!破|停)|减(?![去免]))"
SIZE = (
    rf"(?:{DROP}(?:额|率|幅度?|金额|比例|数额)|(?:净|经营|营业|累计)*(?:亏损|流出)(?:额|金额|总额)?"
    r"|亏|赤字|逆差|损失(?:额|金额)?)"
)
ROUGHLY = r"(?: (?:about|approximately|roughly|around|nearly|almost|an?|some|estimated))*"
FELL = (
    r"(?:decreas|declin|reduc)(?:e[sd]?|ing)|contract(?:ed|s|ing)|drop(?:s|ped|ping)?|fell|fall(?:s|en|ing)?"
    r"|shr[aiu]nk(?:s|ing)?|slid|slipped|plunged|tumbled|plummeted|sank|lost|lowered|down"
    r"|(?:reduc|decreas|lower)(?:ed|es|s|ing)(?: [\w'-]+){1,5} by"
)
FALL = r"(?:decrease|decline|reduction|contraction|drop|fall|loss(?:es)?|deficit|outflow)"
PACE = (
    r"(?: (?:by|significantly|slightly|sharply|year[- ]over[- ]year"
    r"|from [^ ]{1,16}(?: [mb]illion)? to [^ ]{1,16}(?: [mb]illion)?)){0,3}"
)
IS = r"(?: ?(?:of|by|is|was|were|at|equals?|total(?:l?ed|l?ing)|amounted to|[:=≈~]))"
BEFORE = re.compile(  # a number, in its clause
    rf"(?:{DROP}[了达]?|{SIZE}{ABOUT}(?:[了为是]|达到?)?){ABOUT}$"
    rf"|(?<![a-z])(?:{FELL}){PACE}{ROUGHLY} ?$"
    rf"|(?<![a-z]){FALL}(?: (?:in|on|for|per|from|to|over) [^,;:=]{{1,48}}?{IS}|{IS}?){ROUGHLY} ?$",
    re.I,
)
BEHIND = re.compile(
    r" ?的?(?:下[降跌滑]|[降跌减]幅|减少|降低|净?亏损|净流出)(?![准率])"
    r"|[ -](?:(?:net|operating|annual|overall|total|sharp|slight|steep|year[- ]over[- ]year|percentage|point) ){0,3}"
    rf"(?:{FALL}(?! (?:ratio|rate|reserve|allowance|provision))|lower|down(?! payment))(?![a-z])",
    re.I,
)
OVER = re.compile(  # before it: there was none, or it is over, or it was the fall of a loss
    r"(?:没有?|未|并?不|并非|不是|无|停止|避免|弥补|挽回|[扭止减由从])"
    r"(?:[会能曾再是有的了]|出现|发生|明显|显著|继续|同比|环比|上年|去年)*$"
    r"|减少.{0,4}$|(?:亏损?|损失|流出|赤字|逆差|[降跌减]幅).{0,6}$"
    r"|(?:(?<![a-z])(?:not?|never|no longer|without|instead of|rather than|despite|after|before|following|less|smaller"
    r"|(?:offset|avoid|prevent|recover|cover|narrow|decreas|reduc|declin|lower)\w*|drop|cut)|n't)(?: [\w'$-]+){0,3} ?$"
    r"|(?<![a-z])(?:loss(?:es)?|deficit|outflow|decline)(?: [\w'-]+){0,4} ?$",
    re.I,
)
OTHER = re.compile(  # between the two: something else is told, or the fall of a loss
    r"(?<![a-z])(?:gains?|profit of|rise|rose|risen|increas\w*|gr[eo]w\w*|turned|led|after|ratio|remain\w*|now|less"
    r"|(?<!amounted )to)(?![a-z])"
    r"|(?:reduc|decreas|lower|declin|drop|fall|fell|cut).*(?:loss|deficit|outflow|decline)",
    re.I,
)
SPAN = re.compile(r" from [^ ]{1,16}(?: [^ ]{1,12})? to ")
UNDONE = re.compile(  # behind it
    r"[^,.;。\n]{0,16}?(?:avoided|prevented|offset|recovered|reversed|转为|转盈|扭亏)", re.I
)


def read(text: str, bold: Sequence[str], told: Number | None, wanted: Number | None) -> Number | None:
    """The number below zero that the text tells as a fall, where one is asked for; else None.

    `told` is what it is read as without its words: None where it says the same by a sign too (下降3.2%，即-3.2%).
    """
    if wanted is None or wanted.value >= 0 or (told is not None and told.value <= 0):
        return None
    if told is None and len({(abs(one.value), one.percent) for one in numbers(text) if not one.date}) != 1:
        return None
    found = claim.read(signed(text), [signed(one) for one in bold])[0]
    meant = -told.value if told else min(found.value, Decimal(0)) if found else None
    return found if found and found.value == meant and (told is None or found.percent == told.percent) else None


def signed(text: str) -> str:
    """The text with a minus before every number that is told as a fall."""
    parts, end = [], 0
    for number in numbers(text):
        if number.value > 0 and not number.date and _falls(text, number):
            begin = number.start + text[number.start : number.start + 1].isspace()
            parts += [text[end:begin], "-"]
            end = begin
    return "".join([*parts, text[end:]])


def _falls(text: str, number: Number) -> bool:
    if UNDONE.match(text, number.end):
        return False
    clause = CLAUSE.split(text[max(0, number.start - WINDOW) : number.start])[-1]
    if told := BEFORE.search(clause):
        return not OTHER.search(SPAN.sub(" ", told[0])) and not OVER.search(clause[: told.start()])
    return bool(BEHIND.match(text, number.end)) and not OVER.search(clause)
