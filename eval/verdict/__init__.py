"""The verdict: gates, comparisons and costs weighed by the rule (decision.md 5.7 and 5.8). Writes nothing.

`judge` reads a finished run; what it returns is verdict.json, and everything that the report shows.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field

from eval import gates
from eval.compare import Comparison
from eval.gates import Gate
from eval.money import Money
from eval.opinion.tally import Tally
from eval.verdict import wording
from eval.verdict.atlas import Atlas, atlas
from eval.verdict.canary import CanaryRow, canary_rows
from eval.verdict.clean import Contamination, contamination
from eval.verdict.contest import Contest
from eval.verdict.curve import Curve, curves
from eval.verdict.evidence import Evidence
from eval.verdict.grounding import Grounding, grounding
from eval.verdict.guards import GuardRow
from eval.verdict.lengths import Lengths, lengths
from eval.verdict.notes import Note, Outcome, exceptions, lasting, notes
from eval.verdict.outlook import Paying, Power, Settle, seen, settle, shelf, surely
from eval.verdict.plumbing import Plumbing, plumbing
from eval.verdict.predictions import Prediction, predictions
from eval.verdict.pricing import best, money
from eval.verdict.roll import ContenderRow, Provenance, TaskInfo, contender_rows, provenance, task_rows
from eval.verdict.ruling import Ruling, amount, decisive, headline, overall
from eval.verdict.sensitivity import Sensitivity, sensitivity
from eval.verdict.slices import Slice, slices
from eval.verdict.turns import Turns, turns
from eval.verdict.twins import Twins, twins
from eval.verdict.validity import asked, same_questions
from finetune.mistakes import BadInput
from finetune.recipe import Recipe
from finetune.run import RunDir

FROZEN = ConfigDict(frozen=True, extra="forbid")


class Contrast(BaseModel):
    """One of delta, tau, gamma. For delta, `low` is the bound that Holm tests, `high` the plain interval's."""

    model_config = FROZEN
    challenger: str
    incumbent: str
    gain: float
    low: float
    high: float
    n: int
    clusters: int


class Verdict(BaseModel):
    """verdict.json: everything the report shows."""

    model_config = FROZEN
    name: str
    question: str
    question_zh: str
    purpose: Literal["study", "smoke"]
    note: str
    note_zh: str
    outcome: Outcome
    sentence: str
    sentence_zh: str
    challenger: str
    incumbent: str
    base: str
    alternatives: tuple[str, ...]
    margin: float
    confidence: float
    claim: Literal["artifact", "recipe"] | None = None
    delta: Contrast | None = None
    tau: Contrast | None = None
    gamma: Contrast | None = None
    deciding: Contrast | None = Field(None, description="With the alternative on which the word turns; None: with Δ")
    rulings: tuple[Ruling, ...] = ()
    comparisons: tuple[Comparison, ...] = ()
    guards: tuple[GuardRow, ...] = Field((), description="What tuning must not harm; in no score")
    contamination: Contamination | None = Field(None, description="The clean subset, which training does not show")
    contenders: tuple[ContenderRow, ...]
    tasks: tuple[TaskInfo, ...]
    gates: tuple[Gate, ...]
    money: Money | None = None
    power: Power | None = None
    settle: tuple[Settle, ...] = ()
    flips: tuple[Turns, ...] = Field((), description="Questions on which the sides of a contrast differ; no score")
    slices: tuple[Slice, ...] = Field((), description="The gain by subject; exploratory, decides nothing")
    atlas: Atlas | None = Field(None, description="The gain by scenario and trait, and where the word does not hold")
    sensitivity: Sensitivity | None = Field(None, description="The rule's word in other ways of looking")
    curves: tuple[Curve, ...] = Field((), description="Gain against training rows, a family each; decides nothing")
    twins: Twins | None = Field(None, description="Items turned, in `exam.twins`; in no score")
    grounding: Grounding | None = Field(None, description="Invented answers and figures; in no score")
    canaries: tuple[CanaryRow, ...] = Field((), description="Planted secrets that come back; in no score")
    notes: tuple[Note, ...] = ()
    opinions: tuple[Tally, ...] = Field((), description="Of a judge of free answers, a task each; decides nothing")
    lengths: tuple[Lengths, ...] = Field((), description="Tokens of written answers, a contender each")
    predictions: tuple[Prediction, ...] = Field((), description="Costs as predicted, beside what they were")
    provenance: Provenance
    plumbing: Plumbing | None = Field(None, description="Of a smoke recipe: pass or fail, never a verdict")

    @classmethod
    def read(cls, path: Path) -> Self:
        """The verdict that was written. BadInput: none, or another version's."""
        if not path.is_file():
            raise BadInput(f"{path}: no such file; run `tuneworth judge` first")
        try:
            return cls.model_validate_json(path.read_text("utf-8"))
        except ValueError:
            raise BadInput(f"{path}: no verdict that this version writes; run `tuneworth judge` again") from None


def judge(recipe: Recipe, run: RunDir) -> Verdict:
    """The verdict on a finished run. BadInput where a stage is not done or the exam cannot be judged."""
    return weigh(Evidence.read(recipe, run))


def weigh(evidence: Evidence) -> Verdict:
    """Gates first: a contest is held only among contenders that answered the same questions."""
    sheets = [evidence.sheets[name] for name in evidence.judged]
    same = same_questions(evidence, sheets)
    contest = _contest(evidence) if all(gate.status == "passed" for gate in same) else None
    smoke = evidence.recipe.purpose == "smoke"  # names nobody, so nothing is shown to anyone
    shown = contamination(evidence, contest) if contest and not smoke else None
    checked = [*same, *asked(evidence, sheets, contest, shown)]
    if smoke:
        return _smoke(evidence, checked)
    return _study(evidence, contest, gates.raised(checked, evidence.recipe.rule.required), shown)


def _contest(evidence: Evidence) -> Contest | None:
    """A smoke exam may be too small for any interval; it is never judged anyway."""
    try:
        return Contest.of(evidence)
    except BadInput:
        if evidence.recipe.purpose == "smoke":
            return None
        raise


def _smoke(evidence: Evidence, checked: Sequence[Gate]) -> Verdict:
    found = plumbing(evidence, checked)
    words = wording.plumbing(found.passed, [(check.name, check.name_zh) for check in found.failed])
    return _verdict(evidence, checked, "plumbing", words, plumbing=found)


def _study(
    evidence: Evidence, contest: Contest | None, checked: Sequence[Gate], shown: Contamination | None
) -> Verdict:  # fmt: skip
    failed = [gate for gate in checked if gate.required and gate.status == "failed"]
    broken = [gate for gate in failed if gate.name != gates.PLAN[0]]
    if contest is None or broken:
        numbers = _numbers(evidence, contest, None, shown)
        return _verdict(evidence, checked, "invalid", wording.invalid(broken), **numbers)
    call = overall(contest.rulings)
    lead = headline(contest.rulings, call)
    numbers = _numbers(evidence, contest, lead, shown)
    if failed:
        words = _undecided(evidence, contest, lead, failed[0])
        return _verdict(evidence, checked, "exploratory", words, **numbers)
    open_gates = [gate for gate in checked if gate.required and gate.status in ("not_checked", "unresolved")]
    tried = sensitivity(evidence, contest)
    outcome: Outcome = "inconclusive" if open_gates or tried.turning else call
    passed = all(row.status == "passed" for row in contest.guards[lead.challenger])
    said = (
        *exceptions(numbers["atlas"], outcome == call and passed),
        *notes(evidence, contest, outcome, contest.guards[lead.challenger], shown),
    )
    paying = numbers["power"].paying
    steps = _steps(contest, lead, open_gates, tried.turned, paying) if outcome == "inconclusive" else ()
    spoken = [(note.text, note.text_zh) for note in said if note.headline]
    why = [*wording.unclear(open_gates), *tried.turned]
    told = _told(contest, lead, evidence.recipe.rule.incumbent)
    numbers["deciding"] = _contrast(told[0], lead.lows[told[0].incumbent]) if told[1:] else None
    said_first = _sentence(outcome, told, lead, contest.rulings, _terms(evidence, contest, lead, outcome), why, steps)
    words = wording.join([said_first, *spoken])
    return _verdict(evidence, checked, outcome, words, settle=steps, notes=said, sensitivity=tried, **numbers)


def _undecided(evidence: Evidence, contest: Contest, lead: Ruling, failed: Gate) -> wording.Words:
    """Of what was measured without a plan."""
    terms = _terms(evidence, contest, lead, "exploratory")
    return wording.exploratory(failed, contest.find("delta", lead.challenger), lead, contest.rulings, terms)


def _told(contest: Contest, lead: Ruling, incumbent: str) -> list[Comparison]:
    """The contrasts that the sentence tells: Δ, and before it the one with the alternative that decides."""
    rivals = dict.fromkeys((decisive(lead, incumbent), incumbent))
    found = {each.incumbent: each for each in contest.comparisons
             if each.challenger == lead.challenger and each.role in ("delta", "alternative")}  # fmt: skip
    return [found[name] for name in rivals]


def _sentence(
    outcome: Outcome, told: Sequence[Comparison], lead: Ruling, rulings: Sequence[Ruling], terms: wording.Words,
    why: Sequence[wording.Words], steps: Sequence[Settle],
) -> wording.Words:  # fmt: skip
    if outcome == "worth_it":
        return wording.worth_it(told, lead, rulings, terms)
    if outcome == "not_worth_it":
        return wording.not_worth_it(told, lead, rulings, terms)
    return wording.inconclusive(told, lead, rulings, terms, why, [(step.text, step.text_zh) for step in steps])


def _terms(evidence: Evidence, contest: Contest, lead: Ruling, outcome: Outcome) -> wording.Words:
    """Of the lead challenger's tuning; where a call is made, until when it stands."""
    found = contest.find("delta", lead.challenger)
    bill = next(each for each in contest.bills if each.challenger == lead.challenger)
    whole = amount(bill.tuning, evidence.recipe.costs.currency)
    cost = wording.campaign(bill.parts, whole) if bill.tuning else ("", "")
    decided = outcome in ("worth_it", "not_worth_it")
    return wording.terms(found, cost, _until(evidence.recipe) if decided else ("", ""))


def _until(recipe: Recipe) -> wording.Words:
    """The newest base that was held against; where one of them has no date nobody knows which that is."""
    rivals = (recipe.rule.incumbent, *recipe.rule.alternatives)
    dated = {name: day for name in rivals if (day := recipe.contenders[name].model.released_on)}
    if len(dated) < len(rivals):
        return wording.until(recipe.rule.incumbent, "")
    newest = max(dated, key=dated.__getitem__)
    return wording.until(newest, str(dated[newest]))


def _steps(
    contest: Contest, lead: Ruling, open_gates: Sequence[Gate], turned: Sequence[wording.Words], best: Paying | None
) -> tuple[Settle, ...]:
    return settle(_limiting(contest, lead), lead, open_gates, turned, contest.guards[lead.challenger], best)


def _limiting(contest: Contest, lead: Ruling) -> Comparison:
    """The contrast that keeps the lead challenger from a call: the rival with the lowest bound."""
    rival = min(lead.lows, key=lambda name: lead.lows[name])
    return next(each for each in contest.comparisons if (each.challenger, each.incumbent) == (lead.challenger, rival))


def _numbers(
    evidence: Evidence, contest: Contest | None, lead: Ruling | None, shown: Contamination | None
) -> dict[str, Any]:  # fmt: skip
    """What was measured, whatever is called; of an invalid comparison without a lead, the best bound's."""
    if contest is None:
        return {}
    lead = lead or max(contest.rulings, key=lambda each: each.low)
    delta, tau = contest.find("delta", lead.challenger), contest.find("tau", lead.challenger)
    gamma = contest.comparisons[-1]
    return {
        "challenger": lead.challenger,
        "claim": "recipe" if delta.seeds >= 3 else "artifact",
        "delta": _contrast(delta, lead.lows[delta.incumbent]),
        "tau": _contrast(tau, tau.low),
        "gamma": _contrast(gamma, gamma.low),
        "rulings": contest.rulings,
        "comparisons": contest.comparisons,
        "contamination": shown,
        "flips": turns(evidence, contest.comparisons, lead.challenger),
        "guards": tuple(row for rows in contest.guards.values() for row in rows),
        "money": money(evidence, contest.bills, shelf(delta, tau, gamma, _released(evidence.recipe))),
        "power": seen(delta, evidence.benchmark, surely(evidence.recipe, evidence.benchmark)[0], best(evidence, delta)),
        "curves": curves(evidence),
        "atlas": atlas(evidence, contest, lead),
        "slices": slices(evidence, contest.pairs[lead.challenger][0]),
    }


def _released(recipe: Recipe) -> tuple[str, str]:
    older, newer = (recipe.contenders[name].model.released for name in (recipe.rule.base, recipe.rule.incumbent))
    return older, newer


def _contrast(found: Comparison, low: float) -> Contrast:
    facts = found.model_dump(include={"challenger", "incumbent", "gain", "high", "n", "clusters"})
    return Contrast(low=low, **facts)


def _verdict(
    evidence: Evidence, checked: Sequence[Gate], outcome: Outcome, words: wording.Words, **numbers: Any
) -> Verdict:
    recipe = evidence.recipe
    facts = {"challenger": evidence.challengers[0], "notes": lasting(evidence), **numbers}
    facts["predictions"] = predictions(evidence, facts["money"].bills if facts.get("money") else ())
    return Verdict(
        name=recipe.name, purpose=recipe.purpose, outcome=outcome,
        question=recipe.question, question_zh=recipe.question_zh or recipe.question,
        note=recipe.note, note_zh=recipe.note_zh or recipe.note,
        sentence=words[0], sentence_zh=words[1], incumbent=recipe.rule.incumbent, base=recipe.rule.base,
        alternatives=recipe.rule.alternatives, margin=recipe.rule.margin, confidence=recipe.rule.confidence,
        contenders=contender_rows(evidence), tasks=task_rows(evidence), gates=tuple(checked),
        opinions=evidence.tallies, provenance=provenance(evidence, checked), twins=twins(evidence),
        grounding=grounding(evidence), canaries=canary_rows(evidence), lengths=lengths(evidence), **facts,
    )  # fmt: skip
