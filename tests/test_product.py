"""Products by oneDNN: the numbers of plain ones, taken where they are worth it, in training and in scoring."""

from __future__ import annotations

import copy

import pytest
import torch
from conftest import FAMILY_OF

from eval.lm import SharedPromptLM
from eval.lm.draw import Sampling, vocabulary
from eval.lm.generate import write
from finetune import product as faster
from finetune.chat import Chat
from finetune.methods import adapter_parameters
from finetune.product import product
from finetune.train.packing import packed
from tests.test_beside import tuned
from tests.test_lm import model_of, near, requests, texts
from tests.test_packing import example
from tests.test_striped import step

torch.set_num_threads(1)
onednn = pytest.mark.skipif(not hasattr(torch.ops.mkldnn, "_linear_pointwise"), reason="torch is built without oneDNN")


@onednn
@pytest.mark.parametrize("bias", [False, True])
def test_onednns_product_is_the_product(bias, monkeypatch):
    monkeypatch.setattr(faster, "_better_with_onednn", lambda: True)
    draw = torch.Generator().manual_seed(0)
    x, weight = torch.randn(2, 35, 300, generator=draw), torch.randn(90, 300, generator=draw)
    more = torch.randn(90, generator=draw) if bias else None
    for given, asked in ((x, weight), (x, torch.randn(300, 90, generator=draw).t()), (x[:, :0], weight)):
        wanted = torch.nn.functional.linear(given.double(), asked.double(), None if more is None else more.double())
        torch.testing.assert_close(product(given, asked, more).double(), wanted, rtol=1e-5, atol=1e-4)
    half = product(x.bfloat16(), weight.bfloat16())
    assert torch.equal(half, torch.nn.functional.linear(x.bfloat16(), weight.bfloat16()))


@onednn
def test_a_step_through_onednn_is_mkls_step(tiny, monkeypatch):
    model, sheet = tuned(tiny("qwen2")), packed([example(1, 90), example(2, 40)])
    found = []
    for ours in (False, True):
        monkeypatch.setattr(faster, "_better_with_onednn", lambda ours=ours: ours)
        found.append(step(model, sheet))
    (loss, gradients), (own_loss, own) = found
    torch.testing.assert_close(own_loss, loss, rtol=1e-6, atol=0)
    for one, other in zip(own, gradients, strict=True):
        assert float((one - other).norm()) < 1e-5 * float(other.norm())


def test_mkl_stays_where_the_processor_is_not_amds(tmp_path, monkeypatch):
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: "AVX512")
    for vendor, wanted in (("GenuineIntel", False), ("AuthenticAMD", hasattr(torch.ops.mkldnn, "_linear_pointwise"))):
        (tmp_path / "cpuinfo").write_text(f"processor : 0\nvendor_id : {vendor}\n")
        monkeypatch.setattr(faster, "CPUINFO", tmp_path / "cpuinfo")
        assert faster._better_with_onednn.__wrapped__() == (wanted and torch.backends.mkl.is_available())
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: "AVX2")
    assert not faster._better_with_onednn.__wrapped__()


@pytest.fixture
def taken(monkeypatch):
    """Every product that scoring is given goes to oneDNN; the sizes of those that went."""
    sizes = []
    monkeypatch.setattr(faster, "_better_with_onednn", lambda: True)
    monkeypatch.setattr(faster, "WORTH", 0)
    monkeypatch.setattr(faster, "product", lambda x, *of: sizes.append(x.numel() * len(of[0])) or product(x, *of))
    return sizes


@onednn
@pytest.mark.parametrize("tuning", ["bare", "lora", "prefix"])
@pytest.mark.parametrize("header", ["", "股价 rose, shares 利好 " * 6])
def test_scores_through_onednn_are_mkls(tiny, tuning, header, taken, monkeypatch):
    folder, asked = tiny("qwen2"), requests(6, seed=3, head=header)
    chat, model = Chat.open(folder, "plain", "drop"), model_of(folder, tuning)
    with torch.no_grad():
        for tensor in adapter_parameters(model).values() if tuning == "lora" else ():
            tensor *= 0.2  # so far from training's, it magnifies any rounding
    plain = copy.deepcopy(model)
    found = SharedPromptLM(model, chat, batch_tokens=300).loglikelihood(asked)
    assert taken
    monkeypatch.setattr(faster, "_better_with_onednn", lambda: False)
    wanted = SharedPromptLM(plain, chat, batch_tokens=300).loglikelihood(asked)
    assert all(near(ours, theirs) for (ours, _), (theirs, _) in zip(found, wanted, strict=True))
    assert [greedy for _, greedy in found] == [greedy for _, greedy in wanted]


@onednn
@pytest.mark.parametrize("arch", ["qwen2", "llama", "qwen3"])
def test_what_onednn_writes_is_what_generate_writes(tiny, arch, taken):
    folder = tiny(arch)
    model, chat = model_of(folder, "lora"), Chat.open(folder, FAMILY_OF[arch], "empty")
    prompts = [chat.prompt([{"role": "user", "content": text}]) for text in texts(4, seed=2)]
    faster.adopt(model)
    found = write(model, chat, prompts, range(4), Sampling(max_new_tokens=12), tokens=200)
    many = len(taken)
    for prompt, written in zip(prompts, found, strict=True):
        ids = torch.tensor([prompt])
        plain = model.generate(
            ids, attention_mask=torch.ones_like(ids), max_new_tokens=12, do_sample=False, eos_token_id=chat.stops,
            pad_token_id=0, suppress_tokens=[*range(vocabulary(chat), model.config.vocab_size)],
        )  # fmt: skip
        assert [token for token in plain[0, len(prompt) :].tolist() if token not in chat.stops] == list(written.ids)
    assert many == len(taken) > 0, "generate was to take plain products"


@onednn
def test_small_products_and_gradients_stay_with_the_layers_own(taken, monkeypatch):
    layer = torch.nn.Linear(8, 4)
    plain = copy.deepcopy(layer)
    monkeypatch.setattr(faster, "WORTH", 8 * 4 * 10)
    faster.adopt(torch.nn.Sequential(layer))
    draw = torch.randn(10, 8)
    assert layer(draw).requires_grad
    assert torch.equal(layer(draw), plain(draw))
    with torch.inference_mode():
        assert torch.equal(layer(draw[:9]), plain(draw[:9]))
        assert taken == []
        torch.testing.assert_close(copy.deepcopy(layer)(draw), plain(draw))
    assert taken == [8 * 4 * 10]
