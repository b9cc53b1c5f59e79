"""What a server would be asked and paid: tokens and money of the contenders whose model is served."""

from pathlib import Path

from rich.text import Text

from eval.benchmark import Benchmark
from eval.foretold.lengths import written
from eval.foretold.load import FRAME
from finetune import plan
from finetune.card import ask
from finetune.recipe import Recipe


def served(recipe: Recipe, benchmark: Benchmark, name: str, out: Path) -> Text:
    """One line for one served contender. Tokens read are guessed from characters, tokens written as for any other.

    Where thoughts have a budget, an answer may take two requests, the second behind question and thought.
    """
    contender, samples = recipe.contenders[name], recipe.exam.samples
    engine = contender.served
    assert engine is not None, "asked for a served contender"
    questions = [
        contender.prompt.wrap(ask(row)) if contender.prompt else ask(row)
        for task in benchmark.asked
        for row in task.rows
    ]
    read = samples * sum(FRAME + plan.guess_tokens(text) for text in questions)
    limit, answers = contender.model.decoding.max_new_tokens, samples * len(questions)
    requests = str(answers)
    if budget := contender.model.decoding.thinking_tokens:
        requests, read = f"at most {2 * answers}", 2 * read + answers * budget
    each = written(recipe, benchmark, name, out)
    wrote, bound = answers * each.tokens, "at most " if each.told == "limit" else ""
    said = f"{name}: {requests} requests to {engine.host}, about {read:,.0f} tokens read"
    said += f" and {bound}{wrote:,.0f} written, {each.said}"
    if engine.priced:
        most, currency = engine.price(read, answers * limit), recipe.costs.currency
        said += f": {bound}{engine.price(read, wrote):,.2f} {currency}"
        said += "" if bound else f", {most:,.2f} were every answer at its limit"
    if engine.requests_per_minute:
        hours = answers / engine.requests_per_minute / 60
        said += f"; at {engine.requests_per_minute:g} a minute {hours:.1f} hours or more"
    return Text(said)
