"""Slots: gold rendered back in many ways reads in full; wrong, missing and extra values score as the formula says."""

from __future__ import annotations

import json
import random
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from looping import Loop, read
from written_exam import build
from written_exam import row as item

from eval.extract import grade, slots, values
from eval.extract.slots import SLOTS, Counts, Record, gold_of, weigh
from eval.items import ItemScore
from eval.labels import corpus_rows
from eval.report import render
from eval.sheet import Sheet
from eval.verdict import judge

FOLDER = Path(__file__).parent.parent / "data_cards" / "notices"
GOLDS = {
    lang: [json.loads(line)["answer"] for line in (FOLDER / f"test_{lang}.jsonl").read_text("utf-8").splitlines()]
    for lang in ("zh", "en")
}
NAMES = {
    "zh": ("合约代码", "交易保证金率", "手续费标准", "涨跌停板", "生效时间"),
    "en": ("Contract", "Margin rate", "Fee", "Price limit", "Effective date"),
}
NOTHING = {"zh": "未提及", "en": "not stated"}


def spoken(slot: str, value: str | None, lang: str) -> str:
    """A value as somebody else would write it."""
    if value is None:
        return NOTHING[lang]
    if slot == "effective_date":
        year, month, day = value.split("-")
        return f"{year}年{int(month)}月{int(day)}日起" if lang == "zh" else f"from {int(day)} {month_of(month)} {year}"
    if value.endswith("/lot"):
        return f"每手{value[:-4]}元" if lang == "zh" else f"{value[:-4]} yuan per lot"
    if slot == "fee":
        tenths = f"{float(value[:-1]) * 100:g}"
        return f"成交金额的万分之{tenths}" if lang == "zh" else f"{tenths} per ten thousand of turnover"
    return f"±{value}".replace("%", "％") if lang == "zh" else value.replace("%", " percent")


def month_of(number: str) -> str:
    return next(name for name, place in values.MONTHS.items() if place == int(number)).capitalize()


def lines(records: list[Record], lang: str) -> str:
    colon, names = ("：" if lang == "zh" else ": "), dict(zip(SLOTS, NAMES[lang], strict=True))
    told = [[f"{names[slot]}{colon}{spoken(slot, one[slot], lang)}" for slot in SLOTS] for one in records]
    return "\n\n".join("\n".join(each) for each in told)


def clauses(records: list[Record], lang: str) -> str:
    return lines(records, lang).replace("\n\n", "@").replace("\n", "；").replace("@", "\n")


def table(records: list[Record], lang: str) -> str:
    head = ["| " + " | ".join(NAMES[lang]) + " |", "|---|---|---|---|---|"]
    body = ["| " + " | ".join(spoken(slot, one[slot], lang) for slot in SLOTS) + " |" for one in records]
    return "\n".join(head + body)


def turned(records: list[Record], lang: str) -> str:
    """The table of one column a contract."""
    head = ["| | " + " | ".join(one["contract"] or "" for one in records) + " |", "|---" * (len(records) + 1) + "|"]
    return "\n".join(head + [
        f"| {name} | " + " | ".join(spoken(slot, one[slot], lang) for one in records) + " |"
        for name, slot in zip(NAMES[lang][1:], SLOTS[1:], strict=True)
    ])  # fmt: skip


def headed(records: list[Record], lang: str) -> str:
    return "\n".join(f"**{one['contract']}**\n" + "\n".join(
        f"- {name}: {spoken(slot, one[slot], lang)}" for name, slot in zip(NAMES[lang][1:], SLOTS[1:], strict=True)
    ) for one in records)  # fmt: skip


def by_code(records: list[Record], lang: str) -> str:
    return json.dumps({one["contract"]: {slot: one[slot] for slot in SLOTS[1:]} for one in records})


def python(records: list[Record], lang: str) -> str:
    return f"```python\n{records}\n```"


def reasoned(records: list[Record], lang: str) -> str:
    draft = json.dumps([{**records[0], "margin_rate": "99%"}])
    return f"先看草稿 {draft}，再核对。最终答案：\n```json\n{json.dumps(records, indent=2)}\n```\n以上。"


def one_by_one(records: list[Record], lang: str) -> str:
    return "\n".join(json.dumps(one) for one in records)


def wrapped(records: list[Record], lang: str) -> str:
    return json.dumps({"contracts": records})


def boxed(records: list[Record], lang: str) -> str:
    return f"\\boxed{{{json.dumps(records)}}}"


WAYS = (lines, clauses, table, turned, headed, by_code, python, reasoned, one_by_one, wrapped, boxed)


@pytest.mark.parametrize("lang", ["zh", "en"])
@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
def test_gold_rendered_back_is_read_in_full(way, lang):
    for gold in GOLDS[lang]:
        text = way(gold_of(gold), lang)
        found = grade("slots", text, gold)
        assert (found.outcome, found.score) == ("correct", 1.0), (text, found.extracted)


@pytest.mark.parametrize("lang", ["zh", "en"])
def test_the_form_that_is_asked_for_is_read_strictly_and_nothing_else(lang):
    for gold in GOLDS[lang]:
        assert grade("slots", gold, gold, reading="strict").outcome == "correct"
        for way in (lines, table, python, wrapped):
            assert grade("slots", way(gold_of(gold), lang), gold, reading="strict").outcome == "unparsed"


TERMS = st.fixed_dictionaries({
    "margin_rate": st.sampled_from([None, "8%", "9.5%"]), "fee": st.sampled_from([None, "3/lot", "0.005%"]),
    "price_limit": st.sampled_from([None, "5%"]), "effective_date": st.sampled_from([None, "2026-03-05", "2026-04-01"]),
})  # fmt: skip
RECORDS = st.dictionaries(st.sampled_from(["AB2607", "AB2608", "CD2701"]), TERMS, max_size=3).map(
    lambda found: [{"contract": code, **terms} for code, terms in found.items()]
)


def formula(said: list[Record], gold: list[Record]) -> float:
    """F1 over pairs of contract and slot, from sets."""
    pairs = [
        {(one["contract"], slot, one[slot]) for one in side for slot in SLOTS if one[slot]} for side in (said, gold)
    ]
    both = len(pairs[0] & pairs[1])
    return 2 * both / (len(pairs[0]) + len(pairs[1])) if pairs[0] or pairs[1] else 1.0


@given(said=RECORDS, gold=RECORDS)
def test_the_score_is_the_f1_of_two_sets_of_pairs(said, gold):
    found = grade("slots", json.dumps(said), json.dumps(gold))
    assert found.score == pytest.approx(formula(said, gold))
    assert found.outcome == ("correct" if found.score == 1 else "wrong")
    total = sum(weigh(said, gold).values(), Counts())
    assert total.right + total.missed == sum(one[slot] is not None for one in gold for slot in SLOTS)
    assert total.right + total.extra == sum(one[slot] is not None for one in said for slot in SLOTS)


@given(gold=RECORDS.filter(len), slot=st.sampled_from(SLOTS[1:]), seed=st.integers(0, 9))
def test_one_fault_costs_what_it_should(gold, slot, seed):
    place = seed % len(gold)
    wanted = sum(weigh(gold, gold).values(), Counts()).right
    there = gold[place][slot] is not None
    wrong = [
        *gold[:place],
        {**gold[place], slot: "7%" if slot != "effective_date" else "2026-12-31"},
        *gold[place + 1 :],
    ]
    total = sum(weigh(wrong, gold).values(), Counts())
    assert (total.right, total.extra, total.missed) == (wanted - there, 1, int(there))
    missing = [*gold[:place], {**gold[place], slot: None}, *gold[place + 1 :]]
    assert sum(weigh(missing, gold).values(), Counts()) == Counts(wanted - there, 0, int(there))
    extra = [*gold, {"contract": "ZZ2705", **dict.fromkeys(SLOTS[1:]), slot: "7%"}]
    assert sum(weigh(extra, gold).values(), Counts()) == Counts(wanted, 2, 0)
    assert weigh(gold[::-1], gold) == weigh(gold, gold)


@given(said=RECORDS)
def test_what_was_read_is_read_again_as_the_same(said):
    found = grade("slots", json.dumps(said), "[]")
    assert gold_of(found.extracted or "") == said


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ('{"合约": "AB2607、AB2608", "保证金率": "8%"}', {"AB2607": "8%", "AB2608": "8%"}),
        ('{"contract": ["ab2607", "AB-2608"], "margin": 0.08}', {"AB2607": "8%", "AB2608": "8%"}),
        ("合约：AB2607，保证金率：百分之八，手续费：无", {"AB2607": "8%"}),
        ("AB2607合约：\n保证金率=8%\nAB2608合约：\n保证金率=9%", {"AB2607": "8%", "AB2608": "9%"}),
        ('[{"contract": "AB2607", "margin_rate": "8%",},]', {"AB2607": "8%"}),
        ('[{"contract": "AB2607"}, {"contract": "AB2607", "margin_rate": "8%"}]', {"AB2607": "8%"}),
        ('答案是[{"contract": "AB2607", "margin_rate": "8%"}]，公告〔2025〕88号废止', {"AB2607": "8%"}),
        ("| 字段 | 内容 |\n|---|---|\n| 合约 | AB2607 |\n| 保证金率 | 8% |", {"AB2607": "8%"}),
        ("AB2607合约：保证金率为8%，手续费3元/手。\nAB2608：保证金率9%", {"AB2607": "8%", "AB2608": "9%"}),
        ("合约 AB2607：\n  保证金率 8%\n  手续费 3元/手", {"AB2607": "8%"}),
        ("AB2607: margin rate 8%, fee 3 yuan/lot", {"AB2607": "8%"}),
        ("AB2607：保证金率由8%调整，手续费不变，保证金率暂不公布", {}),
        ("[]", {}),
    ],
)
def test_answers_in_many_forms(text, read):
    found, _ = slots.read(slots.clean(text))
    assert {one["contract"]: one["margin_rate"] for one in found or []} == read


@pytest.mark.parametrize(
    "text",
    [
        "",
        "没有调整任何合约",
        "I think it is 8%.",
        "对AB2607合约，保证金率由7%调至8%，手续费3元/手",
        "| AB2607 | 8% |",
        "{",
        '{"a": 1}',
        "[1, 2]",
    ],
)
def test_an_answer_without_records_is_unparsed(text):
    assert grade("slots", text, GOLDS["zh"][0]).outcome == "unparsed"
    assert grade("slots", f"{text} 抱歉，无法提供", GOLDS["zh"][0]).outcome == "refused"


@given(st.text(alphabet="[]{}:,\"' \nabAB2607%合约保证金率|-", max_size=400))
def test_any_text_is_read_or_not_and_never_breaks(text):
    assert 0 <= grade("slots", text, GOLDS["zh"][0]).score <= 1


@pytest.mark.parametrize("piece", ["[", '{"a":', " ", "|", "合约 ", "a: "])
def test_an_answer_that_loops_is_read_to_its_end(piece):
    read(Loop(piece, ("slots",), gold=GOLDS["zh"][0]))


def test_corpus_f1_of_slots_is_over_all_pairs_and_resampled_by_cluster():
    rng, logs, sums = np.random.default_rng(3), [], []
    golds = GOLDS["en"][:60]
    for fault in (0.1, 0.4):
        log, total = [], dict.fromkeys(SLOTS, Counts())
        for place, gold in enumerate(golds):
            said = [
                {slot: None if slot != "contract" and rng.random() < fault else value for slot, value in one.items()}
                for one in gold_of(gold) or []
            ]
            found = grade("slots", json.dumps(said), gold)
            for slot, count in weigh(said, gold_of(gold) or []).items():
                total[slot] += count
            log.append(item(
                "notices_en", place, cluster=f"{place // 4}", gold=gold, extracted=found.extracted,
                outcome=found.outcome, score=found.score, options=(),
            ))  # fmt: skip
        logs.append(Sheet.of("x", {0: log}))
        sums.append(total)
    macro, micro = corpus_rows(*logs, 0.95)
    assert (macro.metric, micro.metric, macro.labels, macro.n, macro.clusters) == (
        "slot_macro_f1", "slot_micro_f1", 5, 60, 15,
    )  # fmt: skip
    wanted = [np.mean([count.f1 for count in total.values()]) for total in sums]
    assert (macro.challenger, macro.incumbent) == pytest.approx(wanted)
    assert (micro.challenger, micro.incumbent) == pytest.approx([sum(total.values(), Counts()).f1 for total in sums])
    for row in (macro, micro):
        assert row.low < row.gain < row.high
        assert row.gain > 0


def answered(rng: random.Random, fault: float, row: ItemScore) -> ItemScore:
    """The row with an answer that leaves fields out, as the engine would grade it."""
    records = [
        {slot: None if slot != "contract" and rng.random() < fault else value for slot, value in one.items()}
        for one in gold_of(row.gold) or []
    ]
    found = grade("slots", lines(records, row.lang), row.gold)
    return row.model_copy(update=vars(found) | {"text": lines(records, row.lang)})


def test_a_study_on_notices_is_judged_and_its_page_gives_micro_and_macro_f1(tmp_path):
    made = build(tmp_path, "exam.tasks=[notices_zh, notices_en]", "exam.weights={}")
    made.pledge()
    for name, fault in {"old": 0.5, "lora": 0.1, "prefix": 0.3, "newer": 0.4, "prompted": 0.4}.items():
        if made.recipe.contenders[name].tuned:
            made.tune(name)
        made.sit(name, 1.0, change=partial(answered, random.Random(name), fault))
    verdict = judge(made.recipe, made.run)
    lead = next(one for one in verdict.comparisons if (one.role, one.challenger) == ("delta", "lora"))
    assert [(row.task, row.metric) for row in lead.corpus] == [
        (f"notices_{lang}", f"slot_{kind}_f1") for lang in ("en", "zh") for kind in ("macro", "micro")
    ]  # fmt: skip
    assert all(row.low > 0 and row.clusters == 40 for row in lead.corpus)
    assert lead.gain > 0.1
    shown = render(verdict)
    assert "micro over all pairs" in shown
    assert "槽位宏平均" in shown
    assert "do not differ" not in shown
    alike = tuple(row.model_copy(update={"gain": 0.0, "low": 0.0, "high": 0.0}) for row in lead.corpus)
    told = [one.model_copy(update={"corpus": alike}) if one == lead else one for one in verdict.comparisons]
    assert render(verdict.model_copy(update={"comparisons": tuple(told)})).count("do not differ") == len(alike)
