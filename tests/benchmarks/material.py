"""What both sides of a race are given: one checkpoint of random weights and one list of rows, as files.

The shape is Qwen2's, hidden 512, 8 layers, body to head 5.4 to 1 as in the 1.5B distill; lengths are log-normal (prompt
median 250, answer median 80 tokens, 1024 at most). A toy with a large vocabulary would flatter whoever spares the head.
"""

import json
import math
import random
from pathlib import Path

SHAPE = {
    "vocab_size": 8150, "hidden_size": 512, "intermediate_size": 1408, "num_hidden_layers": 8,
    "num_attention_heads": 8, "num_key_value_heads": 2, "max_position_embeddings": 4096, "tie_word_embeddings": False,
}  # fmt: skip
LONGEST = 1024
BATCH = 4  # rows of an optimizer step, on both sides


def network():
    from torch import manual_seed
    from transformers import Qwen2Config, Qwen2ForCausalLM

    manual_seed(0)
    return Qwen2ForCausalLM(Qwen2Config(**SHAPE))


def rows(count: int) -> list[dict[str, list[int]]]:
    """Rows of random ids: prompt and answer."""
    draw = random.Random(0)
    return [row(draw, 250, 80, LONGEST, SHAPE["vocab_size"]) for _ in range(count)]


def row(draw: random.Random, prompt: int, answer: int, longest: int, vocab: int) -> dict[str, list[int]]:
    """One row of ids below `vocab`, its parts log-normal around these medians, `longest` tokens at most."""
    prompt = min(_size(draw, prompt, 0.6), longest - 8)
    answer = min(_size(draw, answer, 0.7), longest - prompt)
    return {part: [draw.randrange(10, vocab) for _ in range(n)] for part, n in (("prompt", prompt), ("answer", answer))}


def write(folder: Path, count: int) -> None:
    """`model/` (float32 safetensors and a tokenizer whose words are the ids) and `rows.json`."""
    from tokenizers import Tokenizer, models
    from transformers import PreTrainedTokenizerFast

    network().save_pretrained(folder / "model")
    words = Tokenizer(models.WordLevel({str(i): i for i in range(SHAPE["vocab_size"])}, unk_token="0"))
    PreTrainedTokenizerFast(tokenizer_object=words, pad_token="1", eos_token="2").save_pretrained(folder / "model")
    (folder / "rows.json").write_text(json.dumps(rows(count)))


def _size(draw: random.Random, median: int, spread: float) -> int:
    return max(4, round(median * math.exp(draw.gauss(0, spread))))
