"""Whether an answer says that it cannot be given: the right one to a question whose evidence was taken away.

It must say so of the information or of the answer, or say nothing else (`N/A`, 无), and commit to nothing: what is
boxed or announced is an answer, whatever was regretted before, and so is a figure that is told after all.
"""

import re

from eval.extract.numerals import numbers
from eval.extract.passages import announcements, boxes, clean, sentence

THING = r"(?:信息|数据|资料|材料|表格|报表|上下文|文本|原文|依据|文件|内容|背景)"
DATA = (
    r"(?:information|data|context|details?|evidence|figures?|numbers?|table|document|text|passage|excerpt|filing"
    r"|report)"
)
DECLINES = re.compile(
    r"(?:无法|不能|难以|无从|没法|未能)(?:直接|准确|具体|据此|进行)*"
    r"(?:确定|判断|判定|得出|得知|计算|回答|作答|给出|提供|确认|推断|获知|解答)"
    rf"|(?:没有|未|缺少|缺乏|并未)(?:给出|提供|包含|提及|说明|附上?|附带|足够|相关|具体|所需|必要|任何|充分|的)*"
    rf".{{0,6}}{THING}"
    rf"|{THING}.{{0,4}}(?:不足|不够|缺失|未提供|未给出|没有提供|没有给出|不完整)"
    rf"|(?:需要|请)(?:您|你)?(?:再|进一步)?(?:提供|补充|给出).{{0,10}}{THING}|不知道|不清楚|未知|抱歉"
    r"|(?<![a-z])(?:cannot|can't|can not|could not|couldn't|unable to|not able to|impossible to|not possible to"
    r"|no way to)\s+"
    r"(?:be\s+)?(?:\w+ly\s+)?(?:determined?|calculated?|computed?|answer(?:ed)?|provided?|given?|say|said|tell|know|known|"
    r"find|found|derived?|establish(?:ed)?|assess(?:ed)?|identif(?:y|ied)|inferr?(?:ed)?)"
    r"|(?<![a-z])(?:insufficient|not enough|lack of|missing|no|without(?: the)?(?: necessary)?)\s+"
    rf"(?:\w+\s+){{0,2}}{DATA}"
    rf"|{DATA}\s+(?:\w+\s+){{0,6}}?(?:is|are|was|were|has|have)(?:n't| not)\s+(?:been\s+)?"
    r"(?:provided|given|available|specified|included|supplied|stated|shown|present|mentioned|sufficient)"
    r"|(?<![a-z])(?:not|n't)\s+(?:been\s+)?(?:provided|specified|stated|mentioned|included|disclosed)(?![a-z])"
    rf"|(?<![a-z])(?:need|require)s?\s+(?:more|additional|the|further)\s+(?:\w+\s+){{0,3}}{DATA}"
    r"|(?<![a-z])please\s+provide"
    r"|(?<![a-z])(?:i\s+)?(?:don't|do not)\s+(?:know|have)(?![a-z])|(?<![a-z])unanswerable|(?<![a-z])i'?\s?a?m sorry",
    re.I,
)
PAGE = (
    "(?:文中|(?:文章|原文|文段|短文|本文|全文|段落|上文|题目|题干|表格?|材料|资料|报告|年报|上下文|文本|信息|数据|内容)"
    "(?:中|里|内)?)"
)
TOLD = (
    "(?:给出|提供|包含|提及|提到|说明|说到|谈到|讲到|写明|写到|涉及|指出|交代|介绍|记载|记录|描述|显示|列出|披露"
    "|告诉|找到|出现)"
)
SILENT = re.compile(  # what was shown does not say it
    rf"{PAGE}(?:并|也|都|均|似乎|根本)?(?:没有?|未曾?|不曾)(?:直接|明确|具体|详细|有|任何)*{TOLD}"
    rf"|(?:^|[\n。;,:])\s*(?:并?没有|并?未|从未)(?:直接|明确|具体)?{TOLD}(?!的)[^,。;\n但]{{0,16}}(?=$|[\n。;])"
    rf"|(?:无法|不能|难以|没能|未能)(?:从|在|根据|由)[^,。;\n]{{0,12}}(?:找到|找出|获取|获知|得到|看出|知道|获得)"
    r"|(?:没有|缺少|未提供|没有提供|没给|请提供|需要提供|看不到)(?:任何|相关|具体|这篇|该|原)*的?(?:文章|原文|短文|上下文)"
    r"|(?<![a-z])(?:information|data|context|details?|table|document|text|passage|article|paragraph|excerpt|filing|report"
    r"|source|prompt|question|statements?|evidence|material)\s+(?:\w+\s+){0,3}?(?:(?:do|does|did)(?:n't| not))\s+"
    r"(?:\w+ly\s+)?(?:contain|include|mention|provide|state|specify|give|say|disclose|show|list|have|cover|address"
    r"|indicate|tell|answer)(?![a-z])"
    r"|(?<![a-z])(?:information|data|details?|answers?|figures?|values?)\s+(?:\w+\s+){0,2}?not\s+"
    r"(?:found|available|provided|given|present|shown|included|disclosed)(?![a-z])"
    r"|(?<![a-z])(?:no mention of|nothing (?:is )?(?:said|stated|mentioned)"
    r"|not (?:found|available|present|mentioned|stated|given)"
    r" in (?:the|this) (?:\w+ )?(?:text|passage|article|context|document|table|filing|report))(?![a-z])",
    re.I,
)
NOTHING = re.compile(  # all that is said
    r"\W*(?:无|未知|不详|不明|未提及|未提到|未说明|未披露|没有(?:提到|提及|说明|答案|相关信息)|无(?:答案|法回答|相关信息|此信息)"
    r"|n/?a|none|null|nil|unknown|unanswerable|not (?:available|found|applicable|given|stated|specified|mentioned"
    r"|provided|known|disclosed|answerable|enough (?:information|data))"
    r"|no (?:answer|data|information)(?: (?:available|found|given))?)\W*",
    re.I,
)
AFTER_ALL = re.compile(r"[。;!?\n]|\.(?=\s|$)|但|(?<![a-z])(?:but|however|yet|still)(?![a-z])", re.I)
LONGEST = 4000  # characters looked at, from the end: an answer that loops stays cheap


def declines(text: str) -> bool:
    """Whether the answer says that it cannot be given, and gives none all the same."""
    said = clean(text)[-LONGEST:]
    given = [box for _, _, box in boxes(said)[-1:]] or [sentence(region) for region in announcements(said)][:1]
    if any(NOTHING.fullmatch(told) for told in (said, *given)):
        return True
    if not (DECLINES.search(said) or _is_silent(said)):
        return False
    return not any(_commits(told) for told in given)


def _is_silent(said: str) -> bool:
    """Whether it says that what was shown does not tell, and no figure beside that."""
    found = SILENT.search(said)
    rest = AFTER_ALL.split(said[found.end() :], maxsplit=1)[1:] if found else []
    return bool(found) and all(one.date for one in numbers("".join(rest)))


def _commits(told: str) -> bool:
    """Whether something is told that is no regret."""
    return bool(re.search(r"\w", told)) and not DECLINES.search(told) and not SILENT.search(told)
