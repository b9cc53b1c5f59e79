"""The steps of `finetune.train.stepper` taken by DeepSpeed's engine (Rajbhandari et al. 2019, arXiv 1910.02054).

ZeRO-2 splits gradients and optimizer state over the processes, ZeRO-3 the weights too. Of these the trained ones stay
whole on each process, as the engine keeps small ones and FSDP here all of an adapter: so it is saved as on one device,
and a method may read its own parameters outside of a layer's forward. All processes go through every forward and
backward together, for the engine sums gradients as they come.

What a checkpoint holds are the engine's flat float32 parts and torch's AdamW state of each, one row a process: exact,
without a pickle, and good for the same stage and number of processes alone, which is what going on needs anyway.
"""

from __future__ import annotations

import logging
import warnings
from typing import Any

import torch

from finetune.methods import adapter_parameters
from finetune.recipe import Train
from finetune.train import optimizer
from finetune.train.loss import sheet_loss
from finetune.train.packing import Sheet
from finetune.train.savepoint import Tensors
from finetune.world import World

BUCKET = 1 << 24  # numbers summed at once: 64 MB a bucket, far above an adapter's largest tensor
SMALL = 10  # times the width: weights of the base that stay whole too (norms, biases), as transformers' Trainer has it

# Said at every step by torch 2.13 of what DeepSpeed calls: not the user's to mend, and it hides the lines that matter.
RENAMED = r"`torch\.distributed\.(all_gather_into_tensor|reduce_scatter_tensor)` is deprecated"


class Lesson(torch.nn.Module):
    """A model whose forward is the loss of a sheet: the engine gathers split weights from the root's forward on."""

    def __init__(self, model: Any, device: torch.device) -> None:
        super().__init__()
        self.model, self.device = model, device

    def forward(self, sheet: Sheet) -> torch.Tensor:
        return sheet_loss(self.model, sheet, self.device)


class Zero:
    """Steps what is trained in `model`, whose frozen weights the engine moves to the device. See `Stepper`."""

    def __init__(self, model: Any, knobs: Train, rate: float, world: World, idle: Sheet) -> None:
        """`idle` is a sheet for passes that count nothing."""
        import deepspeed

        logging.getLogger("DeepSpeed").setLevel(logging.ERROR)
        warnings.filterwarnings("ignore", RENAMED, FutureWarning)
        self.world, self.idle = world, idle
        own = adapter_parameters(model)
        config = _config(world.zero, knobs.clip, SMALL * model.config.hidden_size)
        lesson = Lesson(model, world.device)
        if world.zero == 3:  # the engine by itself would bring all weights to the device first
            deepspeed.zero.Init(module=lesson, config_dict_or_path=config)
            for buffer in lesson.buffers():
                buffer.data = buffer.data.to(world.device)
        self.base = optimizer.build(own, knobs, rate)
        self.engine: Any = deepspeed.initialize(model=lesson, optimizer=self.base, config=config)[0]
        self.whole: list[Any] = []
        if world.zero == 3:
            self.whole = self.engine.optimizer.persistent_parameters
            for tensor in own.values():
                if not tensor.ds_persist:
                    tensor.ds_persist = True
                    self.whole.append(tensor)
        self._gather()

    def loss(self, sheet: Sheet) -> torch.Tensor:
        found: torch.Tensor = self.engine(sheet)
        return found

    def backward(self, loss: torch.Tensor, *, last: bool) -> None:
        self.engine.set_gradient_accumulation_boundary(last)
        self.engine.backward(loss * self.world.size)  # of which it takes the mean over the processes

    def total(self, losses: torch.Tensor) -> torch.Tensor:
        return self.world.total(losses)

    def step(self, rate: float) -> float:
        for group in self.base.param_groups:
            group["lr"] = rate
        self.engine.step()
        return float(self.engine.get_global_grad_norm())

    def weights(self) -> Tensors:
        """Every process's flat parts of the trained weights, float32: [processes, numbers] each."""
        return {str(index): self._all(part) for index, part in enumerate(self.base.state)}

    def put(self, weights: Tensors) -> None:
        """The parts of this process back, and through a step at rate 0 into the model of all of them."""
        for index, part in enumerate(self.base.state):
            part.data.copy_(self._mine(weights[str(index)]))
        self._idle_step()

    def state(self) -> tuple[Tensors, Tensors]:
        means = {
            f"{slot}/{index}": self._all(torch.as_tensor(value, dtype=torch.float32))
            for index, slots in enumerate(self.base.state.values())
            for slot, value in slots.items()
        }
        return self.weights(), means

    def take(self, weights: Tensors, means: Tensors) -> None:
        self._idle_step()  # which makes the state that is about to be filled
        self.put(weights)
        for index, slots in enumerate(self.base.state.values()):
            for slot, value in slots.items():
                value.copy_(self._mine(means[f"{slot}/{index}"]).view_as(value))

    def release(self) -> None:
        """Take the engine's hooks off: what follows is not done by all processes together. The adapter stays whole."""
        self.engine.destroy()
        self._gather()

    def _gather(self) -> None:
        """What shall stay whole on each process; the engine lets go of it where it first learns the order of layers."""
        if self.whole:
            self.whole[0].all_gather(self.whole)

    def _idle_step(self) -> None:
        """With a gradient of zero, at rate 0: no weight moves, and the engine spreads its parts over the processes."""
        self.backward(0.0 * self.loss(self.idle), last=True)
        self.step(0.0)

    def _all(self, part: torch.Tensor) -> torch.Tensor:
        rows: torch.Tensor = self.world.accelerator.gather(part.detach().to(self.world.device).reshape(1, -1))
        return rows.cpu()

    def _mine(self, rows: torch.Tensor) -> torch.Tensor:
        return rows[self.world.accelerator.process_index]


def _config(stage: int, clip: float, small: int) -> dict[str, Any]:
    """DeepSpeed's own words. Steps are counted by us: a step has as many passes as its rows need."""
    split = {"stage": stage, "overlap_comm": False, "reduce_bucket_size": BUCKET}
    if stage == 3:
        split |= {"stage3_param_persistence_threshold": small}
    return {
        "train_micro_batch_size_per_gpu": 1,
        "gradient_accumulation_steps": 1,
        "gradient_clipping": clip,
        "zero_allow_untested_optimizer": True,
        "steps_per_print": 10**9,
        "zero_optimization": split,
    }
