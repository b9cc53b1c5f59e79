"""One contender whose model is served sits the exam: its server probed, every question asked and graded once, rows kept
as they come. Nothing of this needs torch; one process asks, with many requests under way.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from eval import items, pledge
from eval.benchmark import Benchmark
from eval.endpoint import key_of, open_chat, refuse_likelihood
from eval.endpoint.asking import ask_all
from eval.endpoint.client import Client, Refused
from eval.endpoint.probe import Proof, probe, refuse_misread
from eval.endpoint.rounds import in_rounds
from eval.endpoint.wire import Prompt, Said, filtered, read, request
from eval.extract import EXTRACTOR
from eval.grading import anew, graded, spoken
from eval.items import ItemScore, draw_seed, turn_seed
from eval.repeatability import Kind
from eval.score.candidate import Candidate
from eval.score.ledger import begin, column, first_start, progress, rendering, task_facts, tell
from eval.score.parts import Parts
from eval.score.questions import Question, questions
from finetune.chat import Chat
from finetune.files import digest_of
from finetune.mistakes import BadInput
from finetune.recipe import Contender, OpenAI, Recipe
from finetune.run import Hardware, RunDir, RunManifest, ScoreFacts, ServedFacts, git_state, host, versions

SEEDS = 2**31  # some servers take no larger one


@dataclass(frozen=True)
class Asked:
    """One answer to be given, and the prompt for it: the user's turn, and our rendering where it is sent."""

    question: Question
    sample: int
    text: str
    ids: tuple[int, ...]


def sit(recipe: Recipe, name: str, pending: Sequence[tuple[int, str]], benchmark: Benchmark, run: RunDir) -> None:
    """Score one served contender under its score fingerprint."""
    refuse_likelihood(recipe, benchmark)
    contender = recipe.contenders[name]
    engine = contender.served
    assert engine is not None, "asked for a served contender"
    for seed, fingerprint in pending:
        client = Client(engine, key_of(engine))
        try:
            chat = open_chat(contender)
            candidate = Candidate(name, seed, fingerprint, engine="openai", template=chat.digest if chat else "")
            parts = Parts(run.seed(name, seed), fingerprint, private=benchmark.private)
            Sitting(recipe, benchmark, run, contender, engine, client, chat, candidate, parts).take()
        finally:
            client.close()


@dataclass(frozen=True)
class Sitting:
    """What is needed to ask one server; `take` does it."""

    recipe: Recipe
    benchmark: Benchmark
    run: RunDir
    contender: Contender
    engine: OpenAI
    client: Client
    chat: Chat | None
    candidate: Candidate
    parts: Parts

    @property
    def kind(self) -> Kind:
        """Engine and dtype, as the manifest has them."""
        return f"openai {self.engine.api}, {self.engine.model} at {self.engine.host}", "as served"

    def take(self) -> None:
        """Probe the server, ask what is missing, merge and write the manifest."""
        asked = [each for task in self.benchmark.asked for question in questions(task) for each in self.asked(question)]
        proof = probe(self.client, self.contender, self.chat, self.recipe.exam.samples)
        again = {True: ", a seed draws the same twice", False: ", a seed draws anew each time", None: ""}
        self.candidate.say(f"{self.engine.host} does as asked, prompts as {proof.form}{again[proof.seeds_repeat]}")
        begin(self.recipe, self.run, self.benchmark, self.parts, self.candidate)
        first_at = first_start(self.run, self.parts.scorer)
        assert first_at is not None, "it has just been noted"
        done = self.parts.done((self._key(each), each.ids or each.text) for each in asked)
        pending = [each for each in asked if self._key(each) not in done]
        self.candidate.say(f"{len(pending)} of {len(asked)} answers to go")
        said = self._ask(pending, proof)
        keyed = {self._key(each): each.question for each in asked}
        apart = spoken(self.chat)
        rows = self.parts.merge(list(keyed), lambda row: anew(row, keyed[row.key].task, keyed[row.key].row, apart))
        self._finish(rows, first_at, self._served(proof, said, rows))

    def _key(self, each: Asked) -> Any:
        return self.candidate.key(each.question, each.sample)

    def asked(self, question: Question) -> list[Asked]:
        """A question's answers to be given, one for each sample."""
        frame = self.contender.prompt
        text = frame.wrap(question.text) if frame else question.text
        ids = tuple(self.chat.prompt([{"role": "user", "content": text}])) if self.chat else ()
        return [Asked(question, sample, text, ids) for sample in range(self.recipe.exam.samples)]

    def _ask(self, pending: Sequence[Asked], proof: Proof) -> set[tuple[str, str]]:
        """Every answer appended as it comes. Gives how the server named its model and its system."""
        seen = {(proof.model, proof.fingerprint)}

        def ask(each: Asked) -> tuple[Said, float]:
            return self._once(each, proof)

        with progress(len(pending), shown=True) as advance:
            for each, (said, seconds) in ask_all(pending, ask, self.engine.concurrency, self.client.stop):
                row = self._row(each, said, seconds)
                items.append(self.parts.of(0), [row], private=self.parts.private)
                advance([row])
                seen.add((said.model, said.fingerprint))
        return seen

    def answers(self, asked: Sequence[Asked], proof: Proof, threads: int, advance: Any) -> list[ItemScore]:
        """Every answer, graded and kept by nobody, with so many requests under way."""

        def ask(each: Asked) -> tuple[Said, float]:
            return self._once(each, proof)

        rows = []
        for each, (said, seconds) in ask_all(asked, ask, threads, threading.Event()):  # the client goes on after it
            rows.append(self._row(each, said, seconds))
            advance(rows[-1:])
        return rows

    def _once(self, each: Asked, proof: Proof) -> tuple[Said, float]:
        """BadInput names the question and says that what was answered is kept."""

        def ask(written: tuple[int, ...], turn: int, most: int | None) -> tuple[Said, float]:
            return self._request(each, proof, written, turn, most)

        try:
            if self.chat and self.contender.model.decoding.thinking_tokens:
                return in_rounds(self.chat, self.contender, each.question.until, ask)
            return ask((), 0, None)
        except BadInput as fault:
            item = f"{each.question.task.name}/{each.question.row.id}"
            raise BadInput(f"{item}: {fault}; what was answered is kept, start again to go on") from None

    def _request(
        self, each: Asked, proof: Proof, written: tuple[int, ...], turn: int, most: int | None
    ) -> tuple[Said, float]:
        """One request, for what follows the prompt and what is written of the answer."""
        ids = (*each.ids, *written)
        prompt: Prompt = each.text
        if self.chat:
            prompt = ids if proof.form == "ids" else self.chat.decode(ids)
        seed = turn_seed(self._seed(each), turn) % SEEDS
        body = request(self.contender, self.engine, prompt, seed, each.question.until, most)
        try:
            said, seconds = self.client.ask(body, lambda found: read(found, self.chat, prompt))
        except Refused as fault:
            withheld = filtered(str(fault)) if fault.status == 400 else None
            if withheld:
                return withheld, 0.0
            raise
        if self.chat and (proof.form == "ids" or not written):  # as text what is written may be other tokens
            refuse_misread(self.engine.host, said, len(ids))
        return said, seconds

    def _seed(self, each: Asked) -> int:
        """As it is sent."""
        item = f"{each.question.task.name}/{each.question.row.id}"
        return draw_seed(self.recipe.exam.seed, item, each.sample) % SEEDS

    def _row(self, each: Asked, said: Said, seconds: float) -> ItemScore:
        """An answer that a stop string ends was not cut by the limit, whatever the server wrote behind it; one that is
        longer than the limit is cut, whatever the server says: the budget is the same for all."""
        limit = self.contender.model.decoding.max_new_tokens + 1  # some count the token that ends the answer
        ended = said.closed and any(end in said.answer for end in each.question.until if end)
        over = said.finish == "stop" and said.tokens_out > limit
        finish = "stop" if ended else "length" if over else said.finish
        question = each.question
        facts = graded(question.task, question.row, said.answer, closed=said.closed, finish=finish)
        drawn = self.engine.sampling == "asked" and self.contender.model.decoding.temperature > 0
        return self.candidate.row(
            question, each.sample, prompt=digest_of(each.ids or each.text), text=said.text, finish=finish,
            tokens_in=said.tokens_in,
            tokens_thinking=said.tokens_thinking, tokens_out=said.tokens_out, counted=said.counted, seconds=seconds,
            given=said.given,
            draw_seed=self._seed(each) if drawn else None, **facts,
        )  # fmt: skip

    def _served(self, proof: Proof, seen: set[tuple[str, str]], rows: Sequence[ItemScore]) -> ServedFacts:
        engine = self.engine
        return ServedFacts(
            host=engine.host, model=engine.model, api=engine.api, form=proof.form, sampling=engine.sampling,
            said_models=tuple(sorted({model for model, _ in seen if model})),
            fingerprints=tuple(sorted({mark for _, mark in seen if mark})),
            seeds_repeat=proof.seeds_repeat, retried=self.client.retried,
            tokens_in=sum(row.tokens_in or 0 for row in rows),
        )  # fmt: skip

    def _finish(self, rows: Sequence[ItemScore], first_at: float, served: ServedFacts) -> None:
        """Where tokens are paid for, no device of ours is."""
        seconds = 0.0 if self.engine.priced else sum(row.seconds or 0.0 for row in rows)
        RunManifest(
            stage="score", contender=self.candidate.name, seed=self.candidate.seed, fingerprint=self.parts.scorer,
            started_at=first_at, finished_at=time.time(), device_seconds=seconds, versions=versions(),
            git=git_state(Path(__file__).parent), scoring=self._facts(rows, first_at, served),
            hardware=Hardware(device=f"served at {self.engine.host}", devices=1, processes=1, host=host()),
        ).write(self.parts.place.score_manifest)  # fmt: skip
        column(self.benchmark, self.parts)
        tell(self.benchmark, rows, self.candidate)

    def _facts(self, rows: Sequence[ItemScore], first_at: float, served: ServedFacts) -> ScoreFacts:
        """What cannot be known of a server stays empty: its weights, and its template where it was sent messages."""
        model, frame, promised = self.contender.model, self.contender.prompt, pledge.read(self.run)
        assert promised is not None, "the plan is kept before the first answer"
        return ScoreFacts(
            plan_digest=promised.digest, first_score_at=first_at, tasks=tuple(task_facts(self.benchmark)),
            weights_digest="", adapter_digest=None, adapter_probe=None,
            chat_digest=self.chat.digest if self.chat else "",
            template=rendering(self.chat, model.tokenizer_folder()) if self.chat else {},
            frame_digest=digest_of(frame.model_dump(mode="json")) if frame else None,
            decoding=model.decoding.model_dump(mode="json"),
            engine=self.kind[0], dtype=self.kind[1],
            batch_tokens=self.recipe.exam.batch_tokens, samples=self.recipe.exam.samples, extractor=EXTRACTOR,
            items=len(rows), generated_tokens=sum(row.tokens_out or 0 for row in rows), served=served,
        )  # fmt: skip
