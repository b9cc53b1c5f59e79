"""A study whose truth is known: six contenders, five tasks in two languages, effects planted, everything seeded.

    python -m tests.planted_study FOLDER --items 6000 --samples 8 --seed 17 --seeds 1

writes FOLDER/study.yaml with its cards and tasks (models have sizes, no weights), and under FOLDER/runs what tuning,
scoring, the probe and the judge of free answers would have left, through the classes that those rooms write.
`tuneworth judge`, `report`, `verify` and `leaderboard` then run on it as on any other study. No model answers: which
answer is right is drawn (`planted_answers`), its words are graded by the project's own extractor.
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from typer.testing import CliRunner

from eval import items, pledge
from eval.cli import app
from eval.foretold import foretold
from eval.items import ItemScore
from eval.opinion import Choice, Opinion, settled, shown_as
from eval.opinion.asking import identity
from eval.opinion.pairs import Pair, scorers
from eval.repeatability import Batching, Floor, Repeatability, apart, changes
from eval.score.candidate import Candidate
from finetune.files import digest_of
from finetune.recipe import Recipe
from tests import planted_exam
from tests.planted_answers import Contender, shift
from tests.written_exam import Run

SEED = 17  # of tuning, the first of them; the study's own is the knob
SECRETS, LABELLED, PROBED = 40, 130, 60  # planted secrets, labels of people, questions of the probe
TRAINED = {"lora": 7200.0, "lora_0.3": 2400.0, "prefix": 9000.0}  # device-seconds
ROWS = {"lora": 4000, "lora_0.3": 1200, "prefix": 4000}
DECODING = {"temperature": 0.6, "top_p": 0.95, "max_new_tokens": 2048}
MODELS = {  # of nobody: pinned by a revision, their sizes those of the trade
    "old": {"id": "example/older-distill-7b", "revision": "0" * 39 + "1", "family": "r1_distill_qwen", "think": "keep",
            "decoding": DECODING, "licence": "MIT; base Apache-2.0 (Qwen2.5)", "released": "2025-01-20",
            "cutoff": {"date": "2024-07", "source": "made up"},
            "shape": {"hidden": 3584, "layers": 28, "heads": 28, "kv_heads": 4, "head_dim": 128, "intermediate": 18944,
                      "vocab": 152064, "qkv_bias": True}},
    "newer": {"id": "example/newer-8b", "revision": "0" * 39 + "2", "family": "qwen3", "think": "keep",
              "decoding": DECODING, "licence": "Apache-2.0", "released": "2025-04-29",
              "shape": {"hidden": 4096, "layers": 36, "heads": 32, "kv_heads": 8, "head_dim": 128,
                        "intermediate": 12288, "vocab": 151936, "qk_norm": True}},
}  # fmt: skip
COSTS = {
    "currency": "CNY", "gpu_hour": 18, "value_per_correct": 0.4, "loss_per_wrong": 0.05, "queries": 10_000_000,
    "retunes": 2, "data": 5_000, "people": 10_000, "failed": 0.2, "uncertainty": 0.1,
}  # fmt: skip
JUDGE = {
    "tasks": ["notes_en"], "revision": "made up", "family": "glm", "labels": "./labels.jsonl",
    "engine": {"kind": "openai", "url": "http://127.0.0.1:9/v1", "model": "judge-of-notes"},
}  # fmt: skip


def write(
    folder: Path,
    count: int = 6000,
    samples: int = 8,
    seed: int = 17,
    seeds: int = 1,
    seen: dict[str, float] | None = None,
    **keys: Any,
) -> Run:
    """The whole study; `keys` are put over the recipe's. The same arguments give the same answers.

    `seeds` are those of tuning, which differ by SPREAD where there are several; `seen` plants by contender how much
    likelier it is right on documents that its model can have seen.
    """
    tasks = planted_exam.write(folder / "exam", count)
    _tuning(folder / "tuning")
    (folder / "labels.jsonl").touch()
    recipe = _recipe(tasks, samples) | keys
    recipe["train"] = recipe["train"] | {"seeds": list(range(SEED, SEED + seeds))}
    (folder / "study.yaml").write_text(yaml.safe_dump(recipe, allow_unicode=True, sort_keys=False), "utf-8")
    run = Run(folder, Recipe.read(folder / "study.yaml"))
    pledge.keep(run.recipe, run.run, run.benchmark, lambda: foretold(run.recipe, run.benchmark, run.run.folder.parent))
    notes = {name: _sit(run, name, seed, (seen or {}).get(name, 0.0)) for name in run.recipe.contenders}
    _opinions(run, notes, seed)
    return run


def _recipe(tasks: list[str], samples: int) -> dict[str, Any]:
    old, newer = MODELS["old"], MODELS["newer"]
    role = {"lang": "zh", "role": "合规与投研分析师", "instruction": "先想清楚，再按要求的形式作答。"}
    return {
        "question": "Is a LoRA on the older distilled 7B worth more than the newer 8B base, untuned?",
        "question_zh": "在较旧的 7B 蒸馏模型上做 LoRA，比直接用较新的 8B 底座更值得吗？",
        "note": "A synthetic study: no model answered. Effects are planted, to see whether the judge finds them.",
        "note_zh": "合成研究：没有模型作答，效应为人为设定，用于检验裁判能否找到。",
        "data": ["tuning/tuning.md"],
        "contenders": {
            "old": {"model": old},
            "lora": {"model": old, "method": {"kind": "lora", "rank": 16}, "data_share": [0.3, 1]},
            "prefix": {"model": old, "method": {"kind": "ptuning_v2", "virtual_tokens": 32}},
            "newer": {"model": newer},
            "prompted": {"model": newer, "prompt": role},
            "informed": {"model": newer, "prompt": role | {"known": "内部规定摘要：大额异常交易按条款期限上报。"}},
        },
        "train": {"canaries": SECRETS},
        "exam": {"tasks": tasks, "samples": samples, "twins": ["options", "evidence"], "judge": JUDGE},
        "rule": {
            "challengers": ["lora", "prefix"], "incumbent": "newer", "alternatives": ["prompted", "informed"],
            "base": "old", "guards": {"tasks": tasks[-1:], "language": tasks[2:3]},
        },
        "costs": COSTS,
    }  # fmt: skip


def _tuning(folder: Path) -> None:
    folder.mkdir(exist_ok=True)
    rows = [{"question": f"第 {at} 条内部规定说什么？", "answer": f"第 {at} 条"} for at in range(50)]
    (folder / "tuning.jsonl").write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), "utf-8")
    front = {
        "name": "tuning", "title": "House rules, made up", "languages": ["zh"], "published": False, "shape": "qa",
        "licence": {"name": "Apache-2.0", "commercial": True}, "format": "jsonl", "splits": {"train": ["tuning.jsonl"]},
    }  # fmt: skip
    (folder / "tuning.md").write_text(f"---\n{yaml.safe_dump(front)}---\nMade up.\n", "utf-8")


def contender(run: Run, name: str, seed: int, place: int = 0) -> Contender:
    """Who answers under the fingerprint that the recipe asks for, after its training seed at this `place`: where there
    are several, each has draws of its own and adds its planted part."""
    seeds, samples = run.recipe.seeds(name), run.recipe.exam.samples
    each = seeds[place]
    scorer = run.recipe.score_fingerprint(name, each, run.benchmark.digests)
    who = Contender(Candidate(name, each, scorer, template=_template(run, name)), seed, samples)
    if len(seeds) == 1:
        return who
    return replace(who, luck=f"training {each}" if place else "", shift=shift(seed, name, each))


def _template(run: Run, name: str) -> str:
    model = run.recipe.contenders[name].model
    return digest_of(["template", model.family, model.think])


def _sit(run: Run, name: str, seed: int, seen: float) -> dict[str, ItemScore]:
    """One contender's whole run: each training seed where it is tuned, its answers; a probe of the first. The first
    answer of that one to each free question."""
    who = [replace(contender(run, name, seed, at), seen=seen) for at in range(len(run.recipe.seeds(name)))]
    told = [_sit_seed(run, name, seed, each, place) for place, each in enumerate(who)]
    _probe(run, name, who[0])
    return told[0]


def _sit_seed(run: Run, name: str, seed: int, who: Contender, place: int) -> dict[str, ItemScore]:
    chosen = run.recipe.contenders[name]
    each = who.candidate.seed
    tuned = digest_of(["adapter", name, *([each] if place else [])]) if chosen.tuned else None
    if tuned:
        drawn = np.random.default_rng([seed, len(name), *([place] if place else [])]).normal(0, 0.02, 40)
        losses = tuple((10 * at, round(0.6 + 1.6 * 0.9**at + noise, 4)) for at, noise in enumerate(drawn.tolist()))
        facts = {
            "losses": losses,
            "rows": ROWS[name],
            "steps": 400,
            "adapter_digest": tuned,
            "peak_memory_bytes": 38e9,
            "predicted_peak_bytes": 35e9,
        }
        run.tune(name, each, TRAINED[name], **facts, merge_difference=2e-6 if chosen.method.kind == "lora" else None)
    rows = [row for task in run.benchmark.asked for row in who.rows(task)]
    prompt = digest_of(chosen.prompt.model_dump(mode="json")) if chosen.prompt else None
    run.hand_in(
        name, each, rows, chat_digest=who.candidate.template, adapter_digest=tuned, dtype="bfloat16",
        frame_digest=prompt, decoding=DECODING, batch_tokens=32768, engine="transformers",
        generated_tokens=sum(row.tokens_out or 0 for row in rows),
    )  # fmt: skip
    return {row.id: row for row in rows if row.task == "notes_en" and row.sample == 0}


def _probe(run: Run, name: str, who: Contender) -> None:
    """What `score --probe` finds of a steady contender: other draws of the same chances, alone as in batches."""
    parts = [replace(task, rows=task.rows[:PROBED]) for task in run.benchmark.tasks]
    once, again = ([row for part in parts for row in replace(who, luck=luck).rows(part)] for luck in ("once", "again"))
    weights = {task.name: task.weight for task in parts}
    Repeatability(
        contender=name, seed=who.candidate.seed, fingerprint=who.candidate.scorer, at=time.time(),
        kind=("transformers", "bfloat16"), questions=sum(len(part.rows) for part in parts), answers=len(once),
        batch_tokens=32768, floor=Floor(apart=apart(once, again, weights), changes=changes(once, again)),
        batching=Batching(together=len(once), changes=changes(once, once)), parity=None,
    ).write(run.run.repeatability(name))  # fmt: skip


def _opinions(run: Run, notes: dict[str, dict[str, ItemScore]], seed: int) -> None:
    """A judge that prefers the right answer 9 times of 10, and people who do 19 of 20 times, on the free answers."""
    recipe, rival = run.recipe, run.recipe.rule.incumbent
    labels: dict[str, dict[str, str]] = {}  # by pair: two challengers may have given the same answer
    judge = recipe.exam.judge
    assert judge is not None, "the recipe names one"
    task = next(task for task in run.benchmark.tasks if task.name in judge.tasks)
    for name in recipe.rule.challengers:
        draw, mark, of = np.random.default_rng([seed, len(name)]), identity(judge), scorers(recipe, run.benchmark, name)
        found = []
        for row, (sure, seen, order) in zip(task.rows, draw.random((len(task.rows), 3)).tolist(), strict=True):
            sides = [notes[each][row.id] for each in (name, rival)]
            pair = Pair(task, row, (_spoken(sides[0]), _spoken(sides[1])))
            gap = sides[0].score - sides[1].score
            found.append(_opinion(pair, (mark, of, name, rival), gap if sure < 0.9 else -gap, one_order=order < 0.05))
            if len(found) <= LABELLED:
                said = _label(pair, gap if seen < 0.95 else -gap)
                labels.setdefault(pair.digest, {"id": pair.id, "pair": pair.digest, "label": said})
        items.append(run.run.opinions(name), found)
    lines = (json.dumps(label) + "\n" for label in labels.values())
    (run.folder / "labels.jsonl").write_text("".join(lines), "utf-8")


def _spoken(row: ItemScore) -> str:
    return row.text.rpartition("</think>")[2].strip() if row.finish == "stop" else ""


def _label(pair: Pair, gap: float) -> Choice:
    return "tie" if not gap else "A" if (gap > 0) == shown_as(pair.digest) else "B"


def _opinion(pair: Pair, who: tuple[str, tuple[str, str], str, str], gap: float, *, one_order: bool) -> Opinion:
    """What was said with the challenger as A, then as B; `one_order`: A both times, so that it counts as a tie."""
    mark, of, name, rival = who
    first: Choice = "tie" if not gap else "A" if gap > 0 else "B"
    second: Choice = first if one_order or first == "tie" else "B" if first == "A" else "A"
    alike = pair.answers[0] == pair.answers[1]
    side, agreed = ("tie", True) if alike else settled(first, second)
    texts = ("", "") if alike else (f"Weighed.\nWinner: {first}", f"Weighed.\nWinner: {second}")
    return Opinion(
        judge=mark, scorers=of, challenger=name, rival=rival, task=pair.task.name, id=pair.row.id,
        cluster=pair.task.cluster(pair.row), pair=pair.digest, said=(None, None) if alike else (first, second),
        side=side, agreed=agreed, texts=texts, models=() if alike else ("judge-of-notes",),
        tokens_in=0 if alike else 600,
        tokens_out=0 if alike else 160, seconds=0 if alike else 2.0,
    )  # fmt: skip


def tuneworth(*words: object) -> Any:
    return CliRunner().invoke(app, [str(word) for word in words])


def through(run: Run, *commands: str) -> Run:
    """The study after these commands of the front door, each of which must end well."""
    for command in commands:
        done = tuneworth(command, run.folder / "study.yaml", "--out", run.folder / "runs")
        assert done.exit_code == 0, done.output
    return run


def main() -> None:
    told = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    told.add_argument("folder", type=Path)
    for name, default, said in (
        ("--items", 6000, "questions of the exam"), ("--samples", 8, "answers to each written one"), ("--seed", 17, ""),
        ("--seeds", 1, "trainings of each tuned contender"),
    ):  # fmt: skip
        told.add_argument(name, type=int, default=default, help=said)
    given = told.parse_args()
    run = write(given.folder.resolve(), given.items, given.samples, given.seed, given.seeds)
    print(f"recipe: {given.folder / 'study.yaml'}; run: {run.run.folder}")


if __name__ == "__main__":
    main()
