"""Who may judge: no kin of a contender, at no host that was not allowed; and a judge is part of the plan."""

from __future__ import annotations

from functools import partial

import pytest
from conftest import build_checkpoint
from small_exam import write_exam
from small_opinion import with_judge, write_rivals

from eval import pledge
from eval.benchmark import Benchmark
from finetune.mistakes import BadInput
from finetune.recipe import Recipe


@pytest.fixture(scope="module")
def rivals(tmp_path_factory):
    """The recipe of who could be judged; nobody has answered."""
    folder = tmp_path_factory.mktemp("rivals")
    exam, old, newer = write_exam(folder / "exam"), folder / "old", folder / "newer"
    return write_rivals(folder, exam, build_checkpoint(old, "qwen2"), build_checkpoint(newer, "qwen3"))


@pytest.fixture
def ask(rivals):
    return partial(with_judge, rivals, "http://127.0.0.1:9/v1")


def test_a_judge_is_part_of_the_plan_and_none_leaves_it_as_it_was(rivals, ask):
    bare = Recipe.read(rivals)
    benchmark = Benchmark.read(bare)
    assert pledge.digest(ask(), benchmark) != pledge.digest(bare, benchmark)
    assert pledge.digest(ask("x.jsonl"), benchmark) == pledge.digest(ask(), benchmark)  # labels come later


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ({"family": "qwen3"}, "qwen3 is brought's too"),
        ({"family": "NEWER"}, "NEWER is newer's too"),
        ({"family": "qwen"}, "qwen is brought's too"),
        ({"family": "Qwen 2.5"}, "Qwen 2.5 is brought's too"),
        ({"family": "Alibaba's Qwen"}, "qwen is brought's too"),
        ({"family": "mistral", "model": "qwen3-72b"}, "qwen is brought's too"),
        ({"family": "stranger", "model": "Qwen/QwQ-32B"}, "qwen is brought's too"),
        ({"model": "deepseek-chat"}, "deepseek is brought's too"),  # the teacher of the distills
        ({"tasks": ["own_gen", "own_gen"]}, "exam.judge.tasks: own_gen stands twice"),
        ({"tasks": ["other"]}, "other is not among exam.tasks"),
        ({"api": "completions"}, "a judge is asked by messages"),
        ({"url": "https://api.example.com/v1"}, "api.example.com is not this machine"),
    ],
)
def test_a_judge_that_will_not_do_is_refused(ask, keys, said):
    with pytest.raises(BadInput) as fault:
        ask(**keys)
    assert said in str(fault.value)


def test_a_stranger_is_asked_whoever_serves_it(ask):
    for keys in ({"family": "mistral", "model": "ollama/mistral"}, {"family": "o1"}, {"model": "/qwen/weights/gemma"}):
        assert ask(**keys).exam.judge is not None
    judge_ = ask(family="meta", model="llama-3.3-70b").exam.judge
    assert judge_.kin("plain", "/x/Llama-3.1-8B") == judge_.kin("r1_distill_llama", "/x/old") == "llama"
    assert judge_.kin("served", "my/base", "meta-llama/Llama-3.1-8B") == "llama"
    assert judge_.kin("qwen3", "/llama/newer") is None
