"""The condition of rows: answers cut off, text decoded wrongly, and labels told from answers."""

from __future__ import annotations

import pytest
from small_lesson import write_card

from eval.audit.condition import encoding_faults, labels, looks_cut
from finetune.card import BadCard, DataCard


@pytest.mark.parametrize(
    "answer",
    [
        "公司营业收入同比增长百分之十二，净利润略有下降。主要原因是原材料价格上涨，以及新产能尚未释放，同时汇率波动也带来了一定的，",
        "The company's revenue rose by twelve per cent. Profit fell because the price of raw material rose and the",
        "<think>先看收入，再看利润",
        "<think>先看收入，再看利润</think>\n",
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


SAID = "公司净利润大幅增长，同比上升百分之十二"


def test_chinese_read_as_gbk_is_named_and_refused_at_its_line(tmp_path):
    """What editors make of UTF-8 on a Chinese Windows, whole or with the characters that were lost on the way."""
    read = [SAID.encode().decode("gb18030", how) for how in ("replace", "ignore")]
    assert all("mojibake" in encoding_faults(text) for text in read)
    assert encoding_faults(SAID + "，联通、長榮、ＫＹ，日本語テキスト，한국어") == []
    card = write_card(tmp_path / "rows.md", [{"prompt": "问？", "completion": text} for text in (SAID, read[1])])
    with pytest.raises(BadCard, match=r"rows\.jsonl:2: '.*' was decoded wrongly; it is UTF-8 that was read as GBK"):
        DataCard.read(card).rows(None, "train")


TWICE = '{"prompt": "x", "completion": "A", "completion": "B"}'


@pytest.mark.parametrize(("form", "text", "place"), [("jsonl", TWICE, "jsonl:1"), ("json", f"[{TWICE}]", "json")])
def test_a_value_that_is_given_twice_is_nobodys_answer(tmp_path, form, text, place):
    card = write_card(tmp_path / "rows.md", [], format=form, splits={"train": [f"rows.{form}"]})
    (tmp_path / f"rows.{form}").write_text(text + "\n", "utf-8")
    with pytest.raises(BadCard, match=rf"rows\.{place}: .*'completion' .*twice, with unlike values; keep one"):
        DataCard.read(card).rows(None, "train")
    (tmp_path / f"rows.{form}").write_text(text.replace('"B"', '"A"') + "\n", "utf-8")
    assert len(DataCard.read(card).rows(None, "train")) == 1


def test_labels_are_few_short_and_repeated():
    assert labels(["利好"] * 3 + ["利空"]) == {"利好": 0.75, "利空": 0.25}
    assert labels(["72", "18", "5"]) == {}
    assert labels(["这是一个很长很长很长很长很长很长很长很长的回答。"] * 9) == {}
