"""The shape of a decoder: the few numbers of a config.json from which weights, caches and activations follow.

Dense decoders with gated MLPs (Llama, Qwen2, Qwen3 and their kin). `recipes/models/<name>.yaml` holds the shape of a
published checkpoint, so that a plan needs no weights; a folder's own config.json goes before it.
"""

import json
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from finetune.mistakes import BadInput

BIASED = ("qwen2",)  # biases on query, key and value, whether their config says so or not
NORMED = ("qwen3",)  # a norm on each head's query and key
DENSE = ("llama", "mistral", *BIASED, *NORMED)


class Shape(BaseModel):
    """Sizes of one decoder. Every one is as in config.json, under the field's shorter names."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    hidden: int = Field(ge=1, description="Width of the residual stream")
    layers: int = Field(ge=1, description="Decoder layers")
    heads: int = Field(ge=1, description="Query heads")
    kv_heads: int = Field(ge=1, description="Key/value heads; fewer make the cache smaller")
    head_dim: int = Field(ge=1, description="Width of a head; heads x head_dim need not be hidden (Qwen3)")
    intermediate: int = Field(ge=1, description="Width of the gated MLP")
    vocab: int = Field(ge=1, description="Rows of the embedding, padding rows included")
    tied: bool = Field(False, description="The output head is the embedding itself")
    qkv_bias: bool = Field(False, description="Biases on query, key and value (Qwen2)")
    qk_norm: bool = Field(False, description="A norm on each head's query and key (Qwen3)")

    @classmethod
    def read(cls, folder: Path) -> "Shape":
        """From `<folder>/config.json`. BadInput: not there, or no dense decoder that this plan knows."""
        path = folder / "config.json"
        try:
            said = json.loads(path.read_text("utf-8"))
            return cls.of(said)
        except FileNotFoundError:
            raise BadInput(f"{path}: no such file") from None
        except (KeyError, ValueError) as fault:
            raise BadInput(f"{path}: no shape to be read ({fault}); known are {', '.join(DENSE)}") from None

    @classmethod
    def of(cls, said: dict[str, Any]) -> "Shape":
        """From the mapping of a config.json. ValueError or KeyError where it is no dense decoder known here."""
        kind = said["model_type"]
        mixed = {layer for layer in said.get("layer_types") or () if layer != "full_attention"}
        if kind not in DENSE or mixed:
            raise ValueError(f"model_type {kind}" + (f" with layers of {', '.join(sorted(mixed))}" if mixed else ""))
        heads = said["num_attention_heads"]
        return cls(
            hidden=said["hidden_size"],
            layers=said["num_hidden_layers"],
            heads=heads,
            kv_heads=said.get("num_key_value_heads") or heads,
            head_dim=said.get("head_dim") or said["hidden_size"] // heads,
            intermediate=said["intermediate_size"],
            vocab=said["vocab_size"],
            tied=bool(said.get("tie_word_embeddings", False)),
            qkv_bias=kind in BIASED or bool(said.get("attention_bias", False)),
            qk_norm=kind in NORMED,
        )

    @property
    def query(self) -> int:
        """Width of all query heads together."""
        return self.heads * self.head_dim

    @property
    def key(self) -> int:
        """Width of all key heads together; values have the same."""
        return self.kv_heads * self.head_dim

    @property
    def linears(self) -> dict[str, tuple[int, int]]:
        """(inputs, outputs) of each linear module of a layer, by its name in transformers."""
        wide = {"gate_proj": (self.hidden, self.intermediate), "up_proj": (self.hidden, self.intermediate)}
        return {
            "q_proj": (self.hidden, self.query),
            "k_proj": (self.hidden, self.key),
            "v_proj": (self.hidden, self.key),
            "o_proj": (self.query, self.hidden),
            **wide,
            "down_proj": (self.intermediate, self.hidden),
        }

    @property
    def linear_weights(self) -> int:
        """Weights of a layer's linear modules, biases apart: what a quantisation shrinks, and what computes."""
        return sum(inputs * outputs for inputs, outputs in self.linears.values())

    @property
    def layer_weights(self) -> int:
        """All parameters of one layer."""
        biases = self.query + 2 * self.key if self.qkv_bias else 0
        return self.linear_weights + biases + 2 * self.hidden + (2 * self.head_dim if self.qk_norm else 0)

    @property
    def embedding(self) -> int:
        """Parameters of the embedding, as many as the output head has."""
        return self.vocab * self.hidden

    @property
    def parameters(self) -> int:
        """All parameters; a tied head counts once."""
        return self.layers * self.layer_weights + self.embedding * (1 if self.tied else 2) + self.hidden

    @property
    def cache_width(self) -> int:
        """Numbers that one token leaves in the key/value cache."""
        return 2 * self.key * self.layers

    @property
    def held(self) -> float:
        """Tokens whose keys and values take the memory of one token in a forward that keeps nothing for gradients, at
        least 1: there its MLP's three inner products and four rows of the residual stream stand side by side."""
        return max(1.0, (3 * self.intermediate + 4 * self.hidden) / self.cache_width)
