"""ENGINE ROOM: one contender in, adapter and manifest out.

    python -m finetune.train RECIPE --contender NAME [--seed N] [--out DIR] [--set key=value ...] [--data-root DIR]

Works under `accelerate launch` and `torchrun` too; a second start goes on where a killed one was. Exit status: 0 done,
1 a fault of ours, 2 bad input (one line, and what was done is kept), 128 + n stopped and saved at signal n.
"""

from __future__ import annotations

import argparse
import errno
import logging
import os
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from finetune.chat import Chat
from finetune.data import Examples, prepare
from finetune.methods import adapter_parameters
from finetune.mistakes import BadInput
from finetune.recipe import Contender, Recipe, Train
from finetune.run import Hardware, RunDir, RunManifest, SeedDir, TrainFacts, git_state, host, versions
from finetune.train.adapter import Origin, Proof, keep
from finetune.train.journal import Journal
from finetune.train.loop import Loop, Stopped, Work
from finetune.train.packing import plan
from finetune.train.savepoint import Clock, Progress, Savepoints
from finetune.world import World, causal, open_base


def main(argv: Sequence[str] | None = None) -> int:
    asked = _parser().parse_args(argv)
    if asked.data_root:
        os.environ["TUNEWORTH_DATA"] = str(asked.data_root)
    try:
        recipe = Recipe.read(asked.recipe, tuple(asked.set))
        return train(recipe, asked.contender, asked.seed, asked.out)
    except BadInput as fault:
        return _complain(str(fault), 2)
    except Stopped as stop:
        return _complain(str(stop), stop.status)
    except Exception as fault:
        if getattr(fault, "errno", None) in (errno.ENOSPC, errno.EDQUOT) or "os error 28" in str(fault):
            return _complain(
                f"{asked.out}: no space left on the device; what was saved is kept, make room and start again", 2
            )
        raise


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m finetune.train", description="Tune one contender of a recipe.")
    parser.add_argument("recipe", type=Path)
    parser.add_argument("--contender", required=True, help="name in the recipe")
    parser.add_argument("--seed", type=int, help="one of train.seeds; all of them, one after another, without it")
    parser.add_argument("--out", type=Path, default=Path("runs"), help="folder of the runs")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="change a key of the recipe")
    parser.add_argument("--data-root", type=Path, help="where cards look for their files (or TUNEWORTH_DATA)")
    return parser


def _complain(text: str, status: int) -> int:
    rank = os.environ.get("RANK", "0")
    print(f"tuneworth: {text}" if rank == "0" else f"tuneworth (process {rank}): {text}", file=sys.stderr, flush=True)
    return status


@contextmanager
def refusing() -> Iterator[None]:
    """Rooms on lower floors refuse with a plain ValueError: here it is bad input like any other."""
    try:
        yield
    except BadInput:
        raise
    except ValueError as fault:
        raise BadInput(str(fault)) from None


def train(recipe: Recipe, name: str, seed: int | None, out: Path) -> int:
    """Tune a contender for one seed or all; what is done and unchanged is left alone. Gives the exit status."""
    _refuse_unknown(recipe, name, seed)
    run = RunDir(out / recipe.name)
    pending: list[tuple[int, str]] = []
    for each in recipe.seeds(name) if seed is None else (seed,):
        with refusing():
            fingerprint = recipe.train_fingerprint(name, each)
        done = run.seed(name, each).trained()
        if done and done.fingerprint == fingerprint:
            print(f"train {name} seed {each}: done, unchanged", flush=True)
        else:
            pending.append((each, fingerprint))
    for each, fingerprint in pending:
        tune(recipe, name, each, fingerprint, run.seed(name, each))
    return 0


def _refuse_unknown(recipe: Recipe, name: str, seed: int | None) -> None:
    if name not in recipe.contenders:
        raise BadInput(f"--contender {name}: unknown; the recipe has {', '.join(recipe.contenders)}")
    if recipe.contenders[name].method is None:
        raise BadInput(f"--contender {name}: has no method, so there is nothing to train")
    if seed is not None and seed not in recipe.seeds(name):
        raise BadInput(f"--seed {seed}: not among train.seeds ({', '.join(map(str, recipe.seeds(name)))})")


def tune(recipe: Recipe, name: str, seed: int, fingerprint: str, place: SeedDir) -> None:
    """One contender and seed, from the recipe to train.json, which is written last.

    BadInput; Stopped: a signal came, all is saved; RuntimeError: the saved adapter is not the trained one.
    """
    _hush()
    knobs, chosen = recipe.train, recipe.contenders[name]
    world = World.open(knobs.launch, knobs.tracker, place.folder / "logs")
    journal = Journal(f"train {name} seed {seed}", world.accelerator)
    clock = Clock(place.checkpoints / "clock.json")
    with refusing():
        folder, dtype = chosen.model.folder(), world.dtype(chosen.model.dtype)
        chat = Chat.open(folder, chosen.model.family, chosen.model.think)
        examples = prepare(recipe, chosen.prompt, chat)
        _refuse_misfits(chosen, folder, examples)
    savepoints = Savepoints(place.checkpoints, fingerprint, world.size)
    point = savepoints.latest(journal.say)
    _set_aside(place, fingerprint, world, journal)
    work = _work(recipe, chosen, seed, examples, chat)
    model = _attached(chosen, folder, dtype, chat, seed, knobs, world)
    journal.say(_summary(work, examples, model, dtype, world))
    journal.track(recipe.name, _flat(recipe, name, seed), str(place.folder / "logs"))
    progress = Loop(model, work, world, savepoints, journal, clock).run(point)
    sizes = (sum(p.numel() for p in adapter_parameters(model).values()), sum(p.numel() for p in model.parameters()))
    proof = keep(
        model, Origin(chosen, folder, chat, recipe.data, dtype), place.adapter, world, examples.train[0].ids.tolist()
    )
    peak = world.peak_memory()
    if proof is not None:
        facts = _facts(progress, examples, proof, sizes, peak, chat.digest)
        _manifest(name, seed, fingerprint, clock, world, facts).write(place.train_manifest)
        savepoints.drop()
        journal.say(f"{facts.stopped} after {facts.steps} steps, loss {facts.loss_first:.4f} -> {facts.loss_last:.4f}")
    journal.close()
    world.accelerator.end_training()


def _hush() -> None:
    """Libraries' bars and notes would hide the line that matters; what they would warn of is refused here instead."""
    from transformers.utils import logging as notes

    notes.set_verbosity_error()
    notes.disable_progress_bar()
    logging.getLogger("bitsandbytes").setLevel(logging.CRITICAL)


def _refuse_misfits(chosen: Contender, folder: Path, examples: Examples) -> None:
    """What the checkpoint's configuration rules out, before its weights are read."""
    from transformers import AutoConfig

    try:
        config = AutoConfig.from_pretrained(folder, trust_remote_code=False, local_files_only=True)
    except OSError as fault:
        raise BadInput(f"checkpoint {folder}: {str(fault).partition(chr(10))[0]}") from None
    if chosen.method:
        chosen.method.check(config)
    highest = max(int(example.ids.max()) for example in (*examples.train, *examples.dev))
    if highest >= config.vocab_size:
        raise BadInput(f"checkpoint {folder}: the tokenizer gives id {highest}, the model has {config.vocab_size} rows")
    if examples.longest > config.max_position_embeddings:
        raise BadInput(
            f"train.max_length: a row has {examples.longest} tokens, but the model has "
            f"{config.max_position_embeddings} positions; lower train.max_length to that"
        )


def _set_aside(place: SeedDir, fingerprint: str, world: World, journal: Journal) -> None:
    """An adapter of a recipe since changed is kept under another name."""
    done = place.trained()
    world.accelerator.wait_for_everyone()  # all have looked before the main process moves anything
    if done and world.main:
        shelf = place.set_aside([place.adapter, place.train_manifest], done.fingerprint)
        journal.say(f"the recipe has changed since: the earlier adapter is kept in {shelf}")


def _work(recipe: Recipe, chosen: Contender, seed: int, examples: Examples, chat: Chat) -> Work:
    assert chosen.method is not None, "only a contender with a method is trained"
    steps, ends = plan([len(example) for example in examples.train], recipe.train, seed)
    rate = chosen.method.learning_rate
    return Work(steps, ends, examples.train, examples.dev, recipe.train, rate, seed, chat.pad)


def _attached(
    chosen: Contender, folder: Path, dtype: torch.dtype, chat: Chat, seed: int, knobs: Train, world: World
) -> Any:
    """The frozen base with a fresh adapter, on the device."""
    assert chosen.method is not None, "only a contender with a method is trained"
    base = open_base(folder, dtype)
    with refusing():
        model = chosen.method.attach(base, tokenizer=chat.tokenizer, seed=seed)
    world.place(model, list(adapter_parameters(model).values()))
    if knobs.checkpointing:
        inner = causal(model)  # transformers 5.2x changed the name
        enable = getattr(inner, "activation_checkpointing_enable", None) or inner.gradient_checkpointing_enable
        enable({"use_reentrant": False})
    return model


def _summary(work: Work, examples: Examples, model: Any, dtype: torch.dtype, world: World) -> str:
    own = sum(parameter.numel() for parameter in adapter_parameters(model).values())
    left_out = f"{examples.excluded} excluded, {examples.truncated} cut by train.max_length"
    return (
        f"{len(examples.train)} rows, {len(examples.dev)} for the dev loss, {left_out}; {len(work.steps)} steps; "
        f"{own:,} adapter parameters in float32 on {str(dtype).removeprefix('torch.')}; "
        f"{world.size} x {world.device_name()}{', base split' if world.sharded else ''}"
    )


def _flat(recipe: Recipe, name: str, seed: int) -> dict[str, Any]:
    """Settings as trackers take them: plain values only."""
    method = recipe.contenders[name].method
    knobs = {**recipe.train.model_dump(mode="json"), **(method.model_dump(mode="json") if method else {})}
    plain = {key: value for key, value in knobs.items() if isinstance(value, str | int | float | bool)}
    return {**plain, "contender": name, "seed": seed}


def _facts(
    progress: Progress, examples: Examples, proof: Proof, sizes: tuple[int, int], peak: int, chat_digest: str
) -> TrainFacts:
    losses = [loss for _, loss in progress.losses]
    tenth = max(1, len(losses) // 10)
    stride = -(-len(losses) // 200)
    seconds = max(progress.seconds, 1e-9)
    return TrainFacts(
        steps=progress.step,
        best_step=progress.best_step,
        stopped=progress.ended,
        loss_first=sum(losses[:tenth]) / tenth,
        loss_last=sum(losses[-tenth:]) / tenth,
        losses=tuple(progress.losses[::stride]),
        dev_losses=tuple(progress.dev_losses),
        rows=len(examples.train),
        dev_rows=len(examples.dev),
        truncated_rows=examples.truncated,
        target_tokens=progress.target_tokens,
        useful_tokens=progress.useful_tokens,
        raw_tokens=progress.raw_tokens,
        useful_tokens_per_second=progress.useful_tokens / seconds,
        raw_tokens_per_second=progress.raw_tokens / seconds,
        peak_memory_bytes=peak,
        trainable_parameters=sizes[0],
        parameters=sizes[1],
        adapter_digest=proof.digest,
        adapter_norm=proof.norm,
        end_token_trained=True,  # data.render refuses a row without it
        reload_difference=proof.reload_difference,
        logit_shift=proof.logit_shift,
        chat_digest=chat_digest,
        data=examples.editions,
    )


def _manifest(name: str, seed: int, fingerprint: str, clock: Clock, world: World, facts: TrainFacts) -> RunManifest:
    return RunManifest(
        stage="train",
        contender=name,
        seed=seed,
        fingerprint=fingerprint,
        started_at=clock.started_at,
        finished_at=time.time(),
        device_seconds=clock.seconds * world.size,
        versions=versions(),
        git=git_state(Path(__file__).parent),
        hardware=Hardware(device=world.device_name(), devices=world.size, processes=world.size, host=host()),
        training=facts,
    )


if __name__ == "__main__":
    sys.exit(main())
