"""The scorer: equal to a plain forward and to lm-eval's HF model, free of batch, order and padding."""

from __future__ import annotations

import random

import pytest
import torch
from lm_eval.api.instance import Instance
from small_lm import ARCHS, WORDS, model_of, texts

from eval.lm import Choice, SharedPromptLM, encode, likelihoods
from eval.lm.budget import batches
from eval.lm.draw import Sampling, vocabulary
from eval.lm.generate import write
from finetune.chat import Chat

torch.set_num_threads(1)


def requests(count: int, seed: int = 0, head: str = "") -> list[Instance]:
    """Four options of unlike length for each of `count` prompts; some prompts end in blanks, one is empty."""
    drawn, found = random.Random(seed), []
    for number, text in enumerate(texts(count, seed=seed)):
        context = "" if number == 1 else head + text + drawn.choice(["", " ", "\n答案:", "  \n"])
        for place in range(4):
            option = drawn.choice(["", " "]) + " ".join(drawn.choices(WORDS, k=drawn.choice([1, 1, 2, 7])))
            found.append(Instance("loglikelihood", {}, (context, option), place))
    return found


@torch.no_grad()
def alone(model, prompt, option) -> float:
    """Log-likelihood by one unpadded forward over prompt and option."""
    ids = torch.tensor([[*prompt, *option]])
    logprobs = model(input_ids=ids, use_cache=False).logits[0].double().log_softmax(-1)
    return sum(logprobs[len(prompt) + i - 1, token].item() for i, token in enumerate(option))


def near(ours: float, theirs: float) -> bool:
    return abs(ours - theirs) <= 1e-5 + 1e-6 * abs(theirs)


@pytest.mark.parametrize("tuning", ["bare", "lora", "prefix", "prompt"])
@pytest.mark.parametrize("arch", ARCHS)
def test_equals_lm_evals_own_model_and_a_plain_forward(tiny, arch, tuning):
    from lm_eval.models.huggingface import HFLM
    from transformers import AutoTokenizer

    folder = tiny(arch)
    model, chat = model_of(folder, tuning), Chat.open(folder, "plain", "drop")
    asked = requests(9)
    ours = SharedPromptLM(model, chat, batch_tokens=300)
    found = ours.loglikelihood(asked)
    for request, (total, _) in zip(asked, found, strict=True):
        assert near(total, alone(model, *encode(chat, *request.args)))
    theirs = HFLM(pretrained=model, tokenizer=AutoTokenizer.from_pretrained(folder), batch_size=3, device="cpu")
    wanted = theirs.loglikelihood(asked, disable_tqdm=True)
    assert all(near(a, b) for (a, _), (b, _) in zip(found, wanted, strict=True))
    assert [greedy for _, greedy in found] == [greedy for _, greedy in wanted]


def test_five_shot_equals_lm_evals_own_model(tiny):
    """A header in front of all prompts, whatever the budget: run at once, in pieces, alone."""
    from lm_eval.models.huggingface import HFLM
    from transformers import AutoTokenizer

    folder = tiny("llama")
    model, chat = model_of(folder, "lora"), Chat.open(folder, "plain", "drop")
    asked = [one for one in requests(12, seed=5, head="净利润 rose 利好\n\n" * 12) if one.args[0]]
    lm = HFLM(pretrained=model, tokenizer=AutoTokenizer.from_pretrained(folder), batch_size=3, device="cpu")
    wanted = lm.loglikelihood(asked, disable_tqdm=True)
    for budget in (64, 700, 10**6):
        found = SharedPromptLM(model, chat, batch_tokens=budget).loglikelihood(asked)
        assert all(near(a, b) for (a, _), (b, _) in zip(found, wanted, strict=True))
        assert [greedy for _, greedy in found] == [greedy for _, greedy in wanted]


@pytest.mark.parametrize("arch", ARCHS)
def test_bfloat16_is_as_near_to_float32_as_lm_evals_own_model(tiny, arch):
    """The stated bound: two sides differ by the dtype's rounding alone, 0.1 nats + 1 % of the log-likelihood."""
    from lm_eval.models.huggingface import HFLM
    from transformers import AutoTokenizer

    folder = tiny(arch)
    chat, asked = Chat.open(folder, "plain", "drop"), requests(9, head="利空 profit " * 12)
    exact = SharedPromptLM(model_of(folder), chat).loglikelihood(asked)
    model = model_of(folder).to(torch.bfloat16)
    found = SharedPromptLM(model, chat, batch_tokens=300).loglikelihood(asked)
    lm = HFLM(pretrained=model, tokenizer=AutoTokenizer.from_pretrained(folder), batch_size=3, device="cpu")
    theirs = lm.loglikelihood(asked, disable_tqdm=True)
    assert all(abs(a - b) <= 0.1 + 0.01 * abs(b) for (a, _), (b, _) in zip(found, theirs, strict=True))
    ours_off, theirs_off = (
        sum(abs(a - b) for (a, _), (b, _) in zip(side, exact, strict=True)) for side in (found, theirs)
    )
    assert 0 < ours_off < 1.5 * theirs_off


def test_greedy_says_what_greedy_decoding_would_write(tiny):
    folder = tiny("qwen3")
    model, chat = model_of(folder), Chat.open(folder, "qwen3", "empty")
    with torch.no_grad():
        model.lm_head.weight[vocabulary(chat) :] = 0  # padding rows of the vocabulary, which are never written
    prompt = chat.prompt([{"role": "user", "content": "净利润 rose"}])
    (written,) = write(model, chat, [prompt], [0], Sampling(max_new_tokens=6))
    other = (*written.ids[:5], (written.ids[5] + 1) % 400)
    options = (written.ids, written.ids[:1], written.ids[:3], other)
    (scores,) = likelihoods(model, [Choice(tuple(prompt), options)], 512)
    assert [greedy for _, greedy in scores] == [True, True, True, False]


@pytest.mark.parametrize("tuning", ["bare", "prefix", "prompt"])
def test_shared_head_budget_and_order_decide_nothing(tiny, tuning):
    folder = tiny("llama")
    model, chat = model_of(folder, tuning), Chat.open(folder, "r1_distill_qwen", "empty")
    asked = requests(12, seed=3, head="股价 rose, shares 利好 " * 6)
    wanted = SharedPromptLM(model, chat, batch_tokens=64).loglikelihood(asked)
    for budget, seed in ((500, 1), (5000, 2), (10**6, 3)):
        order = random.Random(seed).sample(range(len(asked)), len(asked))
        found = SharedPromptLM(model, chat, batch_tokens=budget).loglikelihood([asked[i] for i in order])
        assert all(near(found[k][0], wanted[i][0]) for k, i in enumerate(order))


def test_what_is_shared_is_run_once(tiny):
    """Shapes of the forwards: a header, the prompts behind it in one row, and each one's options beside each other."""
    folder = tiny("qwen2")
    model, seen = model_of(folder), []
    model.register_forward_pre_hook(lambda _, __, kwargs: seen.append((*kwargs["input_ids"].shape,)), with_kwargs=True)
    prompt = tuple(range(20, 80))
    likelihoods(model, [Choice(prompt, ((1,), (2,), (3, 4, 5), (6, 7)))], 4096)
    assert seen == [(1, 59), (1, 1 + 2 + 1)]
    seen.clear()
    likelihoods(model, [Choice((*prompt, n, n, n), ((1,), (2, 3))) for n in range(100, 108)], 4096)
    assert seen == [(1, 60), (1, 8 * 2), (1, 8 * 2)]
    seen.clear()
    likelihoods(model, [Choice((n, *prompt), ((1,), (2, 3))) for n in range(100, 108)], 4096)
    assert seen == [(8, 60), (8, 2)]
    seen.clear()
    asked = [(*prompt, n) for n in (100, 101) for _ in range(4)]
    write(model, Chat.open(folder, "plain", "drop"), asked, range(8), Sampling(max_new_tokens=2))
    assert seen == [(1, 60), (8, 1), (8, 1)]


def test_options_of_a_chat_family_are_what_the_model_writes_after_the_rendered_prompt(tiny):
    chat = Chat.open(tiny("qwen3"), "qwen3", "empty")
    prompt, option = encode(chat, "利好 or 利空?", "利好")
    assert list(prompt) == chat.prompt([{"role": "user", "content": "利好 or 利空?"}])
    assert chat.decode(option) == "利好"


def test_rolling_equals_lm_evals(tiny):
    from lm_eval.models.huggingface import HFLM
    from transformers import AutoTokenizer

    folder = tiny("qwen2")
    model = model_of(folder)
    asked = [Instance("loglikelihood_rolling", {}, (text,), 0) for text in (*texts(3, seed=4), "涨 " * 700)]
    ours = SharedPromptLM(model, Chat.open(folder, "plain", "drop")).loglikelihood_rolling(asked)
    lm = HFLM(pretrained=model, tokenizer=AutoTokenizer.from_pretrained(folder), batch_size=1, device="cpu")
    theirs = lm.loglikelihood_rolling(asked, disable_tqdm=True)
    assert all(near(a, b) for a, b in zip(ours, theirs, strict=True))


def test_an_empty_option_is_refused():
    with pytest.raises(ValueError, match="no token"):
        Choice((1, 2), ((3,), ()))


def test_batches_hold_every_index_once_within_the_budget():
    lengths = [random.Random(7).randint(1, 400) for _ in range(200)]
    found = batches(lengths, 1000)
    assert sorted(i for batch in found for i in batch) == list(range(200))
    assert all(len(batch) * max(lengths[i] for i in batch) <= 1000 for batch in found)
    assert all(min(lengths[i] for i in batch) >= 0.75 * max(lengths[i] for i in batch) for batch in found)
    assert batches([5000, 10], 1000) == [[0], [1]]
    assert batches([], 1000) == []
