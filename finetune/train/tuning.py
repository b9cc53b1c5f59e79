"""One contender tuned for one seed: from a resolved recipe to an adapter and train.json, which is written last."""

from __future__ import annotations

import logging
import os
import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from finetune import segments
from finetune.chat import Chat
from finetune.data import Examples, prepare
from finetune.methods import Full, LoRA, adapter_parameters, shared_rates
from finetune.mistakes import BadInput
from finetune.recipe import Contender, Recipe, Window
from finetune.run import Hardware, RunDir, RunManifest, SeedDir, TrainFacts, git_state, host, versions
from finetune.train.adapter import Origin, Proof, keep
from finetune.train.journal import Journal
from finetune.train.loop import Loop, Work
from finetune.train.packing import plan
from finetune.train.pause import by_window, closed
from finetune.train.peak import predicted
from finetune.train.proofs import Beginning, begin, plain_loss
from finetune.train.savepoint import KEPT, Clock, Progress, Savepoints
from finetune.train.watch import Watch
from finetune.world import World, causal, need_bitsandbytes, open_base, parameter_count, said_dtype

STATE = 16  # bytes of a trained weight in a checkpoint: itself and Adam's two means in float32, and the best so far
CURVE = 200  # points of the loss curve in train.json, at most


def tune(recipe: Recipe, name: str, pending: Sequence[tuple[int, str]], run: RunDir) -> None:
    """Tune a contender for each pending (seed, fingerprint).

    BadInput; Stopped: a signal came or train.window closed, all is saved; RuntimeError: the saved adapter is not the
    trained one.
    """
    quiet()
    rank, size = int(os.environ.get("RANK", "0")), int(os.environ.get("WORLD_SIZE", "1"))
    with Watch(run.phases(name), rank, size, recipe.train.hang_minutes) as watch:
        watch.note("joining the others")
        world = World.open(recipe.train.launch, recipe.train.tracker, run.folder)
        _refuse_hours(recipe.train.window, world)
        for seed, fingerprint in pending:
            Tuning(recipe, name, seed, fingerprint, run.seed(name, seed), world, watch).run()
        world.accelerator.end_training()


def _refuse_hours(window: Window | None, world: World) -> None:
    """Outside of its hours a run does not begin; by one clock or another, all processes go or none."""
    late = world.total(torch.tensor([float(closed(window))]))
    if window is not None and late > 0:
        raise by_window(window)


def quiet() -> None:
    """Libraries' bars and notes would hide the line that matters; what they would warn of is refused here instead."""
    from transformers.utils import logging as notes

    notes.set_verbosity_error()
    notes.disable_progress_bar()
    logging.getLogger("bitsandbytes").setLevel(logging.CRITICAL)


@dataclass(frozen=True)
class Tuning:
    """What is to be tuned, where it is kept, and who takes part."""

    recipe: Recipe
    name: str
    seed: int
    fingerprint: str
    place: SeedDir
    world: World
    watch: Watch

    @property
    def contender(self) -> Contender:
        return self.recipe.contenders[self.name]

    def run(self) -> None:
        began = time.monotonic()
        self._refuse_split()
        self.watch.note("reading rows")
        journal = Journal(f"train {self.name} seed {self.seed}", self.world.accelerator)
        origin = self.origin()
        examples = prepare(self.recipe, self.contender.prompt, origin.chat)
        _refuse_misfits(origin, examples, sharded=self.world.sharded)
        self._set_aside(journal)
        clock = Clock(self.place.checkpoints / "clock.json", began)
        savepoints = Savepoints(self.place.checkpoints, self.fingerprint, self.world.size)
        point = savepoints.latest(journal.say)
        _refuse_split_views(self.world.everywhere(point.progress.step if point else 0), self.place.checkpoints)
        work = self.work(examples, origin.chat)
        self.watch.note("loading the checkpoint")
        model, plain = self.attached(origin, work)
        self._refuse_full_disk(model)
        beginning = begin(model, plain, work, self.world, origin.dtype)
        for line in shared_rates(self.recipe.methods):
            journal.say(line)
        journal.say(_summary(work, examples, model, origin, self.world))
        journal.track(self.recipe.name, self._settings(), str(self.place.folder / "logs"))
        standing = self.world.begin_peak()
        progress = Loop(model, work, self.world, savepoints, journal, clock, self.watch).run(point)
        peaks = self.world.peak_memory(), predicted(self.contender, origin.folder, work, self.world, standing)
        sizes = parameter_count(adapter_parameters(model).values()), parameter_count(model.parameters())
        self.watch.note("saving the adapter and reading it back")
        fresh = self.recipe.train.prove == "fresh"
        proof = keep(model, origin, self.place.adapter, self.world, examples.train[0].ids.tolist(), fresh=fresh)
        if proof is not None:
            facts = _facts(progress, examples, (beginning, proof), sizes, peaks, origin.chat.digest)
            self._manifest(clock, facts).write(self.place.train_manifest)
            savepoints.drop()
        journal.end(progress)

    def _refuse_split(self) -> None:
        if self.world.sharded and isinstance(self.contender.method, Full):
            raise BadInput(
                f"train.launch: {self.recipe.train.launch} splits the frozen weights of the base alone, and method "
                f"full trains them; use recipes/launch/ddp.yaml, or method.kind lora"
            )

    def _refuse_full_disk(self, model: Any) -> None:
        """Checkpoints of full tuning are many times the model; a disk too small is known before the first step."""
        if not isinstance(self.contender.method, Full):
            return
        trained = parameter_count(adapter_parameters(model).values())
        needed = trained * STATE * (KEPT + 1) + sum(p.nbytes for p in model.parameters())
        self.place.folder.mkdir(parents=True, exist_ok=True)
        free = shutil.disk_usage(self.place.folder).free
        if needed > free:
            raise BadInput(
                f"{self.place.folder}: {free / 1e9:.1f} GB are free, but the checkpoints of {trained:,} trained "
                f"weights need {needed / 1e9:.1f}; make room, give another --out, or set method.last_layers"
            )

    def origin(self) -> Origin:
        spec = self.contender.model
        folder = spec.folder()
        chat = Chat.open(folder, spec.family, spec.think)
        return Origin(self.contender, folder, chat, self.recipe.data, self.world.dtype(spec.dtype))

    def _set_aside(self, journal: Journal) -> None:
        """The adapter of a recipe since changed is kept under another name, with whatever a kill left beside it."""
        done = self.place.trained()
        self.world.accelerator.wait_for_everyone()  # all have looked before the main process moves anything
        if done and self.world.main:
            stale = [self.place.adapter, self.place.train_manifest, self.place.checkpoints]
            shelf = self.place.set_aside(stale, done.fingerprint)
            journal.say(f"the recipe has changed since: the earlier adapter is kept in {shelf}")
        self.world.accelerator.wait_for_everyone()

    def work(self, examples: Examples, chat: Chat) -> Work:
        assert self.contender.method is not None, "only a contender with a method is trained"
        rate, knobs = self.contender.method.learning_rate, self.recipe.train
        steps, ends = plan([len(example) for example in examples.train], knobs, self.seed)
        masters = getattr(self.contender.method, "master", "float32") == "float32"
        return Work(steps, ends, examples.train, examples.dev, knobs, rate, self.seed, chat.pad, masters)

    def attached(self, origin: Origin, work: Work) -> tuple[Any, float | None]:
        """The frozen base with a fresh adapter, on the device; and the bare base's first loss, if that must be its."""
        method = self.contender.method
        assert method is not None, "only a contender with a method is trained"
        base, plain = open_base(origin.folder, origin.dtype, four_bit=self.contender.four_bit), None
        if isinstance(method, LoRA | Full) and not self.world.sharded:  # a base to be split may fit on no device whole
            plain = plain_loss(base.to(self.world.device), work, self.world)
        model = method.attach(base, tokenizer=origin.chat.tokenizer, seed=self.seed)
        self.world.place(model, list(adapter_parameters(model).values()))
        segments.adopt(causal(model))
        if self.recipe.train.checkpointing:
            inner = causal(model)  # transformers 5.2x changed the name
            enable = getattr(inner, "activation_checkpointing_enable", None) or inner.gradient_checkpointing_enable
            enable({"use_reentrant": False})
        return model, plain

    def _settings(self) -> dict[str, Any]:
        """As trackers take them: plain values only."""
        method = self.contender.method
        knobs = {**self.recipe.train.model_dump(mode="json"), **(method.model_dump(mode="json") if method else {})}
        plain = {key: value for key, value in knobs.items() if isinstance(value, str | int | float | bool)}
        return {**plain, "contender": self.name, "seed": self.seed}

    def _manifest(self, clock: Clock, facts: TrainFacts) -> RunManifest:
        size = self.world.size
        return RunManifest(
            stage="train",
            contender=self.name,
            seed=self.seed,
            fingerprint=self.fingerprint,
            started_at=clock.started_at,
            finished_at=time.time(),
            device_seconds=clock.seconds * size,
            versions=versions(),
            git=git_state(Path(__file__).parent),
            hardware=Hardware(device=self.world.device_name(), devices=size, processes=size, host=host()),
            training=facts,
        )


def _refuse_split_views(steps: list[int], folder: Path) -> None:
    """Processes that go on from different steps would train a mixture, and say nothing."""
    if len(set(steps)) > 1:
        raise BadInput(
            f"{folder}: the processes see different checkpoints there (steps {', '.join(map(str, steps))}); --out must "
            f"be on a disk that all machines share; if it is, wait until they all see the newest, and start again"
        )


def _refuse_misfits(origin: Origin, examples: Examples, *, sharded: bool) -> None:
    """What the checkpoint's configuration rules out, before its weights are read."""
    from transformers import AutoConfig

    folder = origin.folder
    if origin.contender.four_bit:
        need_bitsandbytes("a base in 4 bits (nf4)")
    if sharded and origin.contender.four_bit:
        raise BadInput(
            "train.launch: FSDP splits the base, which is not built for one in 4 bits (nf4); use a DDP file, or kind: "
            "lora on a base that is not quantised"
        )
    try:
        config = AutoConfig.from_pretrained(folder, trust_remote_code=False, local_files_only=True)
    except (OSError, ValueError) as fault:
        raise BadInput(f"checkpoint {folder}: config.json: {str(fault).partition(chr(10))[0]}") from None
    if origin.contender.method:
        origin.contender.method.check(config)
    known = max(origin.chat.tokenizer.get_vocab(with_added_tokens=True).values()) + 1
    if (
        known > config.vocab_size
    ):  # the rows are never resized: an embedding of noise would be trained, or a head copied
        raise BadInput(
            f"checkpoint {folder}: its tokenizer knows {known} tokens, its model has {config.vocab_size} rows; they do "
            f"not belong together"
        )
    if examples.longest > config.max_position_embeddings:
        raise BadInput(
            f"train.max_length: a row has {examples.longest} tokens, but the model has "
            f"{config.max_position_embeddings} positions; lower train.max_length to that"
        )


def _summary(work: Work, examples: Examples, model: Any, origin: Origin, world: World) -> str:
    own = parameter_count(adapter_parameters(model).values())
    dtype = said_dtype(origin.dtype, four_bit=origin.contender.four_bit)
    copies = " stepped in float32" if work.masters and dtype != "float32" else ""
    whole = isinstance(origin.contender.method, Full)
    what = f"trained weights in {dtype}{copies}" if whole else f"adapter parameters in float32 on {dtype}"
    left_out = f"{examples.excluded} excluded, {examples.truncated} cut by train.max_length"
    return (
        f"{len(examples.train)} rows, {len(examples.dev)} for the dev loss, {left_out}; {len(work.steps)} steps; "
        f"{own:,} {what}; {world.size} x {world.device_name()}"
        f"{', base split' if world.sharded else ''}"
    )


def _facts(
    progress: Progress,
    examples: Examples,
    proofs: tuple[Beginning, Proof],
    sizes: tuple[int, int],
    peaks: tuple[int, int],
    chat_digest: str,
) -> TrainFacts:
    beginning, proof = proofs
    losses, seconds = [loss for _, loss in progress.losses], max(progress.seconds, 1e-9)
    tenth = max(1, len(losses) // 10)
    return TrainFacts(
        steps=progress.step,
        best_step=progress.best_step,
        stopped=progress.ended,
        loss_first=sum(losses[:tenth]) / tenth,
        loss_last=sum(losses[-tenth:]) / tenth,
        losses=tuple(progress.losses[:: -(-len(losses) // CURVE)]),
        dev_losses=tuple(progress.dev_losses),
        rows=len(examples.train),
        dev_rows=len(examples.dev),
        truncated_rows=examples.truncated,
        target_tokens=progress.target_tokens,
        useful_tokens=progress.useful_tokens,
        raw_tokens=progress.raw_tokens,
        useful_tokens_per_second=progress.useful_tokens / seconds,
        raw_tokens_per_second=progress.raw_tokens / seconds,
        peak_memory_bytes=peaks[0],
        predicted_peak_bytes=peaks[1],
        trainable_parameters=sizes[0],
        parameters=sizes[1],
        adapter_digest=proof.digest,
        adapter_norm=proof.norm,
        end_token_trained=True,  # data.render refuses a row without it
        reload_difference=proof.reload_difference,
        logit_shift=proof.logit_shift,
        reread=proof.reread,
        merge_difference=proof.merge_difference,
        packing_leak=beginning.packing_leak,
        start_difference=beginning.start_difference,
        chat_digest=chat_digest,
        data=examples.editions,
    )
