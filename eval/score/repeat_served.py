"""The same contender again, where its model is served: other draws, one request at a time, its checkpoint run here.

Every pass is paid for like any question. The last two are greedy, since few servers draw the same twice; what ends a
server's own sampling cannot be known, so `sampling: server` leaves them out.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace

from eval.benchmark import Benchmark
from eval.endpoint import key_of, open_chat, refuse_likelihood
from eval.endpoint.client import Client
from eval.endpoint.probe import Proof, probe
from eval.items import ItemScore
from eval.repeatability import Batching, Floor, Parity, Repeatability, apart, changes
from eval.score.candidate import Candidate
from eval.score.ledger import progress
from eval.score.parity import compared, greedy, in_transformers
from eval.score.parts import Parts
from eval.score.questions import Question, sampled
from eval.score.served import Sitting
from finetune.mistakes import BadInput
from finetune.recipe import Recipe
from finetune.run import RunDir

DRAWN = "the server draws as it likes (sampling: server), so nothing can be asked twice alike"


def repeat(recipe: Recipe, name: str, scorer: str, benchmark: Benchmark, run: RunDir, count: int) -> Repeatability:
    """Measured on about `count` questions. BadInput: the server ignores what it is asked, or does not answer."""
    with opened(recipe, name, scorer, benchmark, run) as (sitting, proof):
        return _measured(sitting, proof, sampled(benchmark, count))


@contextmanager
def opened(
    recipe: Recipe, name: str, scorer: str, benchmark: Benchmark, run: RunDir
) -> Iterator[tuple[Sitting, Proof]]:
    """What is needed to ask a server, once it is proven to do as asked. BadInput: as `repeat`."""
    refuse_likelihood(recipe, benchmark)
    contender = recipe.contenders[name]
    engine, chat = contender.served, open_chat(contender)
    assert engine is not None, "asked for a served contender"
    client = Client(engine, key_of(engine))
    try:
        candidate = Candidate(name, 0, scorer, engine="openai", template=chat.digest if chat else "")
        parts = Parts(run.seed(name, 0), scorer, private=benchmark.private)
        sitting = Sitting(recipe, benchmark, run, contender, engine, client, chat, candidate, parts)
        yield sitting, probe(client, contender, chat, recipe.exam.samples)
    finally:
        client.close()


def _measured(sitting: Sitting, proof: Proof, asked: Sequence[Question]) -> Repeatability:
    recipe, threads = sitting.recipe, sitting.engine.concurrency
    weights = {task.name: task.weight for task in sitting.benchmark.tasks}
    answers = [each for question in asked for each in sitting.asked(question)]
    first = [each for each in answers if each.sample == 0]
    greedily = sitting.engine.sampling == "asked"
    with progress(2 * len(answers) + 2 * greedily * len(first), shown=True) as advance:
        once = sitting.answers(answers, proof, threads, advance)
        again = _seeded(sitting, 1).answers(answers[::-1], proof, threads, advance)
        drawless = replace(sitting, contender=greedy(sitting.contender))
        together = drawless.answers(first, proof, threads, advance) if greedily else []
        alone = drawless.answers(first, proof, 1, advance) if greedily else []
    batching = Batching(together=len(first) if threads > 1 else 0, changes=changes(together, alone)) if alone else None
    parity, why = _parity(drawless, asked, together, weights) if together else (None, DRAWN)
    missing = {**({} if parity else {"parity": why}), **({} if batching else {"batching": DRAWN})}
    return Repeatability(
        contender=sitting.candidate.name, seed=0, fingerprint=sitting.candidate.scorer, at=time.time(),
        kind=sitting.kind, questions=len(asked), answers=len(once), batch_tokens=recipe.exam.batch_tokens,
        floor=Floor(apart=apart(once, again, weights), changes=changes(once, again)),
        batching=batching, parity=parity, missing=missing,
    )  # fmt: skip


def _seeded(sitting: Sitting, step: int) -> Sitting:
    exam = sitting.recipe.exam
    changed = exam.model_copy(update={"seed": exam.seed + step})
    return replace(sitting, recipe=sitting.recipe.model_copy(update={"exam": changed}))


def _parity(
    sitting: Sitting, asked: Sequence[Question], theirs: Sequence[ItemScore], weights: Mapping[str, float]
) -> tuple[Parity | None, str]:
    """The same checkpoint here, greedily; or why not."""
    contender, name = sitting.contender, sitting.candidate.name
    if contender.model.family == "served":
        return None, "model.family is served, so its checkpoint is not known here"
    try:
        contender.model.folder()
    except BadInput as fault:
        return None, f"its weights are not here ({fault})"
    from eval.score import repeat as local  # torch and transformers take seconds to load
    from eval.score.sitting import Sitting as Here
    from finetune.world import World

    recipe = in_transformers(sitting.recipe, name, contender)
    world = World.open(None, None, sitting.run.folder)
    here = Here.open(recipe, name, 0, sitting.candidate.scorer, sitting.benchmark, sitting.run, world)
    passes = local.Passes.open(here, asked)
    with progress(len(passes.entries), shown=True) as advance:
        ours = passes.once(advance)
    return compared(here.kind, sitting.kind, here.desk.chat, ours, theirs, weights), ""
