"""Letters of options: one or a set, in any order, out of a text in which other options are named too.

Every place where letters stand is a mention, and what stands around it says what it is: denied ("A项错误"), affirmed
("B正确"), part of a repeated list of options ("A. ...\\nB. ..."), an English article, an alternative ("A或B"). Only
what the text commits to is read; several mentions without a commitment are none.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from eval.extract import labels, listing
from eval.extract.listing import FOLLOWED, LETTERS
from eval.extract.passages import (
    FORM,
    OPENING,
    REACH,
    SEVERAL,
    SUPPOSED,
    announcements,
    boxes,
    conclusions,
    sentence,
    sentences,
)

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
HESITANT = re.compile(
    r"(?<![a-z])(?:let me|let's|consider|compar|think about|between|plausible|possible|either)"
    r"|考虑|比较一下|看看|分析一下|犹豫",
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
def _group(count: int, *, small: bool) -> re.Pattern[str]:
    """One or several letters: ABD, A、B和D, "A", "C", (A)(C), a and c."""
    a = f"[{LETTERS[:count]}{LETTERS[:count].lower() if small else ''}]"
    dressed = rf"[(\[【\"'<]\s?{a}(?:[,、]?\s?{a}){{0,9}}\s?[)\]】\"'>]"
    bare = a if small else rf"{a}{{1,10}}+"  # never given back in part: answers that loop stay cheap
    one = rf"(?:{dressed}|{bare})"
    between = (
        r"[ \t]*+(?:[,、;&+][ \t]*+)?(?:(?:和|与|及|以及|跟|and\b|&)[ \t]*+)?(?:选项|options?[ \t]++|choices?[ \t]++)?"
    )
    return re.compile(rf"(?<![A-Za-z0-9\\+-])(?<![A-Za-z]/)({one}(?:{between}{one})*){FOLLOWED}")


def read(text: str, options: Sequence[str], count: int = 0) -> tuple[str | None, str]:
    """Letters, sorted and joined ("BD"), of the first `count` (or as many as there are options), and the rule."""
    count = min(len(LETTERS), count or len(options) or len(LETTERS))
    found = boxes(text)
    if found:
        boxed = _boxed(text, found, options, count)
        return (boxed, "boxed") if boxed else listing.words(found[-1][2], options, "boxed")
    if alone := listing.own(text, options) or _alone(text, count):
        return alone, "alone"
    for region in announcements(text):
        letters, stays = _announced(region, options, count)
        if stays:
            return (letters, "announced") if letters else (None, "several")
    said, rule = listing.words(text, options, "words")
    if said:
        spelt = _mentioned(text, options, count) if rule == "truth" else (None, "none")
        return spelt if spelt[0] else (said, rule)  # B beside its verdict: 错，故B正确
    if right := listing.judged(text, options, count):
        return right, "judged"
    if len(weak := _weak(text, options, count)) == 1 and len(only := weak.pop()) > 1:
        return only, "named"
    said, rule = _mentioned(text, options, count)
    if rule == "none" and (place := labels.stated(text, options)) is not None:
        return LETTERS[place], "label"
    return said, rule


def read_strictly(text: str, count: int) -> tuple[str | None, str]:
    """The form that is asked for: letters and nothing else, boxed or after "答案：" at most."""
    bare = FORM.sub("", text)
    boxed = boxes(bare)
    whole = boxed[0][2] if len(boxed) == 1 and boxed[0][:2] == (0, len(bare.rstrip(" .。$"))) else bare
    letters = _alone(whole.strip("$ "), count)
    return (letters, "form") if letters else (None, "none")


def _boxed(text: str, found: list[tuple[int, int, str]], options: Sequence[str], count: int) -> str:
    """The last box, and those that stand beside it with nothing but a comma or "and" between."""
    letters, start = _written(found[-1][2], options, count), found[-1][0]
    for begin, end, content in reversed(found[:-1]):
        if not re.fullmatch(r"[\s,、$]*(?:和|与|及|and)?[\s,、$]*", text[end:start][:20]) or start - end > 20:
            break
        letters, start = "".join(sorted({*letters, *_written(content, options, count)})), begin
    return letters


def _written(text: str, options: Sequence[str], count: int) -> str:
    """The letters of a box: alone, or with the texts of their options."""
    if dressed := re.fullmatch(r"\\(?:text|textbf|mathrm|mathbf|mbox)\s*\{(.*)\}", text, re.S):
        text = dressed[1]  # around braces of its own
    if letters := listing.own(text, options) or _alone(FORM.sub("", text), count):
        return letters
    listed, more = listing.several(text, 0, options, count)
    return "" if more else listed or listing.one(text, options, count)


def _alone(text: str, count: int) -> str:
    """The letters of a text that holds nothing else."""
    if len(text) > 120:
        return ""
    bare = re.sub(r"(?:选项|options?|choices?|选择?|项)", "", text, flags=re.I)
    bare = re.sub(
        r"(?<![A-Za-z])and(?![A-Za-z])|[\s,、;&+和与及()\[\]【】{}\\\"'*.。:!#-]", "", bare, flags=re.I
    ).upper()
    fits = bare and set(bare) <= set(LETTERS[:count]) and len(bare) == len(set(bare))
    return "".join(sorted(bare)) if fits else ""


def _announced(region: str, options: Sequence[str], count: int) -> tuple[str, bool]:
    """(letters, whether the announcement stands): it stands for nothing where it leaves several open."""
    opening = re.match(rf"{OPENING}(?:第?选项|options?|choices?|letters?|both|项)?{OPENING}", region, re.I)
    begin = opening.end() if opening else 0
    begin -= begin > 0 and region[begin - 1] in "(['\"【<"  # a bracket that belongs to the letters
    listed, more = listing.several(region, _list_begin(region, begin), options, count)
    line = region[begin:].partition("\n")[0]
    listed = listed or listing.own(line, options) or listing.own(sentence(line), options)
    if listed and not more:
        return listed, True
    for small in (False, True):
        match = _group(count, small=small).match(region, begin)
        if match is None or (letters := _set(match[1])) == "":
            continue
        after = region[match.end() : match.end() + 60]
        if small and re.match(r"[ \t]+[a-z]", after):
            continue  # an article: "the answer is a number"
        if not small and letters == "A" and _article(match[1], after) and after[1:2].islower():
            continue
        if UNLIKE.match(after) or OTHERS.match(after) or (WRONG.match(after) and after.lstrip()[:1] != "("):
            return "", False
        if ASKED.match(after) or _or_another(after, count):
            return "", True
        return ("" if set(more) - set(letters) else letters), True
    return "", False


def _list_begin(region: str, begin: int) -> int:
    """`begin` before the mark of a list: a blank line and the typography of an announcement stand before it."""
    head = re.match(r"[\s:*\"'_#]*(?:[-•·]|\(?[0-9]{1,2}[.、)])[ \t]+", region)
    return head.end() if head else begin


def _or_another(after: str, count: int) -> bool:
    several = SEVERAL.match(after)
    return bool(several and _group(count, small=False).match(after, several.end()))


def _article(written: str, after: str) -> bool:
    return written in ("A", "I") and bool(re.match(r"\s+[A-Za-z]", after)) and not SINGLE.match(after)


def _mentioned(text: str, options: Sequence[str], count: int) -> tuple[str | None, str]:
    """What is left to read by: the head or the last line, what is affirmed, what is concluded, the only letters."""
    found = mentions(text, count)
    if any(one.open for one in found):
        return None, "several"
    listed = _listed(text, found, options, count)
    if listed:
        return listed, "listed"
    held = [one for one in found if not (one.wrong or one.listed or one.unlike)]
    for region in conclusions(text):
        here = {one.letters for one in mentions(region, count) if not (one.wrong or one.unlike or one.open)}
        if len(here) == 1:
            return here.pop(), "concluded"
    parts = sentences(text)
    if len(parts) > 1 and (last := _alone(parts[-1], count)):
        return last, "last line"
    if held and _leads(text, held[0].start, count):
        return held[0].letters, "leading"
    affirmed = {one.letters for one in found if one.right}
    if affirmed and not any(one.unlike for one in found):
        return (affirmed.pop(), "affirmed") if len(affirmed) == 1 else (None, "several")
    weak = _weak(text, options, count)
    if len(weak) == 1:
        return weak.pop(), "named"
    rest = {one.letters for one in held}
    if len(rest) == 1 and not weak and not any(one.unlike for one in found) and not HESITANT.search(text[:REACH]):
        return rest.pop(), "only"
    return None, "several" if found else "none"


def _weak(text: str, options: Sequence[str], count: int) -> set[str]:
    """The letters of each "正确的是": which of two is asked for is not known."""
    regions = announcements(text, weak=True)
    return {letters for region in regions if (letters := _announced(region, options, count)[0])}


def _leads(text: str, start: int, count: int) -> bool:
    """Whether the letters at `start` head the text, as in `B. because ...`."""
    if text[:start].strip("\"'([【*# "):
        return False
    return bool(re.match(r"[\"')\]】]*(?:项|选项)?[.、:,;。\n)]", text[start + _width(text, start, count) :]))


def mentions(text: str, count: int) -> list[Mention]:
    """Every place where letters of options stand, and how they are spoken of."""
    found = []
    for match in _group(count, small=False).finditer(text):
        letters, before = _set(match[1]), text[max(0, match.start() - 30) : match.start()]
        after = text[match.end() : match.end() + 60]
        if not letters or (_article(match[1], after) and not NAMED.search(before)) or UNNAMED.search(before):
            continue
        asked = bool(ASKED.match(after)) or _or_another(after, count)
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


def _listed(text: str, found: Sequence[Mention], options: Sequence[str], count: int) -> str:
    """Options written out, one a line and nothing else, where some are missing: those that are there are meant."""
    lines = [line for line in text.split("\n") if line.strip()]
    heads = [
        re.match(rf"\s*[-*•]?\s*[(\[【]?([{LETTERS[:count]}])[)\]】]?\s*[.、:)]\s*\S", line) for line in lines[:12]
    ]
    if (
        len(lines) < 2
        or len(lines) > len(heads)
        or not all(heads)
        or any(listing.JUDGED.search(line) or listing.denied(line, options) for line in lines)
    ):
        return ""
    if any(one.wrong or one.right for one in found):
        return ""
    letters = {head[1] for head in heads if head}
    return "".join(sorted(letters)) if len(lines) == len(letters) < count else ""


def _width(text: str, start: int, count: int) -> int:
    match = _group(count, small=False).match(text, start)
    return len(match[1]) if match else 0


def _set(written: str) -> str:
    """Sorted letters; empty where one is written twice in a word, as in AAA."""
    bare = re.sub(r"(?<![A-Za-z])(?:and|options?|choices?)(?![A-Za-z])", " ", written)
    for word in re.findall(r"[A-Za-z]+", bare):
        if len(set(word)) < len(word):
            return ""
    return "".join(sorted(set(re.sub(r"[^A-Za-z]", "", bare).upper())))
