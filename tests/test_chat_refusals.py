"""What the renderer refuses: rows, prompts, families, and tokenizers that lose text or let it become control."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from small_chat import CASES, assistant, chats, save_tiny, system, user  # noqa: F401 (fixture)

from finetune.chat import Chat
from finetune.chat.family import BEGIN, CLOSE, NO_THOUGHT, OPEN

MIXED = "Profit rose 3%. 净利润同比增长，\n\n  “利好” 🙂"


@pytest.mark.parametrize(
    ("think", "content", "reason"),
    [
        ("keep", "利好", "no thought"),
        ("keep", NO_THOUGHT + "B", "no thought"),  # would teach an empty thought
        ("keep", f"{OPEN} \n{CLOSE}B", "no thought"),
        ("keep", f"{OPEN}so", "without"),
        ("drop", f"{OPEN}so", "without"),
        ("keep", f"好{OPEN}so{CLOSE}B", "stray"),
        ("keep", f"{OPEN}so{CLOSE}B{OPEN}or{CLOSE}A", "stray"),
        ("drop", f"so{CLOSE}B{CLOSE}", "stray"),
        ("keep", f"{OPEN}so{CLOSE}\n", "answer is empty"),
        ("empty", " ", "answer is empty"),
    ],
)
@pytest.mark.parametrize("family", ["r1_distill_qwen", "qwen3"])
def test_refused_rows(chats, family, think, content, reason):
    with pytest.raises(ValueError, match=f"message 1 .*{reason}"):
        chats[family, think].example([user("?"), {"role": "assistant", "content": content}])


@pytest.mark.parametrize(
    ("messages", "reason"),
    [
        ([], "no messages"),
        ([user("a"), assistant("b")], "ends with an assistant's turn"),
        ([{"role": "tool", "content": "a"}], "role is 'tool'"),
        ([user("a"), system("b")], "put it first"),
        ([{"role": "user", "content": None}], "content is NoneType"),
        ([user("a\ud83d")], "surrogate"),
    ],
)
def test_refused_prompts(chats, messages, reason):
    with pytest.raises(ValueError, match=reason):
        chats["r1_distill_qwen", "drop"].prompt(messages)


def test_row_must_end_with_an_answer(chats):
    with pytest.raises(ValueError, match="ends with a user's turn"):
        chats["qwen3", "drop"].example([user("a")])


def test_refused_openings(tmp_path):
    folder = save_tiny(tmp_path, "r1_distill_qwen")
    with pytest.raises(ValueError, match="family: deepseek is unknown; known are r1_distill_qwen"):
        Chat.open(folder, "deepseek", "keep")
    with pytest.raises(ValueError, match="think: keep is no policy of family plain; it has drop"):
        Chat.open(folder, "plain", "keep")
    with pytest.raises(ValueError, match=r"marker <\|endoftext\|> is \d+ tokens .*not a tokenizer of family qwen3"):
        Chat.open(folder, "qwen3", "keep")
    (folder / "config.json").write_text("{}")
    with pytest.raises(ValueError, match="no eos_token_id"):
        Chat.open(folder, "plain", "drop")
    (folder / "config.json").write_text('{"eos_token_id": [99999]}')
    with pytest.raises(ValueError, match="eos_token_id 99999 is no token"):
        Chat.open(folder, "plain", "drop")
    (folder / "tokenizer.json").write_text("[]")
    with pytest.raises(ValueError, match=r"not a tokenizer\.json"):
        Chat.open(folder, "plain", "drop")
    (folder / "tokenizer.json").unlink()
    with pytest.raises(ValueError, match="no such file"):
        Chat.open(folder, "plain", "drop")


def edit(folder: Path, **changes) -> None:
    path = folder / "tokenizer.json"
    path.write_text(json.dumps(json.loads(path.read_text("utf-8")) | changes), "utf-8")


def test_tokenizer_that_loses_text_is_refused(tmp_path):
    """The known fault: a load path that puts sentencepiece parts in place of the byte-level ones drops every space."""
    folder = save_tiny(tmp_path, "qwen3")
    edit(folder, normalizer={"type": "Replace", "pattern": {"String": " "}, "content": ""})
    with pytest.raises(ValueError, match="loses text"):
        Chat.open(folder, "qwen3", "keep")


@pytest.mark.parametrize("family", ["r1_distill_llama", "r1_distill_qwen"])
def test_a_tokenizer_with_sentencepiece_parts_is_refused(tmp_path, family):
    """As a load path of transformers 5.0 to 5.15 makes of a distill's byte-level tokenizer."""
    folder = save_tiny(tmp_path, family)
    part = {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "always", "split": False}
    edit(folder, normalizer=None, pre_tokenizer=part, decoder=part)
    with pytest.raises(ValueError, match="loses text"):
        Chat.open(folder, family, "keep")


@pytest.mark.parametrize(("family", "think"), [case for case in CASES if case[0].startswith("r1_")])
def test_a_tokenizer_that_begins_every_text_itself_still_begins_a_row_once(tmp_path, family, think):
    """The distills' own file does so: rendered by a template that writes BOS too, rows would begin twice."""
    folder = save_tiny(tmp_path, family)
    begin = {"SpecialToken": {"id": BEGIN, "type_id": 0}}
    number = Chat.open(folder, family, think).markers[BEGIN]
    edit(folder, post_processor={
        "type": "TemplateProcessing", "single": [begin, {"Sequence": {"id": "A", "type_id": 0}}], "pair": [begin],
        "special_tokens": {BEGIN: {"id": BEGIN, "ids": [number], "tokens": [BEGIN]}},
    })  # fmt: skip
    chat = Chat.open(folder, family, think)
    assert chat.tokenizer.encode(BEGIN + "a").ids[:2] == [number, number]  # the fault is there
    row = chat.example([user("a"), assistant("b", "c"), user("d"), assistant("e", "f")])
    assert [place for place, token in enumerate(row.ids) if token == number] == [0]
    assert chat.prompt([user("a")]).count(number) == 1


def test_tokenizer_whose_text_becomes_control_is_refused(tmp_path):
    """Markers in a vocabulary that whole words are looked up in would be found in what people write."""
    folder = save_tiny(tmp_path, "qwen3")
    made = json.loads((folder / "tokenizer.json").read_text("utf-8"))
    model = made["model"] | {"ignore_merges": True}
    model["vocab"] |= {token["content"]: token["id"] for token in made["added_tokens"]}
    edit(folder, model=model, pre_tokenizer=made["pre_tokenizer"]["pretokenizers"][1])
    with pytest.raises(ValueError, match="written text .* becomes a control token"):
        Chat.open(folder, "qwen3", "keep")


def test_limits_saved_in_the_file_do_not_cut_rows(tmp_path):
    folder = save_tiny(tmp_path, "qwen3")
    edit(folder, truncation={"direction": "Right", "max_length": 4, "strategy": "LongestFirst", "stride": 0})
    chat = Chat.open(folder, "qwen3", "drop")
    assert MIXED in chat.decode(chat.prompt([user(MIXED)]))
    assert len(chat.tokenizer.encode(MIXED).ids) > 4
