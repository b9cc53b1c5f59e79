"""The README's matrix: each method on each architecture, with each quality that a run may be asked for.

    .venv/bin/python tests/matrix.py      runs every cell and writes the table into the README (some minutes)

A cell is found by training a tiny real model through the entry point's own `train`: `works` where the figures are those
of the plain run, else the BadInput that refused it. Anything else is an AssertionError: no third kind of cell.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from matrix_case import ARCHES, METHODS, NEAR, Case, plain, same, trained
from matrix_table import put
from safetensors.torch import load_file
from small_exam import HANGS
from small_lesson import LAUNCH, ROOT, facts, manifest, place

from eval.lm.context import left_padded
from eval.lm.draw import Sampling
from eval.lm.generate import write
from finetune.chat import Chat
from finetune.methods import adapter_parameters, load
from finetune.methods.merging import merge
from finetune.mistakes import BadInput
from finetune.train.loop import Loop
from finetune.world import open_base

Cell = tuple[str, str, str]  # method, architecture, quality


def checkpointing(case: Case) -> None:
    again = case.train("checkpointing", "train.checkpointing=true")
    same(plain(case), again)
    assert again.adapter_digest == plain(case).adapter_digest


def packing(case: Case) -> None:
    """Rows packed, as in the plain run, are each row alone."""
    single = case.train("single", "train.packing=false")
    assert single.raw_tokens > single.useful_tokens
    assert plain(case).raw_tokens == plain(case).useful_tokens
    same(plain(case), single, NEAR)


def four_bit(case: Case) -> None:
    if not case.four_bit:  # whose plain run it is
        found = case.train("nf4", f"contenders.{case.contender}.model.dtype=nf4")
        assert found.losses[0] != plain(case).losses[0]
    assert plain(case).logit_shift > 0


def resume(case: Case) -> None:
    """Ended in the fourth step, started again: goes on after the second, bit for bit."""
    recipe, changes = case.job("resumed")
    take = Loop._step

    def third(loop: Loop) -> Any:
        if loop.progress.step == 3:
            raise InterruptedError
        return take(loop)

    Loop._step = third  # type: ignore[method-assign]
    try:
        trained(recipe, changes, case.contender)
    except InterruptedError:
        pass
    finally:
        Loop._step = take  # type: ignore[method-assign]
    kept = place(recipe, case.contender).checkpoints
    assert [path.name for path in kept.glob("step-*")] == ["step-000002"]
    trained(recipe, changes, case.contender)
    found = facts(recipe, case.contender)
    same(plain(case), found)
    assert found.adapter_digest == plain(case).adapter_digest


def merging(case: Case) -> None:
    """Into a base freshly read in float32; the logits are those of the adapter beside it."""
    model = load(open_base(case.base, torch.float32), case.adapter)
    want = _logits(model)
    merged = merge(model)
    assert not adapter_parameters(merged)
    assert float((_logits(merged) - want).abs().max()) <= NEAR * float(want.abs().max())


def reload(case: Case) -> None:
    """Into a fresh base: the very logits that were trained, which are not the bare base's; ready to train on."""
    told = plain(case)
    assert told.reload_difference == 0
    assert told.logit_shift > 1e-3
    bare = open_base(case.base, torch.float32, four_bit=case.four_bit)
    before, model = _logits(bare).clone(), case.tuned()
    assert float((_logits(model) - before).abs().max()) > 1e-3
    assert adapter_parameters(model)


def generate(case: Case) -> None:
    """Answers written in a left-padded batch are those written one by one: as the exam does, and by transformers."""
    model, chat = case.tuned().eval(), Chat.open(case.base, "r1_distill_qwen", "drop")
    asked = ("Is 9 even?", "公司净利润大增，股价上涨。" * 2 + "12 是偶数吗？", "Shares rose. " * 9 + "Is 4 even?")
    prompts = [chat.prompt([{"role": "user", "content": text}]) for text in asked]
    how = Sampling(max_new_tokens=12)
    together = write(model, chat, prompts, [0] * len(prompts), how)
    assert together == [write(model, chat, [prompt], [0], how)[0] for prompt in prompts]
    rows, real = left_padded(prompts, "cpu")
    options: dict[str, Any] = {"max_new_tokens": 8, "do_sample": False, "pad_token_id": 0, "eos_token_id": None}
    written = model.generate(input_ids=rows, attention_mask=real, **options)[:, -8:]
    for prompt, row in zip(prompts, written, strict=True):
        assert torch.equal(row, model.generate(input_ids=torch.tensor([prompt]), **options)[0, -8:])


@torch.no_grad()
def _logits(model: Any) -> torch.Tensor:
    found: torch.Tensor = model.eval()(input_ids=torch.arange(40, 72)[None], use_cache=False).logits
    return found


ALONE: dict[str, Callable[[Case], None]] = {
    "checkpointing": checkpointing,
    "packing": packing,
    "4-bit base": four_bit,
    "resume": resume,
    "merge": merging,
    "reload": reload,
    "generate": generate,
}
PAIRED = ("DDP", "FSDP2, raw")  # by two gloo processes
QUALITIES = (*ALONE, *PAIRED)


def alone(case: Case, quality: str) -> str:
    """`works`, or why it is refused."""
    try:
        ALONE[quality](case)
    except BadInput as fault:
        return _said(str(fault))
    return "works"


def launch(cases: Sequence[Case]) -> dict[str, str]:
    """All runs of two processes, in one launch: recipe -> refusal, empty for a run that was done."""
    ddp, jobs = f"train.launch={LAUNCH / 'cpu2.torchrun.yaml'}", []
    for case, quality in ((case, quality) for case in cases for quality in PAIRED):
        recipe, changes = case.job(quality, ddp)
        contender, split = case.contender, quality != "DDP"
        jobs.append({"recipe": str(recipe), "changes": changes, "contender": contender, "split": split})
    path = cases[0].folder / "pair.json"
    path.write_text(json.dumps(jobs), "utf-8")
    line = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2"]
    line += [str(Path(__file__).with_name("matrix_pair.py")), str(path)]
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(line, env=environment, capture_output=True, text=True, timeout=2 * HANGS, check=False)
    assert done.returncode == 0, done.stderr[-4000:]
    found: dict[str, str] = json.loads(path.with_suffix(".said").read_text("utf-8"))
    return found


def paired(case: Case, quality: str, said: Mapping[str, str]) -> str:
    """`works` where the two processes did what one did, or why it is refused."""
    recipe = case.recipe(quality)
    if refused := said[str(recipe)]:
        return _said(refused)
    _as_one(case, recipe)
    return "works"


def _as_one(case: Case, recipe: Path) -> None:
    """Same losses as one process, and an adapter that is whole: no tensor missing, empty or other than one's.

    By norm: Adam divides by the gradient's size, so where that is nearly zero a single number may differ by more.
    """
    two = facts(recipe, case.contender)
    same(plain(case), two, NEAR)
    assert manifest(recipe, case.contender).hardware.processes == 2
    folders = (case.adapter, place(recipe, case.contender).adapter)
    told, saved = (load_file(next(folder.glob("*.safetensors"))) for folder in folders)
    assert {name: tensor.shape for name, tensor in saved.items()} == {n: tensor.shape for n, tensor in told.items()}
    for name, tensor in told.items():
        apart = float((saved[name] - tensor).norm() / tensor.norm())
        assert apart < 1e-3, f"{recipe}: {name} differs by {apart:g} of its norm"


def _said(refusal: str) -> str:
    """Without the place of this run's recipe."""
    return "refused: " + re.sub(r"\S*/lesson\.yaml: ", "", refusal)


def every(folder: Path) -> list[Case]:
    return [Case(method, arch, folder) for method in METHODS for arch in ARCHES]


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        cases = every(Path(folder))
        said = launch(cases)
        found: Mapping[Cell, str] = {
            **{(case.method, case.arch, quality): alone(case, quality) for case in cases for quality in ALONE},
            **{(case.method, case.arch, quality): paired(case, quality, said) for case in cases for quality in PAIRED},
        }
    put(ROOT / "README.md", found, list(METHODS), list(ARCHES), list(QUALITIES))


if __name__ == "__main__":
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter).parse_args()
    torch.set_num_threads(1)
    main()
