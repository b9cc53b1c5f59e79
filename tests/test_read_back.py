"""Every gold answer of the real sets, said in ten ways (letters in two more), is read back; the rates are printed."""

from __future__ import annotations

import gzip
import json
from collections import Counter
from collections.abc import Iterator, Sequence
from decimal import Decimal
from typing import Any

import pytest

from eval.benchmark import find, read_task
from eval.extract import grade, keypoints

pytestmark = pytest.mark.data
SAID = {  # ten ways; the first four are what a strict reading takes too
    "zh": ("{}", "答案：{}", "答案是{}。", "\\boxed{{{}}}", "**{}**",
           "经过分析，答案为{}。", "最终答案：{}\n", "【答案】{}\n【解析】略",
           "我先以为是别的，更正：答案是{}", "根据题意逐步分析。\n因此，正确答案是 {} 。"),
    "en": ("{}", "Answer: {}", "The answer is {}.", "\\boxed{{{}}}", "**{}**", "After some thought, the answer is {}.",
           "Final answer: {}\n", "The correct answer is {}\n\nExplanation: omitted.",
           "I first thought otherwise. Correction: the answer is {}",
           "Let us go step by step.\nTherefore, the answer is {} ."),
}  # fmt: skip
STRICT = 4
PLAINLY = {  # sentences that say a number and announce none
    "zh": ("变动为 {}", "该指标约 {}。", "结果：{}；上年为88888。", "{}\n\n数据来源：2014年年报第23页。"),
    "en": ("The change was {}", "It is approximately {}.", "Thus, the net change equals {}.", "- {}",
           "Result: {}; prior year: 88888.", "**{}**\n\nNote: figures in 2014 were restated."),
}  # fmt: skip
IN_WORDS = {  # a change and its direction
    "zh": (("下降了{}", "答案：减少{}。", "较上年下降约{}。"), ("上升了{}", "答案：增加{}。", "亏损减少{}。")),
    "en": (("It decreased by {}.", "The answer is a decrease of {}.", "This is a {} decline."),
           ("It increased by {}.", "The answer is an increase of {}.", "The net loss decreased by {}.")),
}  # fmt: skip
SETS = ("fineval", "fin_eva", "cflue", "finqa", "convfinqa", "financemath", "financial_phrasebank", "fomc_stance",
        "finre", "cfbenchmark", "financebench", "cmmlu", "mmlu", "agieval", "gsm8k", "cmrc2018")  # fmt: skip
Gold = tuple[str, str, tuple[str, ...], tuple[str, ...]]  # kind, gold, options, ways to write it


def items(folder: Any, name: str) -> list[dict[str, Any]]:
    path = folder / name / "items.jsonl"
    lines = (
        path.read_text("utf-8")
        if path.is_file()
        else gzip.decompress(path.with_suffix(".jsonl.gz").read_bytes()).decode()
    )
    return [json.loads(line) for line in lines.split("\n") if line]


def golds(rows: Sequence[dict[str, Any]]) -> Iterator[Gold]:
    labels = tuple(sorted({row["answer"] for row in rows if row["type"] == "label"}))
    for row in rows:
        answer, kind = str(row.get("answer") or ""), row["type"]
        options = tuple(row.get("options", {}).values())
        letters = "".join(answer.split())
        if not answer or kind in ("report", "rubric", "refusal"):
            continue
        if kind in ("single", "multiple", "judge") and set(letters) <= set("ABCDEFGHIJ"[: len(options)]):
            lang = row["lang"]
            yield (
                "letter",
                answer,
                options,
                (letters, letters, "、".join(letters) if lang == "zh" else " and ".join(letters)),
            )
        elif kind == "short" or answer in ("yes", "no"):
            yield "yes_no", answer, (), ({"是": "是的", "否": "不是"}.get(answer, answer), answer, answer.capitalize())
        elif kind == "numeric" or (row["set"] in ("fineval", "financebench") and is_number(answer)):
            yield "number", answer, (), tuple(written(answer))
        elif kind == "label":
            yield "label", answer, labels, (answer,)
        elif kind == "tags" or row["set"] == "cfbenchmark":
            yield "tags", answer, (), (answer,)
        elif row["set"] == "cmrc2018":
            yield "span", answer, (), (answer,)


def with_its_words(gold: str, options: Sequence[str]) -> Iterator[str]:
    """Letters with the texts of their options: in a box, and a line each behind an announcement."""
    said = [f"{letter}. {options['ABCDEFGHIJ'.index(letter)]}" for letter in "".join(gold.split())]
    if not any("\\boxed" in one for one in said):
        yield "\\boxed{\\text{" + "；".join(said) + "}}"
        yield "答案：\n- " + "\n- ".join(said)


def is_number(text: str) -> bool:
    return len(text) < 16 and sum(c.isdigit() for c in text) > 0 and "[" not in text


def written(answer: str) -> Iterator[str]:
    """A bare number also with thousands, in full width, and a fraction in percent."""
    yield answer
    try:
        value = Decimal(answer.replace(",", ""))
    except ArithmeticError:
        return
    yield f"{value:,f}"
    yield f"{value:f}".translate(str.maketrans("0123456789.-", "０１２３４５６７８９．－"))
    if abs(value) < 10 and value != value.to_integral_value():
        yield f"{(value * 100).normalize():f}%"


@pytest.mark.parametrize(("name", "least"), [("financebench_prose", 50), ("openfindata", 480)])
def test_every_gold_in_prose_earns_its_key_points(shared_data, monkeypatch, tmp_path, name, least):
    """The gold's own words, in the ten ways; of criteria all of them, one a line."""
    monkeypatch.setenv("TUNEWORTH_DATA", str(shared_data))
    monkeypatch.setenv("TUNEWORTH_CACHE", str(tmp_path))
    task = read_task(*find(name))
    words = {row.id: row.answer for row in task.card.rows(shared_data, task.split)}
    told: Counter[float] = Counter()
    for row in task.rows:
        points = keypoints.Rubric.read(row.answer or "")
        gold = "\n".join(point.says for point in points.say) if words[row.id] == row.answer else words[row.id]
        told.update(grade("keypoints", way.format(gold), row.answer or "").score for way in SAID[row.lang])
    print(f"{name}: {len(task.rows)} golds, {told}")
    assert len(task.rows) >= least
    assert told[1.0] >= 0.995 * told.total()


@pytest.mark.parametrize("name", ["finqa", "convfinqa", "financemath", "gsm8k", "fineval", "financebench"])
def test_every_number_is_read_out_of_plain_sentences(shared_data, name):
    """Also those below zero, whose sign stands behind a word."""
    rows = items(shared_data, name)
    told = {gold for kind, gold, *_ in golds(rows) if kind == "number"}
    numbers = [(gold, way) for gold in told for way in PLAINLY[rows[0]["lang"]]]
    missed = [way.format(gold) for gold, way in numbers if grade("number", way.format(gold), gold).outcome != "correct"]
    below = sum(gold.startswith("-") for gold in told)
    print(f"{name}: {len(told)} numbers, {below} below zero, {len(missed)} misread", *missed[:5], sep="\n  ")
    assert len(missed) <= 0.005 * len(numbers)


@pytest.mark.parametrize("name", ["finqa", "convfinqa", "financemath"])
def test_every_number_below_zero_may_be_told_as_a_fall_and_never_as_a_rise(shared_data, name):
    rows = items(shared_data, name)
    told = {gold for kind, gold, *_ in golds(rows) if kind == "number" and gold.startswith("-")}
    assert told
    for fallen, risen in (pair for ways in IN_WORDS.values() for pair in zip(*ways, strict=True)):
        for gold in told:
            assert grade("number", fallen.format(gold[1:]), gold).score == 1, (fallen, gold)
            assert grade("number", fallen.format(gold[1:]), gold[1:]).score == 1, (fallen, gold)
            assert grade("number", risen.format(gold[1:]), gold).score == 0 or not gold.strip("-0."), (risen, gold)


@pytest.mark.parametrize("name", SETS)
def test_every_gold_is_read_back(shared_data, name):
    rows = items(shared_data, name)
    lang, seen = rows[0]["lang"], Counter(golds(rows))
    told: Counter[str] = Counter()
    missed: list[tuple[str, str, str]] = []
    for (kind, gold, options, ways), times in seen.items():
        for place, way in enumerate(SAID[lang]):
            for reading in ("lenient", "strict")[: 1 + (place < STRICT and "\n" not in gold)]:
                text = way.format(ways[place % len(ways)])
                right = grade(kind, text, gold, options, reading).outcome == "correct"
                told[reading] += times * right
                told[f"{reading} all"] += times
                missed += [] if right or len(missed) > 4 else [(reading, text, gold)]
        for text in with_its_words(gold, options) if kind == "letter" else ():
            right = grade(kind, text, gold, options).outcome == "correct"
            told["words"] += times * right
            told["words all"] += times
            missed += [] if right or len(missed) > 4 else [("words", text, gold)]
    rates = {
        reading: told[reading] / told[f"{reading} all"]
        for reading in ("lenient", "strict", "words")
        if told[f"{reading} all"]
    }
    print(f"{name}: {sum(seen.values())} golds, {len(seen)} distinct, read back " + str(rates), *missed, sep="\n  ")
    assert sum(seen.values()) > 30
    assert min(rates.values()) >= 0.995
