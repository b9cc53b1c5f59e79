"""Where two statements in nearly the same words are not the same: denied, forbidden, another code, another side.

Codes (R3, 10-K, T+1, A类) are compared whole. Words that exclude each other (至少 and 至多, buyer and seller) stand in
a short explicit list. A passage speaks against a statement only where it names another of the kind and not the
statement's own: one that names none may still say the same.
"""

import re
from collections import defaultdict

UNSAID = re.compile("不仅|不断|不同|不少|不过|不但|无论|未来|非常|非公开|无形|没有理由不|not only|no doubt", re.I)
DENIAL = re.compile(
    r"不|没|未|无(?!锡|人|线)|并非|否认|缺乏|难以|(?<![a-z])(?:not|no|never|without|neither|nor|hardly|cannot|denies|denied)(?![a-z])|n't(?![a-z])"
)
FORBIDDEN = re.compile(  # several in a clause forbid once; of a thing that is bad anyway (避免损失) none does
    r"禁止|严禁|禁绝|明令禁|切勿|切忌|切莫|请勿|勿(?=[向以将把对在用做])|杜绝|拒绝|谢绝|驳回|否决|制止|叫停"
    r"|避免(?![^,。;]{0,6}(?:风险|损失|亏损|误|纠纷|违约|浪费|波动|冲突|危机|破产|过))"
    r"|(?:属于?|是|为|构成|系|涉嫌)(?:严重|一种|典型|完全)?的?(?:违规|违法|违纪|非法|错误|虚假)"
    r"|(?<![a-z])(?:prohibit(?:s|ed|ing)?|prohibition|forbid(?:s|den|ding)?|ban(?:s|ned|ning)?|disallow(?:s|ed)?"
    r"|refrain(?:s|ed|ing)?|refus(?:e|es|ed|ing) to|avoid(?:s|ed|ing)?(?! (?:\w+ ){0,2}(?:risk|loss|tax|cost|default))"
    r"|illegal|unlawful|impermissible|against the (?:law|rules?)"
    r"|(?:is|are|was|were)(?: not)? (?:wrong|false|incorrect|untrue))"
    r"(?![a-z])"
)
NO = (
    r"(?:当然|绝对|肯定|显然)?(?:不(?![仅但过断论])|否|没有|严禁|禁止|切勿"
    r"|(?<![a-z])(?:no|not|never|absolutely not|certainly not)(?![a-z]))"
)
REFUTED = re.compile(  # a question that is answered with a denial, in the same line
    rf"[^。;.!?,\n]{{2,80}}(?:[吗么呢]?\?|吗[,。]?|么[,。])\s*(?={NO})|(?:是否|能否|可否)[^。;.!?,\n]{{2,80}}[?:,]\s*(?={NO})"
)
ASKS = re.compile("什么|为何|哪|谁|多少|几|怎|如何|(?<![a-z])(?:why|what|how|which|who|when|where)(?![a-z])")
JUDGED = re.compile(  # a clause of nothing but a verdict belongs to the one before it
    r"(?:的)?[,。;:]\s*(?=(?:这|该|此|上述|其)?(?:种|类|样|一)?(?:行为|做法|说法)?(?:均|都|也|一律|一概|都?已)?被?"
    r"(?:严格|明令|绝对)?(?:(?:属于?|是|构成|为)(?:严重)?(?:违规|违法|非法|错误)|禁止|严禁|不(?:允许|可以|合规|合法|正确|被允许))"
    r"(?:行为|做法)?的?\s*(?:[,。;!\n]|$))"
    r"|[,;.]\s*(?=(?:this|that|it|which) (?:is|was) (?:strictly |clearly |simply )?"
    r"(?:prohibited|forbidden|illegal|unlawful|banned|wrong|false|incorrect|not (?:allowed|permitted|true|correct))"
    r"\s*(?:[,.;!\n]|$))"
)
CODE = re.compile(  # of small letters: r3, t+1, 10-k, aa+, a类
    r"(?<![a-z0-9+.-])(?:(?P<head>[a-z]{1,5})(?P<sign>[-+]?)(?P<number>[0-9]{1,4})(?![a-z0-9%]|[.,][0-9])"
    r"|(?P<form>[0-9]{1,3})-?(?P<kind>[kqf])(?![a-z0-9])"
    r"|(?P<rating>a{2,3}|b{2,3}|c{2,3}|baa|caa)(?P<notch>[-+]|[123](?![0-9]))?(?![a-z0-9])"
    r"|第?(?P<letter>[a-h甲乙丙丁])(?P<class>类|级|款|型|方|股|档|轮)"
    r"|(?:class|type|tier|series|category) (?P<named>[a-h])(?![a-z]))"
)
QUARTER = re.compile(
    r"(?<![a-z])(?P<name>first|second|third|fourth) quarter(?![a-z])|(?<!前)(?<!前第)(?P<number>[一二三四1-4])季度"
)
QUARTERS = {"first": "1", "second": "2", "third": "3", "fourth": "4", "一": "1", "二": "2", "三": "3", "四": "4"}
SIDES: tuple[tuple[str, ...], ...] = (
    (
        "至少|最少|不(?:得|能|应)?(?:少于|低于|小于)|(?<![a-z])(?:at least|(?:no|not) (?:less|fewer) than|minimum of)",
        "至多|最多|(?<![不得能应])少于|不(?:得|能|应)?(?:超过|多于|高于|大于)"
        "|(?<![a-z])(?:at most|(?:no|not) more than|up to|maximum of)",
    ),
    ("每(?:个|一)?(?:日|天)|daily", "每(?:个|一)?(?:周|星期)|weekly", "每(?:个|一)?月|monthly",
     "每(?:个|一)?季|quarterly", "每半年|semi-?annual", "每(?:个|一)?(?:年|会计年)|(?<!semi-)(?<!semi)annually|yearly"),
    ("上限|最高限", "下限|最低限"), ("maximum", "minimum"), ("董事会", "股东大?会", "监事会"),
    ("甲方", "乙方", "丙方"), ("买方|购买方|买受人", "卖方|出售方|出卖人"), ("借方", "贷方"), ("出租", "承租"),
    ("债权人", "债务人"), ("委托人", "受托人"), ("公募", "私募"), ("境内", "境外"), ("税前", "税后"), ("认购", "赎回"),
    ("上交所|上海证券交易所", "深交所|深圳证券交易所", "北交所|北京证券交易所"),
    ("证监会", "银保监会|金融监管总局", "人民银行|央行"), ("固定利率", "浮动利率"), ("看涨期权", "看跌期权"),
    ("(?:[0-9日月年]|季度)[之以]?前", "(?:[0-9日月年]|季度)[之以]?后"), ("上半年", "下半年"), ("流入", "流出"),
    ("长期", "短期"),
    ("buyers?|purchasers?", "sellers?|vendors?"), ("lessors?", "lessees?"), ("lenders?", "borrowers?"),
    ("creditors?", "debtors?"), ("assignors?", "assignees?"), ("fixed", "floating|variable"),
    ("(?:before|prior to)(?= (?:[a-z]+ )?[0-9])", "after(?= (?:[a-z]+ )?[0-9])"),
    ("pre-?tax|before tax", "after-?tax|post-?tax"), ("debits?|debited", "credits?|credited"),
    ("call options?", "put options?"), ("inflows?", "outflows?"), ("long-term", "short-term"),
    ("domestic", "foreign|overseas"),
)  # fmt: skip
WORDS = tuple(
    tuple(re.compile(f"(?<![a-z])(?:{side})(?![a-z])" if side.isascii() else side) for side in sides) for sides in SIDES
)
NEGATED = re.compile(r"(?:不是|并非|而非|非|(?<![a-z])(?:not|rather than|instead of|no)(?: the)?) ?$")


def denials(text: str) -> int:
    """How often a clause denies: what it forbids counts once."""
    plain = UNSAID.sub(" ", text)
    return len(DENIAL.findall(plain)) + bool(FORBIDDEN.search(plain))


def asserted(text: str) -> str:
    """The text without questions that it answers with a denial, and with its verdicts beside what they judge."""
    refuted = REFUTED.sub(lambda asked: asked[0] if ASKS.search(asked[0]) else " ", text)
    return JUDGED.sub(" ", refuted)


def contradicts(text: str, wanted: str) -> bool:
    """Whether a passage names another code, or another side, than the statement does, and not the statement's."""
    theirs = codes(text)
    for kind, names in codes(wanted).items():
        if kind in theirs and any(not _stands(name, text) for name in names - theirs[kind]):
            return True
    for sides in WORDS:
        own = {side for side in sides if side.search(wanted)}
        if own and not any(_named(side, text) for side in own) and any(_named(side, text) for side in sides):
            return True
    return False


def codes(text: str) -> dict[str, set[str]]:
    """The codes of a text in small letters, by kind; signs within 10-K and R-3 do not count."""
    found: dict[str, set[str]] = defaultdict(set)
    for code in CODE.finditer(text):
        if code["head"]:
            found[code["head"] + code["sign"].replace("-", "")].add(code["number"])
        elif code["form"]:
            found["form"].add(code["form"] + code["kind"])
        elif code["rating"]:
            found["rating"].add(code["rating"] + (code["notch"] or ""))
        else:
            found[code["class"] or "类"].add(code["letter"] or code["named"])
    for quarter in QUARTER.finditer(text):
        told = quarter["name"] or quarter["number"]
        found["q"].add(QUARTERS.get(told, told))
    return found


def _stands(name: str, text: str) -> bool:
    """Whether the year of FY2022 stands there by itself."""
    return len(name) == 4 and bool(re.search(rf"(?<![a-z0-9]){re.escape(name)}(?![0-9])", text))


def _named(side: re.Pattern[str], text: str) -> bool:
    """Whether a side is named, and not as the one that it is not."""
    return any(not NEGATED.search(text[max(0, one.start() - 16) : one.start()]) for one in side.finditer(text))
