"""Number twins as a set that no model can have seen: whether they carry a NOT WORTH IT alone (decision.md 5.8)."""

from __future__ import annotations

import numpy as np

from eval.paired import Layout
from eval.sheet import Sheet
from eval.verdict.evidence import Evidence


def unseen(evidence: Evidence) -> int:
    """On how many number twins every confirmed challenger is shown to fall short of the margin; 0: they do not show it.

    Tasks weigh as in the exam; "none is worth it" takes no correction.
    """
    rule = evidence.recipe.rule
    rivals, found = evidence.twins.get(rule.incumbent), 0
    for name in evidence.challengers:
        ours = evidence.twins.get(name)
        if ours is None or rivals is None or list(ours.questions) != list(rivals.questions):
            return 0
        found = _short(evidence, ours, rivals)
        if not found:
            return 0
    return found


def _short(evidence: Evidence, ours: Sheet, rivals: Sheet) -> int:
    """How many twins there are, where the gain on them lies under the margin."""
    rule, made = evidence.recipe.rule, {task.name: task for task in evidence.benchmark.twins if task.twin == "numbers"}
    kept = np.array([task in made for task, _ in ours.questions])
    asked = [row for row, wanted in zip(ours.questions.values(), kept.tolist(), strict=True) if wanted]
    weights = {row.task: evidence.weights[made[row.task].original] for row in asked}
    try:
        layout = Layout.of([row.cluster for row in asked], [row.task for row in asked], weights)
    except ValueError:  # none, or one cluster
        return 0
    found = layout.estimate((ours.scores - rivals.scores)[:, kept], confidence=rule.confidence)
    return len(asked) if found.high < rule.margin else 0
