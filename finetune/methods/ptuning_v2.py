"""P-Tuning v2 (Liu et al. 2021, arXiv 2110.07602): a trained key/value prefix inside every attention layer.

The prefix lives in the layer as two parameters, `prefix_key` and `prefix_value`, each [kv_heads, n, head_dim], which a
registered attention function joins to the layer's keys and values. PEFT feeds it as a cache instead, and so cannot
checkpoint gradients and leaks between packed rows; here both work, and `generate` and any cache see no prefix at all.
Tokens stand at positions n, n+1, ...: the prefix holds 0..n-1, its keys already rotated, as they lie in a cache.
With reentrant gradient checkpointing call `model.enable_input_require_grads()`, as for any frozen base.
"""

from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from finetune.methods.lora import refuse_second
from finetune.mistakes import BadInput

MARKS = (".prefix_key", ".prefix_value")  # in the name of a parameter: it is the adapter's
PROVEN = ("llama", "qwen2", "qwen3")  # softmax attention in every layer, through transformers' attention interface

INIT_TEXT = (
    "下面是金融问题，请准确作答。Answer these questions about finance exactly, in the form that is asked for. "
    "新闻、合约、价格与财报，逐条细读。News, contracts, prices and reports: read each with care. "
    "只依据事实，不编造数字。Keep to the facts and make up no numbers.\n"
)


class PTuningV2(BaseModel):
    """Knobs of P-Tuning v2."""

    model_config = ConfigDict(frozen=True, extra="forbid")
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
    learning_rate: float = Field(
        5e-3, gt=0, description="100 times full tuning's or more, up to 3e-2; lower hardly moves, higher is unsteady"
    )

    def check(self, config: Any) -> None:
        """BadInput says why a prefix cannot live in this architecture (transformers configuration)."""
        _refuse_architecture(config)
        if self.virtual_tokens >= config.max_position_embeddings:
            raise BadInput(
                f"virtual_tokens: {self.virtual_tokens} leaves no position for a text;"
                f" {config.model_type} here has {config.max_position_embeddings}"
            )

    def attach(self, model: Any, *, tokenizer: Any, seed: int) -> Any:
        """The same `model`, frozen, with a trainable fp32 prefix in each layer; `seed` matters for init: random only.

        `tokenizer` is a tokenizers.Tokenizer. BadInput on an architecture refused, or a model with an adapter.
        """
        refuse_second(model)
        self.check(model.config)
        start = self._text_start(model, tokenizer) if self.init == "text" else self._random_start(model, seed)
        return _install(model, start, trainable=True)

    def save(self, model: Any, folder: Path, *, base: str) -> None:
        """Write PEFT's two files into `folder`, as its prefix tuning would; the same prefix gives the same bytes."""
        from peft import PrefixTuningConfig
        from safetensors.torch import save_file

        prefix = _read_out(model)
        depth, heads, length, width = prefix.shape
        PrefixTuningConfig(
            task_type="CAUSAL_LM",
            num_virtual_tokens=length,
            token_dim=heads * width,
            num_transformer_submodules=1,
            num_attention_heads=heads,
            num_layers=depth // 2,
            inference_mode=True,
            base_model_name_or_path=base,
        ).save_pretrained(str(folder))
        flat = prefix.permute(2, 0, 1, 3).reshape(length, -1).contiguous()
        save_file({"prompt_embeddings": flat}, folder / "adapter_model.safetensors", metadata={"format": "pt"})

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

        depth, heads, width = _shape(model)
        shape = (depth, heads, self.virtual_tokens, width)
        return torch.randn(shape, generator=torch.Generator().manual_seed(seed)) * model.config.initializer_range


def load(model: Any, folder: Path, *, trainable: bool = False) -> Any:
    """The same `model` with the prefix of `folder`, in fp32. BadInput names what does not fit.

    PEFT saves the prefix as it ends up, also one trained through a projection: [n, layers * 2 * kv_heads * head_dim].
    """
    from safetensors.torch import load_file

    refuse_second(model)
    _refuse_architecture(model.config)
    tensors = load_file(folder / "adapter_model.safetensors")
    if set(tensors) != {"prompt_embeddings"}:
        raise BadInput(f"{folder}: holds {', '.join(sorted(tensors))}; a prefix is prompt_embeddings alone")
    flat = tensors["prompt_embeddings"]
    depth, heads, width = _shape(model)
    if flat.ndim != 2 or flat.shape[0] == 0 or flat.shape[1] != depth * heads * width:
        raise BadInput(
            f"{folder}: prompt_embeddings has shape {list(flat.shape)}, but this model needs"
            f" [n, {depth * heads * width}]: keys and values of {depth // 2} layers x {heads} heads x {width}"
        )
    prefix = flat.view(-1, depth, heads, width).permute(1, 2, 0, 3)
    return _install(model, prefix, trainable=trainable).train(trainable)


def _refuse_architecture(config: Any) -> None:
    for layer, kind in enumerate(getattr(config, "layer_types", None) or ()):
        if kind != "full_attention":
            raise BadInput(
                f"ptuning_v2: layer {layer} of {config.model_type} is {kind}; a prefix needs softmax attention over all"
                " positions in every layer; use lora"
            )
    if config.model_type not in PROVEN:
        raise BadInput(
            f"ptuning_v2: {config.model_type} is not among the architectures where the prefix is proven to reach every"
            f" attention layer ({', '.join(PROVEN)}); use lora"
        )


def _shape(model: Any) -> tuple[int, int, int]:
    """(2 * layers, kv_heads, head_dim) of a model's keys and values."""
    config = model.config
    width = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    return 2 * config.num_hidden_layers, config.num_key_value_heads, width


def _install(model: Any, prefix: Any, *, trainable: bool) -> Any:
    """Freeze the model, give each layer its [kv_heads, n, head_dim] pair, and route attention through the join."""
    import torch

    model.requires_grad_(False)
    for index, layer in enumerate(model.base_model.layers):
        attention = layer.self_attn
        for name, part in (("prefix_key", prefix[2 * index]), ("prefix_value", prefix[2 * index + 1])):
            own = part.detach().to(attention.k_proj.weight.device, torch.float32, copy=True).contiguous()
            attention.register_parameter(name, torch.nn.Parameter(own, requires_grad=trainable))
    model.set_attn_implementation(_register(prefix.shape[2]))
    model.base_model.register_forward_pre_hook(_shift_positions, with_kwargs=True)
    return model


def _read_out(model: Any) -> Any:
    """The whole prefix on the CPU: [2 * layers, kv_heads, n, head_dim], a layer's keys before its values."""
    import torch

    layers = [layer.self_attn for layer in model.base_model.layers]
    parts = [part for layer in layers for part in (layer.prefix_key, layer.prefix_value)]
    return torch.stack([part.detach().cpu() for part in parts])


def _register(length: int) -> str:
    """Name of the attention that joins a prefix of `length`, known to transformers from now on.

    The mask is made once a forward, in the dtype of attention, with the prefix's columns open to every query (so no
    row of it is empty); transformers' shortcut of no mask at all would shut them, or leave causality to a wrong corner.
    """
    import torch
    from torch.nn.functional import pad
    from transformers import AttentionInterface, AttentionMaskInterface
    from transformers.integrations.sdpa_attention import sdpa_attention_forward
    from transformers.masking_utils import eager_mask

    def mask(*args: Any, **kwargs: Any) -> Any:
        return pad(eager_mask(*args, **kwargs), (length, 0))

    def attend(layer: Any, query: Any, key: Any, value: Any, attention_mask: Any, **kwargs: Any) -> Any:
        """query [batch, heads, L, width]; key and value [batch, kv_heads, S, width]; mask [batch or 1, 1, L, n + S]."""
        rows = (len(key), -1, -1, -1)
        key = torch.cat([layer.prefix_key.to(key.dtype).expand(rows), key], dim=2)
        value = torch.cat([layer.prefix_value.to(value.dtype).expand(rows), value], dim=2)
        if attention_mask.shape[-1] < key.shape[2]:  # a caller's own 4-D mask, which knows of no prefix
            attention_mask = pad(attention_mask, (length, 0), value=attention_mask.dtype == torch.bool)
        return sdpa_attention_forward(layer, query, key, value, attention_mask, **kwargs)

    name = f"prefix_{length}"
    AttentionInterface.register(name, attend)
    AttentionMaskInterface.register(name, mask)
    return name


def _shift_positions(decoder: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
    """Before the decoder runs: positions as given, else from the attention mask, else from the cache; plus n.

    Without the mask's own positions a left-padded row stands too far from the prefix (by 0.05 to 0.48 in the logits).
    RuntimeError when another attention was set since: the prefix would be dropped without a word.
    """
    import torch

    length = decoder.layers[0].self_attn.prefix_key.shape[1]
    if decoder.config._attn_implementation != f"prefix_{length}":
        raise RuntimeError(f"attention is now {decoder.config._attn_implementation}, which drops the trained prefix")
    positions, seen = kwargs.get("position_ids"), kwargs.get("attention_mask")
    tokens = kwargs["input_ids"] if kwargs.get("input_ids") is not None else kwargs["inputs_embeds"]
    if positions is None and torch.is_tensor(seen) and seen.ndim == 2:
        positions = (seen.long().cumsum(1) - 1).clamp(min=0)[:, -tokens.shape[1] :]
    elif positions is None:
        cache = kwargs.get("past_key_values")
        start = 0 if cache is None else cache.get_seq_length()
        positions = torch.arange(tokens.shape[1], device=tokens.device)[None] + start
    return args, {**kwargs, "position_ids": positions + length}
