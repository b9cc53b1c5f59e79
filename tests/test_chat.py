"""The renderer: what is written, what is trained, what is refused; on tiny tokenizers and on the published ones."""

from __future__ import annotations

import gzip
import json
import unicodedata
from dataclasses import replace
from pathlib import Path

import pytest
from conftest import MARKERS, train_tokenizer
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from finetune.chat import FAMILIES, Chat, Rendered, Reply
from finetune.chat.family import ASSISTANT, BEGIN, CLOSE, END, NO_THOUGHT, OPEN, USER

CASES = [(family, think) for family, form in FAMILIES.items() for think in form.prefill]
THINKING = [case for case in CASES if case[0] != "plain"]
SPELLED = [BEGIN, END, USER, ASSISTANT, OPEN, CLOSE, "<|im_start|>", "<|im_end|>", "<|endoftext|>"]
MIXED = "Profit rose 3%. 净利润同比增长，\n\n  “利好” 🙂"

# Assigned characters only: the normal form of those is the same in every version of Unicode.
characters = st.characters(exclude_categories=("Cs", "Cn"))
words = st.text(characters, max_size=20)
hostile = st.lists(st.one_of(words, st.sampled_from(SPELLED)), max_size=6).map("".join)
quick = settings(
    max_examples=40, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def speech(text: str) -> str:
    """A text that can stand as thought or answer: not blank, no line breaks at its ends, no think tags."""
    text = text.replace(OPEN, "").replace(CLOSE, "").strip("\n")
    return text if text.strip() else text + "x"


spoken = hostile.map(speech)


def user(text: str) -> dict[str, str]:
    return {"role": "user", "content": text}


def system(text: str) -> dict[str, str]:
    return {"role": "system", "content": text}


def assistant(answer: str, thought: str | None = None) -> dict[str, str]:
    return {"role": "assistant", "content": answer if thought is None else f"{OPEN}\n{thought}\n{CLOSE}\n\n{answer}"}


def targets(chat: Chat, row: Rendered) -> str:
    return chat.decode([token for token, trained in zip(row.ids, row.mask, strict=True) if trained])


def nfc(text: str) -> str:
    return unicodedata.normalize("NFC", text)


def save_tiny(folder: Path, family: str) -> Path:
    """A folder with the tokenizer of a tiny checkpoint, and a configuration that names an eos."""
    tokenizer = train_tokenizer(MARKERS["qwen3" if family == "qwen3" else "r1_distill_qwen"])
    tokenizer.save(str(folder / "tokenizer.json"))
    eos = tokenizer.token_to_id("<|im_end|>" if family == "qwen3" else END)
    (folder / "config.json").write_text(json.dumps({"eos_token_id": eos}))
    return folder


@pytest.fixture(scope="session")
def chats(tmp_path_factory):
    folders = {family: save_tiny(tmp_path_factory.mktemp(family), family) for family in FAMILIES}
    return {(family, think): Chat.open(folders[family], family, think) for family, think in CASES}


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


# What is refused


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


# The published tokenizers and templates


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


def test_a_family_without_documented_ids_looks_its_markers_up(tiny):
    known = Chat.open(tiny("qwen2"), "r1_distill_qwen", "keep")
    looked_up = Chat.open(tiny("qwen2"), "r1_0528_qwen3", "keep")
    asked = [{"role": "user", "content": "哪一个？ Which?"}]
    assert looked_up.prompt(asked) == known.prompt(asked)
    with pytest.raises(ValueError, match="r1_0528_qwen3"):
        Chat.open(tiny("qwen3"), "r1_0528_qwen3", "keep")
