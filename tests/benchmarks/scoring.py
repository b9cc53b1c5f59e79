"""Option scoring beside lm-eval's own model for transformers: CPU seconds for the same log-likelihoods."""

import random
import statistics
import time
from collections.abc import Callable

from tests.benchmarks.material import SHAPE, network

QUESTIONS, OPTIONS, PROMPT, OPTION = 24, 4, 120, 15  # tokens of a question and of each option


def choices(rounds: int) -> list[dict]:
    """Questions with four options each: ours against HFLM at its best batch size."""
    import torch
    from lm_eval.models.huggingface import HFLM
    from tokenizers import Tokenizer, models
    from transformers import PreTrainedTokenizerFast

    from eval.lm import Choice, likelihoods

    torch.set_num_threads(1)
    draw, net, size = random.Random(0), network().eval(), SHAPE["vocab_size"]
    ids = lambda n: tuple(draw.randrange(10, size) for _ in range(n))  # noqa: E731
    asked = [Choice(ids(PROMPT), tuple(ids(OPTION) for _ in range(OPTIONS))) for _ in range(QUESTIONS)]
    requests = [(("", ""), list(c.prompt), list(option)) for c in asked for option in c.options]
    words = Tokenizer(models.WordLevel({str(i): i for i in range(size)}, unk_token="0"))
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=words, pad_token="1", eos_token="2")
    hf = {f"lm-eval HF, batch {n}": HFLM(net, tokenizer=tokenizer, batch_size=n, device="cpu") for n in (1, 4, 16)}
    peers = {name: lambda lm=lm: lm._loglikelihood_tokens(requests, disable_tqdm=True) for name, lm in hf.items()}
    found = [one[0] for some in likelihoods(net, asked, 8192) for one in some]
    told = [one[0] for one in next(iter(peers.values()))()]
    assert max(abs(a - b) / max(1, abs(b)) for a, b in zip(found, told, strict=True)) < 1e-5, "not the same scores"
    return [_race("score.choice.zero_shot", lambda: likelihoods(net, asked, 8192), peers, rounds)]


def _race(name: str, ours: Callable[[], object], peers: dict[str, Callable[[], object]], rounds: int) -> dict:
    """Turns of ours and each peer after a warm-up; the peer that was fastest is the one compared with."""
    times: dict[str, list[float]] = {"ours": [], **{peer: [] for peer in peers}}
    for _ in range(rounds + 1):
        for side, work in {"ours": ours, **peers}.items():
            began = time.process_time()
            work()
            times[side].append(time.process_time() - began)
    medians = {side: statistics.median(took[1:]) for side, took in times.items()}
    best = min(peers, key=medians.__getitem__)
    return {
        "id": name, "ours": round(medians["ours"], 3), "peer": round(medians[best], 3),
        "ratio": round(medians[best] / medians["ours"], 2), "unit": "CPU seconds (peer over ours)", "beside": best,
        "runs": rounds,
    }  # fmt: skip
