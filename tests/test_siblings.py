"""Rows of sensitivity from contenders that are alike but for their prompt or their decoding, and clusters by source,
each against figures by hand."""

from __future__ import annotations

import json

import numpy as np
import pytest
from judged_run import finished
from written_exam import build

from eval.paired import estimate
from eval.pairing import Pair
from eval.report import render
from eval.sheet import Sheet
from eval.verdict import judge
from eval.verdict.evidence import Evidence
from eval.verdict.siblings import prompts
from eval.verdict.strata import SOURCES, Stratum
from eval.verdict.variants import variants
from finetune.card import DataCard
from finetune.mistakes import BadInput
from finetune.recipe import Recipe

COOL, WARM = {"temperature": 0.0}, {"temperature": 0.6}
BROKER, TERSE, OTHER = {"role": "a broker"}, {"instruction": "Answer with a letter."}, {"role": "a clerk"}
NEWER = {"id": "./newer", "family": "qwen3", "think": "empty"}


def by_hand(evidence: Evidence, rivals: list[str], *, drawn: bool = False):
    """lora against the mean of these, by the plain estimate alone; `drawn`: as one draws training seeds."""
    lora, others = evidence.sheets["lora"], [evidence.sheets[name] for name in rivals]
    rows = list(lora.questions.values())
    d = lora.scores - np.mean([sheet.scores for sheet in others], axis=0)
    if drawn:
        d = np.concatenate([lora.scores - sheet.scores for sheet in others])
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


def test_three_prompts_are_a_random_factor(tmp_path):
    """What lies between them stands in the interval, as what lies between training seeds does."""
    third = json.dumps({"model": NEWER, "prompt": {"role": "a broker"}})
    run = finished(tmp_path, f"contenders.third={third}", rates={"prompted": 0.6, "third": 0.63})
    evidence, found = Evidence.read(run.recipe, run.run), judge(run.recipe, run.run)
    (case,) = [case for case in found.sensitivity.cases if case.kind == "prompt"]
    names = ["newer", "prompted", "third"]
    plain, known = by_hand(evidence, names), by_hand(evidence, names, drawn=True)
    assert known.seed_variance > 0
    assert (case.gain, known.gain) == pytest.approx((plain.gain, plain.gain))
    assert (case.low, case.high) == pytest.approx((known.low, known.high))
    assert case.high - case.low > plain.high - plain.low


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

    def row(names):
        ways = variants([pair], evidence.weights, [Stratum(SOURCES, names)])
        return next((each for each in ways if each.words == SOURCES), None)

    def at(names):
        found = row(names).change(pair).estimate(level=0.025, margin=0.02)
        named = [names.get((row.task, row.id), row.cluster) for row in rows]
        known = estimate(pair.differences, named, [row.task for row in rows], evidence.weights)
        assert (found.low, found.high, found.clusters) == pytest.approx((known.low, known.high, known.clusters))
        return found.clusters

    assert at(filings) == 50
    letters = {key: name for key, name in filings.items() if key[0] == "letters"}
    assert at(letters) == 30 + 80  # of a card that names none, questions stay in their clusters
    assert (
        row({(each.task, each.id): f"of {each.cluster}" for each in rows}) is None
    )  # the same division by other names
    assert row(dict.fromkeys(filings, "one")) is None  # no interval could be had


def test_a_card_groups_its_questions_by_page_filing_and_company(tmp_path):
    """Through the card: each other division once; nothing else of the verdict hears of it."""
    run = finished(tmp_path)
    before = judge(run.recipe, run.run)
    card = tmp_path / "letters/letters.md"
    groups = {"page": {"column": "doc"}, "filing": {"column": "id", "pattern": r"-(\d*)\d$"},
              "company": {"column": "id", "pattern": r"-(\d)"}}  # fmt: skip
    card.write_text(card.read_text("utf-8").replace("---\n", f"---\ngroups: {json.dumps(groups)}\n", 1), "utf-8")
    recipe = Recipe.read(tmp_path / "study.yaml")
    after = judge(recipe, run.run)
    told = {case.name: case for case in after.sensitivity.cases if case.kind == "clusters"}
    assert list(told) == ["every question a cluster of its own", "clusters by filing", "clusters by company"]
    evidence = Evidence.read(recipe, run.run)
    lora, newer = evidence.sheets["lora"], evidence.sheets["newer"]
    rows = list(lora.questions.values())
    first = [row.id.split("-")[1][0] if row.task == "letters" else row.cluster for row in rows]
    known = estimate(lora.scores - newer.scores, first, [row.task for row in rows], evidence.weights)
    company = told["clusters by company"]
    assert (company.low, company.high) == pytest.approx((known.low, known.high))
    assert after.model_copy(update={"sensitivity": None}) == before.model_copy(update={"sensitivity": None})
    assert "按公司成组" in render(after)


@pytest.mark.parametrize(
    ("group", "says"),
    [
        ("{column: nowhere}", "groups: no column 'nowhere'; there are id"),
        ("{column: id, pattern: 'x(y)'}", "groups: 'letters-0' does not fit x(y)"),
        ("{column: id, pattern: letters}", "has no group"),
        ("{column: id, pattern: '('}", "is no regular expression"),
        ("{pattern: '(.)'}", "column"),
    ],
)
def test_groups_that_cannot_be_read_are_refused(tmp_path, group, says):
    build(tmp_path)
    card = tmp_path / "letters/letters.md"
    card.write_text(card.read_text("utf-8").replace("---\n", f"---\ngroups: {{page: {group}}}\n", 1), "utf-8")
    with pytest.raises(BadInput) as refused:
        DataCard.read(card).rows(None, "test")
    assert says in str(refused.value)


def asked_alike(folder, order: list[str], theirs: dict[str, dict]):
    """The row of prompts of lora against newer, each asked with three prompts; those of newer stand in `order`. Right
    answers hang on the prompt, and lora is a little better with each."""
    folder.mkdir()
    ours = {"lora_b": BROKER, "lora_c": TERSE}
    lora = {"model": {"id": "./old", "family": "r1_distill_qwen", "think": "empty"}}
    lora |= {"method": {"kind": "lora", "rank": 4}}
    made = {name: lora | {"prompt": said} for name, said in ours.items()}
    made |= {name: {"model": NEWER, "prompt": theirs[name]} for name in order}
    changes = [f"contenders.{name}={json.dumps(chosen)}" for name, chosen in made.items()]
    run = build(folder, *changes)
    rates = {"lora": 0.25, "lora_b": 0.55, "lora_c": 0.85, "newer": 0.2, "newer_b": 0.5, "newer_c": 0.8}
    sheets = {name: Sheet.of(name, {0: list(run._answers(name, 0, rate))}) for name, rate in rates.items()}
    pair = Pair.of(sheets["lora"], sheets["newer"], {"letters": 3.0, "numbers": 1.0})
    (row,) = prompts(
        ["lora", "newer"], {name: run.recipe.contenders[name] for name in ("lora", *made, "newer")}, sheets
    )
    return row.change(pair), sheets, pair


def test_prompts_of_both_sides_are_paired_by_what_they_say(tmp_path):
    """In whatever order the recipe names them."""
    said = {"newer_b": BROKER, "newer_c": TERSE}
    for order in (["newer_b", "newer_c"], ["newer_c", "newer_b"]):
        found, sheets, _ = asked_alike(tmp_path / order[0], order, said)
        both = [(sheets[f"lora{end}"], sheets[f"newer{end}"]) for end in ("", "_b", "_c")]
        known = np.concatenate([one.scores - other.scores for one, other in both])
        assert found.differences.tolist() == known.tolist()
        told = found.estimate(level=0.025, margin=0.0)
        assert told.high - told.low < 0.2  # what lies between prompts is common to both sides, and cancels


def test_prompts_that_only_one_side_has_pair_with_none(tmp_path):
    found, sheets, pair = asked_alike(tmp_path / "x", ["newer_b", "newer_c"], {"newer_b": BROKER, "newer_c": OTHER})
    mean = [np.mean([sheets[f"{side}{end}"].scores for end in ("", "_b", "_c")], axis=0) for side in ("lora", "newer")]
    assert found.differences == pytest.approx(mean[0] - mean[1])
