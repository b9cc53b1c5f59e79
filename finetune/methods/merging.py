"""Merging: an adapter's product added into the weights of its base, which then serves as a plain checkpoint.

Only into a base freshly read in float32 or bfloat16. In a 4-bit one every sum would be rounded to sixteen values a
weight, and on some processors the bytes are not even in order (see `finetune.world.open_base`).
"""

from typing import Any

from finetune.mistakes import BadInput

# How far merged logits may be off, of the largest logit, by dtype. Measured 2e-6 and, for its sums are rounded, 2e-2.
BOUND = {"float32": 1e-4, "bfloat16": 1e-1, "float16": 1e-1}


def unmergeable(model: Any) -> str:
    """Why the adapter that stands on `model` cannot be merged into it; empty where it can be."""
    names = [name for name, _ in model.named_parameters()]
    if any("prompt_encoder." in name for name in names):
        return (
            "a trained prompt is keys and values beside the tokens, which no weight can hold; serve it with its adapter"
        )
    if not any(".lora_" in name for name in names):
        return "there is no low-rank adapter on the model; its weights are whole as they are"
    if getattr(model.get_base_model(), "is_quantized", False):
        return "its base is quantised; load the base anew in bfloat16 or float32 and put the adapter on that"
    if model.config.tie_word_embeddings and any("lm_head.lora_" in name for name in names):
        return "lm_head is tied to the embeddings, which would change with it; leave lm_head out of method.targets"
    return ""


def merge(model: Any) -> Any:
    """The bare transformers model with the adapter added into its weights (in place), in the weights' own dtype.

    `model` is as `finetune.methods.load` gives it, on a freshly read base. LoRA, rsLoRA and DoRA merge. BadInput gives
    the reason where that cannot be; ValueError where the sum is not finite.
    """
    reason = unmergeable(model)
    if reason:
        raise BadInput(f"merging: {reason}")
    return model.merge_and_unload(safe_merge=True).eval()
