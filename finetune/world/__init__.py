"""The processes of a run: how many there should be, who does what, and sums over all of them.

Every process holds the whole adapter and adds its share of a step's gradient to one sum, so two processes do what one
does. Under FSDP only the frozen base is split; the adapter stays whole: saved, clipped and reloaded as on one device.
Under DeepSpeed its engine sums, clips and steps (`finetune.train.zero`); here it is only joined.
"""

from __future__ import annotations

import importlib.util
import json
import logging
import math
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import accumulate, groupby
from pathlib import Path
from typing import Any, TypeVar

import torch
from accelerate import Accelerator
from accelerate.utils import DistributedType, broadcast, is_bf16_available
from safetensors import SafetensorError

from finetune.collector import paused
from finetune.launch import Launch
from finetune.methods.lora import causal
from finetune.mistakes import BadInput
from finetune.world.joining import join

T = TypeVar("T")
BUCKET = 1 << 26  # numbers summed over the processes at once: 256 MB, where a whole model's gradient has no room twice


@dataclass(frozen=True)
class World:
    """This process among its peers."""

    accelerator: Accelerator
    sharded: bool = False  # the frozen base is split over the processes: all must enter every forward together
    zero: int = 0  # DeepSpeed's stage; with any of them all must enter every backward together

    @classmethod
    def open(cls, launch: str | None, tracker: str | None, logs: Path) -> World:
        """Join the other processes. BadInput where they are not those of the launch file, or the tracker is missing."""
        promised = Launch.read(launch) if launch else None
        accelerator, zero = join(promised, tracker, logs), promised.zero if promised else 0
        return cls(accelerator, accelerator.distributed_type == DistributedType.FSDP or zero == 3, zero)

    @property
    def main(self) -> bool:
        return bool(self.accelerator.is_main_process)

    @property
    def size(self) -> int:
        return int(self.accelerator.num_processes)

    @property
    def device(self) -> torch.device:
        return self.accelerator.device

    @property
    def engine(self) -> str:
        """What takes the steps, as checkpoints name it: another one could not go on from them."""
        return f"DeepSpeed ZeRO-{self.zero}" if self.zero else "torch"

    def share(self, work: Sequence[T]) -> list[tuple[int, T, float]]:
        """(index, item, weight) of this process. Where all must go together, a short share repeats one at weight 0."""
        rank = self.accelerator.process_index
        mine = [(index, item, 1.0) for index, item in enumerate(work) if index % self.size == rank]
        if (self.sharded or self.zero) and len(mine) < -(-len(work) // self.size):
            mine.append((0, work[0], 0.0))
        return mine

    def total(self, values: torch.Tensor) -> torch.Tensor:
        """Sum of a tensor over all processes, on each of them."""
        if self.size == 1:
            return values
        return self.accelerator.reduce(values.to(self.device), reduction="sum")

    def totals(self, parts: Sequence[torch.Tensor]) -> list[torch.Tensor]:
        """Sums of tensors over all processes, each in its own dtype, sent in float32 and about BUCKET at a time."""
        if self.size == 1:
            return list(parts)
        found: list[torch.Tensor] = []
        ends = accumulate(part.numel() for part in parts)
        for _, group in groupby(zip(ends, parts, strict=True), key=lambda each: each[0] // BUCKET):
            bucket = [part for _, part in group]
            summed = self.total(torch.cat([part.flatten().float() for part in bucket]))
            pieces = zip(summed.split([part.numel() for part in bucket]), bucket, strict=True)
            found += [piece.view_as(part).to(part.dtype) for piece, part in pieces]
        return found

    def everywhere(self, number: int) -> list[int]:
        """What each process has for a number, by rank."""
        if self.size == 1:
            return [number]
        return list(self.accelerator.gather(torch.tensor([number], device=self.device)).tolist())

    def place(self, model: Any, adapter: Sequence[torch.nn.Parameter]) -> None:
        """Put a model with its adapter on the device; under FSDP the frozen weights of each layer are split.

        Under ZeRO-3 nothing is done: the engine splits the weights first and moves its parts.
        """
        if self.zero == 3:
            return
        if self.sharded:
            from torch.distributed.fsdp import fully_shard

            for parameter in adapter:
                parameter.data = parameter.data.to(self.device)
            for layer in causal(model).get_decoder().layers:
                fully_shard(layer, ignored_params=set(adapter))
        model.to(self.device)
        for parameter in adapter if self.size > 1 else ():
            parameter.data.copy_(broadcast(parameter.data))

    def dtype(self, asked: str) -> torch.dtype:
        """Of the frozen base, or of its sums where it stands in 4 bits: as asked, or bfloat16 where the device
        computes in it and float32 elsewhere.
        """
        if asked not in ("auto", "nf4"):
            return torch.bfloat16 if asked == "bfloat16" else torch.float32
        able = is_bf16_available() if self.device.type != "cpu" else _bf16_processor()
        return torch.bfloat16 if able else torch.float32

    def begin_peak(self) -> int:
        """Forget the peak so far; bytes that stand now. A processor's peak is forgotten on Linux only."""
        if self.device.type != "cpu":
            torch.accelerator.reset_peak_memory_stats()
            return int(torch.accelerator.memory_allocated())
        try:
            Path("/proc/self/clear_refs").write_text("5", "ascii")
            return int(Path("/proc/self/statm").read_text("ascii").split()[1]) * os.sysconf("SC_PAGESIZE")
        except OSError:
            return self._resident_peak()

    @staticmethod
    def _resident_peak() -> int:
        import resource

        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024

    def peak_memory(self) -> int:
        """Bytes at the peak, of the process that had most."""
        accelerated = self.device.type != "cpu"
        peak = torch.accelerator.max_memory_allocated() if accelerated else self._resident_peak()
        found = self.accelerator.gather(torch.tensor([peak], device=self.device))
        return int(found.max())

    def device_name(self) -> str:
        """As the device calls itself, where it does; else its kind."""
        kind = self.device.type
        module: Any = None if kind == "cpu" else torch.get_device_module(kind)
        return str(module.get_device_name()) if hasattr(module, "get_device_name") else kind


def _bf16_processor() -> bool:
    """Whether this processor multiplies bfloat16 itself; others emulate it, slower than float32."""
    found: dict[str, Any] = getattr(torch.cpu, "get_capabilities", dict)()
    return bool(found.get("avx512_bf16") or found.get("amx_bf16"))


def open_base(folder: Path, dtype: torch.dtype, *, four_bit: bool = False) -> Any:
    """A checkpoint as transformers model on the CPU. BadInput: broken, or without some of its weights.

    `four_bit`: its linear layers but the head in NF4 with double quantization (Dettmers et al. 2023), sums in `dtype`.
    """
    with paused():
        from transformers import AutoModelForCausalLM, modeling_utils  # noqa: F401 (loading would import the second)

    safely: dict[str, Any] = {"trust_remote_code": False, "use_safetensors": True, "local_files_only": True}
    safely["ignore_mismatched_sizes"] = True  # so that they are named below, and not in a trace
    if four_bit:
        safely["quantization_config"] = _nf4(dtype)
    read: Any = AutoModelForCausalLM.from_pretrained
    try:
        model, found = read(folder, dtype=dtype, output_loading_info=True, **safely)
    except (OSError, ValueError, KeyError, SafetensorError) as fault:
        reason = str(fault).partition("\n")[0]
        raise BadInput(f"checkpoint {folder}: cannot be loaded ({reason}); fetch it again") from None
    absent = sorted([*found["missing_keys"], *(name for name, *_ in found["mismatched_keys"])])
    if absent:  # transformers would draw them at random and only warn
        raise BadInput(f"checkpoint {folder}: no fitting weights for {', '.join(absent[:3])}; fetch it again")
    if four_bit:
        keep_layout(model)
    return model


def need_bitsandbytes(asked_by: str) -> None:
    """BadInput, naming what asks for it, where bitsandbytes is not installed."""
    if importlib.util.find_spec("bitsandbytes") is None:
        raise BadInput(f"{asked_by} needs bitsandbytes, which is missing; `pip install tuneworth[quantise]`")
    logging.getLogger("bitsandbytes").setLevel(logging.ERROR)  # it warns of optional kernels that nothing here needs


def _nf4(dtype: torch.dtype) -> Any:
    from transformers import BitsAndBytesConfig

    need_bitsandbytes("a base in 4 bits (nf4)")
    return BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=dtype,
    )


def said_dtype(dtype: torch.dtype, *, four_bit: bool, folder: Path | None = None) -> str:
    """As manifests have it: float32, bfloat16; `nf4 bfloat16` for weights in 4 bits and sums in bfloat16, and alike
    `awq bfloat16` for a checkpoint (`folder`) that is kept quantised."""
    kept = "nf4" if four_bit else _quantised(folder) if folder else ""
    return f"{kept} {dtype}".replace("torch.", "").lstrip()


def _quantised(folder: Path) -> str:
    """How a checkpoint's weights are quantised, as its config.json has it; empty where they are not."""
    found = json.loads((folder / "config.json").read_text("utf-8")).get("quantization_config") or {}
    return str(found.get("quant_method") or "quantised").replace(" ", "-") if found else ""


def keep_layout(model: Any) -> None:
    """Forbid bitsandbytes to repack 4-bit weights at the first forward in eval mode.

    On processors with AVX512-BF16 it does, in place: training afterwards takes a kernel without a backward (27 of 28
    gradients zero, the loss unmoved), merging scrambles the weights, and widths that are no multiple of 64 crash.
    """
    from bitsandbytes.nn import Linear4bit

    for part in model.modules():
        if isinstance(part, Linear4bit):
            part.support_avx512bf16_for_cpu = False


def parameter_count(parameters: Iterable[Any]) -> int:
    """Weights, also of those that bitsandbytes holds two to a byte, and DeepSpeed on other processes."""
    states = ((parameter, getattr(parameter, "quant_state", None)) for parameter in parameters)
    return sum(
        math.prod(state.shape) if state else getattr(parameter, "ds_numel", parameter.numel())
        for parameter, state in states
    )


def quiet() -> None:
    """Libraries' bars and notes would hide the line that matters; what they would warn of is refused here instead."""
    from transformers.utils import logging as notes

    notes.set_verbosity_error()
    notes.disable_progress_bar()
    logging.getLogger("bitsandbytes").setLevel(logging.CRITICAL)


def logits(model: Any, ids: Sequence[int]) -> torch.Tensor:
    """Logits [length, vocabulary] of one row, float32 on the CPU."""
    row = torch.tensor([list(ids)], device=next(model.parameters()).device)
    positions = torch.arange(row.shape[1], device=row.device)[None]
    with torch.no_grad():
        found: torch.Tensor = model.eval()(input_ids=row, position_ids=positions, use_cache=False).logits
    return found[0].float().cpu()
