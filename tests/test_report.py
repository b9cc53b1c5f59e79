"""The page: whole in both languages, faithful to the verdict, and unable to load or run anything from outside."""

from __future__ import annotations

import base64
import hashlib
import io
import re
from functools import cache
from typing import get_args
from xml.etree import ElementTree

import pytest
from reader import Reader, refuse_lone_words
from rich.console import Console
from verdict_samples import sample

from eval.benchmark import Scenario
from eval.report import render, table
from eval.report.figures import interval, number, points, probability, share
from eval.report.words import OUTCOMES, SCENARIOS, STATUSES
from eval.verdict import Verdict

ALL = ("worth_it", "not_worth_it", "inconclusive", "invalid", "exploratory", "plumbing")


HOSTILE = "<script>alert(1)</script><img src=http://evil.example/x onerror=alert(2)>"


@cache
def verdict(name: str) -> Verdict:
    return sample(name)


@cache
def page(outcome: str) -> str:
    return render(verdict(outcome))


@pytest.mark.parametrize("outcome", ALL)
def test_every_outcome_is_a_whole_page_that_says_its_word(outcome):
    made, read = verdict(outcome), Reader(page(outcome))
    assert made.outcome == outcome
    assert read.faults == []
    for svg in re.findall(r"<svg.*?</svg>", page(outcome), re.DOTALL):
        ElementTree.fromstring(svg)
    ids = [attrs["id"] for _, attrs, _, _ in read.elements if "id" in attrs]
    assert len(ids) == len(set(ids))
    named = {name for _, attrs, _, _ in read.elements for name in (attrs.get("aria-labelledby") or "").split()}
    assert named <= set(ids)
    for words in (OUTCOMES[outcome], (made.sentence, made.sentence_zh)):
        for said in words:
            assert said in read.text()


@pytest.mark.parametrize("outcome", ALL)
def test_both_languages_stand_side_by_side(outcome):
    refuse_lone_words(page(outcome))


def test_nothing_is_loaded_from_anywhere():
    made = page("worth_it")
    read = Reader(made)
    for tag, attrs, _, _ in read.elements:
        assert tag not in ("link", "img", "iframe", "object", "embed", "form", "base", "audio", "video"), tag
        for name, value in attrs.items():
            if name in ("src", "href", "xlink:href", "action", "srcset", "data", "style"):
                assert not re.search(r"//|data:|javascript:", value or ""), (tag, name, value)
            assert not name.startswith("on"), (tag, name)
    names = {"http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"}
    assert set(re.findall(r"https?://[^\"' <]+", made)) == names
    assert not re.search(r"@import|@font-face|url\((?!#)|fetch\(|XMLHttpRequest|sendBeacon|localStorage|cookie", made)


def test_only_its_own_script_may_run():
    made = page("worth_it")
    script = re.search(r"<script>(.*?)</script>", made, re.DOTALL).group(1)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    policy = re.search(r'Content-Security-Policy" content="([^"]+)"', made).group(1)
    assert f"script-src &#39;sha256-{digest}&#39;" in policy.replace("'", "&#39;")
    assert "default-src 'none'" in policy


def test_text_from_outside_stays_text():
    made = verdict("worth_it")
    line = made.model_dump_json().replace('"newer"', f'"{HOSTILE}"').replace("demo_label", HOSTILE)
    hostile = Verdict.model_validate_json(line).model_copy(
        update={"question": HOSTILE, "note": HOSTILE, "sentence": HOSTILE, "name": HOSTILE}
    )
    out = render(hostile)
    read = Reader(out)
    assert read.faults == []
    assert [tag for tag, *_ in read.elements].count("script") == 1
    assert "img" not in {tag for tag, *_ in read.elements}
    assert "<script>alert" not in out
    assert read.text().count("alert(1)") > 20
    for svg in re.findall(r"<svg.*?</svg>", out, re.DOTALL):
        ElementTree.fromstring(svg)


@pytest.mark.parametrize("outcome", ["worth_it", "not_worth_it", "inconclusive", "invalid", "exploratory"])
def test_every_number_is_on_the_page(outcome):
    v, said = verdict(outcome), Reader(page(outcome)).text()
    for contrast in (v.delta, v.tau, v.gamma):
        assert f"{points(contrast.gain)} {interval(contrast.low, contrast.high)}" in said
    assert number(v.delta.n) in said
    assert number(v.delta.clusters) in said
    assert points(v.power.mde, signed=False) in said
    assert number(v.power.items_for_margin) in said
    lead = next(c for c in v.comparisons if (c.role, c.challenger) == ("delta", v.challenger))
    assert f"{number(lead.spread.deff)} times the variance" in said
    assert f"{number(lead.spread.deff)} 倍于" in said
    assert {row.lang for row in lead.corpus} == {"zh", "en"}
    for row in lead.corpus:
        assert f"{points(row.gain)} {interval(row.low, row.high)}" in said
        assert points(row.challenger, signed=False) in said
    assert f"mid-p {probability(lead.mcnemar)}" in said
    assert said.count(interval(*lead.tango)) >= 2  # in both languages
    for row in lead.tasks:
        assert f"{points(row.gain)} {interval(row.low, row.high)}" in said
        assert points(row.mde, signed=False) in said
        assert share(row.variance_share) in said
        assert share(row.weight) in said
    for c in v.comparisons:
        assert f"{number(c.wins)} · {number(c.losses)} · {number(c.ties)}" in said
    for bill in v.money.bills:
        figures = (bill.tuning, bill.horizon, bill.extra_per_query, bill.breakeven.point, bill.net.point)
        assert all(value is None or number(value) in said for value in figures)


@pytest.mark.parametrize("outcome", ALL)
def test_contenders_gates_and_origins_are_on_the_page(outcome):
    v, made = verdict(outcome), page(outcome)
    said = Reader(made).text()
    for c in v.contenders:
        assert points(c.score, signed=False) in said
        for value in (c.seconds_per_query, c.tokens_in, c.tokens_out, c.scoring_seconds):
            assert number(value) in said
        assert all(share(part) in said for part in c.outcomes.values())
    for gate in v.gates:
        assert gate.name in said
        assert gate.reason in said
        assert gate.reason_zh in said
        assert f'data-gate="{gate.name}" data-status="{gate.status}"' in made
        assert STATUSES[gate.status].zh in said
    for task in v.tasks:
        assert task.items_digest in made
        assert f'data-edition="{task.edition}"' in made
    for origin in v.provenance.contenders:
        digests = [origin.weights_digest, *origin.adapters.values(), origin.chat_digest, origin.frame_digest or ""]
        assert all(digest in said for digest in digests)
        assert all(f"{name} {version}" in said for name, version in origin.versions.items())
    assert v.provenance.plan[:12] in re.search(r'id="plan-digest".*?</p>', made).group(0)
    assert v.provenance.extractor in said
    assert v.note in said


def test_without_a_family_there_is_no_curve():
    assert 'id="curve"' not in page("worth_it")
    assert 'href="#curve"' not in page("worth_it")
    out = io.StringIO()
    Console(file=out, width=2000).print(table(verdict("worth_it")))
    assert "more data?" not in out.getvalue()


def test_exact_values_for_machines():
    v = verdict("worth_it")
    head = re.search(r'<dl class="facts".*?>', page("worth_it"), re.DOTALL)[0]
    facts = dict(re.findall(r'data-([a-z-]+)="([^"]+)"', head))
    assert float(facts["delta-gain"]) == v.delta.gain
    assert float(facts["delta-low"]) == v.delta.low
    assert float(facts["delta-high"]) == v.delta.high
    assert float(facts["tau-gain"]) == v.tau.gain
    assert float(facts["gamma-gain"]) == v.gamma.gain
    assert float(facts["margin"]) == v.margin


def test_an_invalid_comparison_shows_its_fault_first_and_calls_nobody():
    made = page("invalid")
    broken = next(gate for gate in verdict("invalid").gates if gate.required and gate.status == "failed")
    banner = made[made.index('id="banner"') :]
    assert banner.index(f'data-fault="{broken.name}"') < banner.index(verdict("invalid").sentence[:20])
    assert 'id="rulings-head"' not in made
    assert 'id="rulings-head"' not in page("exploratory")
    assert 'id="rulings-head"' in page("worth_it")


def test_a_contest_that_was_not_held_shows_what_there_is():
    nothing = dict.fromkeys(("delta", "tau", "gamma", "power", "money")) | {"comparisons": (), "rulings": ()}
    bare = verdict("invalid").model_copy(update=nothing)
    read = Reader(render(bare))
    assert read.faults == []
    assert {"board", "health", "money", "provenance"} <= {attrs.get("id") for _, attrs, _, _ in read.elements}
    assert "interval" not in {attrs.get("id") for _, attrs, _, _ in read.elements}
    assert "there is no comparison to price" in read.text()
    Console(file=io.StringIO()).print(table(bare))


def test_a_smoke_run_is_stamped_and_never_a_verdict():
    made = page("plumbing")
    assert "Plumbing only: pass" in made
    assert 'data-pass="true"' in made
    assert 'id="interval"' not in made
    checks, said = verdict("plumbing").plumbing.checks, Reader(made).text()
    assert all(check.name in said and check.text_zh in said for check in checks)
    failed = [checks[0].model_copy(update={"passed": False}), *checks[1:]]
    broken = verdict("plumbing").model_copy(
        update={"plumbing": verdict("plumbing").plumbing.model_copy(update={"passed": False, "checks": tuple(failed)})}
    )
    assert "Plumbing only: fail" in render(broken)
    assert "仅为管线检查：未通过" in render(broken)


def test_unpinned_data_are_said_to_be():
    v = verdict("worth_it")
    assert "Unpinned data" not in page("worth_it")
    loose = v.model_copy(update={"tasks": (v.tasks[0].model_copy(update={"edition": "unpinned"}), *v.tasks[1:])})
    made = render(loose)
    assert "Unpinned data: the files of demo_label" in made
    assert "数据未固定" in made


def test_a_card_that_is_not_published_is_called_unpublished():
    """A card may be withheld without being anybody's secret."""
    made = verdict("worth_it")
    tasks = tuple(task.model_copy(update={"published": False}) for task in made.tasks)
    page = render(made.model_copy(update={"tasks": tasks}))
    assert page.count("未公开") == page.count("unpublished") == len(tasks)


def test_every_scenario_is_said_in_both_languages_where_a_task_names_one():
    assert {*SCENARIOS} == {*get_args(Scenario)}
    found = verdict("worth_it")
    tasks = tuple(task.model_copy(update={"scenario": "compliance"}) for task in found.tasks)
    named, bare = (
        render(found.model_copy(update={"tasks": tasks})),
        render(
            found.model_copy(
                update={"tasks": tuple(task.model_copy(update={"scenario": None}) for task in found.tasks)}
            )
        ),
    )
    for word in ("compliance Q&amp;A", "合规问答"):
        assert named.count(word) == len(tasks) > 0
        assert word not in bare


@pytest.mark.parametrize("margin", [0.0, -0.01, 0.3])
def test_any_margin_has_its_zones(margin):
    v = verdict("worth_it").model_copy(update={"margin": margin})
    made = render(v)
    assert Reader(made).faults == []
    assert ("equivalent, within" in made) == (margin > 0)


def test_without_prices_the_page_does_not_pretend():
    v = verdict("worth_it")
    bare = tuple(bill.model_copy(update={"breakeven": None, "net": None}) for bill in v.money.bills)
    money = v.money.model_copy(update={"value_per_correct": None, "queries": None, "bills": bare})
    made = render(v.model_copy(update={"money": money}))
    assert "not declared, so no break-even" in made
    assert "未声明，故无回本点" in made


def test_the_same_verdict_gives_the_same_small_page():
    made = page("worth_it")
    assert made == render(Verdict.model_validate_json(verdict("worth_it").model_dump_json()))
    assert len(made.encode()) < 400_000


@pytest.mark.parametrize("outcome", ALL)
def test_the_terminal_shows_the_table_and_both_sentences(outcome):
    v, out = verdict(outcome), io.StringIO()
    Console(file=out, width=2000).print(table(v))
    said = out.getvalue()
    assert v.sentence in said
    assert v.sentence_zh in said
    if outcome == "plumbing":
        assert all(check.name in said for check in v.plumbing.checks)
    else:
        assert all(f"{points(c.score, signed=False)} ±" in said for c in v.contenders)
        assert points(v.delta.gain) in said


def test_bold_only_where_no_neighbour_is_near():
    marked = re.findall(r'<tr data-contender="(\w+)"(.*?)</tr>', page("worth_it"), re.DOTALL)
    bold = [name for name, row in marked if "<strong>" in row]
    rows = sorted(verdict("worth_it").contenders, key=lambda c: -c.score)
    clear = [
        c.name
        for at, c in enumerate(rows)
        if all(o.high < c.low or o.low > c.high for o in rows[max(0, at - 1) : at + 2] if o is not c)
    ]
    assert clear == bold
    assert len(clear) < len(rows)
