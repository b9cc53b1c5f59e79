"""The condition of rows: answers cut off, text decoded wrongly, and labels told from answers."""

from __future__ import annotations

import pytest

from eval.audit.condition import encoding_faults, labels, looks_cut


@pytest.mark.parametrize(
    "answer",
    [
        "公司营业收入同比增长百分之十二，净利润略有下降。主要原因是原材料价格上涨，以及新产能尚未释放，同时汇率波动也带来了一定的，",
        "The company's revenue rose by twelve per cent. Profit fell because the price of raw material rose and the",
        "<think>先看收入，再看利润",
        "```python\nprint(1)",
    ],
)
def test_a_cut_answer_is_seen(answer):
    assert looks_cut(answer)


@pytest.mark.parametrize(
    "answer",
    [
        "利好",
        "B",
        "Natalia sold 48/2 = 24 clips in May. Altogether she sold 48+24 = 72 clips in April and May.\nAnswer: 72",
        "公司名称：贵州茅台、五粮液、泸州老窖、洋河股份、山西汾酒、古井贡酒、今世缘、迎驾贡酒、口子窖、舍得酒业、水井坊、酒鬼酒、金徽酒、老白干酒、伊力特",
        "公司营业收入同比增长百分之十二。净利润略有下降，主要原因是原材料价格上涨，以及新产能尚未释放，同时汇率波动也带来了影响。",
        "<think>先看收入</think>利好",
    ],
)
def test_a_whole_answer_is_left_alone(answer):
    assert not looks_cut(answer)


def test_wrong_decoding_is_named():
    assert encoding_faults("the bank\u2019s rate".encode().decode("cp1252")) == ["mojibake"]
    assert encoding_faults("利率".encode("gb18030").decode("utf-8", "replace")) == ["replaced"]
    assert encoding_faults("利\ue000率\x07") == ["control", "private use"]
    assert encoding_faults("naïve café, 5 µm, “quotes”, 利率（％）\n\t€ Ångström") == []


def test_labels_are_few_short_and_repeated():
    assert labels(["利好"] * 3 + ["利空"]) == {"利好": 0.75, "利空": 0.25}
    assert labels(["72", "18", "5"]) == {}
    assert labels(["这是一个很长很长很长很长很长很长很长很长的回答。"] * 9) == {}
