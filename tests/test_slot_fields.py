"""Slots that a task declares: fields read by their kinds and names, weighed over all answers; what is refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml
from written_exam import row as item

from eval.benchmark import SHELF, document, find, read_task
from eval.extract import grade, process_results
from eval.extract.fields import Fields
from eval.labels import corpus_rows
from eval.sheet import Sheet
from finetune.mistakes import BadInput

INVOICES = Fields.of({
    "invoice": {"kind": "code", "names": ["发票"]}, "total": {"kind": "money", "names": ["合计", "Amount due"]},
    "rate": "percent", "due": {"kind": "date", "names": ["付款日"]}, "items": "number",
    "buyer": {"kind": "text", "names": ["买方"]},
})  # fmt: skip
BILL = {
    "invoice": "IN2601", "total": "1200000", "rate": "13%", "due": "2026-03-05", "items": "12", "buyer": "acme ltd",
}  # fmt: skip


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        (json.dumps([BILL]), 0),
        ("发票：IN2601\n合计：120万元\nrate: 0.13\n付款日：2026年3月5日\nitems: 12\n买方：ACME  Ltd.", 0),
        ("invoice: IN2601\nAmount due: CNY 1.2 million\nRate: 13%\nDue: 5 March 2026\nItems: few\nBuyer: Acme ltd", 1),
        ("| Invoice | Total | Rate | Due | Items | Buyer |\n|---|---|---|---|---|---|\n"
         "| IN2601 | 1,200,000 | 13% | 2026/3/5 | 12 | ACME LTD |", 0),
        (json.dumps({"IN2601": {"total": 1.2e6, "rate": 13, "due": "20260306", "items": 11, "buyer": "ACME Ltd"}}), 2),
    ],
)  # fmt: skip
def test_fields_that_a_task_declares_are_read_by_their_kinds_and_names(text, wrong):
    found = grade("slots", text, json.dumps([BILL]), fields=INVOICES)
    assert found.score == pytest.approx((6 - wrong) / 6), found.extracted


def test_without_a_field_that_tells_records_apart_an_answer_is_one_record():
    fields = Fields.of({"amount": "money", "purpose": "text"})
    gold = json.dumps({"amount": "50万元", "purpose": "Working capital"})
    for said in ('{"amount": 500000, "purpose": "working  capital"}', "Amount: 500,000\nPurpose: working capital"):
        assert grade("slots", said, gold, fields=fields).outcome == "correct"
    assert grade("slots", "amount: 50", gold, fields=fields).score == 0
    assert grade("slots", gold, gold, reading="strict", fields=fields).outcome == "correct"


def test_names_of_digits_brackets_and_strokes_are_read_in_lines():
    fields = Fields.of({
        "q3_revenue": "money", "due": "date", "pe": {"kind": "number", "names": ["P/E ratio"]},
        "total": {"kind": "money", "names": ["合计（元）", "Total amount including value-added tax"]},
    })  # fmt: skip
    gold = json.dumps({"q3_revenue": "5亿元", "due": "2026-01-02", "pe": "12", "total": "50"})
    for total in ("合计（元）：50", "total amount including value-added tax: 50"):
        said = f"Q3 revenue: 5亿元\ndue: 2026-01-02\n- P/E Ratio: 12\n{total}"
        assert grade("slots", said, gold, fields=fields).outcome == "correct"


def test_records_are_told_apart_by_name():
    fields = Fields.of({"company": "name", "stake": "percent"})
    gold = json.dumps([{"company": "Acme Ltd", "stake": "5%"}, {"company": "贝塔公司", "stake": None}])
    said = "company: 贝塔公司\nstake: not stated\n\ncompany: ACME  Ltd\nstake: 0.05"
    assert grade("slots", said, gold, fields=fields).outcome == "correct"
    assert grade("slots", said.replace("ACME", "Apex"), gold, fields=fields).score == pytest.approx(2 / 6)


@pytest.mark.parametrize(
    ("declared", "told"),
    [
        ({"total": "euros"}, r"metadata\.fields\.total 'euros'; known kinds are code, name, number, money, percent"),
        ({"total": "money", "sum": {"kind": "money", "names": ["Total"]}}, "is a name of (total|sum) too; drop one"),
        ({"a": "code", "b": "name"}, "one field alone may be of kind code or name"),
        ([], "a mapping is needed"),
        ({"a": {"kind": "money", "nmaes": ["x"]}}, r"fields\.a: nmaes unknown; there are kind and names"),
        ({"": "date"}, "'' is an empty name"),
        ({"a": {"kind": "date", "names": ["**"]}}, "is an empty name"),
    ],
)
def test_declared_fields_that_cannot_be_are_refused_by_file(tmp_path, declared, told):
    with pytest.raises(BadInput, match=told):
        read_task(*find(str(own_task(tmp_path, "AB2607", declared))))


def test_a_task_of_declared_fields_is_read_graded_by_lm_eval_and_weighed_over_all_answers(tmp_path):
    declared = {"invoice": "code", "total": {"kind": "money", "names": ["合计"]}}
    gold = '[{"invoice": "IN2601", "total": "12"}]'
    task = read_task(*find(str(own_task(tmp_path, gold, declared))))
    assert list(task.fields.kinds) == ["invoice", "total"]
    said = "invoice: IN2601\n合计：12元"
    doc = document(task.rows[0], {"answer": "slots", "headline": "f1", "fields": declared})
    assert process_results(doc, [said]) == {"f1": 1.0}
    found = grade("slots", said, gold, fields=task.fields)
    right, none = (
        Sheet.of("x", {0: [
            item("mine", place, cluster=f"{place}", gold=gold, extracted=read, outcome="wrong", score=0.0, options=())
            for place in range(2)
        ]})
        for read in (found.extracted, "[]")
    )  # fmt: skip
    macro, micro = corpus_rows(right, none, 0.95, {"mine": task.fields})
    assert (macro.labels, macro.challenger, macro.incumbent) == (2, 1.0, 0.0)
    assert (micro.challenger, micro.incumbent) == (1.0, 0.0)
    assert corpus_rows(right, none, 0.95) == ()  # a notice has other fields


@pytest.mark.parametrize(
    "gold", ["x", "AB2607", "{}", '[{"contract": "AB2607"}]', '[{"合约": "AB2607", "手续费": "3元/手"}]']
)
def test_a_gold_that_is_no_records_is_told_before_the_exam(tmp_path, gold):
    with pytest.raises(BadInput, match=r"n1: the answer is no records; write a JSON array .* price_limit"):
        read_task(*find(str(own_task(tmp_path, gold))))


def own_task(tmp_path: Path, gold: str, fields: object = None) -> Path:
    """A folder with a task of one notice, and its card; `fields` in place of those of a notice."""
    raw = yaml.safe_load((SHELF / "notices_zh" / "notices_zh.yaml").read_text("utf-8").replace("!function ", ""))
    asked = {"id": "n1", "notice": "?", "answer": gold, "cluster": "a"}
    (tmp_path / "mine.jsonl").write_text(json.dumps(asked) + "\n", "utf-8")
    (tmp_path / "mine.md").write_text(
        "---\nname: mine\ntitle: Mine\nlicence: {name: private, commercial: true}\nlanguages: [zh]\npublished: false\n"
        "shape: qa\nformat: jsonl\ncolumns: {id: id, question: notice, answer: answer, cluster: cluster}\n"
        "splits: {test: [mine.jsonl]}\n---\n", "utf-8",
    )  # fmt: skip
    raw["dataset_kwargs"]["card"] = "mine"
    if fields is not None:
        raw["metadata"]["fields"] = fields
    (tmp_path / f"{tmp_path.name}.yaml").write_text(yaml.safe_dump(raw), "utf-8")
    return tmp_path
