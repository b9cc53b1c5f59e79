"""Where letters of options stand in a text, and how they are spoken of there.

Every place is a mention, and what stands around it says what it is: denied ("A项错误"), affirmed ("B正确"), part of a
repeated list of options ("A. ...\\nB. ..."), an alternative ("A或B"). An English article and the letter of something
else ("Plan B") are none.
"""

import re
from dataclasses import dataclass
from functools import lru_cache

from eval.extract.listing import FOLLOWED, LETTERS
from eval.extract.passages import SEVERAL, SUPPOSED

SINGLE = re.compile(  # what "A" stands before when it is an option and no article
    r"\s+(?:is|was|are|because|since|as|and|or|not|but|would|should|seems?|fits|applies|best|looks|correct"
    r"|wrong|, )(?![a-z])"
)
OPTION = r"[\"')\]】]*[ \t]*(?:项|选项|答案|说法|表述|的说法|的表述|中的?说法|这[个一]选项)*[ \t]*"
WRONG = re.compile(  # after the letters: they are denied
    rf"{OPTION}(?:[是为都均也皆]|明显|显然|一定|并|则|可以?|应该?"
    r"|options?|choices?)*"
    r"[ \t]*(?:is|are|was|were|can(?: both| all)? be|could be|must be|should be|seems?|looks?|has been|does|do)?[ \t]*"
    r"(?:both|all|clearly|also|therefore|obviously|definitely|just)?[ \t]*"
    r"(?:错|不正确|不对|不符|有误|排除|不选|不应选|不成立|不合适|不恰当|[×✗✘❌]|\((?:错误?(?![\u3400-\u9fff])|×|wrong|incorrect)"
    r"|wrong|incorrect|false|(?:not|n't)(?:[ \t]+(?:correct|right|true|the|valid|appropriate)|[ \t]*[.,;!]|[ \t]*$)"
    r"|ruled out|eliminated|excluded|out(?![a-z]))",
    re.I,
)
RIGHT = re.compile(  # after the letters: they are affirmed
    rf"{OPTION}(?:[是为都均也皆才]|全部?|最|应该?"
    r"|options?|choices?)*"
    r"[ \t]*(?:is|are|seems?|must be|should be|looks?)?[ \t]*(?:both|all|clearly|also|therefore|the)?[ \t]*"
    r"(?:正确|对(?![于应])|符合题意|符合要求|合适|恰当|成立|[✓✔√✅]|\((?:正确|对(?![\u3400-\u9fff])|√|correct)|correct|right|true|best)",
    re.I,
)
UNLIKE = re.compile(
    r"[\"')\]】]*\s*(?:项|选项)?\s*(?:不属于|不是|属于|无关|不包括|不能|不会|"
    r"is(?:n't| not)|are(?:n't| not)|does(?:n't| not))"
)
UNNAMED = re.compile(  # before a letter that names something else
    r"(?<![a-z])(?:plan|class|series|type|grade|tier|tranche|schedule|appendix|exhibit|form|vitamins?|phase|rule|case"
    r"|scenario|model|company|firm|bank|fund|stocks?|bonds?|projects?|country|part|section|table|figure|point)\s+$"
    r"|(?:公司|企业|银行|基金|股票|债券|项目|国|方案|计划|维生素|产品|情形|情景)\s?$",
    re.I,
)
OTHERS = re.compile(r"的(?:人|同学|考生|学生|比例|占)")
NAMED = re.compile(r"(?:选项|(?<![a-z])(?:options?|choices?|answers?))\s*$", re.I)
ASKED = re.compile(
    r"[\"')\]】]*\s*(?:项|选项)?\s*(?:\?|[都均皆]有?可能|"
    r"(?:are|is) (?:both |all )?(?:possible|plausible)(?![a-z]))",
    re.I,
)
DENIED = re.compile(  # before the letters
    r"(?:[误错]选|误(?:以为|认为)是?|"
    r"(?:错误|不正确|incorrect|wrong)的?\s*(?:答案|选项|answers?|options?|choices?)\s*:|不是|不选|不应选|不要选|别选|不能选|排除|并非|而非|除了?|不含|(?<![a-z])(?:not|isn't|exclude|excluding|"
    r"except|rather than|(?:all|any(?:thing)?|every(?:thing| one)?|each)(?: of)?(?: the| these| them| above| options?)*"
    r" (?:but|save)(?: for)?|"
    r"instead of|eliminate|rule out|ruling out))\s*(?:选项|option|choice|项|answer)?\s*[\"'(\[【]*$",
    re.I,
)


@dataclass(frozen=True)
class Mention:
    """Letters of options at one place of the text."""

    letters: str
    start: int
    wrong: bool  # denied as an answer
    right: bool  # affirmed
    unlike: bool  # a statement about the option that tells neither
    listed: bool  # at the head of an option that is repeated
    open: bool  # an alternative or a question


@lru_cache(maxsize=16)
def group(count: int, *, small: bool) -> re.Pattern[str]:
    """One or several letters: ABD, A、B和D, "A", "C", (A)(C), a and c."""
    a = f"[{LETTERS[:count]}{LETTERS[:count].lower() if small else ''}]"
    dressed = rf"[(\[【\"'<]\s?{a}(?:[,、]?\s?{a}){{0,9}}\s?[)\]】\"'>]"
    bare = a if small else rf"{a}{{1,10}}+"  # never given back in part: answers that loop stay cheap
    one = rf"(?:{dressed}|{bare})"
    between = (
        r"(?:项(?=[、和与及以跟]))?[ \t]*+(?:[,、;&+][ \t]*+)?(?:(?:和|与|及|以及|跟|and\b|&)[ \t]*+)?"
        r"(?:选项|options?[ \t]++|choices?[ \t]++)?"
    )
    return re.compile(rf"(?<![A-Za-z0-9\\+-])(?<![A-Za-z]/)({one}(?:{between}{one})*){FOLLOWED}")


def mentions(text: str, count: int) -> list[Mention]:
    """Every place where letters of options stand, and how they are spoken of."""
    found = []
    for match in group(count, small=False).finditer(text):
        letters, before = letters_of(match[1]), text[max(0, match.start() - 30) : match.start()]
        after = text[match.end() : match.end() + 60]
        if not letters or (article(match[1], after) and not NAMED.search(before)) or UNNAMED.search(before):
            continue
        asked = bool(ASKED.match(after)) or or_another(after, count)
        wrong = bool(DENIED.search(before)) or bool(WRONG.match(after))
        head = not before.rpartition("\n")[2].strip(" \t-*(【[\"'>") or bool(re.search(r"[\s;]\(?$", before))
        listed = head and len(letters) == 1 and bool(re.match(r"[)\]】]*[.、:)]\s*\S|[)\]】]\s+\S", after))
        wrong = wrong or (listed and _line_is_wrong(text, match.end()))
        right = not wrong and (bool(RIGHT.match(after)) or (listed and _line_is_right(text, match.end())))
        unlike = bool((UNLIKE.match(after) and not wrong) or OTHERS.match(after) or SUPPOSED.search(before))
        found.append(Mention(letters, match.start(1), wrong, right, unlike, listed, asked))
    heads = {one.letters for one in found if one.listed}
    return [one if len(heads) > 1 else Mention(**{**vars(one), "listed": False}) for one in found]


def _line_is_wrong(text: str, place: int) -> bool:
    return bool(re.match(r"[^\n]{0,80}?[×✗✘❌](?:\s|$)", text[place : place + 90]))


def _line_is_right(text: str, place: int) -> bool:
    line = text[place : place + 200].partition("\n")[0]
    return bool(re.search(r"[✓✔√✅]|\((?:正确|√|correct)[^)]{0,4}\)|<[-=]", line, re.I))


def or_another(after: str, count: int) -> bool:
    several = SEVERAL.match(after)
    return bool(several and group(count, small=False).match(after, several.end()))


def article(written: str, after: str) -> bool:
    return written in ("A", "I") and bool(re.match(r"\s+[A-Za-z]", after)) and not SINGLE.match(after)


def letters_of(written: str) -> str:
    """Sorted letters; empty where one is written twice in a word, as in AAA."""
    bare = re.sub(r"(?<![A-Za-z])(?:and|options?|choices?)(?![A-Za-z])", " ", written)
    for word in re.findall(r"[A-Za-z]+", bare):
        if len(set(word)) < len(word):
            return ""
    return "".join(sorted(set(re.sub(r"[^A-Za-z]", "", bare).upper())))
