"""The gates of a verdict, each asked of the evidence (decision.md 5.7)."""

from collections.abc import Sequence

from eval import gates
from eval.answerable import headed
from eval.gates import Gate
from eval.sheet import CUT, Sheet
from eval.verdict.blanks import blank_gates
from eval.verdict.canary import canary_facts
from eval.verdict.clean import Contamination
from eval.verdict.contest import Contest
from eval.verdict.evidence import Evidence
from eval.verdict.twins import drops


def same_questions(evidence: Evidence, sheets: Sequence[Sheet]) -> list[Gate]:
    """Without which there is no contest: the exam's questions, and those that guards ask beside it."""
    found = [gates.same_questions(sheets, evidence.expected)]
    if evidence.benchmark.guards:
        asked = gates.questions_of(evidence.benchmark.guards)
        found.append(gates.same_questions(evidence.guard_sheets, asked, gates.GUARD_QUESTIONS))
    return found


def asked(
    evidence: Evidence, sheets: Sequence[Sheet], contest: Contest | None, shown: Contamination | None
) -> list[Gate]:  # fmt: skip
    """Every gate but those of `same_questions`; `shown`: what training shows of the exam, of a study that was held."""
    return [
        *_gates(evidence, sheets),
        *([gates.clean_subset(shown.fact), gates.dated(shown.dated.fact if shown.dated else None)] if shown else []),
        *_behaviour(evidence, contest),
        *_advice(evidence, contest),
    ]


def _gates(evidence: Evidence, sheets: Sequence[Sheet]) -> list[Gate]:
    templates = {name: evidence.facts(name).chat_digest for name in evidence.judged}
    unseen = [name for name, digest in templates.items() if evidence.facts(name).served and not digest]
    digest, at = (evidence.plan.digest, evidence.plan.at) if evidence.plan else (None, None)
    return [
        gates.prompt_content([*sheets, *evidence.guard_sheets], templates, unseen),
        gates.adapter_applied(evidence.adapters(evidence.judged)),
        gates.plan(digest, at, evidence.digest, evidence.bound, evidence.regraded),
        gates.exam_unseen(evidence.benchmark.taught(evidence.recipe)),
    ]


def _behaviour(evidence: Evidence, contest: Contest | None) -> list[Gate]:
    """What needs intervals: not checked where there are none."""
    if contest is None:
        why = ("needs the same questions and two clusters a task", "需要相同的题目，且每个任务至少两个题组")
        return [gates.unchecked(name, why) for name in (gates.BELOW_CHANCE, gates.UNPARSED_NAME, gates.TRUNCATED_NAME)]
    unread, cut = blank_gates(evidence, contest)
    found = [gates.below_chance(evidence.chances(evidence.deciding)), unread, _ended(evidence, cut)]
    if evidence.recipe.rule.base not in evidence.deciding:
        base = evidence.chances([evidence.recipe.rule.base])
        found.append(gates.below_chance(base, gates.BASE_BELOW, required=False))
    return found


def _ended(evidence: Evidence, found: Gate) -> Gate:
    """An answer whose end nobody logged may have been cut: what is counted is then no more than a lower bound."""
    who = ", ".join(evidence.endless)
    if found.status != "passed" or not who:
        return found
    words = (f"how the answers of {who} ended is not known", f"{who} 的答案是如何结束的，未知")
    return gates.unchecked(gates.TRUNCATED_NAME, words)


def _advice(evidence: Evidence, contest: Contest | None) -> list[Gate]:
    """How steady the contenders are that decide; the gains stand beside what each differs by from itself."""
    engines = {name: (evidence.facts(name).engine, evidence.facts(name).dtype) for name in evidence.deciding}
    measured = {name: evidence.repeats.get(name) for name in evidence.deciding}
    pairs = [each for each in contest.comparisons if each.role in ("delta", "alternative")] if contest else []
    gains = {f"{each.challenger} − {each.incumbent}": each.gain for each in pairs}
    parities = [each.parity for each in evidence.repeats.values() if each.parity]
    return [
        gates.engine_parity(engines, parities, evidence.mixed), *gates.serving_cost(evidence.unpriced),
        gates.merge_faithful(evidence.merges()),
        gates.noise_floor(measured, gains), gates.batch_invariance(measured), gates.known_by_heart(drops(evidence)),
        *_budget(evidence),
        *([gates.judge(evidence.tallies)] if evidence.recipe.exam.judge else []),
        gates.secrets_kept(canary_facts(evidence)),
    ]  # fmt: skip


def _budget(evidence: Evidence) -> list[Gate]:
    """Of those that write; none where fewer than two do."""
    asked = {name: evidence.recipe.contenders[name] for name in evidence.deciding if evidence.benchmark.written}
    limits = {
        name: None if each.items else each.model.decoding.max_new_tokens
        for name, each in asked.items()
        if not headed(each)
    }
    cut = {name: evidence.share(name, *CUT) for name in limits}
    thoughts = {
        name: (each.model.decoding.thinking_tokens or each.model.decoding.max_new_tokens, _closed(evidence, name))
        for name, each in asked.items()
        if name in limits and not each.items and each.model.think == "keep"
    }
    return [gates.token_budget(limits, cut, thoughts)] if len(limits) > 1 else []


def _closed(evidence: Evidence, name: str) -> float:
    """Share of the answers whose thought its budget ended."""
    return float((evidence.sheets[name].numbers["given"] > 0).mean())
