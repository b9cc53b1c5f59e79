"""A thought's budget at a server: an answer goes on in a second request, which is paid for, tried again and resumed."""

from __future__ import annotations

from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import pytest
import small_server as does
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console
from small_endpoint import facts, rows, sit, told, write_study
from small_exam import model

from eval import items
from eval.answer import Answer
from eval.endpoint.probe import INVENT
from eval.endpoint.rounds import MOST, in_rounds
from eval.endpoint.wire import Said, read
from finetune.card import DataCard, ask
from finetune.chat import Chat

BUDGET, LIMIT = 6, 40
DECODING = {"temperature": 0.7, "max_new_tokens": LIMIT, "thinking_tokens": BUDGET}
PLANS = {  # what is thought and answered to every third question
    0: "123456789012345\n</think>\n\nA",  # beyond the budget
    1: "12\n</think>\n\nA and 345678901234567",  # closes by itself; the answer goes on beyond the first request
    2: "1\n</think>\n\nB",
}
REST = "B"  # what follows a thought that was closed


@dataclass
class Muse:
    """Behind a server: writes its plan for a question, token by token, and REST where it finds another text written."""

    chat: Chat
    known: dict[tuple[int, ...], list[int]]  # prompt -> plan

    def __call__(self, body: dict[str, Any], reply: dict[str, Any]) -> dict[str, Any]:
        ids = tuple(body["prompt"])
        prompt = next((prompt for prompt in self.known if ids[: len(prompt)] == prompt), None)
        if prompt is None:
            return reply
        wrote, plan = list(ids[len(prompt) :]), self.known[prompt]
        todo = plan[len(wrote) :] if wrote == plan[: len(wrote)] else self.chat.encode(REST)
        text, cut = self.chat.decode(todo[: body["max_tokens"]]), len(todo) >= body["max_tokens"]
        usage = {"prompt_tokens": len(ids), "completion_tokens": body["max_tokens"] if cut else len(todo) + 1}
        return reply | {"choices": [{"text": text, "finish_reason": "length" if cut else "stop"}], "usage": usage}


@pytest.fixture
def muse(tmp_path, tiny, server):
    """(recipe, chat, prompts by question, plans by question), the server being asked for completions."""
    folder = tiny("qwen2")
    chat = Chat.open(folder, "r1_distill_qwen", "keep")
    asked = model(folder, "r1_distill_qwen", think="keep", decoding=DECODING)
    recipe = write_study(tmp_path, folder, server.url, {"api": "completions", "concurrency": 2}, asked)
    questions = DataCard.read(tmp_path / "exam/own.md").rows(None, "test")
    prompts = {row.id: tuple(chat.prompt([{"role": "user", "content": ask(row)}])) for row in questions}
    plans = {name: chat.tokenizer.encode(PLANS[int(name[1:]) % 3]).ids for name in prompts}
    server.say = Muse(chat, {prompts[name]: plans[name] for name in prompts})
    server.ids_of_probe.add(tuple(chat.prompt([{"role": "user", "content": INVENT}])))
    return SimpleNamespace(recipe=recipe, chat=chat, prompts=prompts, plans=plans)


def spent(chat: Chat) -> list[int]:
    return [*chat.encode("\n"), chat.markers["</think>"], *chat.encode("\n\n")]


def test_a_second_request_goes_on_behind_the_closed_thought(muse, server, tmp_path):
    assert sit(muse.recipe, tmp_path) == 0
    by_kind = [[row for row in rows(tmp_path) if int(row.id[1:]) % 3 == kind] for kind in range(3)]
    assert {row.text for row in by_kind[0]} == {"123456\n</think>\n\nB"}
    assert {row.text for row in by_kind[1]} == {PLANS[1]}
    assert {row.text for row in by_kind[2]} == {PLANS[2]}
    assert {row.given for row in by_kind[0]} == {len(spent(muse.chat))}
    assert {row.given for row in by_kind[1] + by_kind[2]} == {0}
    assert {row.finish for row in rows(tmp_path)} == {"stop"}
    assert {row.extracted for row in by_kind[0]} == {"B"}
    assert {row.tokens_thinking for row in by_kind[0]} == {len(muse.chat.encode("123456\n"))}


def test_tokens_seconds_and_money_are_of_both_requests(muse, server, tmp_path):
    assert sit(muse.recipe, tmp_path) == 0
    closing = spent(muse.chat)
    for row in rows(tmp_path):
        prompt, plan = muse.prompts[row.id], muse.plans[row.id]
        kind = int(row.id[1:]) % 3
        again = [[*plan[:BUDGET], *closing], plan[: BUDGET + 1], None][kind]
        wrote = [BUDGET + 1 + len(muse.chat.encode(REST)) + 1, len(plan) + 1, len(plan) + 1][kind]
        assert (row.tokens_in, row.tokens_out) == (len(prompt) + (len(prompt) + len(again) if again else 0), wrote)
        behind = [(*prompt, *again)] * 2 if again else []
        asked = [body for body in server.seen if tuple(body["prompt"][: len(prompt)]) == prompt]
        assert sorted(tuple(body["prompt"]) for body in asked) == [prompt, prompt, *behind]  # of two samples
        left = {LIMIT - len(again or ()), BUDGET + 1}
        assert {body["max_tokens"] for body in asked} == (left if again else {BUDGET + 1})
    seeds = [body["seed"] for body in server.seen]
    assert len(set(seeds)) == len(seeds) == 24 + 16  # none is asked twice with the same numbers
    firsts = {body["seed"] for body in server.seen if tuple(body["prompt"]) in muse.prompts.values()}
    assert {row.draw_seed for row in rows(tmp_path)} == firsts
    done = facts(tmp_path)
    assert done.scoring.served.tokens_in == sum(len(body["prompt"]) for body in server.seen)
    assert done.scoring.generated_tokens == sum(row.tokens_out for row in rows(tmp_path))
    assert done.device_seconds == pytest.approx(sum(row.seconds for row in rows(tmp_path)))
    assert done.scoring.decoding["thinking_tokens"] == BUDGET


def second(fault):
    """Befalls requests that go on with a thought that was closed, and no others."""

    def befall(server, handler, body):
        if len(body["prompt"]) in server.long:
            return fault(server, handler, body)
        server.faults.insert(0, befall)
        return 200, {}, does.json.dumps(server.say(body, server.reply(body, "", False))).encode()

    return befall


def test_each_request_is_tried_again_and_a_sitting_that_ends_between_them_is_resumed(muse, server, tmp_path, capsys):
    assert sit(muse.recipe, tmp_path / "whole") == 0
    whole, closing = rows(tmp_path / "whole"), len(spent(muse.chat))
    server.long = {len(prompt) + BUDGET + closing for name, prompt in muse.prompts.items() if int(name[1:]) % 3 == 0}
    server.seen = []
    server.faults = [second(does.broken)]
    assert sit(muse.recipe, tmp_path / "again") == 0
    assert (facts(tmp_path / "again").scoring.served.retried, len(server.seen)) == (1, 41)
    same = {"exclude": {"seconds"}}
    assert [row.model_dump(**same) for row in rows(tmp_path / "again")] == [row.model_dump(**same) for row in whole]
    server.faults = [second(does.refusing(404, b"gone"))]
    assert sit(muse.recipe, tmp_path / "cut") == 2
    assert "own_gen/q" in told(capsys)
    kept = items.read(tmp_path / "cut/r/api/seed-0/items.rank-0.jsonl")
    assert len(kept) < 24
    server.faults = []
    assert sit(muse.recipe, tmp_path / "cut") == 0
    assert [row.model_dump(**same) for row in rows(tmp_path / "cut")] == [row.model_dump(**same) for row in whole]


def test_what_a_filter_holds_back_in_the_second_request_keeps_what_was_paid(muse, server, tmp_path):
    closing = len(spent(muse.chat))
    server.long = {len(prompt) + BUDGET + closing for name, prompt in muse.prompts.items() if int(name[1:]) % 3 == 0}
    server.faults = [second(does.refusing(400, b'{"error": {"message": "Content Exists Risk"}}'))]
    assert sit(muse.recipe, tmp_path) == 0
    (row,) = [row for row in rows(tmp_path) if row.outcome == "refused"]
    assert (row.finish, row.tokens_out, row.given) == ("filter", BUDGET + 1, closing)
    assert row.tokens_in == len(muse.prompts[row.id])
    assert row.seconds > 0


def test_check_counts_both_requests(muse):
    from eval.check import show
    from finetune.recipe import Recipe

    with Console(width=200).capture() as shown:
        show(Recipe.read(muse.recipe), shown._console)
    assert "api: at most 48 requests to 127.0.0.1" in " ".join(shown.get().split())


DIGITS = "0123456789"  # each a token of its own wherever it stands, so that a text is read back as it was written


def contender(budget: int, most: int) -> Any:
    return SimpleNamespace(model=SimpleNamespace(decoding=SimpleNamespace(max_new_tokens=most, thinking_tokens=budget)))


@pytest.mark.parametrize(
    ("text", "kept", "untold"), [("1234567", "123456", 0), ("12345", "12345", 2), ("123456\ufffd", "123456", 1)]
)
def test_what_a_server_counts_is_spent_where_its_text_has_fewer_tokens(chats, text, kept, untold):
    """Tokens that are spelled otherwise than our tokenizer would, and the part of a character that a limit cut off."""
    chat, rooms = chats["r1_distill_qwen"], []

    def asked(ids, turn, room):
        rooms.append(room)
        choice = {"text": "B" if turn else text, "finish_reason": "stop" if turn else "length"}
        usage = {"prompt_tokens": len(ids), "completion_tokens": 2 if turn else room}
        return read({"choices": [choice], "usage": usage}, chat, tuple(ids)), 1.0

    said, _ = in_rounds(chat, contender(BUDGET, LIMIT), (), asked)
    assert (said.text, said.tokens_out) == (f"{kept}\n</think>\n\nB", BUDGET + 1 + 2)
    assert rooms == [BUDGET + 1, LIMIT - len(kept) - len(spent(chat)) - untold]


def hf(chat: Chat, following: Any, budget: int, most: int) -> Answer:
    """As the loop of `engine: hf` writes, greedily."""
    answer = Answer(chat, (), budget)
    while answer.put(following(answer.ids)) and len(answer.ids) < most:
        pass
    return answer


@pytest.fixture(scope="module")
def chats(tiny):
    kinds = {"r1_distill_qwen": "qwen2", "qwen3": "qwen3"}
    return {family: Chat.open(tiny(kind), family, "keep") for family, kind in kinds.items()}


@given(st.sampled_from(["r1_distill_qwen", "qwen3"]), st.data())
def test_rounds_and_pieces_write_what_token_by_token_is_written(chats, family, data):
    """Whatever digits, marks of thoughts and ends a model writes: in pieces as vLLM's, in rounds as a server's."""
    chat = chats[family]
    marks = [chat.markers["<think>"], chat.markers["</think>"], chat.eos]
    tokens = [*(chat.encode(one)[0] for one in DIGITS), *marks]
    script = data.draw(st.lists(st.sampled_from(tokens), min_size=1, max_size=40))
    budget, most = data.draw(st.integers(1, 12)), data.draw(st.integers(18, 30))
    following = lambda ids: script[(7 * len(ids) + sum(ids)) % len(script)]  # noqa: E731
    want = hf(chat, following, budget, most)

    def written(ids, room) -> list[int]:
        found: list[int] = []
        while len(found) < room and (not found or found[-1] not in chat.stops):
            found.append(following([*ids, *found]))
        return found

    pieces, state = Answer(chat, (), budget), "on"
    while state != "ended":
        ahead = written(pieces.ids, data.draw(st.integers(1, 9)))
        state = pieces.take(ahead, most)
    assert (pieces.ids, pieces.given, pieces.stopped) == (want.ids, want.given, want.stopped)

    turns = []

    def asked(ids, turn, room):
        assert turn == len(turns)
        turns.append(room)
        found = written(ids, room)
        ended = found[-1] in chat.stops
        choice = {"text": chat.decode(found[:-1] if ended else found), "finish_reason": "stop" if ended else "length"}
        usage = {"prompt_tokens": len(ids), "completion_tokens": len(found)}
        return read({"choices": [choice], "usage": usage}, chat, tuple(ids)), 1.0

    said, seconds = in_rounds(chat, contender(budget, most), (), asked)
    assert isinstance(said, Said)
    assert seconds == len(turns) <= MOST
    if len(turns) < MOST:
        assert said.text == chat.decode(want.ids)
        assert (said.finish == "stop", said.given) == (want.stopped, want.given)
