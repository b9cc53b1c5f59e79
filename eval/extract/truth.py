"""Yes or no, right or wrong, in both languages.

A word counts where it stands for itself ("是。", "No, ...") or is a verdict on a statement ("该说法正确", "is false").
是 as a copula, 否 in 是否 and "no" before a noun say nothing. A double denial affirms ("没有错误", "not wrong").
"""

import re

from eval.extract.passages import FORM, OPENING, announcements, boxes, conclusions, sentences

NEGATION = (
    r"(?P<un>(?<!不[能得可会])不(?:能|可|应|宜)?(?:说|算|认为|视为|称)(?:是|为)?|[谈算称]不上是?|不是|并不|并非|绝非|"
    r"(?<!不[能得可会])不|没有(?:任何)?|没|无(?:法|任何)?|未能?|难以|有失|欠|not\s+|n't\s+|never\s+|isn't\s+|"
    r"in(?=correct|accurate)|un(?=true))"
)
TWICE = r"(?P<twice>(?:not|n't|never|isn't|hardly)\s+(?=incorrect|inaccurate|untrue))"
ENDS = r"(?=的?(?:$|[\s,.。;:!?)]))"  # no adverb, and of no noun: 适当性, 不当得利
VERDICT = re.compile(
    rf"{TWICE}?{NEGATION}?"
    r"(?:(?P<yes>(?:正确|准确)(?!性|与否|率|度|的?(?:选项|选择|答案|判断|做法|一项|结论|回答)(?:应该|应当|应)?[是为:])|属实|成立|(?<!不)对的|肯定的|"
    r"(?<!符)合规(?!定|部|[员官科处岗]|性|风险|管理|审查|检查|要求|人员|文化|体系|经理|负责)|合法(?![权性化])|妥当?(?=$|\W|的)|"
    rf"(?:恰当|合适|适当|(?<=[是不未])被?允许|(?<=被)允许){ENDS}|"
    r"符合(?:[^\n,。;!?]{0,12}?的)?(?:监管|相关|有关|法律|法规|合规|上述)*(?:规定|要求|法律|法规)(?!的?(?:做法|行为|方式|流程)应?[是为])|"
    r"(?<![a-z])(?:true|right)(?![a-z])"
    r"|(?<=(?<![a-z])un)true(?![a-z])|(?:correct|accurate)(?![a-z]))"
    rf"|(?P<no>不当{ENDS}|错误|(?<=[是为])错|错的|有误|(?<=[无没])误|否定的|违规|违法|欠妥|(?<![a-z])(?:false|wrong)(?![a-z])))",
    re.I,
)
DEGREE = (
    r"(?:(?:quite|exactly|entirely|fully|completely|totally|wholly|strictly|really|altogether|perfectly|very|so|at all|"
    r"actually|even|technically|an?|the|be|been|considered)\s+){1,3}"
)
AGAINST = re.compile(  # before a verdict, at a distance: not quite right, hardly correct, 并非完全正确
    rf"(?:(?:not|n't|never|cannot)\s+{DEGREE}|(?<![a-z])(?:hardly|scarcely|barely|far from|no longer|anything but)\s+"
    r"(?:(?:be|been|entirely|an?|the)\s+){0,2}"
    r"|(?:^|\W)(?:none|neither)(?:\s+of\s+[\w\s]{1,24}?)?\s+(?:is|are|was|were)\s+"
    r"|(?<![a-z])(?:i|we)\s+(?:\w+ly\s+)?(?:do not|don't|cannot|can't|would not|wouldn't|did not|didn't)\s+"
    r"(?:think|believe|agree|consider|find|say|accept)(?![a-z])[^\n]*"
    r"|(?:^|我们?|本人|笔者)(?:个人)?[并也]?不(?:认为|觉得|同意|相信|赞同)(?!.*的(?:说法|观点|看法)是).*"
    r"|(?:不|并非|不是|并不是?|绝非|算不上)(?:完全|全部|全|十分|非常|很|太|那么|绝对|严格|特别|怎么|大|甚|尽|够|会)是?|不属于)$",
    re.I,
)
DOUBTFUL = re.compile(  # what is not always true may be either
    r"(?:(?:未必|不见得|很难|难以?(?:说|算|称|认为)|并不总|不总)(?:都|就)?(?:完全)?[是为]?|(?:不|并非|不是|并不|未必)(?:一定|必然|总|都|始终)是?"
    r"|(?:not|n't)\s+(?:always|necessarily|usually|generally|universally|all|both|automatically)\s+(?:be\s+)?"
    r"|(?<![a-z])(?:may|might|could)\s+(?:not\s+)?(?:well\s+)?be\s+)$",
    re.I,
)
LACKS = re.compile(
    r"(?:不|未|没有?)(?:存在|构成|涉及|发现|出现|属于)(?:任何|什么|明显)?$"
)  # 不构成违规: which is asked?
STATED = re.compile(r"说法|表述|观点|陈述|论述|描述|判断|命题|statement|claim", re.I)
TWICE_HAN = re.compile(r"(?:并非|并不是|绝非|不是)$")  # before 不正确
UNSURE = re.compile(
    r"不一定|不(?:能|可|应|宜)(?:说|认为|视为)(?![是为正准错属])|不确定|无法判断|难以判断|是否|能否|可能|对错|正误|"
    r"not sure|uncertain|cannot (?:tell|say|determine)|depends|maybe|perhaps"
    r"|true or false|yes or no|right or wrong|(?:是|对|正确)(?:还是|或)",
    re.I,
)
YES = r"是的?|对的?|没错|正确|属实|√|✓|✔|y|yes|yeah|yep|true|t|correct|right|肯定|可以|能|会|有"
NO = r"不是的?|不对的?|否|错误?的?|非|×|✗|✘|n|no|nope|false|f|incorrect|wrong|untrue|否定|不可以|不能|不会|没有|不正确|"
NO += r"不应该?|不属于|(?:absolutely|certainly|definitely|of course) not"
SO = "(?:这样|这么|如此)[做说回答操作]{1,2}"
ALONE = r"(?=$|[,.。!;])"  # and no verb: 需要进一步分析
SAYS_YES = rf"{YES}|✅|(?:符合|允许|应当?|应该|需要|可行|可以{SO}){ALONE}"
SAYS_NO = (
    rf"{NO}|❌|(?:不(?:符合|允许|需要|可行|行|应当|能{SO}|可以?{SO}|应该?{SO})|not (?:really|exactly|quite)){ALONE}"
)
CLAUSE = re.compile(r"[,;:。!?\n]|\.(?=\s|$)")
REACH = 80  # characters before a verdict in which its clause is looked for
STANDING, FORMAL = (  # leniently, and in the form that is asked for
    re.compile(
        rf"{OPENING}(?:(?P<no>{no})|(?P<yes>{yes}))(?=$|[\s,.。!;:)\]】\"'<|*}}/、])"
        r"(?!\s*/\s*a(?![a-z]))(?!\s*[:/|]?\s*(?:or\b|and (?:no|yes)(?=\s*(?:$|[,.;:!?)\]\"']))|或|还是))",
        re.I,
    )
    for yes, no in ((SAYS_YES, SAYS_NO), (YES, NO))
)


def read(text: str, *, lenient: bool = True) -> tuple[str | None, str]:
    """`yes` or `no`, and the rule."""
    if not lenient:
        found = boxes(text)
        bare = found[0][2] if len(found) == 1 and found[0][:2] == (0, len(text)) else FORM.sub("", text)
        standing = FORMAL.fullmatch(bare.strip(" .。!*()[]【】\"'"))
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


def _side(match: re.Match[str]) -> str | None:
    """What a verdict says by all that stands before it in its clause; None where it is doubted, or denied twice."""
    says, clause = _alone(match), CLAUSE.split(match.string[max(0, match.start() - REACH) : match.start()])[-1]
    if DOUBTFUL.search(clause):
        return None
    if LACKS.search(clause) and (match["no"] or not clause.endswith("属于")):
        return "yes" if "误" in match.group() and STATED.search(clause) else None
    if match["un"] and match["un"].startswith("不") and TWICE_HAN.search(clause):
        return "yes"
    if AGAINST.search(clause):
        return "no" if says == "yes" and not (match["un"] or match["twice"]) else None
    return says


def _alone(match: re.Match[str]) -> str:
    """What a verdict says with the denials that stand next to it."""
    says = "yes" if match["yes"] else "no"
    turned = match["un"] is not None or (
        match.group().endswith("误") and match.string[match.start() - 1 : match.start()] in ("无", "没")
    )
    return {"yes": "no", "no": "yes"}[says] if turned is not bool(match["twice"]) else says
