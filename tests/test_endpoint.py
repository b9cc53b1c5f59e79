"""Served contenders: asked over OpenAI's protocol, through everything that a server and a network do to an answer."""

from __future__ import annotations

import json
import subprocess
import time
from datetime import date

import pytest
import small_server as does
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from small_exam import environment, model, score_line, write_exam
from small_server import serving

from eval import items
from eval.endpoint.probe import INVENT
from eval.endpoint.wire import read, split
from eval.score import __main__ as score
from finetune.card import DataCard, ask
from finetune.chat import Chat
from finetune.mistakes import BadInput
from finetune.recipe import Recipe, Timing, is_loopback
from finetune.run import RunDir

KEY = "sk-test-0123456789abcdefghij"
GREEDY = {"temperature": 0.0, "max_new_tokens": 64}
SAMPLED = {"temperature": 0.7, "max_new_tokens": 64}


@pytest.fixture
def server():
    with serving() as started:
        yield started


@pytest.fixture
def study(tmp_path, tiny, server):
    """study(engine keys, model keys, ...) -> recipe path: an exam of 12 questions, `api` served, the rest here."""
    exam, old = write_exam(tmp_path / "exam", count=12), model(tiny("qwen2"), "r1_distill_qwen")

    def write(engine: dict | None = None, asked: dict | None = None, tasks=("own_gen",), **keys):
        served = {"id": "some/served", "family": "served", "think": "drop", "decoding": SAMPLED} | (asked or {})
        engine = {"kind": "openai", "url": server.url, "model": "m", "retries": 3, "timeout_s": 30} | (engine or {})
        recipe = {
            "question": "Is it worth it?",
            "data": [f"{exam}/own.md#test"],
            "contenders": {
                "old": {"model": old},
                "tuned": {"model": old, "method": {"kind": "lora"}},
                "api": {"model": served, "engine": engine},
            },
            "exam": {"tasks": [f"{exam}/{task}" for task in tasks], "samples": 2},
            "rule": {"challengers": ["tuned"], "incumbent": "api", "base": "old"},
        } | keys
        path = tmp_path / "r.yaml"
        path.write_text(yaml.safe_dump(recipe, allow_unicode=True), "utf-8")
        return path

    return write


def sit(recipe, out) -> int:
    return score.main([str(recipe), "--contender", "api", "--out", str(out)])


def told(capsys) -> str:
    """The one line of a refusal; before it may stand bars of a library that was imported for another test."""
    found = [line for line in capsys.readouterr().err.splitlines() if line.startswith("tuneworth")]
    assert len(found) == 1
    return found[0]


def rows(out):
    return items.read(out / "r/api/seed-0/items.jsonl")


def facts(out):
    return RunDir(out / "r").seed("api", 0).scored()


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
    recipe = study({"timeout_s": 1, "concurrency": 4})
    assert sit(recipe, tmp_path) == 0
    found, done = rows(tmp_path), facts(tmp_path)
    assert len({row.key for row in found}) == len(found) == 24
    assert (done.scoring.served.retried, len(server.seen)) == (2, 26)
    if fault is does.busy:  # whoever begins after the server asked for a second waits for it
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


def ignoring(*names):
    return lambda server: server.ignores.update(names)


def saying(change):
    return lambda server: setattr(server, "say", change)


def echo(body, reply):
    reply["choices"][0]["message"]["content"] = f"<|user|>{body['messages'][0]['content']}<|assistant|>"
    return reply


def overlong(body, reply):
    return reply | {"usage": {"prompt_tokens": 30, "completion_tokens": 2000}}


def uncounted(body, reply):
    return reply | {"usage": None}


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (ignoring("temperature", "seed"), "so it ignores temperature"),
        (ignoring("seed", "top_p"), None),  # drawn anew each time: not repeatable, and no condition
        (saying(lambda body, reply: echo(body, reply)), "repeats the prompt as its answer"),
        (saying(overlong), "wrote 2000 tokens where max_tokens allows 48"),
        (saying(uncounted), "the reply counts no tokens (usage)"),
        (ignoring("top_k"), "ignores top_k (at 1 it still draws)"),
    ],
    ids=["temperature", "seed", "echo", "limit", "usage", "top_k"],
)
def test_the_probe_refuses_a_server_that_ignores_what_is_asked(study, server, tmp_path, capsys, spoil, said):
    spoil(server)
    recipe = study({"retries": 0}, {"decoding": SAMPLED | ({"top_k": 20} if said and "top_k" in said else {})})
    assert sit(recipe, tmp_path) == (2 if said else 0)
    if said:
        assert said in capsys.readouterr().err
        assert server.seen == []
        assert not (tmp_path / "r/api/seed-0/items.rank-0.jsonl").exists()
    else:
        assert facts(tmp_path).scoring.served.seeds_repeat is False


def always_greedy(body, reply):
    text = "ABC"[len(str(body["messages"])) % 3]
    reply["choices"][0]["message"]["content"] = text
    return reply


def test_a_server_that_never_draws_may_be_asked_greedily(study, server, tmp_path, capsys):
    """transformers serve without do_sample: four seeds, one answer."""
    server.say = always_greedy
    assert sit(study(), tmp_path) == 2
    assert "four seeds give one answer at temperature 0.7, so it draws nothing" in capsys.readouterr().err
    assert sit(study(asked={"decoding": GREEDY}), tmp_path) == 0
    assert facts(tmp_path).scoring.served.seeds_repeat is None


def test_a_server_may_be_left_to_draw_as_it_likes(study, server, tmp_path):
    assert sit(study({"sampling": "server"}), tmp_path) == 0
    assert not {"temperature", "top_p", "top_k", "seed"} & {key for body in server.seen for key in body}
    assert facts(tmp_path).scoring.served.sampling == "server"


@pytest.mark.parametrize("think", ["empty", "keep"])
def test_completions_send_our_rendering(study, server, tmp_path, tiny, think):
    """As ids: no template and no tokenizer of the server's stands between the question and the model."""
    folder = tiny("qwen3")
    chat = Chat.open(folder, "qwen3", think)
    server.ids_of_probe.add(tuple(chat.prompt([{"role": "user", "content": INVENT}])))
    asked = model(folder, "qwen3", think=think, decoding=SAMPLED)
    assert sit(study({"api": "completions"}, asked), tmp_path) == 0
    done = facts(tmp_path)
    asked = {row.id: ask(row) for row in DataCard.read(tmp_path / "exam/own.md").rows(None, "test")}
    sent = [chat.prompt([{"role": "user", "content": asked[row.id]}]) for row in rows(tmp_path)]
    assert sorted(body["prompt"] for body in server.seen) == sorted(sent)
    assert (done.scoring.served.form, done.scoring.chat_digest) == ("ids", chat.digest)
    assert [row.tokens_in for row in rows(tmp_path)] == [len(ids) for ids in sent]


def test_a_server_that_adds_a_bos_is_refused(study, server, tmp_path, tiny, capsys):
    folder = tiny("qwen3")
    chat = Chat.open(folder, "qwen3", "drop")
    server.ids_of_probe.add(tuple(chat.prompt([{"role": "user", "content": INVENT}])))
    counted = {"completion_tokens": 4}
    server.say = lambda body, reply: reply | {"usage": counted | {"prompt_tokens": len(body["prompt"]) + 1}}
    assert sit(study({"api": "completions"}, model(folder, "qwen3", think="drop")), tmp_path) == 2
    assert "where our rendering has" in capsys.readouterr().err


def test_a_row_says_who_counted_its_tokens(tiny):
    """A server may count the token that ends an answer, as vLLM's does; ours stands for the text alone."""
    chat = Chat.open(tiny("qwen3"), "qwen3", "drop")
    ids, reply = chat.prompt([{"role": "user", "content": INVENT}]), {"text": "利好", "finish_reason": "stop"}
    usage = {"prompt_tokens": len(ids)}
    ours = read({"choices": [reply], "usage": usage}, chat, tuple(ids))
    theirs = read({"choices": [reply], "usage": usage | {"completion_tokens": ours.tokens_out + 1}}, chat, tuple(ids))
    assert (ours.counted, ours.tokens_out) == ("text", len(chat.encode("利好")))
    assert (theirs.counted, theirs.tokens_out) == ("server", ours.tokens_out + 1)


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


def message(content, reasoning=None, finish="stop", **usage):
    def say(body, reply):
        if INVENT not in str(body):
            choice = {"finish_reason": finish, "message": {"content": content, "reasoning_content": reasoning}}
            return reply | {"choices": [choice], "usage": reply["usage"] | usage}
        return reply

    return say


@pytest.mark.parametrize(
    ("say", "outcome", "thinking"),
    [
        (message("B", "Let me see.", completion_tokens_details={"reasoning_tokens": 3}), "graded", 3),
        (message("<think>Is it A?</think>\n\nB"), "graded", 4),  # by share of characters, as no one counts it
        (message("Is it A?</think>B"), "graded", 4),
        (message(None, "Let me see", "length"), "unclosed_thinking", 4),
        (message("<think>Let me see", None, "length"), "unclosed_thinking", 4),
        (message("It is", None, "length"), "truncated", 0),
        (message("B\n\nand more that a stop string would have cut", None, "length"), "graded", 0),
        (message("", None, "content_filter"), "refused", 0),
    ],
    ids=["apart", "tags", "prefilled", "apart-open", "open", "cut", "until", "filter"],
)
def test_thoughts_and_ends_are_told_apart(study, server, tmp_path, say, outcome, thinking):
    server.say = say
    assert sit(study(), tmp_path) == 0
    found = rows(tmp_path)
    graded = {"correct", "wrong"} if outcome == "graded" else {outcome}
    assert {row.outcome for row in found} == graded
    assert {row.tokens_thinking for row in found} == {thinking}
    if outcome == "graded":
        assert {row.extracted for row in found} == {"B"}
        assert {row.finish for row in found} == {"stop"}


def test_a_question_that_a_filter_holds_back_is_an_answer_withheld(study, server, tmp_path):
    server.faults = [does.refusing(400, b'{"error": {"message": "Content Exists Risk"}}')]
    assert sit(study(), tmp_path) == 0
    assert [row.outcome for row in rows(tmp_path)].count("refused") == 1


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("B", ("", "B", True)),
        ("<think>\na\n</think>\n\nB", ("a", "B", True)),
        ("a</think>B", ("a", "B", True)),
        ("B <think>a</think>", ("a", "B ", True)),
        ("<think>a</think>b</think>C", ("ba", "C", True)),
        ("<think>a", ("a", "", False)),
        ("a</think>B<think>c", ("ac", "", False)),
    ],
)
def test_thoughts_in_a_text(text, parts):
    assert split(text) == parts


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 9) | st.floats() | st.text(max_size=4) | st.just("\ud800B"),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(["prompt_tokens", "x"]), inner),
    max_leaves=4,
)


@settings(deadline=None)
@given(
    st.fixed_dictionaries({}, optional=dict.fromkeys(("choices", "usage", "model", "system_fingerprint"), JSON)),
    st.fixed_dictionaries({}, optional=dict.fromkeys(("content", "reasoning_content", "reasoning"), JSON)) | JSON,
    st.fixed_dictionaries(
        {}, optional=dict.fromkeys(("prompt_tokens", "completion_tokens", "completion_tokens_details"), JSON)
    )
    | st.just({"prompt_tokens": 3, "completion_tokens": 2}),
    st.sampled_from(["stop", "length", "content_filter", None, 3]),
)
def test_a_reply_is_read_whole_or_refused_and_what_is_read_can_be_kept(around, message, usage, finish):
    whole = {"choices": [{"message": message, "finish_reason": finish}], "usage": usage} | around
    for reply in (around, whole, [whole]):
        try:
            said = read(reply, None, "?")
        except ValueError:
            continue
        json.dumps([said.text, said.answer, said.model, said.fingerprint], ensure_ascii=False).encode("utf-8")
        assert 0 <= said.tokens_thinking <= said.tokens_out
        assert said.closed or not said.answer


def test_killed_in_the_middle_only_what_is_missing_is_asked_again_and_the_key_stays_out(study, server, tmp_path):
    """The whole line in a process of its own, without torch, with a key."""
    recipe, out = study({"key_env": "OUR_KEY", "concurrency": 2}), tmp_path / "runs"
    server.faults = [slowly] * 24
    words, env = score_line(recipe, out, "api"), environment() | {"OUR_KEY": KEY}
    log = out / "r/api/seed-0/items.rank-0.jsonl"
    with subprocess.Popen(words, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as running:
        deadline = time.monotonic() + 120
        while running.poll() is None and time.monotonic() < deadline and lines(log) < 8:
            time.sleep(0.005)
        running.kill()
    kept = lines(log)
    assert 8 <= kept < 24
    server.seen, server.faults = [], []
    code = (
        f"import sys\nfrom eval.score.__main__ import main\nstatus = main({words[3:]!r})\n"
        "assert 'torch' not in sys.modules and 'transformers' not in sys.modules\nsys.exit(status)"
    )
    done = subprocess.run([words[0], "-c", code], env=env, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    assert f"{24 - kept} of 24 answers to go" in done.stdout
    assert len(server.seen) == 24 - kept
    assert len({row.key for row in rows(out)}) == 24
    assert all(headers["Authorization"] == f"Bearer {KEY}" for headers in server.headers)
    texts = [path.read_text("utf-8", "replace") for path in out.rglob("*") if path.is_file()]
    assert len(texts) >= 4
    assert not [text for text in [*texts, done.stdout, done.stderr] if KEY in text]


def slowly(server, handler, body):
    time.sleep(0.05)
    return 200, {}, json.dumps(server.reply(body, str(body["messages"]), False)).encode()


def lines(path) -> int:
    return path.read_bytes().count(b"\n") if path.is_file() else 0


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ({"api_key": KEY}, "api_key: keys do not stand in recipes"),
        ({"headers": {"Authorization": KEY}}, "headers: keys do not stand in recipes"),
        ({"key_env": KEY}, "no name of an environment variable"),
        ({"url": f"https://me:{KEY}@api.deepseek.com/v1"}, "holds more than an address"),
        ({"url": f"http://127.0.0.1/v1?key={KEY}"}, "holds more than an address"),
        ({"body": {"auth": {"x": KEY}}}, "looks like a key"),
        ({"body": {"user": KEY}}, "looks like a key"),
        ({"body": {"temperature": 1}}, "temperature is set from the recipe's own keys"),
        ({"url": "https://api.deepseek.com"}, "api.deepseek.com is not this machine"),
        ({"url": "http://x.cn/v1", "allow_remote": True, "key_env": "K"}, "in the clear; use https"),
        ({"url": "ftp://x"}, "no address of a server"),
        ({"body": {"top": float("nan")}}, "cannot be sent as JSON"),
        ({"body": {"since": date(2024, 1, 1)}}, "quote a date"),
        ({"price_in": 1}, "price_in and price_out belong together"),
        ({"api": "completions"}, "api completions sends our rendering"),
        ({"kind": "sglang", "api_key": KEY}, "kind must be auto, hf, vllm or openai"),
        ({"kind": "vllm", "api_key": KEY}, "api_key"),
        ({"concurency": 4}, "did you mean concurrency?"),
    ],
)
def test_a_recipe_that_asks_wrongly_is_refused_and_no_key_repeated(study, keys, said):
    with pytest.raises(BadInput) as fault:
        Recipe.read(study(keys))
    assert said in str(fault.value)
    assert KEY not in str(fault.value)


def test_what_a_server_cannot_be_asked_for_is_refused(study, server):
    path = study()
    for change, said in (
        ("contenders.api.method={kind: lora}", "only untuned contenders are asked there"),
        ("contenders.api.model.think=empty", "messages cannot hand over an empty thought"),
        ("contenders.old.model.family=served", "served is a server's own template"),
        (f"contenders.api.engine={KEY}", "must be auto, hf, vllm or a mapping"),
    ):
        with pytest.raises(BadInput, match=r"contenders\.") as fault:
            Recipe.read(path, (change,))
        assert said in str(fault.value)
        assert KEY not in str(fault.value)


def test_tasks_by_likelihood_are_refused_with_their_written_form(study, tmp_path, capsys):
    from eval.check import show

    path = study(tasks=("own", "own_gen"))
    assert sit(path, tmp_path) == 2
    said = capsys.readouterr().err
    assert "own is scored by likelihood, which no API gives, and api has engine openai; name own_gen" in said
    from rich.console import Console

    with pytest.raises(BadInput, match="own is scored by likelihood"):
        show(Recipe.read(path), Console(quiet=True))


def test_check_plans_requests_and_money(study, capsys):
    """24 answers, of 64 tokens at most: 24 * 64 * 8 / 1e6 and what is read."""
    from rich.console import Console

    from eval.check import show

    recipe = study({"price_in": 0, "price_out": 1000, "requests_per_minute": 1})
    with Console(width=200).capture() as shown:
        show(Recipe.read(recipe), shown._console)
    said = " ".join(shown.get().split())
    assert "api: 24 requests to 127.0.0.1" in said
    assert "1,536 written: 1.54 CNY, 1.54 were every answer at its limit; at 1 a minute 0.4 hours or more" in said
    assert "some/served, chat at 127.0.0.1" in said


@pytest.mark.parametrize(
    ("change", "other"),
    [
        ("url=http://127.0.0.1:1/v1", True),
        ("model=other", True),
        ("sampling=server", True),
        ("body={chat_template_kwargs: {enable_thinking: false}}", True),
        ("concurrency=2", False),
        ("timeout_s=5", False),
        ("retries=9", False),
        ("requests_per_minute=60", False),
        ("key_env=OTHER", False),
    ],
)
def test_scores_depend_on_what_is_asked_of_whom(study, change, other):
    before, after = Recipe.read(study()), Recipe.read(study(), (f"contenders.api.engine.{change}",))
    assert (before.score_fingerprint("api", 0, {}) != after.score_fingerprint("api", 0, {})) is other


def test_hf_is_the_default_and_changes_no_fingerprint(study):
    before, after = Recipe.read(study()), Recipe.read(study(), ("contenders.old.engine=hf",))
    assert before.score_fingerprint("old", 0, {}) == after.score_fingerprint("old", 0, {})
    assert before.contenders["old"].served is None


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
    asked = [body["at"] for body in server.seen]
    assert max(asked) - min(asked) > 0.95 * 23 * 60 / 1200


@pytest.mark.parametrize(
    ("url", "here"),
    [
        ("http://127.0.0.1:8000/v1", True), ("http://[::1]:8000", True), ("http://localhost/v1", True),
        ("http://127.8.8.8", True), ("http://127.0.0.1.evil.com", False), ("http://10.0.0.1", False),
        ("http://localhost.evil.com", False), ("http://0.0.0.0:8000", False), ("https://api.deepseek.com", False),
    ],
)  # fmt: skip
def test_loopback(url, here):
    assert is_loopback(url) is here
