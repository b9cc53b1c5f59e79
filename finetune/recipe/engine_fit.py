"""Which contenders an engine can run: what a server could do unseen and what vLLM does not hold is refused while the
recipe is read. transformers runs every contender."""

import json
from collections.abc import Mapping
from pathlib import Path

from finetune.methods import declared
from finetune.recipe.engine import VLLM
from finetune.recipe.sections import Contender

Words = tuple[str, str]  # English, Chinese
UNHELD: dict[str, Words] = {  # kinds of methods -> why vLLM cannot run what they leave
    "ptuning_v1": (
        "vLLM has no trained prompts (it removed prompt adapters)", "vLLM 没有可训练提示（已移除提示适配器）",
    ),
    "ptuning_v2": (
        "vLLM has no trained prefixes (it removed prompt adapters)", "vLLM 没有可训练前缀（已移除提示适配器）",
    ),
    "qlora": (
        "it was trained on a base in 4 bits, which vLLM would round otherwise",
        "它在 4 位基座上训练，vLLM 的舍入方式不同",
    ),
    "full": (
        "the proof that a tuning is on needs base and tuned weights side by side, and vLLM holds one set",
        "证明微调生效需同时加载基座与微调后的权重，而 vLLM 只装载一套",
    ),
}  # fmt: skip
RANKS = (8, 16, 32, 64, 128, 256, 320, 512)  # of a LoRA, for which vLLM holds room


def refuse_misfits(contenders: Mapping[str, Contender]) -> None:
    """ValueError names the contender, the key, the reason and the remedy."""
    for name, contender in contenders.items():
        try:
            _refuse_misfit(contender)
        except ValueError as fault:
            raise ValueError(f"contenders.{name}: {fault}") from None


def _refuse_misfit(contender: Contender) -> None:
    if contender.served is not None:
        _refuse_misserved(contender)
    elif contender.items is None and contender.model.family == "served":
        raise ValueError("model.family: served is a server's own template; name the family, or give an engine or items")
    if isinstance(contender.engine, VLLM):
        _refuse_unheld(contender)


def _refuse_misserved(contender: Contender) -> None:
    """What a server cannot be asked for, or could do unseen."""
    served, model = contender.served, contender.model
    assert served is not None, "asked for a served contender"
    if contender.tuned:
        raise ValueError(
            "engine openai: whether a server has an adapter on cannot be proven, so only untuned contenders are "
            "asked there; leave method and adapter out, or the engine"
        )
    if served.api == "completions" and model.family == "served":
        raise ValueError("model.family: api completions sends our rendering; name the family of the checkpoint")
    if served.api == "chat" and model.decoding.thinking_tokens:
        raise ValueError(
            "model.decoding.thinking_tokens: messages cannot go on behind a thought that is closed for the model; say "
            "api: completions (with the checkpoint's family), or leave it out and give engine.body the server's own "
            "key for it, if it has one"
        )
    if served.api == "chat" and model.think == "empty":
        raise ValueError(
            "model.think: messages cannot hand over an empty thought; say api: completions, or think: drop with "
            "engine.body {chat_template_kwargs: {enable_thinking: false}}"
        )


def _refuse_unheld(contender: Contender) -> None:
    """What vLLM does not hold. An adapter brought from elsewhere is looked at when it is opened."""
    if what := unheld(contender):
        raise ValueError(f"engine vllm: {what[0]}; change it, or say engine: hf")


def unheld(contender: Contender) -> Words | None:
    """Why vLLM cannot run what a contender is by its recipe; None where it can."""
    method = contender.method
    if method and method.kind in UNHELD:
        why, why_zh = UNHELD[method.kind]
        return f"method {method.kind}: {why}", f"method {method.kind}：{why_zh}"
    if "lm_head" in getattr(method, "targets", ()):
        return "method.targets: vLLM puts no LoRA on lm_head", "method.targets：vLLM 不在 lm_head 上加 LoRA"
    if getattr(method, "dora", False):
        return "method.dora: vLLM applies no DoRA", "method.dora：vLLM 不支持 DoRA"
    if method and max(getattr(method, "rank", 0), *declared(method).get("rank", ()), 0) > RANKS[-1]:
        return f"method.rank: vLLM has room for {RANKS[-1]}", f"method.rank：vLLM 最多容纳 {RANKS[-1]}"
    if contender.head:
        return "vLLM has no classification head of ours", "vLLM 没有本项目的分类头"
    if contender.model.dtype == "nf4":
        return "model.dtype: nf4 is of the engine hf", "model.dtype：nf4 只有引擎 hf 支持"
    return None


def lora_rank(adapter: Path) -> int:
    """Rank of the LoRA in a PEFT folder. ValueError: what it holds that vLLM has no place for."""
    note = adapter / "adapter_config.json"
    if not note.is_file():
        raise ValueError("a whole checkpoint, whose proof needs both sets of weights at once")
    told = json.loads(note.read_text("utf-8"))
    kind = told.get("peft_type")
    if kind != "LORA":
        raise ValueError(f"peft_type {kind}, and vLLM has no trained prompts or prefixes")
    if told.get("use_dora"):
        raise ValueError("a DoRA, which vLLM does not apply")
    if told.get("modules_to_save"):
        raise ValueError(f"whole modules ({', '.join(told['modules_to_save'])}), which vLLM does not exchange")
    rank = max([int(told["r"]), *(told.get("rank_pattern") or {}).values()])
    if rank > RANKS[-1]:
        raise ValueError(f"a LoRA of rank {rank}, and vLLM has room for {RANKS[-1]}")
    return rank
