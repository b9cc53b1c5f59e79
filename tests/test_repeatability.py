"""A contender beside itself: the probe by its entry points, and every figure by hand on rows changed by hand."""

from __future__ import annotations

import json

import pytest
import torch
from conftest import build_checkpoint
from small_exam import model, teach, write_adapter, write_exam, write_recipe
from small_server import serving
from small_study import tuneworth
from test_served import GREEDY, place, url, write  # noqa: F401 (fixtures)
from written_exam import graded, row

from eval.repeatability import Repeatability, apart, changes, prefix
from eval.score import __main__ as score
from finetune.mistakes import BadInput

torch.set_num_threads(1)
HOT = {"decoding": {"temperature": 1.5, "max_new_tokens": 8}}


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """A recipe whose `old` draws at a high temperature and whose `newer` is greedy; `brought` has an adapter."""
    folder = tmp_path_factory.mktemp("repeat")
    exam = write_exam(folder / "exam", count=36)
    old = teach(build_checkpoint(folder / "old", "qwen2"), exam, "r1_distill_qwen")
    newer = model(build_checkpoint(folder / "newer", "qwen3"), "qwen3")
    adapter = write_adapter(folder / "adapter", old)
    write_recipe(folder / "r.yaml", exam, model(old, "r1_distill_qwen", **HOT), newer, adapter)
    return folder


def probed(study, name: str, *more: str) -> Repeatability:
    assert score.main([str(study / "r.yaml"), "--contender", name, "--out", str(study / "runs"), "--probe", *more]) == 0
    found = Repeatability.read(study / f"runs/r/{name}/repeatability.json")
    assert found is not None
    return found


def test_a_greedy_contender_gives_itself_again(study, capsys):
    found = probed(study, "newer")
    assert (found.questions, found.answers) == (72, 36 + 72)  # written answers are drawn twice
    assert (found.floor.apart.gain, found.floor.changes.answers) == (0, 0)
    assert found.floor.apart.low < 0 < found.floor.apart.high
    assert found.floor.changes.largest < 1e-4  # other batches may round otherwise
    assert found.batching.together > 90
    assert (found.batching.changes.answers, found.batching.changes.rankings, found.batching.changes.texts) == (0, 0, 0)
    assert found.parity is None
    assert not (study / "runs/r/newer/seed-0/items.jsonl").exists()
    assert "72 questions, 108 answers; again 0.0% of them change" in capsys.readouterr().out


def test_a_contender_that_draws_differs_from_itself_but_not_by_its_batches(study):
    found = probed(study, "old", "--items", "40")
    assert 35 <= found.questions <= 45
    assert found.floor.changes.texts > 0.2
    assert found.floor.apart.low <= 0 <= found.floor.apart.high
    assert found.batching.changes.texts == 0  # a draw belongs to its question and sample, whoever is beside it


def test_the_probe_is_counted_and_belongs_to_what_was_scored(study):
    found = probed(study, "brought", "--items", "16")
    lines = [json.loads(line) for line in (study / "runs/r/attempts.jsonl").read_text("utf-8").splitlines()]
    mine = [line for line in lines if line["event"] == "probe" and line["contender"] == "brought"]
    assert [line["fingerprint"] for line in mine] == [found.fingerprint]
    assert lines[0]["event"] == "plan"  # kept before the first answer


@pytest.mark.parametrize(
    ("words", "said"), [(("--items", "1"), "two questions at least"), (("--contender", "nobody"), "unknown")]
)
def test_bad_input_is_refused(study, capsys, words, said):
    assert score.main([str(study / "r.yaml"), "--contender", "old", "--out", str(study), "--probe", *words]) == 2
    assert said in capsys.readouterr().err


def test_a_damaged_file_is_refused(tmp_path):
    (tmp_path / "repeatability.json").write_text('{"contender": "x"}')
    with pytest.raises(BadInput, match="run score --probe again"):
        Repeatability.read(tmp_path / "repeatability.json")


def test_the_front_door_spells_the_line(study):
    done = tuneworth("score", study / "r.yaml", "--contender", "old", "--probe", "--items", 9, "--dry-run")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [
        f"python -m eval.score {study}/r.yaml --contender old --out runs --probe --items 9"
    ]


def chosen(number: int, *likelihoods: float, **facts):
    best = "ABC"[likelihoods.index(max(likelihoods))]
    return row("t", number, loglikelihoods=likelihoods, extracted=best, **facts)


def test_changes_are_counted_by_hand():
    once = [chosen(0, -1, -2, -3), chosen(1, -1, -2, -3), row("t", 2, text="A"), row("t", 3, text="so A")]
    again = [
        chosen(1, -1, -3.5, -3), row("t", 3, text="thus A"), chosen(0, -2.5, -2, -3),
        row("t", 2, text="B", **graded("wrong")),
    ]  # fmt: skip
    found = changes(once, again)
    assert found.answers == 0.5  # the first choice and the third answer
    assert found.rankings == 1  # of two
    assert found.texts == 1
    assert found.largest == pytest.approx(1.5)
    same = changes(once[:2], once[:2])
    assert (same.answers, same.rankings, same.texts, same.largest) == (0, 0, None, 0)


def test_apart_is_the_paired_difference():
    once = [row("t", i, **graded("correct")) for i in range(20)]
    again = [row("t", i, **graded("wrong" if i < 5 else "correct")) for i in range(20)]
    found = apart(once, again, {"t": 1})
    assert found.gain == pytest.approx(0.25)
    assert found.low < 0.25 < found.high


def test_one_cluster_has_no_interval():
    once = [row("t", i, cluster="one") for i in range(4)]
    assert apart(once, once, {}).low is None


@pytest.mark.parametrize(("a", "b", "same"), [("abc", "abd", 2), ("ab", "abc", 2), ("", "a", 0), ("x", "a", 0)])
def test_prefix(a, b, same):
    assert prefix([*map(ord, a)], [*map(ord, b)]) == same


def test_a_server_is_asked_again_alone_and_without_its_weights(tmp_path, study):
    """The small server answers the same greedily, and by seed when it draws; its checkpoint is nowhere."""
    with serving() as server:
        recipe = tmp_path / "r.yaml"
        served = {"id": "some/served", "family": "served", "think": "drop", "decoding": {"temperature": 0.7}}
        engine = {"kind": "openai", "url": server.url, "model": "m"}
        text = (study / "r.yaml").read_text("utf-8").replace(f"- {study}/exam/own\n", "")
        recipe.write_text(text, "utf-8")
        more = [f"contenders.newer={json.dumps({'model': served, 'engine': engine})}", "rule.alternatives=[]"]
        words = [word for change in more for word in ("--set", change)]
        line = [str(recipe), "--contender", "newer", "--out", str(tmp_path), "--probe", "--items", "12", *words]
        assert score.main(line) == 0
        asked = len(server.seen)
    found = Repeatability.read(tmp_path / "r/newer/repeatability.json")
    assert (found.questions, found.answers, asked) == (12, 24, 24 + 24 + 12 + 12)
    assert found.floor.changes.texts > 0.3
    assert found.batching.changes.texts == 0
    assert found.batching.together == 12
    assert (found.parity, found.missing["parity"]) == (
        None,
        "model.family is served, so its checkpoint is not known here",
    )


@pytest.mark.slow
def test_served_and_here_agree_token_by_token(place, url, tmp_path, capsys):  # noqa: F811
    """A real server with the checkpoint that is run here; then one that holds another checkpoint than it says."""
    recipe = write(place, url, "still", GREEDY, api="completions")
    assert score.main([str(recipe), "--contender", "api", "--out", str(tmp_path), "--probe"]) == 0
    found = Repeatability.read(tmp_path / "r/api/repeatability.json")
    assert found.parity.here[0].startswith("transformers ")
    assert found.parity.there == found.kind
    assert (found.parity.changes.answers, found.parity.prefix, found.parity.same_prompts) == (0, 1, 1)
    assert found.parity.prefix_tokens > 0
    recipe = write(place, url, "still", GREEDY, api="completions", model=str(place / "lively"))
    assert score.main([str(recipe), "--contender", "api", "--out", str(tmp_path / "b"), "--probe"]) == 0
    other = Repeatability.read(tmp_path / "b/r/api/repeatability.json").parity
    assert other.prefix < 0.5
    assert other.changes.answers > 0.3
    assert "in common" in capsys.readouterr().out


def test_a_number_of_questions_without_a_probe_is_refused(study):
    done = tuneworth("score", study / "r.yaml", "--items", "5")
    assert done.returncode == 2
    assert "--items 5: is of --probe" in done.stderr
