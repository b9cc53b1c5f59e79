"""Which contenders an engine can run: what a server could do unseen and what vLLM does not hold is refused while the
recipe is read. transformers runs every contender."""

from collections.abc import Mapping

from finetune.recipe.engine import VLLM
from finetune.recipe.sections import Contender

UNHELD = {  # kinds of methods -> why vLLM cannot run what they leave
    "ptuning_v1": "vLLM has no trained prompts (it removed prompt adapters)",
    "ptuning_v2": "vLLM has no trained prefixes (it removed prompt adapters)",
    "qlora": "it was trained on a base in 4 bits, which vLLM would round otherwise",
    "full": "the proof that a tuning is on needs base and tuned weights side by side, and vLLM holds one set",
}


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
    if served.api == "chat" and model.think == "empty":
        raise ValueError(
            "model.think: messages cannot hand over an empty thought; say api: completions, or think: drop with "
            "engine.body {chat_template_kwargs: {enable_thinking: false}}"
        )


def _refuse_unheld(contender: Contender) -> None:
    """What vLLM does not hold. An adapter brought from elsewhere is looked at when it is opened."""
    kind = contender.method.kind if contender.method else ""
    if kind in UNHELD:
        raise ValueError(f"engine vllm: method {kind}: {UNHELD[kind]}; say engine: hf")
    if "lm_head" in getattr(contender.method, "targets", ()):
        raise ValueError("engine vllm: method.targets: vLLM puts no LoRA on lm_head; leave it out, or say engine: hf")
    if getattr(contender.method, "dora", False):
        raise ValueError("engine vllm: method.dora: vLLM applies no DoRA; say engine: hf, or dora: false")
    if contender.head:
        raise ValueError("engine vllm: vLLM has no classification head of ours; say engine: hf")
    if contender.model.dtype == "nf4":
        raise ValueError("engine vllm: model.dtype: nf4 is of the engine hf; say bfloat16, or engine: hf")
