"""Yes or no, right or wrong, in both languages.

A word counts where it stands for itself ("是。", "No, ...") or is a verdict on a statement ("该说法正确", "is false").
是 as a copula, 否 in 是否 and "no" before a noun say nothing. A double denial affirms ("没有错误", "not wrong").
"""

import re

from eval.extract.passages import FORM, OPENING, announcements, boxes, conclusions, sentences

NEGATION = (
    r"(?P<un>不是|并不|并非|不完全|不|没有|没|无|未|not\s+(?:entirely\s+)?|n't\s+|never\s+|isn't\s+|"
    r"in(?=correct)|un(?=true))"
)
VERDICT = re.compile(
    rf"{NEGATION}?(?:(?P<yes>正确|准确|属实|成立|(?<!不)对的|肯定的|合规|(?<![a-z])(?:true|right)(?![a-z])|correct(?![a-z]))"
    r"|(?P<no>错误|(?<=[是为])错|错的|有误|(?<=[无没])误|否定的|违规|(?<![a-z])(?:false|wrong)(?![a-z])))",
    re.I,
)
UNSURE = re.compile(
    r"不一定|不确定|无法判断|难以判断|是否|能否|可能|对错|正误|not sure|"
    r"uncertain|cannot (?:tell|say|determine)|depends|maybe|perhaps"
    r"|true or false|yes or no|right or wrong|(?:是|对|正确)(?:还是|或)",
    re.I,
)
YES = r"是的?|对的?|没错|正确|属实|√|✓|✔|y|yes|yeah|yep|true|t|correct|right|肯定|可以|能|会|有"
NO = r"不是的?|不对的?|否|错误?的?|非|×|✗|✘|n|no|nope|false|f|incorrect|wrong|untrue|否定|不可以|不能|不会|没有|不正确"
CLAUSE = re.compile(r"[,;:。!?\n]|\.(?=\s|$)")
STANDING = re.compile(
    rf"{OPENING}(?:(?P<no>{NO})|(?P<yes>{YES}))(?=$|[\s,.。!;:)\]】\"'<|*}}/、])(?!\s*[:/|]?\s*(?:or\b|或|还是))", re.I
)


def read(text: str, *, lenient: bool = True) -> tuple[str | None, str]:
    """`yes` or `no`, and the rule."""
    if not lenient:
        found = boxes(text)
        bare = found[0][2] if len(found) == 1 and found[0][:2] == (0, len(text)) else FORM.sub("", text)
        standing = STANDING.fullmatch(bare.strip(" .。!*()[]【】\"'"))
        return (standing.lastgroup, "form") if standing else (None, "none")
    if found := boxes(text):
        return _told(found[-1][2]), "boxed"
    for region in announcements(text):
        standing = STANDING.match(region)
        told = standing.lastgroup if standing else _told((sentences(region) or [""])[0], verdicts_only=True)
        if told:
            return told, "announced"
    if standing := STANDING.match(text):
        return standing.lastgroup, "leading"
    for region in conclusions(text):
        if told := _told(region):
            return told, "concluded"
    parts = sentences(text)
    if parts and (standing := STANDING.fullmatch(parts[-1].rstrip(" .*)]】\"'"))):
        return standing.lastgroup, "last line"
    clauses = {one.lastgroup for part in CLAUSE.split(text[-2000:]) if (one := STANDING.fullmatch(part.strip()))}
    if len(clauses) == 1:
        return clauses.pop(), "clause"
    told = _told(text, verdicts_only=True)
    return told, "affirmed" if told else "none"


def _told(text: str, *, verdicts_only: bool = False) -> str | None:
    """The one thing that all verdicts in a text say; None where they differ, or one is unsure."""
    if not verdicts_only and (standing := STANDING.match(text)):
        return standing.lastgroup
    if UNSURE.search(text):
        return None
    said = {_side(match) for match in VERDICT.finditer(text)}
    return said.pop() if len(said) == 1 else None


def _side(match: re.Match[str]) -> str:
    says = "yes" if match["yes"] else "no"
    turned = match["un"] is not None or (
        match.group().endswith("误") and match.string[match.start() - 1 : match.start()] in ("无", "没")
    )
    return {"yes": "no", "no": "yes"}[says] if turned else says
