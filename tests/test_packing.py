"""Steps are the same on any machine, and what shares a row or a sheet changes no loss and no gradient."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional
from transformers import AutoModelForCausalLM

from finetune import segments
from finetune.data import Example
from finetune.methods import LoRA, PTuningV1, PTuningV2, adapter_parameters
from finetune.methods.lora import causal
from finetune.recipe import Train
from finetune.train import loss as losses
from finetune.train.loss import sheet_loss
from finetune.train.packing import packed, plan, sheets

torch.set_num_threads(1)
KINDS = {
    "lora": LoRA(rank=4),
    "prefix": PTuningV2(virtual_tokens=5),
    "reencoded": PTuningV2(virtual_tokens=5, reencoder=24),
    "mlp": PTuningV1(virtual_tokens=5, encoder_hidden=24),
    "lstm": PTuningV1(virtual_tokens=5, encoder_hidden=24, encoder="lstm"),
}
every_kind = pytest.mark.parametrize("kind", list(KINDS))
LENGTHS = st.lists(st.integers(2, 300), min_size=1, max_size=60)


def example(number, length, *, rows=470):
    draw = np.random.default_rng(number)
    ids = draw.integers(10, rows, length).astype(np.int32)
    mask = np.zeros(length, bool)
    mask[-max(1, length // 3) :] = True
    mask[0] = False
    return Example(f"e{number}", str(number), ids, mask)


def some(lengths=(5, 30, 17, 9, 44, 12, 80, 8)):
    return [example(number, length) for number, length in enumerate(lengths)]


@pytest.fixture
def tuned(tiny):
    """tuned(arch, kind) -> a model with an adapter far from its start, in fp32."""

    def make(arch, kind):
        from tokenizers import Tokenizer

        model = AutoModelForCausalLM.from_pretrained(tiny(arch), dtype=torch.float32, local_files_only=True)
        model = KINDS[kind].attach(model, tokenizer=Tokenizer.from_file(str(tiny(arch) / "tokenizer.json")), seed=0)
        draw = torch.Generator().manual_seed(1)
        with torch.no_grad():
            for tensor in adapter_parameters(model).values():
                tensor += 0.1 * torch.randn(tensor.shape, generator=draw)
        return model.train()

    return make


def gradients(model, batch):
    """(loss, gradient) of a step over these sheets, as the loop takes it."""
    targets, total = sum(each.targets for each in batch), 0.0
    for each in batch:
        loss = sheet_loss(model, each, torch.device("cpu")) / targets
        loss.backward()
        total += loss.item()
    found = torch.cat([p.grad.flatten().clone() for p in adapter_parameters(model).values()])
    model.zero_grad()
    return total, found


def plain(model, examples):
    """The same step by transformers' own forward, one example at a time, all logits kept."""
    targets = sum(int(each.mask.sum()) for each in examples)
    total = 0.0
    for each in examples:
        ids = torch.from_numpy(each.ids.astype(np.int64))[None]
        logits = model(input_ids=ids).logits[0, :-1]
        wanted = torch.from_numpy(np.where(each.mask, each.ids, -100)[1:].astype(np.int64))
        loss = functional.cross_entropy(logits, wanted, reduction="sum") / targets
        loss.backward()
        total += loss.item()
    found = torch.cat([p.grad.flatten().clone() for p in adapter_parameters(model).values()])
    model.zero_grad()
    return total, found


def apart(one, other):
    """Largest difference of two gradients, of the largest entry."""
    return float((one - other).abs().max() / other.abs().max())


@pytest.mark.parametrize("arch", ["qwen2", "llama", "qwen3"])
@every_kind
def test_packing_padding_and_accumulation_change_no_gradient(tuned, arch, kind):
    model, examples = tuned(arch, kind), some()
    loss, gradient = plain(model, examples)
    assert gradient.abs().max() > 1e-3
    for tokens in (1, 100, 10_000):
        for packing in (True, False):
            own_loss, own = gradients(model, sheets(examples, tokens, packing=packing, pad=1))
            assert own_loss == pytest.approx(loss, rel=1e-6)
            assert apart(own, gradient) < 1e-5  # plain itself is 1e-5 to 4e-5 from float64, packed rows a little less
        segments.adopt(causal(model))


@every_kind
@pytest.mark.parametrize("attention", ["segments", "sdpa"])  # the second: by positions alone, as transformers does
def test_a_row_hides_its_examples_from_each_other(tuned, kind, attention):
    model = tuned("qwen2", kind).eval()
    if attention == "segments":
        segments.adopt(causal(model))
        assert model.config._attn_implementation == ("segments" if kind == "lora" else "prefix_5")
    first, other, second = example(1, 20), example(2, 20), example(3, 30)

    def hidden(*row):
        with torch.no_grad():
            return losses.states(model, packed(row), torch.device("cpu"))[0]

    assert torch.equal(hidden(first, second)[20:], hidden(other, second)[20:])
    torch.testing.assert_close(hidden(first, second)[20:], hidden(second), atol=2e-6, rtol=1e-5)


@settings(deadline=None, max_examples=60)
@given(LENGTHS)
def test_segments_gather_every_token_once_and_pad_little(lengths):
    found, seen = segments.Segments.of(lengths, "cpu"), []
    for places, real, (count, width) in found.batches:
        assert len(places) == count * width <= segments.WASTE * len(real)
        seen += places[real].tolist()
    assert seen == list(range(sum(lengths)))


def test_padded_rows_are_masked_under_segments_too(tuned):
    """Whoever gives a mask to a model in training gets what sdpa gives."""
    model = tuned("qwen3", "lora").eval()
    ids, mask = torch.arange(20, 36).view(2, 8), torch.ones(2, 8, dtype=torch.long)
    mask[0, :3] = 0
    with torch.no_grad():
        before = model(input_ids=ids, attention_mask=mask).logits
        segments.adopt(causal(model))
        after = model(input_ids=ids, attention_mask=mask).logits
        wrong = model(input_ids=ids).logits
    torch.testing.assert_close(after[mask == 1], before[mask == 1], atol=2e-6, rtol=1e-5)
    assert (wrong[0] - before[0]).abs().max() > 1e-3


@every_kind
def test_large_heads_in_pieces_give_the_same(tuned, kind, monkeypatch):
    model, batch = tuned("qwen2", kind), sheets(some(), 10_000, packing=True, pad=1)
    loss, gradient = gradients(model, batch)
    monkeypatch.setattr(losses, "CHUNK", 7)
    again, own = gradients(model, batch)
    assert again == pytest.approx(loss, rel=1e-6)
    assert apart(own, gradient) < 2e-6


def test_the_head_runs_at_targets_only(tuned):
    model, seen = tuned("qwen2", "lora"), []
    model.get_output_embeddings().register_forward_hook(lambda head, given, out: seen.append(given[0].shape[0]))
    (one,) = sheets([example(1, 60), example(2, 30), example(3, 50)], 10_000, packing=False, pad=1)
    sheet_loss(model, one, torch.device("cpu"))
    assert seen == [one.targets] == [20 + 10 + 16]


@settings(deadline=None, max_examples=60)
@given(LENGTHS, st.integers(1, 2000), st.booleans())
def test_sheets_hold_every_example_once_and_whole(lengths, tokens, packing):
    examples = some(lengths)
    found = sheets(examples, tokens, packing=packing, pad=1)
    assert sorted(name for each in found for name in each.names) == sorted(each.name for each in examples)
    assert sum(each.useful for each in found) == sum(lengths)
    assert sum(each.targets for each in found) == sum(int(each.mask.sum()) for each in examples)
    for each in found:
        assert len(each.names) == 1 or each.raw <= tokens
        assert int((each.positions == 0).sum()) == len(each.names)
        assert len(each.ids) == (1 if packing else len(each.names))
        assert each.raw == each.useful or not packing


@settings(deadline=None, max_examples=60)
@given(LENGTHS, st.integers(1, 1000), st.floats(0.1, 3), st.integers(0, 5))
def test_a_plan_sees_every_example_once_an_epoch(lengths, tokens, epochs, seed):
    knobs = Train(epochs=epochs, tokens_per_step=tokens)
    steps, ends = plan(lengths, knobs, seed)
    assert ends == "done"
    assert steps == plan(lengths, knobs, seed)[0]
    seen = np.bincount([index for step in steps for index in step], minlength=len(lengths))
    assert int(epochs) <= seen.min() <= seen.max() <= int(epochs) + 1
    assert all(steps)
    assert all(sum(lengths[index] for index in step) <= tokens + max(lengths) for step in steps)


def test_steps_are_of_nearly_equal_size():
    lengths = [10] * 1000
    steps, _ = plan(lengths, Train(epochs=1, tokens_per_step=3000), 0)
    assert [len(step) for step in steps] == [250] * 4


def test_seeds_shuffle_differently_and_max_steps_ends():
    lengths = list(range(10, 60))
    one, two = (plan(lengths, Train(epochs=2, tokens_per_step=200), seed)[0] for seed in (1, 2))
    assert one != two
    short, ends = plan(lengths, Train(epochs=2, tokens_per_step=200, max_steps=3), 1)
    assert (short, ends) == (one[:3], "max_steps")
    assert plan(lengths, Train(epochs=1e9, tokens_per_step=200, max_steps=3), 1)[0] == short
