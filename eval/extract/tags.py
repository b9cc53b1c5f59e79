"""Sets of tags, known or free: which of them an answer names, and how far two sets agree."""

import re
from collections.abc import Sequence

from eval.extract.labels import fold, held
from eval.extract.passages import FORM, announcements, boxes, sentence

LIST = re.compile(r"[,、;|\n]|\s{1,4}(?=\(?[0-9]{1,2}[、)])")  # 1）甲 2）乙
CODE = re.compile(
    r"\s?\((?:(?:[a-z]{2}\.?)?[0-9]{6}(?:\.[a-z]{2})?|[0-9]{4,5}\.hk)\)$", re.I
)  # of a share, behind its name: 甲(600519.SH)
LEAD_IN = re.compile(  # 该新闻涉及的公司有...; without a noun 涉及有色金属 names 有色金属
    r"[该本此这]?[篇则条]?(?:新闻|报道|文章|研报|公告)?中?所?(?:涉及|包括|包含|提到|提及)[到了]?的?(?:主要)?"
    r"(?:(?:上市公司|公司|企业|个股|股票|产品|品种|行业|事件|板块|标签|类别)(?:名称)?(?:主要)?[有为是]\s?:?|(?:主要)?[有为是]\s?:)"
)
MARK = re.compile(r"(?:^|(?<=[\s,;|]))\(?[0-9]{1,2}、(?=[^、,;|\n]*[^\W\d])")  # 1、甲 2、乙: marks of a list, no tags
LEADING = re.compile(r"^(?:[-*•·]|\(?[0-9]{1,2}[.、)])\s*")
NONE = {"无", "没有", "none", "n/a", "null", "[]"}


def of(text: str) -> list[str]:
    """The parts of a written list ("A，B、C", lines, bullets, JSON), folded, each once, in their order."""
    bare = text.strip().strip("[]{}")
    bare = MARK.sub("\n", bare) if bare.startswith(("1、", "(1、")) else bare
    parts = [fold(CODE.sub("", LEADING.sub("", part.strip()))) for part in LIST.split(bare)]
    return list(dict.fromkeys(part for part in parts if part and part not in NONE))


def read(text: str, known: Sequence[str] = (), *, lenient: bool = True) -> tuple[list[str] | None, str]:
    """The tags that a text names, and the rule. With a `known` set those of it that are named, wherever they stand."""
    found = boxes(text)
    region = found[-1][2] if found else next((r for r in announcements(text) if sentence(r)), "")
    lines = [line for line in text.split("\n") if line.strip()]
    if not lenient:
        bare = found[0][2] if found and found[0][:2] == (0, len(text)) else FORM.sub("", text)
        single = len(bare.strip().split("\n")) == 1 and not re.search(r"[。!?:;]\s*\S", bare)
        tags = of(bare) if single else []
        fits = tags and (not known or set(tags) <= {fold(one) for one in known})
        return (tags, "form") if fits else (None, "none")
    if known:
        names = [fold(one) for one in known]
        said = list(dict.fromkeys(names[index] for _, _, index in held(region or text, names)))
        return (said, "named") if said else (None, "none")
    if region:
        return of(region if found else sentence(region)) or None, "boxed" if found else "announced"
    head = re.match(r"[^\n:]{2,40}:\s*", text)
    if head and text[head.end() :].strip() and (len(lines) > 1 or not LIST.search(head.group())):
        tags = of(text[head.end() :])
        return tags or None, "after colon"
    if re.search(r"[。!?]\s*\S", text):
        return None, "several"
    return of(text[lead.end() :] if (lead := LEAD_IN.match(text)) else text) or None, "list"


def shared(read: Sequence[str], gold: Sequence[str]) -> float:
    """F1 of two sets of tags, in [0, 1]: twice what they share over the sum of their sizes (van Rijsbergen 1979)."""
    said, wanted = set(read), set(gold)
    return 2 * len(said & wanted) / (len(said) + len(wanted)) if said or wanted else 1.0
