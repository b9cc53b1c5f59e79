"""The renderer on the published tokenizers, against the templates that are shipped with them."""

from __future__ import annotations

import gzip
import json
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from small_chat import assistant, hostile, nfc, quick, spoken, system, targets, user

from finetune.chat import Chat
from finetune.chat.family import ASSISTANT, BEGIN, CLOSE, END, OPEN, USER


@pytest.fixture(scope="session")
def published(shared_data, tmp_path_factory):
    """published(name) -> folder with the unpacked tokenizer.json of a published checkpoint."""
    shelf = shared_data.parent / "tokenizers"
    if not shelf.is_dir():
        pytest.skip("no tokenizers folder beside TUNEWORTH_DATA")
    root = tmp_path_factory.mktemp("published")

    def unpack(name: str) -> Path:
        folder = root / name
        if not folder.is_dir():
            folder.mkdir()
            (folder / "tokenizer.json").write_bytes(gzip.decompress((shelf / name / "tokenizer.json.gz").read_bytes()))
        return folder

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TUNEWORTH_CACHE", str(root / "cache"))
        yield unpack


@pytest.fixture(scope="session")
def shipped(shared_data):
    """shipped(name) -> the published template as a function; names as in the folder of tokenizers."""
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    shelf = shared_data.parent / "tokenizers"
    environment = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True)  # as transformers sets it up
    distill = shelf / "deepseek-r1-distill-qwen"
    texts = {
        "2025-01": (distill / "chat_template.2025-01-22.jinja").read_text("utf-8"),
        "2025-02": (distill / "chat_template.2025-02-think-prefill.jinja").read_text("utf-8"),
        "qwen3": json.loads((shelf / "qwen3" / "tokenizer_config.json").read_text("utf-8"))["chat_template"],
    }

    def render(name: str, messages, *, ask: bool, **switches) -> str:
        template = environment.from_string(texts[name])
        return template.render(messages=messages, add_generation_prompt=ask, bos_token=BEGIN, **switches)

    return render


SINGLE = [
    [user("What is 2+2?")],
    [user("净利润同比增长 12%，是利好还是利空？\n\nA. 利好\nB. 利空")],
    [system("You are a careful analyst.  你是谨慎的分析师。"), user("\n\n  def f(x):\n\treturn x  🙂\n")],
]
TALK = [user("a？"), assistant("b。"), user("\nc"), assistant("利好 d")]
THOUGHTFUL = [user("a？"), assistant("b。", "因为\n\n- x"), user("\nc"), assistant("利好 d", "  so  \n\n1 + 1")]
REAL = {"r1_distill_qwen": "deepseek-r1-distill-qwen", "qwen3": "qwen3"}


@pytest.fixture(scope="session")
def real(published):
    opened = {}

    def make(family: str, think: str) -> Chat:
        if family not in opened:
            opened[family] = Chat.open(published(REAL[family]), family, "keep")
        return replace(opened[family], think=think)

    return make


@pytest.mark.data
def test_published_ids(real):
    distill, qwen3 = real("r1_distill_qwen", "keep"), real("qwen3", "keep")
    assert distill.markers == {
        BEGIN: 151646, END: 151643, USER: 151644, ASSISTANT: 151645, OPEN: 151648, CLOSE: 151649,
    }  # fmt: skip
    assert (distill.eos, distill.pad, distill.stops) == (151643, 151643, [151643])
    assert (qwen3.eos, qwen3.pad, qwen3.stops) == (151645, 151643, [151645, 151643])
    assert (qwen3.markers[OPEN], qwen3.markers[CLOSE]) == (151667, 151668)
    assert distill.prompt([user("a")]) == [151646, 151644, 64, 151645, 151648, 198]
    assert distill.tokenizer_sha256 == "88145e3c3249adc2546ede277e9819d6e405e19072456e4b521cbc724bd60773"
    assert qwen3.tokenizer_sha256 == "aeb13307a71acd8fe81861d94ad54ab689df773318809eed3cbe794b4492dae4"


@pytest.mark.data
@pytest.mark.parametrize(
    ("name", "family", "marker", "expected"),
    [
        ("qwen2.5", "r1_distill_qwen", BEGIN, "151646"),
        ("qwen3", "r1_distill_qwen", BEGIN, "151646"),
        ("deepseek-r1-distill-qwen", "qwen3", r"<\|endoftext\|>", "151643"),
        ("qwen2.5", "qwen3", OPEN, "151667"),
        ("deepseek-r1-distill-qwen", "r1_distill_llama", rf"{BEGIN} is 1 token \[151646\]", "128000"),
    ],
)
def test_published_tokenizer_of_another_family_is_refused(published, name, family, marker, expected):
    with pytest.raises(ValueError, match=f"{marker}.*expected {expected}: not a tokenizer of family {family}"):
        Chat.open(published(name), family, "keep")


@pytest.mark.data
@pytest.mark.parametrize("messages", [*SINGLE, TALK[:3]])
@pytest.mark.parametrize(
    ("name", "switches", "family", "think"),
    [
        ("2025-02", {}, "r1_distill_qwen", "keep"),
        ("2025-01", {}, "r1_distill_qwen", "drop"),
        ("qwen3", {}, "qwen3", "keep"),
        ("qwen3", {"enable_thinking": True}, "qwen3", "drop"),
        ("qwen3", {"enable_thinking": False}, "qwen3", "empty"),
    ],
)
def test_prompts_equal_the_shipped(real, shipped, messages, name, switches, family, think):
    """Text and ids, as a server that renders the template and encodes the whole has them."""
    chat, text = real(family, think), shipped(name, messages, ask=True, **switches)
    ids = chat.prompt(messages)
    assert chat.decode(ids) == text
    assert ids == chat.tokenizer.encode(text, add_special_tokens=False).ids


@pytest.mark.data
@pytest.mark.parametrize(
    ("name", "family", "think", "messages"),
    [
        ("2025-01", "r1_distill_qwen", "drop", TALK),
        ("2025-02", "r1_distill_qwen", "drop", TALK),
        ("qwen3", "qwen3", "empty", TALK),  # the shipped one gives the last turn an empty thought
        ("qwen3", "qwen3", "keep", THOUGHTFUL),
    ],
)
def test_rows_equal_the_shipped_where_it_is_right(real, shipped, name, family, think, messages):
    chat = real(family, think)
    assert chat.decode(chat.example(messages).ids) == shipped(name, messages, ask=False)


@pytest.mark.data
@pytest.mark.parametrize("name", ["2025-01", "2025-02"])
def test_shipped_distill_template_deletes_the_thought_and_ours_keeps_it(real, shipped, name):
    chat, row = real("r1_distill_qwen", "keep"), [user("q"), assistant("利好", "涨 because")]
    assert "because" not in shipped(name, row, ask=False)
    assert chat.decode(chat.example(row).ids) == (
        shipped("2025-02", row[:1], ask=True) + f"涨 because\n{CLOSE}\n\n利好{END}"
    )


@pytest.mark.data
@pytest.mark.parametrize("family", REAL)
@quick
@given(asked=hostile, thought=spoken, answer=spoken)
def test_published_rows(real, family, asked, thought, answer):
    """Mask round trip and injection on the real vocabularies."""
    chat = real(family, "keep")
    row = chat.example([user(asked), assistant(answer, thought)])
    opening = f"{OPEN}\n" if family == "qwen3" else ""
    assert targets(chat, row) == nfc(f"{opening}{thought}\n{CLOSE}\n\n{answer}") + chat.decode([chat.eos])
    harmless = chat.example([user("a"), assistant("b", "c")])
    added = set(chat.tokenizer.get_added_tokens_decoder())
    assert [t for t in row.ids if t in added] == [t for t in harmless.ids if t in added]
