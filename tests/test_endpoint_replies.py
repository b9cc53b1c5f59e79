"""Replies of a server: thoughts, ends and tokens told apart, read whole or refused."""

from __future__ import annotations

import json
from functools import partial

import pytest
import small_server as does
from hypothesis import given, settings
from hypothesis import strategies as st
from small_endpoint import rows, sit, write_study

from eval.endpoint.probe import INVENT
from eval.endpoint.wire import read, split
from finetune.chat import Chat


@pytest.fixture
def study(tmp_path, tiny, server):
    return partial(write_study, tmp_path, tiny("qwen2"), server.url)


def test_a_row_says_who_counted_its_tokens(tiny):
    """A server may count the token that ends an answer, as vLLM's does; ours stands for the text alone."""
    chat = Chat.open(tiny("qwen3"), "qwen3", "drop")
    ids, reply = chat.prompt([{"role": "user", "content": INVENT}]), {"text": "利好", "finish_reason": "stop"}
    usage = {"prompt_tokens": len(ids)}
    ours = read({"choices": [reply], "usage": usage}, chat, tuple(ids))
    theirs = read({"choices": [reply], "usage": usage | {"completion_tokens": ours.tokens_out + 1}}, chat, tuple(ids))
    assert (ours.counted, ours.tokens_out) == ("text", len(chat.encode("利好")))
    assert (theirs.counted, theirs.tokens_out) == ("server", ours.tokens_out + 1)


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


def test_an_answer_beyond_the_limit_is_cut_whatever_the_server_says(study, server, tmp_path):
    """It kept to the limit while it was probed."""

    def say(body, reply):
        if body["max_tokens"] == 64:
            reply["usage"]["completion_tokens"] = 66 if body["seed"] % 2 else 65
        return reply

    server.say = say
    assert sit(study(), tmp_path) == 0
    cut = {row.tokens_out: (row.finish, row.outcome == "truncated") for row in rows(tmp_path)}
    assert cut == {65: ("stop", False), 66: ("length", True)}


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
