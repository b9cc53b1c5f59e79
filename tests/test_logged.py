"""Answers that lm-eval logged elsewhere: imported, graded as our own, refused where they do not fit, never made up."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import yaml
from conftest import MARKERS, build_checkpoint, train_tokenizer
from small_exam import environment, model, run_line, score_line, teach, write_exam, write_recipe
from small_logs import FAULTS, THEIRS, UNKNOWN, edit, log_samples
from written_exam import build

from eval import items
from eval.score import __main__ as score
from finetune.mistakes import BadInput
from finetune.recipe import Recipe


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A taught checkpoint, what `lm_eval --log_samples` says of it, and a recipe that asks both it and the log."""
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("others")
    exam = write_exam(folder / "exam", count=18)
    rows = train_tokenizer(MARKERS["qwen3"]).get_vocab_size()  # no padding rows: lm-eval would draw them, we never do
    checkpoint = teach(build_checkpoint(folder / "qwen3", "qwen3", rows=rows), exam, "plain")
    log_samples(checkpoint, exam, folder / "log")
    spec = model(checkpoint, "plain")
    recipe = write_recipe(folder / "r.yaml", exam, spec, spec, samples=1)
    known = yaml.safe_load(recipe.read_text("utf-8"))
    known["contenders"]["theirs"] = {"model": THEIRS, "items": "./log"}
    recipe.write_text(yaml.safe_dump(known, allow_unicode=True), "utf-8")
    return recipe


def rows_of(out: Path, name: str) -> dict[tuple[str, str], items.ItemScore]:
    return {(row.task, row.id): row for row in items.read(out / f"r/{name}/seed-0/items.jsonl")}


def test_what_lm_eval_logged_has_the_scores_of_our_own_scoring(made, tmp_path):
    for name in ("newer", "theirs"):
        done = run_line(score_line(made, tmp_path, name))
        assert done.returncode == 0, done.stderr
    assert "own_gen 0." in done.stdout
    assert "graded otherwise" not in done.stdout
    ours, theirs = rows_of(tmp_path, "newer"), rows_of(tmp_path, "theirs")
    assert ours.keys() == theirs.keys()
    assert 0 < sum(row.score for row in theirs.values()) < len(theirs)
    for key, row in theirs.items():
        told = {"finish": "likelihood"} if row.protocol == "likelihood" else {}
        assert row.model_dump(include=set(UNKNOWN)) == UNKNOWN | told
        assert row.loglikelihoods == pytest.approx(ours[key].loglikelihoods, abs=1e-5, rel=1e-6)
        same = {
            "score",
            "outcome",
            "extracted",
            "rule",
            "text",
            "hash",
            "content",
            "cluster",
            "part",
            "version",
            "gold",
        }
        assert row.model_dump(include=same) == ours[key].model_dump(include=same)
    facts = json.loads((tmp_path / "r/theirs/seed-0/score.json").read_text("utf-8"))["scoring"]
    assert (facts["engine"].split()[0], facts["dtype"]) == ("lm-eval", "float32")
    assert (facts["batch_tokens"], facts["generated_tokens"], facts["weights_digest"]) == (None, None, "")
    assert facts["first_score_at"] < json.loads((tmp_path / "r/recipe.json").read_text("utf-8"))["plan"]["at"]
    assert len(facts["logged"]["files"]) == 3
    assert facts["template"] == {"own": ["", ""], "own_gen": ["", ""]}


def test_no_model_is_loaded_and_a_second_start_does_nothing(made, tmp_path):
    code = (
        "import sys\nfrom eval.score.__main__ import main\n"
        f"asked = [{str(made)!r}, '--contender', 'theirs', '--out', {str(tmp_path)!r}]\n"
        "assert (main(asked), main(asked)) == (0, 0)\n"
        "assert not {'torch', 'transformers', 'accelerate'} & set(sys.modules), 'heavy'"
    )
    done = subprocess.run([sys.executable, "-c", code], env=environment(), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "score theirs seed 0: done, unchanged" in done.stdout
    wide, line = environment() | {"COLUMNS": "400"}, [sys.executable, "-m", "eval.cli", "check", str(made)]
    said = subprocess.run(line, env=wide, capture_output=True, text=True, check=False)
    assert "asked elsewhere" in said.stdout, said.stderr


def copied(made: Path, folder: Path) -> Path:
    """The log in a folder of the test's own."""
    return Path(shutil.copytree(made.parent / "log", folder / "log"))


def refused(made: Path, log: Path, capsys, wanted: str) -> None:
    asked = [str(made), "--contender", "theirs", "--out", str(log.parent / "runs")]
    assert score.main([*asked, "--set", f"contenders.theirs.items={log}"]) == 2
    said = capsys.readouterr().err
    assert re.search(wanted, said), said
    assert said.count("tuneworth: ") == said.partition("tuneworth: ")[2].count("\n") == 1
    assert not (log.parent / "runs").exists() or not list((log.parent / "runs").rglob("*.json*"))


@pytest.mark.parametrize(("task", "change", "wanted"), FAULTS.values(), ids=FAULTS)
def test_what_does_not_fit_is_refused_by_file_and_line(made, tmp_path, capsys, task, change, wanted):
    log = copied(made, tmp_path)
    edit(log, task, change)
    refused(made, log, capsys, wanted)


def test_other_versions_runs_and_places_are_refused(made, tmp_path, capsys):
    log = copied(made, tmp_path)
    (results,) = log.rglob("results_*.json")
    whole = results.read_text("utf-8")
    results.write_text(whole.replace('"own": 1,', '"own": 2,', 1), "utf-8")
    refused(made, log, capsys, r"own was asked in version 2, and the exam has version 1")
    results.write_text("{}", "utf-8")
    refused(made, log, capsys, r"results_.*: not the results of an lm-eval run")
    results.write_text(whole, "utf-8")
    (path,) = log.rglob("samples_own_2*.jsonl")
    shutil.copy(path, path.with_name("samples_own_2026-01-01T00-00-00.000001.jsonl"))
    refused(made, log, capsys, r"2 files of samples of task own .* name the folder of one run")
    refused(made, path, capsys, r"no samples of task own_gen, but of own")
    refused(made, tmp_path / "nowhere", capsys, r"nowhere: no such file or folder")
    (tmp_path / "empty").mkdir()
    refused(made, tmp_path / "empty", capsys, r"empty: no samples_<task>_<date>.jsonl")


@pytest.mark.parametrize(
    ("change", "wanted"),
    [
        ({"versions": {"mmlu": 1}}, r"results_.*: the results of another run: of mmlu, not of own,"),
        ({"date": -1}, r"results_.*: date -1 is no time that has been"),
        ({"date": float("nan")}, r"results_.*: date nan is no time that has been"),
        ({"date": 1e300}, r"results_.*: date 1e\+300 is no time that has been"),
    ],
)
def test_results_of_another_run_or_of_no_time_are_refused(made, tmp_path, capsys, change, wanted):
    log = copied(made, tmp_path)
    (results,) = log.rglob("results_*.json")
    results.write_text(json.dumps(json.loads(results.read_text("utf-8")) | change), "utf-8")
    refused(made, log, capsys, wanted)


def apart(log: Path, change) -> None:
    """The written answers as of a run of their own, whose results `change` alters."""
    (results,) = log.rglob("results_*.json")
    (samples,) = log.rglob("samples_own_gen_*.jsonl")
    date = "2026-01-01T00-00-00.000001"
    known = json.loads(results.read_text("utf-8"))
    change(known)
    results.with_name(f"results_{date}.json").write_text(json.dumps(known), "utf-8")
    samples.rename(samples.with_name(f"samples_own_gen_{date}.jsonl"))


def test_one_contender_is_one_model(made, tmp_path, capsys):
    log = copied(made, tmp_path / "name")
    apart(log, lambda known: known.update(model_name="their/other"))
    refused(
        made,
        log,
        capsys,
        r"results_2026-01-01T.*\.json: model_name is 'their/other', and in .*results_.*\.json '.*qwen3'; a contender",
    )
    log = copied(made, tmp_path / "adapter")
    apart(log, lambda known: known["config"]["model_args"].update(peft="their/adapter"))
    refused(
        made, log, capsys, r"results_2026-01-01T.*\.json: peft is 'their/adapter', and in .*\.json None; a contender"
    )
    log = copied(made, tmp_path / "same")
    told = "pretrained={pretrained},dtype=bfloat16"
    apart(log, lambda known: known["config"].update(model_args=told.format_map(known["config"]["model_args"])))
    imported(made, log)  # older runs write the same as a text, and dtype is not which model


def test_a_link_to_nothing_is_named(made, tmp_path, capsys):
    log = copied(made, tmp_path)
    (log / "samples_zzz.jsonl").symlink_to("/nowhere")
    refused(made, log, capsys, r"samples_zzz.jsonl: no file, but a folder or a link to nothing")


def imported(made: Path, log: Path, *more: str) -> tuple[Path, list[items.ItemScore]]:
    out = log.parent / "runs"
    changes = ["--set", f"contenders.theirs.items={log}", *more]
    assert score.main([str(made), "--contender", "theirs", "--out", str(out), *changes]) == 0
    return out, items.read(out / "r/theirs/seed-0/items.jsonl")


def test_shuffled_lines_samples_filters_and_thoughts_are_read_as_they_are(made, tmp_path, capsys):
    """Lines in any order, several answers a question, a second filter, a prompt that opened the thought."""
    log = copied(made, tmp_path)

    def change(samples):
        samples.reverse()
        for sample in samples:
            sample["resps"] = [["hm</think>A", "A, I still think"]]
            sample["arguments"]["gen_args_0"]["arg_0"] = f"<user>{sample['doc']['ask']}<assistant><think>\n"
        samples += [sample | {"filter": "strict"} for sample in samples]

    edit(log, "own_gen", change)
    for results in log.rglob("results_*.json"):
        results.unlink()
    out, rows = imported(made, log)
    found = [row for row in rows if row.task == "own_gen"]
    assert [(row.id, row.sample) for row in found[:3]] == [("q0", 0), ("q0", 1), ("q1", 0)]
    assert {row.outcome for row in found if row.sample == 0} == {"correct", "wrong"}
    assert {row.outcome for row in found if row.sample == 1} == {"unclosed_thinking"}
    facts = json.loads((out / "r/theirs/seed-0/score.json").read_text("utf-8"))["scoring"]
    assert (facts["first_score_at"], facts["engine"], facts["dtype"], facts["samples"]) == (
        None,
        "unknown",
        "unknown",
        2,
    )
    assert {row.version for row in rows} == {""}


def test_questions_within_unlike_words_are_not_taken_for_the_exams(made, tmp_path, capsys):
    log = copied(made, tmp_path)

    def change(samples):
        for number, sample in enumerate(samples):
            sample["arguments"]["gen_args_0"]["arg_0"] = f"Example {number}: yes.\n{sample['doc']['ask']}"

    edit(log, "own_gen", change)
    edit(log, "own", templated)
    _, rows = imported(made, log)
    said = capsys.readouterr().out
    assert "own_gen: not asked as the exam asks it: what stands around its questions differs" in said
    assert "own: not asked as the exam asks it: its template ends in blanks, which lm-eval counts with each" in said
    assert all(row.content == row.prompt for row in rows)


def templated(samples):
    for sample in samples:
        for each in sample["arguments"].values():
            each["arg_0"] = f"<user>{each['arg_0']}<assistant>\n\n"


def test_another_log_is_another_score(made, tmp_path, capsys):
    log = copied(made, tmp_path)
    _, first = imported(made, log)
    edit(log, "own_gen", lambda samples: samples[0].update(resps=[["我不知道"]]))
    out, second = imported(made, log)
    assert "what stood here was scored otherwise, and is now in .old-" in capsys.readouterr().out
    assert first[0].scorer != second[0].scorer
    assert len(list((out / "r/theirs/seed-0").glob(".old-*/items.jsonl"))) == 1


@pytest.mark.parametrize("change", ["exam.twins=[options]", "train.canaries=4"])
def test_what_lm_eval_does_not_ask_is_not_asked_beside_a_log(tmp_path, change):
    log = f"contenders.newer.items={tmp_path}/samples_letters.jsonl"
    with pytest.raises(BadInput, match=f"{change.partition('=')[0]}: newer has items, and a log holds no answers to"):
        build(tmp_path, log, change)


@pytest.mark.parametrize(
    ("keys", "wanted"),
    [
        ({"method": {"kind": "lora"}}, "items and method exclude each other"),
        ({"adapter": "x", "adapter_cost": 1}, "items and adapter exclude each other"),
        ({"prompt": {"role": "an analyst"}}, "items and prompt exclude each other"),
        ({"engine": {"kind": "openai", "url": "http://127.0.0.1:1/v1", "model": "m"}}, "items and engine exclude"),
        ({"start": "old"}, "of a contender that is tuned here"),
        ({"items": None, "query_cost": 1, "model": THEIRS | {"family": "qwen3"}}, "query_cost is of a contender with"),
        ({"items": None}, "or give an engine or items"),
    ],
)
def test_what_is_answered_already_is_neither_tuned_nor_asked(made, tmp_path, keys, wanted):
    known = yaml.safe_load(made.read_text("utf-8"))
    known["contenders"]["theirs"] |= keys
    path = made.with_name(f"{tmp_path.name}.yaml")
    path.write_text(yaml.safe_dump(known, allow_unicode=True), "utf-8")
    with pytest.raises(BadInput, match=wanted):
        Recipe.read(path)
