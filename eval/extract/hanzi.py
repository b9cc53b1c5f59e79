"""Chinese numerals: 一百二十 is 120, 一亿二千五百万 is 125,000,000, 一万二 is 12,000; 三四亿, 万一 are none."""

import re

FIGURES = {**{c: i for i, c in enumerate("零一二三四五六七八九")}, "〇": 0, "两": 2}
POWERS = {"十": 10, "百": 100, "千": 1000}
SECTIONS = {"万": 10**4, "亿": 10**8}  # each multiplies what stands before it, up to a greater one
NONE = re.compile(  # 万一, 亿万; and 三四亿, 七八百, 十五六, which name two numbers (二〇二五 has no power)
    "[万亿]|(?=.*[十百千万亿]).*[一二两三四五六七八九]{2}"
)
FORMAL = str.maketrans("壹贰貳叁參肆伍陆陸柒捌玖拾佰仟萬億負兩點個餘", "一二二三三四五六六七八九十百千万亿负两点个余")
PLAIN = "零一二三四五六七八九"
RUN = re.compile(  # as banks write amounts; of 陆家嘴, 大陆万科, 参考 and 收拾 no part is a numeral
    "(?:[壹贰貳叁參肆柒捌玖佰仟萬億零万亿]|(?<![大登着內内水海])[陆陸]|(?<![队隊入])伍|(?<!收)拾){2,}"
    f"|(?<=[0-9])[ ]?[仟佰萬億]+|(?<=[十百千兩两{PLAIN}])[仟佰萬億]+|(?<=[0-9十百千萬億万亿][多餘余])[萬億]"
    f"|(?<=[0-9十百千萬億万亿])餘(?=[萬億万亿])|(?<=[十百千萬億{PLAIN}])點(?=[{PLAIN}])"
    f"|兩(?=[百千仟佰萬億万亿成])|負(?=的?[0-9百千{PLAIN}])|個?(?:百分|基)點"
    "|(?<=[元圆零角])[壹贰貳叁參肆伍陆陸柒捌玖](?=[角分])"
)
SPOKEN = re.compile("(?<=亿[一二两三四五六七八九]千)$")  # 三亿五千 is 三亿五千万, and 300,005,000 三亿零五千
UNPLACED = re.compile("亿[一二两三四五六七八九十百千]+[十百千][一二三四五六七八九]?$")  # 三亿五百 may be either
LONGEST = 24  # characters; beyond it is no number that anybody writes out


def simple(text: str) -> str:
    """The text with formal and traditional numerals in their plain form, of equal length: 叁仟伍佰元, 3億."""
    return RUN.sub(lambda run: run[0].translate(FORMAL), text)


def from_hanzi(text: str) -> str | None:
    """Digits of a numeral of these characters and 点: 十二点五 -> 12.5; None: too long, or not one number."""
    whole, _, after = text.partition("点")
    whole = SPOKEN.sub("万", whole)
    if len(whole) > LONGEST or NONE.match(whole) or UNPLACED.search(whole):
        return None
    value = str(_whole(whole))
    return f"{value}.{''.join(str(FIGURES[c]) for c in after)}" if after else value


def _whole(text: str) -> int:
    total, part, digit = 0, 0, None
    for c in text:
        if c in FIGURES:
            digit = FIGURES[c] if digit in (None, 0) else digit * 10 + FIGURES[c]
        elif c in POWERS:
            part, digit = part + (1 if digit is None else digit) * POWERS[c], None
        else:
            total, part, digit = _section(total, part + (digit or 0), SECTIONS[c]), 0, None
    return total + part + (digit or 0) * _left_out(text)


def _section(total: int, section: int, power: int) -> int:
    """一万二千亿 multiplies all before it; in 一亿二千五百万 the hundred millions are done."""
    return total + section * power if section and total >= power else (total + section) * power


def _left_out(text: str) -> int:
    """The power that a last figure goes without: 三千五 is 3,500 (3,005 is 三千零五)."""
    last = {**POWERS, **SECTIONS}.get(text[-2], 10) if len(text) > 1 else 10
    return last // 10
