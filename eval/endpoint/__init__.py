"""Endpoints: contenders whose model is served, asked over OpenAI's protocol for written answers. No torch here.

`client` sends and tries again, `wire` writes requests and reads replies, `probe` finds out whether a server does what
it is asked, `asking` keeps many requests under way, `rounds` asks again where a thought's budget ends.
"""

from __future__ import annotations

import os
from collections.abc import Sequence

from eval.benchmark import Benchmark
from finetune.chat import Chat
from finetune.mistakes import BadInput
from finetune.recipe import Contender, OpenAI, Recipe, is_loopback


def refuse_likelihood(recipe: Recipe, benchmark: Benchmark) -> None:
    """BadInput where a served contender would be asked to choose: an API tells nothing of an option's likelihood."""
    served = [name for name, contender in recipe.contenders.items() if contender.served]
    chosen = [task.name for task in benchmark.carded if task.protocol == "likelihood"]
    if served and chosen:
        raise BadInput(
            f"exam.tasks: {', '.join(chosen)} is scored by likelihood, which no API gives, and {', '.join(served)} has "
            f"engine openai; name {', '.join(f'{name}_gen' for name in chosen)}, where the answer is written"
        )


def refuse_misjudged(recipe: Recipe, benchmark: Benchmark) -> None:
    """BadInput: the judge would be shown choices, or questions that may not leave this machine for its server."""
    judge = recipe.exam.judge
    for task in benchmark.tasks if judge else ():
        if judge is None or task.name not in judge.tasks:
            continue
        if task.protocol != "generated":
            raise BadInput(f"exam.judge.tasks: {task.name} is scored by likelihood, so there is no answer to compare")
        if not is_loopback(judge.engine.url) and judge.engine.host not in task.card.hosts:
            raise BadInput(
                f"exam.judge.engine: {judge.engine.host} is not this machine; ask a server of this machine, or name it "
                f"in `hosts` of card {task.card.name}, if it may see the questions and the answers"
            )


def open_chat(contender: Contender) -> Chat | None:
    """Our rendering of a contender's prompts; None where a server renders messages itself, or nobody is asked."""
    engine, model = contender.served, contender.model
    if contender.here:
        return Chat.open(model.folder(), model.family, model.think)
    if engine is None or engine.api == "chat":
        return None
    return Chat.open(model.tokenizer_folder(), model.family, model.think)


def key_of(engine: OpenAI) -> str | None:
    """The key out of the environment; None where none is to be sent. BadInput never repeats what it found."""
    if engine.key_env is None:
        return None
    key = os.environ.get(engine.key_env, "").strip()
    if not key:
        raise BadInput(f"engine.key_env: {engine.key_env} is not set in the environment; export it, or leave it out")
    if not key.isascii() or not key.isprintable() or " " in key:
        raise BadInput(f"engine.key_env: what {engine.key_env} holds is no key (blanks, line breaks or non-ASCII)")
    return key


def refuse_unready(contenders: Sequence[Contender]) -> None:
    """BadInput where a served contender lacks its tokenizer or its key: before anything is written."""
    for contender in contenders:
        if contender.served:
            open_chat(contender)
            key_of(contender.served)
