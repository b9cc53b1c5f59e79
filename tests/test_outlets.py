"""Where people already look: the summary and the JUnit XML that `tuneworth judge` leaves for CI."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
from judged_run import at_the_door as judge
from judged_run import drifts, finished, kept
from small_guards import guarding
from verdict_samples import sample

from eval.outlets import brief, junit
from eval.report import render
from eval.report.figures import number
from eval.report.view import exit_status
from eval.verdict import Verdict

OUTCOMES = ("worth_it", "not_worth_it", "inconclusive", "invalid", "exploratory", "plumbing")


@pytest.fixture(autouse=True)
def a_world_of_its_own(monkeypatch):
    monkeypatch.setenv("TUNEWORTH_CARDS", "")
    monkeypatch.delenv("GITHUB_STEP_SUMMARY", raising=False)


def cases(path: Path) -> dict[str, ET.Element]:
    return {case.get("name"): case for case in ET.parse(path).getroot().iter("testcase")}


def test_ten_lines_say_it_in_both_languages(tmp_path):
    prices = ("costs.gpu_hour=18", "costs.value_per_correct=1", "costs.queries=1000000")
    finished(tmp_path, *prices)
    assert judge(tmp_path, changes=prices).exit_code == 0
    first = kept(tmp_path) / "verdict.json"
    (tmp_path / "before.json").write_bytes(first.read_bytes())
    assert judge(tmp_path, "--baseline", tmp_path / "before.json", changes=prices).exit_code == 0
    v = Verdict.read(first)
    said = (kept(tmp_path) / "verdict.md").read_text("utf-8")
    lines = said.splitlines()
    assert len(lines) == 10
    assert lines[0] == "### study: Worth it · 值得"
    assert lines[2:4] == [f"- {v.sentence}", f"- {v.sentence_zh}"]
    assert f"Δ +{100 * v.delta.gain:.1f} [+{100 * v.delta.low:.1f}, +{100 * v.delta.high:.1f}]" in lines[4]
    for row in v.contenders:
        assert f"{row.name} {100 * row.score:.1f} ±" in lines[5]
    passed = sum(gate.status == "passed" for gate in v.gates)
    assert f"{passed} passed 通过" in lines[6]
    assert v.money.bills[0].tuning > 18  # the hour of training, and what the exam took
    assert f"tuning 微调 lora {number(v.money.bills[0].tuning)}; a query 每次查询 lora" in lines[7]
    assert v.provenance.plan[:12] in lines[8]
    assert "退出码 0" in lines[8]
    assert lines[9] == "- Drift 变动: none 无"


def test_a_summary_is_added_to_what_other_steps_said(tmp_path, monkeypatch):
    finished(tmp_path)
    summary = tmp_path / "steps.md"
    summary.write_text("before\n", "utf-8")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(summary))
    for _ in range(2):
        assert judge(tmp_path).exit_code == 0
    told = (kept(tmp_path) / "verdict.md").read_text("utf-8")
    assert summary.read_text("utf-8") == "before\n" + 2 * f"{told}\n"


def test_a_summary_that_cannot_be_written_is_one_line(tmp_path, monkeypatch):
    finished(tmp_path)
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(tmp_path))
    done = judge(tmp_path)
    assert done.exit_code == 2
    assert done.stderr.startswith(f"tuneworth: GITHUB_STEP_SUMMARY: {tmp_path} cannot be added to; unset it")
    assert not (kept(tmp_path) / "verdict.json").exists()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
def test_a_summary_on_a_full_disk_loses_nothing_else(tmp_path, monkeypatch):
    finished(tmp_path)
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", "/dev/full")
    done = judge(tmp_path, "--gate", "--junit", tmp_path / "junit.xml")
    assert done.exit_code == 0
    assert done.stderr.startswith("GITHUB_STEP_SUMMARY: /dev/full cannot be added to (")
    assert len(cases(tmp_path / "junit.xml")) > 5


def test_people_alone_are_costs(tmp_path):
    priced = ("costs.people=300",)
    finished(tmp_path, *priced)
    assert judge(tmp_path, changes=priced).exit_code == 0
    assert "tuning 微调 lora 300; a query" in (kept(tmp_path) / "verdict.md").read_text("utf-8")


def test_a_case_for_the_verdict_and_one_for_each_gate(tmp_path):
    finished(tmp_path)
    report = tmp_path / "deep" / "junit.xml"
    assert judge(tmp_path, "--gate", "--junit", report).exit_code == 0
    v, found = Verdict.read(kept(tmp_path) / "verdict.json"), cases(report)
    assert list(found) == ["verdict 结论", *(f"{gate.name} {gate.name_zh}" for gate in v.gates)]
    states = {"passed": None, "failed": "failure", "not_checked": "skipped", "unresolved": "skipped"}
    for gate in v.gates:
        case = found[f"{gate.name} {gate.name_zh}"]
        inner = [child.tag for child in case if child.tag != "system-out"]
        assert inner == [tag for tag in [states[gate.status]] if tag]
        assert gate.reason_zh in "".join(case.itertext())
    suite = ET.parse(report).getroot().find("testsuite")
    assert (suite.get("tests"), suite.get("failures")) == (str(len(found)), "0")


def test_a_failed_gate_is_a_failure_with_its_figure(tmp_path):
    """lora's adapter is not applied: what it answers is its base's, and the gate has the divergence."""
    from finetune.run import AdapterProbe

    idle = AdapterProbe(prompts=16, kl=1e-9, kl_same=1e-9, norm=1.0)
    finished(tmp_path, sit={"lora": {"adapter_probe": idle}})
    report = tmp_path / "junit.xml"
    assert judge(tmp_path, "--gate", "--junit", report).exit_code == 5
    found = cases(report)
    failure = found["adapter applied 适配器生效"].find("failure")
    assert failure.get("type") == "required"
    assert "the adapter moves the outputs by a KL of 1e-09" in failure.text
    assert found["verdict 结论"].find("failure").get("type") == "invalid"
    assert "1 failed 未通过: adapter applied 适配器生效" in (kept(tmp_path) / "verdict.md").read_text("utf-8")


def test_a_guard_is_a_case_and_drifts(tmp_path):
    guarding(tmp_path, {"lora": {"general": 0.4}}, tasks=["general"])
    change = (f"rule.guards={{tasks: [{json.dumps(str(tmp_path / 'general'))}]}}",)
    report, old = tmp_path / "junit.xml", tmp_path / "old.json"
    assert judge(tmp_path, "--gate", "--junit", report, changes=change).exit_code == 3
    v = Verdict.read(kept(tmp_path) / "verdict.json")
    (row,) = v.guards
    failure = cases(report)["lora: general ability in Chinese 中文通用能力"].find("failure")
    assert (failure.get("type"), row.reason.text in failure.text) == ("guard", True)
    assert f"−{100 * -row.gain:.1f} [" in failure.text
    said = json.loads((kept(tmp_path) / "verdict.json").read_text("utf-8"))
    said["guards"][0]["status"] = "passed"
    old.write_text(json.dumps(said), "utf-8")
    done = judge(tmp_path, "--baseline", old, changes=change)
    assert drifts(done.stdout)[-1].startswith(
        "guard lora, general ability in Chinese: passed → failed · 护栏 lora，中文通用能力: 通过 → 未通过"
    )
    line = (kept(tmp_path) / "verdict.md").read_text("utf-8").splitlines()[6]
    assert "Guards 护栏: 0 of 1 passed 通过; lora: general ability in Chinese 中文通用能力 未通过" in line


@pytest.mark.parametrize("outcome", OUTCOMES)
def test_a_red_verdict_and_a_status_that_is_not_0_go_together(outcome, tmp_path):
    v = sample(outcome)
    (tmp_path / "junit.xml").write_text(junit(v), "utf-8")
    found = cases(tmp_path / "junit.xml")
    assert exit_status(v) == {"worth_it": 0, "not_worth_it": 3, "inconclusive": 4, "invalid": 5, "exploratory": 8,
                              "plumbing": 0 if v.plumbing and v.plumbing.passed else 7}[outcome]  # fmt: skip
    assert (found["verdict 结论"].find("failure") is not None) == (exit_status(v) != 0)
    assert len(brief(v).splitlines()) <= 10


@pytest.mark.parametrize("outcome", ["invalid", "plumbing"])
def test_the_page_says_the_exit_status(outcome):
    v = sample(outcome)
    assert f'<dd id="exit-status">{exit_status(v)}</dd>' in render(v)


def test_a_smoke_run_says_plumbing_only_and_tells_its_checks(tmp_path):
    finished(tmp_path, "purpose=smoke", rates={"lora": 0.05})  # under blind guessing, which fails no plumbing
    report = tmp_path / "junit.xml"
    assert judge(tmp_path, "--gate", "--junit", report, changes=("purpose=smoke",)).exit_code == 0
    v, found = Verdict.read(kept(tmp_path) / "verdict.json"), cases(report)
    assert {f"{check.name} {check.name_zh}" for check in v.plumbing.checks} < set(found)
    assert found["below chance 低于瞎猜"].find("skipped") is not None
    assert not list(ET.parse(report).getroot().iter("failure"))
    told = (kept(tmp_path) / "verdict.md").read_text("utf-8").splitlines()
    assert told[0] == "### study: Plumbing only: pass · 仅为管线检查：通过"
    assert not any(line.startswith(("- Scores", "- Δ")) for line in told)


def test_what_others_wrote_stays_words(tmp_path):
    asked = 'question="# [x](http://e) <img src=x> *bold* & \\u0008 ]]> `code` a_b"'
    finished(tmp_path, asked)
    assert judge(tmp_path, "--junit", tmp_path / "junit.xml", changes=(asked,)).exit_code == 0
    line = (kept(tmp_path) / "verdict.md").read_text("utf-8").splitlines()[1]
    assert line.startswith(r"- \# [x\](http://e) \<img src=x\> \*bold\* &amp; ")
    assert line.endswith(r"\`code\` a_b")
    assert len(cases(tmp_path / "junit.xml")) > 5
    v = Verdict.read(kept(tmp_path) / "verdict.json")
    odd = v.model_copy(update={"sentence": "a\x00b\x1fc ]]> <&\ud800"})
    assert ET.fromstring(junit(odd).partition("\n")[2]).find(".//system-out").text.startswith("abc ]]> <&\n")
