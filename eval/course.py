"""The course of a run: checkpoints built, plan kept, contenders tuned and scored; what is done is skipped.

It reads manifests and starts engine rooms as lines of their own, so a killed run goes on where it was.
"""

import sys
from dataclasses import dataclass
from pathlib import Path

import typer

from eval import engines, pledge
from eval.answerable import refuse_unanswerable, refuse_unthought
from eval.benchmark import Benchmark, refuse_unjudgeable
from eval.blind import refuse_blind
from eval.endpoint import key_of, refuse_likelihood, refuse_misjudged, refuse_unready
from eval.foretold import foretold
from eval.grading import finished, outdated
from eval.launch import Job, Machine, Stage, line, spell, start
from eval.slurm import script
from finetune.chat import Chat
from finetune.files import cache_folder, sweep
from finetune.launch import absent, refuse_start
from finetune.mistakes import BadInput
from finetune.recipe import Recipe, data_root
from finetune.recipe.privacy import refuse_personal
from finetune.run import RunDir

PAUSED = 75  # as finetune.train gives it: outside of train.window, all saved, start again later


@dataclass(frozen=True)
class Course:
    """One recipe on its way through the engine rooms."""

    recipe: Recipe
    path: Path
    out: Path
    changes: tuple[str, ...] = ()
    dry_run: bool = False

    @property
    def folder(self) -> RunDir:
        return RunDir(self.out / self.recipe.name)

    def build(self) -> None:
        """Build the embedded checkpoints that are named and not there."""
        models = {c.model.id: c.model for c in self.recipe.contenders.values() if c.model.embedded and c.here}
        for model in models.values():
            try:
                model.folder()
            except ValueError:
                if not self.dry_run:
                    sweep(cache_folder() / "embedded")
                self._go([sys.executable, "-m", "finetune.embedded", model.embedded])

    def look(self) -> Benchmark:
        """The exam, once all is refused that the engine rooms would refuse later (a tokenizer, a broken line)."""
        recipe = self.recipe
        refuse_unready(list(recipe.contenders.values()))
        if recipe.exam.judge:
            key_of(recipe.exam.judge.engine)
        for contender in recipe.contenders.values():
            if contender.here:
                Chat.open(contender.model.folder(), contender.model.family, contender.model.think)
        for use in recipe.train.exclude:
            use.card.rows(data_root(), use.split)
        for use in recipe.data_used:
            for row in use.card.rows(data_root(), use.split):
                row.conversation()
        for name in recipe.methods:
            refuse_personal(recipe, name)
        benchmark = Benchmark.read(recipe)
        refuse_unanswerable(recipe, benchmark)
        refuse_likelihood(recipe, benchmark)
        refuse_misjudged(recipe, benchmark)
        refuse_unthought(recipe, benchmark)
        refuse_blind(recipe, benchmark)
        if recipe.purpose == "study":
            refuse_unjudgeable(benchmark)
        return benchmark

    def pledge(self) -> None:
        """Keep the plan before anything is scored."""
        if not self.dry_run:
            benchmark = self.look()
            plan = pledge.keep(self.recipe, self.folder, benchmark, lambda: foretold(self.recipe, benchmark, self.out))
            typer.echo(f"plan {plan.short}")

    def script(self, only: str | None) -> str:
        """All that is to be tuned as a job script for SLURM."""
        self._refuse_start(only)
        seeds = ((name, seed) for name in self._tuned(only) for seed in self.recipe.seeds(name))
        jobs = [Job("train", self.path, name, seed, self.out, self.changes) for name, seed in seeds]
        paused = {job.contender: self.folder.paused(job.contender) for job in jobs if self.recipe.train.window}
        return script(self.recipe.name, jobs, self.recipe.train.launch, self._searches(only), paused)

    def train(self, only: str | None) -> None:
        self._refuse_start(only)
        for note in self._searches(only) if self.dry_run else ():
            typer.echo(note)
        for name in self._tuned(only):
            for seed in self.recipe.seeds(name):
                if self._trained(name, seed):
                    typer.echo(f"train {name} seed {seed}: done, unchanged")
                else:
                    self._stage("train", name, seed, self.recipe.train.launch)

    def _trained(self, name: str, seed: int) -> bool:
        done = None if self.dry_run else self.folder.seed(name, seed).trained()
        return bool(done and done.fingerprint == self.recipe.train_fingerprint(name, seed))

    def _refuse_start(self, only: str | None) -> None:
        """Of all that is still to be tuned, before the first of them takes its hours."""
        Machine.read(self.recipe.train.launch)
        pending = (n for n in self._tuned(only) if not all(self._trained(n, seed) for seed in self.recipe.seeds(n)))
        refuse_start(self.recipe, pending)

    def score(self, only: str | None) -> None:
        benchmark = None if self.dry_run else Benchmark.read(self.recipe)
        for name in self.recipe.named(only):
            for seed in self.recipe.seeds(name):
                recipe = engines.as_begun(self.recipe, benchmark, self.folder) if benchmark else self.recipe
                place, done = self.folder.seed(name, seed), None
                if benchmark:
                    done = finished(place, recipe.score_fingerprint(name, seed, benchmark.digests))
                if benchmark and done:
                    note = outdated(done.scoring.extractor, benchmark.carded) if done.scoring else ""
                    typer.echo(f"score {name} seed {seed}: done, unchanged{note}")
                else:
                    chosen = recipe.contenders[name]  # one process asks a server, reads a log, or starts vLLM
                    many = chosen.here and not chosen.vllm
                    self._stage("score", name, seed, self.recipe.exam.launch if many else None)

    def time(self, only: str | None, count: int | None) -> None:
        """What a query takes challengers and incumbent, before the plan, for a margin of costs."""
        for name in [only] if only else [*self.recipe.rule.challengers, self.recipe.rule.incumbent]:
            words = line(Job("score", self.path, name, None, self.out, self.changes), None)
            self._go([*words, "--timing", *(["--items", str(count)] if count is not None else [])])

    def repeat(self, only: str | None, count: int | None) -> None:
        """What each contender differs by from itself, in one process each; measured anew every time."""
        for name in self.recipe.named(only):
            if self.recipe.contenders[name].items and only is None:
                continue  # its answers were given elsewhere: nobody can be asked again
            words = line(Job("score", self.path, name, None, self.out, self.changes), None)
            self._go([*words, "--probe", *(["--items", str(count)] if count is not None else [])])

    def membership(self, only: str | None) -> None:
        """How likely each contender finds the questions; who is asked elsewhere or answers by a head cannot say."""
        for name in self.recipe.named(only):
            chosen = self.recipe.contenders[name]
            if only is None and (chosen.items or chosen.served or chosen.head):
                continue
            self._go([*line(Job("score", self.path, name, None, self.out, self.changes), None), "--membership"])

    def export(self, name: str, seed: int | None, to: Path | None, *, merge: bool) -> None:
        """One tuned contender as a folder for others."""
        words = line(Job("export", self.path, name, seed, self.out, self.changes), None)
        words += [*(["--merge"] if merge else []), *(["--to", str(to)] if to else [])]
        typer.echo(spell(words))
        status = 0 if self.dry_run else start(words)
        if status:
            raise typer.Exit(2 if status == 2 else 1)

    def _tuned(self, only: str | None) -> list[str]:
        """One contender, or all that are tuned here; whoever they start from comes before them."""
        if only and only in self.recipe.contenders and self.recipe.contenders[only].method is None:
            raise BadInput(f"--contender {only}: has no method, so there is nothing to train")
        tuned = [name for name in self.recipe.named(only) if self.recipe.contenders[name].method]
        return list(dict.fromkeys(before for name in tuned for before in self.recipe.lineage(name)))

    def _searches(self, only: str | None) -> list[str]:
        """Comments on the lines that run more than they name: whichever seed comes first runs the trials before it."""
        counts = {name: len(self.recipe.trials(name)) for name in self._tuned(only)}
        return [
            f"# {name}: its first line runs {count} trials (method.search); the best is the training of seed "
            f"{self.recipe.train.seeds[0]}"
            for name, count in counts.items()
            if count
        ]

    def _stage(self, stage: Stage, contender: str, seed: int, launch: str | None) -> None:
        if not self.dry_run and (missing := absent(launch)):
            raise BadInput(missing)
        note = self.folder.paused(contender)
        if not self.dry_run:
            note.unlink(missing_ok=True)
        self._go(line(Job(stage, self.path, contender, seed, self.out, self.changes), launch), note)

    def _go(self, words: list[str], note: Path | None = None) -> None:
        """Run one line, or print it. `note` is there afterwards where the line paused, whatever its launcher says."""
        typer.echo(spell(words))
        status = 0 if self.dry_run else start(words)
        if status and note and note.is_file():
            raise typer.Exit(PAUSED)
        if status:
            typer.echo(
                f"tuneworth: that line ended with status {status}; what was done is kept, run again to go on", err=True
            )
            raise typer.Exit(status if status in (1, 2) else 1)
