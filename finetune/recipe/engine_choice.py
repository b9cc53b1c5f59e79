"""Which engine runs the contenders that name none (`engine: auto`): one for a whole study, by table.

vLLM writes long answers faster than transformers, but not the same ones bit by bit, so contenders that are compared
never part over it: either it can run all of them, or none.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from finetune.recipe.engine import HF, VLLM, Auto
from finetune.recipe.engine_fit import Words, lora_rank, unheld
from finetune.recipe.sections import Contender

Name = Literal["hf", "vllm"]
FAST_ON = "cuda"  # the one kind of device on which vLLM is taken unasked
ROOMY = 0.8  # share of the memory for vLLM where options are read too, which takes room beside it


@dataclass(frozen=True)
class Choice:
    """An engine, and why this one."""

    engine: Name
    why: str
    why_zh: str = ""  # empty: noted by a version that said it in English alone

    @property
    def words(self) -> Words:
        """Why, in English and in Chinese."""
        return self.why, self.why_zh


def choose(hindrance: Words | None, processes: int, device: str, installed: bool) -> Choice:
    """By what the recipe forbids (`hindrance`, None where nothing), and what is here: processes that score, type of
    device, whether vLLM is installed."""
    if hindrance:
        return Choice("hf", *hindrance)
    if not installed:
        return Choice("hf", "vLLM is not installed here", "此处未安装 vLLM")
    if device != FAST_ON:
        why = f"vLLM is chosen on {FAST_ON} alone, and here is {device}"
        return Choice("hf", why, f"vLLM 仅在 {FAST_ON} 上自动选用，此处为 {device}")
    if processes > 1:
        why = f"{processes} processes score, and vLLM takes its devices itself"
        return Choice("hf", why, f"由 {processes} 个进程评分，而 vLLM 自行占用设备")
    return Choice(
        "vllm", f"answers are written, and vLLM is installed here, on {device}, and can run every contender",
        f"含书面作答，此处在 {device} 上装有 vLLM，且能运行所有方案",
    )  # fmt: skip


def hindrance(contenders: Mapping[str, Contender], protocols: Collection[str]) -> Words | None:
    """Why vLLM is not chosen for a study whatever the machine; None where nothing is in its way.

    `protocols` are of all tasks asked: an option's likelihood takes vLLM longer (eval_field 2.1), so that an exam of
    these alone stays with transformers; one with written answers too spends its time on them.
    """
    if "generated" not in protocols:
        return (
            "all tasks are scored by likelihood, which transformers reads faster",
            "各任务均按似然评分，transformers 更快",
        )
    for name, contender in contenders.items():
        if contender.served is not None:
            why = f"{name} is served, and what links it to the others is a probe against transformers"
            return why, f"{name} 由服务端运行，须以 transformers 为对照才能与其他方案相连"
        if contender.here and isinstance(contender.engine, HF):
            return f"{name} names hf, and one comparison keeps one engine", f"{name} 指定 hf，同一比较只用一种引擎"
        if contender.here and (what := unheld(contender) or _brought(contender)):
            why = f"{name}: {what[0]}, and one comparison keeps one engine"
            return why, f"{name}：{what[1]}；同一比较只用一种引擎"
    return None


def _brought(contender: Contender) -> Words | None:
    """What an adapter tuned elsewhere holds that vLLM does not; None where it could run it."""
    if contender.adapter is None:
        return None
    try:
        lora_rank(Path(contender.adapter))
    except ValueError as fault:
        return f"its adapter holds {fault}", f"vLLM 无法运行所带适配器（{fault}）"
    return None


def undecided(contender: Contender) -> bool:
    """Whether it runs here and names no engine."""
    return contender.here and isinstance(contender.engine, Auto)


def settled(contenders: Mapping[str, Contender], engine: Name, protocols: Collection[str]) -> dict[str, Contender]:
    """The contenders, each that names no engine with this one."""
    share = {"gpu_memory_utilization": ROOMY} if "likelihood" in protocols else {}
    taken = HF(kind="hf") if engine == "hf" else VLLM(kind="vllm", **share)
    return {
        name: each.model_copy(update={"engine": taken}) if undecided(each) else each
        for name, each in contenders.items()
    }
