"""Served contenders: asked over OpenAI's protocol, through everything that a server and a network do to an answer."""

from __future__ import annotations

import json
import subprocess
import threading
import time
from functools import partial

import pytest
import small_server as does
from small_endpoint import KEY, SAMPLED, facts, rows, sit, told, write_study
from small_exam import HANGS, environment, score_line

from eval import items
from eval.score import __main__ as score
from finetune.recipe import Timing


@pytest.fixture
def study(tmp_path, tiny, server):
    return partial(write_study, tmp_path, tiny("qwen2"), server.url)


def test_each_question_is_asked_once_for_each_sample(study, server, tmp_path, capsys):
    recipe = study(asked={"decoding": SAMPLED | {"top_p": 0.9, "top_k": 20}})
    assert sit(recipe, tmp_path) == 0
    found, done = rows(tmp_path), facts(tmp_path)
    assert len(found) == len(server.seen) == 24
    assert {row.engine for row in found} == {"openai"}
    assert {row.outcome for row in found} == {"correct", "wrong"}
    assert all((row.tokens_in, row.tokens_out, row.finish) == (30, 4, "stop") for row in found)
    assert {row.counted for row in found} == {"server"}
    assert all(row.seconds > 0 for row in found)
    assert len({body["seed"] for body in server.seen}) == 24
    assert all(0 <= body["seed"] < 2**31 for body in server.seen)
    told = {"model": "m", "temperature": 0.7, "top_p": 0.9, "top_k": 20, "max_tokens": 64}
    assert all(body | told == body and not {"n", "stop", "prompt"} & body.keys() for body in server.seen)
    assert done.scoring.served.said_models == ("a-model-0926",)
    assert (done.scoring.served.form, done.scoring.served.seeds_repeat) == ("messages", True)
    assert (done.scoring.weights_digest, done.scoring.chat_digest) == ("", "")
    assert done.device_seconds == pytest.approx(sum(row.seconds for row in found))
    assert done.device_seconds <= done.finished_at - done.started_at
    assert sit(recipe, tmp_path) == 0
    assert len(server.seen) == 24
    assert "done, unchanged" in capsys.readouterr().out


@pytest.mark.parametrize(
    "fault",
    [does.busy, does.broken, does.hang, does.drip, does.cut_off, does.torn, does.elsewhere, does.overloaded],
    ids=lambda fault: fault.__name__,
)
def test_what_may_pass_is_asked_again(study, server, tmp_path, fault):
    server.faults = [None, None, fault, None, fault]
    impatient = fault in (does.hang, does.drip)  # a machine that stands still for a second has requests sent again too
    recipe = study({"timeout_s": 1, "retries": 12, "concurrency": 4} if impatient else {"concurrency": 2})
    assert sit(recipe, tmp_path) == 0
    found, retried = rows(tmp_path), facts(tmp_path).scoring.served.retried
    assert len({row.key for row in found}) == len(found) == 24
    assert retried >= 2 if impatient else (retried, len(server.seen)) == (2, 26)
    if fault is does.busy:  # whoever begins after the server asked for two seconds waits; one request was on its way
        asked = sorted(body["at"] for body in server.seen)
        assert max(b - a for a, b in zip(asked, asked[1:], strict=False)) > 0.9


def test_a_server_that_stays_broken_ends_the_sitting_and_what_was_answered_is_kept(study, server, tmp_path, capsys):
    server.faults = [None] * 9 + [does.broken] * 30
    recipe = study({"retries": 1, "concurrency": 2})
    assert sit(recipe, tmp_path) == 2
    said = told(capsys)
    assert "own_gen/q" in said
    assert "gave up after 2 tries, the last: ValueError: status 500" in said
    assert "what was answered is kept, start again to go on" in said
    assert facts(tmp_path) is None
    kept = items.read(tmp_path / "r/api/seed-0/items.rank-0.jsonl")
    assert 8 <= len(kept) <= 10
    server.faults, server.seen = [], []
    assert sit(recipe, tmp_path) == 0
    assert len(server.seen) == 24 - len(kept)
    assert {row.key for row in kept} <= {row.key for row in rows(tmp_path)}


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        (does.refusing(401, f'{{"error": {{"message": "Incorrect key: {KEY}"}}}}'.encode()), "the key is not accepted"),
        (does.refusing(404, b'{"detail": "no model m"}'), "no such address or model (engine.url up to /v1, engine.mo"),
        (does.refusing(402, b"Insufficient Balance"), "the account is empty"),
        (does.refusing(302, b"", location="/v1/elsewhere"), "a redirect, which is not followed"),
        (does.refusing(400, b'{"error": "context too long"}'), "status 400: context too long"),
        (does.refusing(429, b"quota", **{"retry-after": "86400"}), "come back in 86400 s; quota"),
    ],
)
def test_a_refusal_is_told_at_once_without_the_key(study, server, tmp_path, capsys, monkeypatch, fault, said):
    monkeypatch.setenv("OUR_KEY", KEY)
    server.faults = [fault]
    assert sit(study({"key_env": "OUR_KEY", "concurrency": 1}), tmp_path) == 2
    heard = told(capsys)
    assert said in heard
    assert KEY not in heard
    assert len(server.seen) == 1
    assert set(server.paths) == {"/v1/chat/completions"}


SLASHED = "sk-test/0123456789/abcdefghij"


def spelled(server, handler, body) -> does.Reply:
    """A reply whose JSON spells the key that it was sent otherwise than it is: slashes escaped, a letter by number."""
    reply = server.reply(body, "x", False)
    reply["choices"][0]["message"]["content"] += f" (asked by {SLASHED})"
    return 200, {}, json.dumps(reply).replace("/", "\\/").replace("sk-", "\\u0073k-").encode()


def test_a_key_stays_out_however_a_reply_spells_it_and_wherever_a_refusal_is_cut(
    study, server, tmp_path, capsys, monkeypatch
):
    monkeypatch.setenv("OUR_KEY", SLASHED)
    server.faults = [spelled] * 5
    recipe = study({"key_env": "OUR_KEY", "concurrency": 1})
    assert sit(recipe, tmp_path) == 0
    assert sum("asked by ***" in row.text for row in rows(tmp_path)) == 5
    assert not [path for path in tmp_path.rglob("*.jsonl") if "0123456789/abc" in path.read_text("utf-8")]
    page = b"<html>" + b"x" * 280 + SLASHED.encode()
    server.faults = [does.refusing(403, page)]
    assert sit(recipe, tmp_path / "refused") == 2
    assert "sk-test" not in told(capsys)


def test_a_served_query_is_timed_on_development_questions(study, server, tmp_path):
    """Tokens and seconds of what the server was asked, and no answer kept."""
    exam = {"tasks": [f"{tmp_path}/exam/own_gen"], "samples": 2, "dev": 0.5}
    words = [str(study(exam=exam)), "--contender", "api", "--out", str(tmp_path / "timed"), "--timing", "--items", "3"]
    assert score.main(words) == 0
    found = Timing.read(tmp_path / "timed/r/api/timing.json")
    assert (found.engine, found.questions, found.answers) == ("openai", 3, 6)
    assert (found.tokens_in, found.tokens_out) == (30, 4)
    assert found.seconds > 0
    assert len(server.seen) == 6
    assert not list((tmp_path / "timed").rglob("items*"))


def test_killed_in_the_middle_only_what_is_missing_is_asked_again_and_the_key_stays_out(study, server, tmp_path):
    """The whole line in a process of its own, without torch, with a key."""
    recipe, out = study({"key_env": "OUR_KEY", "concurrency": 2}), tmp_path / "runs"
    held = threading.Event()
    server.faults = [None] * 10 + [lambda *asked: held.wait() and None] * 14  # these are not answered
    words, env = score_line(recipe, out, "api"), environment() | {"OUR_KEY": KEY}
    log = out / "r/api/seed-0/items.rank-0.jsonl"
    with subprocess.Popen(words, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as running:
        while running.poll() is None and (lines(log) < 10 or len(server.seen) < 12):
            time.sleep(0.005)
        running.kill()
    held.set()
    kept = lines(log)
    assert kept == 10
    server.seen, server.faults = [], []
    server.say = aloud
    code = (
        f"import sys\nfrom eval.score.__main__ import main\nstatus = main({words[3:]!r})\n"
        "assert 'torch' not in sys.modules and 'transformers' not in sys.modules\nsys.exit(status)"
    )
    done = subprocess.run([words[0], "-c", code], env=env, capture_output=True, text=True, check=False, timeout=HANGS)
    assert done.returncode == 0, done.stderr
    assert f"{24 - kept} of 24 answers to go" in done.stdout
    assert len(server.seen) == 24 - kept
    assert len({row.key for row in rows(out)}) == 24
    assert all(headers["Authorization"] == f"Bearer {KEY}" for headers in server.headers)
    assert sum("Bearer ***" in row.text for row in rows(out)) == 24 - kept
    texts = [path.read_text("utf-8", "replace") for path in out.rglob("*") if path.is_file()]
    assert len(texts) >= 4
    assert not [text for text in [*texts, done.stdout, done.stderr] if KEY in text]


def aloud(body: dict, reply: dict) -> dict:
    """A server that says with every answer whose it is."""
    reply["choices"][0]["message"]["content"] += f" (asked by Bearer {KEY})"
    return reply


def lines(path) -> int:
    return path.read_bytes().count(b"\n") if path.is_file() else 0


def test_a_missing_key_is_told_before_anything_is_written(study, tmp_path, capsys, monkeypatch):
    monkeypatch.delenv("OUR_KEY", raising=False)
    assert sit(study({"key_env": "OUR_KEY"}), tmp_path / "runs") == 2
    assert "OUR_KEY is not set in the environment" in capsys.readouterr().err
    assert not list((tmp_path / "runs").rglob("*.json*"))
    monkeypatch.setenv("OUR_KEY", f"{KEY}\nx")
    assert sit(study({"key_env": "OUR_KEY"}), tmp_path / "runs") == 2
    assert KEY not in capsys.readouterr().err


def test_requests_a_minute_are_kept(study, server, tmp_path):
    recipe = study({"requests_per_minute": 1200, "concurrency": 8})
    assert sit(recipe, tmp_path) == 0
    last = max(body["at"] for body in server.probed)  # the first of the exam's requests begins after it
    assert max(body["at"] for body in server.seen) - last > 0.95 * 23 * 60 / 1200
