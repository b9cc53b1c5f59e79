"""Labels of a known set: the one that an answer names, and does not deny or offer beside another."""

import re
from collections.abc import Sequence

from eval.extract import truth
from eval.extract.passages import FORM, HAN, OPENING, announcements, boxes, clean, conclusions, sentence, sentences

BEFORE = re.compile(
    r"(?:不是|并非|不属于|而非|不算|排除|不选|[不未]涉及|不包括|不含"
    r"|(?<![a-z])(?:not|isn't|rather than|instead of|neither|nor|non-?))"
    r"\s*(?:an?\s+)?[\"'(\[【]*$",
    re.I,
)
AFTER = re.compile(r"[\"')\]】]*\s*(?:错误|不对|不正确|的可能性(?:不大|小|较小)|is (?:not|wrong)|isn't)", re.I)
EITHER = re.compile(r"[\"')\]】]*\s*(?:或者?|还是|/|or(?![a-z]))\s*[\"'(\[【]*$", re.I)

SHORT, WORDS, SIGNS = 300, 4, 8  # characters of a text that states one, and what a short label has at most
STATES = re.compile(  # before a label that is stated, and not only named
    r"(?:[:=]|(?:(?<![a-z])(?:is|are|was|were|be|being|as|remains?|seems?|looks?|appears?|sounds?|so|hence|thus|has|carries"
    r"|(?:convey|express)(?:s|es)?)|'s)(?![a-z])|[是为]|属于|偏|呈现?|倾向于?)\s*"
    r"(?:(?:an?|the|best|most|mostly|mainly|overall|clearly|slightly|rather|fairly|very|described|classified|labell?ed|as"
    r"|likely)\s+|较为?|比较|明显|偏|总体|整体|更){0,4}[\"'(\[【《]*$",
    re.I,
)
CALLED = re.compile(  # behind it: what is called so, or the end
    r"[\"')\]}】》]*\s*(?:$|[,.;:。!\n(]|[-–—]\s|的?(?:情感|情绪|立场|态度|消息|影响)|(?:sentiment|stance|tone"
    r"|statement|sentence|because|since|as|for|rather than|and not|in (?:tone|sentiment|nature))(?![a-z]))",
    re.I,
)
OPEN = re.compile(
    r"不|非|未|没|可能|或许|是否|如果|若|n't|\?|"
    r"(?<![a-z])(?:not|never|hardly|whether|if|may|might|could|would(?! (?:be|say|classify|label|call)))(?![a-z])",
    re.I,
)


def fold(text: str) -> str:
    """A text for comparison: cleaned, case folded, blanks and outer punctuation off."""
    return re.sub(r"\s+", " ", clean(text)).strip(" .。,、;:!?\"'()[]【】《》*").casefold()


def read(text: str, labels: Sequence[str], *, lenient: bool = True) -> tuple[int | None, str]:
    """Index of the label that the text commits to, and the rule."""
    names = [fold(label) for label in labels]
    whole = fold(FORM.sub("", text))
    found = boxes(text)
    if found and not lenient:
        whole = fold(found[0][2]) if len(found) == 1 and found[0][:2] == (0, len(text)) else ""
    if whole in names and names.count(whole) == 1:
        return names.index(whole), "form" if not lenient else "alone"
    if not lenient:
        return None, "none"
    if found:
        return _one(found[-1][2], names), "boxed"
    for region in announcements(text):
        said = _one(sentence(region), names, head=True)
        if said is not None:
            return said, "announced"
    if (only := _one(text, names)) is not None:
        return only, "only"
    for region in conclusions(text):
        if (said := _one(region, names)) is not None:
            return said, "concluded"
    for part in (sentences(text) or [""])[-1:]:
        if (said := _one(part, names)) is not None:
            return said, "last sentence"
    return None, "several" if held(text, names) else "none"


def stated(text: str, labels: Sequence[str]) -> int | None:
    """Index of the short label that a short text states ("The sentiment is neutral."), and no other is named."""
    names = [fold(label) for label in labels]
    if len(text) > SHORT or len(set(names)) < len(names) or not all(map(_short, names)):
        return None
    folded, found = text.casefold(), held(text, names)
    if len({index for _, _, index in found}) != 1:
        return None
    for begin, end, index in found:
        clause = re.split(r"[,;。!\n]|\.\s", folded[:begin])[-1]
        heads = not clause.strip(" \t\"'([【*#-")
        if (heads or STATES.search(clause)) and CALLED.match(folded, end) and not OPEN.search(clause):
            return index
    return None


def _short(name: str) -> bool:
    """Words of a label that stand for it alone, and are no number, yes or no."""
    signs = len(re.findall(f"[{HAN}]", name))
    plain = len(name) > 1 and not re.search(r"[0-9]", name) and signs <= SIGNS and len(name.split()) <= WORDS
    return plain and len(name) <= 40 and truth.read(name, lenient=False)[0] is None


def held(text: str, names: Sequence[str]) -> list[tuple[int, int, int]]:
    """(start, end, index) of every label that is named and not denied; of two in one place the longer counts."""
    folded, found, taken = text.casefold(), [], -1
    pattern = _pattern(tuple(names))
    for match in pattern.finditer(folded) if pattern else ():
        begin, end = match.span()
        if begin < taken:
            continue
        taken = end
        if BEFORE.search(folded[max(0, begin - 24) : begin]) or AFTER.match(folded[end : end + 24]):
            continue
        found.append((begin, end, names.index(match.group())))
    return found


def _pattern(names: tuple[str, ...]) -> re.Pattern[str] | None:
    """Any of the labels, longest first, as words: one Han character counts only where it stands alone."""
    parts = []
    for name in sorted(filter(None, set(names)), key=len, reverse=True):
        edge = (
            f"A-Za-z0-9{HAN}"
            if len(name) == 1 and re.match(f"[{HAN}]", name)
            else "A-Za-z0-9"
            if name[0].isascii()
            else ""
        )
        parts.append(f"(?<![{edge}]){re.escape(name)}(?![{edge}])" if edge else re.escape(name))
    return re.compile("|".join(parts)) if parts else None


def _one(text: str, names: Sequence[str], *, head: bool = False) -> int | None:
    """The label of a passage that names one, or (`head`) begins with one that no "or" follows."""
    found = held(text, names)
    said = {index for _, _, index in found}
    if len(said) == 1:
        return found[0][2]
    if head and found:
        opening = re.match(OPENING, text)
        second = next(one for one in found if one[2] != found[0][2])
        begins = opening is not None and found[0][0] <= opening.end()
        if begins and not EITHER.search(text[found[0][1] : second[0]]):
            return found[0][2]
    return None
