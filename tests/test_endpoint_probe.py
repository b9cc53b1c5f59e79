"""The start probe: a server that ignores what it is asked is refused with the remedy, before the exam."""

from __future__ import annotations

from functools import partial

import pytest
from small_endpoint import GREEDY, SAMPLED, facts, rows, sit, write_study
from small_exam import model

from eval.endpoint.probe import INVENT
from finetune.card import DataCard, ask
from finetune.chat import Chat


@pytest.fixture
def study(tmp_path, tiny, server):
    return partial(write_study, tmp_path, tiny("qwen2"), server.url)


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
