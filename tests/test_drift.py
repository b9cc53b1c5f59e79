"""Drift: what moved since a kept verdict, what cannot be held against it, and what stops a run before it starts."""

from __future__ import annotations

import copy
import json
import re
from pathlib import Path

import pytest
from judged_run import at_the_door as judge
from judged_run import drifts, finished, kept, served, told
from typer.testing import CliRunner

from eval.cli import app
from eval.report import render
from eval.verdict import Verdict

GUARDED = {"challenger": "lora", "kind": "forgetting", "lang": "zh", "tasks": ["general"], "status": "passed"}


@pytest.fixture(autouse=True)
def a_world_of_its_own(monkeypatch):
    monkeypatch.setenv("TUNEWORTH_CARDS", "")
    monkeypatch.delenv("GITHUB_STEP_SUMMARY", raising=False)


@pytest.fixture(scope="module")
def before(tmp_path_factory):
    """A judged run, and its verdict kept elsewhere."""
    folder = tmp_path_factory.mktemp("kept")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TUNEWORTH_CARDS", "")
        patch.delenv("GITHUB_STEP_SUMMARY", raising=False)
        finished(folder)
        assert judge(folder).exit_code == 0
    (folder / "before.json").write_bytes((kept(folder) / "verdict.json").read_bytes())
    return folder


def changed(before: Path, to: Path, change) -> Path:
    said = json.loads((before / "before.json").read_text("utf-8"))
    change(said)
    to.write_text(json.dumps(said), "utf-8")
    return to


def test_no_drift_against_itself(before):
    done = judge(before, "--baseline", before / "before.json")
    assert done.exit_code == 0
    found = drifts(done.stdout)
    assert found[0] == "verdict: Worth it · 结论: 值得 未变"
    assert re.fullmatch(r"Δ: lora \+\d+\.\d \[.+\]", found[1])
    v = Verdict.read(before / "before.json")
    assert [line.partition(":")[0] for line in found[2:]] == [row.name for row in v.contenders]
    assert not any("→" in line for line in found)


def test_drift_names_what_moved(before, tmp_path):
    def age(said):
        said["outcome"], said["margin"], said["younger key"] = "inconclusive", 0.01, 1
        said["delta"]["low"] = -0.021
        said["contenders"][1]["score"] = 0.5
        said["gates"][0]["status"] = "failed"
        del said["gates"][-1]
        said["provenance"]["extractor"] = "2020.1"
        said["base"], said["money"]["gpu_hour"] = "older", 7

    v = Verdict.read(before / "before.json")
    name = v.contenders[1].name
    done = judge(before, "--baseline", changed(before, tmp_path / "old.json", age))
    assert done.exit_code == 0, done.stderr
    moved = [line for line in drifts(done.stdout) if "→" in line]
    assert moved[0] == "verdict: Inconclusive → Worth it · 结论: 尚无定论 → 值得"
    assert moved[1].startswith("Δ: lora ")
    assert f"[−2.1, +{100 * v.delta.high:.1f}] → lora" in moved[1]
    assert moved[2:] == [
        f"{name}: 50.0 → {100 * v.contenders[1].score:.1f}",
        "margin: +1.0 → +2.0 · 门槛: +1.0 → +2.0",
        f"extractor: 2020.1 → {v.provenance.extractor} · 提取器: 2020.1 → {v.provenance.extractor}",
        "rule.base: older → old",
        f"costs.gpu_hour: 7 → {v.money.gpu_hour:g}",
        "same questions: failed → passed · 同一批题目: 未通过 → 通过",
        f"{v.gates[-1].name}: none → not checked · {v.gates[-1].name_zh}: 无 → 未检查",
    ]
    last = (kept(before) / "verdict.md").read_text("utf-8").splitlines()[-1]
    assert last.startswith("- Drift 变动: verdict: Inconclusive → Worth it · 结论: 尚无定论 → 值得; Δ: lora ")
    assert not any(f" {row.name}: " in last for row in v.contenders if row.name != name)


def test_the_price_of_tokens_drifts_by_its_key(tmp_path):
    """Of a rival that was asked of a server; a baseline of before prices were told so says nothing of them."""
    facts = {"chat_digest": "", "engine": "openai chat, m", "dtype": "as served", "served": told()}
    changes = served("newer", price_in=2, price_out=8, price_cached=0.5, cached_share=0.25)
    finished(tmp_path, "costs.value_per_correct=1", *changes, sit={"newer": facts})
    assert judge(tmp_path, changes=("costs.value_per_correct=1", *changes)).exit_code == 0
    verdict = kept(tmp_path) / "verdict.json"
    (priced,) = Verdict.read(verdict).money.tariffs
    assert (priced.contender, priced.price_in, priced.price_out, priced.query_cost) == ("newer", 2, 8, None)
    said, old = json.loads(verdict.read_text("utf-8")), tmp_path / "old.json"
    for age, moved in (
        (lambda money: money["tariffs"][0].update(price_out=7.5, cached_share=0), [
            "contenders.newer.engine.price_out: 7.5 → 8", "contenders.newer.engine.cached_share: 0 → 0.25",
        ]),
        (lambda money: money["tariffs"][0].update(price_cached=None), [
            "contenders.newer.engine.price_cached: none → 0.5",
        ]),
        (lambda money: money.pop("tariffs"), []),
    ):  # fmt: skip
        before = copy.deepcopy(said)
        age(before["money"])
        old.write_text(json.dumps(before), "utf-8")
        done = judge(tmp_path, "--baseline", old, changes=("costs.value_per_correct=1", *changes))
        assert [line for line in drifts(done.stdout) if "→" in line] == moved, done.output
    page = render(Verdict.read(verdict))
    assert 'data-tariff="newer"' in page
    assert "2 / 8 CNY a million tokens read / written" in page
    assert "25% of those read kept by the server at 0.5" in page


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda said: said.update(name="other"), "the study is other there and study here"),
        (lambda said: said.update(purpose="smoke"), "purpose is smoke there and study here"),
        (lambda said: said.update(incumbent="old"), "rule.incumbent is old there and newer here"),
        (lambda said: said["tasks"].pop(), "exam.tasks is letters there and letters, numbers here"),
        (lambda said: said["tasks"][1].update(version="0"), "version of task numbers is 0 there and 1 here"),
        (lambda said: said["tasks"][0].update(items_digest="f" * 64), "the item list of task letters is ffffffffffff"),
        (lambda said: said["tasks"][0].update(weight=0.5), "the weight of task letters is 0.5 there and 0.75 here"),
        (
            lambda said: said.update(guards=[GUARDED]),
            "rule.guards is general there and none here",
        ),
        (lambda said: said.pop("tasks"), "not the verdict.json of a run; give one that `judge` wrote"),
    ],
)
def test_a_baseline_of_something_else_is_refused_and_nothing_is_written(before, tmp_path, change, says):
    verdict = kept(before) / "verdict.json"
    stamp, report = verdict.stat().st_mtime_ns, tmp_path / "junit.xml"
    done = judge(before, "--baseline", changed(before, tmp_path / "old.json", change), "--junit", report)
    assert done.exit_code == 2
    assert len(done.stderr.splitlines()) == 1
    assert says in done.stderr
    assert verdict.stat().st_mtime_ns == stamp
    assert not report.exists()


def test_a_baseline_that_is_not_there_stops_a_run_before_it_starts(before, tmp_path):
    words = ["run", before / "study.yaml", "--out", tmp_path / "runs", "--baseline", tmp_path / "none.json"]
    done = CliRunner().invoke(app, [str(word) for word in words])
    assert (done.exit_code, done.stdout) == (2, "")
    assert "none.json: no such file; keep a run's verdict.json and name it here" in done.stderr
    assert not (tmp_path / "runs").exists()


def test_a_report_that_cannot_be_written_stops_a_run_before_it_starts(before, tmp_path):
    (tmp_path / "file").write_text("in the way", "utf-8")
    for asked in (tmp_path, tmp_path / "file" / "junit.xml"):
        words = ["run", before / "study.yaml", "--out", tmp_path / "runs", "--junit", asked]
        done = CliRunner().invoke(app, [str(word) for word in words])
        assert (done.exit_code, done.stdout) == (2, "")
        assert done.stderr.startswith(f"tuneworth: --junit {asked}: cannot be written")
        assert not (tmp_path / "runs").exists()
