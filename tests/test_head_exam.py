"""A contender with a classification head sits the exam: its labels are its answers, graded like anybody's."""

from __future__ import annotations

import json
import math
import shutil
from pathlib import Path

import pytest
import torch
import yaml
from conftest import build_checkpoint
from small_exam import OPTIONS, model, write_exam, write_recipe
from small_study import tuneworth

from eval import items
from eval.score import __main__ as score
from finetune import tokenised
from finetune.chat import Chat
from finetune.export import __main__ as export
from finetune.methods import heads, load
from finetune.mistakes import BadInput
from finetune.recipe import Recipe
from finetune.run import RunDir
from finetune.train import __main__ as train
from finetune.world import open_base

torch.set_num_threads(1)
TRAIN = {"epochs": 8, "tokens_per_step": 400, "max_length": 256, "dev": 0, "prove": "here"}
LORA = {"kind": "lora", "rank": 4, "learning_rate": 0.005}


def write(folder: Path, exam: Path, base: Path, **headed) -> Path:
    """The small exam's recipe, its `tuned` with a sequence head trained on the exam's own questions."""
    older = model(base, "r1_distill_qwen")
    path = write_recipe(folder / "r.yaml", exam, older, older)
    raw = yaml.safe_load(path.read_text("utf-8"))
    raw["contenders"]["tuned"] = {"model": older, "method": LORA, "head": "sequence"} | headed
    path.write_text(yaml.safe_dump(raw | {"train": TRAIN}, allow_unicode=True), "utf-8")
    return path


def place(recipe: Path, seed: int = 17):
    return RunDir(recipe.parent / "runs" / "r").seed("tuned", seed)


def words(recipe: Path) -> list[str]:
    return [str(recipe), "--contender", "tuned", "--out", str(recipe.parent / "runs")]


@pytest.fixture(scope="module")
def parts(tmp_path_factory):
    folder = tmp_path_factory.mktemp("parts")
    return write_exam(folder / "exam"), build_checkpoint(folder / "base", "qwen2")


@pytest.fixture(scope="module")
def sat(tmp_path_factory, parts):
    """A recipe trained and scored once; read only."""
    recipe = write(tmp_path_factory.mktemp("sat"), *parts)
    assert train.main(words(recipe)) == 0
    assert score.main(words(recipe)) == 0
    return recipe


def test_labels_stand_in_the_log_as_options_and_as_answers(sat, parts):
    """Scores are log-softmax over the labels, in the options' order: recomputed here from the model alone."""
    rows = items.read(place(sat).items)
    assert {row.rule for row in rows} == {"head"}
    assert {row.outcome for row in rows} <= {"correct", "wrong"}
    assert len(rows) == 24 + 2 * 24
    assert sum(row.score for row in rows) > 0.8 * len(rows), "its own training rows are learnt"
    chat, tuned = (
        Chat.open(parts[1], "r1_distill_qwen", "empty"),
        load(open_base(parts[1], torch.float32), adapter(sat)),
    )
    labels = heads.read(adapter(sat)).labels
    assert labels == tuple(sorted(OPTIONS))
    for row in rows[::9]:
        text = row.question if row.protocol == "likelihood" else asked(row)
        scores = heads.answers(tuned, chat.prompt([{"role": "user", "content": text}]))[-1].log_softmax(-1)
        told = [float(scores[labels.index(option)]) for option in OPTIONS]
        assert row.loglikelihoods == pytest.approx(told, abs=1e-5)
        assert math.fsum(map(math.exp, row.loglikelihoods)) == pytest.approx(1)
        best = told.index(max(told))
        assert row.text == (OPTIONS[best] if row.protocol == "likelihood" else "ABC"[best])
        assert row.extracted == "ABC"[best]
        assert row.tokens_out == 0


def adapter(recipe: Path) -> Path:
    return place(recipe).adapter


def asked(row: items.ItemScore) -> str:
    lines = [f"{letter}. {option}" for letter, option in zip("ABC", row.options, strict=True)]
    last = {"zh": "只回答选项字母。", "en": "Answer with the letter only."}[row.lang]
    return "\n".join([row.question, *lines, last])


def test_the_length_of_an_option_counts_for_nothing(sat):
    """The task's headline is acc_norm, which divides by an option's characters; a label has no length."""
    rows = [row for row in items.read(place(sat).items) if row.protocol == "likelihood"]
    for row in rows:
        assert row.extracted == "ABC"[row.loglikelihoods.index(max(row.loglikelihoods))]
        assert row.score == float(row.extracted == row.gold)


def test_an_exported_head_answers_as_the_trained_one(sat, tmp_path, parts):
    for name, more in (("plain", []), ("merged", ["--merge"])):
        assert export.main([*words(sat), "--to", str(tmp_path / name), *more]) == 0
        card = (tmp_path / name / "README.md").read_text("utf-8")
        assert "It answers by its classification head" in card
        assert "text-classification" in card
        assert heads.read(tmp_path / name) == heads.read(adapter(sat))
    ids = list(range(40, 72))
    told = heads.answers(load(open_base(parts[1], torch.float32), adapter(sat)), ids)
    for name in ("plain", "merged"):  # the merged one is a whole checkpoint, and loads as such
        again = heads.answers(load(open_base(parts[1], torch.float32), tmp_path / name), ids)
        assert float((again - told).abs().max()) < 1e-4


def test_a_brought_folder_with_a_head_answers_by_it(sat, tmp_path, parts):
    older = model(parts[1], "r1_distill_qwen")
    recipe = write_recipe(tmp_path / "b.yaml", parts[0], older, older, adapter(sat))
    assert score.main([str(recipe), "--contender", "brought", "--out", str(tmp_path / "runs")]) == 0
    rows = items.read(RunDir(tmp_path / "runs" / "b").seed("brought", 0).items)
    assert [row.loglikelihoods for row in rows] == [row.loglikelihoods for row in items.read(place(sat).items)]


def test_what_a_head_cannot_answer_is_refused_before_anything_is_scored(sat, tmp_path, parts, capsys):
    """By `check` and by scoring, in one line: the task, what is no label, the labels, the remedy."""
    other = write_exam(tmp_path / "other")
    text = (other / "exam.jsonl").read_text("utf-8").replace("中性", "不变")
    (other / "exam.jsonl").write_text(text, "utf-8")
    recipe = yaml.safe_load(sat.read_text("utf-8"))
    recipe["exam"]["tasks"] = [str(other / "own")]
    path = tmp_path / "r.yaml"
    path.write_text(yaml.safe_dump(recipe, allow_unicode=True), "utf-8")
    told = (
        "contender tuned: its sequence head cannot answer task own: 不变 (1 of 3 answers there) are not among its "
        "labels, the shares fell", "leave the task out",
    )  # fmt: skip
    done = tuneworth("check", path)
    assert done.returncode == 2
    assert all(part in " ".join(done.stderr.split()) for part in told), done.stderr
    runs = sat.parent / "runs"
    assert score.main([str(path), "--contender", "tuned", "--out", str(runs)]) == 2
    assert all(part in capsys.readouterr().err for part in told[:1])


@pytest.mark.parametrize(
    ("answers", "said"),
    [
        (["yes"] * 6, "head: 6 rows have 1 answer; a head needs two labels or more"),
        (
            [f"a{n}" for n in range(6)],
            "head: 6 rows have 6 different answers: that is text and no labels",
        ),
    ],
)
def test_answers_that_are_no_labels_are_refused(tmp_path, parts, capsys, answers, said):
    recipe = write(tmp_path, *parts, data=["rows.md"])
    rows(tmp_path / "rows.md", answers)
    assert train.main(words(recipe)) == 2
    assert said in capsys.readouterr().err


def rows(path: Path, answers: list[str]) -> None:
    from small_lesson import write_card

    write_card(path, [{"prompt": f"{n}?", "completion": answer} for n, answer in enumerate(answers)])


def test_a_label_without_a_training_row_is_told(tmp_path, parts, capsys):
    recipe = write(tmp_path, *parts, data=["rows.md"])
    rows(tmp_path / "rows.md", [*["yes", "no"] * 5, "maybe"])
    held = tmp_path / "held.md"
    rows(held, [])
    (tmp_path / "held.jsonl").write_text(json.dumps({"prompt": "10?", "completion": "maybe"}) + "\n", "utf-8")
    more = ["--set", "train.exclude=[held.md]", "--set", "train.max_steps=1"]
    assert train.main([*words(recipe), *more]) == 0
    assert "no training row has the labels maybe: the head will not give them" in capsys.readouterr().out


def test_a_head_is_part_of_what_was_trained(parts, tmp_path):
    recipe = write(tmp_path, *parts)
    plain = Recipe.read(recipe, ("contenders.tuned.head=null",))
    assert Recipe.read(recipe).train_fingerprint("tuned", 17) != plain.train_fingerprint("tuned", 17)
    with pytest.raises(BadInput, match="lm_head writes words"):
        Recipe.read(recipe, ("contenders.tuned.method.targets=[q_proj, lm_head]",))
    with pytest.raises(BadInput, match="head and start are of a contender that is tuned here"):
        Recipe.read(recipe, ("contenders.old.head=sequence",))


def test_kept_rows_have_their_labels_again(tmp_path, parts, monkeypatch):
    monkeypatch.setenv("TUNEWORTH_CACHE", str(tmp_path / "cache"))
    recipe, chat = Recipe.read(write(tmp_path, *parts)), Chat.open(parts[1], "r1_distill_qwen", "empty")
    made, again = (tokenised.fetch(recipe, "tuned", chat, pytest.fail) for _ in range(2))
    assert again.labels == made.labels == tuple(sorted(OPTIONS))
    assert [each.classes.tolist() for each in again.examples] == [each.classes.tolist() for each in made.examples]
    assert {len(each.classes) for each in made.examples} == {1}
    plain = Recipe.read(tmp_path / "r.yaml", ("contenders.tuned.head=null",))
    assert tokenised.fetch(plain, "tuned", chat, pytest.fail).labels == ()


def test_who_goes_on_from_a_head_keeps_it_where_the_labels_are_the_same(sat, tmp_path, parts):
    """A prompt or adapter over several sets is shared; a head is of its own set's labels (Liu et al. 2021, 3.3)."""
    told = load(open_base(parts[1], torch.float32), adapter(sat), trainable=True)
    before = heads.of(told).weight.detach().clone()
    heads.fit(told, heads.read(adapter(sat)), seed=3)
    assert torch.equal(heads.of(told).weight, before)
    heads.fit(told, heads.Head(kind="sequence", labels=("a", "b"), hidden=64), seed=3)
    assert heads.of(told).weight.shape == (2, 64)
    assert abs(float(heads.of(told).weight.detach().std()) - 0.1) < 0.02  # the tiny models' initializer_range
    heads.fit(told, None, seed=3)
    assert heads.of(told) is None


@pytest.mark.parametrize("name", ["adapter_model.safetensors", "head.safetensors"])
def test_torn_tensors_are_told_in_one_line(sat, parts, tmp_path, name):
    folder = Path(shutil.copytree(adapter(sat), tmp_path / "torn"))
    (folder / name).write_bytes((folder / name).read_bytes()[:40])
    with pytest.raises(BadInput, match=r"torn: its tensors cannot be read \(.*\); fetch the folder again$"):
        load(open_base(parts[1], torch.float32), folder)
