"""Whether an answer says that it cannot be given: the right one to a question whose evidence was taken away.

It must say so of the information or of the answer, and commit to nothing: what is boxed or announced is an answer,
whatever was regretted before.
"""

import re

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
LONGEST = 4000  # characters looked at, from the end: an answer that loops stays cheap


def declines(text: str) -> bool:
    """Whether the answer says that it cannot be given, and gives none all the same."""
    said = clean(text)[-LONGEST:]
    if not DECLINES.search(said):
        return False
    given = [box for _, _, box in boxes(said)[-1:]] or [sentence(region) for region in announcements(said)][:1]
    return not any(_commits(each) for each in given)


def _commits(told: str) -> bool:
    """Whether something is told that is no regret."""
    return (
        bool(re.search(r"\w", told))
        and not DECLINES.search(told)
        and not re.match(r"\W*(?:n/?a|none|unknown|无)\W*$", told, re.I)
    )
