"""What makes a comparison invalid (decision.md 5.7): each gate from plain facts to passed, failed or not checked.

A required gate that failed makes the outcome INVALID, one that was not checked INCONCLUSIVE; the plan's makes it
EXPLORATORY. Advisory gates stand on the page and decide nothing.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from pydantic import BaseModel, ConfigDict

from eval.sheet import Key, Sheet

Status = Literal["passed", "failed", "not_checked"]
PROBES = 8  # prompts below which the adapter's proof is too thin
CLEAR = 10  # times the divergence of an A/A pair that a working adapter must show
LEAST_KL = 1e-7  # nats: an adapter that moves less than rounding is not there
UNPARSED = (0.02, 0.01)  # largest share of one contender, largest gap of two
TRUNCATED = (0.05, 0.02)


class Gate(BaseModel):
    """One condition of validity, in both languages; `figures` holds every number it rests on."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    name: str
    name_zh: str
    status: Status
    required: bool
    reason: str
    reason_zh: str
    figures: dict[str, float | str | None] = {}


Words = tuple[str, str]  # English, Chinese
Figures = Mapping[str, float | str | None]


def _gate(name: Words, status: Status, reason: Words, figures: Figures | None = None, required: bool = True) -> Gate:
    return Gate(
        name=name[0], name_zh=name[1], status=status, required=required, reason=reason[0], reason_zh=reason[1],
        figures=dict(figures or {}),
    )  # fmt: skip


SAME_QUESTIONS = ("same questions", "同一批题目")
PROMPT_CONTENT = ("prompt content", "题面内容")
ADAPTER_APPLIED = ("adapter applied", "适配器生效")
BELOW_CHANCE = ("below chance", "低于瞎猜")
BASE_BELOW = ("base below chance", "原底座低于瞎猜")  # tau would be inflated; delta is not touched
UNPARSED_NAME = ("unparsed", "答案无法提取")
TRUNCATED_NAME = ("truncated", "截断或思考未结束")
PLAN = ("plan", "事先登记")
AFRESH = ("a changed recipe is another study: give it another --out", "配方改动即为另一项研究：请换一个 --out")
MERGE = ("merge faithful", "合并一致")
PARITY = ("engine parity", "引擎一致")


def same_questions(sheets: Sequence[Sheet], expected: Mapping[Key, str]) -> Gate:
    """Every contender answered exactly the exam's questions (key -> hash), under one protocol a task."""
    fault = next((fault for sheet in sheets if (fault := _unlike(sheet, expected))), None) or _mixed(sheets)
    if fault:
        return _gate(SAME_QUESTIONS, "failed", fault)
    words = (f"{len(expected)} questions, the same for all", f"所有方案回答相同的 {len(expected)} 道题")
    return _gate(SAME_QUESTIONS, "passed", words, {"questions": len(expected), "contenders": len(sheets)})


def _unlike(sheet: Sheet, expected: Mapping[Key, str]) -> Words | None:
    lacking, extra = expected.keys() - sheet.answers.keys(), sheet.answers.keys() - expected.keys()
    if lacking:
        return (f"{sheet.name} lacks questions of the exam ({len(lacking)}): {_shown(lacking)}",
                f"{sheet.name} 缺少 {len(lacking)} 道题：{_shown(lacking)}")  # fmt: skip
    if extra:
        return (f"{sheet.name} answered questions that the exam has not ({len(extra)}): {_shown(extra)}",
                f"{sheet.name} 多出 {len(extra)} 道题：{_shown(extra)}")  # fmt: skip
    other = {key for key, row in sheet.questions.items() if row.hash != expected[key]}
    if other:
        return (f"{sheet.name} answered another text under the same id ({len(other)}): {_shown(other)}",
                f"{sheet.name} 有 {len(other)} 个编号下是另一道题：{_shown(other)}")  # fmt: skip
    return None


def _shown(keys: Iterable[Key]) -> str:
    return ", ".join("/".join(key) for key in sorted(keys)[:3])


def _mixed(sheets: Sequence[Sheet]) -> Words | None:
    seen: dict[str, str] = {}
    for sheet in sheets:
        for (task, _), row in sheet.questions.items():
            if seen.setdefault(task, row.protocol) != row.protocol:
                return (f"{task} is scored by likelihood for one and by written answers for another",
                        f"{task} 的评分方式不统一：有的按似然，有的按生成")  # fmt: skip
    return None


def prompt_content(sheets: Sequence[Sheet], templates: Mapping[str, str]) -> Gate:
    """The same content before frame and chat template, and a recorded template (contender -> digest)."""
    first: dict[Key, tuple[str, str]] = {}
    for sheet in sheets:
        if not templates.get(sheet.name):
            words = (f"{sheet.name} has no record of its chat template", f"{sheet.name} 没有对话模板的记录")
            return _gate(PROMPT_CONTENT, "failed", words)
        for key, row in sheet.questions.items():
            content, who = first.setdefault(key, (row.content, sheet.name))
            if content != row.content:
                words = (f"{'/'.join(key)}: {who} and {sheet.name} were asked different things",
                         f"{'/'.join(key)}：{who} 与 {sheet.name} 的题面不同")  # fmt: skip
                return _gate(PROMPT_CONTENT, "failed", words)
    words = ("all were asked the same before frame and template", "套用提示框架和模板之前，题面完全相同")
    return _gate(PROMPT_CONTENT, "passed", words, {"templates": len(set(templates.values()))})


@dataclass(frozen=True)
class AdapterFact:
    """What one scored contender and seed says of its adapter."""

    contender: str
    seed: int
    tuned: bool
    scored: str | None  # digest in the score manifest
    trained: str | None  # digest of what training (or the adapter's folder) holds
    prompts: int = 0
    kl: float | None = None  # mean KL(tuned || base), nats
    kl_same: float | None = None  # of an A/A pair of the base
    norm: float | None = None


def adapter_applied(facts: Sequence[AdapterFact]) -> Gate:
    """Tuned contenders were scored with the adapter that was trained, and it moves them; untuned ones without any."""
    figures: dict[str, float | str | None] = {}
    unchecked = None
    for fact in facts:
        who = f"{fact.contender} seed {fact.seed}" if fact.tuned else fact.contender
        fault = _adapter_fault(fact)
        if fault:
            return _gate(ADAPTER_APPLIED, "failed", (f"{who}: {fault[0]}", f"{who}：{fault[1]}"), figures)
        if fact.tuned and (fact.kl is None or fact.prompts < PROBES):
            unchecked = who
        if fact.tuned:
            figures |= {f"{who}: kl": fact.kl, f"{who}: kl of an A/A pair": fact.kl_same, f"{who}: norm": fact.norm}
    if unchecked:
        words = (f"{unchecked}: no probe of at least {PROBES} prompts", f"{unchecked}：没有至少 {PROBES} 条提示的探测")
        return _gate(ADAPTER_APPLIED, "not_checked", words, figures)
    words = ("every adapter moves its model's outputs", "每个适配器都改变了模型输出")
    return _gate(ADAPTER_APPLIED, "passed", words, figures)


def _adapter_fault(fact: AdapterFact) -> tuple[str, str] | None:
    if not fact.tuned:
        return ("an untuned contender was scored with an adapter", "未微调却加载了适配器") if fact.scored else None
    if not fact.scored:
        return "was scored without an adapter", "评分时没有加载适配器"
    if fact.trained != fact.scored:
        return "was scored with another adapter than the one that was trained", "评分用的适配器不是训练所得的那一个"
    if fact.norm == 0:
        return "the adapter's tensors are all zero", "适配器的参数全为零"
    if fact.kl is not None and fact.kl <= max(CLEAR * (fact.kl_same or 0.0), LEAST_KL):
        return (f"the adapter moves the outputs by a KL of {fact.kl:.2g}, no more than chance",
                f"适配器对输出的影响（KL {fact.kl:.2g}）不超出偶然")  # fmt: skip
    return None


@dataclass(frozen=True)
class ChanceFact:
    """One contender's mean score on one choice task."""

    contender: str
    task: str
    guess: float
    score: float
    high: float  # upper end of its clustered interval, simultaneous over all rows that are checked


def below_chance(facts: Sequence[ChanceFact], name: Words = BELOW_CHANCE, required: bool = True) -> Gate:
    """Worse than blind guessing is a fault of extraction until shown otherwise."""
    fallen = [fact for fact in facts if fact.high < fact.guess - 1e-9]  # one letter always is at it
    figures = {f"{fact.contender}, {fact.task}": fact.score for fact in fallen or facts}
    if fallen:
        en = [f"{f.contender} on {f.task}: {f.score:.1%}, at most {f.high:.1%}, blind {f.guess:.1%}" for f in fallen]
        zh = [f"{f.contender} 在 {f.task}：{f.score:.1%}，上限 {f.high:.1%}，瞎猜 {f.guess:.1%}" for f in fallen]
        return _gate(name, "failed", ("; ".join(en), "；".join(zh)), figures, required)
    words = (f"none of {len(facts)} choice scores lies under blind guessing", f"{len(facts)} 个选择题得分都不低于瞎猜")
    return _gate(name, "passed", words, figures, required)


@dataclass(frozen=True)
class BlankFact:
    """Weighted shares of answers that were not there to be graded, of the two sides of one comparison that decides."""

    challenger: str
    rival: str
    shares: tuple[float, float]
    low: float
    high: float
    margin: float

    @property
    def bounds(self) -> tuple[float, float]:
        """Manski: whatever the blanks would have scored, the interval lies within these."""
        return self.low - self.shares[1], self.high + self.shares[0]

    def within(self, most: float, gap: float) -> bool:
        return max(self.shares) <= most and abs(self.shares[0] - self.shares[1]) <= gap

    def agrees(self) -> bool:
        low, high = self.bounds
        return _side(self.low, self.high, self.margin) == _side(low, high, self.margin)


def _side(low: float, high: float, margin: float) -> int:
    return 1 if low > margin else -1 if high < margin else 0


def unparsed(facts: Sequence[BlankFact]) -> Gate:
    return _blanks(UNPARSED_NAME, facts, *UNPARSED)


def truncated(facts: Sequence[BlankFact]) -> Gate:
    """Cut by the length limit, or a thought that never closed."""
    return _blanks(TRUNCATED_NAME, facts, *TRUNCATED)


def _blanks(name: tuple[str, str], facts: Sequence[BlankFact], most: float, gap: float) -> Gate:
    """Few and alike, or so many that the verdict would stand whatever they had been."""
    shares = {who: s for f in facts for who, s in zip((f.challenger, f.rival), f.shares, strict=True)}
    many = [fact for fact in facts if not fact.within(most, gap)]
    turned = [fact for fact in many if not fact.agrees()]
    shown = ", ".join(f"{who} {share:.1%}" for who, share in shares.items())
    figures: dict[str, float | str | None] = dict(shares)
    for fact in many:
        figures |= zip(
            (f"{fact.challenger} - {fact.rival}, {end}" for end in ("low", "high")), fact.bounds, strict=True
        )
    limits = f"{most:.0%}, {100 * gap:g}"
    if turned:
        words = (f"{shown} (limits: {limits} pt apart), and the decision could turn on them",
                 f"{shown}（上限：{limits} 个百分点之差），结论可能因此改变")  # fmt: skip
        return _gate(name, "failed", words, figures)
    if many:
        words = (f"{shown}; many, but the decision stands whatever they were (Manski bounds)",
                 f"{shown}；虽多，但无论它们是否正确，结论不变（Manski 界）")  # fmt: skip
        return _gate(name, "passed", words, figures)
    return _gate(name, "passed", (shown or "nothing to count", shown or "无可统计"), figures)


@dataclass(frozen=True)
class PlanFact:
    """Under which plan one contender and seed was scored, and when its first question was."""

    contender: str
    digest: str
    first_score_at: float


def plan(digest: str | None, at: float | None, current: str, facts: Sequence[PlanFact]) -> Gate:
    """The plan of record is this recipe's, and older than every score made under it."""
    if digest is None or at is None:
        return _gate(PLAN, "failed", ("no plan was kept before scoring", "评分之前没有登记方案"))
    figures: dict[str, float | str | None] = {"plan": digest[:12], "kept at": at}
    if digest != current:
        words = (f"recipe, questions or models are not those of the kept plan; {AFRESH[0]}",
                 f"配方、题目或模型与登记的方案不同；{AFRESH[1]}")  # fmt: skip
        return _gate(PLAN, "failed", words, figures)
    for fact in facts:
        if fact.digest != digest:
            words = (f"{fact.contender} was scored under another plan; {AFRESH[0]}",
                     f"{fact.contender} 是按另一份方案评分的；{AFRESH[1]}")  # fmt: skip
            return _gate(PLAN, "failed", words, figures)
        if fact.first_score_at < at:
            words = (f"{fact.contender} was scored before the plan was kept", f"{fact.contender} 的评分早于方案登记")
            return _gate(PLAN, "failed", words, figures)
    words = ("the plan is older than every score", "方案登记早于所有评分")
    return _gate(
        PLAN, "passed", words, figures | {"first score at": min((f.first_score_at for f in facts), default=None)}
    )


def engine_parity(engines: Mapping[str, tuple[str, str]]) -> Gate:
    """Contender -> (engine, dtype). Two of either meeting need a contender scored on both, which nothing here does.

    Weights in 4 bits (`nf4 bfloat16`) are the contender's own, as it would be served; the dtype is that of its sums.
    """
    shown = ", ".join(" ".join(kind) for kind in sorted(set(engines.values())))
    if len({(engine, dtype.removeprefix("nf4 ")) for engine, dtype in engines.values()}) > 1:
        words = (f"{shown} meet, and no contender was scored on both", f"同时出现 {shown}，且没有方案在两者上都评过分")
        return _gate(PARITY, "not_checked", words)
    return _gate(PARITY, "passed", (f"one engine and dtype: {shown}", f"同一引擎与精度：{shown}"), required=False)


def merge_faithful(differences: Mapping[str, float | None]) -> Gate:
    """Who was tuned here -> largest difference of a logit once merged; None where it does not merge.

    Training keeps no adapter whose merged weights answer otherwise, so a difference that is there has passed.
    """
    known: dict[str, float | str | None] = {who: apart for who, apart in differences.items() if apart is not None}
    largest = max((apart for apart in differences.values() if apart is not None), default=None)
    if largest is None:
        words = ("no adapter here merges into its base", "没有可合并的适配器")
        return _gate(MERGE, "not_checked", words, required=False)
    words = (f"scored unmerged; merged, the logits differ by at most {largest:.2g} (who merges: {len(known)})",
             f"评分时未合并；合并后输出最多相差 {largest:.2g}（可合并：{len(known)} 个）")  # fmt: skip
    return _gate(MERGE, "passed", words, known, required=False)


def unchecked(name: Words, why: Words) -> Gate:
    """A required gate that could not be asked."""
    return _gate(name, "not_checked", why)


def not_measured() -> tuple[Gate, ...]:
    """The advisory gates that no room measures yet."""
    later = {
        ("noise floor", "噪声下限"): ("no contender was scored twice", "没有方案重复评分"),
        ("batch invariance", "批次不变"): ("no probe of batch 1 against batch B", "未对比单条与批量的输出"),
    }
    return tuple(_gate(name, "not_checked", reason, required=False) for name, reason in later.items())
