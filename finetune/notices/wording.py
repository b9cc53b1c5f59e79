"""How notices are worded. Every list is `train ;; test`: the two parts share no wording.

`{c}` contracts, `{new}` and `{old}` values, `{d}` a date, `{p}` the product, `{n}` a number.
"""

from __future__ import annotations

from finetune.notices.facts import Lang, Part

ASKED: dict[Lang, str] = {
    "zh": "从下面的交易所公告中，提取公告调整了的每个合约：合约代码、调整后的保证金率（投机）、手续费（开仓）、涨跌停板幅度、生效日期。"
    "以JSON数组回答，每个合约一个对象，键为“合约”“保证金率”“手续费”“涨跌停板幅度”“生效日期”；公告没有给出的写null，未调整的合约不写。",
    "en": "From the exchange notice below, extract every contract that it changes: contract code, new margin rate (speculative), "
    "new fee (opening), new price limit, effective date. Answer with a JSON array, one object a contract, with the keys contract, "
    "margin_rate, fee, price_limit and effective_date; write null for what the notice does not give, and leave out unchanged contracts.",
}
KEYS: dict[Lang, tuple[str, ...]] = {
    "zh": ("合约", "保证金率", "手续费", "涨跌停板幅度", "生效日期"),
    "en": ("contract", "margin_rate", "fee", "price_limit", "effective_date"),
}
_TABLE: dict[Lang, dict[str, str]] = {
    "zh": {
        "title": "关于调整{p}期货有关参数的通知|{p}期货业务参数调整的公告"
        ";;关于{p}期货合约风险控制措施的通知|交易所关于{p}期货若干合约的公告|{p}期货合约参数变动通知",
        "open": "各会员单位：经研究决定，现通知如下：|各有关单位：根据业务规则，作如下调整："
        ";;各会员、市场参与者：为防范市场风险，现将有关事项公告如下：|经理事会审议通过，我所对{p}期货作出以下安排：|近期市场波动较大，请注意以下变化：",
        "margin": "{c}合约的交易保证金率由{old}调整为{new}|将{c}合约投机交易保证金率改为{new}（原为{old}）"
        ";;{c}合约交易保证金比例为{new}，原{old}的标准停止执行|对{c}合约，投机持仓按{new}收取交易保证金（此前{old}）|"
        "交易保证金标准：{c}合约从{old}变为{new}",
        "limit": "{c}合约的涨跌停板幅度由{old}调整为{new}|将{c}合约涨跌停板幅度改为上一交易日结算价的±{new}（原为±{old}）"
        ";;{c}合约每日价格波动限制为±{new}，此前为±{old}|对{c}合约，涨跌停板改按{new}执行，不再适用{old}|"
        "涨跌停幅度：{c}合约从{old}变为{new}",
        "fee": "{c}合约的交易手续费标准调整为{new}|将{c}合约开仓手续费改为{new}"
        ";;{c}合约开仓交易按{new}收取手续费|对{c}合约，手续费（开仓）定为{new}|手续费：{c}合约开仓{new}",
        "hedge": "套期保值交易保证金率仍为{new}|套保持仓的保证金率{new}不变"
        ";;套期保值头寸继续适用{new}的保证金比例|上述变化不涉及套保客户，其保证金仍按{new}收取",
        "closing": "日内平今仓手续费为{new}|当日开平仓的平今手续费按{new}计"
        ";;平今仓交易另按{new}收费|日内平仓手续费维持{new}",
        "other": "{c}合约不作调整，保证金率仍为{new}|{c}合约维持{new}的保证金率"
        ";;{c}合约继续按原标准{new}收取保证金|本次变化不包括{c}合约（保证金{new}）",
        "effective": "以上调整自{d}结算时起执行|自{d}起施行;;上述事项于{d}收盘结算时生效|新标准从{d}起实行|{d}起按新标准执行",
        "later": "实施时间另行通知|具体执行日期将另行公布;;生效时间由交易所另行公告|何时实施，请留意后续通知",
        "deadline": "请会员于{d}前完成系统测试|{d}前请做好客户提示工作;;各单位须在{d}前更新参数并回报|技术联调安排在{d}",
        "former": "〔2025〕{n}号通知同时废止|此前〔2025〕{n}号文件不再适用;;以往公告〔2025〕{n}号与本公告不一致的，以本公告为准|〔2025〕{n}号公告继续有效",
        "sign": "特此通知。{d}|特此公告。发布日期：{d};;请遵照执行。（{d}发布）|交易所　{d}",
        "head": "各合约新标准如下（空缺处不作调整）：|调整后的标准（—表示不变）：;;新参数一览，未列数值者照旧：|逐合约标准如下，“—”为不调整：",
    },
    "en": {
        "title": "Notice on the parameters of {p} futures|Adjustment of {p} futures"
        ";;Circular: risk controls of {p} futures|Announcement on certain {p} contracts|Changes to {p} futures",
        "open": "To all members: the following has been decided.|Members are informed of these adjustments."
        ";;In view of recent volatility the Exchange announces as follows.|The Board has approved the changes set out here.|"
        "Participants trading {p} futures should note the following.",
        "margin": "The margin rate of {c} is changed from {old} to {new}|For {c}, the speculative margin rate becomes {new} (formerly {old})"
        ";;Speculative positions in {c} will be margined at {new} instead of {old}|{c}: trading margin moves from {old} to {new}|"
        "The Exchange sets the margin for {c} at {new}; the former {old} no longer applies",
        "limit": "The price limit of {c} is changed from {old} to {new}|For {c}, the daily price limit becomes ±{new} (formerly ±{old})"
        ";;Prices of {c} may move by ±{new} a day instead of ±{old}|{c}: the daily limit goes from {old} to {new}|"
        "The Exchange sets the price limit for {c} at {new} of the last settlement price; the former {old} no longer applies",
        "fee": "The trading fee of {c} is changed to {new}|For {c}, the fee for opening becomes {new}"
        ";;Opening trades in {c} will be charged {new}|{c}: the opening fee is now {new}|The Exchange sets the fee for {c} at {new}",
        "hedge": "The margin rate for hedgers stays at {new}|Hedging positions remain at a margin of {new}"
        ";;Hedge accounts are not affected and keep {new} as margin|For approved hedges, {new} continues to apply as margin",
        "closing": "Closing a position on the same day costs {new}|The same-day closing fee is {new}"
        ";;Intraday closing is charged separately at {new}|Positions closed on the day of opening pay {new}",
        "other": "{c} is not changed and stays at a margin of {new}|{c} keeps its margin rate of {new}"
        ";;No change is made to {c} (margin {new})|The margin of {c} continues to be {new}",
        "effective": "The changes take effect on {d}|They apply from {d}"
        ";;The new standards are in force as of settlement on {d}|Effective {d}|From {d} the new terms are used",
        "later": "The date of effect will be announced separately|The Exchange will give the starting date later"
        ";;When this takes effect is left to a further notice|A further announcement will name the first day",
        "deadline": "Members should finish their system tests by {d}|Clients are to be informed before {d}"
        ";;Parameters must be updated and reported back by {d}|A technical rehearsal is held on {d}",
        "former": "Notice 2025-{n} is withdrawn|Notice 2025-{n} no longer applies"
        ";;Where Circular 2025-{n} differs, this one prevails|Circular 2025-{n} remains in force",
        "sign": "Issued on {d}|Published {d};;Dated {d}|By order of the Exchange, {d}",
        "head": "New standards by contract (blank: unchanged):|Standards after the change (— means unchanged):"
        ";;New parameters at a glance; where no figure stands the old one holds:|Contract by contract, with — for no change:",
    },
}


def wordings(what: str, part: Part, lang: Lang) -> tuple[str, ...]:
    """The wordings of one kind of clause for a part."""
    train, test = _TABLE[lang][what].split(";;")
    return tuple((train if part == "train" else test).split("|"))
