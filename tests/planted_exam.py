"""The exam of the planted study: five tasks in two languages on cards of their own, and what can be said to a question.

Everything is made up by rule. Questions of one document stand and fall together; two tasks share their documents.
"""

from __future__ import annotations

import json
import random
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from eval.benchmark import LETTERS, Task
from eval.grading import graded
from eval.task import CANARIES
from finetune.card import Row

HOUSES = ["鼎泰", "海辰", "岭铭", "云岫", "澄江", "Northwind", "Fabrikam", "Contoso", "Tailspin", "Litware"]
TASKS = ("rules_zh", "fields_zh", "ratios_en", "notes_en", "general_en")  # as many questions each
DOCUMENT = {"rules_zh": 4, "fields_zh": 4, "ratios_en": 3, "notes_en": 2, "general_en": 1}  # questions of one
LANG = {"rules_zh": "zh", "fields_zh": "zh", "ratios_en": "en", "notes_en": "en", "general_en": "en"}
HEAD = """task: {name}
custom_dataset: !function eval.benchmark.load
dataset_kwargs: {{card: {name}, split: test}}
test_split: test
"""
WRITTEN = """output_type: generate_until
doc_to_text: "{{ask}}"
doc_to_target: "{{answer}}"
target_delimiter: ""
generation_kwargs: {until: [], max_gen_toks: 2048, do_sample: true}
process_results: !function eval.extract.process_results
metric_list:
  - {metric: exact, aggregation: mean, higher_is_better: true}
"""
CHOSEN = """output_type: multiple_choice
doc_to_text: "{{question}}"
doc_to_choice: "{{options}}"
doc_to_target: gold
metric_list:
  - {metric: acc, aggregation: mean, higher_is_better: true}
"""
FACTS = {
    "rules_zh": "headline: exact, answer: letter, scenario: compliance, traits: [specific]",
    "fields_zh": "headline: exact, answer: number, scenario: extraction, traits: [precise]",
    "ratios_en": "headline: exact, answer: number, scenario: calculation, traits: [professional]",
    "notes_en": "headline: exact, answer: keypoints, scenario: research, traits: [novel]",
    "general_en": "headline: acc, answer: option, scenario: general",
}
PUBLIC = ("2022", "2023", "2024", "2025", "2026-02", "2026-03-09", "2026-04", "2026年5月")  # of documents, in turn
UNDATED = "general_en"
SHAPE = {"rules_zh": "choice", "fields_zh": "numeric", "ratios_en": "numeric", "notes_en": "qa", "general_en": "choice"}


def write(folder: Path, items: int) -> list[str]:
    """Cards, questions and tasks under `folder`, `items` questions in all; the tasks' folders."""
    for name in TASKS:
        _task(folder / name, name, [_question(name, number) for number in range(items // len(TASKS))])
    return [str(folder / name) for name in TASKS]


def _question(name: str, number: int) -> dict[str, Any]:
    """One record of a card; the same whatever the size of the exam."""
    draw, document = random.Random(f"{name} {number}"), number // DOCUMENT[name]
    made = {"rules_zh": _rule, "fields_zh": _field, "ratios_en": _ratio, "notes_en": _note, "general_en": _general}
    house = HOUSES[document % len(HOUSES)]
    told = {"id": f"{name}-{number}", "doc": f"d{document}", "house": house} | made[name](
        draw, number, f"{house} {document}"
    )
    return told if name == UNDATED else told | {"public": PUBLIC[document % len(PUBLIC)]}


def _rule(draw: random.Random, number: int, house: str) -> dict[str, Any]:
    days = draw.sample(range(2, 60), 4)
    question = f"{house} 内部规定第 {number} 条：大额异常交易应在几个工作日内上报？"
    options = [f"{each} 个工作日" for each in days]
    return {"question": question, "options": options, "answer": LETTERS[draw.randrange(4)]}


def _field(draw: random.Random, number: int, house: str) -> dict[str, Any]:
    old, new, fee = (draw.randint(101, 989) / 10 for _ in range(3))
    context = (
        f"{house} 公告：保证金比例由 {old}% 调整为 {new}%，手续费为每手 {fee} 元，自次日起执行（第 {number} 号）。"
    )
    return {"context": context, "question": "调整后的保证金比例是多少（%）？", "answer": f"{new}%"}


def _ratio(draw: random.Random, number: int, house: str) -> dict[str, Any]:
    before, after = draw.randint(200, 900), draw.randint(901, 4000)
    question = (
        f"{house} (filing {number}) booked revenue of {before} million in the first year and {after} million in "
        f"the second. By how many million did it grow?"
    )
    return {"question": question, "answer": str(after - before), "program": f"subtract({after}, {before})"}


def _note(draw: random.Random, number: int, house: str) -> dict[str, Any]:
    share, cost = draw.randint(11, 89), draw.randint(11, 89)
    rubric = {"say": [f"market share rose to {share} percent", f"unit cost fell by {cost} percent"]}
    question = f"Research note {number} on {house}: name the two figures that carry its recommendation."
    return {"question": question, "answer": json.dumps(rubric)}


def _general(draw: random.Random, number: int, house: str) -> dict[str, Any]:
    first, second = draw.randint(12, 99), draw.randint(12, 99)
    options = [str(first + second + step) for step in (0, 1, 10, 11)]
    draw.shuffle(options)
    answer = LETTERS[options.index(str(first + second))]
    question = f"General knowledge {number}: what is {first} plus {second}?"
    return {"question": question, "options": options, "answer": answer}


def _task(folder: Path, name: str, records: list[dict[str, Any]]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    lines = (json.dumps(record, ensure_ascii=False) + "\n" for record in records)
    (folder / f"{name}.jsonl").write_text("".join(lines), "utf-8")
    kept = [key for key in ("question", "options", "answer", "context", "program") if key in records[0]]
    front = {
        "name": name, "title": f"Planted questions, {name}", "languages": [LANG[name]], "published": False,
        "licence": {"name": "Apache-2.0", "commercial": True}, "shape": SHAPE[name], "format": "jsonl",
        "columns": {"id": "id", "cluster": "doc", "subject": "house"} | {key: key for key in kept},
        "splits": {"test": [f"{name}.jsonl"]},
        "documents": "house" if LANG[name] == "zh" else name,
    } | ({} if name == UNDATED else {"dates": {"column": "public"}})  # fmt: skip
    (folder / f"{name}.md").write_text(f"---\n{yaml.safe_dump(front)}---\nMade up.\n", "utf-8")
    form = CHOSEN if name == "general_en" else WRITTEN
    text = f"{HEAD.format(name=name)}{form}metadata: {{version: 1, {FACTS[name]}}}\n"
    (folder / f"{name}.yaml").write_text(text, "utf-8")


@dataclass(frozen=True)
class Said:
    """What can be said to one question: an answer of each kind, as the project's own extractor grades it."""

    task: Task
    row: Row

    def kind(self, kind: str) -> dict[str, Any]:
        """Text of an answer of this kind, how it ended, and its grading."""
        zh, keyed = self.row.lang == "zh", self.task.answer == "keypoints"  # what says nothing makes no point: wrong
        finish = "length" if kind in ("truncated", "unclosed_thinking") else "stop"
        text = {
            "correct": self._right, "wrong": lambda: self._other(0), "wrong2": lambda: self._other(1),
            "unparsed": lambda: "" if keyed else "还需要更多考虑。" if zh else "This needs more thought.",
            "refused": lambda: "抱歉，我无法回答这个问题。" if zh else "I'm sorry, I cannot answer this question.",
            "truncated": lambda: f"{self._right()} " * 3, "unclosed_thinking": str,
            "declined": lambda: "所给材料不足，无法确定。" if zh else "The document does not provide this information.",
        }[kind]()  # fmt: skip
        closed = kind != "unclosed_thinking"
        return {"text": text, "finish": finish} | graded(self.task, self.row, text, closed=closed, finish=finish)

    def _right(self) -> str:
        gold = self.row.answer or ""
        if self.task.name == CANARIES:
            return gold
        if self.task.answer == "keypoints":
            return ". ".join(json.loads(gold)["say"]) + "."
        return f"答案：{gold}" if self.row.lang == "zh" else f"Answer: {gold}"

    def _other(self, which: int) -> str:
        """Wrong in one of two ways: another option; another figure of the text, or one that stands nowhere."""
        gold, draw = self.row.answer or "", random.Random(f"{self.row.id} {which}")
        if self.task.answer == "keypoints":
            return "The outlook is stable." if which else "Volumes were flat in the quarter."
        if self.row.options:
            said = draw.choice([letter for letter in LETTERS[: len(self.row.options)] if letter != gold])
        elif self.row.context and not which:
            said = self.row.context.partition("由 ")[2].partition(" ")[0]
        else:
            said = str(draw.randint(10_001, 99_999) / 10)
        return f"答案：{said}" if self.row.lang == "zh" else f"Answer: {said}"
