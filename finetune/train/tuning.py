"""One contender tuned for one seed: from a resolved recipe to an adapter and train.json, which is written last."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from finetune import segments
from finetune.chat import Chat
from finetune.data import Examples
from finetune.methods import Full, LoRA, SearchFacts, adapter_digest, adapter_parameters, heads, load
from finetune.methods.heads import Head
from finetune.methods.lora import causal
from finetune.mistakes import BadInput
from finetune.narrow import narrow
from finetune.recipe import Contender, Recipe
from finetune.recipe.privacy import refuse_personal
from finetune.run import Hardware, RunDir, RunManifest, SeedDir, TrainFacts, git_state, host, versions
from finetune.run.tracking import adapter_artifact
from finetune.train.adapter import Origin, Proof, keep
from finetune.train.compiled import fuse
from finetune.train.facts import Toll, facts, summary
from finetune.train.journal import Journal
from finetune.train.lesson import lesson
from finetune.train.loop import Loop, Work, engine
from finetune.train.misfits import refuse_full_disk, refuse_misfits
from finetune.train.pace import fitting, foreseen
from finetune.train.packing import plan
from finetune.train.peak import predicted
from finetune.train.proofs import Beginning, begin, plain_loss
from finetune.train.savepoint import Clock, Savepoint, Savepoints
from finetune.train.watch import Watch
from finetune.train.zero import Zero
from finetune.world import World, open_base, parameter_count


@dataclass(frozen=True)
class Tuning:
    """What is to be tuned, where it is kept, and who takes part."""

    recipe: Recipe
    name: str
    seed: int
    fingerprint: str
    folder: RunDir
    world: World
    watch: Watch
    trial: int | None = None  # its number in a search; None: the training of a seed
    search: SearchFacts | None = None  # that chose the knobs of this training

    @property
    def place(self) -> SeedDir:
        if self.trial is not None:
            return SeedDir(self.folder.search(self.name) / f"{self.trial:02d}")
        return self.folder.seed(self.name, self.seed)

    @property
    def title(self) -> str:
        return f"train {self.name} " + (f"seed {self.seed}" if self.trial is None else f"trial {self.trial:02d}")

    @property
    def contender(self) -> Contender:
        return self.recipe.contenders[self.name]

    def run(self) -> None:
        began = time.monotonic()
        self.watch.note("reading rows")
        journal = Journal(self.title, self.world.accelerator)
        origin, start = self.origin(), self._start()
        examples = self._examples(origin, journal)
        self.set_aside(journal)
        clock, work = Clock(self.place.checkpoints / "clock.json", began), self.work(examples, origin.chat)
        savepoints, point = self._savepoints(journal)
        model, stepper, beginning = self._begun(origin, work, start)
        self._announce(journal, work, examples, model, origin)
        standing = self.world.begin_peak()
        loop = Loop(model, work, self.world, savepoints, journal, clock, self.watch, stepper)
        progress = loop.run(point)
        toll = self._toll(loop, origin, standing)
        proof = self._kept(loop, origin, examples)
        if proof is not None:
            found = facts(origin, progress, examples, toll, beginning, proof)
            self._manifest(clock, found).write(self.place.train_manifest)
            savepoints.drop()
            if self.trial is None:
                journal.hand_over(lambda: self._artifact(found.adapter_digest), found.adapter_digest)
        journal.end(progress)

    def _examples(self, origin: Origin, journal: Journal) -> Examples:
        """What it learns from. BadInput: rows that may not be, do not fit, or leave a trial without a judge."""
        refuse_personal(self.recipe, self.name)
        examples = lesson(self.recipe, self.name, origin.chat, self.world, self.watch, journal)
        refuse_misfits(origin, examples, self.recipe.train, self.world)
        if self.trial is not None and not examples.dev:
            raise BadInput(
                f"train.dev: {self.recipe.train.dev:g} holds out none of {len(examples.train)} rows, so nothing judges "
                f"a trial; raise it, or add rows"
            )
        return examples

    def _announce(self, journal: Journal, work: Work, examples: Examples, model: Any, origin: Origin) -> None:
        """What is about to be trained, to whoever reads along."""
        if self.recipe.allow_personal_data:
            journal.say(f"personal data in the rows is allowed: {self.recipe.allow_personal_data}")
        journal.say(summary(work, examples, model, origin, self.world))
        if examples.untaught:
            journal.say(f"no training row has the labels {', '.join(examples.untaught)}: the head will not give them")
        journal.track(self.recipe.name, self._settings(), str(self.place.folder / "logs"))

    def _toll(self, loop: Loop, origin: Origin, standing: int) -> Toll:
        """What the steps took; `standing` bytes stood before them."""
        model, work, world = loop.model, loop.work, self.world
        probe = fitting(self.folder, self.recipe, self.name, world)
        return Toll(
            peak=world.peak_memory(),
            predicted_peak=predicted(self.contender, origin.folder, work, world, standing),
            predicted_seconds=foreseen(self.contender, origin.folder, work, world, loop.progress, probe),
            trainable=parameter_count(adapter_parameters(model).values()),
            parameters=parameter_count(model.parameters()),
        )

    def _savepoints(self, journal: Journal) -> tuple[Savepoints, Savepoint | None]:
        """Where checkpoints go, and the one to go on from."""
        savepoints = Savepoints(self.place.checkpoints, self.fingerprint, self.world.size, self.world.engine)
        point = savepoints.latest(journal.say)
        _refuse_split_views(self.world.everywhere(point.progress.step if point else 0), self.place.checkpoints)
        return savepoints, point

    def _begun(self, origin: Origin, work: Work, start: Path | None) -> tuple[Any, Zero | None, Beginning]:
        """The model as it is about to be trained, once it is shown to stand where its base does."""
        self.watch.note("loading the checkpoint")
        model, plain = self.attached(origin, work, start)
        refuse_full_disk(self.contender.method, model, self.place.folder)
        stepper = engine(model, work, self.world)
        return model, stepper, begin(model, plain, work, self.world, origin.dtype)

    def _kept(self, loop: Loop, origin: Origin, examples: Examples) -> Proof | None:
        """The adapter, saved and read back; the proof on the main process."""
        self.watch.note("saving the adapter and reading it back")
        fresh, ids = self.recipe.train.prove == "fresh", examples.train[0].ids.tolist()
        return keep(loop.model, origin, self.place, self.world, ids, loop.stepper.release, fresh=fresh)

    def origin(self) -> Origin:
        spec = self.contender.model
        folder = spec.folder()
        chat = Chat.open(folder, spec.family, spec.think)
        data, dtype = self.recipe.data_of(self.name), self.world.dtype(spec.dtype)
        return Origin(self.contender, folder, chat, data, dtype)

    def _start(self) -> Path | None:
        """The adapter to go on from. BadInput: it is not trained, or not the one that its train.json speaks of."""
        name = self.contender.start
        if name is None:
            return None
        place = self.folder.seed(name, self.seed)
        done, remedy = place.trained(), f"run `python -m finetune.train` with --contender {name} first"
        if done is None or done.fingerprint != self.recipe.train_fingerprint(name, self.seed):
            what = "was trained under another recipe" if done else "is not trained"
            raise BadInput(f"contenders.{self.name}.start: {name}, seed {self.seed}, {what}; {remedy}")
        if done.training is None or adapter_digest(place.adapter) != done.training.adapter_digest:
            raise BadInput(f"{place.adapter}: not the one that train.json speaks of; move its folder away and {remedy}")
        return place.adapter

    def set_aside(self, journal: Journal) -> None:
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
        train, dev, labels = examples.train, examples.dev, examples.labels
        return Work(steps, ends, train, dev, knobs, rate, self.seed, chat.pad, masters, labels)

    def attached(self, origin: Origin, work: Work, start: Path | None = None) -> tuple[Any, float | None]:
        """The base with a fresh adapter, or that of folder `start`, on the device; the bare base's first loss, if both
        must be the same."""
        method = self.contender.method
        assert method is not None, "only a contender with a method is trained"
        base, plain = open_base(origin.folder, origin.dtype, four_bit=self.contender.four_bit), None
        if start:
            model = load(base, start, trainable=True)
        else:
            # A base to be split may fit on no device whole.
            if isinstance(method, LoRA | Full) and not self.world.sharded and not work.labels:
                plain = plain_loss(base.to(self.world.device), work, self.world)
            model = method.attach(base, tokenizer=origin.chat.tokenizer, seed=self.seed)
        heads.fit(model, self._head(model, work), self.seed)
        self.world.place(model, list(adapter_parameters(model).values()))
        segments.adopt(causal(model))
        narrow(causal(model))
        if self.recipe.train.compile:
            fuse(causal(model))
        if self.recipe.train.checkpointing:
            inner = causal(model)  # transformers 5.2x changed the name
            enable = getattr(inner, "activation_checkpointing_enable", None) or inner.gradient_checkpointing_enable
            enable({"use_reentrant": False})
        return model, plain

    def _head(self, model: Any, work: Work) -> Head | None:
        kind = self.contender.head
        return Head(kind=kind, labels=work.labels, hidden=model.config.hidden_size) if kind else None

    def _settings(self) -> dict[str, Any]:
        """As trackers take them: plain values only."""
        method = self.contender.method
        knobs = {**self.recipe.train.model_dump(mode="json"), **(method.model_dump(mode="json") if method else {})}
        plain = {key: value for key, value in knobs.items() if isinstance(value, str | int | float | bool)}
        data = ", ".join(use.card.name for use in self.recipe.data_of(self.name))
        model = self.contender.model.id.rstrip("/").rpartition("/")[2]  # a folder's path is nobody else's business
        own = {"model": model, "data": data, "fingerprint": self.fingerprint}
        return {**plain, "contender": self.name, "seed": self.seed, **own}

    def _artifact(self, digest: str) -> Any:
        return adapter_artifact(self.recipe, self.name, self.seed, self.place, digest)

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
            training=facts.model_copy(update={"search": self.search}),
        )


def _refuse_split_views(steps: list[int], folder: Path) -> None:
    """Processes that go on from different steps would train a mixture, and say nothing."""
    if len(set(steps)) > 1:
        raise BadInput(
            f"{folder}: the processes see different checkpoints there (steps {', '.join(map(str, steps))}); --out must "
            f"be on a disk that all machines share; if it is, wait until they all see the newest, and start again"
        )
