"""A real server, `transformers serve` on loopback with tiny checkpoints, asked by messages and in our rendering."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest
import yaml
from conftest import build_checkpoint
from small_exam import HANGS, environment, model, teach, write_exam

from eval import items
from eval.score import __main__ as score
from eval.score.parity import compared
from finetune.chat import Chat
from finetune.recipe import Timing

TEMPLATE = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
GREEDY = {"temperature": 0.0, "max_new_tokens": 16}
SAMPLED = {"temperature": 1.0, "max_new_tokens": 16}


CLOSED = {"temperature": 0.0, "max_new_tokens": 24, "thinking_tokens": 6}


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """Folder with the exam, `still` (taught, and kept from drawing by generation_config.json), `muse` (taught to think)
    and `lively` (do_sample, random weights)."""
    folder = tmp_path_factory.mktemp("served")
    exam = write_exam(folder / "exam", count=12)
    lively, still = build_checkpoint(folder / "lively", "qwen3"), build_checkpoint(folder / "still", "qwen3")
    teach(still, exam, "qwen3", steps=25)
    muse = teach(build_checkpoint(folder / "muse", "qwen3"), exam, "qwen3", thinks=True)
    for checkpoint in (lively, still, muse):
        (checkpoint / "chat_template.jinja").write_text(TEMPLATE, "utf-8")
    said = json.loads((lively / "generation_config.json").read_text())
    (lively / "generation_config.json").write_text(json.dumps(said | {"do_sample": True}))
    return folder


@pytest.fixture(scope="module")
def url():
    """Of a server that loads whatever folder is asked for."""
    words = [str(Path(sys.executable).parent / "transformers"), "serve", "--host", "127.0.0.1", "--device", "cpu"]
    quiet = subprocess.DEVNULL
    for _ in range(5):  # another program may take the port before the server does
        port = _free()
        with subprocess.Popen([*words, "--port", str(port)], env=environment(), stdout=quiet, stderr=quiet) as running:
            try:
                if _up(running, f"http://127.0.0.1:{port}/health"):
                    yield f"http://127.0.0.1:{port}/v1"
                    return
            finally:
                running.kill()
    raise AssertionError("the server does not come up")


def _free() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def _up(running: subprocess.Popen, health: str) -> bool:
    """Once it answers; False where it has ended instead."""
    deadline = time.monotonic() + HANGS
    while running.poll() is None and time.monotonic() < deadline:
        try:
            with urllib.request.urlopen(health, timeout=30):  # noqa: S310 (loopback)
                return running.poll() is None
        except OSError:
            time.sleep(0.2)
    return False


def write(place: Path, url: str, folder: str, decoding: dict, think: str = "drop", **engine) -> Path:
    """A recipe with the checkpoint run here and served."""
    spec = model(place / folder, "qwen3", think=think, decoding=decoding)
    asked = {"kind": "openai", "url": url, "model": str(place / folder), "concurrency": 2, "timeout_s": 600} | engine
    recipe = {
        "question": "Is it?", "data": [f"{place}/exam/own.md#test"],
        "contenders": {
            "here": {"model": spec}, "tuned": {"model": spec, "method": {"kind": "lora"}},
            "api": {"model": spec, "engine": asked},
        },
        "exam": {"tasks": [f"{place}/exam/own_gen"], "samples": 1},
        "rule": {"challengers": ["tuned"], "incumbent": "api", "base": "here"},
    }  # fmt: skip
    path = place / "r.yaml"
    path.write_text(yaml.safe_dump(recipe, allow_unicode=True), "utf-8")
    return path


def sit(recipe: Path, out: Path, *names: str) -> list[dict]:
    found = []
    for name in names:
        assert score.main([str(recipe), "--contender", name, "--out", str(out)]) == 0
        rows = items.read(out / f"r/{name}/seed-0/items.jsonl")
        facts = {"id", "text", "outcome", "finish", "tokens_in", "extracted"}
        found.append([row.model_dump(include=facts) for row in rows])
    return found


@pytest.mark.slow
def test_served_in_our_rendering_it_answers_as_it_does_here(place, url, tmp_path):
    """Greedy, question by question: the same text, the same tokens read, the same grade."""
    here, there = sit(write(place, url, "still", GREEDY, api="completions"), tmp_path, "here", "api")
    assert [row["outcome"] for row in here].count("correct") > 0
    assert there == here
    mine, theirs = (items.read(tmp_path / f"r/{name}/seed-0/items.jsonl") for name in ("here", "api"))
    assert {(row.counted, other.counted) for row, other in zip(mine, theirs, strict=True)} == {("text", "server")}
    more = {b.tokens_out - a.tokens_out for a, b in zip(mine, theirs, strict=True) if a.finish == "stop"}
    assert more == {1}  # the server counts the token that ends an answer


@pytest.mark.slow
def test_a_thought_is_closed_at_its_budget_as_it_is_here(place, url, tmp_path):
    """Greedy: the same texts, of thoughts that were closed and of those that closed by themselves."""
    here, there = sit(write(place, url, "muse", CLOSED, "keep", api="completions"), tmp_path, "here", "api")
    for row in [*here, *there]:
        row.pop("tokens_in")
    assert there == here
    mine, theirs = (items.read(tmp_path / f"r/{name}/seed-0/items.jsonl") for name in ("here", "api"))
    assert [row.given for row in theirs] == [row.given for row in mine]
    assert {row.given > 0 for row in mine} == {True, False}
    assert [row.tokens_thinking for row in theirs] == [row.tokens_thinking for row in mine]
    assert {b.tokens_in > 2 * a.tokens_in for a, b in zip(mine, theirs, strict=True) if a.given} == {True}
    kinds = ("transformers", "float32"), ("openai completions", "as served")
    found = compared(*kinds, Chat.open(place / "muse", "qwen3", "keep"), mine, theirs, {"own_gen": 1})
    assert (found.same_prompts, found.prefix, found.changes.texts) == (1, 1, 0)


@pytest.mark.slow
def test_a_query_of_a_server_is_timed(place, url, tmp_path):
    recipe = write(place, url, "still", GREEDY, api="completions")
    words = ["--contender", "api", "--out", str(tmp_path), "--timing", "--items", "3", "--set", "exam.dev=0.5"]
    assert score.main([str(recipe), *words]) == 0
    found = Timing.read(tmp_path / "r/api/timing.json")
    assert (found.engine, found.questions, found.answers) == ("openai", 3, 3)
    assert min(found.seconds, found.tokens_in, found.tokens_out) > 0
    assert not list(tmp_path.rglob("items*"))


@pytest.mark.slow
def test_asked_by_messages_it_draws_and_is_told_apart(place, url, tmp_path):
    sit(write(place, url, "lively", SAMPLED), tmp_path, "api")
    done = json.loads((tmp_path / "r/api/seed-0/score.json").read_text())["scoring"]["served"]
    assert done["form"] == "messages"
    assert done["said_models"] == [f"{place}/lively@main"]


@pytest.mark.slow
def test_a_server_without_do_sample_is_refused(place, url, tmp_path, capsys):
    recipe = write(place, url, "still", SAMPLED)
    assert score.main([str(recipe), "--contender", "api", "--out", str(tmp_path)]) == 2
    assert "so it draws nothing; correct the server (transformers serve: do_sample" in capsys.readouterr().err


@pytest.mark.slow
def test_a_field_that_the_server_does_not_know_is_told(place, url, tmp_path, capsys):
    recipe = write(place, url, "lively", SAMPLED | {"top_k": 5})
    assert score.main([str(recipe), "--contender", "api", "--out", str(tmp_path)]) == 2
    assert "top_k" in capsys.readouterr().err


@pytest.mark.slow
def test_another_name_than_the_servers_is_told(place, url, tmp_path, capsys):
    recipe = write(place, url, "lively", GREEDY, model=str(place / "nothing"), retries=0)
    assert score.main([str(recipe), "--contender", "api", "--out", str(tmp_path)]) == 2
    assert "tuneworth: 127.0.0.1" in capsys.readouterr().err
