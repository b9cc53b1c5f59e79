"""What the optimizer steps: the trained parameters, or float32 copies of those that are kept in half precision.

A weight in bfloat16 has 8 bits: an update below 1/256 of it is lost in the addition (Micikevicius et al. 2017, arXiv
1710.03740, 3.1). So each such weight gets a float32 copy; gradients are gathered on the copy as soon as backward has
made them, the optimizer steps the copy, and the weight is the copy rounded.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch.nn import Parameter


class Masters:
    """`weights` are the model's trained parameters by name, `stepped` what the optimizer steps in their place: the same
    tensor where no copy is needed."""

    def __init__(self, weights: Mapping[str, Parameter], *, copies: bool) -> None:
        self.weights = weights
        self.stepped: dict[str, torch.Tensor] = {
            name: own.detach().float().requires_grad_() if copies and _half(own) else own
            for name, own in weights.items()
        }
        for own, master in self._copied():
            own.register_post_accumulate_grad_hook(lambda weight, master=master: _hand_over(weight, master))

    def give(self) -> None:
        """Round the stepped copies into the weights that the model computes with."""
        with torch.no_grad():
            for own, master in self._copied():
                own.copy_(master)

    def take(self, saved: Mapping[str, torch.Tensor]) -> None:
        """Put saved values of `stepped` back, and what follows from them into the model."""
        with torch.no_grad():
            for name, master in self.stepped.items():
                master.copy_(saved[name])
        self.give()

    def _copied(self) -> list[tuple[Parameter, torch.Tensor]]:
        pairs = ((own, self.stepped[name]) for name, own in self.weights.items())
        return [(own, master) for own, master in pairs if master is not own]


def _half(parameter: Parameter) -> bool:
    return parameter.dtype in (torch.bfloat16, torch.float16)


def _hand_over(parameter: Parameter, master: torch.Tensor) -> None:
    """A fresh gradient onto the copy, summed in float32 over the forward passes of a step; the weight keeps none."""
    assert parameter.grad is not None, "called after a gradient was made"
    gradient = parameter.grad.float()
    master.grad = gradient if master.grad is None else master.grad.add_(gradient)
    parameter.grad = None
