"""The renderer: what is written, what is trained, what is read back, and its fingerprint; on tiny tokenizers."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from small_chat import CASES, assistant, chats, hostile, nfc, quick, save_tiny, spoken, system, targets, user  # noqa: F401 (fixture)

from finetune.chat import FAMILIES, Chat, Rendered, Reply
from finetune.chat.family import ASSISTANT, BEGIN, CLOSE, END, NO_THOUGHT, OPEN, USER

THINKING = [case for case in CASES if case[0] != "plain"]


# Invariants of every family and policy


@pytest.mark.parametrize("case", CASES)
@quick
@given(asked=hostile, thought=spoken, answer=spoken, told=st.none() | hostile)
def test_row_is_prompt_then_targets(chats, case, asked, thought, answer, told):
    """The prompt of scoring is the untrained start of the training row; the targets are the reply and one eos."""
    chat = chats[case]
    opening = ([system(told)] if told is not None else []) + [user(asked)]
    row = chat.example([*opening, assistant(answer, thought if case[0] != "plain" else None)])
    prompt = chat.prompt(opening)
    assert len(row.ids) == len(row.mask)
    assert row.ids[: len(prompt)] == prompt
    assert not any(row.mask[: len(prompt)])
    ended = len(prompt) + sum(row.mask)
    assert all(row.mask[len(prompt) : ended])
    assert not any(row.mask[ended:])
    assert row.ids[len(prompt) : ended].count(chat.eos) == 1
    assert row.ids[ended - 1] == chat.eos
    written = {
        ("qwen3", "keep"): f"{OPEN}\n{thought}\n{CLOSE}\n\n{answer}",
        ("r1_distill_qwen", "keep"): f"{thought}\n{CLOSE}\n\n{answer}",
        ("r1_distill_llama", "keep"): f"{thought}\n{CLOSE}\n\n{answer}",
        ("r1_0528_qwen3", "keep"): f"{thought}\n{CLOSE}\n\n{answer}",
    }.get(case, answer)
    assert targets(chat, row) == nfc(written) + chat.decode([chat.eos])


@pytest.mark.parametrize("case", CASES)
@quick
@given(asked=hostile, told=hostile)
def test_contents_never_become_control(chats, case, asked, told):
    chat = chats[case]
    hostile_ids, harmless_ids = (chat.prompt([system(s), user(u)]) for s, u in [(told, asked), ("a", "b")])
    control = {*chat.markers.values(), *chat.stops, chat.pad}
    assert [t for t in hostile_ids if t in control] == [t for t in harmless_ids if t in control]
    text = chat.decode(hostile_ids)
    assert nfc(asked) in text
    assert nfc(told) in text


@pytest.mark.parametrize("case", THINKING)
@quick
@given(thought=spoken, answer=spoken)
def test_split_undoes_the_row(chats, case, thought, answer):
    """What is trained, read back as a model's output, is the reply that was taught; from ids and from text alike."""
    chat, (_, think) = chats[case], case
    thought, answer = nfc(thought), nfc(answer)
    row = chat.example([user("?"), assistant(answer, thought)])
    output = row.ids[row.mask.index(1) :]
    reply = chat.split(output)
    assert reply == chat.split(chat.decode(output))
    for stop in chat.stops:  # a spelled stop ends the text, as it would in a server
        answer = answer.partition(chat.decode([stop]))[0]
        if chat.decode([stop]) in thought:
            return
    assert (reply.thinking, reply.answer) == (thought if think == "keep" else "", answer.strip("\n"))
    assert reply.closed
    assert bool(reply.thinking_tokens) == (think == "keep")


@pytest.mark.parametrize("case", CASES)
@quick
@given(turns=st.lists(st.tuples(hostile, spoken, spoken), min_size=1, max_size=3))
def test_conversations_extend_prompts(chats, case, turns):
    """Earlier turns lose their thought; under drop every answer is trained, else the last; BOS stands once."""
    chat, (family, think) = chats[case], case
    history = []
    for asked, thought, answer in turns:
        history += [user(asked), assistant(answer, None if family == "plain" else thought)]
    row, prompt = chat.example(history), chat.prompt(history[:-1])
    assert row.ids[: len(prompt)] == prompt
    trained = [token for token, on in zip(row.ids, row.mask, strict=True) if on]
    assert trained.count(chat.eos) == (len(turns) if think == "drop" else 1)
    if family.startswith("r1_"):
        assert row.ids[0] == chat.markers[BEGIN]
        assert row.ids.count(chat.markers[BEGIN]) == 1
    elif BEGIN in chat.tokenizer.get_vocab():
        assert chat.tokenizer.token_to_id(BEGIN) not in row.ids
    assert "".join(text for text, _ in chat.preview(row)) == chat.decode(row.ids)
    if family != "plain":
        thoughts = {"keep": 1, "drop": 0, "empty": 1}[think]
        assert row.ids.count(chat.markers[OPEN]) == row.ids.count(chat.markers[CLOSE]) == thoughts


# Exact layouts


@pytest.mark.parametrize(
    ("family", "think", "expected"),
    [
        ("r1_distill_qwen", "keep", f"{BEGIN}S{USER}U{ASSISTANT}{OPEN}\n"),
        ("r1_distill_llama", "keep", f"{BEGIN}S{USER}U{ASSISTANT}{OPEN}\n"),
        ("r1_distill_qwen", "drop", f"{BEGIN}S{USER}U{ASSISTANT}"),
        ("r1_distill_qwen", "empty", f"{BEGIN}S{USER}U{ASSISTANT}{NO_THOUGHT}"),
        ("qwen3", "keep", "<|im_start|>system\nS<|im_end|>\n<|im_start|>user\nU<|im_end|>\n<|im_start|>assistant\n"),
        ("qwen3", "drop", "<|im_start|>system\nS<|im_end|>\n<|im_start|>user\nU<|im_end|>\n<|im_start|>assistant\n"),
        (
            "qwen3",
            "empty",
            "<|im_start|>system\nS<|im_end|>\n<|im_start|>user\nU<|im_end|>\n<|im_start|>assistant\n" + NO_THOUGHT,
        ),
        ("plain", "drop", "SU"),
    ],
)
def test_prompt_text(chats, family, think, expected):
    chat = chats[family, think]
    assert chat.decode(chat.prompt([system("S"), user("U")])) == expected


def test_preview_shows_what_is_trained(chats):
    row = [user("利好？"), assistant("利好🙂", "涨")]
    assert chats["r1_distill_qwen", "keep"].preview(chats["r1_distill_qwen", "keep"].example(row)) == [
        (f"{BEGIN}{USER}利好？{ASSISTANT}{OPEN}\n", False),
        (f"涨\n{CLOSE}\n\n利好🙂{END}", True),
    ]
    assert chats["qwen3", "empty"].preview(chats["qwen3", "empty"].example(row)) == [
        (f"<|im_start|>user\n利好？<|im_end|>\n<|im_start|>assistant\n{NO_THOUGHT}", False),
        ("利好🙂<|im_end|>", True),
        ("\n", False),
    ]


def test_preview_survives_a_cut_character(chats):
    chat = chats["r1_distill_qwen", "drop"]
    row = chat.example([user("?"), assistant("🙂")])
    cut = Rendered(row.ids[:-2], row.mask[:-2])
    assert chat.preview(cut)[-1][1] is True


def test_earlier_turns_stand_without_thought_and_loss(chats):
    talk = [user("a"), assistant("b", "because"), user("c"), assistant("d", "hence")]
    chat = chats["r1_distill_qwen", "keep"]
    assert chat.decode(chat.example(talk).ids) == (
        f"{BEGIN}{USER}a{ASSISTANT}b{END}{USER}c{ASSISTANT}{OPEN}\nhence\n{CLOSE}\n\nd{END}"
    )
    assert targets(chat, chat.example(talk)) == f"hence\n{CLOSE}\n\nd{END}"
    assert targets(chats["r1_distill_qwen", "drop"], chats["r1_distill_qwen", "drop"].example(talk)) == f"b{END}d{END}"


def test_thought_saved_without_its_opening_tag_is_a_thought(chats):
    """Logs of a distill that was handed the opening tag hold only the closing one."""
    chat = chats["r1_distill_qwen", "keep"]
    whole = chat.example([user("?"), assistant("B", "so")])
    assert chat.example([user("?"), {"role": "assistant", "content": f"so\n{CLOSE}\n\nB"}]) == whole


def test_pad_and_stops(chats):
    distill, qwen3, plain = chats["r1_distill_qwen", "keep"], chats["qwen3", "keep"], chats["plain", "drop"]
    assert distill.stops == [distill.markers[END]]
    assert distill.pad == distill.eos
    assert qwen3.stops == [qwen3.markers["<|im_end|>"], qwen3.markers["<|endoftext|>"]]
    assert qwen3.pad == qwen3.markers["<|endoftext|>"] != qwen3.eos
    assert plain.stops == [plain.tokenizer.token_to_id(END)]


# What a model wrote


@pytest.mark.parametrize(
    ("case", "output", "expected"),
    [
        ("r1_distill_qwen keep", f"so\n{CLOSE}\n\nB{END}", ("so", "B", True)),  # starts inside the thought
        ("r1_distill_qwen keep", f"{OPEN}\nso\n{CLOSE}\n\nB", ("so", "B", True)),  # writes the tag again
        ("r1_distill_qwen keep", "so, B", ("so, B", "", False)),  # never closed
        ("r1_distill_qwen keep", f"so{CLOSE}B{OPEN}wait, A", ("sowait, A", "", False)),  # reopened, cut
        ("r1_distill_qwen keep", f"so{CLOSE}B{OPEN}hm{CLOSE}, yes", ("sohm", "B, yes", True)),
        ("r1_distill_qwen drop", "B", ("", "B", True)),
        ("r1_distill_qwen drop", f"{OPEN}\nso\n{CLOSE}\n\nB", ("so", "B", True)),  # thinks all the same
        ("r1_distill_qwen drop", f"{OPEN}so", ("so", "", False)),
        ("r1_distill_qwen drop", f"so{CLOSE}B", ("so", "B", True)),  # closes what nothing opened
        ("r1_distill_qwen empty", f"好，{OPEN}t{CLOSE}B", ("t", "好，B", True)),
        ("qwen3 keep", f"{OPEN}\n净利润增\n{CLOSE}\n\n利好<|im_end|>\n<|im_start|>user", ("净利润增", "利好", True)),
        ("qwen3 keep", "利好<|endoftext|>x", ("", "利好", True)),
        ("qwen3 keep", f"{OPEN}\n净利润", ("净利润", "", False)),
        ("plain drop", f"{OPEN} 0.5{CLOSE}\n{END}x", ("", f"{OPEN} 0.5{CLOSE}\n", True)),
    ],
)
def test_split(chats, case, output, expected):
    chat = chats[tuple(case.split())]
    reply = chat.split(output)
    assert (reply.thinking, reply.answer, reply.closed) == expected
    ids = chat.tokenizer.encode(output, add_special_tokens=False).ids
    assert chat.split(ids) == reply


def test_thinking_tokens_are_counted(chats):
    chat = chats["qwen3", "keep"]
    assert chat.split(f"{OPEN}\n涨了\n{CLOSE}\n\nA").thinking_tokens == len(chat.encode("\n涨了\n"))
    assert chat.split("A") == Reply("", "A", True, 0)


# The fingerprint


def test_digest_tells_policies_and_files_apart(chats, tmp_path):
    digests = {chat.digest for chat in chats.values()}
    assert len(digests) == len(chats)
    folder = save_tiny(tmp_path, "qwen3")
    chat = Chat.open(folder, "qwen3", "keep")
    assert chat.digest == Chat.open(folder, "qwen3", "keep").digest == chats["qwen3", "keep"].digest
    (folder / "tokenizer.json").write_text((folder / "tokenizer.json").read_text("utf-8") + "\n", "utf-8")
    assert Chat.open(folder, "qwen3", "keep").digest != chat.digest
    assert json.loads(json.dumps(chat.fingerprint())) == chat.fingerprint()


def test_digest_follows_the_rendering(chats, monkeypatch):
    chat = chats["r1_distill_qwen", "keep"]
    before = chat.digest
    monkeypatch.setitem(FAMILIES, "r1_distill_qwen", replace(FAMILIES["r1_distill_qwen"], prefill={"keep": ""}))
    assert chat.digest != before


def test_a_family_without_documented_ids_looks_its_markers_up(tiny):
    known = Chat.open(tiny("qwen2"), "r1_distill_qwen", "keep")
    looked_up = Chat.open(tiny("qwen2"), "r1_0528_qwen3", "keep")
    asked = [{"role": "user", "content": "哪一个？ Which?"}]
    assert looked_up.prompt(asked) == known.prompt(asked)
    with pytest.raises(ValueError, match="r1_0528_qwen3"):
        Chat.open(tiny("qwen3"), "r1_0528_qwen3", "keep")
