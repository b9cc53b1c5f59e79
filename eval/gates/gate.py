"""A gate: one condition of validity, named, asked and told in both languages."""

from collections.abc import Mapping
from typing import Literal

from pydantic import BaseModel, ConfigDict

Status = Literal["passed", "failed", "unresolved", "not_checked"]


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
SAME_QUESTIONS = ("same questions", "同一批题目")
GUARD_QUESTIONS = ("same guard questions", "同一批护栏题目")
PROMPT_CONTENT = ("prompt content", "题面内容")
ADAPTER_APPLIED = ("adapter applied", "适配器生效")
BELOW_CHANCE = ("below chance", "低于瞎猜")
BASE_BELOW = ("base below chance", "原底座低于瞎猜")  # tau would be inflated; delta is not touched
UNPARSED_NAME = ("unparsed", "答案无法提取")
TRUNCATED_NAME = ("truncated", "截断或思考未结束")
TAUGHT = ("exam unseen", "未见过考题")
CLEAN = ("clean subset", "干净子集")
DATED = ("dated questions", "题目日期")
PLAN = ("plan", "事先登记")
MERGE = ("merge faithful", "合并一致")
PARITY = ("engine parity", "引擎一致")
NOISE = ("noise floor", "噪声下限")
JUDGE = ("judge", "裁判模型")
BATCHES = ("batch invariance", "批次不变")
LEARNED = ("items known by heart", "背题")
CANARY = ("planted secrets", "植入的密语")
SERVING = ("serving cost", "服务成本")
BUDGET = ("token budget", "作答上限")
# What a recipe may raise (decision.md 5.8), by name.
RAISABLE = dict((MERGE, NOISE, BATCHES, PARITY, CLEAN, DATED, LEARNED, BUDGET, BASE_BELOW, CANARY, JUDGE))
UNKNOWN = "unknown"  # what a log of others does not tell


def gate(name: Words, status: Status, reason: Words, figures: Figures | None = None, required: bool = True) -> Gate:
    return Gate(
        name=name[0], name_zh=name[1], status=status, required=required, reason=reason[0], reason_zh=reason[1],
        figures=dict(figures or {}),
    )  # fmt: skip
