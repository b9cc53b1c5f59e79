"""Whether the scores are of what they say: the same questions, the same prompt, the adapter trained, the plan kept."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from eval.benchmark import Task
from eval.gates.gate import ADAPTER_APPLIED, PLAN, PROMPT_CONTENT, SAME_QUESTIONS, TAUGHT, Gate, Words, gate
from eval.sheet import Key, Sheet

PROBES = 8  # prompts below which the adapter's proof is too thin
CLEAR = 10  # times the divergence of an A/A pair that a working adapter must show
LEAST_KL = 1e-7  # nats: an adapter that moves less than rounding is not there
UNLIKE = {  # what an item log says of a question otherwise than the exam
    "hash": ("answered another text under the same id", "是另一道题"),
    "gold": ("was graded by another gold than the exam's", "的标准答案与考试不同"),
    "cluster": ("has questions under other documents than the exam", "所属文档与考试不同"),
}
AFRESH = ("a changed recipe is another study: give it another --out", "配方改动即为另一项研究：请换一个 --out")


class Asked(NamedTuple):
    """A question of the exam, as an item log must have it."""

    hash: str
    gold: str
    cluster: str


def questions_of(tasks: Sequence[Task]) -> dict[Key, Asked]:
    """Every question of these tasks that is judged on."""
    return {
        (task.name, row.id): Asked(row.digest, row.answer or "", task.cluster(row))
        for task in tasks for row in task.rows if task.part(row) == "test"
    }  # fmt: skip


def same_questions(sheets: Sequence[Sheet], expected: Mapping[Key, Asked], name: Words = SAME_QUESTIONS) -> Gate:
    """Every contender answered exactly the exam's (or the guards') questions, graded by its gold, under one protocol a
    task."""
    fault = next((fault for sheet in sheets if (fault := _unlike(sheet, expected))), None) or _mixed(sheets)
    if fault:
        return gate(name, "failed", fault)
    words = (f"{len(expected):,} questions, the same for all", f"所有方案回答相同的 {len(expected):,} 道题")
    return gate(name, "passed", words, {"questions": len(expected), "contenders": len(sheets)})


def exam_unseen(taught: Sequence[str]) -> Gate:
    """A challenger that was tuned on the very questions shows that it was, and no more. `taught`: task (card#split)."""
    if taught:
        named = ", ".join(taught)
        en = f"tuned on the very split that is the exam: {named}; take it out of data, or name it in train.exclude"
        zh = f"挑战者就在考试所用的数据上微调：{named}；请从 data 中去掉，或写入 train.exclude"
        return gate(TAUGHT, "failed", (f"challengers are {en}", zh))
    words = ("no challenger is tuned on a split of the exam", "没有挑战者在考试所用的数据上微调")
    return gate(TAUGHT, "passed", words)


def _unlike(sheet: Sheet, expected: Mapping[Key, Asked]) -> Words | None:
    lacking, extra = expected.keys() - sheet.questions.keys(), sheet.questions.keys() - expected.keys()
    if lacking:
        return (f"{sheet.name} lacks questions of the exam ({len(lacking):,}): {_shown(lacking)}",
                f"{sheet.name} 缺少 {len(lacking):,} 道题：{_shown(lacking)}")  # fmt: skip
    if extra:
        return (f"{sheet.name} answered questions that the exam has not ({len(extra):,}): {_shown(extra)}",
                f"{sheet.name} 多出 {len(extra):,} 道题：{_shown(extra)}")  # fmt: skip
    for field, (en, zh) in UNLIKE.items():
        other = [key for key, row in sheet.questions.items() if getattr(row, field) != getattr(expected[key], field)]
        if other:
            return (f"{sheet.name} {en} ({len(other):,}): {_shown(other)}",
                    f"{sheet.name} 有 {len(other):,} 个编号下{zh}：{_shown(other)}")  # fmt: skip
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


def prompt_content(sheets: Sequence[Sheet], templates: Mapping[str, str], unseen: Collection[str] = ()) -> Gate:
    """The same content before frame and chat template, and a recorded template (contender -> digest).

    `unseen` names those whose server puts messages into a template of its own, which nobody here has seen.
    """
    first: dict[Key, tuple[str, str]] = {}
    for sheet in sheets:
        if not templates.get(sheet.name) and sheet.name not in unseen:
            words = (f"{sheet.name} has no record of its chat template", f"{sheet.name} 没有对话模板的记录")
            return gate(PROMPT_CONTENT, "failed", words)
        if fault := _other_template(sheet, templates.get(sheet.name, "")):
            return gate(PROMPT_CONTENT, "failed", fault)
        for key, row in sheet.questions.items():
            content, who = first.setdefault(key, (row.content, sheet.name))
            if content != row.content:
                words = (f"{'/'.join(key)}: {who} and {sheet.name} were asked different things",
                         f"{'/'.join(key)}：{who} 与 {sheet.name} 的题面不同")  # fmt: skip
                return gate(PROMPT_CONTENT, "failed", words)
    if unseen:
        who = ", ".join(unseen)
        words = (f"all were asked the same, but the template of {who} is its server's own, which is not known",
                 f"题面完全相同，但 {who} 由服务端套用对话模板，内容未知")  # fmt: skip
        return gate(PROMPT_CONTENT, "not_checked", words)
    words = ("all were asked the same before frame and template", "套用提示框架和模板之前，题面完全相同")
    return gate(PROMPT_CONTENT, "passed", words, {"templates": len(set(templates.values()))})


def _other_template(sheet: Sheet, recorded: str) -> Words | None:
    """Answers to one task in two renderings, or written ones in another than the manifest has. Logs of before rows
    held it are believed."""
    for task in sheet.samples:
        found = {each.template for each in sheet.makings if each.task == task and each.template}
        wrote = {each.template for each in sheet.makings if each.task == task and each.protocol == "generated"} - {""}
        if len(found) > 1 or (recorded and wrote - {recorded}):
            return (f"{sheet.name} was asked {task} in another template than the one recorded",
                    f"{sheet.name} 的 {task} 使用了与记录不同的对话模板")  # fmt: skip
    return None


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
    elsewhere: bool = False  # its answers were given where nobody looked for an adapter


def adapter_applied(facts: Sequence[AdapterFact]) -> Gate:
    """Tuned contenders were scored with the adapter that was trained, and it moves them; untuned ones without any."""
    figures: dict[str, float | str | None] = {}
    unchecked = None
    for fact in facts:
        who = f"{fact.contender} seed {fact.seed}" if fact.tuned else fact.contender
        fault = _adapter_fault(fact)
        if fault:
            return gate(ADAPTER_APPLIED, "failed", (f"{who}: {fault[0]}", f"{who}：{fault[1]}"), figures)
        if fact.tuned and (fact.kl is None or fact.prompts < PROBES):
            unchecked = who
        if fact.tuned:
            figures |= {f"{who}: kl": fact.kl, f"{who}: kl of an A/A pair": fact.kl_same, f"{who}: norm": fact.norm}
    if unchecked:
        words = (f"{unchecked}: no probe of at least {PROBES} prompts", f"{unchecked}：没有至少 {PROBES} 条提示的探测")
        return gate(ADAPTER_APPLIED, "not_checked", words, figures)
    words = ("every adapter moves its model's outputs", "每个适配器都改变了模型输出")
    return gate(ADAPTER_APPLIED, "passed", words, figures)


def _adapter_fault(fact: AdapterFact) -> tuple[str, str] | None:
    if not fact.tuned:
        return ("an untuned contender was scored with an adapter", "未微调却加载了适配器") if fact.scored else None
    if fact.elsewhere:
        return None
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
class PlanFact:
    """Under which plan one contender and seed was scored, and when its first question was."""

    contender: str
    digest: str
    first_score_at: float | None  # None: its answers were given elsewhere, and nothing says when


@dataclass(frozen=True)
class Regraded:
    """Answers were read by another extractor than the plan promised, after they had been scored."""

    promised: str
    extractor: str
    agrees: bool  # both gave the same outcome, as `tuneworth regrade` found


def plan(
    digest: str | None, at: float | None, current: str, facts: Sequence[PlanFact], regraded: Regraded | None = None
) -> Gate:
    """The plan of record is this recipe's, and older than every score made under it; `current` is the recipe's, with
    the promised extractor. A later extractor may have the word only where the promised one said the same."""
    if digest is None or at is None:
        return gate(PLAN, "failed", ("no plan was kept before scoring", "评分之前没有登记方案"))
    figures: dict[str, float | str | None] = {"plan": digest[:12], "kept at": at}
    if fault := _broken_plan(digest, at, current, facts):
        return gate(PLAN, "failed", fault, figures)
    if regraded and not regraded.agrees:
        return gate(PLAN, "failed", _told(regraded, "the outcome is not known to be the same", "结论未必相同"), figures)
    unknown = ", ".join(fact.contender for fact in facts if fact.first_score_at is None)
    if unknown:
        words = (f"nothing says when {unknown} was scored", f"{unknown} 的评分时间未知")
        return gate(PLAN, "not_checked", words, figures)
    words = ("the plan is older than every score", "方案登记早于所有评分")
    if regraded:
        told = _told(regraded, "the outcome is the same", "结论相同")
        words = (f"{words[0]}; {told[0]}", f"{words[1]}；{told[1]}")
    figures["first score at"] = min((fact.first_score_at for fact in facts if fact.first_score_at), default=None)
    return gate(PLAN, "passed", words, figures)


def _broken_plan(digest: str, at: float, current: str, facts: Sequence[PlanFact]) -> Words | None:
    """What was promised otherwise, or after it had been scored."""
    if digest != current:
        return (f"recipe, questions or models are not those of the kept plan; {AFRESH[0]}",
                f"配方、题目或模型与登记的方案不同；{AFRESH[1]}")  # fmt: skip
    for fact in facts:
        if fact.digest != digest:
            return (f"{fact.contender} was scored under another plan; {AFRESH[0]}",
                    f"{fact.contender} 是按另一份方案评分的；{AFRESH[1]}")  # fmt: skip
        if fact.first_score_at is not None and fact.first_score_at < at:
            return (f"{fact.contender} was scored before the plan was kept", f"{fact.contender} 的评分早于方案登记")
    return None


def _told(found: Regraded, en: str, zh: str) -> Words:
    return (f"answers were read anew by extractor {found.extractor}, where the plan promised {found.promised}; {en}",
            f"答案改由提取器 {found.extractor} 重新读取（登记为 {found.promised}），{zh}")  # fmt: skip
