"""The page: whole in both languages, faithful to the verdict, and unable to load or run anything from outside."""

from __future__ import annotations

import base64
import hashlib
import io
import math
import re
from functools import cache
from html.parser import HTMLParser
from typing import get_args
from xml.etree import ElementTree

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console
from verdict_samples import DEMO, PLANNED, SKILL, curved, evidence, sample

from eval.benchmark import Scenario
from eval.report import charts, render, table
from eval.report.board import places
from eval.report.figures import interval, less, number, points, probability, share, tiny
from eval.report.words import OUTCOMES, SCENARIOS, STATUSES, same
from eval.verdict import Verdict, weigh
from finetune.recipe import Recipe

ALL = ("worth_it", "not_worth_it", "inconclusive", "invalid", "exploratory", "plumbing")
VOID = {"meta", "link", "br", "img", "input", "hr"}
CJK = re.compile(r"[\u4e00-\u9fff]")
HOSTILE = "<script>alert(1)</script><img src=http://evil.example/x onerror=alert(2)>"

CURVES = {"curve": "", "a curve with a hole": "lora_0.3"}


@cache
def verdict(name: str) -> Verdict:
    return curved(CURVES[name]) if name in CURVES else sample(name)


@cache
def page(outcome: str) -> str:
    return render(verdict(outcome))


class Reader(HTMLParser):
    """Checks that tags close in order; keeps elements as (tag, attributes, text directly in them, parent)."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[int] = []
        self.elements: list[tuple[str, dict[str, str | None], list[str], int]] = []
        self.faults: list[str] = []
        self.feed(text)
        self.faults += [self.elements[at][0] for at in self.open]

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs), [], self.open[-1] if self.open else -1))
        if tag not in VOID:
            self.open.append(len(self.elements) - 1)

    def handle_startendtag(self, tag, attrs):
        self.elements.append((tag, dict(attrs), [], self.open[-1] if self.open else -1))

    def handle_endtag(self, tag):
        if not self.open or self.elements[self.open[-1]][0] != tag:
            self.faults.append(f"</{tag}> at {self.getpos()}")
        else:
            self.open.pop()

    def handle_data(self, data):
        if self.open:
            self.elements[self.open[-1]][2].append(data)

    def text(self) -> str:
        return " ".join("".join(found) for tag, _, found, _ in self.elements if tag not in ("script", "style"))


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


@pytest.mark.parametrize("outcome", [*ALL, *CURVES])
def test_both_languages_stand_side_by_side(outcome):
    read = Reader(page(outcome))
    named = [(at, attrs.get("class")) for at, (_, attrs, _, _) in enumerate(read.elements)]
    spoken = [(at, name) for at, name in named if name in ("en", "zh")]
    assert len(spoken) > 100
    assert [name for _, name in spoken] == ["en", "zh"] * (len(spoken) // 2)
    for (en, _), (zh, _) in zip(spoken[::2], spoken[1::2], strict=True):
        assert read.elements[en][3] == read.elements[zh][3], "the two languages of one text have one parent"
        assert read.elements[en][1]["lang"] == "en"
        assert read.elements[zh][1]["lang"] == "zh-CN"
        english, chinese = ("".join(read.elements[at][2]).strip() for at in (en, zh))
        assert english or chinese
        assert not CJK.search(english), english
        assert CJK.search(chinese) or not re.search(r"[A-Za-z]{4}", chinese), chinese


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


def test_the_page_says_why_an_engine_was_chosen():
    """Where the recipe names none; once for all where it holds for all, and in English alone where no more is known."""
    v = verdict("worth_it")
    assert 'lang="en">Why this engine' not in render(v)
    why = {"engine_why": "vLLM is not installed here", "engine_why_zh": "此处未安装 vLLM"}

    def told(**keys):
        origins = tuple(o.model_copy(update=keys) for o in v.provenance.contenders)
        made = render(v.model_copy(update={"provenance": v.provenance.model_copy(update={"contenders": origins})}))
        return re.findall(r"<dt>[^/]*Why this engine.*?</dd>", made)

    (fact,) = told(**why)
    assert "选用此引擎的原因" in fact
    assert 'lang="en">vLLM is not installed here<' in fact
    assert 'lang="zh-CN">此处未安装 vLLM<' in fact
    (fact,) = told(engine_why=why["engine_why"])
    assert "<dd>vLLM is not installed here</dd>" in fact


def test_the_page_says_who_answers_by_a_head_and_what_a_tuning_goes_on_from():
    headed = Recipe.read(DEMO, ("contenders.lora.head=sequence", "contenders.prefix.head=token"))
    v = weigh(evidence(headed, SKILL, PLANNED + 600))
    assert {c.name: c.head for c in v.contenders if c.head} == {"lora": "sequence", "prefix": "token"}
    rows = tuple(c.model_copy(update={"start": "the wider one"} if c.name == "lora" else {}) for c in v.contenders)
    said = Reader(render(v.model_copy(update={"contenders": rows}))).text()
    for words in ("one label a question, no words", "每题给出一个标签", "tags passages of the text", "标注文中片段"):
        assert said.count(words) == 1
    assert "Goes on from 接续自 the wider one" in " ".join(said.split())


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (None, "–"),
        ("none", "none"),
        (1.74e-13, "1.7e-13"),
        (0.502, "0.5"),
        (15.2, "15"),
        (99.6, "99.6"),
        (1234, "1,234"),
    ],
)
def test_an_exponent_stands_only_where_a_figure_is_small(value, said):
    assert tiny(value) == said


@pytest.mark.parametrize("name", CURVES)
def test_the_curve_tells_the_figures_of_its_verdict(name):
    (curve,), made = verdict(name).curves, page(name)
    read = Reader(made)
    assert read.faults == []
    for svg in re.findall(r"<svg.*?</svg>", made, re.DOTALL):
        ElementTree.fromstring(svg)
    shown = made[made.index('<section id="curve"') :]
    alt = re.search(r'<figcaption id="curve0-caption">.*?</figcaption>', shown, re.DOTALL)[0]
    assert shown.count('role="img" aria-labelledby="curve0-caption"') == 2
    assert curve.sentence in read.text()
    assert curve.sentence_zh in read.text()
    rows = [(f'data-point="{p.contender}" data-rows="{p.rows}"', p) for p in curve.points]
    for head, each in [*rows, (f'data-step="{curve.step.more}-{curve.step.fewer}"', curve.step)]:
        row = re.search(rf"<tr {head}.*?</tr>", shown, re.DOTALL)[0]
        if each.gain is None:
            assert "data-gain" not in row
            assert "×" in row
            continue
        exact = tuple(float(re.search(rf'data-{end}="([^"]+)"', row)[1]) for end in ("gain", "low", "high"))
        assert exact == (each.gain.gain, each.gain.low, each.gain.high)
        assert points(each.gain.gain) in row
        assert interval(each.gain.low, each.gain.high) in row
    for p in curve.points:
        gain = f"{points(p.gain.gain)} {interval(p.gain.low, p.gain.high)}" if p.gain else "×"
        assert f"{number(p.rows)}: {gain}" in alt
        assert p.fault in read.text()
        assert p.fault_zh in read.text()
    out = io.StringIO()
    Console(file=out, width=2000).print(table(verdict(name)))
    (line,) = [line for line in out.getvalue().splitlines() if line.startswith("more data? 加数据？ lora, ")]
    told = interval(curve.step.gain.low, curve.step.gain.high) if curve.step.gain else curve.step.fault
    assert told in line


def test_places_on_the_curve_are_logarithms_of_rows_and_gains():
    found = {60: 0.0, 180: 0.1, 600: 0.3}
    spots = [(rows, charts.Bar(same("x"), same(""), gain, gain - 0.05, gain + 0.05)) for rows, gain in found.items()]
    drawn = charts.curve("c-wide", "wide", "newer", spots, 0.02)
    marks = re.findall(r'<use [^>]*x="([\d.]+)" y="([\d.]+)"[^>]*stroke-width: 2;[^>]*/>', drawn)
    (x1, y1), (x2, y2), (x3, y3) = [(float(x), float(y)) for x, y in marks]
    assert (x2 - x1) / (x3 - x1) == pytest.approx(math.log(3) / math.log(10), abs=1e-4)
    assert (y1 - y2) / (y1 - y3) == pytest.approx(1 / 3, abs=1e-4)
    assert y1 > y3, "more is higher"


def test_without_a_family_there_is_no_curve():
    assert 'id="curve"' not in page("worth_it")
    assert 'href="#curve"' not in page("worth_it")
    assert 'href="#curve"' in page("curve")
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
    nothing = {
        "delta": None,
        "tau": None,
        "gamma": None,
        "power": None,
        "money": None,
        "comparisons": (),
        "rulings": (),
    }
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
    made = sample("worth_it")
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


def test_ranks_of_the_leaderboard():
    found = places([(0.50, 0.45, 0.55), (0.80, 0.78, 0.82), (0.53, 0.48, 0.58), (0.20, 0.18, 0.22)])
    assert [(place.index, place.rank, place.clear) for place in found] == [
        (1, "1", True), (2, "2–3", False), (0, "2–3", False), (3, "4", True),
    ]  # fmt: skip


@settings(deadline=None, max_examples=60)
@given(st.lists(st.tuples(st.floats(0, 1), st.floats(0, 0.5), st.floats(0, 0.5)), min_size=1, max_size=7))
def test_ranks_never_part_what_overlaps(drawn):
    spans = [(score, score - below, score + above) for score, below, above in drawn]
    found = {place.index: place for place in places(spans)}
    assert min(place.best for place in found.values()) == 1
    for i, (_, low, high) in enumerate(spans):
        assert found[i].best <= found[i].worst
        for j, (_, other_low, other_high) in enumerate(spans):
            if low <= other_high and other_low <= high:
                assert found[i].best <= found[j].worst, "overlapping contenders can share a rank"
            if other_low > high:
                assert found[j].worst < found[i].best or found[j].best < found[i].best


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


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.0312, "+3.1"), (-0.0312, "−3.1"), (0.0004, "0.0"), (-0.0004, "0.0"), (0.99951, "+100.0"), (0, "0.0")],
)
def test_points(value, text):
    assert points(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (160.00000001, "160"), (160, "160"), (1234.6, "1,235"), (0.000123456, "0.000123"), (0.0, "0"),
        (-12.34, "−12.3"), (None, "–"), (float("inf"), "∞"), (999.96, "1,000"), (1e-12, "0"),
    ],
)  # fmt: skip
def test_numbers(value, text):
    assert number(value) == text


def test_small_words():
    assert (share(0.0), share(0.0001), share(0.5)) == ("0.0%", "<0.1%", "50.0%")
    assert (less(0.02), less(-0.02)) == ("− 2.0", "+ 2.0")
