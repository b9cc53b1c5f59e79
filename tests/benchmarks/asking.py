"""What both sides of the scoring races are given: questions of random ids, and lm-eval's own model around a network."""

import logging
import random
import statistics
import time
from collections.abc import Callable, Mapping
from typing import Any

from tests.benchmarks.material import SHAPE

QUESTIONS, OPTIONS, PROMPT, OPTION = 24, 4, 120, 15  # and the tokens of a question and of an option
END = "</s>"
ENDS = range(10, 90)  # ids that end an answer: a hundredth of all; no question holds one
Side = Callable[[int], float]


def questions(header: int = 0) -> list[Any]:
    """QUESTIONS choices of OPTIONS options each, behind `header` tokens that all share."""
    from eval.lm import Choice

    draw, size = random.Random(0), SHAPE["vocab_size"]
    ids = lambda n: tuple(draw.randrange(ENDS.stop, size) for _ in range(n))  # noqa: E731
    shared = ids(header)
    return [Choice(shared + ids(PROMPT), tuple(ids(OPTION) for _ in range(OPTIONS))) for _ in range(QUESTIONS)]


def words() -> Any:
    """A tokenizer whose words are the ids, but for the end: lm-eval looks for it in texts, and would find a digit."""
    from tokenizers import Tokenizer, models

    known = {str(i): i for i in range(SHAPE["vocab_size"]) if i != 2}
    return Tokenizer(models.WordLevel({**known, END: 2}, unk_token="0"))


def lm_eval(net: Any, size: int) -> Any:
    """lm-eval's model for transformers at a batch size."""
    from lm_eval.models.huggingface import HFLM
    from transformers import PreTrainedTokenizerFast

    logging.getLogger("lm_eval.models.huggingface").setLevel(logging.ERROR)  # it warns of networks it did not load
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=words(), pad_token="1", eos_token=END)
    return HFLM(net, tokenizer=tokenizer, batch_size=size, device="cpu")


def seconds(work: Callable[[], Any]) -> tuple[float, Any]:
    """CPU seconds of this process, and what `work` gives."""
    began = time.process_time()
    found = work()
    return time.process_time() - began, found


def quickest(name: str, unit: str, ways: Mapping[int, Callable[[], float]]) -> int:
    """The peer's best batch size: what costs it least, in one run each."""
    cost = {}
    for size, run in ways.items():
        cost[size] = run()
        print(f"{name}: the peer at batch {size}: {cost[size]:.3g} {unit}", flush=True)
    return min(cost, key=cost.__getitem__)


def turns(name: str, unit: str, rounds: int, ours: Side, peer: Side) -> tuple[float, float]:
    """Medians of both sides, which take turns; each is given the number of its turn."""
    found = []
    for turn in range(rounds):
        found.append((ours(turn), peer(turn)))
        print(f"{name}: turn {turn + 1}/{rounds}, {found[-1][0]:.4g} beside {found[-1][1]:.4g} {unit}", flush=True)
    mine, theirs = zip(*found, strict=True)
    return statistics.median(mine), statistics.median(theirs)
