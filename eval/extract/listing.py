"""Options written out beside their letters: one with its text, several in a list, verdicts on all of them.

The text that stands behind a letter is told from other words by the option's own text, where the answer repeats it; a
list goes on only while each of its parts has the form of the first, and no part of it is denied.
"""

import re
from collections.abc import Sequence

from eval.extract import truth
from eval.extract.passages import FORM, HAN, announcements, clean, sentence

LETTERS = "ABCDEFGHIJ"
FOLLOWED = (
    r"(?![A-Za-z0-9]|'[a-z]|[-+/][A-Za-z0-9]|\.[A-Za-z]\.|"
    r"\s?(?:股|类|轮|级|型|座|证|份额|端|浪|站|超|栋)(?![项正错是]))"
)
HEAD = (
    r"[ \t]*(?:[-*•·][ \t]*|\(?[0-9]{1,2}[.、)][ \t]*)?[\"'(\[【<]?(?:选项|options?[ \t]+)?"
    rf"([A-J]){FOLLOWED}[\"')\]】>]?(?:项|选项)?"
)
MARK = r"[ \t]*[.、:)\]】][ \t]*|[ \t]+"
AND = r"和|与|及|and(?![a-z])"
JOINED = re.compile(r"[ \t]*(?:[,、;.。&+]|(?=\n))?[ \t]*\n?[ \t]*(?:和|与|及|以及|and(?![a-z])|&)?", re.I)
ENDED = re.compile(r"[\s\"')\]】}.。;*]*(?:$|\n)|[\"')\]】]*[。;]|[\"')\]】]*,(?!\s*[A-J])")
DENIES = re.compile(
    r"错|不正确|不对|有误|不选|排除|正确|[×✗✘❌✓✔√✅]|(?<![a-z])(?:in)?correct(?![a-z])|(?<![a-z])(?:wrong|not|false|true|right)(?![a-z])",
    re.I,
)
WRONGLY = re.compile(r"[ \t.]*(?:[都均也皆是为则]|is |are )*(?:错|不|有误|wrong|incorrect|false|not(?![a-z]))", re.I)
SAYS_RIGHT = r"正确|对|[√✓✔✅]|true|correct|right"
SAYS_WRONG = r"错误|错|不正确|不对|[×✗✘❌]|false|incorrect|wrong"
JUDGED = re.compile(
    r"(?:(?<=[\n;,。|(\-*•])|(?<=\s)|^)(?:选项|options?\s)?\(?([A-J])\)?(?:项|选项)?[ \t]{0,3}"
    r"(?:\|(?:[^|\n]{1,80}\|)?|[.:、])?[ \t]{0,3}"
    rf"(?:[是为]|is|are)?[ \t]{{0,3}}(?:(?P<right>{SAYS_RIGHT})|(?P<wrong>{SAYS_WRONG}))的?(?=$|[\s,.;。|)(、])",
    re.I,
)
LABELLED = re.compile(
    r"(?:(?P<wrong>错误|不正确|incorrect|wrong|false)|(?P<right>正确|correct|right|true))的?\s{0,3}"
    r"(?:答案|选项|answers?|options?|choices?)?\s{0,3}:\s{0,3}"
    r"(?P<letters>(?-i:[A-J])(?:[ \t]{0,3}(?:[,、和及与]|and)*[ \t]{0,3}(?-i:[A-J]))*)"
    r"(?![A-Za-z])",
    re.I,
)


def own(text: str, options: Sequence[str]) -> str:
    """The letter of a text that is one option written out, "C. 12%": its letter, a mark and its own words."""
    head = re.match(HEAD, text)
    if head is None or (place := LETTERS.index(head[1])) >= len(options):
        return ""
    end = _own_words(text, head.end(), options[place])
    return head[1] if end and not text[end:].strip("\"')]】.。;* \n") else ""


def one(text: str, options: Sequence[str], count: int) -> str:
    """The letter that heads a short text (of a box), whatever stands behind its mark; of no other option the words."""
    text = FORM.sub("", text)
    head = re.match(HEAD, text)
    if head is None or LETTERS.index(head[1]) >= count:
        return ""
    rest = text[head.end() :]
    if not re.match(r"[ \t]*[.、:(]|(?<=\))", rest) and not text[: head.end()].endswith(")"):
        return ""
    words = _bare(rest.lstrip(" .、:)"))
    other = [place for place, option in enumerate(options) if _bare(clean(option)) == words]
    again = re.search(rf"(?:^|[\s,;、]){HEAD}(?:[.、:)]|$)", rest)
    denied = DENIES.search(rest) and not other
    return "" if again or denied or (other and LETTERS.index(head[1]) not in other) else head[1]


def several(text: str, begin: int, options: Sequence[str], count: int) -> tuple[str, str]:
    """(letters of a list of options from `begin` on, or "" for one or none; a letter that is joined but not read)."""
    letters, place, form, more = "", begin, "", ""
    while True:
        head = re.compile(HEAD).match(text, place)
        if head is None or head[1] in letters or LETTERS.index(head[1]) >= count:
            break
        found = _part(text, head.end(), [*options, *LETTERS][LETTERS.index(head[1])] if options else "")
        if found is None or (form and found[1] != form) or WRONGLY.match(text, found[0]):
            joins = re.search(r"(?:[、&]|和|与|及|and)[\s\"'(]*$", text[begin : head.start(1)])
            more = head[1] if letters and joins else ""
            break
        letters, (place, form) = letters + head[1], found
        joined = JOINED.match(text, place)
        if joined is None or (form == "bare" and set(".。") & set(joined.group())):
            break
        place = joined.end()
    return ("".join(sorted(letters)) if len(letters) > 1 else ""), more


def denied(line: str, options: Sequence[str]) -> bool:
    """Whether a line writes an option out and denies it behind its words."""
    head = re.match(HEAD, line)
    if head is None or LETTERS.index(head[1]) >= len(options):
        return False
    end = _own_words(line, head.end(), options[LETTERS.index(head[1])])
    return bool(end and WRONGLY.match(line, end))


def _part(text: str, begin: int, option: str) -> tuple[int, str] | None:
    """(end, form) of what stands behind a letter: its own words, some in parentheses, none, or some behind a mark."""
    if end := _own_words(text, begin, option):
        return end, "words"
    if found := re.compile(r"[ \t]*\(((?:[^()\n]|\([^()\n]*\)){1,200})\)").match(text, begin):
        return None if DENIES.search(found[1]) else (found.end(), "words")
    rest = text[begin:]
    if ENDED.match(rest) or re.match(rf"[ \t]*(?:[,、;&+]|{AND})[ \t]*(?:{AND})?{HEAD}", rest):
        return begin, "bare"
    mark = r"[ \t]*[.、:)][ \t]*" if text[begin - 1] != ")" else r"[ \t.、:]*"
    if found := re.compile(rf"{mark}([^\n;]{{1,300}})").match(text, begin):
        return None if DENIES.search(found[1]) else (found.end(), "words")
    return None


def _own_words(text: str, begin: int, option: str) -> int:
    """Where the words of an option that stand behind its letter end; 0 where other words stand there."""
    words = clean(option).strip(" .。;")
    mark = re.compile(MARK).match(text, begin)
    if not words or (mark is None and text[begin - 1] not in ")]】" and text[begin : begin + 1] != "("):
        return 0
    start = mark.end() if mark else begin
    pattern = r"\s*".join(re.escape(char) for char in re.sub(r"\s+", "", words)[:400])
    found = re.compile(rf"[\"'(\[【]?{pattern}(?![A-Za-z0-9])[\"')\]】]?", re.I).match(text, start)
    told = text[begin:start].rstrip().endswith((".", ":")) or text[start : start + 1] == "("
    plain = re.fullmatch(r"[A-Ja-j\s,、和与及]+", words) and not told  # B、A: two letters
    return found.end() if found and not plain else 0


def judged(text: str, options: Sequence[str], count: int) -> str:
    """The right ones where every option is judged once, and two or more are wrong: of one wrong, that may be asked."""
    told = [(found[1].upper(), found["right"]) for found in JUDGED.finditer(text)]
    told = told or [
        (one, found["right"]) for found in LABELLED.finditer(text) for one in found["letters"] if one in LETTERS
    ]
    if count < 3 or sorted(letter for letter, _ in told) != list(LETTERS[:count]):
        return ""
    if any(re.fullmatch(rf"{SAYS_RIGHT}|{SAYS_WRONG}", clean(option), re.I) for option in options):
        return ""
    right = "".join(sorted(letter for letter, says in told if says))
    return right if len(right) <= count - 2 else ""


def words(text: str, options: Sequence[str], rule: str) -> tuple[str | None, str]:
    """The option whose words are all that is said, in place of its letter."""
    bare = _bare(next((sentence(region) for region in announcements(text)), "") or text)
    named = {_bare(sentence(region)) for region in announcements(text, weak=True)}
    known = {bare} | (named if len(named) == 1 else set())
    said = [place for place, option in enumerate(options) if _bare(clean(option)) in known]
    if len(said) == 1:
        return LETTERS[said[0]], rule
    polar = [truth.read(clean(option), lenient=False)[0] for option in options]
    if sorted(map(str, polar)) == ["no", "yes"] and (told := truth.read(text)[0]):
        return LETTERS[polar.index(told)], "truth"
    return None, "none"


def _bare(text: str) -> str:
    return re.sub(rf"[^\w{HAN}%.+-]|[.]+$", "", text[:400]).casefold()
