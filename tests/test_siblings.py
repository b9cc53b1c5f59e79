"""Rows of sensitivity from contenders that are alike but for their prompt or their decoding, and clusters by source,
each against figures by hand."""

from __future__ import annotations

import json

import numpy as np
import pytest
from judged_run import finished

from eval.paired import estimate
from eval.pairing import Pair
from eval.report import render
from eval.verdict import judge
from eval.verdict.evidence import Evidence
from eval.verdict.variants import variants

COOL, WARM = {"temperature": 0.0}, {"temperature": 0.6}
NEWER = {"id": "./newer", "family": "qwen3", "think": "empty"}


def by_hand(evidence: Evidence, rivals: list[str]):
    """lora against the mean of these, by the plain estimate alone."""
    lora, others = evidence.sheets["lora"], [evidence.sheets[name] for name in rivals]
    rows = list(lora.questions.values())
    d = lora.scores - np.mean([sheet.scores for sheet in others], axis=0)
    return estimate(d, [row.cluster for row in rows], [row.task for row in rows], evidence.weights)


def test_the_mean_over_prompts_of_the_newer_base(tmp_path):
    """`prompted` is `newer` with a frame: what the gain would have been had the prompt been drawn."""
    run = finished(tmp_path, rates={"prompted": 0.85})
    evidence, found = Evidence.read(run.recipe, run.run), judge(run.recipe, run.run)
    (case,) = [case for case in found.sensitivity.cases if case.kind == "prompt"]
    known = by_hand(evidence, ["newer", "prompted"])
    assert case.name == "mean over prompts (newer, prompted)"
    assert (case.gain, case.low, case.high) == pytest.approx((known.gain, known.low, known.high))
    assert case.gain < found.delta.gain
    assert case.a_priori
    assert "各提示词取平均（newer, prompted）" in render(found)


def test_a_frame_that_hands_over_knowledge_is_no_other_wording(tmp_path):
    run = finished(tmp_path, "contenders.prompted.prompt.known=rates fell")
    assert not [case for case in judge(run.recipe, run.run).sensitivity.cases if case.kind == "prompt"]


def test_common_decoding_where_a_contender_tells_it(tmp_path):
    """lora's base draws coolly and newer warmly; `cool` is newer drawn as lora is, and nobody tells lora warm."""
    models = {name: json.dumps(NEWER | {"decoding": way}) for name, way in (("newer", WARM), ("cool", COOL))}
    changes = [f"contenders.{name}={{model: {model}}}" for name, model in models.items()]
    run = finished(tmp_path, *changes, "contenders.old.model.decoding.temperature=0", rates={"cool": 0.7},
                   sit={name: {} for name in ("cool",)})  # fmt: skip
    temperatures = {name: chosen.model.decoding.temperature for name, chosen in run.recipe.contenders.items()}
    assert (temperatures["lora"], temperatures["newer"], temperatures["cool"]) == (0, 0.6, 0)
    evidence, found = Evidence.read(run.recipe, run.run), judge(run.recipe, run.run)
    (case,) = [case for case in found.sensitivity.cases if case.kind == "decoding"]
    known = by_hand(evidence, ["cool"])
    assert case.name == "common decoding (temperature 0: lora, cool)"
    assert (case.gain, case.low, case.high) == pytest.approx((known.gain, known.low, known.high))
    assert found.delta.gain != pytest.approx(case.gain)


def test_alike_in_nothing_no_row_is_told(tmp_path):
    run = finished(tmp_path, "contenders.prompted.model.dtype=float32")
    kinds = {case.kind for case in judge(run.recipe, run.run).sensitivity.cases}
    assert not kinds & {"prompt", "decoding"}


def test_clusters_by_source_where_cards_name_it_and_it_is_another_division(tmp_path):
    run = finished(tmp_path)
    evidence = Evidence.read(run.recipe, run.run)
    pair = Pair.of(evidence.sheets["lora"], evidence.sheets["newer"], evidence.weights)
    rows = list(pair.challenger.questions.values())
    filings = {(row.task, row.id): f"{row.task}/{int(row.id.split('-')[1]) // 8}" for row in rows}

    def row(sources):
        ways = variants([pair], evidence.weights, {}, sources)
        return next((each for each in ways if each.words[0] == "clusters are sources"), None)

    found = row(filings).change(pair).estimate(level=0.025, margin=0.02)
    named = [filings[row.task, row.id] for row in rows]
    known = estimate(pair.differences, named, [row.task for row in rows], evidence.weights)
    assert (found.low, found.high, found.clusters) == pytest.approx((known.low, known.high, 50))
    assert (
        row({(each.task, each.id): f"of {each.cluster}" for each in rows}) is None
    )  # the same division by other names
    assert row(dict.fromkeys(filings, "one")) is None  # no interval could be had
    assert row(dict(list(filings.items())[:-1])) is None
