"""How numbers are written, in both languages: magnitudes, rates, signs, brackets, and what stands before and behind."""

import re

UNITS = {
    "万亿": 12, "千亿": 11, "百亿": 10, "十亿": 9, "亿": 8, "千万": 7, "百万": 6, "十万": 5, "万": 4, "千": 3, "百": 2,
    "trillion": 12, "hundred million": 8, "hundred thousand": 5,
    "billion": 9, "million": 6, "thousand": 3, "bn": 9, "tn": 12, "mn": 6, "mm": 6, "mln": 6, "k": 3, "m": 6, "b": 9,
}  # fmt: skip
CURRENCY = r"(?:(?:US|HK|NT|A|C|S)?[$¥€£₤₩₹]|(?:USD|RMB|CNY|EUR|GBP|HKD|JPY|人民币|美元)(?![A-Za-z]))"
CODED = r"(?<=(?<![A-Za-z])(?:USD|RMB|CNY|EUR|GBP|HKD|JPY))(?=\()"  # between a currency and its brackets: RMB(3.2)
HUNDRED = (
    r"百(?=[元余多个人家户股手吨张份件台名只项倍点0-9\s,.;:、。)}*]|$)"  # 500 is 5百; of 百度 and 百强 no part of it
)
KILO = "(?:[瓦米卡伏帕焦赫]|克(?!朗))"  # of a unit: 5千克 are 5 of them, as 100万千瓦 are a million; 5千克朗 is money
WEIGHED = "(?:[瓦卡伏帕焦赫]|克(?!朗))"  # 五千克 as 5千克; 五千米 is told in metres
UNIT = (
    rf"(?:[百千]?[多余](?:亿|万)|个[多余]?亿(?!元?级|万|人)|万亿|千亿|百亿|十亿|千万|百万|十万|亿|万|千(?!分|{KILO})|{HUNDRED}|"
    r"(?:hundred million|hundred thousand|trillion|billion|million|thousand|mln|bn|tn|mn|mm|[kmb])(?![a-z0-9]))"
)
FORMED = (  # 成交, 成本: no tenths
    "[交为本立果功长员品分份绩熟套效因就都型形群批色全见材药片衣像活语才名是会要0-9一二三四五六七八九半]"
    "|不变|年[人男女]"
)
RATE = (
    r"(?:个?百分点|个?基点|%|‰|‱|percentage points?|percent(?![a-z])|per cent|pct(?![a-z])|pp(?![a-z])|bps?(?![a-z])|"
    r"basis points?|成[0-9一二三四五六七八九半]?(?=[左上以多的,.;、。)!\s]|$)"
    rf"|(?<=(?<![0-9.])[0-9])成(?!{FORMED})|(?<=[一二两三四五六七八九十])成(?!{FORMED}))"
)
BEYOND = (  # of a number in an accountant's brackets: (3.2)亿元, (1,200) million
    r"(?:(?:万亿|千亿|百亿|十亿|千万|百万|十万|亿|万|千)(?=[元美港欧日英人股吨户,.;、。)!?$\s]|$)"
    r"|(?:hundred million|hundred thousand|trillion|billion|million|thousand|mln|bn|tn|mn)(?![a-z0-9]))"
)
HANZI = (
    f"(?:[零〇一二两三四五六七八九十百万亿]|(?<![十百千万亿])千(?!{WEIGHED})|千(?!{KILO}))"  # 一百万千瓦 are kilowatts
)
NUMBER = re.compile(  # blanks are bounded, and few: rows of them must not cost the square of their length
    rf"(?:(?<![A-Za-z0-9_.^])|{CODED})(?P<open>\( ?)?(?P<sign>[-+–] ?|—|负的?|minus |negative )?(?P<per>百分之|千分之)?"
    rf"{CURRENCY}? ?(?!百分之|千分之)(?P<sign2>[-+负])?"
    r"(?:(?P<power>10 ?(?:\^|\*\*) ?\{? ?(?P<raised>[-+]?[0-9]{1,3})(?![0-9.]) ?\}?)"
    rf"|(?P<digits>[0-9]{{1,3}}(?:,[0-9]{{3}})+(?![0-9])(?:\.[0-9]+)?|[0-9]+(?:\.[0-9]+)?|\.[0-9]+)"
    r"(?:[eE](?P<e>[-+]?[0-9]{1,3})(?![0-9])| ?[×xX*] ?10 ?(?:\^|\*\*) ?\{?(?P<ten>[-+]?[0-9]{1,3})\}?)?"
    r"(?![0-9]|\.[0-9]|[eE][-+]?[0-9])"
    r"|(?P<dotted>[0-9]+\.[0-9]+(?:\.[0-9]+)+(?:(?<=\.[0-9]{3}),[0-9]+)?)"  # 1.234.567,89: no number, nor a part of it
    rf"|(?P<han>{HANZI}+(?:点[零〇一二三四五六七八九]+)?))"
    rf"(?: ?\$? ?(?P<unit>(?i:{UNIT})))?(?: ?(?P<rate>(?i:{RATE})))?(?: ?\$?{CURRENCY}?元? ?(?P<close>\)))?"
    rf"(?:(?<=\)) ?(?P<beyond>(?i:{BEYOND})))?(?:(?<=\)) ?(?P<outer>(?i:{RATE})))?"  # (3.2)亿元, (3.2)%
)
AFTER = re.compile(
    r"\s*(?P<year>年(?!化)|月|日(?!元|圆)|号|季度|th(?![a-z])|st(?![a-z])|nd(?![a-z])|rd(?![a-z])|个月|:[0-9])"
)
FORM = re.compile("-[KQFkqf](?![A-Za-z])")  # 10-K, 20-F: the name of a form
MONTH = (
    r"(?<![a-z])(?:jan|feb|mar|apr|may|june?|july?|aug|sept?|oct|nov|dec"
    r"|january|february|march|april|august|september|october|november|december)\.? "
)
DAY = re.compile(rf"{MONTH}(?:[0-9]{{1,2}},? )?$", re.I)  # before the day, or the year
REFERENCE = re.compile(  # before the number of a page or a table: where something stands, and no figure
    r"(?:(?<![a-z])(?:pages?|pp?\.|note|footnote|table|exhibit|item|section|figure|step|chapter|appendix|question) ?"
    r"|附注|[图表]|步骤)$",
    re.I,
)
LABEL = re.compile(r" ?[:|]")  # behind a year that heads its row
CLOCK = re.compile(r"(?<!(?<![0-9])(?:19|20)[0-9])[0-9]:$")  # before minutes
YEAR = re.compile("(?:19|20)[0-9]{2}")
NOTED = re.compile(  # the magnitude in brackets behind its number: 12.3(万元), 539 (in millions), 3 (USD billions)
    r" ?\((?:单位 ?:? ?)?(?:in )?(?:(?:US|HK)?[$¥€£] ?|(?:USD|RMB|CNY|EUR|GBP|HKD|人民币) ?)?"
    r"(?:(?P<unit>万亿|千亿|百亿|十亿|千万|百万|十万|亿|万|千|百|trillion|billion|million|thousand|mln|bn|mn)s?"
    r"|(?P<rate>%))"
    r" ?(?:元|[美港欧日]元|人民币元?|股|吨|人|户|(?:of )?(?:US |U\.S\. )?(?:dollars?|yuan|USD|RMB|CNY|EUR|shares))?"
    r" ?\)",
    re.I,
)
DENIED = re.compile(  # before a figure that is named as not the answer
    r"(?:(?:不是|不等于|不为|并非|而非)(?:(?!是|而)[^,。;、:?!0-9\n]){0,8}"
    r"|不(?:认为|觉得|相信)(?:[^,。;:?!0-9\n]{0,16}[是为])?"
    r"|(?<![a-z])(?:rather than|instead of)(?: [a-z']+){0,4} ?"
    r"|(?<![a-z])(?:i|we) (?:do not|don't|cannot|can't) (?:think|believe)(?: [a-z']+){0,7} (?:is|are|was|be|equals?)"
    r"(?: (?:about|around|approximately|roughly))? ?"
    r"|(?<![a-z])(?:not|isn't|wasn't|never)(?: (?:the|a|an|about|around|approximately|roughly|equal to))? ?)"
    r"[ $¥€£\"'(~≈约]*$",
    re.I,
)
BEFORE = re.compile(r"(?:第|FY\s?|Q|(?:in|of|year|since|by|for|from|between|during|than) )$", re.I)
YEARS = re.compile(  # before the second of two: from 2013 to 2014, 2013年和2014
    r"(?<![0-9.,])(?:19|20)[0-9]{2}年?\s?(?:to|and|through|until|vs\.?|versus|[-–至到和与])\s?$"
)
RANGE = re.compile(r"\s*(?:[-–—~至到]|to(?![a-z])|and(?![a-z])|或|or(?![a-z])|和|与)\s*", re.I)
COPULA = re.compile(
    r"(?:等于|约为|达到|共计|合计|为|是|得|约|=|≈|(?<![a-z])(?:is|are|was|were|equals?|totals?|approximately|about|of)(?![a-z]))\s*(?:约|大约|大概|about|approximately|roughly|around|≈|~)?\s*$",
    re.I,
)
PARTED = re.compile(rf" ?(?:[0-9/.](?=[0-9])|{UNIT}|{RATE})", re.I)  # behind a fraction: 1/4/2023, 1/4亿
DASHED = re.compile(r"(?:^|[\n(=:是为达|]|(?<![a-z])(?:is|was)) ?$", re.I)  # before an em dash that is a minus
TENTHS = {**{c: str(i) for i, c in enumerate("零一二三四五六七八九")}, "半": "5"}
