"""One contender and seed sits the exam: its model loaded, every question answered and graded once, rows kept as made.

Questions are dealt out to the processes, each writing a file of its own (`eval.score.parts`). The manifest comes last.
"""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

from transformers import AutoConfig

from eval import items, pledge
from eval.answerable import refuse_tasks
from eval.benchmark import Benchmark
from eval.extract import EXTRACTOR
from eval.grading import anew, spoken
from eval.items import ItemScore
from eval.lm.budget import Budget
from eval.lm.context import refuse_windows
from eval.lm.draw import vocabulary
from eval.lm.vllm_engine import Paged, need_vllm, version
from eval.repeatability import Kind
from eval.score.answers import Desk, Entry, likelihood_chat
from eval.score.ledger import begin, column, first_start, progress, rendering, task_facts, tell
from eval.score.paged import prove, rank_of
from eval.score.parts import Parts
from eval.score.probe import checked_adapter, probe
from eval.score.questions import questions
from finetune.chat import Chat
from finetune.files import digest_of
from finetune.methods import adapter_digest, heads, load
from finetune.mistakes import BadInput
from finetune.product import adopt
from finetune.recipe import Recipe
from finetune.recipe.engine_fit import Words
from finetune.run import (
    AdapterProbe,
    Hardware,
    RunDir,
    RunManifest,
    ScoreFacts,
    git_state,
    host,
    versions,
)
from finetune.world import World, open_base, said_dtype


def sit(
    recipe: Recipe, name: str, pending: Sequence[tuple[int, str]], benchmark: Benchmark, run: RunDir,
    why: Words | None = None,
) -> None:  # fmt: skip
    """Score one contender for each pending (seed, score fingerprint); `why` by its engine, where it was chosen."""
    paged = recipe.contenders[name].vllm
    if paged and os.environ.get("WORLD_SIZE", "1") != "1":
        raise BadInput(f"contender {name}: vLLM takes its devices itself (engine.tensor_parallel); start one process")
    world = World.open(None if paged else recipe.exam.launch, None, run.folder)
    if world.sharded or world.zero:
        raise BadInput(f"exam.launch: {recipe.exam.launch} splits the model, which is not built; use a DDP file")
    for seed, fingerprint in pending:
        Sitting.open(recipe, name, seed, fingerprint, benchmark, run, world, why).take()
    world.accelerator.end_training()


@dataclass(frozen=True)
class Sitting:
    """What is needed to score one contender and seed; `take` does it."""

    recipe: Recipe
    benchmark: Benchmark
    run: RunDir
    world: World
    desk: Desk
    parts: Parts
    adapter: Path | None

    @classmethod
    def open(
        cls, recipe: Recipe, name: str, seed: int, scorer: str, benchmark: Benchmark, run: RunDir, world: World,
        why: Words | None = None,
    ) -> Sitting:  # fmt: skip
        """Check what must be there. BadInput before anything is written."""
        contender, place = recipe.contenders[name], run.seed(name, seed)
        if contender.vllm:
            need_vllm()
        chat = Chat.open(contender.model.folder(), contender.model.family, contender.model.think)
        adapter = checked_adapter(recipe, name, seed, place, chat)
        head = heads.read(adapter) if adapter else None
        if head:
            refuse_tasks(name, head.kind, head.labels, benchmark.asked, shown=recipe.taught_openly(name))
        templates = chat.digest, likelihood_chat(chat).digest
        rank = world.accelerator.process_index
        desk = Desk(name, seed, contender, recipe.exam, chat, scorer, rank, head, templates, why)
        parts = Parts(place, scorer, private=benchmark.private)
        return cls(recipe, benchmark, run, world, desk, parts, adapter)

    @property
    def kind(self) -> Kind:
        """Engine and dtype, as the manifest has them."""
        chosen = self.desk.contender
        sums, model = self.world.dtype(chosen.model.dtype), chosen.model.folder()
        dtype = said_dtype(sums, four_bit=chosen.four_bit, folder=model)
        if chosen.vllm:
            return f"vllm {version()} on {self.world.device.type}", dtype
        return f"transformers {versions()['transformers']} on {self.world.device.type}", dtype

    def take(self) -> None:
        """Score what is missing, merge the processes' files and write the manifest."""
        asked = [question for task in self.benchmark.asked for question in questions(task)]
        entries = [entry for question in asked for entry in self.desk.entries(question)]
        model, proof = self.opened(entries)
        try:
            first_at = self._begin()
            done = self.parts.done((self.desk.key(entry), entry.prompt) for entry in entries)
            pending = [entry for entry in entries if self.desk.key(entry) not in done]
            self.world.accelerator.wait_for_everyone()  # all have read what stands there before anyone appends
            self.desk.candidate.say(f"{len(pending)} of {len(entries)} answers to go")
            self._answer(model, pending)
        finally:
            if isinstance(model, Paged):
                model.close()  # before the processes part: it is a party of its own
        self.world.accelerator.wait_for_everyone()
        if self.world.main:
            self._finish(self._merged(entries), first_at, proof)
        self.world.accelerator.wait_for_everyone()

    def opened(self, entries: Sequence[Entry]) -> tuple[Any, AdapterProbe | None]:
        """The model, ready to answer these, and the proof that its adapter is on. BadInput: a prompt is too long."""
        if self.desk.contender.vllm:
            return self._paged(entries)
        base = self._base()
        self._refuse_too_long(entries, base.config)
        model, proof = self._tuned(base, entries)
        adopt(model)  # its adapter's layers too
        return model, proof

    def _paged(self, entries: Sequence[Entry]) -> tuple[Paged, AdapterProbe | None]:
        """The same in vLLM, which is given room for the longest of these."""
        spec, engine = self.desk.contender.model, self.desk.contender.vllm
        assert engine is not None, "asked for a contender that vLLM runs"
        rank = rank_of(self.adapter)
        config = AutoConfig.from_pretrained(spec.folder(), trust_remote_code=False, local_files_only=True)
        self._refuse_too_long(entries, config)
        if self.desk.head:
            raise BadInput(f"adapter {self.adapter}: has a classification head, which vLLM cannot ask; say engine: hf")
        base = Paged.open(
            spec.folder(), str(self.world.dtype(spec.dtype)).removeprefix("torch."), engine,
            known=self._known(config.vocab_size), rows=config.vocab_size, rank=rank,
            longest=max(len(entry.prompt) + self.desk.room(entry) for entry in entries),
            tokens=self.recipe.exam.batch_tokens, processor=self.world.device.type == "cpu",
        )  # fmt: skip
        if self.adapter is None:
            return base, None
        model, proof = prove(base, self.adapter, list(dict.fromkeys(entry.prompt for entry in entries)))
        return model, self._convincing(proof)

    def _base(self) -> Any:
        spec = self.desk.contender.model
        base = open_base(spec.folder(), self.world.dtype(spec.dtype), four_bit=self.desk.contender.four_bit)
        model = base.to(self.world.device).eval()
        self._known(model.config.vocab_size)
        return model

    def _known(self, rows: int) -> int:
        """Tokens that the tokenizer knows. BadInput: more than the model has `rows` for."""
        known = vocabulary(self.desk.chat)
        if known > rows:
            raise BadInput(
                f"model {self.desk.contender.model.id}: its tokenizer knows {known} tokens, but the model only {rows}; "
                f"they do not belong together"
            )
        return known

    def _refuse_too_long(self, entries: Sequence[Entry], config: Any) -> None:
        """A prompt cut in silence would be another question, and so would one that a layer sees a window of."""
        limit = config.max_position_embeddings
        refuse_windows(config, max(len(entry.prompt) + self.desk.room(entry) for entry in entries))
        for entry in entries:
            length, room = len(entry.prompt), self.desk.room(entry)
            if length + room > limit:
                raise BadInput(
                    f"task {entry.question.task.name}, {entry.question.row.id}: {length} tokens of prompt and {room} "
                    f"of answer exceed the model's {limit}; lower decoding.max_new_tokens or shorten the prompt"
                )

    def _begin(self) -> float:
        """Keep the plan, set aside what is stale, and note the start. Gives the time of the first start."""
        if self.world.main:
            begin(self.recipe, self.run, self.benchmark, self.parts, self.desk.candidate)
        self.world.accelerator.wait_for_everyone()
        begun = first_start(self.run, self.parts.scorer)
        assert begun is not None, "the main process has just noted it"
        return begun

    def _tuned(self, base: Any, entries: Sequence[Entry]) -> tuple[Any, AdapterProbe | None]:
        """The model with its adapter, and the proof that it does something."""
        folder = self.adapter
        if folder is None:
            return base, None
        prompts = list(dict.fromkeys(entry.prompt for entry in entries))
        model, proof = probe(base, lambda model: load(model, folder).to(self.world.device).eval(), prompts)
        return model, self._convincing(proof)

    def _convincing(self, proof: AdapterProbe) -> AdapterProbe:
        """A proof that the adapter does something, which is said. BadInput: it does not."""
        if proof.norm == 0 or proof.kl == 0:
            nothing = f"changes nothing (norm {proof.norm:g}, KL {proof.kl:g})"
            raise BadInput(f"adapter {self.adapter}: {nothing}; train it again")
        self.desk.candidate.say(f"adapter on, KL to the base {proof.kl:.3g}, of the base to itself {proof.kl_same:.3g}")
        return proof

    def _answer(self, model: Any, pending: Sequence[Entry]) -> None:
        """This process's share, rows appended as soon as they are graded."""
        mine = [self._share([e for e in pending if e.question.task is task]) for task in self.benchmark.asked]
        budget = Budget(self.recipe.exam.batch_tokens)
        with progress(sum(map(len, mine)), shown=self.world.main) as advance:
            for entries in mine:
                for rows in self.desk.answers(model, entries, budget):
                    items.append(self.parts.of(self.desk.rank), rows, private=self.parts.private)
                    advance(rows)

    def _share(self, entries: Sequence[Entry]) -> list[Entry]:
        """Questions are dealt out by length, each with all its samples: every process has as much to do."""
        asked = [list(same) for _, same in groupby(entries, key=lambda entry: entry.question.row.id)]
        asked.sort(key=lambda same: -len(same[0].prompt))
        return [entry for same in asked[self.desk.rank :: self.world.size] for entry in same]

    def _merged(self, entries: Sequence[Entry]) -> list[ItemScore]:
        """All rows; what an earlier extractor read, before a kill and an update, is read by today's."""
        asked = {self.desk.key(entry): entry.question for entry in entries}
        return self.parts.merge(
            list(asked), lambda row: anew(row, asked[row.key].task, asked[row.key].row, spoken(self.desk.chat))
        )

    def _finish(self, rows: Sequence[ItemScore], first_at: float, proof: AdapterProbe | None) -> None:
        engine, size = self.desk.contender.vllm, self.world.size
        devices = engine.tensor_parallel if engine else size
        RunManifest(
            stage="score", contender=self.desk.name, seed=self.desk.seed, fingerprint=self.parts.scorer,
            started_at=first_at, finished_at=time.time(), device_seconds=sum(row.seconds or 0.0 for row in rows),
            versions=versions(), git=git_state(Path(__file__).parent), scoring=self._facts(rows, first_at, proof),
            hardware=Hardware(device=self.world.device_name(), devices=devices, processes=size, host=host()),
        ).write(self.parts.place.score_manifest)  # fmt: skip
        column(self.benchmark, self.parts)
        tell(self.benchmark, rows, self.desk.candidate)

    def _facts(self, rows: Sequence[ItemScore], first_at: float, proof: AdapterProbe | None) -> ScoreFacts:
        desk, exam, promised = self.desk, self.recipe.exam, pledge.read(self.run)
        spec, frame = desk.contender.model, desk.contender.prompt
        assert promised is not None, "the plan is kept before the first answer"
        return ScoreFacts(
            plan_digest=promised.digest,
            first_score_at=first_at,
            tasks=tuple(task_facts(self.benchmark)),
            weights_digest=spec.digest(),
            adapter_digest=adapter_digest(self.adapter) if self.adapter else None,
            adapter_probe=proof,
            chat_digest=desk.chat.digest,
            template=rendering(desk.chat, spec.folder()) | {"likelihood_think": likelihood_chat(desk.chat).think},
            frame_digest=digest_of(frame.model_dump(mode="json")) if frame else None,
            decoding=spec.decoding.model_dump(mode="json"),
            engine=self.kind[0],
            engine_why=desk.why[0] if desk.why else "",
            engine_why_zh=desk.why[1] if desk.why else "",
            dtype=self.kind[1],
            batch_tokens=exam.batch_tokens,
            samples=exam.samples,
            extractor=EXTRACTOR,
            items=len(rows),
            generated_tokens=sum(row.tokens_out or 0 for row in rows),
        )
