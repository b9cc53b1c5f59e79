"""A frame or examples that all prompts begin with are run once for a classification head too, and change no score."""

from __future__ import annotations

import pytest
import torch
from small_lm import ARCHS, model_of

from eval.lm.budget import Budget
from eval.lm.labels import label_scores, token_tags
from finetune.methods import heads

HEADER = tuple(7 + i * 5 % 60 for i in range(40))
TAILS = [tuple(9 + (i * 7 + j) % 50 for j in range(3 + i * 4 % 11)) for i in range(9)]
PROMPTS = [HEADER + tail for tail in (*TAILS, TAILS[2])]  # two are equal
KINDS = ("bare", "lora", "prefix", "prompt")


def headed(folder, tuning: str, kind: heads.Kind = "sequence"):
    """A tiny model with a head whose scores lie apart."""
    model = model_of(folder, tuning)
    width = model.config.hidden_size
    heads.attach(model, heads.Head(kind=kind, labels=("B", "I", "O"), hidden=width), seed=3)
    with torch.no_grad():
        heads.of(model).weight.mul_(8)
    return model


def fetched(found) -> list:
    told = {place: said for batch, rows in found for place, said in zip(batch, rows, strict=True)}
    return [told[place] for place in range(len(told))]


class Counted:
    """How many tokens go into a model's first layer."""

    def __init__(self, model) -> None:
        self.tokens = 0
        embedding = model.get_input_embeddings()
        embedding.register_forward_hook(lambda _, given, __: self._add(given[0]))

    def _add(self, ids) -> None:
        self.tokens += ids.numel()


@pytest.mark.parametrize("arch", ARCHS)
@pytest.mark.parametrize("tuning", KINDS)
def test_scores_behind_a_header_are_those_of_each_prompt_alone(tiny, arch, tuning):
    model = headed(tiny(arch), tuning)
    found = fetched(label_scores(model, PROMPTS, Budget(4096)))
    for prompt, scores in zip(PROMPTS, found, strict=True):
        alone = heads.answers(model, prompt)[-1].log_softmax(-1).tolist()
        assert scores == pytest.approx(alone, rel=1e-5, abs=2e-5)
    assert found[2] == found[-1]
    assert len({round(scores[0], 3) for scores in found}) > 5, "the scores tell prompts apart"


@pytest.mark.parametrize("budget", [4096, 64])
def test_the_header_is_run_once_and_prompts_behind_it_alone(tiny, budget):
    model = headed(tiny("qwen2"), "lora")
    counted = Counted(model)
    fetched(label_scores(model, PROMPTS, Budget(budget)))
    whole = sum(map(len, PROMPTS))
    assert counted.tokens < len(HEADER) + 2 * sum(map(len, TAILS)) < whole / 2


def test_tags_behind_a_header_are_those_of_each_prompt_alone(tiny):
    """The header is tagged too: a text may begin in what all prompts share."""
    model = headed(tiny("qwen2"), "lora", "token")
    for prompt, tags in zip(PROMPTS, fetched(token_tags(model, PROMPTS, Budget(4096))), strict=True):
        assert tags == heads.answers(model, prompt).argmax(-1).tolist()


def test_without_a_header_prompts_stand_in_rows_of_their_own(tiny):
    model = headed(tiny("qwen2"), "bare")
    for prompt, scores in zip(TAILS, fetched(label_scores(model, TAILS, Budget(64))), strict=True):
        assert scores == pytest.approx(heads.answers(model, prompt)[-1].log_softmax(-1).tolist(), rel=1e-5, abs=2e-5)


def test_no_room_for_the_header_halves_the_budget_and_goes_on(tiny, monkeypatch):
    from eval.lm import labels

    model, budget, tries, read = headed(tiny("qwen2"), "bare"), Budget(256), [], labels.read

    def cramped(*given):
        tries.append(given[2])
        if len(tries) == 1:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return read(*given)

    monkeypatch.setattr(labels, "read", cramped)
    found = fetched(label_scores(model, PROMPTS, budget))
    assert tries == [256, 128]
    assert len(found) == len(PROMPTS)
