"""Scoring beside lm-eval's own model for transformers: CPU seconds for the same log-likelihoods, memory, and answers.

24 questions of 120 tokens with four options of 15, alone or behind five examples of 1,200 tokens in all; and 8 answers
drawn for each question. lm-eval runs at the batch size that is fastest for it, found on a sixth of the requests. For
memory each side has a process of its own: `python -m tests.benchmarks.scoring SIDE HEADER`.
"""

import ctypes
import json
import os
import random
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.benchmarks.material import SHAPE, network

QUESTIONS, OPTIONS, PROMPT, OPTION, HEADER = 24, 4, 120, 15, 1200  # tokens of a question, an option, five examples
TOKENS = {0: 1024, HEADER: 256}  # exam.batch_tokens of ours by header: large multiplications, or little memory
SAMPLES, LONGEST, ENDS = 8, 256, 80  # answers a question, tokens at most, and ids that end one: a hundredth of all
SIZES = (1, 4, 16)  # lm-eval's batches of options
WRITING = (8, 32, 64)  # and of answers
ROOM = 8192  # exam.batch_tokens of ours while it writes: the default
DRAWN = {"temperature": 0.6, "top_p": 0.95, "top_k": 0}  # the distills' documented decoding


def choices(rounds: int) -> list[dict]:
    """Zero-shot, five-shot, and memory of both sides for five-shot and zero-shot."""
    found = []
    for name, header in (("zero_shot", 0), ("five_shot", HEADER)):
        row, best = _likelihoods(f"score.choice.{name}", header, rounds)
        ours, theirs = (statistics.median(_apart(side, header) for _ in range(rounds)) for side in ("ours", str(best)))
        memory = {
            "id": "score.choice.memory" + (".zero_shot" if not header else ""), "ours": round(ours, 1),
            "peer": round(theirs, 1), "ratio": round(ours / theirs, 3), "unit": "MiB more at the peak (ours over peer)",
            "beside": row["beside"], "runs": rounds,
        }  # fmt: skip
        found += [row, memory]
    return found


def answers(rounds: int) -> list[dict]:
    """Eight samples of each question: useful tokens per CPU second of ours and of `generate` as lm-eval calls it."""
    net = network().eval()
    prompts = [list(choice.prompt) for choice in _asked(0) for _ in range(SAMPLES)]
    ours, theirs = _writer(net, prompts), {size: _generate(net, size) for size in WRITING}
    speed = {size: _speed(lambda run=run: run(prompts[: max(WRITING)])) for size, run in theirs.items()}
    best = max(speed, key=speed.__getitem__)
    rates: dict[str, list[float]] = {"ours": [], "peer": []}
    for _ in range(rounds):
        rates["ours"].append(_speed(ours))
        rates["peer"].append(_speed(lambda: theirs[best](prompts)))
    mine, peer = (statistics.median(rates[side]) for side in ("ours", "peer"))
    return [
        {
            "id": "score.generate.k8", "ours": round(mine, 1), "peer": round(peer, 1), "ratio": round(mine / peer, 2),
            "unit": "useful tokens per CPU second (ours over peer)", "beside": f"generate by lm-eval, batch {best}",
            "runs": rounds,
        }
    ]  # fmt: skip


def _asked(header: int) -> list[Any]:
    from eval.lm import Choice

    draw, size = random.Random(0), SHAPE["vocab_size"]
    ids = lambda n: tuple(draw.randrange(10 + ENDS, size) for _ in range(n))  # noqa: E731
    shared = ids(header)
    return [Choice(shared + ids(PROMPT), tuple(ids(OPTION) for _ in range(OPTIONS))) for _ in range(QUESTIONS)]


def _words() -> Any:
    from tokenizers import Tokenizer, models

    return Tokenizer(models.WordLevel({str(i): i for i in range(SHAPE["vocab_size"])}, unk_token="0"))


def _lm(net: Any, size: int) -> Any:
    from lm_eval.models.huggingface import HFLM
    from transformers import PreTrainedTokenizerFast

    tokenizer = PreTrainedTokenizerFast(tokenizer_object=_words(), pad_token="1", eos_token="2")
    return HFLM(net, tokenizer=tokenizer, batch_size=size, device="cpu")


def _sides(net: Any, header: int, size: int) -> tuple[Callable[[], list[float]], Callable[[int], list[float]]]:
    """Ours, and lm-eval's at a batch size, of which a share of the requests can be had."""
    from eval.lm import likelihoods

    asked = _asked(header)
    requests = [(("", ""), list(choice.prompt), list(option)) for choice in asked for option in choice.options]
    lm = _lm(net, size)

    def theirs(part: int = 1) -> list[float]:
        some = requests[: len(requests) // part]
        return [one for one, _ in lm._loglikelihood_tokens(some, disable_tqdm=True)]

    return lambda: [one for some in likelihoods(net, asked, TOKENS[header]) for one, _ in some], theirs


def _likelihoods(name: str, header: int, rounds: int) -> tuple[dict, int]:
    """The row of a race, whose sides must agree, and lm-eval's best batch size."""
    import torch

    torch.set_num_threads(1)
    net = network().eval()
    peers = {size: _sides(net, header, size)[1] for size in SIZES}
    ours = _sides(net, header, 1)[0]
    tried = {size: _seconds(lambda run=run: run(6))[0] for size, run in peers.items()}
    best = min(tried, key=tried.__getitem__)
    _seconds(ours)
    took: dict[str, list[float]] = {"ours": [], "peer": []}
    for _ in range(rounds):
        mine, found = _seconds(ours)
        theirs, told = _seconds(peers[best])
        assert all(abs(a - b) <= 1e-5 + 1e-6 * abs(b) for a, b in zip(found, told, strict=True)), "not the same scores"
        took["ours"].append(mine)
        took["peer"].append(theirs)
    mine, theirs = (statistics.median(took[side]) for side in ("ours", "peer"))
    row = {
        "id": name, "ours": round(mine, 3), "peer": round(theirs, 3), "ratio": round(theirs / mine, 2),
        "unit": "CPU seconds (peer over ours)", "beside": f"lm-eval HF, batch {best}", "runs": rounds,
    }  # fmt: skip
    return row, best


def _writer(net: Any, prompts: list[list[int]]) -> Callable[[], int]:
    from eval.lm.draw import Sampling
    from eval.lm.generate import write
    from finetune.chat import Chat

    words = _words()
    chat = Chat(words, words, "plain", "drop", {}, list(range(10, 10 + ENDS)), 1, "")
    how = Sampling(**DRAWN, max_new_tokens=LONGEST)
    seeds = range(len(prompts))
    return lambda: sum(len(one.ids) + 1 for one in write(net, chat, prompts, seeds, how, (), ROOM))


def _generate(net: Any, size: int) -> Callable[[list[list[int]]], int]:
    """Tokens up to the end of each answer, as lm-eval's generate_until draws them, batch by batch."""
    import torch

    lm = _lm(net, size)
    net.generation_config.eos_token_id = list(range(10, 10 + ENDS))

    def run(prompts: list[list[int]]) -> int:
        useful = 0
        for begin in range(0, len(prompts), size):
            ids = torch.tensor(prompts[begin : begin + size])
            found = lm._model_generate(
                context=ids, attention_mask=torch.ones_like(ids), stop=["2"], max_length=PROMPT + LONGEST,
                do_sample=True, **DRAWN,
            )[:, PROMPT:]  # fmt: skip
            ended = (found >= 10) & (found < 10 + ENDS)
            useful += sum(row.index(True) + 1 if True in row else len(row) for row in ended.tolist())
        return useful

    return run


def _seconds(work: Callable[[], Any]) -> tuple[float, Any]:
    began = time.process_time()
    found = work()
    return time.process_time() - began, found


def _speed(work: Callable[[], int]) -> float:
    seconds, tokens = _seconds(work)
    return tokens / seconds


def _apart(side: str, header: int) -> float:
    """MiB at the peak of scoring, more than stood before it, in a process of its own."""
    words = [sys.executable, "-m", "tests.benchmarks.scoring", side, str(header)]
    return float(json.loads(subprocess.run(words, check=True, stdout=subprocess.PIPE, text=True).stdout))


def main(side: str, header: int) -> None:
    import torch

    torch.set_num_threads(1)
    net = network().eval()
    ours, theirs = _sides(net, header, 1 if side == "ours" else int(side))
    net(input_ids=torch.arange(16)[None])  # what the libraries allocate once
    ctypes.CDLL(None).malloc_trim(0)
    Path("/proc/self/clear_refs").write_text("5", "ascii")
    stood = int(Path("/proc/self/statm").read_text("ascii").split()[1]) * os.sysconf("SC_PAGESIZE")
    ours() if side == "ours" else theirs(6)
    (line,) = [one for one in Path("/proc/self/status").read_text().splitlines() if one.startswith("VmHWM")]
    print(json.dumps((int(line.split()[1]) * 1024 - stood) / 2**20))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
