"""From a card to training examples: what is a target, what is left out, what is refused, and where each row goes."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from small_lesson import rows, write_card, write_lesson

from finetune.chat import Chat, Rendered
from finetune.data import Example, in_dev, prepare
from finetune.mistakes import BadInput
from finetune.recipe import Recipe


@pytest.fixture
def chat(tiny):
    return Chat.open(tiny("qwen2"), "r1_distill_qwen", "drop")


@pytest.fixture
def examples(tmp_path, tiny, chat):
    """examples(rows, changes...) -> what a recipe on those rows trains on."""

    def make(lesson, *changes, **train):
        recipe = write_lesson(tmp_path, tiny("qwen2"), lesson, **{"dev": 0, **train})
        return prepare(Recipe.read(recipe, changes), "lora", chat)

    return make


def targets(example, chat):
    return chat.decode(example.ids[example.mask].tolist())


def test_targets_are_the_answer_and_the_end(examples, chat):
    lesson = rows(12)
    found = examples(lesson).train
    assert [targets(each, chat) for each in found] == [row["completion"] + chat.decode([chat.eos]) for row in lesson]
    for each, row in zip(found, lesson, strict=True):
        assert row["prompt"] in chat.decode(each.ids[~each.mask].tolist())


def test_every_shape_of_a_card_is_learnt_alike(tmp_path, tiny, chat):
    user, assistant = "净利润大增？", "是"
    shapes = {
        "prompt_completion": {"prompt": user, "completion": assistant},
        "messages": {"messages": [{"role": "user", "content": user}, {"role": "assistant", "content": assistant}]},
        "alpaca": {"instruction": user, "input": "", "output": assistant},
        "sharegpt": {"conversations": [{"from": "human", "value": user}, {"from": "gpt", "value": assistant}]},
    }
    found = []
    for shape, row in shapes.items():
        recipe = write_lesson(tmp_path / shape, tiny("qwen2"), [row], dev=0)
        columns = {"messages": "conversations"} if shape == "sharegpt" else {}
        write_card(tmp_path / shape / "rows.md", [row], shape=shape, columns=columns)
        (one,) = prepare(Recipe.read(recipe), "lora", chat).train
        found.append((one.ids.tolist(), one.mask.tolist()))
    assert all(each == found[0] for each in found)
    assert sum(found[0][1]) == len(chat.encode(assistant)) + 1


def test_a_choice_is_asked_as_in_the_exam(tmp_path, tiny, chat):
    row = {"question": "利好还是利空？", "A": "利好", "B": "利空", "answer": "B"}
    recipe = write_lesson(tmp_path, tiny("qwen2"), [row], dev=0)
    write_card(tmp_path / "rows.md", [row], shape="choice", columns={"options": ["A", "B"]})
    (one,) = prepare(Recipe.read(recipe), "lora", chat).train
    assert targets(one, chat) == "B" + chat.decode([chat.eos])
    assert "A. 利好\nB. 利空\n只回答选项字母。" in chat.decode(one.ids.tolist())


def test_the_frame_surrounds_the_last_question_only(tmp_path, tiny, chat):
    from finetune.frame import PromptFrame

    turns = [("user", "first?"), ("assistant", "one"), ("user", "second?"), ("assistant", "two")]
    row = {"messages": [{"role": role, "content": text} for role, text in turns]}
    recipe = write_lesson(tmp_path, tiny("qwen2"), [row], dev=0)
    write_card(tmp_path / "rows.md", [row], shape="messages")
    frame = PromptFrame(lang="en", role="An analyst")
    framed = "contenders.lora.prompt={lang: en, role: An analyst}"
    (one,) = prepare(Recipe.read(recipe, (framed,)), "lora", chat).train
    text = chat.decode(one.ids.tolist())
    assert text.count("Role: An analyst") == 1
    assert text.index("first?") < text.index("Role: An analyst") < text.index("second?")
    assert frame.wrap("second?") in text


def test_questions_of_the_exam_are_left_out_and_counted(tmp_path, tiny, examples):
    lesson = rows(10)
    write_card(tmp_path / "exam.md", [{**lesson[3], "prompt": lesson[3]["prompt"].upper() + " !!"}, lesson[5]])
    found = examples(lesson, exclude=["exam.md#train"])
    assert found.excluded == 2
    assert {each.name for each in found.train} == {f"rows#train:{n}" for n in range(10)} - {
        "rows#train:3",
        "rows#train:5",
    }


def test_nothing_left_to_train_on_is_refused(tmp_path, examples):
    lesson = rows(4)
    write_card(tmp_path / "exam.md", lesson)
    with pytest.raises(BadInput, match="no row is left to train on .4 excluded"):
        examples(lesson, exclude=["exam.md#train"])


def test_cut_answers_are_refused_past_the_share_and_left_out_below_it(examples):
    lesson = rows(9) + [{"prompt": "long", "completion": "利好" * 200}]
    with pytest.raises(BadInput) as refused:
        examples(lesson, max_length=100, max_truncated=0.05)
    message = str(refused.value)
    for part in ("train.max_length", "100", "10.0%", "1 of 10", "5.0%", "max_truncated", "the longest row has"):
        assert part in message
    found = examples(lesson, max_length=100, max_truncated=0.1)
    assert (found.truncated, len(found.train)) == (1, 9)


def test_a_long_conversation_keeps_its_whole_answers(tmp_path, tiny, chat):
    turns = [("user", "a?"), ("assistant", "one"), ("user", "b?"), ("assistant", "利空" * 100)]
    row = {"messages": [{"role": role, "content": text} for role, text in turns]}
    recipe = write_lesson(tmp_path, tiny("qwen2"), [row], dev=0, max_length=64, max_truncated=1)
    write_card(tmp_path / "rows.md", [row], shape="messages")
    found = prepare(Recipe.read(recipe), "lora", chat)
    (one,) = found.train
    assert found.truncated == 1
    assert one.mask[-1]
    assert targets(one, chat) == "one" + chat.decode([chat.eos])


def test_a_row_without_thought_is_refused_by_name_under_keep(tmp_path, tiny):
    recipe = write_lesson(tmp_path, tiny("qwen2"), rows(3), dev=0)
    chat = Chat.open(tiny("qwen2"), "r1_distill_qwen", "keep")
    with pytest.raises(BadInput, match="rows#train:0: .*no thought"):
        prepare(Recipe.read(recipe), "lora", chat)


@pytest.mark.parametrize(
    ("left", "reason"), [(slice(0), "nothing in it is a target"), (slice(-1), "its end token is not trained")]
)
def test_a_renderer_that_would_teach_nothing_or_no_end_is_refused(tmp_path, tiny, chat, monkeypatch, left, reason):
    recipe, render = write_lesson(tmp_path, tiny("qwen2"), rows(3), dev=0), Chat.example

    def short(self, messages):
        found = render(self, messages)
        kept = found.mask[left]
        return Rendered(found.ids, kept + [0] * (len(found.ids) - len(kept)))

    monkeypatch.setattr(Chat, "example", short)
    with pytest.raises(BadInput, match=f"rows#train:0: {reason}"):
        prepare(Recipe.read(recipe), "lora", chat)


def test_dev_rows_are_stable_and_share_no_question_with_train(examples):
    lesson = rows(40)
    again = [{**row, "completion": "other"} for row in lesson]
    few, many = examples(lesson[:20], dev=0.3), examples(lesson + again, dev=0.3)
    assert {each.question for each in many.dev}.isdisjoint(each.question for each in many.train)
    assert {each.question for each in few.dev} <= {each.question for each in many.dev}
    assert {each.question for each in few.train} <= {each.question for each in many.train}
    assert len(many.dev) == 2 * len({each.question for each in many.dev})
    assert 0.1 < len(many.dev) / 80 < 0.5


@settings(deadline=None)
@given(st.lists(st.text(), min_size=300, max_size=300, unique=True), st.floats(0.05, 0.5))
def test_the_dev_share_is_about_what_was_asked(questions, share):
    found = sum(in_dev(Example("", text, None, None), share) for text in questions)  # type: ignore[arg-type]
    assert abs(found / 300 - share) < 0.17  # six standard deviations


def test_a_broken_line_names_its_place(tmp_path, tiny, chat):
    recipe = write_lesson(tmp_path, tiny("qwen2"), rows(3))
    with (tmp_path / "rows.jsonl").open("a") as out:
        out.write(json.dumps({"prompt": "half"})[:-3] + "\n")
    with pytest.raises(BadInput, match=r"rows.jsonl:4: not JSON"):
        prepare(Recipe.read(recipe), "lora", chat)
