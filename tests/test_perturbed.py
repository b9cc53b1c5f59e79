"""Number twins that carry a NOT WORTH IT alone take the doubt off public questions (decision.md 5.8)."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest
import yaml
from written_exam import HEAD, Run, build, graded, row

from eval.verdict import Verdict, judge
from finetune.recipe import Recipe

PUBLIC = "The newer base may have seen these items: all of them are public."
KNOWN = {"old": 0.4, "lora": 0.5, "prefix": 0.42, "newer": 0.6, "prompted": 0.6}


def sums(folder: Path) -> Run:
    """Public sums with their programs, in place of the exam's other tasks."""
    build(folder)
    records = [
        {"id": f"s{n}", "text": f"sales {2000 + n} and then {3100 + 2 * n}", "question": "rise?", "doc": f"d{n // 2}",
         "answer": str(1100 + n), "program": f"subtract({3100 + 2 * n}, {2000 + n})"} for n in range(240)
    ]  # fmt: skip
    place = folder / "sums"
    place.mkdir()
    (place / "sums.jsonl").write_text("".join(json.dumps(each) + "\n" for each in records))
    columns = {"id": "id", "question": "question", "context": "text", "answer": "answer", "program": "program"}
    front = {
        "name": "sums", "title": "sums", "languages": ["en"], "published": True, "shape": "numeric", "format": "jsonl",
        "licence": {"name": "MIT", "commercial": True}, "columns": columns | {"cluster": "doc"},
        "splits": {"test": ["sums.jsonl"]},
    }  # fmt: skip
    (place / "sums.md").write_text(f"---\n{yaml.safe_dump(front)}---\n")
    text = f"{HEAD}task: sums\ndataset_kwargs: {{card: sums, split: test}}\noutput_type: generate_until\n"
    (place / "sums.yaml").write_text(f"{text}metadata: {{version: 1, headline: exact, answer: number}}\n")
    exam = json.dumps({"tasks": [str(place)], "twins": ["numbers"]})
    return Run(folder, Recipe.read(folder / "study.yaml", (f"exam={exam}",)))


def judged(folder: Path, twins: dict[str, float]) -> Verdict:
    """lora falls short on the items; `twins`: how often who is right where the figures are others."""
    run = sums(folder)
    run.pledge()
    for name in ("lora", "prefix"):
        run.tune(name)
    (turned,) = run.benchmark.twins
    for name, rate in KNOWN.items():
        for seed in run.recipe.seeds(name):
            rows = list(run._answers(name, seed, rate))
            for twin in turned.rows:
                right = random.Random(f"{name} {twin.id}").random() < twins.get(name, rate)
                rows.append(row(
                    turned.name, contender=name, seed=seed, scorer=rows[0].scorer, id=twin.id, hash=twin.digest,
                    content=f"content {twin.id}", cluster=turned.cluster(twin), lang="en", protocol="generated",
                    gold=twin.answer or "", **graded("correct" if right else "wrong"),
                ))  # fmt: skip
            run.hand_in(name, seed, rows)
    return judge(run.recipe, run.run)


def codes(found: Verdict) -> set[str]:
    return {note.code for note in found.notes}


def test_who_falls_short_on_other_figures_too_is_not_worth_it_without_the_doubt(tmp_path):
    found = judged(tmp_path, {})
    assert found.outcome == "not_worth_it"
    assert "perturbed" in codes(found)
    assert "public" not in codes(found)
    assert PUBLIC not in found.sentence
    (note,) = [each for each in found.notes if each.code == "perturbed"]
    assert note.text == "Not worth it on 240 questions with other figures, which no model can have seen, too."
    assert "240 道变体题" in note.text_zh
    assert found.sentence_zh.count("新底座可能见过") == 0


@pytest.mark.parametrize("twins", [{"newer": 0.2}, {"newer": 0.5}])
def test_a_rival_that_needs_the_old_figures_keeps_the_doubt(tmp_path, twins):
    """lora is better, or about as good, where the figures are others: what the rival won by may be memory."""
    found = judged(tmp_path, twins)
    assert found.outcome == "not_worth_it"
    assert PUBLIC in found.sentence
    assert "perturbed" not in codes(found)
