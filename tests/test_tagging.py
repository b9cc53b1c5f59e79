"""Passages of a text as tags of its tokens and back, with characters that are cut into several tokens."""

from __future__ import annotations

import random
from itertools import product

import matrix_case
import pytest
import torch
import yaml
from conftest import MARKERS, train_tokenizer
from hypothesis import given, settings
from hypothesis import strategies as st
from matrix import ALONE
from matrix_case import ARCHES, METHODS, Case
from small_exam import model, write_exam
from small_lesson import write_card
from small_study import tuneworth

from eval import items
from eval.score import __main__ as score
from finetune import labelled
from finetune.card import DataCard, Row
from finetune.chat import Chat
from finetune.methods import tagging
from finetune.mistakes import BadInput
from finetune.run import RunDir
from finetune.train import __main__ as train

torch.set_num_threads(1)
TOKENIZER = train_tokenizer(MARKERS["r1_distill_qwen"])
NEWS = "鼎泰、Northwind与鑫垚公司公布业绩，鑫垚净利润大增。"
LISTED = ("鼎泰", "Northwind", "鑫垚公司", "鑫垚")


def test_a_character_of_several_tokens_begins_a_passage_once():
    ids = TOKENIZER.encode(f"a{NEWS}", add_special_tokens=False).ids
    written, offsets, inside = tagging.places(TOKENIZER, ids, NEWS)
    assert written == f"a{NEWS}"
    assert inside[0] is False
    assert all(inside[1:])
    assert len(offsets) > 1.5 * len(NEWS), "many characters here are several tokens"
    spans = [(1 + begin, 1 + end) for begin, end in tagging.find(NEWS, LISTED)]
    tags = tagging.tags(offsets, spans)
    assert tags.count(tagging.BEGIN) == 4
    begins = [offsets[place][0] for place, tag in enumerate(tags) if tag == tagging.BEGIN]
    assert begins == [begin for begin, _ in spans]
    assert tagging.passages(written, offsets, tags) == ["鼎泰", "Northwind", "鑫垚公司", "鑫垚"]


def test_of_two_passages_in_one_place_the_longer_is_tagged():
    assert tagging.find("鑫垚公司，鑫垚", ["鑫垚", "鑫垚公司"]) == [(0, 4), (5, 7)]


def test_a_passage_goes_on_where_a_tag_is_missing_its_beginning():
    assert tagging.passages("abcd", [(0, 1), (1, 2), (2, 3), (3, 4)], [0, 2, 2, 1]) == ["bc", "d"]


WORDS = st.lists(st.text("鼎泰aé\u9fa5b1龘", min_size=1, max_size=4), min_size=1, max_size=5, unique=True)


@settings(max_examples=80, deadline=None)
@given(WORDS)
def test_passages_that_stand_apart_are_read_back(words):
    """Whatever the characters are cut into: the passages come back in the text's order."""
    text = "｜".join(words)
    ids = TOKENIZER.encode(text, add_special_tokens=False).ids
    written, offsets, inside = tagging.places(TOKENIZER, ids, text)
    assert all(inside)
    begins = [sum(len(word) + 1 for word in words[:place]) for place in range(len(words))]
    tags = tagging.tags(offsets, [(begin, begin + len(word)) for begin, word in zip(begins, words, strict=True)])
    assert tagging.passages(written, offsets, tags) == words


def test_a_token_over_the_edge_of_a_passage_brings_nothing_of_its_neighbour():
    """One token here is the comma and the first bytes of 海."""
    ids = TOKENIZER.encode("岭铭，海辰", add_special_tokens=False).ids
    written, offsets, _ = tagging.places(TOKENIZER, ids, "岭铭，海辰")
    assert any(begin < 3 < end and end - begin > 1 for begin, end in offsets), offsets
    tags = tagging.tags(offsets, tagging.find(written, ["岭铭", "海辰"]))
    assert tagging.passages(written, offsets, tags) == ["岭铭", "海辰"]


def test_a_marker_written_in_a_text_is_refused():
    ids = [*TOKENIZER.encode("a", add_special_tokens=False).ids]
    split = [TOKENIZER.token_to_id(letter) for letter in "<think>" if letter]
    with pytest.raises(BadInput, match="takes for a control token"):
        tagging.places(TOKENIZER, [*ids, *split], "a")


def test_rows_are_tagged_inside_the_rendered_prompt(tiny):
    chat = Chat.open(tiny("qwen2"), "r1_distill_qwen", "empty")
    row = Row(id="1", split="train", lang="zh", context="找出公司。", question=NEWS, answer="，".join(LISTED))
    found = labelled.token(row, None, chat)
    assert found.ids.tolist() == chat.prompt([{"role": "user", "content": f"找出公司。\n\n{NEWS}"}])
    text = chat.decode(found.ids[found.mask].tolist())
    assert text == NEWS
    assert len(found.classes) == found.mask.sum()
    begins = [place for place, tag in enumerate(found.classes) if tag == tagging.BEGIN]
    assert len(begins) == 4


def test_a_passage_that_is_not_in_its_text_is_refused_by_file_and_line(tmp_path):
    lesson = [{"prompt": NEWS, "completion": "鼎泰"}, {"prompt": NEWS, "completion": "鼎泰，岭铭"}]
    card = write_card(tmp_path / "rows.md", lesson, spans="refuse")
    with pytest.raises(BadInput, match=r"rows\.jsonl:2: '岭铭' does not stand in the text that is tagged; correct it"):
        DataCard.read(card).rows(tmp_path, "train")
    dropped = DataCard.read(write_card(tmp_path / "rows.md", lesson, spans="drop"))
    assert [row.messages[1].content for row in dropped.rows(tmp_path, "train")] == ["鼎泰"]


def test_a_card_that_says_nothing_of_spans_keeps_its_digest(tmp_path):
    """Trainings of before the key stay done."""
    path = write_card(tmp_path / "rows.md", [{"prompt": NEWS, "completion": "鼎泰"}])
    plain = DataCard.read(path)
    assert plain.digest(tmp_path) == plain.model_copy(update={"defects": ("one",)}).digest(tmp_path)
    assert plain.digest(tmp_path) != plain.model_copy(update={"spans": "drop"}).digest(tmp_path)


NAMES = ["鼎泰", "海辰", "岭铭", "Northwind", "Fabrikam", "鑫垚"]
TASK = """task: names
custom_dataset: !function eval.benchmark.load
dataset_kwargs: {card: names, split: test}
test_split: test
output_type: generate_until
doc_to_text: "{{ask}}"
doc_to_target: "{{answer}}"
target_delimiter: ""
generation_kwargs: {until: ["\\n"], max_gen_toks: 32, do_sample: false}
process_results: !function eval.extract.process_results
metric_list:
  - {metric: f1, aggregation: mean, higher_is_better: true}
metadata: {version: 1, headline: f1, answer: tags}
"""


def news(count: int, seed: int) -> list[dict[str, str]]:
    """Two names in a text, told apart by what stands around them; which of the names, is drawn."""
    draw, rows = random.Random(seed), []
    for number in range(count):
        one, two = draw.sample(NAMES, 2)
        rows.append({"prompt": f"今日：{one}，{two}；股价上涨 {number + 1000 * seed}", "completion": f"{one}，{two}"})
    return rows


@pytest.fixture(scope="module")
def named(tmp_path_factory, tiny):
    """A recipe with a token head, trained on texts with names and scored on others."""
    folder = tmp_path_factory.mktemp("names")
    write_card(folder / "names" / "train.md", news(120, 0), spans="refuse", splits={"train": ["train.jsonl"]})
    shape = {"shape": "qa", "columns": {"question": "prompt", "answer": "completion"}, "name": "names"}
    write_card(folder / "names" / "names.md", news(24, 1), splits={"test": ["names.jsonl"]}, **shape)
    (folder / "names" / "names.yaml").write_text(TASK, "utf-8")
    older = model(tiny("qwen2"), "r1_distill_qwen")
    knobs = {"method": {"kind": "full", "learning_rate": 0.005}, "head": "token"}
    recipe = {
        "question": "Can it tag?", "data": ["names/train.md"],
        "contenders": {"old": {"model": older}, "tuned": {"model": older, **knobs}},
        "train": {"epochs": 12, "tokens_per_step": 800, "max_length": 256, "dev": 0.1, "prove": "here"},
        "exam": {"tasks": ["./names"]}, "rule": {"challengers": ["tuned"], "incumbent": "old", "base": "old"},
    }  # fmt: skip
    path = folder / "r.yaml"
    path.write_text(yaml.safe_dump(recipe, allow_unicode=True), "utf-8")
    words = [str(path), "--contender", "tuned", "--out", str(folder / "runs")]
    assert train.main(words) == 0
    assert score.main(words) == 0
    return folder


def test_passages_of_unseen_texts_are_cut_out_and_graded(named):
    rows = items.read(RunDir(named / "runs" / "r").seed("tuned", 17).items)
    assert {row.rule for row in rows} == {"head"}
    assert sum(row.score for row in rows) >= 0.8 * len(rows), [(row.text, row.gold) for row in rows if not row.score]
    for row in rows:
        assert all(name in row.question for name in row.text.split("，"))


def test_check_shows_what_the_head_reads_and_refuses_a_task_of_options(named, tmp_path):
    done = tuneworth("check", named / "r.yaml")
    assert done.returncode == 0, done.stderr
    said = " ".join(done.stdout.split())
    assert "tuned: one training row, what is read by the head in ⟦brackets⟧" in said
    assert "⟦今日：" in said
    other = yaml.safe_load((named / "r.yaml").read_text("utf-8"))
    other["exam"]["tasks"] = [str(write_exam(tmp_path / "exam") / "own")]
    other["data"] = [str(named / "names" / "train.md")]
    (tmp_path / "r.yaml").write_text(yaml.safe_dump(other, allow_unicode=True), "utf-8")
    refused = tuneworth("check", tmp_path / "r.yaml")
    assert refused.returncode == 2
    assert "tuned: its token head lists passages of a text, which task own does not" in " ".join(refused.stderr.split())


@pytest.fixture(scope="module")
def tokens(tmp_path_factory):
    return tmp_path_factory.mktemp("tokens")


@pytest.fixture
def texts_with_names(monkeypatch):
    plain = matrix_case.write_lesson
    monkeypatch.setattr(matrix_case, "write_lesson", lambda *a, **k: plain(*a, lesson=news(48, 0), **k))


EVERY = [
    pytest.param(quality, method, arch, marks=() if (method, arch) == ("P-Tuning v2", "Qwen2") else pytest.mark.slow)
    for quality, method, arch in product(("packing", "resume", "reload"), METHODS, ARCHES)
    if arch == "Qwen2" or quality == "packing"
]


@pytest.mark.usefixtures("texts_with_names")
@pytest.mark.parametrize(("quality", "method", "arch"), EVERY)
def test_every_method_trains_a_token_head_on_every_architecture(tokens, quality, method, arch):
    """Packed = each row alone, resumed = uninterrupted, reloaded = trained, on the lesson's own rows with names."""
    ALONE[quality](Case(method, arch, tokens, "token"))
