"""Tiny random checkpoints from the real configs, with the real tokenizers: `python -m tests.tiny_real FOLDER`.

Needs the folder `tokenizers` beside TUNEWORTH_DATA. Shapes are scaled down; the vocabulary keeps all of its rows, so
everything that a 152k head and the real special tokens can break is here.
"""

import gzip
import json
import os
import sys
from pathlib import Path

SOURCES = {  # name -> tokenizer folder, config file, end of text
    "tiny/r1-distill-qwen": ("deepseek-r1-distill-qwen", "config.32b.json"),
    "tiny/qwen3": ("qwen3", "config.4b.json"),
}
SHAPE = {"hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2, "num_attention_heads": 4,
         "num_key_value_heads": 2, "max_window_layers": 2, "max_position_embeddings": 8192}  # fmt: skip


def build(folder: Path, tokenizers: Path) -> None:
    """Write `folder/tiny/r1-distill-qwen` and `folder/tiny/qwen3`; seconds, 80 MB each."""
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    for name, (source, config_file) in SOURCES.items():
        place = folder / name
        place.mkdir(parents=True, exist_ok=True)
        raw = json.loads((tokenizers / source / config_file).read_text()) | SHAPE
        if "head_dim" in raw:
            raw["head_dim"] = 16
        (place / "config.json").write_text(json.dumps(raw | {"torch_dtype": "float32"}))
        torch.manual_seed(0)
        model = AutoModelForCausalLM.from_config(AutoConfig.from_pretrained(place), dtype=torch.float32)
        model.save_pretrained(place)
        (place / "tokenizer.json").write_bytes(
            gzip.decompress((tokenizers / source / "tokenizer.json.gz").read_bytes())
        )
        (place / "generation_config.json").write_bytes((tokenizers / source / "generation_config.json").read_bytes())


if __name__ == "__main__":
    build(Path(sys.argv[1]), Path(os.environ["TUNEWORTH_DATA"]).parent / "tokenizers")
