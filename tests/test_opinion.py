"""The judge of free answers: asked over a real wire, blind, in both orders; what it is worth, by hand and by draws."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
import small_server as does
import torch
import yaml
from conftest import build_checkpoint
from small_exam import model, teach, write_adapter, write_exam, write_recipe
from small_study import tuneworth, verdict
from test_served import place, url  # noqa: F401 (fixtures)

from eval import opinion, pledge
from eval.benchmark import Benchmark
from eval.opinion import settled, shown_as
from eval.opinion.asking import give, winner
from eval.opinion.tally import read_labels, rectified
from eval.report import render
from eval.score import __main__ as score
from eval.verdict import judge
from finetune.mistakes import BadInput
from finetune.recipe import Recipe
from finetune.run import RunDir

torch.set_num_threads(1)
pytestmark = pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated:FutureWarning")  # PEFT's
COUNT = 110
DRAWN = {"decoding": {"temperature": 1.2, "max_new_tokens": 6}}


@pytest.fixture(scope="module")
def scored(tmp_path_factory):
    """`old`, `brought` (an adapter on it) and `newer`, scored on 110 written answers; read only but for opinions."""
    folder = tmp_path_factory.mktemp("opinion")
    exam = write_exam(folder / "exam", count=COUNT)
    lesson = write_exam(folder / "lesson", count=24)  # enough to answer with a letter and stop, mostly
    old = teach(build_checkpoint(folder / "old", "qwen2"), lesson, "r1_distill_qwen", steps=25)
    newer = teach(build_checkpoint(folder / "newer", "qwen3"), lesson, "qwen3", steps=15)
    path = write_recipe(
        folder / "r.yaml", exam, model(old, "r1_distill_qwen", **DRAWN), model(newer, "qwen3", **DRAWN),
        write_adapter(folder / "adapter", old, spread=0.05), tasks=[f"{exam}/own_gen"], samples=1,
    )  # fmt: skip
    raw = yaml.safe_load(path.read_text("utf-8"))
    raw["contenders"] = {name: raw["contenders"][name] for name in ("old", "brought", "newer")}
    raw["rule"]["challengers"], raw["data"] = ["brought"], []
    path.write_text(yaml.safe_dump(raw, allow_unicode=True), "utf-8")
    for name in raw["contenders"]:
        assert score.main([str(path), "--contender", name, "--out", str(folder / "runs")]) == 0
    return folder


@pytest.fixture
def ask(scored, server):
    """ask(labels=..., revision=..., engine keys) -> the recipe with a judge; the log of an earlier test is gone."""
    for name in ("opinions.jsonl", "to_label.jsonl"):
        (scored / "runs/r/brought" / name).unlink(missing_ok=True)
    (scored / "runs/r/recipe.json").unlink(missing_ok=True)

    def read(labels=None, revision="r1", family="stranger", tasks=("own_gen",), **keys) -> Recipe:
        engine = {"kind": "openai", "url": server.url, "model": "judge", "retries": 3, "timeout_s": 30} | keys
        asked = {"tasks": list(tasks), "engine": engine, "revision": revision, "family": family, "labels": labels}
        return Recipe.read(scored / "r.yaml", (f"exam.judge={json.dumps(asked)}",))

    return read


def says(choose):
    """A judge that names what `choose` makes of (answer A, answer B)."""

    def say(body, reply):
        text = body["messages"][0]["content"]
        seen = json.loads(text[text.index("{") : text.rindex("}") + 1])
        content = f"Both were weighed.\nWinner: {choose(seen['answer A'], seen['answer B'])}"
        message = {"role": "assistant", "content": content}
        return reply | {"choices": [{"index": 0, "finish_reason": "stop", "message": message}]}

    return say


def larger(a: str, b: str) -> str:
    return "A" if a > b else "B"


def given(scored, recipe) -> list[opinion.Opinion]:
    run = RunDir(scored / "runs/r")
    give(recipe, run, lambda said: None)
    return opinion.read(run.opinions("brought"))


def judged(scored, recipe):
    run = RunDir(scored / "runs/r")
    pledge.keep(recipe, run, Benchmark.read(recipe))
    found = judge(recipe, run)
    return found, next(gate for gate in found.gates if gate.name == "judge")


def test_every_pair_is_judged_in_both_orders_and_blind(scored, server, ask):
    server.say = says(larger)
    rows = given(scored, ask())
    assert len(rows) == COUNT == len({row.id for row in rows})
    asked = [row for row in rows if row.texts != ("", "")]
    assert len(server.seen) == 2 * len(asked) > 40
    assert all(row.agreed for row in rows)
    assert {row.side for row in asked} == {"challenger", "rival"}
    for body in server.seen:
        assert body["temperature"] == 0
        told = json.dumps(body, ensure_ascii=False)
        assert not any(name in told for name in ("brought", "newer", "rival", "challenger", "incumbent"))
    orders = [body["messages"][0]["content"] for body in server.seen]
    assert len(set(orders)) == len(orders)
    assert {"比较对同一问题" in text for text in orders} == {True, False}  # each in its question's language


def test_a_judge_of_places_sees_only_ties(scored, server, ask):
    server.say = says(lambda a, b: "A")
    rows = given(scored, ask())
    assert {row.side for row in rows} == {"tie"}
    found, gate = judged(scored, ask())
    (told,) = found.opinions
    assert (told.wins, told.losses, told.ties, told.turned, told.first) == (0, 0, COUNT, 1, 1)
    assert (told.corrected, told.agreement, told.labels) == (None, None, 0)
    assert (gate.status, gate.required) == ("not_checked", False)
    made = render(found)
    assert 'data-opinion="brought-own_gen"' in made
    assert "标注不足" in made
    assert "too few labels" in made


def test_what_cannot_be_read_is_a_tie_and_counted(scored, server, ask):
    rows = given(scored, ask())  # the small server's own words: A, B or C without a winner
    assert {row.said for row in rows} == {(None, None)}
    found, _ = judged(scored, ask())
    assert (found.opinions[0].unread, found.opinions[0].ties) == (1, COUNT)


def test_labels_of_people_correct_the_judge_and_nothing_decides(scored, server, ask, tmp_path):
    """People say the opposite of what the judge says: its mean turns."""
    server.say = says(larger)
    rows = given(scored, ask())
    sheet = [json.loads(line) for line in (scored / "runs/r/brought/to_label.jsonl").read_text("utf-8").splitlines()]
    assert [row["id"] for row in sheet] != [f"own_gen/q{number}" for number in range(COUNT)]
    for row in sheet[:104]:
        row["label"] = (
            "tie" if row["answer A"] == row["answer B"] else "B" if row["answer A"] > row["answer B"] else "A"
        )
    labels = tmp_path / "labelled.jsonl"
    labels.write_text("".join(json.dumps(row) + "\n" for row in sheet), "utf-8")
    f = {row.pair: opinion.WORTH[row.side] for row in rows}
    unlike = [row for row in sheet if row["answer A"] != row["answer B"]]
    assert {f[row["pair"]] for row in unlike} == {1, -1}
    assert all((row["answer A"] > row["answer B"]) == ((f[row["pair"]] > 0) == shown_as(row["pair"])) for row in unlike)
    plain, _ = judged(scored, ask())
    found, gate = judged(scored, ask(str(labels)))
    (told,) = found.opinions
    assert (told.n, told.labels, gate.status) == (COUNT, 104, "passed")
    theirs = [f[row["pair"]] for row in sheet]
    assert told.agreement == pytest.approx(theirs[:104].count(0) / 104)
    assert told.judged.gain == pytest.approx((told.wins - told.losses) / COUNT)
    assert told.corrected.gain == pytest.approx(np.mean(theirs[104:]) - 2 * np.mean(theirs[:104]))
    assert told.corrected.low < told.corrected.gain < told.corrected.high
    assert (found.outcome, found.delta) == (plain.outcome, plain.delta)
    assert "data-corrected=" in render(found)
    labels.write_text("".join(json.dumps(row) + "\n" for row in sheet[:99]), "utf-8")
    found, gate = judged(scored, ask(str(labels)))
    assert (found.opinions[0].corrected, gate.status) == (None, "not_checked")
    assert "人工标注 99 条" in gate.reason_zh


@pytest.mark.parametrize("fault", [does.busy, does.broken, does.cut_off, does.torn, does.elsewhere])
def test_what_may_pass_is_asked_again(scored, server, ask, fault):
    server.say = says(larger)
    server.faults = [None, fault, None, fault]
    assert len(given(scored, ask(concurrency=2))) == COUNT


def test_a_server_that_fails_ends_it_and_a_second_start_goes_on(scored, server, ask):
    server.say = says(larger)
    server.faults = [None] * 21 + [does.broken] * 400
    with pytest.raises(BadInput, match="what was judged is kept, start again to go on"):
        given(scored, ask(retries=0, concurrency=1))
    log = scored / "runs/r/brought/opinions.jsonl"
    kept = opinion.read(log)
    assert 5 <= len(kept) < COUNT
    found, gate = judged(scored, ask())
    assert found.opinions[0].n == len(kept)
    assert f"pairs left: {COUNT - len(kept)}" in gate.reason
    with log.open("a") as torn:
        torn.write('{"judge": "x", "sco')
    server.faults.clear()
    before = len(server.seen)
    rows = given(scored, ask())
    assert rows[: len(kept)] == kept
    assert len(rows) == COUNT == len({row.id for row in rows})
    assert len(server.seen) - before == 2 * sum(row.texts != ("", "") for row in rows[len(kept) :])
    again = len(server.seen)
    given(scored, ask())
    assert len(server.seen) == again
    given(scored, ask(revision="r2"))
    assert len(server.seen) == again + 2 * sum(row.texts != ("", "") for row in rows)
    assert judged(scored, ask())[0].opinions[0].n == COUNT  # of this revision alone


def test_a_server_that_changes_its_model_is_no_fixed_revision(scored, server, ask):
    names = iter(range(10_000))
    choose = says(larger)
    server.say = lambda body, reply: choose(body, reply | {"model": f"m{next(names) // 30}"})
    given(scored, ask())
    found, gate = judged(scored, ask())
    assert (gate.status, gate.required) == ("failed", False)
    assert "m0 fp_1, m1 fp_1" in gate.reason
    assert found.outcome != "invalid"


def test_a_judge_is_part_of_the_plan_and_none_leaves_it_as_it_was(scored, ask):
    bare = Recipe.read(scored / "r.yaml")
    benchmark = Benchmark.read(bare)
    assert pledge.digest(ask(), benchmark) != pledge.digest(bare, benchmark)
    assert pledge.digest(ask("x.jsonl"), benchmark) == pledge.digest(ask(), benchmark)  # labels come later


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ({"family": "qwen3"}, "qwen3 is brought's too"),
        ({"family": "NEWER"}, "NEWER is newer's too"),
        ({"family": "qwen"}, "qwen is brought's too"),
        ({"family": "Qwen 2.5"}, "Qwen 2.5 is brought's too"),
        ({"family": "Alibaba's Qwen"}, "qwen is brought's too"),
        ({"family": "mistral", "model": "qwen3-72b"}, "qwen is brought's too"),
        ({"family": "stranger", "model": "Qwen/QwQ-32B"}, "qwen is brought's too"),
        ({"model": "deepseek-chat"}, "deepseek is brought's too"),  # the teacher of the distills
        ({"tasks": ["own_gen", "own_gen"]}, "exam.judge.tasks: own_gen stands twice"),
        ({"tasks": ["other"]}, "other is not among exam.tasks"),
        ({"api": "completions"}, "a judge is asked by messages"),
        ({"url": "https://api.example.com/v1"}, "api.example.com is not this machine"),
    ],
)
def test_a_judge_that_will_not_do_is_refused(ask, keys, said):
    with pytest.raises(BadInput) as fault:
        ask(**keys)
    assert said in str(fault.value)


def test_a_stranger_is_asked_whoever_serves_it(ask):
    for keys in ({"family": "mistral", "model": "ollama/mistral"}, {"family": "o1"}, {"model": "/qwen/weights/gemma"}):
        assert ask(**keys).exam.judge is not None
    judge_ = ask(family="meta", model="llama-3.3-70b").exam.judge
    assert judge_.kin("plain", "/x/Llama-3.1-8B") == judge_.kin("r1_distill_llama", "/x/old") == "llama"
    assert judge_.kin("served", "my/base", "meta-llama/Llama-3.1-8B") == "llama"
    assert judge_.kin("qwen3", "/llama/newer") is None


def test_a_sheet_in_which_people_wrote_is_never_written_over(scored, server, ask):
    """Not on a second start, not where the pairs are others by now, not where it is the recipe's own `labels`."""
    server.say = says(larger)
    sheet = scored / "runs/r/brought/to_label.jsonl"
    given(scored, ask())
    fresh = sheet.read_text("utf-8")
    rows = [json.loads(line) for line in fresh.split("\n")[:-1]]
    rows[3]["label"], rows[0]["pair"] = "A", "of an earlier scoring"
    labelled = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    for held in (
        labelled,
        fresh + "half a li",
        fresh.replace('"label": ""', '"label": "", "why": "x"', 1),
        "[" * 100_000,
    ):
        sheet.write_text(held, "utf-8")
        said = []
        give(ask(str(sheet)), RunDir(scored / "runs/r"), said.append)
        assert sheet.read_text("utf-8") == held
        assert [line for line in said if "has been written in and is kept" in line and str(sheet) in line]
    sheet.write_text(fresh.replace("q1", "q2", 1), "utf-8")
    said = []
    give(ask(), RunDir(scored / "runs/r"), said.append)
    assert sheet.read_text("utf-8") == fresh
    assert not [line for line in said if "is kept" in line]


def test_labels_of_no_pair_are_told(scored, server, ask, tmp_path):
    server.say = says(larger)
    rows = given(scored, ask())
    labels = tmp_path / "l.jsonl"
    named = [rows[0].pair, rows[1].pair, "x", "y", "z"]
    labels.write_text("".join(json.dumps({"id": "i", "pair": each, "label": "A"}) + "\n" for each in named), "utf-8")
    found, gate = judged(scored, ask(str(labels)))
    assert (found.opinions[0].labels, found.opinions[0].strays) == (2, 3)
    assert "3 labels are of no pair judged here" in gate.reason
    assert "3 条标注不属于" in gate.reason_zh
    assert "3 条标注不属于" in render(found)
    assert "of no pair" not in judged(scored, ask())[1].reason


def test_answers_go_to_no_host_that_the_card_does_not_name(scored, ask):
    recipe = ask(url="https://judge.example.com/v1", allow_remote=True)
    with pytest.raises(BadInput, match="in `hosts` of card own, if it may see the questions"):
        given(scored, recipe)


def test_the_front_door_asks_and_refuses(scored, server, ask, tmp_path):
    server.say = says(larger)
    told = {"tasks": ["own_gen"], "engine": {"kind": "openai", "url": server.url, "model": "judge"}}
    change = f"exam.judge={json.dumps(told | {'revision': 'r1', 'family': 'stranger'})}"
    line = ["opinions", scored / "r.yaml", "--out", scored / "runs"]
    done = tuneworth(*line, "--set", change)
    assert done.returncode == 0, done.stderr
    assert f"opinions brought: {COUNT} of {COUNT} pairs to go" in done.stdout
    done = tuneworth("judge", scored / "r.yaml", "--out", scored / "runs", "--set", change)
    assert done.returncode == 0, done.stderr
    assert verdict(scored / "runs", "r")["opinions"][0]["n"] == COUNT
    for more, said in (((), "exam.judge: the recipe has none"), (("--contender", "newer"), "")):
        done = tuneworth(*line, *more)
        assert (done.returncode, said in done.stderr) == (2, True)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ('{"id": "t/1", "pair": "p"}', "needs id, pair and label"),
        ('{"id": "t/1", "pair": "p", "label": "C"}', "needs id, pair and label"),
        ('{"id": "t/1", "pair": "p", "label": "A"}\n{"id": "t/1", "pair": "p", "label": "B"}', "two unlike labels"),
        ("nonsense", "needs id, pair and label"),
        ("\n" + "[" * 100_000, r"l\.jsonl:2: needs id, pair and label"),
    ],
)
def test_bad_labels_are_refused_with_their_line(tmp_path, line, said):
    (tmp_path / "l.jsonl").write_text(line + "\n", "utf-8")
    with pytest.raises(BadInput, match=said):
        read_labels(tmp_path / "l.jsonl")
    with pytest.raises(BadInput, match="cannot be read"):
        read_labels(tmp_path / "none.jsonl")


def test_empty_labels_are_none(tmp_path):
    (tmp_path / "l.jsonl").write_text('{"id": "t/1", "pair": "p", "label": ""}\n\n', "utf-8")
    assert read_labels(tmp_path / "l.jsonl") == {}


def test_an_answer_may_hold_line_breaks_of_other_scripts(tmp_path):
    row = {"id": "t/1", "pair": "p", "answer A": "one\u2028two\u0085three", "label": "A"}
    (tmp_path / "l.jsonl").write_bytes(json.dumps(row, ensure_ascii=False).encode() + b"\r\n")
    assert read_labels(tmp_path / "l.jsonl") == {"p": "A"}


@pytest.mark.parametrize(
    ("answer", "read"),
    [
        ("So.\nWinner: A", "A"), ("**Winner: tie**\n", "tie"), ("winner: b.", "B"), ("Winner：A", "A"),
        ("Winner: A\nor not", None), ("A", None), ("", None), ("Winner: C", None), ('"Winner: A" it says', None),
    ],
)  # fmt: skip
def test_the_last_line_names_the_winner(answer, read):
    assert winner(answer) == read


@pytest.mark.parametrize(
    ("said", "found"),
    [
        (("A", "B"), ("challenger", True)), (("B", "A"), ("rival", True)), (("tie", "tie"), ("tie", True)),
        (("A", "A"), ("tie", False)), (("B", "B"), ("tie", False)), (("A", "tie"), ("tie", False)),
        (("A", None), ("tie", False)), ((None, None), ("tie", False)),
    ],
)  # fmt: skip
def test_only_what_holds_in_both_orders_counts(said, found):
    assert settled(*said) == found


def test_the_formula_by_hand():
    """N = 4, n = 3, every pair its own document: theta = 0.25 + 1/3; the variance of each part over its count."""
    from scipy.stats import t

    f, judged_, labels = [1, 0, -1, 1], [1, -1, 0], [1, 0, 0]
    found = rectified(f, list("abcd"), judged_, labels, list("xyz"), 0.95)
    first = ((1 - 0.25) ** 2 * 2 + 0.25**2 + 1.25**2) / 3 / 4  # Var(f) / N = 2.75 / 12
    second = ((1 / 3) ** 2 * 2 + (2 / 3) ** 2) / 2 / 3  # Var(y - f) / n of 0, 1, 0
    assert (first, second) == (pytest.approx(2.75 / 12), pytest.approx(1 / 9))
    assert found.gain == pytest.approx(0.25 + 1 / 3)
    df = (first + second) ** 2 / (first**2 / 3 + second**2 / 2)
    plain = t.ppf(0.975, df) * math.sqrt(first + second)
    # Few clusters: the wild bootstrap may widen it, and a preference lies in [-1, 1].
    assert found.low <= found.gain - plain + 1e-9 or found.low == -1
    many = rectified(f * 20, range(80), judged_ * 20, labels * 20, range(100, 160), 0.95)
    first, second = 20 * 2.75 / 79 / 80, 20 * (2 / 3) / 59 / 60
    df = (first + second) ** 2 / (first**2 / 79 + second**2 / 59)
    reach = t.ppf(0.975, df) * math.sqrt(first + second)
    assert (many.low, many.high) == (pytest.approx(many.gain - reach), pytest.approx(many.gain + reach))


def test_where_all_are_labelled_it_is_their_mean_and_without_spread_it_is_no_point():
    found = rectified([], [], [1, 1, 1], [1, 0, -1], "abc", 0.95)
    assert found.gain == 0
    sure = rectified([1] * 50, range(50), [1] * 100, [1] * 100, range(50, 150), 0.95)
    assert (sure.gain, sure.high) == (1, 1)
    assert sure.low == pytest.approx(1 - 2 * -math.log(0.025) / 100)
    alone = rectified([1, 0], "ab", [1, 1], [0, 1], "cc", 0.95)
    assert (alone.gain, alone.low) == (pytest.approx(0.5 - 0.5), None)


def test_the_interval_covers_at_its_rate_where_the_judge_alone_does_not():
    """A judge that agrees with people three times of four, and else prefers the challenger; 500 seeded draws of 400
    pairs in 200 documents, 120 of them labelled."""
    rng, truth, covered, biased, widths = np.random.default_rng(7), 0.1, 0, 0, []
    for _ in range(500):
        shift = np.repeat(rng.normal(0, 0.15, 200), 2)  # documents lean one way
        y = np.where(rng.random(400) < (1 + truth) / 2 + shift, 1.0, -1.0)
        f = np.where(rng.random(400) < 0.75, y, 1.0)
        ids = np.arange(400) // 2
        found = rectified(f[120:], ids[120:], f[:120], y[:120], ids[:120], 0.95)
        plain = rectified([], [], f, f, ids, 0.95)
        people = rectified([], [], f[:120], y[:120], ids[:120], 0.95)
        covered += found.low <= truth <= found.high
        biased += plain.low <= truth <= plain.high
        widths.append((found.high - found.low) / (people.high - people.low))
    assert 0.925 <= covered / 500 <= 0.975
    assert biased / 500 < 0.1
    assert np.mean(widths) < 0.95  # and the judge has narrowed what 120 labels alone would say


@pytest.mark.slow
def test_a_real_server_judges(scored, ask, place, url):  # noqa: F811
    """A tiny checkpoint's opinions are noise; its words are kept, both orders, and asked for once."""
    recipe = ask(url=url, model=str(place / "lively"), concurrency=2, timeout_s=120)
    judge_ = recipe.exam.judge.model_copy(update={"max_new_tokens": 8})
    recipe = recipe.model_copy(update={"exam": recipe.exam.model_copy(update={"judge": judge_})})
    rows = given(scored, recipe)
    asked = [row for row in rows if row.texts != ("", "")]
    assert len(rows) == COUNT
    assert asked
    assert {row.models for row in asked} == {(f"{place}/lively@main",)}
    assert all(row.tokens_in > 50 and row.tokens_out > 0 for row in asked)
    found, gate = judged(scored, recipe)
    assert (found.opinions[0].n, gate.status) == (COUNT, "not_checked")
