"""Guards: what tuning must not harm, by hand, in the verdict, on the page, at the front door; and real models."""

from __future__ import annotations

import json

import numpy as np
import pytest
import yaml
from conftest import build_checkpoint
from judged_run import CLEAR, finished
from scipy import stats
from small_exam import model, write_adapter, write_exam
from small_guards import SAME, SETS, guarding, shelved
from small_study import tuneworth
from written_exam import Run, build

from eval.report import render
from eval.verdict import judge
from eval.verdict.ruling import overall
from finetune.recipe import Recipe


def test_a_harmless_challenger_passes_and_the_guards_count_in_no_score(tmp_path):
    plain = judge(*_of(finished(tmp_path / "plain")))
    found = judge(*_of(guarding(tmp_path / "guarded", {"lora": {"general": 0.63}}, tasks=["general", "foreign"])))
    assert found.outcome == plain.outcome == "worth_it"
    assert found.delta == plain.delta
    assert [task.name for task in found.tasks] == ["letters", "numbers"]
    assert [(row.kind, row.lang, row.status) for row in found.guards] == [
        ("forgetting", "en", "passed"), ("forgetting", "zh", "passed"),
    ]  # fmt: skip
    assert "Every guard passed, in points against old: general ability in English" in found.sentence
    assert "各项护栏通过（对 old，百分点）：英文通用能力" in found.sentence_zh
    assert "No guard was declared" not in found.sentence


def _of(run):
    return run.recipe, run.run


def test_the_figures_are_those_of_a_t_interval_by_hand(tmp_path):
    run = guarding(tmp_path, {"lora": {"general": 0.57, "reading": 0.63}}, tasks=["general", "reading"])
    found = judge(*_of(run))
    assert [(row.tasks, row.whole, row.margin) for row in found.guards] == [
        (("general", "reading"), True, 0.02), (("general",), False, 0.04), (("reading",), False, 0.04),
    ]  # fmt: skip
    scores = {who: _scores(run, who) for who in ("lora", "old", "newer")}
    d = {task: scores["lora"][task] - scores["old"][task] for task in ("general", "reading")}
    for row in found.guards[1:]:
        low, high = stats.ttest_1samp(d[row.tasks[0]], 0).confidence_interval(0.95)
        assert (row.low, row.high) == (pytest.approx(low), pytest.approx(high))
    whole, parts = found.guards[0], [np.var(each, ddof=1) / len(each) / 4 for each in d.values()]
    df = sum(parts) ** 2 / sum(part**2 / (len(each) - 1) for part, each in zip(parts, d.values(), strict=True))
    half = stats.t.ppf(0.975, df) * np.sqrt(sum(parts))
    assert whole.gain == pytest.approx(np.mean([each.mean() for each in d.values()]))
    assert (whole.gain - whole.low, whole.high - whole.gain) == (pytest.approx(half), pytest.approx(half))
    for who, told in zip(scores, (whole.score, whole.base_score, whole.incumbent_score), strict=True):
        assert told == pytest.approx((scores[who]["general"].mean() + scores[who]["reading"].mean()) / 2)


def _scores(run, who: str) -> dict[str, np.ndarray]:
    """Scores by task, out of the log itself."""
    lines = run.run.seed(who, run.recipe.seeds(who)[0]).items.read_text("utf-8").splitlines()
    rows = sorted((json.loads(line) for line in lines), key=lambda row: row["id"])
    return {task: np.array([row["score"] for row in rows if row["task"] == task]) for task in SETS}


@pytest.mark.parametrize(
    ("kind", "name", "code", "says", "says_zh"),
    [
        ("tasks", "general", "forgets", "lora forgets: general ability in Chinese falls by at least",
         "lora 出现遗忘：中文通用能力比 old 至少下降"),
        ("language", "foreign", "loses_language", "loses the other language: finance in English falls",
         "削弱了另一种语言：英文金融任务比 old 至少下降"),
        ("safety", "general", "loosens", "loosens its compliance: compliance and refusal in Chinese falls",
         "合规与拒答变差：中文合规与拒答比 old 至少下降"),
    ],
)  # fmt: skip
def test_a_guard_that_fails_makes_it_not_worth_it(tmp_path, kind, name, code, says, says_zh):
    found = judge(*_of(guarding(tmp_path, {"lora": {name: 0.4}}, **{kind: [name]})))
    assert (found.outcome, found.guards[0].status) == ("not_worth_it", "failed")
    assert found.delta.low > found.margin
    assert [reason.code for reason in found.rulings[0].reasons] == [code]
    assert f"Not worth it: {'lora ' if kind == 'tasks' else ''}"[:14] in found.sentence
    assert says in found.sentence
    assert says_zh in found.sentence_zh
    assert [tip.at for tip in found.sensitivity.tipping] == [None, None]  # no margin on the gain undoes a harm


def test_a_guard_too_small_to_tell_is_inconclusive_and_says_what_would_settle_it(tmp_path):
    found = judge(*_of(guarding(tmp_path, {"lora": {"reading": 0.58}}, tasks=["reading"])))
    row = found.guards[0]
    assert (found.outcome, row.status) == ("inconclusive", "unresolved")
    assert row.low < -0.02 < row.high
    assert row.needed == max(row.n + 1, int(np.ceil(row.n * (row.mde / abs(row.gain + 0.02)) ** 2)))
    step = next(step for step in found.settle if step.what == "guard")
    assert step.number == row.needed - row.n
    assert (
        f"Guard of general ability in Chinese: about {step.number:,} more such questions would settle it" in step.text
    )
    assert step.text in found.sentence
    assert "the guard of general ability in Chinese is unresolved: lora against old lies between" in found.sentence
    assert "中文通用能力这一护栏未能判定" in found.sentence_zh
    assert "the interval holds the margin" not in found.sentence


def test_a_base_that_guesses_can_forget_nothing(tmp_path):
    found = judge(*_of(guarding(tmp_path, dict.fromkeys(CLEAR, {"general": 0.0}), tasks=["general"])))
    row = found.guards[0]
    assert (found.outcome, row.status, row.vacuous, row.gain, row.needed) == (
        "inconclusive",
        "unresolved",
        True,
        0,
        None,
    )
    assert "cannot fail: old itself scores 0.0 there" in found.sentence
    assert "name sets on which old does better than guessing" in found.sentence


def test_a_gain_that_falls_short_needs_no_guard(tmp_path):
    """Not worth it by the gain stays so, whatever a guard leaves open."""
    rates = {"lora": {"letters": 0.3, "numbers": 0.3, "reading": 0.58}}
    found = judge(*_of(guarding(tmp_path, rates, tasks=["reading"])))
    assert (found.outcome, found.guards[0].status) == ("not_worth_it", "unresolved")
    assert found.rulings[0].reasons[0].code == "harmful"


def test_a_task_of_the_exam_may_guard_and_is_asked_once(tmp_path):
    """Finance in English is in the exam; lora is worse at it than its base, though the whole gain is clear."""
    rates = {"lora": {"letters": 0.95, "numbers": 0.2}}
    told = {who: dict.fromkeys(("letters", "numbers"), rate) | rates.get(who, {}) for who, rate in CLEAR.items()}
    run = finished(tmp_path, f"rule.guards={{language: [{tmp_path / 'numbers'}]}}", rates=told)
    assert run.benchmark.guards == ()
    found = judge(*_of(run))
    assert (found.outcome, found.guards[0].lang, found.guards[0].n) == ("not_worth_it", "en", 160)
    by_task = {row.task: row.gain for each in found.comparisons if each.role == "tau" for row in each.tasks}
    assert found.guards[0].gain == pytest.approx(by_task["numbers"])


def test_each_challenger_has_guards_of_its_own(tmp_path):
    shelved(tmp_path, "general")
    told = {who: dict.fromkeys(("letters", "numbers"), rate) | SAME for who, rate in CLEAR.items()}
    told["lora"]["general"], told["prefix"] = 0.4, told["lora"] | {"general": 0.63}
    change = f"rule.guards={{tasks: [{tmp_path / 'general'}]}}"
    found = judge(*_of(finished(tmp_path, change, "rule.challengers=[lora, prefix]", rates=told)))
    assert {row.challenger: row.status for row in found.guards} == {"lora": "failed", "prefix": "passed"}
    assert {ruling.challenger: ruling.call for ruling in found.rulings} == {
        "lora": "not_worth_it",
        "prefix": "worth_it",
    }
    assert (found.outcome, found.challenger) == ("worth_it", "prefix")
    assert overall(found.rulings) == "worth_it"


def test_missing_answers_to_a_guard_make_it_invalid(tmp_path):
    run = guarding(tmp_path, tasks=["general"])
    log = run.run.seed("old", 0).items
    lines = log.read_text("utf-8").splitlines(keepends=True)
    log.write_text("".join(line for line in lines if json.loads(line)["id"] != "general-7"), "utf-8")
    found = judge(*_of(run))
    assert found.outcome == "invalid"
    assert "same guard questions: old lacks questions of the exam (1): general/general-7" in found.sentence


def test_the_front_door_tells_the_guards_and_verifies_them(tmp_path):
    run = guarding(tmp_path, {"lora": {"general": 0.4}}, tasks=["general"])
    paths = json.dumps([str(tmp_path / "general")])
    words = [tmp_path / "study.yaml", "--out", tmp_path / "runs", "--set", f"rule.guards={{tasks: {paths}}}"]
    done = tuneworth("judge", *words, "--gate")
    assert done.returncode == 3, done.stderr
    page = tuneworth("report", *words)
    assert page.returncode == 0, page.stderr
    again = tuneworth("verify", run.run.folder)
    assert again.returncode == 0, again.stdout + again.stderr
    told = json.loads((run.run.folder / "verdict.json").read_text("utf-8"))
    row = told["guards"][0]
    html = (run.run.folder / "report.html").read_text("utf-8")
    assert (row["status"], row["tasks"]) == ("failed", ["general"])
    assert f'data-guard="forgetting-zh" data-whole="true" data-status="failed" data-gain="{row["gain"]}"' in html


def test_a_page_without_guards_has_no_panel(tmp_path):
    found = judge(*_of(finished(tmp_path)))
    assert 'id="guards"' not in render(found)


def test_real_models_answer_what_guards_ask(tmp_path):
    """Scored and judged by the commands: a guard's gain is that of the logs, in each language, and in no score."""
    from eval import items
    from eval.score import __main__ as score

    exam = write_exam(tmp_path / "exam")
    old = build_checkpoint(tmp_path / "old", "qwen2")
    older, newer = model(old, "r1_distill_qwen"), model(build_checkpoint(tmp_path / "newer", "qwen3"), "qwen3")
    brought = {"model": older, "adapter": str(write_adapter(tmp_path / "adapter", old)), "adapter_cost": 1}
    rule = {"challengers": ["lora"], "incumbent": "newer", "base": "old", "guards": {"tasks": [f"{exam}/own"]}}
    recipe = {
        "question": "Is it worth it?", "exam": {"tasks": [f"{exam}/own_gen"]}, "rule": rule,
        "contenders": {"old": {"model": older}, "newer": {"model": newer}, "lora": brought},
    }  # fmt: skip
    path, out = tmp_path / "study.yaml", tmp_path / "runs"
    path.write_text(yaml.safe_dump(recipe), "utf-8")
    for name in recipe["contenders"]:
        assert score.main([str(path), "--contender", name, "--out", str(out)]) == 0
    done = tuneworth("judge", path, "--out", str(out))
    assert done.returncode == 0, done.stderr
    verdict = json.loads((out / "study" / "verdict.json").read_text("utf-8"))
    assert [task["name"] for task in verdict["tasks"]] == ["own_gen"]
    logs = {name: items.read(out / f"study/{name}/seed-0/items.jsonl") for name in recipe["contenders"]}
    for row in verdict["guards"]:
        right = {
            name: np.mean([r.score for r in log if (r.task, r.lang) == ("own", row["lang"])])
            for name, log in logs.items()
        }
        assert row["gain"] == pytest.approx(right["lora"] - right["old"])
        assert (row["base_score"], row["incumbent_score"]) == pytest.approx((right["old"], right["newer"]))
    assert [row["lang"] for row in verdict["guards"]] == ["en", "zh"]


@pytest.mark.parametrize(("kept", "status"), [(0.4, "failed"), (0.58, "unresolved"), (0.6, "passed")])
def test_no_exception_is_headlined_over_a_guard_that_did_not_pass(tmp_path, kept, status):
    """Worse than the newer base but in one part: the harm stands in the sentence, the part only where none is left."""
    run = build(tmp_path)
    for task in ("letters", "numbers"):
        path = tmp_path / task / f"{task}.yaml"
        said = f"headline: exact, scenario: {'knowledge' if task == 'letters' else 'extraction'}"
        path.write_text(path.read_text().replace("headline: exact", said))
    change = f"rule.guards={{tasks: {json.dumps(shelved(tmp_path, 'reading'))}}}"
    run = Run(tmp_path, Recipe.read(tmp_path / "study.yaml", (change,)))
    run.pledge()
    for name in ("lora", "prefix"):
        run.tune(name)
    for name, rate in CLEAR.items():
        told = {"letters": rate, "numbers": rate, "reading": 0.6}
        run.sit(name, {"letters": 0.3, "numbers": 0.9, "reading": kept} if name == "lora" else told)
    found = judge(run.recipe, run.run)
    assert (found.outcome, found.guards[0].status) == ("not_worth_it", status)
    assert {reason.code for reason in found.rulings[0].reasons} >= {"harmful"}
    assert ("Except for" in found.sentence, "例外" in found.sentence_zh) == (status == "passed", status == "passed")
    assert ("lora forgets: general ability in Chinese falls by" in found.sentence) == (status == "failed")
    assert ("lora 出现遗忘：中文通用能力" in found.sentence_zh) == (status == "failed")
    assert found.atlas.exceptions == (() if status == "failed" else ("extraction",))
    said = {"failed": "a guard failed", "unresolved": "Not before every guard has passed", "passed": "Except for"}
    assert said[status] in found.atlas.text
