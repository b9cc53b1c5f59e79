"""Options scored beside lm-eval's own model for transformers: CPU seconds for the same log-likelihoods, and memory.

24 questions of 120 tokens with four options of 15, alone or behind five examples of 1,200 tokens in all. lm-eval runs
at the batch size that is fastest for it, found once on SOME of the questions. For memory each side has a process of its
own: `python -m tests.benchmarks.scoring SIDE HEADER`.
"""

import ctypes
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from tests.benchmarks.asking import OPTIONS, QUESTIONS, lm_eval, questions, quickest, seconds, turns
from tests.benchmarks.material import network

HEADER = 1200  # tokens of the five examples
TOKENS = {0: 1024, HEADER: 256}  # exam.batch_tokens of ours by header: large multiplications, or little memory
SIZES = (1, 4, 16)  # lm-eval's batches of options
SOME = 4  # questions on which they are tried
Scorer = Callable[[], list[float]]


def choices(rounds: int) -> Iterator[dict]:
    """Speed, then memory, of both sides for zero-shot and for five-shot."""
    for name, header in (("zero_shot", 0), ("five_shot", HEADER)):
        row, best = _likelihoods(f"score.choice.{name}", header, rounds)
        yield row
        yield _memory("score.choice.memory" + ("" if header else ".zero_shot"), header, best, rounds)


def _likelihoods(name: str, header: int, rounds: int) -> tuple[dict, int]:
    """The row of a race, whose sides must agree, and lm-eval's best batch size."""
    import torch

    torch.set_num_threads(1)
    asked, net = questions(header), network().eval()
    ours = _ours(network().eval(), asked, header)
    seconds(_theirs(net, asked[:1], 1))  # what is loaded once is nobody's time
    some = {size: _theirs(net, asked[:SOME], size) for size in SIZES}
    tried = {size: lambda run=run: seconds(run)[0] for size, run in some.items()}
    best = quickest(name, f"CPU s for {SOME} questions", tried)
    theirs = _theirs(net, asked, best)
    found = ours()  # the first run, which nobody times

    def same(turn: int) -> float:
        took, told = seconds(theirs)
        _agree(found, told)
        return took

    mine, their = turns(name, "CPU s", rounds, lambda turn: seconds(ours)[0], same)
    row = {
        "id": name, "ours": round(mine, 3), "peer": round(their, 3), "ratio": round(their / mine, 2),
        "unit": "CPU seconds (peer over ours)", "runs": rounds,
        "beside": f"lm-eval HF, batch {best} (of {SIZES}, tried on {SOME} of {QUESTIONS} questions)",
    }  # fmt: skip
    return row, best


def _memory(name: str, header: int, best: int, rounds: int) -> dict:
    ours, theirs = turns(name, "MiB", rounds, lambda _: _apart("ours", header), lambda _: _apart(str(best), header))
    return {
        "id": name, "ours": round(ours, 1), "peer": round(theirs, 1), "ratio": round(ours / theirs, 3),
        "unit": "MiB more at the peak (ours over peer)", "runs": rounds,
        "beside": f"lm-eval HF, batch {best}, on {_few(best)} of {QUESTIONS} questions",
    }  # fmt: skip


def _ours(net: Any, asked: list[Any], header: int) -> Scorer:
    from eval.lm import likelihoods
    from finetune.product import adopt

    adopt(net)
    return lambda: [one for some in likelihoods(net, asked, TOKENS[header]) for one, _ in some]


def _theirs(net: Any, asked: list[Any], size: int) -> Scorer:
    """lm-eval's at a batch size."""
    requests = [(("", ""), list(choice.prompt), list(option)) for choice in asked for option in choice.options]
    lm = lm_eval(net, size)
    return lambda: [one for one, _ in lm._loglikelihood_tokens(requests, disable_tqdm=True)]


def _agree(ours: list[float], theirs: list[float]) -> None:
    apart = [abs(a - b) for a, b in zip(ours, theirs, strict=True)]
    assert all(gap <= 1e-5 + 1e-6 * abs(b) for gap, b in zip(apart, theirs, strict=True)), (
        f"not the same log-likelihoods: up to {max(apart):.2g} nats apart"
    )


def _few(size: int) -> int:
    """Questions on which lm-eval's memory is taken: SOME, or what fills two batches. All would take it minutes."""
    return min(QUESTIONS, max(SOME, -(-2 * size // OPTIONS)))


def _apart(side: str, header: int) -> float:
    """MiB at the peak of scoring, more than stood before it, in a process of its own."""
    words = [sys.executable, "-m", "tests.benchmarks.scoring", side, str(header)]
    return float(json.loads(subprocess.run(words, check=True, stdout=subprocess.PIPE, text=True).stdout))


def main(side: str, header: int) -> None:
    import torch

    torch.set_num_threads(1)
    asked, net = questions(header), network().eval()
    run = _ours(net, asked, header) if side == "ours" else _theirs(net, asked[: _few(int(side))], int(side))
    short = [type(asked[0])(tuple(range(100, 116)), ((100, 101),))]
    (_ours(net, short, header) if side == "ours" else _theirs(net, short, 1))()  # what the libraries allocate once
    ctypes.CDLL(None).malloc_trim(0)
    Path("/proc/self/clear_refs").write_text("5", "ascii")
    stood = int(Path("/proc/self/statm").read_text("ascii").split()[1]) * os.sysconf("SC_PAGESIZE")
    run()
    (line,) = [one for one in Path("/proc/self/status").read_text().splitlines() if one.startswith("VmHWM")]
    print(json.dumps((int(line.split()[1]) * 1024 - stood) / 2**20))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
