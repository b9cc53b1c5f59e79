"""Phrasings of answers and what a reader would take from them: text, reading (None: it does not commit), rule.

Those by letters stand in `letter_cases`, numbers in `number_cases`.

From the faults told of in the issues of lm-eval, OpenCompass, EvalScope, PIXIU and others (answers announced, revised,
denied, listed again, boxed; "$29.00" and "29"; percent and fractions), in Chinese and English.
"""

TRUTH = [
    ("N/A", None, "none"), ("n/a.", None, "none"), ("**N/A**", None, "none"), ("N", "no", "leading"), ("N/", "no", "leading"), ("No / absolutely not", "no", "leading"),
    ("是", "yes", "leading"), ("否", "no", "leading"), ("是。", "yes", "leading"), ("是的", "yes", "leading"), ("不是", "no", "leading"), ("对", "yes", "leading"),
    ("不对", "no", "leading"), ("错", "no", "leading"), ("错误", "no", "leading"), ("正确", "yes", "leading"), ("不正确", "no", "leading"), ("Ｙｅｓ", "yes", "leading"),
    ("Yes", "yes", "leading"), ("No.", "no", "leading"), ("Yes, it is", "yes", "leading"), ("No, the margin fell.", "no", "leading"), ("TRUE", "yes", "leading"),
    ("False", "no", "leading"), ("√", "yes", "leading"), ("×", "no", "leading"), ("**否**", "no", "leading"), ("是，该公司违反了规定。", "yes", "leading"),
    ("否，因为利率下降。", "no", "leading"), ("答案是：否", "no", "announced"), ("答案：是", "yes", "announced"), ("答案是错误", "no", "announced"),
    ("答案是正确的", "yes", "announced"), ("答案是否定的", "no", "announced"), ("答案是肯定的", "yes", "announced"), ("The answer is yes.", "yes", "announced"),
    ("The answer is No", "no", "announced"), ("Answer: True", "yes", "announced"), ("Note: yes", "yes", None), ("\\boxed{No}", "no", "boxed"), ("\\boxed{是}", "yes", "boxed"),
    ("该说法正确", "yes", None), ("该说法不正确", "no", None), ("这个说法是错误的", "no", None), ("这种表述没有错误", "yes", None), ("该说法无误", "yes", None),
    ("该表述有误", "no", None), ("The statement is false.", "no", None), ("The statement is not true.", "no", None), ("The statement is incorrect", "no", None),
    ("The claim is not wrong", "yes", None), ("This is correct.", "yes", None), ("是否违约？否", "no", None), ("因此该说法错误。", "no", "concluded"),
    ("Therefore, no.", "no", "concluded"), ("利率上升则价格下降，所以正确。", "yes", "concluded"), ("答案是正确。更正：错误", "no", "announced"),
    ("答案是是。不对，应为否", "no", None), ("Yes. Correction: no", "no", "announced"), ("并非正确", "no", None), ("不完全正确", "no", None),
    ("It is not incorrect", "yes", None), ("This isn't untrue.", "yes", None), ("It is incorrect", "no", None), ("不能说是正确的", "no", None),
    ("算不上准确", "no", None), ("该说法不够准确", "no", None), ("不能认为该说法错误", None, None), ("Yes and no", None, None), ("no and yes", None, None),
    ("maybe", None, None), ("I do not know", None, None), ("这是一个复杂的问题", None, None), ("是否合规", None, None), ("不一定", None, None), ("正确或错误", None, None),
    ("There was no change in rates", None, None), ("对于银行而言", None, None), ("但是利率很高", None, None), ("否则无效", None, None), ("yes or no", None, None),
    ("说法一正确，说法二错误", None, None), ("", None, None), ("能否违约？", None, None), ("true or false?", None, None), ("无法判断该说法是否正确", None, None),
    ("不能不说是正确的", "yes", None), ("该说法不能不算正确", "yes", None), ("不得不说是正确的", "yes", None), ("不能不承认该说法不正确", "no", None),
    ("It is not entirely untrue", None, None), ("It is not entirely wrong", None, None), ("不完全错误", None, None), ("This cannot be false", None, None),
    ("Yes and no exception applies.", "yes", None), ("Yes and no.", None, None), ("This cannot be true.", "no", None), ("This can't be correct", "no", None),
    ("I don't think this is correct", "no", None), ("I do not think this is wrong", None, None), ("I don't think the answer is yes", None, None),
    ("It is not always true", None, None), ("The claim is not necessarily false", None, None), ("This may be true", None, None),
    ("That's not quite right", "no", None), ("It is hardly correct", "no", None), ("far from correct", "no", None), ("It is no longer true", "no", None),
    ("This is not a correct statement.", "no", None), ("None of the statements is correct", "no", None),
    ("There is no doubt this is correct", "yes", None), ("The statement that banks do not hold reserves is false.", "no", None),
    ("It is not only correct but complete", "yes", None), ("未必正确", None, None), ("该说法不总是正确", None, None), ("并非总是正确", None, None),
    ("难以认为正确", None, None), ("我不认为该说法正确", "no", None), ("我不认为该说法错误", None, None), ("我不认为答案是正确", "no", None),
    ("该说法并非完全正确", "no", None), ("该说法不是很准确", "no", None), ("该说法有失准确", "no", None), ("不属于正确的说法", "no", None),
    ("该行为不构成违规", None, None), ("不属于违规", None, None), ("不存在错误", None, None), ("该说法不存在错误", "yes", None),
    ("该说法没有任何错误", "yes", None), ("并非不正确", "yes", None), ("毫无疑问正确", "yes", None), ("没有证据的说法是错误的", "no", None),
    ("不符合规定。", "no", None), ("不符合《证券法》的规定", "no", None), ("符合监管要求", "yes", None), ("未能符合要求", "no", None), ("难以符合要求", "no", None),
    ("是否符合规定", None, None), ("合规部门认为不行", None, None), ("正确做法是拒绝", None, None), ("这是正确的做法", "yes", None), ("侵犯合法权益", None, None),
    ("违法", "no", None), ("不合法", "no", None), ("不违法", "yes", None), ("不应该。", "no", "leading"), ("说法不妥", "no", None), ("这种说法欠妥", "no", None),
    ("不属于。", "no", "leading"), ("The statement is not accurate", "no", None), ("It is not inaccurate.", "yes", None), ("It is inaccurate.", "no", None),
    ("Absolutely not.", "no", "leading"), ("Certainly not, it fell.", "no", "leading"), ("正确选项是错误", "no", None),
    ("✅", "yes", "leading"), ("❌", "no", "leading"), ("✔️", "yes", "leading"), ("\\boxed{\\checkmark}", "yes", "boxed"), ("需要。", "yes", "leading"), ("不需要。", "no", "leading"), ("不符合。", "no", "leading"),
    ("允许", "yes", "leading"), ("不允许，因为风险高。", "no", "leading"), ("不行。", "no", "leading"), ("需要进一步分析", None, None), ("需要 更多资料", None, None), ("应当说很难", None, None), ("需要或不需要", None, None),
    ("这种做法是允许的。", "yes", None), ("这种做法是不允许的。", "no", None), ("未被允许。", "no", None), ("此做法不当。", "no", None), ("不合适。", "no", None), ("此做法恰当。", "yes", None), ("不是不恰当", "yes", None),
    ("不能这样做。", "no", "leading"), ("可以这样做。", "yes", "leading"), ("可以这样做吗？", None, None), ("应判断为“否”。", "no", "announced"), ("判断：错误", "no", "announced"), ("无法判断为是", None, None), ("需要判断是否合规", None, None),
    ("I would say no.", "no", "announced"), ("I would not say yes.", None, None), ("Not really.", "no", "leading"), ("应加强适当性管理", None, None), ("找到合适的产品", None, None), ("不当得利", None, None), ("经允许后可以", None, None),
    ("他们不认为有风险的说法是错误的", "no", None), ("不失为正确", "yes", None), ("准确率为95%", None, None),
]  # fmt: skip

LABELS = [  # of 利好, 利空, 中性
    ("利好", "利好", "alone"), ("利好。", "利好", "alone"), ("【利空】", "利空", "alone"), ("答案是利空", "利空", "alone"), ("这是利空消息", "利空", "only"), ("标签：中性", "中性", "alone"),
    ("不是利好，是利空", "利空", None), ("并非利空而是中性", "中性", None), ("利好或利空", None, "several"), ("利好、利空、中性", None, "several"), ("\\boxed{中性}", "中性", "boxed"),
    ("短期利空，但长期利好，综合来看中性。因此利好", "利好", None), ("答案是利好，不是利空", "利好", None), ("答案是利好还是利空？", None, None), ("", None, "none"), ("看涨", None, "none"),
    ("我选择利好", "利好", "announced"), ("虽有利空因素，综上，利好", "利好", "concluded"), ("答案是利空。更正：答案是利好", "利好", "announced"), ("利好不对，利空", "利空", None),
]  # fmt: skip
LABELS_EN = [  # of positive, negative, neutral
    ("positive", "positive", "alone"), ("Positive.", "positive", "alone"), ("It is NEGATIVE.", "negative", "only"), ("The sentiment is neutral", "neutral", "only"),
    ("not positive but negative", "negative", "only"), ("positive or neutral", None, "several"), ("Label: neutral", "neutral", None), ("nonpositive", None, "none"),
    ("The answer is positive, not negative.", "positive", "announced"), ("Positive aspects exist, but overall negative", "negative", "concluded"),
    ("neither positive nor negative: neutral", "neutral", "only"), ("The label: positive/negative/neutral", None, "several"), ("ｐｏｓｉｔｉｖｅ", "positive", "alone"),
]  # fmt: skip
STATED = [  # options positive, neutral, negative of a question for a letter
    ("The sentiment is neutral.", "B", "label"), ("Sentiment: **Neutral**", "B", "label"), ("This sentence is positive because revenue rose.", "A", "label"),
    ("I would classify this as negative.", "C", "label"), ("Negative: revenue fell.", "C", "label"), ("Label: Positive\nReason: more profit.", "A", "label"),
    ("It is positive or neutral.", None, "none"), ("It is not clearly positive.", None, "none"), ("It may be negative.", None, "none"),
    ("Positive cash flow was reported.", None, "none"), ("The answer is B, though it sounds positive.", "B", "announced"), ("Is it positive?", None, "none"),
    ("This statement is neutral in tone.", "B", "label"), ("It is neither positive nor negative, so neutral.", "B", "label"), ("Neutral – it merely states a fact.", "B", "label"),
    ('{"sentiment": "neutral"}', "B", "label"), ("The sentence conveys a neutral sentiment.", "B", "label"), ("The tone is neutral rather than positive.", "B", "label"), ("It's neutral.", "B", "label"),
    ("It's not neutral.", None, "none"), ("It has a positive one-time gain.", None, "none"), ("Positive statements were made by the CEO.", None, "none"), ("This is not a neutral statement.", None, "none"),
    ("so positive or neutral", None, "none"), ("He is positive in tone, but the text is negative.", None, "none"),
    ("该新闻的情感是 neutral。", "B", "label"), ("情感：negative", "C", "label"), ("不是 negative", None, "none"), ("negative 和 positive 都有", None, "none"),
]  # fmt: skip
LABELS_NESTED = [  # of 收购, 拟收购, 被收购, 被拟收购, 是
    ("拟收购", "拟收购", "alone"), ("关系是被拟收购", "被拟收购", None), ("两者关系为收购", "收购", "only"), ("这是被收购", "被收购", "only"), ("是", "是", "alone"),
    ("答案是被收购", "被收购", "alone"), ("收购，不是拟收购", "收购", None),
]  # fmt: skip
TAGS = [  # text, known, tags
    ("天康生物", (), "天康生物"), ("天风证券，比音勒芬", (), "天风证券, 比音勒芬"), ("1. 天风证券\n2. 比音勒芬", (), "天风证券, 比音勒芬"), ("- A公司\n- B公司", (), "a公司, b公司"),
    ("公司名称：天风证券、比音勒芬。", (), "天风证券, 比音勒芬"), ('["天风证券", "比音勒芬"]', (), "天风证券, 比音勒芬"), ("答案是天风证券、比音勒芬", (), "天风证券, 比音勒芬"),
    ("以下是涉及的公司：\n- 天风证券\n- 比音勒芬", (), "天风证券, 比音勒芬"), ("\\boxed{玻璃，豆油}", (), "玻璃, 豆油"), ("玻璃；豆油；燃油", (), "玻璃, 豆油, 燃油"), ("玻璃|豆油", (), "玻璃, 豆油"),
    ("涉及公司有天风证券、比音勒芬", (), "天风证券, 比音勒芬"), ("该新闻提到的公司为天风证券", (), "天风证券"), ("1）玻璃 2）豆油", (), "玻璃, 豆油"),
    ("贵州茅台(600519)、五粮液（000858.SZ）", (), "贵州茅台, 五粮液"), ("腾讯控股(00700.HK)", (), "腾讯控股"), ("包括证券", (), "包括证券"),
    ("该新闻说了很多。没有列出公司！", (), None), ("无", (), None), ("", (), None), ("玻璃，玻璃", (), "玻璃"), ("ＳＵＶ，汽车", (), "suv, 汽车"),
    ("涉及财务和分红两类", ("财务", "分红", "增持"), "财务, 分红"), ("不是增持，是分红", ("财务", "分红", "增持"), "分红"), ("公司, 财务", ("公司", "财务"), "公司, 财务"),
    ("没有相关标签", ("财务", "分红"), None), ("中药Ⅱ", ("中药", "中药Ⅱ"), "中药ii"), ("医疗服务、中药", ("中药", "医疗服务"), "医疗服务, 中药"),
    ("涉及有色金属、钢铁", (), "涉及有色金属, 钢铁"), ("包括有色金属", (), "包括有色金属"), ("提及有赞", (), "提及有赞"), ("涉及为旌科技", (), "涉及为旌科技"),
    ("涉及行业为有色金属", (), "有色金属"), ("涉及的上市公司有：有赞、有友食品", (), "有赞, 有友食品"), ("1、天风证券\n2、比音勒芬", (), "天风证券, 比音勒芬"),
    ("涉及的公司包括玻璃厂和豆油厂。", (), "玻璃厂, 豆油厂"), ("该新闻主要涉及天风证券、比音勒芬和中信证券三家公司。", (), "天风证券, 比音勒芬, 中信证券"),
    ("答案：\n天风证券\n比音勒芬", (), "天风证券, 比音勒芬"), ("答案：\n- 天风证券\n- 比音勒芬\n\n说明：略", (), "天风证券, 比音勒芬"),
    ("根据新闻，涉及的公司是：天风证券、比音勒芬等。", (), "天风证券, 比音勒芬"), ("这条新闻涉及有色金属。", (), "有色金属"),
    ("| 公司 |\n|---|\n| 天风证券 |\n| 比音勒芬 |", (), "天风证券, 比音勒芬"), ("公司名称\n---\n天风证券", (), "天风证券"),
    ("没有涉及任何公司", (), None), ("文中未提及公司。", (), None), ("No companies are named.", (), None), ("仁和药业", (), "仁和药业"),
    ("中国和谐汽车、平安银行", (), "中国和谐汽车, 平安银行"), ("答案：仁和药业和中信证券", (), "仁和药业, 中信证券"),
    ('```json\n["天风证券", "比音勒芬"]\n```', (), "天风证券, 比音勒芬"), ("《天风证券》《比音勒芬》", (), "天风证券, 比音勒芬"), ("天风证券 比音勒芬", (), "天风证券, 比音勒芬"), ("CRF Investment", (), "crf investment"),
    ("识别到的公司有天风证券、比音勒芬", (), "天风证券, 比音勒芬"), ("财务，分红（不涉及增持）", ("财务", "分红", "增持"), "财务, 分红"),
    ("1、360数科；2、比音勒芬", (), "360数科, 比音勒芬"), ("公司：1、Apple 2、Tesla", (), "apple, tesla"), ("1、2、3", (), "1, 2, 3"),
]  # fmt: skip
SPANS = [  # text, gold, leniently right, strictly right
    ("北京", "北京", True, True), ("北京。", "北京", True, True), ("答案是北京", "北京", True, True), ("位于北京市的总部", "北京", True, False), ("不是北京", "北京", False, False),
    ("上海", "北京", False, False), ("北京或上海", "北京", False, False), ("The Bank of England", "Bank of England", True, True), ("bank of england.", "Bank of England", True, True),
    ("It is the Bank of England.", "Bank of England", True, False), ("\\boxed{北京}", "北京", True, True), ("数字孪生", "数字孪生", True, True), ("ＡＢＣ公司", "ABC公司", True, True),
    ("\\boxed{上海} 或北京", "北京", False, False), ("答案是北京，它是首都。", "北京", True, False),
]  # fmt: skip

PROMISE, PROMISING = "可以向客户承诺收益", "You may promise returns to clients"
PROHIBITED = [  # a statement, and what prohibits or refutes it
    *((PROMISE, f"{word}向客户承诺收益") for word in ("禁止", "严禁", "切勿", "杜绝", "避免", "拒绝", "不得", "切忌")),
    *((PROMISE, f"向客户承诺收益{word}") for word in ("属于违规", "是违法的", "的行为是被禁止的", "，这是违法的", "，属于违规", "。这种行为不允许", "是错误的")),
    *((PROMISE, f"可以向客户承诺收益吗{word}") for word in ("？不可以。", "？否", "，不可以", "？绝对不行", "？严禁")),
    (PROMISE, "是否可以向客户承诺收益：否"), ("可以承诺保本", "可以承诺保本吗？不可以。"),
    (PROMISING, "It is prohibited to promise returns to clients"), (PROMISING, "Promising returns to clients is forbidden."),
    (PROMISING, "Avoid promising returns to clients"), (PROMISING, "Refrain from promising returns to clients"), (PROMISING, "Never promise returns to clients"),
    (PROMISING, "Promising returns to clients is illegal"), (PROMISING, "Refuse to promise returns to clients"), (PROMISING, "May you promise returns to clients? No."),
    (PROMISING, "Can you promise returns to clients? Never."), (PROMISING, "Promising returns to clients, that is prohibited."),
    (PROMISING, "It is wrong to promise returns to clients"),
]  # fmt: skip
SAME = [  # a statement, and what says it in other words
    (PROMISE, "可以向客户承诺收益"), (PROMISE, "可以向客户承诺收益吗？可以向客户承诺收益。"), (PROMISE, "不禁止向客户承诺收益"),
    (PROMISING, "You may promise returns to your clients."), (PROMISING, "It is not prohibited to promise returns to clients"),
    ("严禁承诺保本", "不得承诺保本"), ("不得承诺保本", "严禁承诺保本"), ("不得承诺保本", "承诺保本属于违规"), ("应当避免过度集中", "应避免过度集中"),
    ("应分散投资以降低风险", "为避免损失，应分散投资以降低风险"), ("毛利率同比下降", "毛利率为什么同比下降？不是因为成本。"),
    ("Do not promise returns to clients", "It is forbidden to promise returns to clients"),
    ("风险等级为R3", "风险等级是R3级"), ("评级为AA+", "评级：AA+"), ("应当在T+1日交收", "应在T＋1日交收"),
    ("FY2022 revenue rose", "revenue rose in 2022, against FY2021"), ("第A类客户适用", "A类客户适用，B类客户不适用"), ("风险等级为R3", "风险等级由R4调为R3"),
    ("至少5个工作日", "不少于5个工作日"), ("最少保留5个工作日", "至少保留5个工作日"), ("保证金上调至12%", "保证金提高至12%，即上调至12%"), ("每季度报告一次", "每季报告一次"),
    ("必须经董事会批准", "必须经董事会批准，不是股东会"), ("必须经董事会批准", "必须经公司批准，并经董事会通过"), ("由甲方承担费用", "费用由甲方承担，乙方不承担"),
    ("The seller bears the cost", "The cost is borne by the seller, not the buyer"),
    ("Report before March 1", "After closing, report before March 1"), ("The bank refused the loan application", "The bank rejected the loan application"),
    ("Margins rose in Q3", "Margins rose in the third quarter, after a fall in Q2"), ("毛利率在Q3上升", "毛利率在第三季度上升"), ("银行拒绝了该贷款申请", "银行驳回了该贷款申请"),
]  # fmt: skip
OTHER = [  # a statement, and what says another in nearly its words
    ("风险等级为R3", "风险等级为R4"), ("客户为C3型投资者", "客户为C1型投资者"), ("评级为AA+", "评级为AA-"), ("评级为AAA", "评级为BBB"), ("The rating is BBB+", "The rating is BBB-"),
    ("The filing is form 10-K", "The filing is form 10-Q"), ("应当在T+1日交收", "应当在T+0日交收"), ("适用第A类客户", "适用第B类客户"), ("Class A shares were sold", "Class B shares were sold"),
    ("Margins rose in Q3", "Margins rose in Q2"), ("FY2022 revenue rose", "FY2021 revenue rose"), ("至少5个工作日", "至多5个工作日"), ("不少于5个工作日", "不超过5个工作日"),
    ("must be at least 8%", "must be at most 8%"), ("a term of no less than 5 years", "a term of no more than 5 years"), ("保证金上调至12%", "保证金下调至12%"), ("评级被调高至AA", "评级被调低至AA"),
    ("每季度报告一次", "每年度报告一次"), ("Report to the board quarterly", "Report to the board annually"), ("必须经董事会批准", "必须经股东会批准"), ("必须经董事会批准", "必须经股东会批准，不是董事会"),
    ("由甲方承担费用", "由乙方承担费用"), ("报告应提交给证监会", "报告应提交给银保监会"), ("交易所为上交所", "交易所为深交所"), ("The seller bears the cost", "The buyer bears the cost"),
    ("The lessee pays the tax", "The lessor pays the tax"), ("应在3月1日之前报告", "应在3月1日之后报告"), ("Report before March 1", "Report after March 1"),
    ("The loan has a fixed rate", "The loan has a floating rate"), ("毛利率在第三季度上升", "毛利率在第二季度上升"),
]  # fmt: skip
