"""The last decoder layer, where its states are asked for and nowhere else.

Of the other tokens a token's last state needs the keys and values alone. The query, the output projection and the MLP
answer for one token each: run at the places asked for they make the same states there and the same gradients, and the
rest of the layer's work is not done. Training asks for the places whose next token is a target: one in four of a row
of long prompts and short answers, which in a body of eight layers saves a fourteenth of the step, and of 28 a fiftieth.
A prompt that is only read, for what comes behind it, is asked for nothing.

The attention of the layer is handed the places, and hooks carry them on to the layer's parts. The layer itself has no
hook: checkpointing runs what is inside of a layer again, and what stands around it once.
"""

from __future__ import annotations

from typing import Any

ALONE = ("self_attn.q_proj", "self_attn.o_proj", "mlp")  # parts of a layer that answer for each token by itself


class Asked:
    """Hooks of one layer's parts, and what its attention was handed: places [asked] of the flattened tokens."""

    def __init__(self) -> None:
        self.places: Any = None  # all
        self.shape: Any = None  # of the tokens that a part was given: rows and length

    def begin(self, _attention: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[tuple[Any, ...], Any]:
        self.places = kwargs.pop("asked", None)
        return args, kwargs

    def take(self, _part: Any, args: tuple[Any, ...]) -> tuple[Any, ...]:
        if self.places is None:
            return args
        self.shape = args[0].shape[:-1]
        return (args[0].flatten(0, 1)[self.places], *args[1:])

    def give(self, _part: Any, _args: Any, output: Any) -> Any:
        """[asked, width] -> [rows, length, width], zeros where nothing was asked."""
        if self.places is None:
            return output
        whole = output.new_zeros(self.shape.numel(), output.shape[-1])
        return whole.index_copy(0, self.places, output).unflatten(0, self.shape)


def narrow(model: Any) -> None:
    """Let the decoder of a transformers causal model take `asked`, [asked] places in the flattened ids.

    Elsewhere the states are then wrong, and must not be used. A model that is narrowed already is left as it is.
    """
    layer, asked = model.get_decoder().layers[-1], Asked()
    if any(isinstance(getattr(hook, "__self__", None), Asked) for hook in layer.self_attn._forward_pre_hooks.values()):
        return
    layer.self_attn.register_forward_pre_hook(asked.begin, with_kwargs=True)
    for name in ALONE:
        part = layer.get_submodule(name)
        part.register_forward_pre_hook(asked.take)
        part.register_forward_hook(asked.give)
