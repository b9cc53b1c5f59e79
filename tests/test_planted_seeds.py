"""A study whose effects are known, tuned three times: what lies between its trainings is told, and found again.

One at size stands here too: its effects where they were planted and nowhere else, on a page that stays small.
"""

from __future__ import annotations

import json

import numpy as np
import pytest
from judged_run import gate

from eval.paired import Layout
from eval.report import render
from eval.verdict import Verdict
from tests import planted_study
from tests.planted_answers import SPREAD, means
from tests.planted_study import through, tuneworth

SAMPLES = 2


@pytest.fixture(scope="module")
def thrice(tmp_path_factory):
    """A study of three trainings each, judged."""
    return through(planted_study.write(tmp_path_factory.mktemp("thrice"), 100, 1, seeds=3), "judge")


def test_three_trainings_fill_the_share_that_lies_between_them(thrice):
    found = Verdict.read(thrice.run.verdict)
    assert (found.claim, found.delta.challenger) == ("recipe", found.challenger)
    lead = next(each for each in found.comparisons if each.role == "delta" and each.challenger == found.challenger)
    assert (lead.seeds, len(lead.seed_gains)) == (3, 3)
    assert 0 <= lead.spread.seed_share < 1
    page = render(found)
    assert "of the variance lies between the 3 seeds" in page
    assert "3 个种子之间占方差的" in page


def test_the_spread_that_was_planted_between_trainings_is_found(thrice):
    """Over 150 studies of 100 questions the mean variance between three trainings is the planted one."""
    parts, runs, found = thrice.benchmark.tasks, 150, []
    rows = [(part.name, part.cluster(row)) for part in parts for row in part.rows]
    layout = Layout.of([cluster for _, cluster in rows], [task for task, _ in rows])
    for seed in range(runs):
        rival = means(parts, planted_study.contender(thrice, "newer", seed), SAMPLES)
        ours = [means(parts, planted_study.contender(thrice, "lora", seed, at), SAMPLES) for at in range(3)]
        found.append(layout.estimate(np.array(ours) - rival, draws=99).seed_variance)
    error = float(np.std(found, ddof=1)) / runs**0.5
    assert np.mean(found) == pytest.approx(SPREAD**2, abs=4 * error)
    assert error < SPREAD**2 / 4


@pytest.mark.slow
def test_at_size_the_planted_map_is_found(tmp_path):
    """3,000 questions, 4 samples: not worth it, except where it was planted; the page stays small."""
    made = through(planted_study.write(tmp_path, 3000, 4), "judge", "report")
    found = Verdict.read(made.run.verdict)
    assert found.outcome == "not_worth_it"
    assert [name.partition(" ·")[0] for name in found.atlas.exceptions] == ["compliance Q&A", "extraction"]
    assert found.curves[0].step.trend == "rising"
    assert next(row.status for row in found.guards if (row.challenger, row.kind) == ("lora", "forgetting")) != "passed"
    assert gate(found, "items known by heart").status != "passed"
    assert made.run.report.stat().st_size < 5e6
    assert json.loads(made.run.verdict.read_text("utf-8"))["delta"]["n"] == 3000
    assert tuneworth("verify", made.run.folder).exit_code == 0
