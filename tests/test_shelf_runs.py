"""The shelf under plain lm-eval: what its own command lists, it runs, on the real files, and grades by our code."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from small_exam import ROOT, environment

from eval.benchmark import SHELF, find_card

pytestmark = [pytest.mark.data, pytest.mark.slow]
FORMS = sorted(SHELF.glob("*/*.yaml"))


def read(path: Path) -> dict:
    return yaml.safe_load(path.read_text("utf-8").replace("!function ", ""))


def at_hand(form: dict) -> bool:
    return bool(find_card(form["dataset_kwargs"]["card"]).editions) or form["task"].startswith(("demo_", "notices_"))


def test_plain_lm_eval_runs_every_task(shared_data, tmp_path):
    """Two questions each, with lm-eval's `dummy` model; FinanceIQ and TAT-QA in test_unheld_sets.py, on made files."""
    forms = {form["task"]: form for form in map(read, FORMS) if at_hand(form)}
    assert len(FORMS) - len(forms) == 3, "FinanceIQ in two forms, and TAT-QA"
    words = [sys.executable, "-m", "lm_eval", "--model", "dummy", "--include_path", str(SHELF), "--limit", "2"]
    words += ["--tasks", ",".join(forms), "--output_path", str(tmp_path / "out")]
    with_data = environment() | {"TUNEWORTH_DATA": str(shared_data)}
    done = subprocess.run(words, capture_output=True, text=True, env=with_data, cwd=ROOT)
    assert done.returncode == 0, done.stderr[-3000:]
    (path,) = (tmp_path / "out").rglob("results_*.json")
    found = json.loads(path.read_text("utf-8"))
    assert found["results"].keys() == forms.keys()
    for name, form in forms.items():
        facts = form["metadata"]
        assert 0 <= found["results"][name][f"{facts['headline']},none"] <= 1
        assert found["versions"][name] == facts["version"]
        assert found["n-samples"][name]["effective"] == 2
    print(f"{len(forms)} tasks listed and run")
