"""A budget of the thought alone: an open thought is closed after so many tokens, and the answer follows."""

from __future__ import annotations

import re
from contextlib import suppress

import pyarrow.parquet as pq
import pytest
import torch
import yaml
from conftest import build_checkpoint
from judged_run import finished
from pydantic import ValidationError
from small_exam import model, write_exam, write_recipe
from small_lm import Scripted, model_of, texts

from eval import columns, items
from eval.answer import Answer
from eval.benchmark import Benchmark
from eval.check import budgets
from eval.gates.gate import BUDGET
from eval.lm.draw import Sampling
from eval.lm.generate import write
from eval.report import render
from eval.score import __main__ as score
from eval.verdict import judge
from finetune.chat import Chat
from finetune.checkpoint import AROUND, ModelSpec
from finetune.files import file_digest
from finetune.recipe import Recipe
from finetune.run import RunDir

torch.set_num_threads(1)
THINKING = {"r1_distill_qwen": "好 净利润 rose 利好 and on", "qwen3": "<think>\n好 净利润 rose 利好 and on"}


def wrote(tiny, family: str, text: str, budget: int | None, most: int = 40):
    folder = tiny("qwen3" if family == "qwen3" else "qwen2")
    chat = Chat.open(folder, family, "keep")
    ids = chat.tokenizer.encode(text, add_special_tokens=False).ids
    net = Scripted(model_of(folder), [*ids, *[5] * 60])
    prompt = chat.prompt([{"role": "user", "content": "q"}])
    (found,) = write(net, chat, [prompt], [0], Sampling(max_new_tokens=most, thinking_tokens=budget))
    return chat, found


@pytest.mark.parametrize("family", THINKING)
def test_an_open_thought_is_closed_at_its_budget_and_the_answer_follows(tiny, family):
    chat, free = wrote(tiny, family, THINKING[family], None)
    assert (chat.split(free.ids).closed, free.given) == (False, 0)
    chat, found = wrote(tiny, family, THINKING[family], 4)
    opened = family == "qwen3"  # which writes its <think> itself
    closing = [*chat.encode("\n"), chat.markers["</think>"], *chat.encode("\n\n")]
    assert found.ids[: opened + 4] == free.ids[: opened + 4]
    assert list(found.ids[opened + 4 :][: len(closing)]) == closing
    assert found.given == len(closing)
    reply = chat.split(found.ids)
    assert reply.closed
    assert reply.answer  # it went on
    assert len(found.ids) == 40  # all within max_new_tokens


@pytest.mark.parametrize("thought", ["好\n", "a b c d "])
def test_a_thought_that_closes_by_itself_is_left_alone(tiny, thought):
    text = f"{thought}</think>\n\n利好<｜end▁of▁sentence｜>"
    chat, free = wrote(tiny, "r1_distill_qwen", text, None)
    most = free.ids.index(chat.markers["</think>"])  # it closes with the very token that the budget would replace
    for budget in (most, most + 1, 30):
        assert wrote(tiny, "r1_distill_qwen", text, budget)[1] == free


@pytest.mark.parametrize("family", THINKING)
def test_the_largest_budget_that_a_recipe_takes_leaves_an_answer(tiny, family):
    """With more, a thought would be closed too late, or never."""
    most = 12
    spec = {"id": "x/y", "family": family, "think": "keep"}
    taken = []
    for budget in range(1, most):
        with suppress(ValidationError):
            ModelSpec(**spec, decoding={"max_new_tokens": most, "thinking_tokens": budget})
            taken.append(budget)
    chat, found = wrote(tiny, family, THINKING[family], max(taken), most=most)
    closing = [*chat.encode("\n"), chat.markers["</think>"], *chat.encode("\n\n")]
    assert len(closing) + 1 == AROUND
    assert chat.split(found.ids).closed
    assert len(found.ids) == most
    assert chat.split(found.ids).answer
    assert max(taken) == most - AROUND - 1


def test_a_thought_opened_again_is_closed_at_once(tiny):
    text = "a b </think>\n\n利好<think>c d e f"
    chat, found = wrote(tiny, "r1_distill_qwen", text, 6)
    reply = chat.split(found.ids)
    assert reply.closed
    assert found.given


def test_batch_and_budget_of_memory_decide_nothing(tiny):
    folder = tiny("qwen2")
    net, chat = model_of(folder), Chat.open(folder, "r1_distill_qwen", "keep")
    prompts = [chat.prompt([{"role": "user", "content": text}]) for text in texts(6, seed=3)]
    how = Sampling(temperature=0.9, max_new_tokens=24, thinking_tokens=5)
    alone = [write(net, chat, [prompt], [seed], how)[0] for seed, prompt in enumerate(prompts)]
    for tokens in (8192, 64):
        assert write(net, chat, prompts, list(range(6)), how, tokens=tokens) == alone
    assert all(each.given and chat.split(each.ids).closed for each in alone)


def test_stop_strings_and_limits_within_the_closing(tiny):
    """The limit may end an answer within what is handed over; a string that ends answers does not end there."""
    folder = tiny("qwen2")
    chat = Chat.open(folder, "r1_distill_qwen", "keep")
    answer = Answer(chat, ["\n"], 2)
    said = [answer.put(5) for _ in range(2 + len([*chat.encode("\n"), 0, *chat.encode("\n\n")]))]
    assert all(said)
    assert answer.begin is not None
    _, cut = wrote(tiny, "r1_distill_qwen", THINKING["r1_distill_qwen"], 4, most=5)
    assert (len(cut.ids), cut.finish) == (5, "length")


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    folder = tmp_path_factory.mktemp("thinking")
    exam = write_exam(folder / "exam", count=6)
    old, newer = (build_checkpoint(folder / name, kind) for name, kind in (("old", "qwen2"), ("newer", "qwen3")))
    how = {"temperature": 0.8, "max_new_tokens": 24, "thinking_tokens": 6}
    path = write_recipe(
        folder / "r.yaml", exam, model(old, "r1_distill_qwen", think="keep", decoding=how), model(newer, "qwen3")
    )
    raw = yaml.safe_load(path.read_text("utf-8"))
    raw["exam"]["tasks"] = raw["exam"]["tasks"][1:]
    path.write_text(yaml.safe_dump(raw), "utf-8")
    return path


def test_the_log_says_what_was_handed_over_and_by_which_seed_was_drawn(study):
    out = study.parent / "runs"
    assert score.main([str(study), "--contender", "old", "--out", str(out)]) == 0
    rows = items.read(RunDir(out / "r").seed("old", 0).items)
    assert len(rows) == 12
    assert {row.given > 0 for row in rows} == {True}
    assert "unclosed_thinking" not in {row.outcome for row in rows}
    assert {row.draw_seed for row in rows} == {items.draw_seed(17, f"own_gen/{row.id}", row.sample) for row in rows}
    log = RunDir(out / "r").seed("old", 0).items
    kept = pq.read_table(columns.place_of(log))  # beside the log as soon as it is whole
    assert kept.schema.metadata[columns.DIGEST].decode().split()[0] == file_digest(log)
    held = ("scorer", "id", "sample", "cluster", "outcome", "score", "tokens_in", "tokens_out", "given", "draw_seed")
    for name in held:
        assert kept[name].to_pylist() == [getattr(row, name) for row in rows]
    done = RunDir(out / "r").seed("old", 0).scored().scoring
    assert done.decoding["thinking_tokens"] == 6
    assert done.template["prefill"] == "<think>\n"
    assert "template_sha256" in done.template


def test_check_tells_unlike_budgets(study):
    recipe = Recipe.read(study)
    (line,) = budgets(recipe, Benchmark.read(recipe))
    assert "24 (6 in thought) of old" in line


def test_without_it_fingerprints_and_plans_are_as_before(study):
    without = Recipe.read(study, ("contenders.newer.model.decoding.top_k=3",))
    assert "thinking_tokens" not in without.contenders["newer"].model.decoding.model_dump()
    assert "thinking_tokens" not in without.model_dump(mode="json")["contenders"]["newer"]["model"]["decoding"]
    assert without.contenders["old"].model.decoding.model_dump(mode="json")["thinking_tokens"] == 6


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (("contenders.old.model.think=empty",), "think: empty leaves no thought to end"),
        (("contenders.old.model.decoding.thinking_tokens=24",), "leaves no answer within max_new_tokens 24"),
        (
            ("contenders.old.model.decoding={max_new_tokens: 10, thinking_tokens: 9}",),
            "decoding.thinking_tokens: 9 leaves no answer within max_new_tokens 10, as the marks of a thought take up "
            "to 5; lower it to 4 or less, or raise max_new_tokens to 15 or more",
        ),
        (
            ("contenders.old.model.decoding={max_new_tokens: 6, thinking_tokens: 1}",),
            "as the marks of a thought take up to 5; raise max_new_tokens to 7 or more",
        ),
        (("contenders.old.model.decoding.thinking_tokens=0",), "must be 1 or more, found 0"),
        (
            ("contenders.old.engine={kind: openai, url: 'http://127.0.0.1:9/v1', model: m}",),
            "messages cannot go on behind a thought that is closed for the model; say api: completions",
        ),
    ],
)
def test_what_cannot_be_is_refused_in_one_line(study, capsys, changes, said):
    words = [str(study), "--contender", "old", "--out", str(study.parent / "no")]
    assert score.main([*words, *(word for each in changes for word in ("--set", each))]) == 2
    assert said in capsys.readouterr().err


@pytest.mark.parametrize("engine", ["vllm", "{kind: openai, url: 'http://127.0.0.1:9/v1', model: m, api: completions}"])
def test_the_other_engines_take_it_as_part_of_the_score(study, engine):
    change = f"contenders.old.engine={engine}"
    other = "contenders.old.model.decoding.thinking_tokens=7"
    budgets = [Recipe.read(study, more).score_fingerprint("old", 0, {}) for more in ((change,), (change, other))]
    assert budgets[0] != budgets[1]


def test_verdict_and_page_say_how_many_thoughts_the_budget_ended(tmp_path):
    """Newer has a lower budget of thought than the others, and every fourth of its thoughts was ended by it."""
    keep = [f"contenders.{name}.model.think=keep" for name in ("old", "lora", "prefix", "newer", "prompted")]
    how = "contenders.newer.model.decoding={max_new_tokens: 64, thinking_tokens: 8}"
    run = finished(tmp_path, *keep, how, sit={"newer": {"change": ended}})
    found = judge(run.recipe, run.run)
    rows = {each.contender: each for each in found.lengths}
    assert (rows["newer"].budget, rows["newer"].closed) == (8, rows["newer"].answers // 4)
    assert (rows["old"].budget, rows["old"].closed) == (None, 0)
    (gate,) = [each for each in found.gates if each.name == BUDGET[0]]
    assert gate.status == "failed"
    assert "the lower one ended some of newer" in gate.reason
    row = re.search(r'<tr data-lengths="newer">.*?</tr>', render(found), re.DOTALL)[0]
    assert "ended by its budget of 8" in row
    assert "用尽思考预算 8" in row


def ended(answer):
    return answer.model_copy(update={"given": 3 * (int(answer.id.rpartition("-")[2]) % 4 == 0)})
