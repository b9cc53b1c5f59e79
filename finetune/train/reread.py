"""A saved adapter read again, into a fresh base: here, or in a process that knows nothing of the training.

    python -m finetune.train.reread ASKED OUT      ASKED: what `Reading` holds, as JSON; OUT: a safetensors file

What lives only in the process that trained (a registered function, a patched library, a configuration never written)
would be there for a reader in the same process, and not for whoever scores or serves the adapter.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

from finetune.methods import adapter_norm, heads, load
from finetune.methods.merging import merge, unmergeable
from finetune.world import logits, open_base

# What torchrun and accelerate tell their processes; a reader is alone.
LAUNCHED = ("RANK", "WORLD_SIZE", "LOCAL_", "GROUP_", "ROLE_", "MASTER_", "TORCHELASTIC_", "ACCELERATE_", "FSDP_")


@dataclass(frozen=True)
class Reading:
    """What is to be read, and the tokens on which it is to answer."""

    checkpoint: str
    adapter: str
    dtype: str
    four_bit: bool
    device: str
    threads: int
    ids: tuple[int, ...]

    def here(self) -> dict[str, torch.Tensor]:
        """Logits [length, vocabulary] in float32 of the `bare` base, of it `tuned`, and `merged` where that can be; and
        the `norm` of what was read. Where it has a classification head, its scores [length, labels] as `head`.
        """
        device, dtype = torch.device(self.device), getattr(torch, self.dtype)
        fresh = open_base(Path(self.checkpoint), dtype, four_bit=self.four_bit).to(device)
        found = {"bare": logits(fresh, self.ids)}
        model = load(fresh, Path(self.adapter)).to(device)
        found["tuned"] = logits(model, self.ids)
        found["norm"] = torch.tensor(adapter_norm(model))
        told = heads.answers(model, self.ids)
        if told is not None:
            found["head"] = told
        if not unmergeable(model):
            found["merged"] = logits(merge(model), self.ids)
        return found

    def afresh(self, out: Path) -> dict[str, torch.Tensor]:
        """The same from a process of its own, which writes to `out`. RuntimeError: it failed, and how."""
        left = {name: value for name, value in os.environ.items() if not name.startswith(LAUNCHED)}
        line = [sys.executable, "-m", "finetune.train.reread", json.dumps(asdict(self)), str(out)]
        done = subprocess.run(line, env=left, capture_output=True, text=True, check=False)
        if done.returncode:
            reason = (done.stderr.strip().splitlines() or [f"exit status {done.returncode}"])[-1]
            raise RuntimeError(
                f"the adapter could not be read in a fresh process ({reason}); it is not kept. Where a device takes "
                f"one process only, set train.prove=here; its checkpoint is there to go on from"
            )
        found = load_file(out)
        out.unlink()
        return found


def main() -> None:
    asked = json.loads(sys.argv[1])
    reading = Reading(**asked | {"ids": tuple(asked["ids"])})
    torch.set_num_threads(reading.threads)
    found = reading.here()
    save_file({name: tensor.contiguous() for name, tensor in found.items()}, sys.argv[2])


if __name__ == "__main__":
    main()
