"""Trackers: what W&B's offline files and TensorBoard's hold of a training and of a verdict, and what they must not."""

from __future__ import annotations

import json
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import written_exam
from judged_run import finished
from offline_log import records
from small_lesson import facts, finish, place, start, words, write_lesson
from small_study import tuneworth
from typer.testing import CliRunner

from eval.cli import app
from eval.verdict import Verdict
from finetune.recipe import Recipe
from finetune.run.tracking import adapter_artifact, artifact_name

KEY, TOKEN = "0123456789abcdef0123456789abcdef01234567", "hf_aVerySecretToken"
SECRETS = {"WANDB_MODE": "offline", "WANDB_API_KEY": KEY, "HF_TOKEN": TOKEN}
ASKED, SAID = "Who holds 天机?", "It is 地秘 that holds it."
needs_wandb = pytest.mark.skipif(find_spec("wandb") is None, reason="no wandb here")


@pytest.fixture(autouse=True)
def a_world_of_its_own(monkeypatch):
    monkeypatch.setenv("TUNEWORTH_CARDS", "")
    monkeypatch.delenv("GITHUB_STEP_SUMMARY", raising=False)


def logged(folder: Path) -> list[Any]:
    (path,) = folder.rglob("*.wandb")
    return records(path)


def artifacts(found: list[Any], kind: str) -> list[Any]:
    return [record.artifact for record in found if record.HasField("artifact") and record.artifact.type == kind]


def history(found: list[Any], key: str) -> dict[int, float]:
    """step -> value"""
    rows = [record.history for record in found if record.HasField("history")]
    told = {row.step.num: {"/".join(item.nested_key): item.value_json for item in row.item} for row in rows}
    return {step: json.loads(row[key]) for step, row in told.items() if key in row}


def config(found: list[Any]) -> dict[str, Any]:
    updates = [each for r in found for each in (*r.config.update, *r.run.config.update)]
    return {each.key: json.loads(each.value_json) for each in updates}


def written(folder: Path) -> bytes:
    """Every byte that would be sent or lies in a log."""
    return b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())


@needs_wandb
def test_wandb_has_a_trainings_config_curves_and_adapter(tiny, tmp_path, monkeypatch):
    recipe = write_lesson(tmp_path, tiny("qwen2"), max_steps=3, tracker="wandb", dev=0.2)
    for name, value in SECRETS.items():
        monkeypatch.setenv(name, value)
    status, out, err = finish(start(words(recipe)))
    assert status == 0, err
    found, trained = logged(place(recipe).folder), facts(recipe)
    told = config(found)
    assert (told["rank"], told["contender"], told["seed"], told["data"]) == (4, "lora", 17, "rows")
    assert told["model"] == tiny("qwen2").name
    assert history(found, "loss") == pytest.approx(dict(trained.losses))
    assert history(found, "dev_loss") == pytest.approx(dict(trained.dev_losses))
    (adapter,) = artifacts(found, "adapter")
    assert (adapter.name, adapter.use_after_commit) == ("lesson-lora-seed-17", False)
    assert trained.adapter_digest[:12] in adapter.aliases
    assert json.loads(adapter.metadata)["adapter_sha256"] == trained.adapter_digest
    files = {f"adapter/{path.name}" for path in place(recipe).adapter.iterdir()} | {"train.json"}
    assert {each.path for each in adapter.manifest.contents} == files
    again = adapter_artifact(Recipe.read(recipe), "lora", 17, place(recipe), trained.adapter_digest)
    assert again.digest == adapter.digest  # what the judge uses is what was logged here
    kept = written(place(recipe).folder / "logs") + out.encode() + err.encode()
    assert not any(each.encode() in kept for each in (KEY, TOKEN, str(tiny("qwen2"))))


def judged(folder: Path, tracker: str, *more: str, adapters: tuple[str, ...] = ("lora", "prefix")) -> Path:
    """A run whose lora said something, these adapters on disk, judged in a process of its own; its folder."""
    told = {"change": lambda answer: answer.model_copy(update={"question": ASKED, "text": SAID})}
    made = finished(folder, sit={"lora": told})
    for name in adapters:
        made.run.seed(name, 17).adapter.mkdir()
        (made.run.seed(name, 17).adapter / "adapter_model.safetensors").write_bytes(name.encode() * 9)
    asked = ("judge", folder / "study.yaml", "--out", folder / "runs", "--set", f"train.tracker={tracker}", "--gate")
    done = tuneworth(*asked, *more, cwd=folder, TUNEWORTH_CARDS="", **SECRETS)
    assert done.returncode == 0, done.stderr
    assert f"tracker {tracker}: " in done.stderr
    assert not any(secret in done.stdout + done.stderr for secret in (KEY, TOKEN))
    return made.run.folder


def table(folder: Path, name: str) -> list[dict[str, Any]]:
    (path,) = [path for path in folder.rglob("*.table.json") if f"/media/table/{name}_" in path.as_posix()]
    said = json.loads(path.read_text("utf-8"))
    return [dict(zip(said["columns"], row, strict=True)) for row in said["data"]]


@needs_wandb
def test_wandb_has_the_verdict_its_tables_and_the_adapters_it_judged(tmp_path):
    folder = judged(tmp_path, "wandb")
    v, found = Verdict.read(folder / "verdict.json"), logged(folder / "logs")
    assert config(found)["plan"] == v.provenance.plan
    (run,) = [record.run for record in found if record.HasField("run")]
    assert (run.project, run.job_type) == ("study", "judge")
    summary = {"/".join(each.nested_key) or each.key: each.value_json for r in found for each in r.summary.update}
    assert json.loads(summary["verdict"]) == "worth_it"
    assert json.loads(summary["sentence_zh"]) == v.sentence_zh
    assert list(history(found, "delta/gain").values()) == [pytest.approx(v.delta.gain)]
    used = artifacts(found, "adapter")
    assert [(each.name, each.use_after_commit) for each in used] == [
        ("study-lora-seed-17", True), ("study-prefix-seed-17", True),
    ]  # fmt: skip
    (verdict,) = artifacts(found, "verdict")
    assert json.loads(verdict.metadata)["adapters"] == {f"study-{n}-seed-17": f"{n} 17" for n in ("lora", "prefix")}
    (copy,) = [each.local_path for each in verdict.manifest.contents if each.path == "verdict.json"]
    assert Path(copy).read_bytes() == (folder / "verdict.json").read_bytes()
    (delta,) = [row for row in table(folder, "comparisons") if row["role"] == "delta"]
    assert (delta["gain"], delta["low"], delta["n"]) == (pytest.approx(v.delta.gain), pytest.approx(v.delta.low), 400)
    scores = {row["contender"]: row["score"] for row in table(folder, "contenders") if row["task"] == "all"}
    assert scores == pytest.approx({row.name: row.score for row in v.contenders})
    assert {row["gate"]: row["status"] for row in table(folder, "gates")} == {g.name: g.status for g in v.gates}
    answers = table(folder, "items/lora")
    assert len(answers) == 400
    assert {(row["question"], row["text"]) for row in answers} == {(ASKED, SAID)}
    lora = next(row for row in v.contenders if row.name == "lora")
    for task in lora.tasks:
        own = [row["score"] for row in answers if row["task"] == task.task]
        assert sum(own) / len(own) == pytest.approx(task.score)
    assert not any(secret.encode() in written(folder / "logs") for secret in (KEY, TOKEN))


@needs_wandb
def test_judging_again_goes_on_in_the_same_run_of_wandb(tmp_path):
    """Another judging, one run: its id lies with the logs; where it is gone or spoilt, a new one is made."""
    folder = judged(tmp_path, "wandb")
    before = (folder / "verdict.json").read_bytes(), (folder / "logs" / "judge.wandb-id").read_text("utf-8").strip()
    asked = ("judge", tmp_path / "study.yaml", "--out", tmp_path / "runs", "--set", "train.tracker=wandb", "--gate")
    for kept in (None, "not an id"):
        if kept:
            (folder / "logs" / "judge.wandb-id").write_text(kept, "utf-8")
        done = tuneworth(*asked, cwd=tmp_path, TUNEWORTH_CARDS="", **SECRETS)
        assert done.returncode == 0, done.stderr
        assert f"tracker wandb: {folder / 'logs'}" in done.stderr
    runs = [each.run for path in folder.rglob("*.wandb") for each in records(path) if each.HasField("run")]
    ids = [each.run_id for each in runs]
    assert (len(ids), ids.count(before[1]), len(set(ids))) == (3, 2, 2)
    assert {each.project for each in runs} == {"study"}
    assert (folder / "logs" / "judge.wandb-id").read_text("utf-8").strip() in set(ids) - {before[1]}
    assert (folder / "verdict.json").read_bytes() == before[0]


@needs_wandb
def test_an_adapter_that_is_gone_leaves_the_verdict_in_wandb(tmp_path):
    found = logged(judged(tmp_path, "wandb", adapters=("lora",)) / "logs")
    assert [each.name for each in artifacts(found, "adapter")] == ["study-lora-seed-17"]
    (verdict,) = artifacts(found, "verdict")
    assert json.loads(verdict.metadata)["adapters"] == {"study-lora-seed-17": "lora 17"}


@needs_wandb
def test_of_private_cards_wandb_has_ids_and_no_text(tmp_path, monkeypatch):
    """No question, answer or weights: an adapter may give back what it was tuned on."""
    monkeypatch.setitem(written_exam.LICENCE, "private", True)
    folder = judged(tmp_path, "wandb")
    answers = table(folder, "items/lora")
    assert {row["id"] for row in answers} >= {"letters-0", "numbers-1"}
    hidden = ("cluster", "question", "options", "gold", "extracted", "text")  # a cluster is a document's name
    assert {row[key] for row in answers for key in hidden} == {None}
    kept = written(folder / "logs")
    assert not any(
        said.encode() in kept or json.dumps(said)[1:-1].encode() in kept for said in (ASKED, SAID, "天机", "地秘")
    )
    for adapter in artifacts(logged(folder / "logs"), "adapter"):
        assert [each.path for each in adapter.manifest.contents] == ["train.json"]
        assert json.loads(adapter.metadata)["weights"] is False


@needs_wandb
@pytest.mark.slow
def test_no_text_is_for_wandb_too(tmp_path):
    folder = judged(tmp_path, "wandb", "--no-text")
    assert {row["text"] for row in table(folder, "items/lora")} == {None}
    assert json.dumps(SAID)[1:-1].encode() not in written(folder / "logs")


def test_tensorboard_gets_the_figures_of_the_verdict(tmp_path):
    reader = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator", reason="no tensorboard here")
    folder = judged(tmp_path, "tensorboard")
    v = Verdict.read(folder / "verdict.json")
    log = reader.EventAccumulator(str(folder / "logs" / "study"))
    log.Reload()
    for name in ("delta", "tau", "gamma"):
        for part in ("gain", "low", "high"):
            (event,) = log.Scalars(f"{name}/{part}")
            assert event.value == pytest.approx(getattr(getattr(v, name), part), rel=1e-6)
    for row in v.contenders:
        assert log.Scalars(f"score/{row.name}")[0].value == pytest.approx(row.score, rel=1e-6)


def judge_here(folder: Path, tracker: str):
    words = ["judge", folder / "study.yaml", "--out", folder / "runs", "--set", f"train.tracker={tracker}", "--gate"]
    return CliRunner().invoke(app, [str(word) for word in words])


@pytest.mark.skipif(find_spec("mlflow") is not None, reason="mlflow is here")
def test_a_tracker_that_is_not_installed_is_named_and_the_verdict_stands(tmp_path):
    finished(tmp_path)
    done = judge_here(tmp_path, "mlflow")
    assert done.exit_code == 0
    assert done.stderr == (
        "train.tracker: mlflow is not installed, so the verdict is not in it; `pip install mlflow`\n"
    )
    assert (tmp_path / "runs" / "study" / "verdict.json").is_file()


def test_wandb_without_its_package_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setattr("eval.outlets.tracked.find_spec", lambda name: None)
    finished(tmp_path)
    done = judge_here(tmp_path, "wandb")
    assert (done.exit_code, done.stderr.count("\n")) == (0, 1)
    assert "wandb is not installed, so the verdict is not in it; `pip install 'tuneworth[track]'`" in done.stderr


@needs_wandb
def test_a_tracker_that_fails_is_one_line_and_the_verdict_stands(tmp_path):
    finished(tmp_path)
    folder = tmp_path / "runs" / "study"
    (folder / "logs").write_text("in the way", "utf-8")
    done = judge_here(tmp_path, "wandb")
    assert done.exit_code == 0
    assert done.stderr.startswith("train.tracker: wandb took no verdict (FileExistsError: ")
    assert done.stderr.count("\n") == 1
    assert Verdict.read(folder / "verdict.json").outcome == "worth_it"


@pytest.mark.parametrize(("mode", "known"), [("online", True), ("online", False), ("offline", True)])
def test_a_run_that_was_deleted_at_wandb_names_the_file_that_holds_its_id(tmp_path, monkeypatch, mode, known):
    """Nobody here can delete one there: that W&B takes nothing is made up, what is said of it is not."""

    def gone(*_: Any) -> None:
        raise RuntimeError("run 0123456789abcdef was previously created and deleted; try a new run name")

    monkeypatch.setenv("WANDB_MODE", mode)
    monkeypatch.setattr("eval.outlets.tracked.find_spec", lambda name: True)
    monkeypatch.setattr("eval.outlets.tracked._to_wandb", gone)
    finished(tmp_path)
    session = tmp_path / "runs" / "study" / "logs" / "judge.wandb-id"
    if known:
        session.parent.mkdir()
        session.write_text("0123456789abcdef\n", "utf-8")
    done = judge_here(tmp_path, "wandb")
    assert done.exit_code == 0
    remedy = f"; if its run was deleted there, remove {session}, and judging again begins a new one"
    assert (remedy in done.stderr) is (mode == "online" and known)
    assert done.stderr.endswith("; verdict.json stands\n")


def test_names_that_wandb_takes():
    assert artifact_name("study", "lora", "seed-17") == "study-lora-seed-17"
    odd = artifact_name("研究", "lora/a", "seed-17")
    assert odd.startswith("__-lora_a-seed-17-")
    assert odd != artifact_name("探究", "lora/a", "seed-17")
