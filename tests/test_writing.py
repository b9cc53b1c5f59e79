"""The writer: each row as if alone, equal to transformers' generate; draws, stops and limits."""

from __future__ import annotations

import random

import pytest
import torch
from conftest import FAMILY_OF
from lm_eval.api.instance import Instance
from small_lm import ARCHS, Scripted, model_of, texts

from eval.items import cut, draw_seed
from eval.lm import SharedPromptLM
from eval.lm.budget import held
from eval.lm.draw import Sampling, draw, noise, vocabulary
from eval.lm.generate import write
from finetune.chat import Chat

torch.set_num_threads(1)
SAMPLED = Sampling(temperature=0.7, top_p=0.9, top_k=40, max_new_tokens=12)


def written_alone(model, chat, prompts, seeds, how, until=()):
    return [write(model, chat, [p], [s], how, until)[0] for p, s in zip(prompts, seeds, strict=True)]


@pytest.mark.parametrize("how", [Sampling(max_new_tokens=12), SAMPLED], ids=["greedy", "sampled"])
@pytest.mark.parametrize(
    ("arch", "tuning"), [("qwen2", "bare"), ("llama", "lora"), ("qwen3", "prefix"), ("qwen2", "prompt")]
)
def test_a_batch_writes_what_each_row_writes_alone(tiny, arch, tuning, how):
    """In any order, with unlike lengths, rows that end early, and a head that all share."""
    folder = tiny(arch)
    model, chat = model_of(folder, tuning), Chat.open(folder, FAMILY_OF[arch], "drop")
    prompts = [chat.prompt([{"role": "user", "content": "股价 " * 9 + text}]) for text in texts(8, seed=2)]
    seeds = [draw_seed(17, f"t/{i}", 0) for i in range(8)]
    wanted = written_alone(model, chat, prompts, seeds, how)
    order = random.Random(4).sample(range(8), 8)
    found = write(model, chat, [prompts[i] for i in order], [seeds[i] for i in order], how)
    assert [found[order.index(i)] for i in range(8)] == wanted
    assert len({w.ids for w in wanted}) > 4


@pytest.mark.parametrize("tuning", ["bare", "lora", "prefix", "prompt"])
@pytest.mark.parametrize("arch", ARCHS)
def test_greedy_equals_transformers_generate(tiny, arch, tuning):
    folder = tiny(arch)
    model, chat = model_of(folder, tuning), Chat.open(folder, FAMILY_OF[arch], "drop")
    prompts = [chat.prompt([{"role": "user", "content": "利好 stock " * 5 + text}]) for text in texts(4, seed=9)]
    found = write(model, chat, prompts, [0] * 4, Sampling(max_new_tokens=10), tokens=200)
    for prompt, written in zip(prompts, found, strict=True):
        ids = torch.tensor([prompt])
        whole = model.generate(
            input_ids=ids, attention_mask=torch.ones_like(ids), max_new_tokens=10, do_sample=False, pad_token_id=0,
            eos_token_id=chat.stops,
            suppress_tokens=[*range(vocabulary(chat), model.config.vocab_size)],
        )  # fmt: skip
        assert [token for token in whole[0, len(prompt) :].tolist() if token not in chat.stops] == list(written.ids)


def test_samples_of_one_question_differ_and_come_back_with_their_seed(tiny):
    folder = tiny("qwen2")
    model, chat = model_of(folder), Chat.open(folder, "r1_distill_qwen", "keep")
    prompt = chat.prompt([{"role": "user", "content": "stock?"}])
    seeds = [draw_seed(17, "t/1", sample) for sample in range(6)]
    found = write(model, chat, [prompt] * 6, seeds, SAMPLED)
    assert len({w.ids for w in found}) == 6
    assert write(model, chat, [prompt] * 2, [seeds[4], seeds[1]], SAMPLED) == [found[4], found[1]]


@pytest.mark.parametrize("tuning", ["lora", "prefix"])
def test_samples_are_the_same_whatever_the_budget(tiny, tuning):
    """Rows come in as others leave; under the smaller budgets they outgrow it, wait again, and lose nothing."""
    folder = tiny("qwen2")
    model, chat = model_of(folder, tuning), Chat.open(folder, "r1_distill_qwen", "keep")
    prompts = [chat.prompt([{"role": "user", "content": text}]) for text in texts(5, seed=6) for _ in range(4)]
    seeds = [draw_seed(17, f"t/{number // 4}", number % 4) for number in range(20)]
    how = Sampling(temperature=0.9, top_p=0.95, max_new_tokens=70)
    wanted = write(model, chat, prompts, seeds, how, tokens=10**6)
    for budget in (100, 700):
        assert write(model, chat, prompts, seeds, how, tokens=budget) == wanted
    assert len({len(one.ids) for one in wanted}) > 1
    assert len({one.ids for one in wanted}) == 20


def test_rows_that_outgrow_the_budget_wait_again(tiny, monkeypatch):
    folder = tiny("qwen2")
    model, chat = model_of(folder), Chat.open(folder, "r1_distill_qwen", "keep")
    prompts = [chat.prompt([{"role": "user", "content": text}]) for text in texts(6, seed=6, most=8)]
    how, seen = Sampling(max_new_tokens=150), []
    model.register_forward_pre_hook(lambda _, __, kwargs: seen.append(kwargs["input_ids"].shape), with_kwargs=True)
    wanted = written_alone(model, chat, prompts, range(6), how)
    seen.clear()
    room = round(400 / held(model.config))
    assert write(model, chat, prompts, range(6), how, tokens=room) == wanted
    steps = [rows for rows, width in seen if width == 1]
    assert max(steps) > 2 > min(steps[:-1])
    assert sum(width > 1 for _, width in seen) > 2


def test_seeds_differ_by_exam_item_and_sample():
    found = {draw_seed(e, i, s) for e in (1, 2) for i in ("a/1", "a/11") for s in (0, 1)}
    assert len(found) == 8
    assert all(0 <= seed < 2**63 for seed in found)


def test_draws_follow_the_softmax():
    """Frequencies of 4,000 draws within five standard errors of temperature-scaled probabilities."""
    logits = torch.tensor([[2.0, 1.0, 0.0, -1.0, -30.0]]).expand(4000, 5)
    uniform = [noise(torch.Generator().manual_seed(seed), 5) for seed in range(4000)]
    drawn = draw(logits, uniform, Sampling(temperature=1.5))
    wanted = (logits[0] / 1.5).softmax(-1)
    share = torch.bincount(drawn, minlength=5) / 4000
    assert ((share - wanted).abs() <= 5 * (wanted * (1 - wanted) / 4000).sqrt() + 1e-9).all()


@pytest.mark.parametrize("size", [50, 3000, 9000])
def test_nucleus_and_top_k_keep_what_their_definitions_keep(size):
    """Flat logits need more of the vocabulary than is looked at first."""
    torch.manual_seed(0)
    logits = torch.randn(3, size) * torch.tensor([[0.1], [1.0], [6.0]])
    for how in (Sampling(temperature=0.6, top_p=0.9), Sampling(temperature=1.0, top_p=0.5, top_k=20)):
        scaled = logits / how.temperature
        allowed = []
        for row in scaled:
            order = row.argsort(descending=True)[: how.top_k or None]
            share = row[order].softmax(-1)
            allowed.append(set(order[share.cumsum(-1) - share < how.top_p].tolist()))
        seen = [set(), set(), set()]
        for seed in range(120):
            uniform = [noise(torch.Generator().manual_seed(seed * 3 + row), size) for row in range(3)]
            for row, token in enumerate(draw(logits, uniform, how).tolist()):
                seen[row].add(token)
        assert all(found <= kept for found, kept in zip(seen, allowed, strict=True))
        assert all(len(found) > 1 or len(kept) == 1 for found, kept in zip(seen, allowed, strict=True))


@pytest.mark.parametrize("how", [Sampling(max_new_tokens=20), SAMPLED], ids=["greedy", "sampled"])
def test_padding_rows_of_the_vocabulary_are_never_written(tiny, how):
    folder = tiny("qwen3")
    model, chat = model_of(folder), Chat.open(folder, "qwen3", "drop")
    known = vocabulary(chat)
    assert known < model.config.vocab_size
    with torch.no_grad():
        model.lm_head.weight[known:] = model.lm_head.weight.mean(0) + 3 * torch.sign(model.lm_head.weight.mean(0))
    prompts = [chat.prompt([{"role": "user", "content": text}]) for text in texts(6, seed=1)]
    tempted = [model(input_ids=torch.tensor([prompt])).logits[0, -1].argmax().item() for prompt in prompts]
    assert max(tempted) >= known
    found = write(model, chat, prompts, list(range(6)), how)
    assert all(token < known for written in found for token in written.ids)


def scripted(tiny, family, think, text, until=(), budget=40):
    folder = tiny("qwen3" if family == "qwen3" else "qwen2")
    chat = Chat.open(folder, family, think)
    ids = chat.tokenizer.encode(text, add_special_tokens=False).ids
    model = Scripted(model_of(folder), [*ids, *[5] * 50])
    prompt = chat.prompt([{"role": "user", "content": "q"}])
    (written,) = write(model, chat, [prompt], [0], Sampling(max_new_tokens=budget), until)
    return chat, written


def test_stops_at_the_eos_without_writing_it(tiny):
    chat, written = scripted(tiny, "qwen3", "drop", "利好<|im_end|>more")
    assert (chat.decode(written.ids), written.finish) == ("利好", "stop")


def test_length_limit_is_told_apart_from_a_stop(tiny):
    _, written = scripted(tiny, "qwen3", "drop", "利好 rose", budget=3)
    assert (len(written.ids), written.finish) == (3, "length")


def test_until_ends_an_answer_and_is_cut_off(tiny):
    chat, written = scripted(tiny, "qwen3", "drop", "利好。第二\n\n行 more", until=["\n\n", "。第"])
    assert written.finish == "stop"
    assert cut(chat.split(written.ids).answer, ["\n\n", "。第"]) == "利好"


@pytest.mark.parametrize(
    ("family", "text"),
    [
        ("r1_distill_qwen", "好\n净利润\n</think>\n\n利好\n利空<｜end▁of▁sentence｜>"),
        ("qwen3", "<think>\n好\n净利润\n</think>\n\n利好\n利空<|im_end|>"),
    ],
)
def test_until_leaves_the_thought_and_the_blank_lines_behind_it_alone(tiny, family, text):
    chat, written = scripted(tiny, family, "keep", text, until=["\n"])
    reply = chat.split(written.ids)
    assert (cut(reply.answer, ["\n"]), reply.thinking, written.finish) == ("利好", "好\n净利润", "stop")


def test_a_thought_that_never_closes_is_no_answer(tiny):
    chat, written = scripted(tiny, "r1_distill_qwen", "keep", "好\n净利润 rose 利好", until=["\n"], budget=8)
    reply = chat.split(written.ids)
    assert (written.finish, reply.closed, reply.answer) == ("length", False, "")


def test_generate_until_gives_plain_lm_eval_code_the_answer(tiny):
    folder = tiny("qwen3")
    model, chat = model_of(folder), Chat.open(folder, "qwen3", "empty")
    lm = SharedPromptLM(model, chat)
    asked = [
        Instance("generate_until", {}, ("stock?", {"until": ["\n"], "max_gen_toks": 9}), 0),
        Instance(
            "generate_until", {}, ("stock?", {"until": "\n", "max_gen_toks": 9, "do_sample": True, "top_p": 0.9}), 0
        ),
    ]
    greedy, sampled = lm.generate_until(asked)
    (written,) = write(
        model, chat, [chat.prompt([{"role": "user", "content": "stock?"}])], [0], Sampling(max_new_tokens=9)
    )
    assert greedy == cut(chat.split(written.ids).answer, ["\n"])
    assert sampled != greedy
    assert lm.generate_until(asked) == [greedy, sampled]
