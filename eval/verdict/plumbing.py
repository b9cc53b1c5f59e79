"""Plumbing: what a smoke run says. Identity checks decide; how well the toys behave is only shown."""

from collections.abc import Sequence

from pydantic import BaseModel, ConfigDict, Field

from eval.gates import ADAPTER_APPLIED, GUARD_QUESTIONS, PLAN, PROMPT_CONTENT, SAME_QUESTIONS, Gate
from eval.verdict.evidence import Evidence
from finetune.run import TrainFacts

IDENTITY = {name for name, _ in (SAME_QUESTIONS, GUARD_QUESTIONS, PROMPT_CONTENT, ADAPTER_APPLIED, PLAN)}
SAME = 1e-3  # largest difference of a logit between the trained model and its reloaded adapter
MOVED = 1e-6  # smallest difference of a logit that an adapter must make


class Check(BaseModel):
    """One named check; only those that `decides` make a smoke run fail."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    name: str
    name_zh: str
    passed: bool
    decides: bool
    text: str
    text_zh: str


class Plumbing(BaseModel):
    """Pass or fail, and why; in JSON its first key is `pass`."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True, serialize_by_alias=True)
    passed: bool = Field(alias="pass")
    checks: tuple[Check, ...]

    @property
    def failed(self) -> list[Check]:
        return [check for check in self.checks if check.decides and not check.passed]


def plumbing(evidence: Evidence, gates: Sequence[Gate]) -> Plumbing:
    """Every tuned contender and seed, the item logs, and the gates that were asked."""
    checks = []
    for name, stages in evidence.trained.items():
        for seed, stage in stages.items():
            if stage.training:
                checks += _training(f"{name} seed {seed}", stage.training)
    missing = sum(sheet.count("missing") for sheet in evidence.sheets.values())
    checks.append(
        _check("items complete", "作答完整", missing == 0, f"{missing} answers are missing", f"缺少 {missing} 个答案")
    )
    checks += [
        Check(
            name=gate.name, name_zh=gate.name_zh, passed=gate.status == "passed", decides=gate.name in IDENTITY,
            text=gate.reason, text_zh=gate.reason_zh,
        )
        for gate in gates if gate.required
    ]  # fmt: skip
    passed = all(check.passed for check in checks if check.decides)
    return Plumbing.model_validate({"pass": passed, "checks": checks})


def _training(who: str, facts: TrainFacts) -> list[Check]:
    first, last, shift, apart = facts.loss_first, facts.loss_last, facts.logit_shift, facts.reload_difference
    moved = f"{shift:.2g}", f"{apart:.2g}"
    ended = ("the closing token is a target", "结束符在训练目标中")
    if not facts.end_token_trained:
        ended = ("the closing token is no target", "结束符不在训练目标中")
    told = facts.end_token_trained  # None: a classification head, which writes nothing
    return [
        _check(f"{who}: loss fell", f"{who}：损失下降", last < first, *(f"{first:.4f} -> {last:.4f}",) * 2),
        *([] if told is None else [_check(f"{who}: end token trained", f"{who}：学会结束", told, *ended)]),
        _check(f"{who}: adapter moved the logits", f"{who}：适配器改变输出", shift > MOVED,
               f"by up to {moved[0]}", f"最大 {moved[0]}"),
        _check(f"{who}: reloaded = trained", f"{who}：重载后一致", apart <= SAME,
               f"within {moved[1]}", f"相差 {moved[1]}"),
    ]  # fmt: skip


def _check(name: str, name_zh: str, passed: bool, text: str, text_zh: str) -> Check:
    return Check(name=name, name_zh=name_zh, passed=passed, decides=True, text=text, text_zh=text_zh)
