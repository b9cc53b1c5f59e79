"""The engine of contenders that name none: decided once for a study, where scoring first begins, and kept.

What was decided stands in attempts.jsonl beside the first scoring, probe, timing or membership, with its reason. Who
reads scores (judge, regrade, opinions) takes it from there and looks at no device.
"""

import importlib.util
import os
from collections.abc import Collection

from eval.benchmark import Benchmark
from finetune.launch import Launch
from finetune.mistakes import BadInput
from finetune.recipe import Recipe
from finetune.recipe.engine_choice import Choice, Name, choose, hindrance, settled, undecided
from finetune.recipe.engine_fit import Words
from finetune.run import RunDir

# Events that ask a model; what a membership found stands beside the score of the engine decided then.
BEGAN = ("score", "probe", "timing", "membership")
BEFORE = Choice("hf", "it was begun by a version that knew no other default", "运行由只有该默认引擎的旧版本开始")


def decide(recipe: Recipe, benchmark: Benchmark, run: RunDir) -> Choice:
    """What runs the contenders that name no engine, on this machine. BadInput: the run was begun with vLLM, and here
    it would not be chosen: answers would come from two engines."""
    found, begun = here(recipe, benchmark), recorded(run)
    if begun is None or forbidden(recipe, benchmark):
        return found
    if begun.engine == found.engine:
        return begun
    if begun.engine == "hf":
        why = f"as the run was begun: {begun.why}; engine: vllm of every contender scores them anew"
        return Choice(
            "hf", why, f"沿用运行开始时的引擎：{begun.why_zh or begun.why}；各方案写明 engine: vllm 则重新评分"
        )
    raise BadInput(
        f"engine: {run.folder} was begun with vllm, and here contenders that name no engine would go to hf "
        f"({found.why}); go on where it was begun, or say engine: hf, and all are scored anew"
    )


def here(recipe: Recipe, benchmark: Benchmark) -> Choice:
    """What would run them if nothing had begun. torch is asked for the device only where vLLM is installed."""
    hindered, installed = forbidden(recipe, benchmark), vllm_installed()
    device = _device(recipe.exam.launch) if installed and not hindered else ""
    return choose(hindered, _processes(recipe.exam.launch), device, installed)


def recorded(run: RunDir) -> Choice | None:
    """What was decided when the run was begun; None where nothing was asked yet of a contender that names no engine."""
    for line in run.attempted():
        if line.get("event") in BEGAN:
            if "engine" not in line:
                return BEFORE
            if "why" in line and line["engine"] in ("hf", "vllm"):
                return Choice(line["engine"], str(line["why"]), str(line.get("why_zh", "")))
    return None


def as_begun(recipe: Recipe, benchmark: Benchmark, run: RunDir) -> Recipe:
    """The recipe as its scores were made: what names no engine has the one that was decided, hf where none was."""
    begun = recorded(run)
    vllm = begun is not None and begun.engine == "vllm" and not forbidden(recipe, benchmark)
    return with_engine(recipe, benchmark, "vllm" if vllm else "hf")


def with_engine(recipe: Recipe, benchmark: Benchmark, engine: Name) -> Recipe:
    """The recipe with this engine wherever a contender names none."""
    return recipe.model_copy(update={"contenders": settled(recipe.contenders, engine, _protocols(benchmark))})


def told(recipe: Recipe, benchmark: Benchmark, run: RunDir) -> tuple[str, bool]:
    """(a line of who will run those that name no engine, whether it is a refusal); empty where all name one."""
    names = [name for name, contender in recipe.contenders.items() if undecided(contender)]
    if not names:
        return "", False
    try:
        found = decide(recipe, benchmark, run)
    except BadInput as fault:
        return str(fault), True
    open_yet = recorded(run) is None and not forbidden(recipe, benchmark)
    more = "; decided where scoring begins, and kept" if open_yet else ""
    return f"Engine of {', '.join(names)}: {found.engine} ({found.why}{more})", False


def vllm_installed() -> bool:
    return importlib.util.find_spec("vllm") is not None


def forbidden(recipe: Recipe, benchmark: Benchmark) -> Words | None:
    """Why vLLM is not chosen for this study on any machine; None where nothing is in its way."""
    return hindrance(recipe.contenders, _protocols(benchmark))


def _protocols(benchmark: Benchmark) -> Collection[str]:
    return {task.protocol for task in benchmark.asked}


def _processes(launch: str | None) -> int:
    """That score one contender: as the launch file says, or as this one was started."""
    return max(Launch.read(launch).processes if launch else 1, int(os.environ.get("WORLD_SIZE", "1")))


def _device(launch: str | None) -> str:
    """Type of the device on which a contender would be scored here."""
    if launch and Launch.read(launch).cpu:
        return "cpu"
    import torch

    found = torch.accelerator.current_accelerator(check_available=True)
    return found.type if found else "cpu"
