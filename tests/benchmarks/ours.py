"""One pass of our own loop over the rows, LoRA 16: python ours.py FOLDER DTYPE -> one JSON line."""

import json
import resource
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch

from finetune import segments
from finetune.data import Example
from finetune.methods import LoRA
from finetune.methods.lora import causal
from finetune.narrow import narrow
from finetune.recipe import Train
from finetune.train.journal import Journal
from finetune.train.loop import Loop, Work
from finetune.train.packing import plan
from finetune.train.savepoint import Clock, Savepoints
from finetune.train.watch import Watch
from finetune.world import World, open_base
from tests.benchmarks.material import BATCH, LONGEST


def main(folder: Path, dtype: str) -> None:
    torch.set_num_threads(1)
    world = World.open(None, None, folder)
    rows = json.loads((folder / "rows.json").read_text())
    examples = [_example(str(place), row) for place, row in enumerate(rows)]
    lengths = [len(example) for example in examples]
    knobs = Train(epochs=1, max_length=LONGEST, tokens_per_step=sum(lengths) * BATCH // len(rows), evaluations=0)
    steps, ends = plan(lengths, knobs, 0)
    model = LoRA(rank=16).attach(open_base(folder / "model", world.dtype(dtype)), tokenizer=None, seed=0)
    segments.adopt(causal(model))
    narrow(causal(model))
    work = Work(steps, ends, examples, (), knobs, 1e-3, 0, pad=1)
    with tempfile.TemporaryDirectory() as scratch:
        savepoints, clock = Savepoints(Path(scratch) / "c", "", 1), Clock(Path(scratch) / "clock.json", 0.0)
        journal = Journal("ours", world.accelerator)
        journal._print = lambda text: None
        began = time.process_time()
        watch = Watch(Path(scratch), 0, 1, 60)
        progress = Loop(model, work, world, savepoints, journal, clock, watch).run()
        seconds = time.process_time() - began
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    losses = [loss for _, loss in progress.losses]
    print(json.dumps({"tokens": sum(lengths), "seconds": seconds, "peak": peak, "losses": losses}))


def _example(name: str, row: dict[str, list[int]]) -> Example:
    ids = np.array(row["prompt"] + row["answer"], dtype=np.int32)
    return Example(name, "", ids, np.arange(len(ids)) >= len(row["prompt"]))


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
