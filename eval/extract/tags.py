"""Sets of tags, known or free: which of them an answer names, and how far two sets agree."""

import re
from collections.abc import Sequence

from eval.extract.labels import fold, held
from eval.extract.passages import FORM, HAN, announcements, boxes, sentence

LIST = re.compile(  # 甲 乙, 《甲》《乙》, 1）甲 2）乙
    rf"[,、;|\n]|(?<=[{HAN}])[ \t]{{1,4}}(?=[{HAN}])|(?<=》)(?=《)|\s{{1,4}}(?=\(?[0-9]{{1,2}}[、)])"
)
CODE = re.compile(
    r"\s?\((?:(?:[a-z]{2}\.?)?[0-9]{6}(?:\.[a-z]{2})?|[0-9]{4,5}\.hk)\)$", re.I
)  # of a share, behind its name: 甲(600519.SH)
NOUN = r"(?:上市公司|公司|企业|个股|股票|产品|品种|行业|事件|板块|标签|类别)"
TEXT = r"[该本此这上]?[篇则条段述]?(?:新闻|报道|文章|研报|公告|文本|原文|文)(?:内容)?中?"
NAMES = r"(?:涉及|包括|包含|提到|提及|识别|提取|抽取|出现|找到)[到了出]?"
IS = r"(?:主要|分别)?(?:[有为是]|包括|包含|如下)"
LEAD_IN = re.compile(  # 该新闻涉及的公司有...; without a noun or the text as subject 涉及有色金属 names 有色金属
    rf"\s*(?:(?:根据|按照){TEXT}[,、]?\s*)?(?:(?P<subject>{TEXT}))?所?(?:主要)?{NAMES}"
    rf"(?:的?(?:主要)?(?:{NOUN}(?:名称)?{IS}\s?:?|{IS}\s?:)|(?(subject)|(?!)))"
)
TAIL = re.compile(rf"(?:等(?:[一二两三四五六七八九十0-9]+)?|[一二两三四五六七八九十0-9]+)[家个只种类]?{NOUN}?$|等$")
AND = re.compile(r"(?<=[^\s和与及]{2})(?:以及|和(?![谐平黄记解美睦顺]))(?=[^\s和与及]{2})")
HEADING = re.compile(r"(?:^|(?<=\n))[^\n]*\n[ \t|:]*--[-|: \t]*(?=\n|$)")  # of a table, or underlined
NOTHING = re.compile(
    rf"(?:{TEXT})?(?:[均都并]|中)?(?:没有?|未|无|不)(?:明确|具体|直接)*(?:{NAMES}|出现|相关|任何|具体|的)+{NOUN}?(?:名称|信息)?"
    r"|(?:there (?:are|is) )?no(?:ne)?(?: specific| listed)? "
    r"(?:compan(?:ies|y)|products?|sectors?|events?|tags?)(?: \w+){0,5}",
    re.I,
)
MARK = re.compile(r"(?:^|(?<=[\s,;|]))\(?[0-9]{1,2}、(?=[^、,;|\n]*[^\W\d])")  # 1、甲 2、乙: marks of a list, no tags
LEADING = re.compile(r"^(?:[-*•·]|\(?[0-9]{1,2}[.、)])\s*")
BLOCK = re.compile(r"^(?:json|python|text|plaintext|markdown)\n", re.I)  # the language of a block of code
NONE = {"无", "没有", "none", "n/a", "null", "[]"}


def of(text: str) -> list[str]:
    """The parts of a written list ("A，B、C", lines, bullets, JSON), folded, each once, in their order."""
    bare = HEADING.sub("", text.strip().strip("[]{}"))
    bare = MARK.sub("\n", bare) if bare.startswith(("1、", "(1、")) else bare
    parts = [fold(CODE.sub("", LEADING.sub("", part.strip()))) for part in LIST.split(bare)]
    return list(dict.fromkeys(part for part in parts if part and part not in NONE and not NOTHING.fullmatch(part)))


def _said(text: str) -> list[str]:
    """The parts of a list as it is said: behind a lead-in, the last two joined by "and", without "and others"."""
    bare = text.strip().rstrip(" .。")
    lead = LEAD_IN.match(bare)
    bare = TAIL.sub("", bare[lead.end() :]) if lead else bare
    parts = of(bare)
    return list(dict.fromkeys([*parts[:-1], *(fold(one) for one in AND.split(parts[-1]))])) if parts else []


def _block(region: str) -> str:
    """What is announced: a sentence, or the lines of the list that begins behind it."""
    lines = region.split("\n")
    if lines[0].strip(" :*_"):
        return sentence(region)
    held = [place for place, line in enumerate(lines) if line.strip(" :*_")]
    end = next((place for place in range(held[0], len(lines)) if not lines[place].strip()), len(lines)) if held else 0
    return "\n".join(lines[held[0] : end]) if held else ""


def read(text: str, known: Sequence[str] = (), *, lenient: bool = True) -> tuple[list[str] | None, str]:
    """The tags that a text names, and the rule. With a `known` set those of it that are named, wherever they stand."""
    text = BLOCK.sub("", text) if lenient else text
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
        return (of(region) if found else _said(_block(region))) or None, "boxed" if found else "announced"
    head = re.match(r"[^\n:]{2,40}:\s*", text)
    if head and text[head.end() :].strip() and (len(lines) > 1 or not LIST.search(head.group())):
        tags = _said(text[head.end() :])
        return tags or None, "after colon"
    if re.search(r"[。!?]\s*\S", text):
        return None, "several"
    return _said(text) or None, "list"


def shared(read: Sequence[str], gold: Sequence[str]) -> float:
    """F1 of two sets of tags, in [0, 1]: twice what they share over the sum of their sizes (van Rijsbergen 1979)."""
    said, wanted = set(read), set(gold)
    return 2 * len(said & wanted) / (len(said) + len(wanted)) if said or wanted else 1.0
