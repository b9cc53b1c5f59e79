"""Notes: which way a verdict leans, and what it does not cover; what could have turned it stands in its sentence."""

from collections.abc import Sequence
from typing import Literal

from pydantic import BaseModel, ConfigDict

from eval import gates
from eval.verdict import wording
from eval.verdict.atlas import Atlas
from eval.verdict.clean import Contamination
from eval.verdict.contest import Contest
from eval.verdict.dated import Dated
from eval.verdict.evidence import Evidence
from eval.verdict.guards import GuardRow
from eval.verdict.licences import riders
from eval.verdict.perturbed import unseen

FROZEN = ConfigDict(frozen=True, extra="forbid")
SERVED = "as served"  # of a dtype that a server keeps to itself
Outcome = Literal["worth_it", "not_worth_it", "inconclusive", "invalid", "exploratory", "plumbing"]
NoteCode = Literal[
    "in_distribution",
    "public",
    "dated",
    "perturbed",
    "no_guard",
    "guards",
    "guard_leak",
    "chosen_on_dev",
    "licence",
    "search",
    "except",
    "quantised",
]


class Note(BaseModel):
    """Which way the verdict leans, or what it does not cover; `headline` ones stand in the sentence."""

    model_config = FROZEN
    code: NoteCode
    headline: bool
    text: str
    text_zh: str


def notes(
    evidence: Evidence, contest: Contest, outcome: Outcome, guards: Sequence[GuardRow], shown: Contamination | None
) -> tuple[Note, ...]:
    """Where the verdict leans (decision.md 5.6 and 5.8): said in the headline only where it could have turned it."""
    found = [] if guards else [_note("no_guard", outcome == "worth_it", wording.NO_GUARD)]
    if guards and all(row.status == "passed" for row in guards):
        found.append(_note("guards", outcome == "worth_it", wording.guarded(guards)))
    found += [_note("guard_leak", False, words) for words in wording.left_out(guards)]
    if evidence.trials:
        found.append(_note("chosen_on_dev", True, wording.chosen(evidence.trials)))
    shared = _shared_sources(evidence, {task for task, _ in contest.leaks.of("source")})
    if shared:
        words = (f"In distribution only: training and exam share {', '.join(shared)}.",
                 f"仅限同分布：训练与考试同源（{'、'.join(shared)}）。")  # fmt: skip
        found.append(_note("in_distribution", outcome == "worth_it", words))
    found += [_note("quantised", True, words) for words in _quantised(evidence)]
    public = all(task.card.published for task in evidence.benchmark.tasks)
    found += _seen(shown.dated if shown else None, outcome, unseen(evidence) if public else 0, public)
    return (*found, *lasting(evidence))


def _seen(found: Dated | None, outcome: Outcome, turned: int, public: bool) -> list[Note]:
    """Whether the newer base may have seen the items: not those that are younger, nor those with other figures
    (`turned`), where they carry the same word; and what the older ones show of who has."""
    young, fact = found.young if found else None, found.fact if found else None
    said, lost = [], outcome == "not_worth_it"
    if public and found and young and lost and young.call == outcome:
        said.append(_note("dated", False, wording.fresh(young.n, found.newest)))
    elif turned and lost:
        said.append(_note("perturbed", False, wording.perturbed(turned)))
    elif public:
        items, count = (fact.items, fact.young) if fact else (0, 0)
        said.append(_note("public", lost, wording.public(items, count)))
    if fact and fact.lean:
        turned = outcome == ("not_worth_it" if fact.lean < 0 else "worth_it")
        en, zh = gates.told(fact)
        said.append(_note("dated", turned, (f"By date, {en}.", f"按日期：{zh}。")))
    return said


def _quantised(evidence: Evidence) -> list[wording.Words]:
    """Where contenders that decide ran on weights not quantised alike, which has to be said (decision.md 5.13)."""
    types = {name: evidence.facts(name).dtype for name in evidence.deciding}
    packed = {name: dtype.rpartition(" ")[0] for name, dtype in types.items() if dtype not in (SERVED, gates.UNKNOWN)}
    unknown = [name for name in types if name not in packed]
    if not any(packed.values()) or (len(set(packed.values())) == 1 and not unknown):
        return []
    return [wording.quantised(packed, unknown)]


def exceptions(found: Atlas | None, called: bool) -> list[Note]:
    """Where the opposite is shown; in the headline of a word that was said, where no guard speaks against it."""
    return [_note("except", called, (found.text, found.text_zh))] if found and found.exceptions else []


def lasting(evidence: Evidence) -> tuple[Note, ...]:
    """Of every run, whatever its outcome: it holds for the contenders themselves."""
    said = riders(evidence.recipe, [task.card for task in evidence.benchmark.carded])
    return (*_searched(evidence), *(_note("licence", False, words) for words in said))


def _searched(evidence: Evidence) -> list[Note]:
    """How many trials each side had, where any challenger's knobs were searched."""
    rule, found = evidence.recipe.rule, {name: evidence.search(name) for name in evidence.recipe.rule.challengers}
    trials = {name: facts.trials if facts else 0 for name, facts in found.items()}
    rivals = [rule.incumbent, *rule.alternatives]
    return [_note("search", False, wording.searched(trials, rivals))] if any(trials.values()) else []


def _note(code: NoteCode, headline: bool, words: wording.Words) -> Note:
    return Note(code=code, headline=headline, text=words[0], text_zh=words[1])


def _shared_sources(evidence: Evidence, documents: set[str]) -> list[str]:
    """Names of exam cards that training uses too, or that come from the same repository, and those of the tasks that
    share `documents` with it."""
    names, sources = set(), set()
    for use in evidence.recipe.data_used:
        names.add(use.card.name)
        sources |= {use.card.source.repository} if use.card.source else set()
    names |= {task.card.name for task in evidence.benchmark.tasks if task.name in documents}
    exam = {task.card.name: task.card for task in evidence.benchmark.tasks}
    return [name for name, card in exam.items() if name in names or (card.source and card.source.repository in sources)]
