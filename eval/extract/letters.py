"""Letters of options: one or a set, in any order, out of a text in which other options are named too.

What is boxed or announced counts before what is said along the way. Only what the text commits to is read; several
mentions without a commitment are none.
"""

import re
from collections.abc import Sequence

from eval.extract import labels, listing, sets
from eval.extract.listing import LETTERS
from eval.extract.mentions import (
    ASKED,
    OTHERS,
    UNLIKE,
    WRONG,
    Mention,
    article,
    group,
    letters_of,
    mentions,
    or_another,
)
from eval.extract.passages import FORM, OPENING, REACH, announcements, boxes, conclusions, sentence, sentences

HESITANT = re.compile(
    r"(?<![a-z])(?:let me|let's|consider|compar|think about|between|plausible|possible|either)"
    r"|考虑|比较一下|看看|分析一下|犹豫",
    re.I,
)


def read(text: str, options: Sequence[str], count: int = 0, *, several: bool = False) -> tuple[str | None, str]:
    """Letters, sorted and joined ("BD"), of the first `count` (or as many as there are options), and the rule.

    `several`: a set is asked for, so A/C is one, and so are all but D.
    """
    count = min(len(LETTERS), count or len(options) or len(LETTERS))
    text = sets.spelled(text, count) if several else text
    found = boxes(text)
    if found:
        boxed = _boxed(text, found, options, count)
        said, rule = (boxed, "boxed") if boxed else listing.words(found[-1][2], options, "boxed")
        left = sets.left(found[-1][2], count) if several and not said else ""
        return (left, "boxed") if left else (said, rule)
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
    if several and (left := sets.left(text, count)):
        return left, "all"
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
    for said in (text, text.replace("\\\\", "\n")):  # a line break, or part of an option
        listed, more = listing.several(said, 0, options, count)
        if listed or more:
            return "" if more else listed
    return listing.one(text, options, count)


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
        match = group(count, small=small).match(region, begin)
        if match is None or (letters := letters_of(match[1])) == "":
            continue
        after = region[match.end() : match.end() + 60]
        if small and match[1].isalpha() and re.match(r"[ \t]+[a-z]", after):
            continue  # an article: "the answer is a number"
        if not small and letters == "A" and article(match[1], after) and after[1:2].islower():
            continue
        if UNLIKE.match(after) or OTHERS.match(after) or (WRONG.match(after) and after.lstrip()[:1] != "("):
            return "", False
        if ASKED.match(after) or or_another(after, count):
            return "", True
        return ("" if set(more) - set(letters) else letters), True
    return "", False


def _list_begin(region: str, begin: int) -> int:
    """`begin` before the mark of a list: a blank line and the typography of an announcement stand before it."""
    head = re.match(r"[\s:*\"'_#]*(?:[-•·]|\(?[0-9]{1,2}[.、)])[ \t]+", region)
    return head.end() if head else begin


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
    match = group(count, small=False).match(text, start)
    return len(match[1]) if match else 0
