"""JUnit XML: a test case for the verdict and one for each gate and guard (of a smoke run, for each check).

The dialect that GitHub's actions, GitLab and Jenkins read: testsuites, testsuite, testcase with failure or skipped.
"""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from eval.gates import Gate
from eval.report import view
from eval.report.figures import interval, points, tiny
from eval.report.words import STATUSES
from eval.verdict import Verdict
from eval.verdict.guards import GuardRow
from eval.verdict.plumbing import Check

State = Literal["passed", "failure", "skipped"]
STATES: dict[str, State] = {"passed": "passed", "failed": "failure"}  # whatever else stands open is skipped
FORBIDDEN = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")  # of XML 1.0


@dataclass(frozen=True)
class Case:
    """One test case; `kind` is the type of a failure, `text` its body."""

    group: str
    name: str
    state: State
    kind: str
    message: str
    text: str


def junit(v: Verdict) -> str:
    """The same verdict gives the same bytes. The verdict's own case passes where `--gate` would end with 0."""
    cases = [_verdict(v), *(_checks(v) if v.plumbing else map(_gate, v.gates)), *map(_guard, v.guards)]
    counts = {
        "tests": str(len(cases)), "failures": str(sum(case.state == "failure" for case in cases)), "errors": "0",
        "skipped": str(sum(case.state == "skipped" for case in cases)),
    }  # fmt: skip
    root = ET.Element("testsuites", {"name": "tuneworth", **counts})
    suite = ET.SubElement(root, "testsuite", {"name": _legal(f"tuneworth {v.name}"), **counts})
    for case in cases:
        _put(suite, v.name, case)
    ET.indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ET.tostring(root, encoding="unicode") + "\n"


def _put(suite: ET.Element, study: str, case: Case) -> None:
    named = {"classname": _legal(f"{study}.{case.group}"), "name": _legal(case.name), "time": "0"}
    entry = ET.SubElement(suite, "testcase", named)
    if case.state == "failure":
        body = ET.SubElement(entry, "failure", {"type": case.kind, "message": _legal(case.message)})
        body.text = _legal(case.text)
        return
    if case.state == "skipped":
        ET.SubElement(entry, "skipped", {"message": _legal(case.message)})
    ET.SubElement(entry, "system-out").text = _legal(case.text)


def _legal(text: str) -> str:
    """Without what XML cannot hold, escaped or not."""
    return FORBIDDEN.sub("", text)


def _verdict(v: Verdict) -> Case:
    word, said = view.word(v), f"{v.sentence}\n{v.sentence_zh}"
    state: Literal["passed", "failure"] = "failure" if view.exit_status(v) else "passed"
    return Case("verdict", "verdict 结论", state, v.outcome, f"{word.en} {word.zh}: {v.sentence}", said)


def _gate(gate: Gate) -> Case:
    """What failed is a failure, required or not (its type tells); what is open is skipped."""
    kind = "required" if gate.required else "advisory"
    status = STATUSES[gate.status]
    said = f"{gate.reason}\n{gate.reason_zh}\n" + "".join(f"{k}: {tiny(value)}\n" for k, value in gate.figures.items())
    message = f"{status.en} {status.zh}: {gate.reason}"
    state = STATES.get(gate.status, "skipped")
    return Case(f"gates.{kind}", f"{gate.name} {gate.name_zh}", state, kind, message, said)


def _guard(row: GuardRow) -> Case:
    """As a gate: harm shown is a failure, what is unresolved is skipped."""
    (en, zh), status = row.words, STATUSES[row.status]
    said = f"{points(row.gain)} {interval(row.low, row.high)}, borne 容许 {points(-row.margin)}\nn: {row.n}\n"
    said += f"clusters: {row.clusters}\n" + (f"shown in training 见于训练: {row.shown}\n" if row.shown else "")
    why = "" if row.status == "passed" else f": {row.reason.text}"
    said += "" if row.status == "passed" else f"{row.reason.text}\n{row.reason.text_zh}\n"
    state = STATES.get(row.status, "skipped")
    return Case("guards", f"{row.challenger}: {en} {zh}", state, "guard", f"{status.en} {status.zh}{why}", said)


def _checks(v: Verdict) -> Iterator[Case]:
    """Of a smoke run: its checks, the required gates among them, then the advisory gates, which fail nothing here."""
    for check in v.plumbing.checks if v.plumbing else ():
        yield _check(check)
    for gate in v.gates:
        if not gate.required:
            found = _gate(gate)
            yield Case(found.group, found.name, "skipped" if found.state == "failure" else found.state, found.kind,
                       found.message, found.text)  # fmt: skip


def _check(check: Check) -> Case:
    lost: Literal["failure", "skipped"] = "failure" if check.decides else "skipped"
    said = f"{check.text}\n{check.text_zh}"
    return Case("checks", f"{check.name} {check.name_zh}", "passed" if check.passed else lost, "plumbing",
                check.text, said)  # fmt: skip
