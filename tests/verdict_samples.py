"""Verdicts for the tests of the page: the demo's exam with made-up answers, weighed by the project's own judge."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from eval.benchmark import Benchmark
from eval.extract import LETTERS
from eval.items import ItemScore
from eval.pledge import Plan
from eval.sheet import Sheet
from eval.verdict import Verdict, weigh
from eval.verdict.evidence import Evidence
from finetune.card import Row
from finetune.recipe import Recipe
from finetune.run import AdapterProbe, GitState, Hardware, RunManifest, ScoreFacts, TrainFacts

DEMO = Path(__file__).parent.parent / "recipes" / "demo.yaml"
PLANNED = 1_760_000_000.0
SKILL = {  # contender -> chance of a right answer on label, knowledge, extraction
    "old": (0.45, 0.50, 0.30),
    "lora": (0.92, 0.66, 0.90),
    "prefix": (0.78, 0.50, 0.62),
    "newer": (0.66, 0.74, 0.62),
    "prompted": (0.68, 0.74, 0.64),
    "lora_0.1": (0.60, 0.56, 0.50),
    "lora_0.3": (0.76, 0.60, 0.74),
}
SECONDS = {"old": 0.021, "lora": 0.022, "prefix": 0.024, "newer": 0.034, "prompted": 0.041}
SHARES = "contenders.lora.data_share=[0.1, 0.3, 1]"


def sample(outcome: str) -> Verdict:
    """A verdict with this outcome."""
    skill = dict(SKILL)
    if outcome == "not_worth_it":
        skill |= {"lora": (0.60, 0.45, 0.45), "prefix": (0.50, 0.45, 0.40)}
    if outcome == "inconclusive":
        skill |= {"lora": (0.86, 0.60, 0.74), "prefix": (0.78, 0.56, 0.66)}
    if outcome == "invalid":
        skill["lora"] = (0.08, 0.05, 0.80)  # far under what blind guessing scores
    recipe = Recipe.read(DEMO, ("purpose=smoke",) if outcome == "plumbing" else ())
    early = outcome == "exploratory"  # scored before anything was promised
    return weigh(evidence(recipe, skill, first_score_at=PLANNED - 60 if early else PLANNED + 600))


def curved(broken: str = "") -> Verdict:
    """A verdict with a curve of three shares; `broken` was scored with another adapter than was trained."""
    found = evidence(Recipe.read(DEMO, (SHARES,)), SKILL, PLANNED + 600)
    if broken:
        found.trained[broken] = {17: _trained("another", 17, rows=60)}
    return weigh(found)


def evidence(recipe: Recipe, skill: dict[str, tuple[float, ...]], first_score_at: float) -> Evidence:
    benchmark = Benchmark.read(recipe)
    digest = "4f6b2c9d81aa" + "0" * 52
    scored, trained, sheets = {}, {}, {}
    for name, chosen in recipe.contenders.items():
        seeds = recipe.seeds(name)
        scored[name] = {seed: _scored(name, seed, bool(chosen.method), digest, first_score_at) for seed in seeds}
        if chosen.method:
            trained[name] = {seed: _trained(name, seed, rows=round(600 * chosen.data_share)) for seed in seeds}
        sheets[name] = Sheet.of(name, {seed: answers(benchmark, name, seed, skill[name]) for seed in seeds})
    attempts = {"plan": 1, "score": 5}
    return Evidence(recipe, benchmark, Plan(digest=digest, at=PLANNED), digest, sheets, scored, trained, attempts)


def answers(benchmark: Benchmark, name: str, seed: int, skill: tuple[float, ...]) -> list[ItemScore]:
    """Answers whose luck is partly the question's own, so that contenders agree more than by chance."""
    own = np.random.default_rng([seed, *name.encode()])
    rows = []
    for task, chance in zip(benchmark.tasks, skill, strict=True):
        hard = np.random.default_rng(len(task.name)).random(len(task.rows))
        for row, shared, luck in zip(task.rows, hard, own.random(len(task.rows)), strict=True):
            right = (shared if luck < 0.5 else own.random()) < chance
            blank = not right and task.protocol == "generated" and own.random() < 0.02
            outcome = "correct" if right else "unparsed" if blank else "wrong"
            rows.append(ItemScore(
                contender=name, seed=seed, scorer=name, task=task.name, id=row.id, hash=row.digest, content=row.digest,
                cluster=task.cluster(row), part=task.part(row), lang=row.lang, protocol=task.protocol, sample=0,
                question=row.question, options=row.options, gold=row.answer or "", text="A", finish="stop",
                extracted=_said(row, right, blank), rule="exact",
                outcome=outcome, score=float(right), tokens_in=40 if name != "prompted" else 160,
                tokens_thinking=0, tokens_out=6, seconds=SECONDS[name.split("_")[0]],
            ))  # fmt: skip
    return rows


def _said(row: Row, right: bool, blank: bool) -> str | None:
    """The right letter or the one after it; nothing where nothing could be read."""
    letters = LETTERS[: len(row.options)] or row.answer or ""
    return None if blank else row.answer if right else letters[(letters.find(row.answer or "") + 1) % len(letters)]


def _stage(name: str, seed: int, stage: str, seconds: float, **facts: Any) -> RunManifest:
    return RunManifest(
        stage=stage, contender=name, seed=seed, fingerprint=name, started_at=PLANNED, finished_at=PLANNED + seconds,
        device_seconds=seconds, versions={"python": "3.11.2", "torch": "2.13.0", "transformers": "5.23.0"},
        git=GitState(commit="5d1c0ffee5d1c0ffee5d1c0ffee5d1c0ffee5d1c", dirty=False),
        hardware=Hardware(device="cpu", devices=1, processes=1, host="Linux x86_64, 2 cores"), **facts,
    )  # fmt: skip


def _trained(name: str, seed: int, rows: int = 600) -> RunManifest:
    facts = TrainFacts(
        steps=2 * rows // 5, best_step=2 * rows // 5, stopped="done", loss_first=3.2, loss_last=0.4, losses=(),
        dev_losses=(), rows=rows, dev_rows=60, truncated_rows=0, target_tokens=2400,
        useful_tokens=40000, raw_tokens=41000,
        useful_tokens_per_second=900.0, raw_tokens_per_second=920.0, peak_memory_bytes=0, trainable_parameters=8192,
        parameters=1_100_000, adapter_digest=_digest(name), adapter_norm=4.2, end_token_trained=True,
        reload_difference=0.0, logit_shift=3.1, chat_digest="c" * 64, data={"demo_tuning": "official"},
    )  # fmt: skip
    return _stage(name, seed, "train", 41.0, training=facts)


def _scored(name: str, seed: int, tuned: bool, plan: str, at: float) -> RunManifest:
    probe = AdapterProbe(prompts=12, kl=0.83, kl_same=1e-9, norm=4.2) if tuned else None
    facts = ScoreFacts(
        plan_digest=plan, first_score_at=at, tasks=(), weights_digest=_digest("new" if name[0] in "np" else "old"),
        adapter_digest=_digest(name) if tuned else None, adapter_probe=probe, chat_digest="c" * 64, template={},
        frame_digest="f" * 64 if name == "prompted" else None, decoding={"temperature": 0.0, "max_new_tokens": 32},
        engine="transformers", dtype="float32", batch_tokens=8192, samples=1, extractor="1", items=1440,
        generated_tokens=2880,
    )  # fmt: skip
    return _stage(name, seed, "score", 30.0, scoring=facts)


def _digest(name: str) -> str:
    return (name.encode().hex() * 64)[:64]
