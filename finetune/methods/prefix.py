"""A trained prefix in front of every text: keys and values that a registered attention joins to those of each layer.

What is trained lies in one module beside the decoder's layers (`prompt_encoder`); a function of the method makes keys
and values of it before each forward, and they travel to the layers as an argument. Nothing is kept in a cache, so
gradient checkpointing, packed rows, `generate` with any cache, and a base whose weights are split work as without it.
Tokens stand at positions n, n+1, ...: the prefix holds 0..n-1, its keys already rotated, as they lie in a cache.
PEFT feeds a prefix as a cache instead, and so cannot checkpoint gradients and leaks between packed rows.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from pydantic import BaseModel, Field

from finetune import segments
from finetune.methods.search import FROZEN, Rates, Sizes
from finetune.mistakes import BadInput

MARKS = (".prompt_encoder.",)  # in the name of a parameter: it is the adapter's
PROVEN = ("llama", "qwen2", "qwen3")  # softmax attention in every layer, through transformers' attention interface

Unfold = Callable[[Any], Sequence[Any]]  # decoder -> key, value of layer 0, key, value of 1 ...: [kv_heads, n, width]


class PromptSearch(BaseModel):
    """Values to be tried of a trained prompt's knobs."""

    model_config = FROZEN
    learning_rate: Rates = Field((), description="Prompts are touchy here: a factor 3 apart, over 1 to 30 times")
    virtual_tokens: Sizes = Field((), description="Length: 8 to 128, a factor 2 or 4 apart")


def check(kind: str, virtual_tokens: int, config: Any) -> None:
    """BadInput says why a prefix cannot live in this architecture (transformers configuration)."""
    refuse_architecture(kind, config)
    if virtual_tokens >= config.max_position_embeddings:
        raise BadInput(
            f"virtual_tokens: {virtual_tokens} leaves no position for a text;"
            f" {config.model_type} here has {config.max_position_embeddings}"
        )


def refuse_architecture(kind: str, config: Any) -> None:
    """BadInput unless every layer is softmax attention over all positions, and the prefix is proven to reach it."""
    for layer, found in enumerate(getattr(config, "layer_types", None) or ()):
        if found != "full_attention":
            raise BadInput(
                f"{kind}: layer {layer} of {config.model_type} is {found}; a prefix needs softmax attention over all"
                " positions in every layer; use lora"
            )
    if config.model_type not in PROVEN:
        raise BadInput(
            f"{kind}: {config.model_type} is not among the architectures where the prefix is proven to reach every"
            f" attention layer ({', '.join(PROVEN)}); use lora"
        )


def shape(config: Any) -> tuple[int, int, int]:
    """(2 * layers, kv_heads, head_dim) of a model's keys and values."""
    width = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    return 2 * config.num_hidden_layers, config.num_key_value_heads, width


def install(model: Any, prompt: Any, unfold: Unfold, length: int, *, trainable: bool) -> Any:
    """Freeze `model`, put the module `prompt` into it (fp32), and let `unfold` make a prefix of `length` out of it."""
    model.requires_grad_(False)
    model.base_model.prompt_encoder = prompt.to(model.device).requires_grad_(trainable).train(model.training)
    model.set_attn_implementation(_register(length))
    model.base_model.register_forward_pre_hook(partial(_join, unfold=unfold, length=length), with_kwargs=True)
    return model


@contextmanager
def drawn(seed: int) -> Iterator[None]:
    """Modules made within are drawn by `seed`, on the processor; the global random state is put back after."""
    import torch

    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        yield


def prompt_embeddings(folder: Path, kind: str) -> Any:
    """The one tensor [n, width] of an adapter folder of PEFT's prompt methods. BadInput when it holds another."""
    from safetensors.torch import load_file

    tensors = load_file(folder / "adapter_model.safetensors")
    if set(tensors) != {"prompt_embeddings"}:
        raise BadInput(f"{folder}: holds {', '.join(sorted(tensors))}; a {kind} is prompt_embeddings alone")
    return tensors["prompt_embeddings"].float()


def write(folder: Path, config: Any, embeddings: Any) -> None:
    """PEFT's two files; the same tensor [n, width] gives the same bytes."""
    from safetensors.torch import save_file

    config.save_pretrained(str(folder))
    whole = {"prompt_embeddings": embeddings.detach().cpu().contiguous()}
    save_file(whole, folder / "adapter_model.safetensors", metadata={"format": "pt"})


def _register(length: int) -> str:
    """Name of the attention that joins a prefix of `length`, known to transformers from now on."""
    from transformers import AttentionInterface, AttentionMaskInterface

    name = f"prefix_{length}"
    AttentionInterface.register(name, partial(_attend, length))
    AttentionMaskInterface.register(name, partial(_mask, length))
    return name


def _mask(length: int, *args: Any, **kwargs: Any) -> Any:
    """Made once a forward, in the dtype of attention, with the prefix's columns open to every query (so no row of it is
    empty); transformers' shortcut of no mask at all would shut them, or leave causality to a wrong corner."""
    from torch.nn.functional import pad
    from transformers.masking_utils import eager_mask

    return pad(eager_mask(*args, **kwargs), (length, 0))


def _attend(
    length: int, layer: Any, query: Any, key: Any, value: Any, attention_mask: Any, *, prefix: Any, **kwargs: Any
) -> Any:
    """query [batch, heads, L, width]; key and value [batch, kv_heads, S, width]; mask [batch or 1, 1, L, n + S]."""
    import torch
    from torch.nn.functional import pad
    from transformers.integrations.sdpa_attention import sdpa_attention_forward

    if not prefix:  # the virtual tokens themselves, see `run`
        return sdpa_attention_forward(layer, query, key, value, attention_mask[..., length:], **kwargs)
    place, packed = 2 * layer.layer_idx, kwargs.pop("segments", None)
    mine = prefix[place : place + 2]
    if packed is not None:
        return _attend_packed(length, layer, (query, key, value), mine, packed, **kwargs)
    key, value = _joined(mine, key, value)
    if attention_mask.shape[-1] < key.shape[2]:  # a caller's own 4-D mask, which knows of no prefix
        attention_mask = pad(attention_mask, (length, 0), value=attention_mask.dtype == torch.bool)
    return sdpa_attention_forward(layer, query, key, value, attention_mask, **kwargs)


def _attend_packed(
    length: int, layer: Any, row: tuple[Any, Any, Any], mine: Sequence[Any], packed: Any, **kwargs: Any
) -> Any:
    """Each text of the one row [1, heads, T, width] behind a prefix of its own, `mine` [kv_heads, n, width]."""
    if varlen := segments.in_place(row[0], **kwargs):
        query, key, value = (part[0].transpose(0, 1) for part in row)
        heads = [part.to(key.dtype).transpose(0, 1) for part in mine]
        key, value = (_before_each(*pair, packed.lengths) for pair in zip(heads, (key, value), strict=True))
        return varlen(query, key, value, packed.lengths, length)

    def alone(query: Any, key: Any, value: Any) -> Any:
        return segments.softmax(layer, query, *_joined(mine, key, value), ahead=length, **kwargs)

    return segments.each(packed, row, alone)


def _joined(mine: Sequence[Any], key: Any, value: Any) -> tuple[Any, Any]:
    """Keys and values [batch, kv_heads, S, width] behind a layer's prefix: [batch, kv_heads, n + S, width]."""
    import torch

    before = [part.to(key.dtype).expand(len(key), -1, -1, -1) for part in mine]
    return torch.cat([before[0], key], dim=2), torch.cat([before[1], value], dim=2)


def _before_each(prefix: Any, row: Any, lengths: Sequence[int]) -> Any:
    """`prefix` [n, kv_heads, width] before each text of `row` [T, kv_heads, width]: [T + n * texts, kv_heads, width].

    Each copy of it is one row of an expanded tensor, whose gradient is one sum, and not texts' worth of additions in
    half precision.
    """
    import torch

    copies = prefix.expand(len(lengths), *prefix.shape)
    return torch.cat([part for pair in zip(copies.unbind(), row.split(list(lengths)), strict=True) for part in pair])


def _join(
    decoder: Any, args: tuple[Any, ...], kwargs: dict[str, Any], unfold: Unfold, length: int
) -> tuple[Any, dict[str, Any]]:
    """Before the decoder runs: the prefix for its layers, and positions that leave room for it.

    RuntimeError when another attention was set since: the prefix would be dropped without a word.
    """
    if decoder.config._attn_implementation != f"prefix_{length}":
        raise RuntimeError(f"attention is now {decoder.config._attn_implementation}, which drops the trained prefix")
    made = {"position_ids": _positions(kwargs) + length, "prefix": tuple(_made(decoder, unfold))}
    if "segments" in kwargs:  # a mask of four dimensions is passed on as it is: none of the row's square is made
        made["attention_mask"] = made["position_ids"].new_zeros(1, 1, 1, 1)
    return args, {**kwargs, **made}


def _positions(kwargs: dict[str, Any]) -> Any:
    """Of the text's tokens: as given, else from the attention mask, else from the cache.

    Without the mask's own positions a left-padded row stands too far from the prefix (by 0.05 to 0.48 in the logits).
    """
    import torch

    positions, seen = kwargs.get("position_ids"), kwargs.get("attention_mask")
    if positions is not None:
        return positions
    tokens = kwargs["input_ids"] if kwargs.get("input_ids") is not None else kwargs["inputs_embeds"]
    if torch.is_tensor(seen) and seen.ndim == 2:
        return (seen.long().cumsum(1) - 1).clamp(min=0)[:, -tokens.shape[1] :]
    cache = kwargs.get("past_key_values")
    start = 0 if cache is None else cache.get_seq_length()
    return torch.arange(tokens.shape[1], device=tokens.device)[None] + start


def _made(decoder: Any, unfold: Unfold) -> Sequence[Any]:
    """The prefix as it is now. One that is not being trained is made once, and again when its weights have changed."""
    import torch

    own = list(decoder.prompt_encoder.parameters())
    if torch.is_grad_enabled() and any(tensor.requires_grad for tensor in own):
        decoder.prefix_kept = None
        return unfold(decoder)
    read = (*own, decoder.embed_tokens.weight)
    weights = [(tensor.data_ptr(), tensor._version, tensor.dtype, tensor.device) for tensor in read]
    state = (weights, torch.is_autocast_enabled(own[0].device.type), decoder.training)
    kept = getattr(decoder, "prefix_kept", None)
    if kept is None or kept[0] != state:
        with torch.inference_mode(False), torch.no_grad():  # so that it may serve any forward that follows
            decoder.prefix_kept = kept = (state, unfold(decoder))
    return kept[1]


def run(decoder: Any, embeddings: Any) -> Sequence[Any]:
    """Keys and values, as `Unfold` gives them, that virtual tokens [n, hidden] leave in each layer of the model.

    They stand before every text, and attention looks back only: no text changes them, so this is exactly what a model
    computes that is given them in front of its input. Gradients flow through the frozen layers to the embeddings.
    """
    from transformers import DynamicCache

    cache: Any = DynamicCache(config=decoder.config)
    rows = embeddings.to(decoder.embed_tokens.weight.dtype)[None]
    checkpointed = [layer for layer in decoder.layers if layer.gradient_checkpointing]
    for layer in checkpointed:  # it would take the cache away; n tokens are few
        layer.gradient_checkpointing = False
    try:  # not decoder(...), before which this very function is called
        last = decoder.forward(inputs_embeds=rows, past_key_values=cache, use_cache=True, prefix=()).last_hidden_state
    finally:
        for layer in checkpointed:
            layer.gradient_checkpointing = True
    parts = [part[0] for layer in cache.layers for part in (layer.keys, layer.values)]
    # Nothing else follows from the last layer's output, and with it out of the graph a layer whose weights are split
    # would not gather them for its backward pass.
    return [*parts[:-1], parts[-1] + 0.0 * last.sum()]
