"""The address book of a run: what an older version, a kill or a stray hand left there is told in one line."""

import json
import subprocess
import sys

import pytest

from eval import pledge
from finetune.mistakes import BadInput
from finetune.run import RunDir, RunManifest


def test_a_manifest_of_another_version_is_bad_input(tmp_path):
    path = tmp_path / "score.json"
    assert RunManifest.read(path) is None
    path.write_text('{"stage": "score", "later": 1}')
    with pytest.raises(BadInput, match=r"score.json: no manifest that this version writes; move it away"):
        RunManifest.read(path)


def test_a_plan_that_holds_none_is_bad_input(tmp_path):
    run = RunDir(tmp_path)
    assert pledge.read(run) is None
    for text in ("{}", "[]", "{", '{"plan": {"digest": 1}}'):
        run.plan.write_text(text)
        with pytest.raises(BadInput, match=r"recipe.json: holds no plan"):
            pledge.read(run)


def test_a_torn_line_of_attempts_is_left_out_and_does_not_spoil_the_next(tmp_path):
    run = RunDir(tmp_path)
    run.attempt("plan", digest="a")
    with run.attempts.open("a") as log:
        log.write('{"event": "sco')
    run.attempt("score", contender="我")
    assert [line["event"] for line in run.attempted()] == ["plan", "score"]
    assert json.loads(run.attempts.read_text("utf-8").splitlines()[-1])["contender"] == "我"


@pytest.mark.parametrize("room", ["finetune.train", "eval.score"])
def test_an_out_that_is_no_folder_is_bad_input(tmp_path, tiny, room):
    """A run folder below a plain file: refused as one is that may not be written."""
    (tmp_path / "out").write_text("")
    card = "name: rows\ntitle: t\nlicence: {name: MIT, commercial: true}\nlanguages: [en]\npublished: false\n"
    (tmp_path / "rows.md").write_text(f"---\n{card}shape: qa\nformat: jsonl\nsplits: {{train: [rows.jsonl]}}\n---\n")
    rows = [{"question": f"q{i}", "answer": f"a{i}"} for i in range(12)]
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    model = {"id": str(tiny("qwen2")), "family": "r1_distill_qwen", "think": "empty"}
    recipe = {
        "question": "?", "data": ["rows.md"], "exam": {"tasks": ["demo_label"]}, "train": {"max_steps": 1},
        "contenders": {"old": {"model": model}, "lora": {"model": model, "method": {"kind": "lora"}}},
        "rule": {"challengers": ["lora"], "incumbent": "old", "base": "old"},
    }  # fmt: skip
    (tmp_path / "x.yaml").write_text(json.dumps(recipe))
    who = "lora" if room == "finetune.train" else "old"
    line = [sys.executable, "-m", room, str(tmp_path / "x.yaml"), "--contender", who, "--out", str(tmp_path / "out")]
    done = subprocess.run(line, capture_output=True, text=True, check=False)
    assert done.returncode == 2, done.stderr
    assert "Not a directory; name another place with --out" in done.stderr
    assert "Traceback" not in done.stderr
