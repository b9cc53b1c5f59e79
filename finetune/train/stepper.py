"""From gradients to the next weights, each process with all of them: summed over the processes, clipped, stepped.

`finetune.train.zero.Zero` has the same methods, over DeepSpeed's engine.
"""

from __future__ import annotations

from typing import Any

import torch

from finetune.methods import adapter_parameters, restore
from finetune.recipe import Train
from finetune.train import optimizer
from finetune.train.loss import sheet_loss
from finetune.train.masters import Masters
from finetune.train.packing import Sheet
from finetune.train.savepoint import Tensors
from finetune.world import World


class Stepper:
    """Steps what is trained in `model`, which stands on the world's device."""

    def __init__(self, model: Any, knobs: Train, rate: float, world: World, *, masters: bool) -> None:
        """`masters`: trained weights in half precision are stepped as float32 copies."""
        self.model, self.world, self.clip = model, world, knobs.clip
        self.masters = Masters(adapter_parameters(model), copies=masters)
        self.parameters = list(self.masters.stepped.values())
        self.optimizer = optimizer.build(self.masters.stepped, knobs, rate)

    def loss(self, sheet: Sheet) -> torch.Tensor:
        """Sum of the cross entropy over a sheet's targets, nats."""
        return sheet_loss(self.model, sheet, self.world.device)

    def backward(self, loss: torch.Tensor, *, last: bool) -> None:
        """Add the gradients of a share of the step's loss; `last`: this process has no other in this step."""
        self.world.accelerator.backward(loss)

    def total(self, losses: torch.Tensor) -> torch.Tensor:
        """The losses of all processes, once their gradients are summed on each."""
        flat = [torch.zeros_like(p) if p.grad is None else p.grad for p in self.parameters]
        *flat, losses = self.world.totals([*flat, losses])
        for parameter, grad in zip(self.parameters, flat, strict=True):
            parameter.grad = grad
        return losses

    def step(self, rate: float) -> float:
        """Clip, step at that learning rate, forget the gradients; their norm before it was clipped."""
        norm = float(torch.nn.utils.clip_grad_norm_(self.parameters, self.clip))
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        self.optimizer.step()
        self.optimizer.zero_grad()
        self.masters.give()
        return norm

    def weights(self) -> Tensors:
        """A copy on the processor of what is trained, which `put` puts back."""
        return {name: own.detach().cpu().clone() for name, own in self.masters.weights.items()}

    def put(self, weights: Tensors) -> None:
        restore(self.model, weights)

    def state(self) -> tuple[Tensors, Tensors]:
        """What a checkpoint holds: the stepped weights, and the optimizer's means of their gradients."""
        return self.masters.stepped, optimizer.tensors(self.optimizer, self.masters.stepped)

    def take(self, weights: Tensors, means: Tensors) -> None:
        """Put back what `state` gave, bit for bit, before the first step."""
        restore(self.model, weights)
        self.masters.take(weights)
        optimizer.restore(self.optimizer, self.masters.stepped, means)

    def release(self) -> None:
        """Let the model go: it will not be trained further, and is about to be read."""
