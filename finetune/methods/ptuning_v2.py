"""P-Tuning v2 (Liu et al. 2021, arXiv 2110.07602): a trained key/value prefix inside every attention layer.

The prefix is two parameters a layer, its keys and its values, each [kv_heads, n, head_dim]. With `reencoder` the
paper's prefix encoder stands in their place: an embedding [n, hidden], a linear layer, tanh, and a linear layer to all
keys and values. Its output is added to a fixed start (the text's keys and values, or the random draw), and its last
layer starts at zero, so that `init` means the same with it and without. What is kept of it is the prefix it ends at.
With reentrant gradient checkpointing call `model.enable_input_require_grads()`, as for any frozen base; `reencoder`
needs the other kind, which is what `train.checkpointing` uses.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, Field

from finetune.collector import paused
from finetune.methods import prefix
from finetune.methods.lora import refuse_second
from finetune.methods.search import FROZEN, SAID, several
from finetune.mistakes import BadInput

INIT_TEXT = (
    "下面是金融问题，请准确作答。Answer these questions about finance exactly, in the form that is asked for. "
    "新闻、合约、价格与财报，逐条细读。News, contracts, prices and reports: read each with care. "
    "只依据事实，不编造数字。Keep to the facts and make up no numbers.\n"
)


class PTuningV2(BaseModel):
    """Knobs of P-Tuning v2."""

    model_config = FROZEN
    kind: Literal["ptuning_v2"] = "ptuning_v2"
    virtual_tokens: int = Field(
        32, ge=1, description="Prefix length: under 20 for plain classes, about 100 for hard extraction"
    )
    init: Literal["text", "random"] = Field(
        "text", description="Start from the keys and values of a real text; a random start ends lower and forgets more"
    )
    init_text: str = Field(
        INIT_TEXT, min_length=1, description="The text of init: text, repeated or cut to virtual_tokens tokens"
    )
    reencoder: int | None = Field(
        None, ge=1, description="Width of the MLP that makes the prefix while training (512 in the paper); none: direct"
    )
    learning_rate: float = Field(
        default_factory=lambda known: 5e-3 if known.get("reencoder") is None else 1e-3,
        gt=0,
        description="5e-3, up to 3e-2: 100 times full tuning's and more; 1e-3 with a re-encoder, which multiplies it",
    )
    search: Annotated[prefix.PromptSearch | None, AfterValidator(several)] = Field(None, description=SAID)

    def check(self, config: Any) -> None:
        """BadInput says why a prefix cannot live in this architecture (transformers configuration)."""
        prefix.check(self.kind, self.virtual_tokens, config)

    def attach(self, model: Any, *, tokenizer: Any, seed: int) -> Any:
        """The same `model`, frozen, with a trainable fp32 prefix in each layer; `seed` matters for what is drawn.

        `tokenizer` is a tokenizers.Tokenizer. BadInput on an architecture refused, or a model with an adapter.
        """
        refuse_second(model)
        self.check(model.config)
        start = self._text_start(model, tokenizer) if self.init == "text" else self._random_start(model, seed)
        if self.reencoder is None:
            prompt, unfold = _direct(start)
        else:
            prompt, unfold = _reencoded(start, model.config.hidden_size, self.reencoder, seed)
        return prefix.install(model, prompt, unfold, self.virtual_tokens, trainable=True)

    def save(self, model: Any, folder: Path, *, base: str) -> None:
        """Write PEFT's two files into `folder`, as its prefix tuning would; the same prefix gives the same bytes."""
        import torch

        with paused():
            from peft import PrefixTuningConfig

        prompt = model.base_model.prompt_encoder
        with torch.no_grad():
            parts = _encode(prompt) if hasattr(prompt, "start") else list(prompt)
        depth, (heads, length, width) = len(parts), parts[0].shape
        config = PrefixTuningConfig(
            task_type="CAUSAL_LM",
            num_virtual_tokens=length,
            token_dim=heads * width,
            num_transformer_submodules=1,
            num_attention_heads=heads,
            num_layers=depth // 2,
            inference_mode=True,
            base_model_name_or_path=base,
        )
        prefix.write(folder, config, torch.stack(list(parts)).permute(2, 0, 1, 3).reshape(length, -1))

    def _text_start(self, model: Any, tokenizer: Any) -> Any:
        """Keys (rotated, at positions 0..n-1) and values of the text, as cached: [2 layers, kv_heads, n, head_dim]."""
        import torch

        ids = tokenizer.encode(self.init_text, add_special_tokens=False).ids
        if not ids:
            raise BadInput(f"init_text: {self.init_text!r} has no tokens")
        ids = (ids * (self.virtual_tokens // len(ids) + 1))[: self.virtual_tokens]
        training = model.training
        with torch.no_grad():
            cache = model.eval()(torch.tensor([ids], device=model.device), use_cache=True).past_key_values
        model.train(training)
        return torch.stack([part[0].float() for layer in cache.layers for part in (layer.keys, layer.values)])

    def _random_start(self, model: Any, seed: int) -> Any:
        """Normal draws of the model's own initial deviation: [2 layers, kv_heads, n, head_dim]."""
        import torch

        depth, heads, width = prefix.shape(model.config)
        draws = torch.randn((depth, heads, self.virtual_tokens, width), generator=torch.Generator().manual_seed(seed))
        return draws * model.config.initializer_range


def load(model: Any, folder: Path, *, trainable: bool = False) -> Any:
    """The same `model` with the prefix of `folder`, in fp32. BadInput names what does not fit.

    PEFT saves the prefix as it ends up, also one trained through a projection: [n, layers * 2 * kv_heads * head_dim].
    So it does here: training goes on from the prefix itself, without the re-encoder it may have come from.
    """
    refuse_second(model)
    prefix.refuse_architecture("ptuning_v2", model.config)
    flat = prefix.prompt_embeddings(folder, "prefix")
    depth, heads, width = prefix.shape(model.config)
    if flat.ndim != 2 or flat.shape[0] == 0 or flat.shape[1] != depth * heads * width:
        raise BadInput(
            f"{folder}: prompt_embeddings has shape {list(flat.shape)}, but this model needs"
            f" [n, {depth * heads * width}]: keys and values of {depth // 2} layers x {heads} heads x {width}"
        )
    prompt, unfold = _direct(flat.view(-1, depth, heads, width).permute(1, 2, 0, 3))
    return prefix.install(model, prompt, unfold, len(flat), trainable=trainable).train(trainable)


def _direct(start: Any) -> tuple[Any, prefix.Unfold]:
    """A parameter for each layer's keys and each layer's values, from [2 layers, kv_heads, n, head_dim]."""
    from torch import nn

    parts = nn.ParameterList([nn.Parameter(part.detach().float().clone().contiguous()) for part in start])
    return parts, lambda decoder: list(decoder.prompt_encoder)


def _reencoded(start: Any, hidden: int, inner: int, seed: int) -> tuple[Any, prefix.Unfold]:
    """The prefix encoder (hidden, inner, keys and values), drawn by `seed`, over a [2 layers, kv_heads, n, width]."""
    from torch import nn

    depth, heads, length, width = start.shape
    with prefix.drawn(seed):
        embedding, last = nn.Embedding(length, hidden), nn.Linear(inner, depth * heads * width)
        mlp = nn.Sequential(nn.Linear(hidden, inner), nn.Tanh(), last)
    nn.init.zeros_(last.weight)
    nn.init.zeros_(last.bias)
    prompt = nn.ModuleDict({"embedding": embedding, "mlp": mlp})
    prompt.register_buffer("start", start.detach().clone())
    return prompt, lambda decoder: _encode(decoder.prompt_encoder)


def _encode(prompt: Any) -> Sequence[Any]:
    """start + MLP(embedding), in fp32 whatever surrounds it, as it will be saved."""
    import torch

    depth, heads, length, width = prompt.start.shape
    with torch.autocast(prompt.start.device.type, enabled=False):
        moved = prompt["mlp"](prompt["embedding"].weight).view(length, depth, heads, width)
        parts: Sequence[Any] = (prompt.start + moved.permute(1, 2, 0, 3)).unbind()
    return parts
