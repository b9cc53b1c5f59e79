"""The verdict, from a run on disk: every outcome, every gate in its place, and what may never be said."""

from __future__ import annotations

import json
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from written_exam import Run, build, graded, row

from eval.compare import compare
from eval.money import Bill, Net
from eval.pairing import Pair
from eval.repeatability import Repeatability
from eval.report import render
from eval.sheet import Sheet
from eval.verdict import Verdict, judge
from eval.verdict.licences import riders
from eval.verdict.ruling import overall, rule, stand
from finetune.mistakes import BadInput
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


def gate(verdict: Verdict, name: str):
    return next(gate for gate in verdict.gates if gate.name == name)


def codes(verdict: Verdict) -> set[str]:
    return {reason.code for ruling in verdict.rulings for reason in ruling.reasons}


def test_worth_it(tmp_path):
    found = judged(tmp_path)
    assert found.outcome == "worth_it"
    assert found.delta.low > found.margin
    assert found.delta.gain == pytest.approx(found.tau.gain - found.gamma.gain)
    assert (found.delta.n, found.delta.clusters, found.challenger, found.claim) == (400, 160, "lora", "artifact")
    assert found.sentence.startswith("Worth it: lora beats newer. lora against newer: ")
    assert "A claim on this artifact" in found.sentence
    assert found.sentence.endswith("No guard was declared.")
    assert found.sentence_zh.startswith("值得微调：lora 优于 newer。")
    assert found.sentence_zh.endswith("未声明护栏指标。")


def test_the_merge_of_each_adapter_is_told(tmp_path):
    assert gate(judged(tmp_path, tune={"merge_difference": 2e-6}), "merge faithful").figures["lora seed 17"] == 2e-6


def test_the_verdict_is_its_own_json(tmp_path):
    found = judged(tmp_path, *PRICES)
    text = found.model_dump_json()
    assert Verdict.model_validate_json(text) == found
    keys = {"outcome", "sentence", "challenger", "incumbent", "margin", "delta", "tau", "gamma", "contenders",
            "comparisons", "tasks", "gates", "money", "power", "provenance"}  # fmt: skip
    assert keys <= set(json.loads(text))
    assert {"gain", "low", "high", "n", "clusters"} <= set(json.loads(text)["delta"])
    assert "NaN" not in text


@pytest.mark.parametrize(
    ("rates", "margin", "code", "says"),
    [
        ({"lora": 0.3}, 0.02, "harmful", "Not worth it: lora is worse than newer, by at least"),
        ({"lora": 0.55}, 0.1, "equivalent", "lora and newer are equivalent"),
        ({"lora": 0.65}, 0.3, "not_enough", "lora is better than newer, but by at most"),
    ],
)
def test_not_worth_it_says_why(tmp_path, rates, margin, code, says):
    found = judged(tmp_path, f"rule.margin={margin}", rates=rates)
    assert (found.outcome, codes(found)) == ("not_worth_it", {code})
    assert found.delta.high < margin
    assert says in found.sentence
    assert "may have seen" not in found.sentence  # these items are private
    assert found.sentence_zh.startswith("不值得微调：")


def test_the_sentence_says_what_a_tuning_costs_and_until_when_it_stands(tmp_path):
    dates = ("contenders.newer.model.released='2025-04-29'", "contenders.prompted.model.released='2025-08-01'")
    plain = judged(tmp_path / "plain")
    assert "It stands until a base newer than newer is out." in plain.sentence
    assert "结论有效至比 newer 更新的底座问世。" in plain.sentence_zh
    assert "costs" not in plain.sentence
    alone = judged(tmp_path / "alone", *dates, "costs.people=1500")
    assert "One tuning costs 1,500 CNY. It stands until a base newer than newer (released 2025-04-29)" in alone.sentence
    assert "一次微调的成本为 1,500 CNY。结论有效至比 newer（2025-04-29 发布）更新的底座问世。" in alone.sentence_zh
    both = judged(tmp_path / "both", *dates, "rule.alternatives=[prompted]", rates={"lora": 0.62})
    assert both.outcome == "inconclusive"
    assert "It stands until a base newer than prompted (released 2025-08-01) is out." in both.sentence
    early = judged(tmp_path / "early", *dates, plan=False)
    assert "newer than newer (released 2025-04-29)" in early.sentence


def test_too_dear(tmp_path):
    """Better beyond doubt, and each query costs more than the gain is worth."""
    slow = {"lora": {"change": lambda answer: answer.model_copy(update={"seconds": 500.0})}}
    found = judged(tmp_path, *PRICES, sit=slow)
    assert (found.outcome, codes(found)) == ("not_worth_it", {"too_dear"})
    assert found.delta.low > found.margin
    assert found.money.bills[0].breakeven.point is None
    assert "too dear" in found.sentence


def test_paid_for(tmp_path):
    found = judged(tmp_path, *PRICES, "costs.people=1000")
    assert (found.outcome, codes(found)) == ("worth_it", {"above", "pays"})
    bill = found.money.bills[0]
    assert bill.parts["training"] == pytest.approx(18)  # one device hour
    assert bill.parts["evaluation"] == pytest.approx(3 * 400 * 0.1 / 3600 * 18)  # lora, newer and old
    assert bill.net.low > 0
    row = next(row for row in found.contenders if row.name == "lora")
    assert (row.training_cost, row.cost_per_query) == (pytest.approx(18), pytest.approx(0.1 / 3600 * 18 / 0.5))


def test_a_price_that_hangs_in_the_balance_is_inconclusive(tmp_path):
    gain = judged(tmp_path / "a").delta.gain
    found = judged(tmp_path / "b", *PRICES[:2], "costs.queries=1000", f"costs.people={1000 * gain:.0f}")
    assert (found.outcome, codes(found)) == ("inconclusive", {"price_unresolved"})
    assert [step.what for step in found.settle] == ["costs"]


def test_inconclusive_names_what_would_settle_it(tmp_path):
    found = judged(tmp_path, rates={"lora": 0.56})
    assert (found.outcome, codes(found)) == ("inconclusive", {"unresolved"})
    assert found.delta.low <= found.margin <= found.delta.high
    (step,) = found.settle
    whole = found.power.mde / abs(found.delta.gain - found.margin)
    assert (step.what, step.number) == ("items", pytest.approx(400 * whole**2, abs=1))
    assert f"{step.number:,} such questions" in found.sentence
    assert found.sentence.endswith("Until then keep newer, untuned.")
    assert found.sentence_zh.startswith("尚无定论：")


def test_a_prompt_that_closes_the_gap_makes_tuning_not_worth_it(tmp_path):
    """An intersection-union claim: worth it must hold against every alternative too."""
    found = judged(tmp_path, "rule.alternatives=[prompted]", rates={"prompted": 0.9})
    assert found.outcome == "not_worth_it"
    assert found.rulings[0].reasons[0].rival == "prompted"
    assert "worse than prompted" in found.sentence
    assert found.delta.low > found.margin
    beaten = judged(tmp_path / "b", "rule.alternatives=[prompted]", rates={"prompted": 0.5})
    assert beaten.outcome == "worth_it"
    assert "lora beats newer and prompted" in beaten.sentence


def test_two_challengers_are_held_to_holm_and_the_better_one_speaks(tmp_path):
    found = judged(tmp_path, "rule.challengers=[prefix, lora]")
    assert (found.outcome, found.challenger) == ("worth_it", "lora")
    assert {r.challenger: r.call for r in found.rulings} == {"prefix": "not_worth_it", "lora": "worth_it"}
    alone = judged(tmp_path / "b")
    assert found.delta.low < alone.delta.low  # the price of a second try
    assert found.delta.high == alone.delta.high
    none = judged(tmp_path / "c", "rule.challengers=[prefix, lora]", rates={"lora": 0.3})
    assert (none.outcome, none.challenger) == ("not_worth_it", "prefix")
    assert "Neither is lora." in none.sentence


def test_three_seeds_support_a_claim_on_the_recipe(tmp_path):
    found = judged(tmp_path, "train.seeds=[17, 18, 19]")
    assert (found.claim, found.comparisons[0].seeds) == ("recipe", 3)
    assert "A claim on the recipe (3 training seeds)." in found.sentence
    assert found.money.bills[0].parts["training"] == 0  # unpriced, but three seeds were tuned
    assert next(row for row in found.contenders if row.name == "lora").training_seconds == 3 * 3600


def test_without_a_plan_it_is_exploratory_whatever_the_numbers(tmp_path):
    found = judged(tmp_path, plan=False)
    assert (found.outcome, gate(found, "plan").status) == ("exploratory", "failed")
    assert found.delta.low > found.margin
    assert "no plan was kept before scoring" in found.sentence
    assert found.sentence_zh.startswith("仅为探索，不作结论")


def test_a_rule_changed_after_the_scores_is_exploratory(tmp_path):
    finished(tmp_path)
    changed = build(tmp_path, "rule.margin=0.01")
    found = judge(changed.recipe, changed.run)
    assert (found.outcome, found.margin) == ("exploratory", 0.01)
    changed.pledge()
    again = judge(changed.recipe, changed.run)
    assert again.outcome == "exploratory"
    assert gate(again, "plan").reason.startswith("lora was scored under another plan; a changed recipe is another")


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


@pytest.mark.parametrize("name", INVALID)
def test_a_failed_gate_is_invalid_and_names_no_winner(tmp_path, name):
    found = judged(tmp_path, sit=INVALID[name])
    assert (found.outcome, gate(found, name).status) == ("invalid", "failed")
    assert {g.name for g in found.gates if g.status == "failed" and g.required} == {name}
    assert found.sentence.startswith(f"Invalid, no winner is named. {name}: ")
    assert found.sentence_zh.startswith("比较无效，不宣布胜者。")
    assert (found.delta is None) == (name == "same questions")


def test_questions_that_nobody_answered_are_missed(tmp_path):
    """Dropping a question for all contenders alike is no way to make it go away."""
    run = finished(tmp_path)
    for name in CLEAR:
        for seed in run.recipe.seeds(name):
            log = run.run.seed(name, seed).items
            lines = log.read_text().splitlines(keepends=True)
            log.write_text("".join(line for line in lines if json.loads(line)["id"] != "letters-7"))
    found = judge(run.recipe, run.run)
    assert (found.outcome, found.comparisons) == ("invalid", ())
    assert "lora lacks questions of the exam (1): letters/letters-7" in found.sentence


def test_a_base_that_cannot_be_parsed_leaves_the_verdict_alone(tmp_path):
    """tau would be inflated, and the page says so; delta does not rest on the base."""
    found = judged(tmp_path, sit={"old": {"change": lambda r: r.model_copy(update=graded("unparsed"))}})
    assert found.outcome == "worth_it"
    assert (gate(found, "base below chance").status, gate(found, "base below chance").required) == ("failed", False)


@pytest.mark.parametrize(
    ("sit", "name"),
    [({"lora": {"adapter_probe": None}}, "adapter applied"), ({"newer": {"dtype": "bfloat16"}}, "engine parity")],
)
def test_a_required_gate_not_checked_is_inconclusive_and_named(tmp_path, sit, name):
    found = judged(tmp_path, sit=sit)
    assert (found.outcome, gate(found, name).status) == ("inconclusive", "not_checked")
    assert f"{name} was not checked" in found.sentence
    assert [step.what for step in found.settle] == ["gate"]
    assert {r.call for r in found.rulings} == {"worth_it"}  # the numbers alone would have said so


def test_training_and_exam_of_one_source_are_said_to_be_in_distribution(tmp_path):
    again = build(tmp_path).folder / "letters.md"  # of that name, other rows
    again.write_text((tmp_path / "tuning.md").read_text("utf-8").replace("name: tuning", "name: letters"), "utf-8")
    found = judged(tmp_path, "data=[letters.md]")
    assert (found.outcome, gate(found, "exam unseen").status) == ("worth_it", "passed")
    assert "In distribution only: training and exam share letters." in found.sentence
    assert "同源（letters）" in found.sentence_zh


def test_a_challenger_tuned_on_the_very_exam_wins_nothing(tmp_path):
    found = judged(tmp_path, "data=[letters/letters.md#test]")
    assert (found.outcome, gate(found, "exam unseen").status) == ("invalid", "failed")
    assert "tuned on the very split that is the exam: letters (letters#test); take it out of data" in found.sentence
    assert "挑战者就在考试所用的数据上微调：letters (letters#test)" in found.sentence_zh
    out = ("data=[tuning.md, letters/letters.md#test]", "train.exclude=[letters/letters.md#test]")
    assert gate(judged(tmp_path / "b", *out), "exam unseen").status == "passed"


def test_on_public_items_not_worth_it_carries_the_doubt_in_its_headline(tmp_path):
    build(tmp_path)
    for task in ("letters", "numbers"):
        card = tmp_path / task / f"{task}.md"
        card.write_text(card.read_text().replace("published: false", "published: true"))
    run = _again(tmp_path, rates={"lora": 0.3})
    found = judge(run.recipe, run.run)
    assert found.outcome == "not_worth_it"
    assert "The newer base may have seen these items" in found.sentence
    assert "新底座可能见过" in found.sentence_zh


def _again(folder, rates) -> Run:
    """A finished run on cards that were changed on disk."""
    from finetune.recipe import Recipe

    run = Run(folder, Recipe.read(folder / "study.yaml"))
    run.pledge()
    for name in ("lora", "prefix"):
        run.tune(name)
    for name, rate in (CLEAR | rates).items():
        run.sit(name, rate)
    return run


def test_an_adapter_tuned_elsewhere_carries_its_declared_cost_and_its_own_digest(tmp_path):
    from finetune.methods import adapter_digest

    brought = tmp_path / "brought"
    brought.mkdir()
    for part in ("adapter_config.json", "adapter_model.safetensors"):
        (brought / part).write_text("{}")
    changes = ("contenders.lora.method=null", f"contenders.lora.adapter={brought}", "contenders.lora.adapter_cost=400")
    digest = adapter_digest(brought)
    found = judged(tmp_path, *changes, *PRICES, sit={"lora": {"adapter_digest": digest}})
    assert (found.outcome, found.claim) == ("worth_it", "artifact")
    assert found.money.bills[0].parts["declared"] == 400
    row = next(row for row in found.contenders if row.name == "lora")
    assert (row.method, row.training_cost, row.roles) == ("adapter", 400, ("challenger",))


def test_contenders_tasks_and_provenance_hold_what_the_page_shows(tmp_path):
    found = judged(tmp_path, "exam.samples=2", "rule.alternatives=[prompted]")
    rows = {row.name: row for row in found.contenders}
    assert {name: row.roles for name, row in rows.items()} == {
        "old": ("base",), "lora": ("challenger",), "prefix": (), "newer": ("incumbent",), "prompted": ("alternative",),
    }  # fmt: skip
    lora = rows["lora"]
    assert lora.low < lora.score < lora.high
    assert lora.score == pytest.approx(sum(t.weight * s.score for t, s in zip(found.tasks, lora.tasks, strict=True)))
    assert sum(lora.outcomes.values()) == pytest.approx(1)
    assert (lora.samples, lora.seconds_per_query) == ({"letters": 2, "numbers": 2}, pytest.approx(0.1))
    assert [(t.name, t.n, t.clusters, t.weight) for t in found.tasks] == [
        ("letters", 240, 80, 0.75), ("numbers", 160, 80, 0.25),
    ]  # fmt: skip
    assert found.delta.gain == pytest.approx(lora.score - rows["newer"].score)
    origin = {o.name: o for o in found.provenance.contenders}
    assert (origin["lora"].adapters, origin["newer"].adapters) == ({17: "lora 17"}, {})
    assert found.provenance.plan_at < found.provenance.first_score_at
    assert found.provenance.attempts == {"plan": 1}


def test_provenance_says_why_an_engine_was_chosen(tmp_path):
    """Where the recipe names none: as score.json has it, in both languages."""
    why = {"engine_why": "vLLM is not installed here", "engine_why_zh": "此处未安装 vLLM"}
    found = judged(tmp_path, sit={"lora": why})
    told = {o.name: (o.engine_why, o.engine_why_zh) for o in found.provenance.contenders}
    assert told["lora"] == tuple(why.values())
    assert told["newer"] == ("", ""), "a manifest that says nothing is not made to"


def test_the_best_on_the_development_questions_is_confirmed_alone_and_uncorrected(tmp_path):
    found = judged(tmp_path, "rule.challengers=[prefix, lora]", "exam.dev=0.3")
    assert [ruling.challenger for ruling in found.rulings] == ["lora"]
    assert {each.challenger for each in found.comparisons if each.role == "delta"} == {"lora"}
    alone = judged(tmp_path / "alone", "exam.dev=0.3")
    assert found.delta == alone.delta  # one confirmation costs what one challenger costs
    assert "lora was chosen on the development questions (lora" in found.sentence
    assert "chosen_on_dev" not in {note.code for note in alone.notes}


def test_development_questions_are_left_out(tmp_path):
    found = judged(tmp_path, "exam.dev=0.3")
    assert found.delta.n == sum(task.n for task in found.tasks) < 400
    assert found.delta.clusters < 160


@pytest.mark.parametrize(
    ("missing", "says"),
    [("score.json", "newer seed 0 is not scored"), ("train.json", "lora seed 17 is not tuned")],
)
def test_an_unfinished_run_is_refused_with_the_line_that_goes_on(tmp_path, missing, says):
    run = finished(tmp_path)
    place = run.run.seed("newer", 0) if missing == "score.json" else run.run.seed("lora", 17)
    (place.folder / missing).unlink()
    with pytest.raises(BadInput, match=says):
        judge(run.recipe, run.run)


def test_scores_of_another_state_of_the_recipe_are_refused(tmp_path):
    finished(tmp_path)
    changed = build(tmp_path, "exam.samples=2")
    with pytest.raises(BadInput, match="scored for another state of the recipe"):
        judge(changed.recipe, changed.run)


def test_an_exam_of_one_document_is_refused(tmp_path):
    build(tmp_path)
    questions = tmp_path / "numbers" / "numbers.jsonl"
    lines = [json.loads(line) | {"doc": 0} for line in questions.read_text().splitlines()]
    questions.write_text("".join(json.dumps(line) + "\n" for line in lines))
    run = _again(tmp_path, {})
    with pytest.raises(BadInput, match="task 'numbers': one cluster holds all 160 questions"):
        judge(run.recipe, run.run)


SMOKE = ("purpose=smoke",)


def test_a_smoke_run_says_plumbing_and_nothing_else(tmp_path):
    found = judged(tmp_path, *SMOKE)
    assert (found.outcome, found.plumbing.passed) == ("plumbing", True)
    assert (found.delta, found.comparisons, found.rulings, found.money) == (None, (), (), None)
    assert json.loads(found.model_dump_json())["plumbing"]["pass"] is True
    assert Verdict.model_validate_json(found.model_dump_json()) == found
    assert found.sentence == "Plumbing only: every room works. Never a verdict."


@pytest.mark.parametrize(
    ("terms", "failed"),
    [
        ({"tune": {"loss_last": 2.5}}, "lora seed 17: loss fell"),
        ({"tune": {"end_token_trained": False}}, "lora seed 17: end token trained"),
        ({"tune": {"logit_shift": 0.0}}, "lora seed 17: adapter moved the logits"),
        ({"tune": {"reload_difference": 0.1}}, "lora seed 17: reloaded = trained"),
        ({"sit": {"newer": {"change": lambda r: r.model_copy(update=graded("missing"))}}}, "items complete"),
        ({"sit": INVALID["same questions"]}, "same questions"),
        ({"sit": INVALID["adapter applied"]}, "adapter applied"),
        ({"plan": False}, "plan"),
    ],
)
def test_each_plumbing_check_fails_by_name(tmp_path, terms, failed):
    found = judged(tmp_path, *SMOKE, **terms)
    assert not found.plumbing.passed
    assert failed in {check.name for check in found.plumbing.failed}
    assert found.sentence.startswith("Plumbing only: failed at ")


def test_a_changed_smoke_recipe_starts_a_new_plan_and_the_old_is_kept(tmp_path):
    """Scores whose fingerprint still holds stay; going back to the first plan is no fault either."""
    first = build(tmp_path, *SMOKE)
    finished(tmp_path, *SMOKE)
    kept = first.run.plan.read_bytes()
    changed = build(tmp_path, *SMOKE, "rule.margin=0.01")
    assert "plan" in {check.name for check in judge(changed.recipe, changed.run).plumbing.failed}, "not kept yet"
    second = changed.pledge()
    assert judge(changed.recipe, changed.run).plumbing.passed
    shelf = changed.run.folder / f".old-{json.loads(kept)['plan']['digest'][:12]}"
    assert (shelf / "recipe.json").read_bytes() == kept
    assert first.pledge().at < second.at, "kept again under its first time"
    assert judge(first.recipe, first.run).plumbing.passed


def test_a_smoke_score_of_no_plan_that_was_kept_here_fails(tmp_path):
    found = judged(tmp_path, *SMOKE, sit={"newer": {"plan_digest": "f" * 64}})
    assert [check.name for check in found.plumbing.failed] == ["plan"]


def test_behaviour_is_shown_in_a_smoke_run_and_decides_nothing(tmp_path):
    found = judged(tmp_path, *SMOKE, sit=INVALID["below chance"])
    shown = {check.name: (check.passed, check.decides) for check in found.plumbing.checks}
    assert shown["below chance"] == (False, False)
    assert found.plumbing.passed


def sheets(rng: random.Random, names: list[str], rates: list[float]) -> dict[str, Sheet]:
    return {
        name: Sheet.of(name, {0: [
            row("t", i, cluster=str(i // 2), **graded("correct" if rng.random() < rate else "wrong")) for i in range(24)
        ]})
        for name, rate in zip(names, rates, strict=True)
    }  # fmt: skip


@given(st.integers(0, 10**6), st.lists(st.floats(0, 1), min_size=5, max_size=5), st.floats(-0.3, 0.3), st.floats(-9, 9))
@settings(max_examples=40, deadline=None)
def test_worth_it_is_never_said_below_the_margin_or_unpaid(seed, rates, margin, net):
    """Against every rival, for every challenger, whatever the numbers; and never beside an upper bound below it."""
    made = sheets(random.Random(seed), ["lora", "prefix", "newer", "prompted", "old"], rates)
    pairs = {
        who: [Pair.of(made[who], made[rival], {}) for rival in ("newer", "prompted")] for who in ("lora", "prefix")
    }
    standings = stand(pairs, 0.95, margin, *[dict.fromkeys(pairs, ())] * 2)
    rulings = []
    for name, contests in pairs.items():
        found = [compare(pair, role="delta", confidence=0.95, margin=margin) for pair in contests]
        bill = Bill(challenger=name, rival="newer", parts={}, tuning=0, horizon=0, extra_per_query=0, wrong=0,
                    breakeven=None, net=Net(low=net - 1, point=net, high=net + 1))  # fmt: skip
        ruling = rule(standings[name], found, [bill], "CNY")
        rulings.append(ruling)
        assert ruling.reasons
        if ruling.call == "worth_it":
            assert min(ruling.lows.values()) > margin
            assert net - 1 > 0
            assert all(each.high >= margin for each in found)
        if ruling.call == "not_worth_it":
            assert any(each.high < margin for each in found) or net + 1 < 0
    assert (overall(rulings) == "not_worth_it") == all(r.call == "not_worth_it" for r in rulings)


def test_licences_that_bar_or_bind_stand_in_the_notes_whatever_the_outcome(tmp_path):
    run = finished(tmp_path / "plain")
    assert "licence" not in {note.code for note in judge(run.recipe, run.run).notes}
    llama = tuple(
        f"contenders.{name}.model.licence=MIT; base Llama 3.1 Community License" for name in ("lora", "prefix", "newer")
    )
    for number, changes in enumerate([llama, (*llama, "purpose=smoke")]):
        bound = finished(tmp_path / str(number), *changes)
        found = judge(bound.recipe, bound.run)
        (note,) = [note for note in found.notes if note.code == "licence"]
        assert note.text.startswith("The base of lora, prefix is under the Llama 3.1 Community License: ")
        assert "newer" not in note.text, "it is untuned"
        assert '"Built with Llama"' in note.text
        assert note.text_zh.startswith("lora、prefix 的底座适用 Llama 3.1 Community License：")
        assert not note.headline
        page = render(found)
        assert "The base of lora, prefix is under the Llama 3.1" in page
        assert "lora、prefix 的底座适用 Llama 3.1" in page


def test_non_commercial_data_is_named_with_who_was_tuned_on_it(tmp_path):
    run = build(tmp_path)
    for path in tmp_path.rglob("*.md"):
        path.write_text(path.read_text("utf-8").replace("commercial: true", "commercial: false"), "utf-8")
    recipe = type(run.recipe).read(run.folder / "study.yaml")
    words = riders(recipe, [use.card for use in recipe.data])
    assert [en.split(":")[0] for en, _ in words] == [
        "No commercial use of lora, prefix", "The exam holds data without commercial use",
    ]  # fmt: skip
    assert words[0][1].startswith("lora、prefix 不得商用：")


def served(name: str = "newer", **keys) -> tuple[str, ...]:
    """Changes that put a contender behind a server."""
    engine = {"kind": "openai", "url": "http://127.0.0.1:9/v1", "model": "m"} | keys
    return (f"contenders.{name}.engine={json.dumps(engine)}", f"contenders.{name}.model.think=drop")


def told(form: str = "messages", **facts) -> ServedFacts:
    said = {"host": "127.0.0.1:9", "model": "m", "api": "chat", "form": form, "sampling": "asked", "said_models": ()}
    known = {"fingerprints": (), "seeds_repeat": True, "retried": 0, "tokens_in": 4000}
    return ServedFacts(**(said | known | facts))


def test_a_served_rival_leaves_open_what_nobody_can_know_of_it(tmp_path):
    facts = {"chat_digest": "", "engine": "openai chat, m", "dtype": "as served", "served": told()}
    found = judged(tmp_path, *served(), sit={"newer": facts})
    assert found.outcome == "inconclusive"
    open_gates = {gate.name: gate.reason for gate in found.gates if gate.required and gate.status == "not_checked"}
    assert open_gates.keys() == {"prompt content", "engine parity"}
    assert "the template of newer is its server's own" in open_gates["prompt content"]
    assert render(found)


def test_our_rendering_served_is_a_known_template(tmp_path):
    facts = {"engine": "openai completions, m", "served": told("ids", api="completions")}
    found = judged(tmp_path, *served(api="completions"), sit={"newer": facts})
    assert gate(found, "prompt content").status == "passed"
    assert gate(found, "engine parity").status == "not_checked"


def repeated(run: Run, name: str, gain=0.0, low=-0.02, high=0.02, stale=False, **facts) -> None:
    """What a probe would have found of a contender that was scored."""
    changes = {"answers": 0.1, "rankings": None, "texts": 0.1, "largest": None}
    same = {"gain": gain, "low": low, "high": high, "n": 128, "clusters": 100}
    scored = next(iter(run.run.folder.glob(f"{name}/seed-*/score.json")))
    mark = "other" if stale else json.loads(scored.read_text())["fingerprint"]
    Repeatability.model_validate({
        "contender": name, "seed": 0, "fingerprint": mark, "at": 1, "kind": ("transformers", "float32"),
        "questions": 128, "answers": 128, "batch_tokens": 64,
        "floor": {"apart": same, "changes": changes},
        "batching": {"together": 100, "changes": changes | {"answers": 0.0}}, "parity": None, **facts,
    }).write(run.run.repeatability(name))  # fmt: skip


def test_what_probes_found_counts_and_stands_on_the_page(tmp_path):
    run = finished(tmp_path)
    repeated(run, "lora")
    repeated(run, "newer", stale=True)
    found = judge(run.recipe, run.run)
    assert (found.outcome, gate(found, "noise floor").status) == ("worth_it", "not_checked")  # newer's is of another
    repeated(run, "newer")
    found = judge(run.recipe, run.run)
    assert found.outcome == "worth_it"
    assert [gate(found, name).status for name in ("noise floor", "batch invariance")] == ["passed", "passed"]
    assert f"beside lora − newer {100 * found.delta.gain:+.1f}" in gate(found, "noise floor").reason
    repeated(run, "newer", low=-0.3, high=0.3)
    found = judge(run.recipe, run.run)
    assert (found.outcome, gate(found, "noise floor").status) == ("worth_it", "unresolved")
    made = render(found)
    assert 'data-gate="noise floor" data-status="unresolved"' in made
    assert "未能判定" in made
    repeated(run, "newer", gain=0.06, low=0.02, high=0.1)
    found = judge(run.recipe, run.run)
    assert (found.outcome, gate(found, "noise floor").status) == ("invalid", "failed")
    assert "noise floor: against themselves" in found.sentence


@pytest.mark.parametrize(
    ("gap", "outcome", "status"),
    [((0, -0.02, 0.02), "worth_it", "passed"), ((0, -0.3, 0.3), "inconclusive", "unresolved"),
     ((0.1, 0.05, 0.15), "invalid", "failed")],
)  # fmt: skip
def test_two_engines_may_meet_where_a_probe_links_them(tmp_path, gap, outcome, status):
    facts = {"engine": "openai completions, m", "dtype": "as served", "served": told("ids", api="completions")}
    run = finished(tmp_path, *served(api="completions"), sit={"newer": facts})
    apart = dict(zip(("gain", "low", "high"), gap, strict=True)) | {"n": 128, "clusters": 128}
    changes = {"answers": 0.2, "rankings": None, "texts": 0.3, "largest": None}
    linked = {"apart": apart, "changes": changes, "prefix": 0.8, "prefix_tokens": 20, "same_prompts": 1}
    kinds = {"here": ("transformers", "float32"), "there": ("openai completions, m", "as served")}
    repeated(run, "newer", parity=linked | kinds)
    found = judge(run.recipe, run.run)
    assert (found.outcome, gate(found, "engine parity").status) == (outcome, status)
    if status == "unresolved":
        assert "engine parity is unresolved: one checkpoint on both" in found.sentence
        assert "引擎一致未能判定" in found.sentence_zh


def test_where_tokens_are_paid_for_no_device_is(tmp_path):
    """10 tokens read at 2 a million and 2 written at 8: 36 millionths a query; 4,000 and 800 for the whole scoring."""
    facts = {"chat_digest": "", "served": told(), "generated_tokens": 800}
    prices = (*PRICES, *served(price_in=2, price_out=8))
    found = judged(tmp_path, *prices, sit={"newer": facts})
    rows = {row.name: row for row in found.contenders}
    assert rows["newer"].cost_per_query == pytest.approx(36e-6)
    assert rows["lora"].cost_per_query == pytest.approx(0.1 / 3600 * 18 / 0.5)
    (due,) = [bill for bill in found.money.bills if bill.rival == "newer"]
    assert due.extra_per_query == pytest.approx(rows["lora"].cost_per_query - 36e-6)
    devices = sum(rows[name].scoring_seconds for name in ("lora", "newer", "old")) / 3600 * 18
    assert due.parts["evaluation"] == pytest.approx(devices + (2 * 4000 + 8 * 800) / 1e6)
