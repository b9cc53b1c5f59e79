"""The pledge: everything that decides the outcome, hashed before any question has been scored.

A plan younger than a score makes the outcome EXPLORATORY, so the first time of an unchanged plan is kept, and every
plan and every scoring of the question leaves a line in attempts.jsonl (decision.md 5.11).
"""

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from eval.benchmark import Benchmark, find_card
from eval.extract import EXTRACTOR
from finetune.card import DataCard
from finetune.files import digest_of, write_whole
from finetune.methods import adapter_digest
from finetune.mistakes import BadInput
from finetune.recipe import Contender, DataUse, OpenAI, Recipe, data_root
from finetune.run import RunDir, SeedDir

# Keys of costs younger than plans that were kept: at these values they change nothing.
YOUNGER: dict[str, Any] = {
    "failed": 0, "speedup": 1, "uncertainty": 0, "planned": None, "device": None,
    "question": 0, "exchange": {}, "quote": None,
}  # fmt: skip


# From what the length of an answer is told: an earlier scoring of the contender, its log so far, a timing, an
# assumption by whether it thinks; `limit` is an upper bound (eval.foretold.lengths). Plans of before have none.
Told = Literal["", "scored", "logged", "timed", "assumed", "limit"]


class Foretold(BaseModel):
    """What the exam was foretold to take one contender, all seeds together; no part of the promise."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    answers: int  # that are written
    tokens_written: float
    told: Told = ""  # from what
    seconds: float | None = None  # device-seconds; None where no device is priced by name, or its speed is not known
    device: str = ""  # as the shelf names it


class Plan(BaseModel):
    """What was promised, and when."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    digest: str
    at: float  # seconds since the epoch
    extractor: str = ""  # that reads written answers; none where no task has them
    foretold: dict[str, Foretold] = {}  # by contender

    @property
    def short(self) -> str:
        """The twelve characters that a committee writes down."""
        return self.digest[:12]


def digest(recipe: Recipe, benchmark: Benchmark, extractor: str = "") -> str:
    """sha256 of all that decides: contenders, data, questions, weights, sampling, extractor, rule, costs.

    `extractor` is today's unless one is named: what another one read stays as it is until it is regraded.
    """
    return digest_of(promise(recipe, benchmark, extractor))


def refuse_untimed(recipe: Recipe) -> None:
    """BadInput: the margin waits for a timing that is not there, so that nothing can be promised yet."""
    planned = recipe.costs.planned
    if planned and planned.timing and not planned.timed:
        raise BadInput(
            f"costs.planned.timing: {planned.timing} holds no timing.json of challengers and incumbent, and the margin "
            f"needs it before the exam; run: tuneworth train RECIPE, then tuneworth score RECIPE --timing"
        )


def keep(
    recipe: Recipe,
    run: RunDir,
    benchmark: Benchmark | None = None,
    foretell: Callable[[], dict[str, Foretold]] | None = None,
) -> Plan:
    """Write recipe.json unless the same plan stands there; the first time of an unchanged plan is kept, and so is what
    the exam was foretold to take then (`foretell`, asked for a new plan alone).

    A smoke run, of which no verdict comes, may go to another plan and back: the one before is set aside.
    """
    refuse_untimed(recipe)
    benchmark = benchmark or Benchmark.read(recipe)
    at = time.time()  # before the look: whoever promises the same meanwhile, and scores, is younger than this plan
    standing = read(run)
    if standing and standing.digest == digest(recipe, benchmark, standing.extractor):
        return standing
    said = promise(recipe, benchmark)
    found = digest_of(said)
    if recipe.purpose == "smoke":
        at = kept(run).get(found, at)
        if standing:
            SeedDir(run.folder).set_aside([run.plan], standing.digest)
    foretold = foretell() if foretell else {}
    meanwhile = read(run)
    if meanwhile and meanwhile != standing and meanwhile.digest == found:
        return meanwhile  # another contender's scorer kept it while this one foretold
    plan = Plan(digest=found, at=at, extractor=said.get("extractor", ""), foretold=foretold)
    _write(run, recipe, plan, said)
    return plan


def _write(run: RunDir, recipe: Recipe, plan: Plan, said: dict[str, Any]) -> None:
    """recipe.json, noted among the attempts before it is there."""
    text = _resolved(recipe, plan, said)
    last: dict[str, Any] = next(reversed(run.attempted()), {})
    if (last.get("event"), last.get("digest")) != ("plan", plan.digest):  # noted already, if it was ended here
        run.attempt("plan", digest=plan.digest, promise=said)  # first: what a kill between the two leaves is on record
    write_whole(run.plan, text)


def _resolved(recipe: Recipe, plan: Plan, said: dict[str, Any]) -> str:
    """What recipe.json holds: plan and promise, the recipe in full and as it was given, and where its cards lie."""
    when = plan.model_dump(exclude={"extractor"})  # which stands in the promise
    given = recipe.model_dump(mode="json", exclude_unset=True)  # what fingerprints can be found from again
    cards = {use.card.name: str(use.card.path) for use in (*recipe.data_used, *recipe.train.exclude)}
    resolved = recipe.model_dump(mode="json")
    whole = {"plan": when, "promise": said, "recipe": resolved, "given": given, "cards": cards}
    return json.dumps(whole, ensure_ascii=False, indent=1) + "\n"


def read(run: RunDir) -> Plan | None:
    """The plan of record, or None where nothing was promised. BadInput: the file holds none."""
    if not run.plan.is_file():
        return None
    try:
        found = json.loads(run.plan.read_text("utf-8"))
        return Plan.model_validate(found["plan"] | {"extractor": found.get("promise", {}).get("extractor", "")})
    except (ValueError, KeyError, TypeError, AttributeError):
        raise BadInput(
            f"{run.plan}: holds no plan; move it away, and the scores it was kept for count as exploratory"
        ) from None


def restored(run: RunDir) -> Recipe:
    """The recipe of record, as it was resolved; its cards where they lay, or by name as a task's are looked for.

    BadInput: none is kept, it is another version's, or a card is not at hand.
    """
    if not run.plan.is_file():
        raise BadInput(f"{run.plan}: no such file; a run keeps its recipe there once it is scored")
    try:
        found = json.loads(run.plan.read_text("utf-8"))
        raw, cards = found["given"], found["cards"]
        own = [(chosen, "data") for chosen in raw["contenders"].values()]
        for holder, key in [(raw, "data"), (raw.get("train", {}), "exclude"), *own]:
            if holder.get(key):
                holder[key] = [_use(each, cards) for each in holder[key]]
        return Recipe.model_validate(raw)
    except (KeyError, TypeError, AttributeError, json.JSONDecodeError, ValidationError):
        raise BadInput(
            f"{run.plan}: no recipe that can be read back, as earlier versions kept none; judge by the recipe's file"
        ) from None


def _use(said: dict[str, Any], cards: dict[str, str]) -> DataUse:
    card = DataCard.model_validate(said["card"])
    place = Path(cards.get(card.name, ""))
    return DataUse(card=card.lying(place if place.is_file() else find_card(card.name).path), split=said["split"])


def promised(run: RunDir) -> list[dict[str, Any]]:
    """Every promise that was ever kept here, oldest first; where attempts.jsonl is older than them only the last."""
    lines = [line for line in run.attempted() if line.get("event") == "plan"]
    found = [line["promise"] for line in lines if isinstance(line.get("promise"), dict)]
    if not run.plan.is_file():
        return found
    standing = json.loads(run.plan.read_text("utf-8")).get("promise")
    return found if not isinstance(standing, dict) or standing in found[-1:] else [*found, standing]


def kept(run: RunDir) -> dict[str, float]:
    """Every plan that was ever kept here, by digest, and its first time (seconds since the epoch)."""
    plans = [line for line in run.attempted() if line.get("event") == "plan" and "digest" in line]
    return {line["digest"]: line["at"] for line in reversed(plans)}


def promise(recipe: Recipe, benchmark: Benchmark, extractor: str = "") -> dict[str, Any]:
    """All that decides, as `digest` hashes it."""
    exam, root = recipe.exam, data_root()
    return {
        "question": recipe.question,
        "purpose": recipe.purpose,
        "contenders": {name: _contender(recipe, name) for name in recipe.contenders},
        "data": [[use.card.digest(root), use.split] for use in recipe.data],
        "tasks": {task.name: [task.digest, task.weight, len(task.rows)] for task in benchmark.tasks},
        **({"beside": {task.name: task.digest for task in benchmark.beside}} if benchmark.beside else {}),
        "exam": {"samples": exam.samples, "seed": exam.seed, "dev": exam.dev},
        **({"judge": exam.judge.identity()} if exam.judge else {}),
        **_reading(benchmark, extractor),
        **_dates(recipe, benchmark),
        "rule": _rule(recipe),
        "costs": _costs(recipe.costs.model_dump(mode="json")),
        "missing": "scores 0",
        "looks": 1,
    }


def _rule(recipe: Recipe) -> dict[str, Any]:
    """Without younger keys that nothing was given for."""
    rule = recipe.rule
    return rule.model_dump(mode="json", exclude={key for key in ("guards", "required") if not getattr(rule, key)})


def _costs(found: dict[str, Any]) -> dict[str, Any]:
    """Without the younger keys that change nothing: a plan of before they were there stays the same."""
    planned = found["planned"] and {
        key: value for key, value in found["planned"].items() if key != "timing" and (key != "timed" or value)
    }  # the path is this machine's, what was timed is the promise
    if planned and "timed" in planned:
        planned["timed"] = [
            {key: value for key, value in each.items() if value is not None} for each in planned["timed"]
        ]
    quote = found["quote"] and {key: value for key, value in found["quote"].items() if key != "source_zh"}
    found = {**found, "planned": planned, "quote": quote}
    return {key: value for key, value in found.items() if key not in YOUNGER or value != YOUNGER[key]}


def _reading(benchmark: Benchmark, extractor: str) -> dict[str, str]:
    """What reads answers out of text, where a task has them written: no other score depends on it."""
    return {"extractor": extractor or EXTRACTOR} if benchmark.written else {}


def _dates(recipe: Recipe, benchmark: Benchmark) -> dict[str, Any]:
    """What tells which questions are younger than whom, where a card of the exam dates any; who said so does not."""
    exam = [task.card for task in benchmark.tasks]
    if not any(card.dates for card in exam):
        return {}
    cards = [*exam, *(use.card for use in recipe.data_used)]
    known = {
        name: [str(stated.last) if stated else None for stated in (chosen.cutoff, chosen.model.cutoff)]
        + [str(chosen.model.released_on) if chosen.model.released_on else None]
        for name, chosen in recipe.contenders.items()
    }
    keys = {"every", "column", "pattern", "later"}  # a younger key, at what changes nothing, is left out
    told = {card.name: card.dates.model_dump(mode="json", include=keys) for card in cards if card.dates}
    return {"dates": {"cards": told, "cutoff, model's, release": known}}


def _elsewhere(chosen: Contender) -> dict[str, Any]:
    """Of answers given elsewhere, whose log is not there yet when the plan is older than it, as it should be."""
    return {"items of": [chosen.model.id, chosen.model.revision], "query_cost": chosen.query_cost}


def _contender(recipe: Recipe, name: str) -> dict[str, Any]:
    chosen = recipe.contenders[name]
    return {
        "model": chosen.weights() if chosen.items is None else _elsewhere(chosen),
        "rendering": [chosen.model.family, chosen.model.think, chosen.model.dtype],
        "decoding": chosen.model.decoding.model_dump(mode="json"),
        "prompt": chosen.prompt.model_dump(mode="json") if chosen.prompt else None,
        "training": [recipe.train_fingerprint(name, seed) for seed in recipe.seeds(name)] if chosen.method else None,
        "adapter": adapter_digest(Path(chosen.adapter)) if chosen.adapter else None,
        "adapter_cost": chosen.adapter_cost,
        **({"prices": _token_prices(chosen.served)} if chosen.served else {}),
    }


def _token_prices(engine: OpenAI) -> list[float | None]:
    """Of a million tokens read and written; what kept tokens cost only where some are expected."""
    kept = [engine.price_cached, engine.cached_share] if engine.cached_share else []
    return [engine.price_in, engine.price_out, *kept]
