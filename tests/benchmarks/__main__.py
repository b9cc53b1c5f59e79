"""Speed beside peers in one run: `make benchmarks`. Ratios of CPU seconds, median of several, one thread.

A ratio above 1 says that ours is faster. Absolute times mean nothing on a shared machine, so both sides take turns. The
model is random, Qwen2, hidden 512, 8 layers, body to head 5.4 to 1 as in the 1.5B distill. Rows go to latest.json here.
"""

import json
import random
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import torch

ROUNDS = 3
VOCAB = 8150  # body 22.5 M weights, head 4.2 M
Row = dict[str, object]


def model():
    from transformers import Qwen2Config, Qwen2ForCausalLM

    torch.manual_seed(0)
    config = Qwen2Config(
        vocab_size=VOCAB, hidden_size=512, intermediate_size=1408, num_hidden_layers=8, num_attention_heads=8,
        num_key_value_heads=2, max_position_embeddings=4096, tie_word_embeddings=False,
    )  # fmt: skip
    return Qwen2ForCausalLM(config).eval()


def race(name: str, ours: Callable[[], object], peers: dict[str, Callable[[], object]]) -> Row:
    """Turns of ours and each peer; the peer that was fastest is the one compared with."""
    times: dict[str, list[float]] = {"ours": [], **{peer: [] for peer in peers}}
    for _ in range(ROUNDS + 1):
        for side, work in {"ours": ours, **peers}.items():
            began = time.process_time()
            work()
            times[side].append(time.process_time() - began)
    medians = {side: statistics.median(took[1:]) for side, took in times.items()}  # the first round warms up
    best = min(peers, key=medians.__getitem__)
    ratio = round(medians[best] / medians["ours"], 2)
    return {"id": name, "ours": medians["ours"], "peer": medians[best], "best_peer": best, "ratio": ratio,
            "unit": "CPU seconds", "runs": ROUNDS}  # fmt: skip


def choices() -> Row:
    """24 questions of 120 tokens with four options of 15: ours against lm-eval's HF model at its best batch size."""
    from lm_eval.models.huggingface import HFLM
    from tokenizers import Tokenizer, models
    from transformers import PreTrainedTokenizerFast

    from eval.lm import Choice, likelihoods

    draw, net = random.Random(0), model()
    ids = lambda n: tuple(draw.randrange(10, VOCAB) for _ in range(n))  # noqa: E731
    asked = [Choice(ids(120), tuple(ids(15) for _ in range(4))) for _ in range(24)]
    requests = [(("", ""), list(c.prompt), list(option)) for c in asked for option in c.options]
    words = Tokenizer(models.WordLevel({str(i): i for i in range(VOCAB)}, unk_token="0"))
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=words, pad_token="1", eos_token="2")
    hf = {f"lm-eval HF, batch {n}": HFLM(net, tokenizer=tokenizer, batch_size=n, device="cpu") for n in (1, 4, 16)}
    peers = {name: lambda lm=lm: lm._loglikelihood_tokens(requests, disable_tqdm=True) for name, lm in hf.items()}
    found = [one[0] for some in likelihoods(net, asked, 8192) for one in some]
    told = [one[0] for one in next(iter(peers.values()))()]
    assert max(abs(a - b) / max(1, abs(b)) for a, b in zip(found, told, strict=True)) < 1e-5, "not the same scores"
    return race("score.choice.zero_shot", lambda: likelihoods(net, asked, 8192), peers)


def training() -> Row:
    """One pass over 16 log-normal rows (prompt median 250, answer median 80, at most 1024), LoRA 16, float32."""
    import numpy as np
    from datasets import Dataset
    from peft import LoraConfig, get_peft_model
    from transformers import Trainer, TrainingArguments

    from finetune.data import Example
    from finetune.methods import LoRA
    from finetune.train.loop import sheet_loss
    from finetune.train.packing import sheets

    draw = random.Random(0)
    size = lambda median, s, top: min(top, max(4, round(median * 2.718281828 ** draw.gauss(0, s))))  # noqa: E731
    rows = [(size(250, 0.6, 900), size(80, 0.7, 120)) for _ in range(16)]
    tokens = [np.array([draw.randrange(10, VOCAB) for _ in range(p + a)], dtype=np.int32) for p, a in rows]
    pairs = enumerate(zip(tokens, rows, strict=True))
    examples = [Example(str(i), "", ids, np.arange(len(ids)) >= p) for i, (ids, (p, _)) in pairs]
    own = LoRA(rank=16).attach(model(), tokenizer=None, seed=0)
    peer = get_peft_model(model(), LoraConfig(r=16, lora_alpha=32, target_modules="all-linear", task_type="CAUSAL_LM"))

    def ours() -> None:
        optimizer = torch.optim.AdamW([p for p in own.parameters() if p.requires_grad], lr=1e-3)
        own.train()
        for start in range(0, 16, 4):
            part = sheets(examples[start : start + 4], 1024, packing=True, pad=0)
            for sheet in part:
                (sheet_loss(own, sheet, torch.device("cpu")) / sum(s.targets for s in part)).backward()
            optimizer.step()
            optimizer.zero_grad()

    def pad(batch: list[dict]) -> dict:
        width = max(len(row["input_ids"]) for row in batch)
        fill = lambda key, value: torch.tensor([row[key] + [value] * (width - len(row[key])) for row in batch])  # noqa: E731
        ids = fill("input_ids", 0)
        mask = torch.tensor([[1] * len(r["input_ids"]) + [0] * (width - len(r["input_ids"])) for r in batch])
        return {"input_ids": ids, "attention_mask": mask, "labels": fill("labels", -100)}

    data = Dataset.from_list(
        [{"input_ids": e.ids.tolist(), "labels": np.where(e.mask, e.ids, -100).tolist()} for e in examples]
    )

    def trainer(sampling: str) -> None:
        Trainer(
            peer,
            TrainingArguments(
                tempfile.mkdtemp(), per_device_train_batch_size=4, num_train_epochs=1, use_cpu=True, report_to=[],
                save_strategy="no", learning_rate=1e-3, disable_tqdm=True, logging_strategy="no", log_level="error",
                train_sampling_strategy=sampling,
            ),
            train_dataset=data, data_collator=pad,
        ).train()  # fmt: skip

    peers = {f"Trainer, {way}": lambda way=way: trainer(way) for way in ("random", "group_by_length")}
    return race("train.same_dtype.vs_trainer", ours, peers)


def main() -> None:
    torch.set_num_threads(1)
    rows = [work() for work in (choices, training)]
    for row in rows:
        print(f"{row['id']:32} {row['ratio']:>6} x  ({row['best_peer']}, median of {row['runs']})")
    place = Path(__file__).parent / "latest.json"
    place.write_text(json.dumps(rows, indent=1) + "\n")


if __name__ == "__main__":
    main()
