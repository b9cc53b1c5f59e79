"""Evidence: everything a verdict rests on, read from the folder of a run; judges nothing.

Only finished stages count (a manifest is written last), and only rows that the finished scorer wrote.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Self

import numpy as np

from eval import engines, gates, grading, pledge
from eval.benchmark import Benchmark
from eval.gates import AdapterFact, Asked, ChanceFact, PlanFact, Regraded
from eval.membership import Membership
from eval.money import Effort
from eval.opinion.tally import Tally, tallies_of
from eval.paired import Floats
from eval.repeatability import Repeatability
from eval.sheet import Key, Sheet
from eval.verdict import done, record
from eval.verdict.done import Stages
from finetune.methods import SearchFacts, adapter_digest
from finetune.recipe import Recipe
from finetune.run import RunDir, ScoreFacts


@dataclass(frozen=True)
class Evidence:
    """One run, read whole. Sheets hold the test part only."""

    recipe: Recipe
    benchmark: Benchmark
    plan: pledge.Plan | None
    digest: str  # of the plan, as the recipe stands now
    sheets: dict[str, Sheet]
    scored: Stages
    trained: Stages  # contenders tuned here
    attempts: dict[str, int]  # event -> how often
    trials: dict[str, float] = field(default_factory=dict)  # challenger -> score on the development questions
    earlier: frozenset[str] = frozenset()  # digests of plans that were kept here before the one that stands
    regraded: Regraded | None = None  # another extractor than the plan's read the answers
    repeats: dict[str, Repeatability] = field(default_factory=dict)  # contender -> what it differs by from itself
    twins: dict[str, Sheet] = field(default_factory=dict)  # answers to what is asked beside the exam: twins, canaries
    tallies: tuple[Tally, ...] = ()  # of a judge of free answers
    guarded: dict[str, Sheet] = field(default_factory=dict)  # answers to guards that the exam does not hold
    rereadings: tuple[record.Reread, ...] = ()
    promises: tuple[dict[str, Any], ...] = ()  # every one that was kept, and what the recipe promises now
    members: dict[str, Membership] = field(default_factory=dict)  # contender -> how likely it finds the questions
    means: dict[tuple[str, ...], float | None] = field(default_factory=dict, repr=False)  # that were asked for

    @classmethod
    def read(cls, recipe: Recipe, run: RunDir) -> Self:
        """BadInput names the contender whose stage is not done, or was done for another state of the recipe."""
        benchmark = Benchmark.read(recipe)
        recipe = engines.as_begun(recipe, benchmark, run)
        second = grading.second(benchmark.tasks)
        scored: Stages = {}
        trained: Stages = {}
        sheets, twins, guarded = {}, {}, {}
        beside, guards = ({task.name for task in tasks} for tasks in (benchmark.beside, benchmark.guards))
        for name, chosen in recipe.contenders.items():
            seeds = recipe.seeds(name)
            if chosen.method:
                trained[name] = {seed: done.trained(recipe, run, name, seed) for seed in seeds}
            scored[name] = {seed: done.scored(recipe, benchmark, run, name, seed) for seed in seeds}
            logs = {seed: done.answers(run, name, seed, scored[name][seed], second) for seed in seeds}
            sheets[name] = done.sheet(name, logs, beside, turned=False)
            if beside - guards:
                twins[name] = done.sheet(name, logs, beside - guards, turned=True)
            if guards:
                guarded[name] = done.sheet(name, logs, guards, turned=True)
        plan, attempts = pledge.read(run), record.attempts(run)
        extractor = done.one_extractor(scored) if benchmark.written else ""
        promise = pledge.digest(recipe, benchmark, plan.extractor if plan else extractor)
        promises = record.promises(recipe, benchmark, run, plan, extractor)
        trials = done.trials(recipe, benchmark, run, scored, second)
        return cls(
            recipe, benchmark, plan, promise, sheets, scored, trained, attempts, trials, record.earlier(run, plan),
            record.regraded(run, plan, extractor), done.repeats(run, scored), twins, tallies_of(recipe, benchmark, run),
            guarded, record.rereadings(run), promises, done.members(run, scored),
        )  # fmt: skip

    @property
    def challengers(self) -> tuple[str, ...]:
        """Who is confirmed: all, or the one chosen on the development questions, to whom no correction is owed."""
        best = max(self.trials, key=self.trials.__getitem__, default=None)
        return (best,) if best else self.recipe.rule.challengers

    @property
    def deciding(self) -> list[str]:
        """Contenders whose scores turn the verdict: challengers, incumbent, alternatives."""
        rule = self.recipe.rule
        return list(dict.fromkeys([*self.challengers, rule.incumbent, *rule.alternatives]))

    @property
    def judged(self) -> list[str]:
        """The deciding ones and the base, which tau and gamma need."""
        return list(dict.fromkeys([*self.deciding, self.recipe.rule.base]))

    @property
    def weights(self) -> dict[str, float]:
        return {task.name: task.weight for task in self.benchmark.tasks}

    @property
    def guard_sheets(self) -> list[Sheet]:
        """Of whom guards compare; nothing where the exam holds them all."""
        return [self.guarded[name] for name in self.judged if name in self.guarded]

    @property
    def expected(self) -> dict[Key, Asked]:
        """Every question of the exam's test part."""
        return gates.questions_of(self.benchmark.tasks)

    @property
    def extractor(self) -> str:
        """Version of what read the answers."""
        return self.facts(self.recipe.rule.incumbent).extractor

    def facts(self, name: str) -> ScoreFacts:
        """What the scorer of a contender says of itself, in its first seed; seeds differ in the adapter alone."""
        return done.facts(next(iter(self.scored[name].values())))

    def mean(self, name: str, measure: str) -> float | None:
        """Of a number (seconds, tokens_in, ...) over a contender's answers, questions weighted as in the score; None
        where it is not known of one."""
        return self._once((name, measure), lambda: self.sheets[name].values(measure))

    def share(self, name: str, *outcomes: str) -> float:
        """Of answers with one of these outcomes, weighted the same."""
        found = self._once((name, "share", *outcomes), lambda: self.sheets[name].share(*outcomes))
        return found or 0.0  # which outcome an answer had is always known

    def _once(self, what: tuple[str, ...], values: Callable[[], Floats]) -> float | None:
        """The weighted mean of values, reckoned once: the table of sensitivity asks for the same ones many times."""
        if what not in self.means:
            mean = float(values().mean(axis=0) @ self.sheets[what[0]].item_weight(self.weights))
            self.means[what] = None if np.isnan(mean) else mean
        return self.means[what]

    def training_seconds(self, name: str) -> float:
        """Device-seconds of tuning a contender over all its seeds, and of those that it goes on from."""
        line = self.recipe.lineage(name)
        return sum(stage.device_seconds for each in line for stage in self.trained.get(each, {}).values())

    def search(self, name: str) -> SearchFacts | None:
        """How a contender's knobs were chosen, which all its seeds share; None where they are as declared."""
        first = next(iter(self.trained.get(name, {}).values()), None)
        return first.training.search if first and first.training else None

    def search_seconds(self, name: str) -> float:
        """Device-seconds of the trials of a contender, and of those it goes on from, beside the training of seeds."""
        found = [self.search(each) for each in self.recipe.lineage(name)]
        return sum(each.device_seconds for each in found if each)

    def effort(self, challenger: str) -> Effort:
        """Device-seconds of tuning it, and of the scores that judging it took: its own and those of the untuned."""
        scored = [name for name in self.judged if name == challenger or not self.recipe.contenders[name].tuned]
        evaluation = sum(stage.device_seconds for name in scored for stage in self.scored[name].values())
        declared, bought = self.recipe.contenders[challenger].adapter_cost, sum(map(self.tokens_bought, scored))
        training, search = self.training_seconds(challenger), self.search_seconds(challenger)
        return Effort(training, evaluation, declared, search, bought)

    def tokens_bought(self, name: str) -> float:
        """Price of all tokens that a contender's scoring took of its server."""
        engine, facts = self.recipe.contenders[name].served, self.facts(name)
        return engine.price(facts.served.tokens_in, facts.generated_tokens or 0) if engine and facts.served else 0.0

    def token_price(self, name: str) -> float | None:
        """Mean price of the tokens of one query, as declared for one that was asked elsewhere; None where devices are
        paid, not tokens, or nothing is known."""
        chosen = self.recipe.contenders[name]
        engine = chosen.served
        if engine is None or not engine.priced:
            return chosen.query_cost
        return engine.query_price(self.mean(name, "tokens_in") or 0, self.mean(name, "tokens_out") or 0)

    @property
    def endless(self) -> list[str]:
        """Who decides, and wrote answers of which nobody knows how they ended."""
        asked = self.recipe.contenders
        return [name for name in self.deciding if asked[name].items and self.benchmark.written]

    @property
    def mixed(self) -> list[str]:
        """Who decides, and has answers of several engines in one log."""
        made = {name: {each.engine for each in self.sheets[name].makings} for name in self.deciding}
        return [name for name, engines in made.items() if len(engines) > 1]

    @property
    def unpriced(self) -> list[str]:
        """Who decides, where a net benefit was asked for that their serving cost, which is not known, is part of."""
        costs = self.recipe.costs
        if costs.value_per_correct is None or costs.queries is None:
            return []
        return [name for name in self.deciding if self.token_price(name) is None and self.mean(name, "seconds") is None]

    def adapters(self, names: Sequence[str]) -> list[AdapterFact]:
        found = []
        for name in names:
            chosen = self.recipe.contenders[name]
            for seed, stage in self.scored[name].items():
                facts, probe = done.facts(stage), done.facts(stage).adapter_probe
                made = self.trained[name][seed].training if chosen.method else None
                kept = made.adapter_digest if made else adapter_digest(Path(chosen.adapter)) if chosen.adapter else None
                numbers = (probe.prompts, probe.kl, probe.kl_same, probe.norm) if probe else ()
                who = name, seed, chosen.tuned, facts.adapter_digest, kept
                fact = AdapterFact(*who, *numbers)
                found.append(replace(fact, elsewhere=chosen.items is not None))
        return found

    def chances(self, names: list[str]) -> list[ChanceFact]:
        """Scores on tasks that can be guessed; the intervals hold all together (Bonferroni over the rows)."""
        tasks = [task for task in self.benchmark.tasks if task.guess_rate > 0]
        error = (1 - self.recipe.rule.confidence) / max(1, len(names) * len(tasks))
        found = []
        for name in names:
            for task in tasks:
                part = self.sheets[name].part(task.name)
                seen = part.layout({}).estimate(part.scores, confidence=1 - error)
                found.append(ChanceFact(name, task.name, task.guess_rate, seen.gain, min(1.0, seen.high)))
        return found

    def merges(self) -> dict[str, float | None]:
        """Contender and seed -> how far its merged weights answer otherwise; None where they do not merge."""
        return {
            f"{name} seed {seed}": stage.training.merge_difference
            for name, stages in self.trained.items()
            for seed, stage in stages.items()
            if stage.training
        }

    def plans(self) -> list[PlanFact]:
        stages = [(name, done.facts(stage)) for name in self.judged for stage in self.scored[name].values()]
        return [PlanFact(name, facts.plan_digest, facts.first_score_at) for name, facts in stages]

    @property
    def bound(self) -> list[PlanFact]:
        """Whom the standing plan binds: all, in a study. In a smoke run, which ends in no verdict, what an earlier plan
        had scored and its fingerprint still holds may stay."""
        if self.recipe.purpose == "study":
            return self.plans()
        return [fact for fact in self.plans() if fact.digest not in self.earlier]
