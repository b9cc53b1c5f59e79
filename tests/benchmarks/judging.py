"""Judging at scale: 6 contenders x 20,000 questions x 8 samples, from item logs to the verdict, beside a budget.

The judge runs in a process of its own (`python -m tests.benchmarks.judging RECIPE`), first on logs alone, then on the
columns that it keeps beside them; `judge.flips` is what gathering the flips takes after it, out of the same evidence.
"""

import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from eval.flips.gather import gather
from eval.flips.texts import Texts
from eval.verdict import weigh
from eval.verdict.evidence import Evidence
from finetune.recipe import Recipe
from finetune.run import RunDir
from tests import written_exam

QUESTIONS, SAMPLES = 20_000, 8
BUDGET = 10.0  # seconds on two cores
CHANGES = (
    f"exam.samples={SAMPLES}", "rule.challengers=[lora, prefix]", "rule.alternatives=[prompted, cued]",
    "contenders.cued={model: {id: ./newer, family: qwen3, think: empty}, prompt: {role: a clerk}}",
)  # fmt: skip
RATES = {"old": 0.45, "lora": 0.7, "prefix": 0.6, "newer": 0.5, "prompted": 0.52, "cued": 0.51}


def at_scale(rounds: int) -> list[dict]:
    """Wall seconds from logs, from columns, of the flips, and GiB at the peak: medians over `rounds`."""
    with tempfile.TemporaryDirectory() as scratch:
        _sat(Path(scratch))
        logs, columns = [], []
        for _ in range(rounds):
            for kept in Path(scratch).rglob("items.parquet"):
                kept.unlink()
            logs.append(_judged(Path(scratch)))
            columns.append(_judged(Path(scratch)))
    rows = [
        ("judge.scale.logs", logs, "seconds"),
        ("judge.scale", columns, "seconds"),
        ("judge.flips", columns, "flips"),
    ]
    found = [_row(name, [one[part] for one in took], BUDGET, "seconds", rounds) for name, took, part in rows]
    return [*found, _row("judge.scale.memory", [one["peak"] for one in logs + columns], 4.0, "GiB", rounds)]


def _row(name: str, took: list[float], budget: float, unit: str, rounds: int) -> dict:
    ours = statistics.median(took)
    return {
        "id": name, "ours": round(ours, 2), "peer": budget, "ratio": round(budget / ours, 2),
        "unit": f"{unit} (budget over ours)", "beside": "the budget", "runs": rounds,
    }  # fmt: skip


def _sat(folder: Path) -> None:
    half = QUESTIONS // 2
    written_exam.TASKS = {"letters": ("zh", half, 5), "numbers": ("en", half, 5)}
    study = written_exam.build(folder, *CHANGES)
    study.pledge()
    for name, chosen in study.recipe.contenders.items():
        if chosen.method:
            study.tune(name)
        study.sit(name, RATES[name])


def _judged(folder: Path) -> dict[str, float]:
    words = [sys.executable, "-m", "tests.benchmarks.judging", str(folder)]
    told = subprocess.run(words, check=True, stdout=subprocess.PIPE, text=True).stdout
    return dict(json.loads(told))


def main(folder: Path) -> None:
    recipe = Recipe.read(folder / "study.yaml", CHANGES)
    began = time.perf_counter()
    run = RunDir(folder / "runs" / recipe.name)
    evidence = Evidence.read(recipe, run)
    verdict = weigh(evidence)
    judged = time.perf_counter()
    found = gather(evidence, verdict, run, "", Texts())
    flips, seconds = time.perf_counter() - judged, judged - began
    assert {each.n for each in verdict.comparisons} == {QUESTIONS}, "not every question was judged"
    assert all(each.gained and each.lost for each in found.contrasts), "contenders disagree nowhere"
    print(
        json.dumps(
            {"seconds": seconds, "flips": flips, "peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20}
        )
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]))
