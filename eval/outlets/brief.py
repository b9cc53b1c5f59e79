"""The verdict in ten lines of Markdown, both languages, for whoever reads a pull request."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from eval.gates import Gate
from eval.outlets.baseline import Change
from eval.report import view
from eval.report.figures import interval, number, points
from eval.report.words import STATUSES
from eval.verdict import Contrast, Verdict

MARKUP = re.compile(r"[\\`*<>|~]|\](?=[(\[:])|(?<!\w)_|_(?!\w)|^[#+\[-]")  # what makes more of a line than its words


def brief(v: Verdict, changes: Sequence[Change] = ()) -> str:
    """At most ten lines: word, question, sentence in both languages, effect, scores, gates, costs, origin, drift."""
    word = view.word(v)
    questions = dict.fromkeys((v.question, v.question_zh))
    lines = [
        " · ".join(questions), v.sentence, v.sentence_zh, _effect(v), _scores(v), _gates(v), _costs(v), _origin(v),
        _drift(changes),
    ]  # fmt: skip
    head = f"### {plain(f'{v.name}: {word.en} · {word.zh}')}"
    return "\n".join([head, *(f"- {plain(line)}" for line in lines if line)]) + "\n"


def plain(text: str) -> str:
    """One line that Markdown shows as it stands: names and questions are other people's words."""
    return MARKUP.sub(lambda mark: f"\\{mark[0]}", " ".join(text.replace("&", "&amp;").split()))


def _effect(v: Verdict) -> str:
    if v.delta is None:
        return ""
    signs = [(sign, found) for sign, found in zip("Δτ", (v.delta, v.tau), strict=True) if found]
    told = [f"{sign} {_span(found)}" for sign, found in [*signs, *([("Γ", v.gamma)] if v.gamma else [])]]
    first = f"{v.deciding.challenger} − {v.deciding.incumbent} {_span(v.deciding)}; " if v.deciding else ""
    size = f"{v.delta.n:,} questions 题, {v.delta.clusters:,} clusters 题组"
    return f"{first}{told[0]}, margin 门槛 {points(v.margin)}; {'; '.join([*told[1:], size])}"


def _span(found: Contrast) -> str:
    return f"{points(found.gain)} {interval(found.low, found.high)}"


def _scores(v: Verdict) -> str:
    if v.plumbing is not None:
        return ""  # of toys after a few steps, they say nothing
    rows = [(row.c.name, points(row.c.score, signed=False), row.half) for row in view.board(v)]
    told = (f"{name} {score}" + (f" ± {points(half, signed=False)}" if half else "") for name, score, half in rows)
    return f"Scores 得分: {', '.join(told)}"


def _gates(v: Verdict) -> str:
    """How many gates stand how, and which are not passed; a smoke run's checks."""
    if v.plumbing is not None:
        checks = v.plumbing.checks
        failed = [f"{check.name} {check.name_zh}" for check in v.plumbing.failed]
        count = sum(check.passed for check in checks)
        return f"Checks 检查: {count} of {len(checks)} passed 通过{_listed('; failed 未通过: ', failed)}"
    found: dict[str, list[Gate]] = {}
    for each in view.gates(v):
        found.setdefault(each.status, []).append(each)
    parts = (
        f"{len(gates)} {STATUSES[status].en} {STATUSES[status].zh}"
        + ("" if status == "passed" else _listed(": ", map(_named, gates)))
        for status, gates in found.items()
    )
    return f"Gates 检验: {'; '.join(parts)}{_guards(v)}"


def _guards(v: Verdict) -> str:
    """The same of guards, behind it."""
    if not v.guards:
        return ""
    open_ = (f"{row.challenger}: {' '.join(row.words)} {STATUSES[row.status].zh}" for row in v.guards
             if row.status != "passed")  # fmt: skip
    count = sum(row.status == "passed" for row in v.guards)
    return f". Guards 护栏: {count} of {len(v.guards)} passed 通过{_listed('; ', open_)}"


def _named(gate: Gate) -> str:
    return f"{gate.name} {gate.name_zh}" + ("" if gate.required else " (advisory 参考)")


def _listed(head: str, names: Iterable[str]) -> str:
    joined = ", ".join(names)
    return f"{head}{joined}" if joined else ""


def _costs(v: Verdict) -> str:
    """What tuning the lead cost, all in, and a query of it and of the incumbent; "" where nothing has a price."""
    rows = {row.name: row for row in v.contenders}
    lead, rival = rows[v.challenger], rows[v.incumbent]
    bills = v.money.bills if v.money else ()
    bill = next((bill for bill in bills if (bill.challenger, bill.rival) == (lead.name, rival.name)), None)
    if v.money is None or bill is None or not any((bill.tuning, lead.cost_per_query, rival.cost_per_query)):
        return ""
    asked = (f"{row.name} {number(row.cost_per_query)}" for row in (lead, rival))
    tuned = f"{lead.name} {number(bill.tuning)}"
    return f"Costs 成本, {v.money.currency}: tuning 微调 {tuned}; a query 每次查询 {', '.join(asked)}"


def _origin(v: Verdict) -> str:
    plan = v.provenance.plan
    told = f"plan 登记 {plan[:12]}" if plan else "no plan 未登记"
    return f"{told}, extractor 提取器 {v.provenance.extractor}, exit status 退出码 {view.exit_status(v)}"


def _drift(changes: Sequence[Change]) -> str:
    """Only what moved; all of it stands on the terminal."""
    told = "; ".join(each.told for each in changes if each.moved) or "none 无"
    return f"Drift 变动: {told}" if changes else ""
