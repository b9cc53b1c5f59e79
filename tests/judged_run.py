"""A finished run and its verdict, for tests of the judge: clear rates, prices, what makes it invalid, servers."""

from __future__ import annotations

import json
from pathlib import Path

from typer.testing import CliRunner
from written_exam import Run, build, graded

from eval.cli import app
from eval.verdict import Verdict, judge
from finetune.run import ServedFacts

CLEAR = {"old": 0.4, "lora": 0.75, "prefix": 0.42, "newer": 0.55, "prompted": 0.6}
PRICES = ("costs.gpu_hour=18", "costs.value_per_correct=1", "costs.queries=1000000")


def finished(folder, *changes: str, rates: dict | None = None, plan: bool = True, tune=(), sit=None) -> Run:
    """A run with every stage done; `sit` holds keyword arguments by contender."""
    run = build(folder, *changes)
    if plan:
        run.pledge()
    for name in ("lora", "prefix"):
        for seed in run.recipe.train.seeds:
            run.tune(name, seed, **dict(tune))
    for name, rate in (CLEAR | (rates or {})).items():
        run.sit(name, rate, **((sit or {}).get(name, {})))
    return run


def judged(*args, **terms) -> Verdict:
    run = finished(*args, **terms)
    return judge(run.recipe, run.run)


def at_the_door(folder: Path, *more: object, changes: tuple[str, ...] = ()):
    """`tuneworth judge` on the run of `finished(folder, *changes)`."""
    changed = [word for change in changes for word in ("--set", change)]
    words = ["judge", folder / "study.yaml", "--out", folder / "runs", *changed, *more]
    return CliRunner().invoke(app, [str(word) for word in words])


def kept(folder: Path) -> Path:
    """What the run of `finished(folder)` keeps."""
    return folder / "runs" / "study"


def drifts(said: str) -> list[str]:
    """What `judge --baseline` printed of drift, line by line."""
    return [line.removeprefix("drift 变动: ") for line in said.splitlines() if line.startswith("drift 变动: ")]


def gate(verdict: Verdict, name: str):
    return next(gate for gate in verdict.gates if gate.name == name)


def codes(verdict: Verdict) -> set[str]:
    return {reason.code for ruling in verdict.rulings for reason in ruling.reasons}


def served(name: str = "newer", **keys) -> tuple[str, ...]:
    """Changes that put a contender behind a server."""
    engine = {"kind": "openai", "url": "http://127.0.0.1:9/v1", "model": "m"} | keys
    return (f"contenders.{name}.engine={json.dumps(engine)}", f"contenders.{name}.model.think=drop")


def told(form: str = "messages", **facts) -> ServedFacts:
    said = {"host": "127.0.0.1:9", "model": "m", "api": "chat", "form": form, "sampling": "asked", "said_models": ()}
    known = {"fingerprints": (), "seeds_repeat": True, "retried": 0, "tokens_in": 4000}
    return ServedFacts(**(said | known | facts))


INVALID = {
    "same questions": {"newer": {"change": lambda r: r.model_copy(update={"hash": "edited"})}},
    "prompt content": {"newer": {"change": lambda r: r.model_copy(update={"content": "else"})}},
    "adapter applied": {"lora": {"adapter_digest": "another"}},
    "below chance": {"newer": {"change": lambda r: r.model_copy(update=graded("wrong")) if r.task == "letters" else r}},
    "unparsed": {"newer": {"change": lambda r: r.model_copy(update=graded("unparsed")) if r.score == 0 else r}},
    "truncated": {
        "newer": {"change": lambda r: r.model_copy(update=graded("unclosed_thinking")) if r.score == 0 else r}
    },
}
