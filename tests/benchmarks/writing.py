"""Answers drawn beside `generate` as lm-eval calls it: useful tokens per CPU second, eight answers to a question.

A share of the questions, the same for both sides. The peer writes them batch by batch at the size that is fastest for
it, found once on the beginnings of answers; a token is useful up to the end of its answer, the end included.
"""

from collections.abc import Callable, Iterator
from typing import Any

from tests.benchmarks import asking
from tests.benchmarks.asking import END, ENDS, PROMPT, questions, quickest, seconds, turns
from tests.benchmarks.material import network

ASKED, SAMPLES, LONGEST = 12, 8, 256  # questions of all, answers to each, tokens of an answer at most
SIZES, BEGINNING = (24, 48, 96), 64  # batches of the peer, and the tokens of an answer on which they are tried
ROOM = 8192  # exam.batch_tokens of ours: the default
DRAWN = {"temperature": 0.6, "top_p": 0.95, "top_k": 0}  # the distills' documented decoding
Prompts = list[list[int]]


def answers(rounds: int) -> Iterator[dict]:
    """Useful tokens per CPU second of both sides, who must write the same where nothing is drawn."""
    import torch

    torch.set_num_threads(1)
    name, ours, theirs = "score.generate.k8", _Ours(), _Theirs()
    prompts = [list(choice.prompt) for choice in questions()[:ASKED] for _ in range(SAMPLES)]
    firsts = prompts[:: SAMPLES * ASKED // 2]
    assert ours.greedy(firsts) == theirs.greedy(firsts), "not the same greedy answers"
    tried = {size: lambda size=size: 1 / _pace(lambda: theirs.begin(prompts[:size])) for size in SIZES}
    best = quickest(name, "CPU s a token", tried)
    mine, their = turns(
        name, "useful tokens per CPU s", rounds,
        lambda turn: _pace(lambda: ours.write(prompts, turn)),
        lambda turn: _pace(lambda: theirs.write(prompts, turn, best)),
    )  # fmt: skip
    yield {
        "id": name, "ours": round(mine, 1), "peer": round(their, 1), "ratio": round(mine / their, 2),
        "unit": "useful tokens per CPU second (ours over peer)", "runs": rounds,
        "beside": f"generate by lm-eval, batch {best} (of {SIZES}, tried on {BEGINNING} tokens an answer), "
        f"{ASKED} of {asking.QUESTIONS} questions on both sides",
    }  # fmt: skip


def _pace(work: Callable[[], int]) -> float:
    took, tokens = seconds(work)
    return tokens / took


class _Ours:
    def __init__(self) -> None:
        from finetune.chat import Chat
        from finetune.product import adopt

        words = asking.words()
        self.net, self.chat = network().eval(), Chat(words, words, "plain", "drop", {}, list(ENDS), 1, "")
        adopt(self.net)

    def write(self, prompts: Prompts, turn: int) -> int:
        """Useful tokens: what was written, and the end where one was drawn."""
        return sum(len(one.ids) + (one.finish == "stop") for one in self._written(prompts, turn, LONGEST, **DRAWN))

    def greedy(self, prompts: Prompts) -> Prompts:
        return [list(one.ids) for one in self._written(prompts, 0, 16)]

    def _written(self, prompts: Prompts, turn: int, longest: int, **decoding: Any) -> list[Any]:
        from eval.lm.draw import Sampling
        from eval.lm.generate import write

        seeds = range(turn * len(prompts), (turn + 1) * len(prompts))
        return write(self.net, self.chat, prompts, seeds, Sampling(**decoding, max_new_tokens=longest), (), ROOM)


class _Theirs:
    def __init__(self) -> None:
        net = network().eval()
        net.generation_config.eos_token_id = list(ENDS)
        self.lm = asking.lm_eval(net, 1)

    def write(self, prompts: Prompts, turn: int, size: int) -> int:
        """Useful tokens, drawn as generate_until does, batch by batch."""
        import torch

        torch.manual_seed(turn)
        batches = [prompts[begin : begin + size] for begin in range(0, len(prompts), size)]
        return sum(len(row) for batch in batches for row in self._generated(batch, LONGEST, do_sample=True, **DRAWN))

    def begin(self, prompts: Prompts) -> int:
        """Useful tokens of a single batch's beginnings."""
        return sum(map(len, self._generated(prompts, BEGINNING, do_sample=True, **DRAWN)))

    def greedy(self, prompts: Prompts) -> Prompts:
        """Each prompt alone, without the ends."""
        rows = [self._generated([prompt], 16)[0] for prompt in prompts]
        return [row[:-1] if row[-1] in ENDS else row for row in rows]

    def _generated(self, prompts: Prompts, longest: int, **decoding: Any) -> Prompts:
        """Answers up to their ends, ends included."""
        import torch

        ids = torch.tensor(prompts)
        found = self.lm._model_generate(
            context=ids, attention_mask=torch.ones_like(ids), stop=[END], max_length=PROMPT + longest, **decoding
        )[:, PROMPT:].tolist()
        ends = [next((place + 1 for place, token in enumerate(row) if token in ENDS), len(row)) for row in found]
        return [row[:end] for row, end in zip(found, ends, strict=True)]
