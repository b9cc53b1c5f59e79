"""A head trained on real sentences beats the blindest guess on sentences it has not seen: Financial PhraseBank.

The model is tiny and random, with the real tokenizer of the distills; all it knows is what these rows teach.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
import tiny_real
import torch
import yaml
from small_exam import ROOT

from eval import items
from eval.score import __main__ as score
from finetune.run import RunDir
from finetune.train import __main__ as train

pytestmark = [pytest.mark.data, pytest.mark.slow]
CARD = ROOT / "data_cards" / "financial_phrasebank.md"


@pytest.fixture(scope="module")
def base(tmp_path_factory, shared_data) -> Path:
    torch.set_num_threads(1)
    tokenizers = shared_data.parent / "tokenizers"
    if not tokenizers.is_dir():
        pytest.skip(f"no real tokenizers in {tokenizers}")
    folder = tmp_path_factory.mktemp("models")
    tiny_real.build(folder, tokenizers)
    return folder / "tiny" / "r1-distill-qwen"


def write(folder: Path, base: Path) -> Path:
    model = {"id": str(base), "family": "r1_distill_qwen", "think": "empty", "dtype": "float32"}
    tuned = {"model": model, "method": {"kind": "full", "learning_rate": 0.002}, "head": "sequence"}
    recipe = {
        "question": "Does a head learn real labels?",
        "data": [f"{CARD}#train_half"],
        "allow_personal_data": "a published set, whose numbers are those of press releases",
        "contenders": {"old": {"model": model}, "tuned": tuned},
        "train": {
            "epochs": 20, "max_steps": 120, "tokens_per_step": 4096, "max_length": 512, "dev": 0, "prove": "here",
            "save_every": 1000,
        },
        "exam": {"tasks": ["financial_phrasebank"]},
        "rule": {"challengers": ["tuned"], "incumbent": "old", "base": "old"},
    }  # fmt: skip
    path = folder / "r.yaml"
    path.write_text(yaml.safe_dump(recipe), "utf-8")
    return path


def test_a_head_beats_the_most_frequent_label(tmp_path, base):
    recipe = write(tmp_path, base)
    words = [str(recipe), "--contender", "tuned", "--out", str(tmp_path / "runs")]
    assert train.main(words) == 0
    assert score.main(words) == 0
    rows = items.read(RunDir(tmp_path / "runs" / "r").seed("tuned", 17).items)
    right, (label, most) = sum(row.score for row in rows) / len(rows), Counter(r.gold for r in rows).most_common(1)[0]
    print(f"{right:.1%} right of {len(rows)}, most frequent {label} {most / len(rows):.1%}")
    assert right > most / len(rows) + 0.04
