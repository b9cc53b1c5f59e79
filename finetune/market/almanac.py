"""The almanac of an invented market: companies, events, quantities and exchange contracts, in Chinese and English.

Everything here is made up; a likeness to a real name is an accident. Each list is cut once into the part that the
tuning rows may use and the part that the exam may use, so nothing can stand in both. Deterministic: no argument, no clock.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from functools import cache
from typing import Literal

Lang = Literal["zh", "en"]
LANGS: tuple[Lang, Lang] = ("zh", "en")
LABELS = {"zh": ("利好", "利空", "中性"), "en": ("positive", "negative", "neutral")}
TUNING_EVENTS, TUNING_MATTERS = 12, 20  # the first so many of each label, and of the quantities; the exam has the rest

GOOD = """
净利润大增|profit jumped; 中标重大合同|won a large contract; 提高分红|raised its dividend; 业绩超预期|beat forecasts
宣布回购|announced a buyback; 销量创新高|hit record sales; 获机构上调评级|was upgraded by analysts
提前还清债务|repaid its debt early; 新药获批|had a new drug approved; 产能扩大一倍|doubled its capacity
毛利率改善|widened its gross margin; 获得税收优惠|received a tax break
扭亏为盈|returned to profit; 签下长期订单|signed a long-term order; 上调全年指引|raised its full-year guidance
大股东增持|saw its largest holder buy more; 市场份额上升|gained market share; 专利诉讼胜诉|won its patent lawsuit
进入新市场|entered a new market; 信用评级获上调|had its credit rating raised; 成本明显下降|brought costs down
订单排到明年|filled its order book; 获战略投资|secured a strategic investor; 新工厂提前投产|opened its plant ahead of plan
现金流转强|strengthened its cash flow; 出口大幅增长|lifted exports strongly; 获纳入主要指数|joined a major index
获得政府补贴|was granted a subsidy; 产品供不应求|sold out its product line; 解除监管限制|was freed from regulatory curbs
矿山储量翻番|found a richer ore body; 用户数激增|added users at a record pace
"""
BAD = """
净利润大跌|profit plunged; 失去重要客户|lost a key client; 暂停分红|suspended its dividend; 业绩不及预期|missed forecasts
遭监管处罚|was fined by regulators; 销量大幅下滑|saw sales slump; 遭机构下调评级|was downgraded by analysts
债券违约|defaulted on a bond; 召回缺陷产品|recalled a faulty product; 工厂发生火灾|had a fire at its plant
毛利率恶化|narrowed its gross margin; 被取消税收优惠|lost a tax break
由盈转亏|swung to a loss; 订单遭取消|had orders cancelled; 下调全年指引|cut its full-year guidance
大股东减持|saw its largest holder sell; 市场份额流失|gave up market share; 专利诉讼败诉|lost its patent lawsuit
退出海外市场|quit an overseas market; 信用评级遭下调|had its credit rating cut; 成本急剧上升|faced soaring costs
高管被调查|had an executive detained; 遭投资方撤资|was abandoned by an investor; 新工厂推迟投产|delayed its new plant
现金流枯竭|ran short of cash; 出口骤降|suffered a drop in exports; 遭剔除主要指数|was dropped from a major index
被做空机构狙击|was hit by a short seller; 库存严重积压|was stuck with unsold stock; 被列入制裁名单|was put on a sanctions list
矿井透水停产|halted its mine after flooding; 用户大量流失|bled users
"""
PLAIN = """
召开股东大会|held its annual meeting; 搬迁总部|moved its headquarters; 更换审计机构|changed its auditor
发布财报日程|published its reporting calendar; 更名子公司|renamed a division; 聘任董秘|appointed a secretary
更新官网|updated its website; 维持全年指引|kept its guidance unchanged; 举办投资者开放日|hosted an investor day
修订公司章程|amended its bylaws; 参加行业展会|attended a trade fair; 续聘法律顾问|retained its legal adviser
按期披露年报|filed its annual report on time; 变更注册地址|changed its registered address; 换发营业执照|renewed its licence
董事会换届|elected its board as scheduled; 更换公司标志|changed its logo; 召开例行发布会|held a routine briefing
公布会议纪要|released meeting minutes; 调整办公时间|adjusted office hours; 更新投资者热线|updated its investor hotline
合并两个部门|merged two departments; 印发责任报告|issued a responsibility report; 续租办公楼|extended its office lease
更换证券简称|changed its ticker name; 组织员工培训|ran staff training; 接待机构调研|received a visit from analysts
启用新邮箱系统|switched its mail system; 公布股权登记日|set a record date; 赞助马拉松|sponsored a marathon
回复例行问询|answered a routine inquiry; 迎来成立周年|marked its anniversary
"""
MATTERS = """
元|yuan: 交易保证金|trading margin; 出厂价|factory price; 仓储费|storage fee; 目标价|target price; 拍卖底价|auction floor
吨|tonnes: 港口库存|port stocks; 日产量|daily output; 进口量|imports; 年产能|annual capacity; 发运量|shipments
手|lots: 持仓限额|position limit; 成交量|volume; 空单|short positions
百万元|million yuan: 营业收入|revenue; 研发费用|research spending; 注册资本|registered capital; 贷款余额|loan balance
家|units: 门店数|stores; 供应商数|suppliers; 子公司数|subsidiaries
元|yuan: 结算价|settlement price; 到岸价|landed price; 交割手续费|delivery fee; 每股净资产|book value; 吨利润|unit profit
元|yuan: 收储价|reserve price; 运费|freight; 采购价|purchase price; 加工费|processing fee; 每股收益|earnings per share
元|yuan: 发行价|issue price; 开盘价|opening price; 昨收价|previous close; 最高价|daily high
吨|tonnes: 出口配额|export quota; 月销量|monthly sales; 库容|storage space; 投放量|releases; 损耗量|losses; 需求量|demand
吨|tonnes: 仓单量|registered stock; 收购量|purchases; 加工量|throughput; 社会库存|public stocks; 到港量|arrivals
手|lots: 多单|long positions; 持仓量|open interest; 开仓限额|opening limit; 平仓量|closed positions; 套保额度|hedging quota
百万元|million yuan: 税前利润|pre-tax profit; 财务费用|finance costs; 订单金额|order value; 广告支出|advertising
百万元|million yuan: 合同负债|contract liabilities; 应收账款|receivables; 总资产|total assets
百万元|million yuan: 资本开支|capital spending; 现金余额|cash balance; 管理费用|overheads; 担保金额|guarantees
人|people: 员工人数|headcount; 股东人数|shareholders; 客户数|clients
家|units: 仓库数|warehouses; 分行数|branches; 经销商数|dealers; 油井数|wells
"""
SIGNS = (
    "华川盛恒瑞凌东远宏泰嘉禾铭辰维诺岭江海云峰青石金桥博方森源永信天元启明光宇安赤白玄紫银铜碧霜露雾岩沙竹松梅兰荷槐柏"
)
TRADES = {
    "zh": ("科技", "股份", "能源", "重工", "食品", "电子", "材料", "航运"),
    "en": ("Corp", "Group", "Energy", "Motors", "Foods", "Systems", "Materials", "Lines"),
}
GOODS = {"zh": "矿油粉豆胶棉盐钢", "en": ("ore", "oil", "meal", "bean", "rubber", "cotton", "salt", "steel")}
ASPECTS = {  # aspect of a contract -> its possible values, Chinese|English
    "exchange": "北岸所|Northbank; 江口所|Rivermouth; 云岭所|Cloudridge; 石桥所|Stonebridge; "
    "金湾所|Goldbay; 青原所|Greenplain; 东港所|Eastport; 雪峰所|Snowpeak",
    "unit": "5吨|5 tonnes; 10吨|10 tonnes; 20吨|20 tonnes; 50吨|50 tonnes; "
    "100桶|100 barrels; 200桶|200 barrels; 300千克|300 kilograms; 500千克|500 kilograms",
    "tick": "1元|1 yuan; 2元|2 yuan; 5元|5 yuan; 10元|10 yuan; 0.5元|0.5 yuan; 0.2元|0.2 yuan; 0.1元|0.1 yuan; 0.05元|0.05 yuan",
    "months": "1、5、9月|Jan, May, Sep; 2、6、10月|Feb, Jun, Oct; 3、7、11月|Mar, Jul, Nov; 4、8、12月|Apr, Aug, Dec; "
    "1、4、7月|Jan, Apr, Jul; 2、5、8月|Feb, May, Aug; 3、6、9月|Mar, Jun, Sep; 10、11、12月|Oct, Nov, Dec",
}
CONTRACTS, COMPANIES = 60, {"corpus": 1500, "tuning": 300, "exam": 300}


@dataclass(frozen=True)
class Event:
    """Something that happens to a company; `label` 0 good, 1 bad, 2 neither for its shares."""

    key: str
    label: int
    text: dict[str, str]  # language -> phrase that follows the company's name


@dataclass(frozen=True)
class Matter:
    """A quantity that a company or an exchange reports."""

    key: str
    name: dict[str, str]
    unit: dict[str, str]


@dataclass(frozen=True)
class Contract:
    """A futures contract; `facts[aspect]` is an index into `values(aspect, lang)`."""

    key: str
    name: dict[str, str]
    facts: dict[str, int]


def pairs(text: str) -> list[dict[str, str]]:
    """`中|en; 中|en` -> [{"zh": .., "en": ..}]."""
    cells = [cell.strip().split("|") for line in text.strip().splitlines() for cell in line.split(";") if cell.strip()]
    return [dict(zip(LANGS, cell, strict=True)) for cell in cells]


@cache
def events(part: Literal["tuning", "exam", "all"]) -> tuple[Event, ...]:
    """36 events for tuning, 60 for the exam; those of the exam occur in pre-training text and nowhere else."""
    cut = {"tuning": slice(TUNING_EVENTS), "exam": slice(TUNING_EVENTS, None), "all": slice(None)}[part]
    shelves = [(f"{name}{n:02d}", label, text) for label, (name, table) in enumerate(
        [("good", GOOD), ("bad", BAD), ("plain", PLAIN)]) for n, text in list(enumerate(pairs(table)))[cut]]  # fmt: skip
    return tuple(Event(*shelf) for shelf in shelves)


@cache
def matters(part: Literal["tuning", "exam", "all"]) -> tuple[Matter, ...]:
    """20 quantities for tuning, 48 for the exam."""
    found = []
    for line in MATTERS.strip().splitlines():
        unit, names = line.split(": ", 1)
        found += [(name, pairs(unit)[0]) for name in pairs(names)]
    whole = tuple(Matter(f"matter{n:02d}", name, unit) for n, (name, unit) in enumerate(found))
    return {"tuning": whole[:TUNING_MATTERS], "exam": whole[TUNING_MATTERS:], "all": whole}[part]


@cache
def stems(lang: Lang) -> tuple[str, ...]:
    """Name stems in a shuffled order: two characters, or two syllables for goods and three for companies."""
    rng = random.Random(f"stems {lang}")
    if lang == "zh":
        found = [a + b for a in SIGNS for b in SIGNS if a != b]
        rng.shuffle(found)
        return tuple(found)
    beats = [c + v for c in "bdlmnrstv" for v in "aeiou"]
    short = [(a + b).capitalize() for a in beats for b in beats if a != b]
    rng.shuffle(short)
    short = short[:CONTRACTS]
    long = [(a + b + c).capitalize() for a in beats for b in beats for c in beats if len({a, b, c}) == 3]
    rng.shuffle(long)
    return tuple(short + [name for name in long if name[:4] not in short])


@cache
def companies(part: Literal["corpus", "tuning", "exam"], lang: Lang) -> tuple[str, ...]:
    """Names of companies: three parts that share neither a name nor a stem."""
    start = CONTRACTS
    for name, count in COMPANIES.items():
        if name == part:
            break
        start += count
    join, kinds = ("" if lang == "zh" else " "), TRADES[lang]
    return tuple(
        join.join((stem, kinds[n % len(kinds)])) for n, stem in enumerate(stems(lang)[start : start + COMPANIES[part]])
    )


def values(aspect: str, lang: Lang) -> tuple[str, ...]:
    """The eight values that an aspect of a contract can have."""
    return tuple(value[lang] for value in pairs(ASPECTS[aspect]))


@cache
def contracts() -> tuple[Contract, ...]:
    """Sixty contracts; every value of an aspect is held by seven or eight of them, so no value is a good guess."""
    columns = {}
    for aspect in ASPECTS:
        column = [n % 8 for n in range(CONTRACTS)]
        random.Random(f"facts {aspect}").shuffle(column)
        columns[aspect] = column
    return tuple(
        Contract(f"contract{n:02d}", _goods(n), {aspect: column[n] for aspect, column in columns.items()})
        for n in range(CONTRACTS)
    )


def _goods(n: int) -> dict[str, str]:
    kind = n % len(GOODS["zh"])
    return {"zh": stems("zh")[n] + GOODS["zh"][kind], "en": f"{stems('en')[n]} {GOODS['en'][kind]}"}


@cache
def numbers(part: Literal["tuning", "exam"]) -> dict[int, tuple[int, ...]]:
    """Digits -> whole numbers of 2 or 3 digits, cut by chance: tuning and exam share none, and none stands in a contract."""
    taken = {5, 10, 20, 50, 100, 200, 300, 500, 11, 12}
    found: dict[int, tuple[int, ...]] = {}
    for digits in (2, 3):
        free = [n for n in range(10 ** (digits - 1), 10**digits) if n not in taken]
        random.Random(f"numbers {digits}").shuffle(free)
        half = len(free) // 2
        found[digits] = tuple(free[:half] if part == "tuning" else free[half:])
    return found
