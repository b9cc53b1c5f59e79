"""Results as the Hub's model-index: an entry a task, its interval and size beside the value.

Schema: huggingface_hub's EvalResult (https://github.com/huggingface/hub-docs/blob/main/modelcard.md). A source there
must be an address, which a run has none of; so the verdict is named by its sha256 in the metric's args.
"""

from __future__ import annotations

from typing import Any

from finetune.export.result import Measured, Result

METRICS = {"acc": "accuracy", "exact": "exact_match"}  # ours -> as the Hub calls it; others bear one name on both sides
DIGITS = 6


def model_index(model: str, kind: str, result: Result, *, merged: bool) -> list[dict[str, Any]]:
    """`kind` is the Hub's task (text-generation, ...). Empty where nothing was scored, or no score stands."""
    if not result.measured:
        return []
    from huggingface_hub import EvalResult
    from huggingface_hub.repocard_data import eval_results_to_model_index

    found = [
        EvalResult(
            task_type=kind, dataset_type=each.card, dataset_name=each.task, dataset_split=each.split,
            dataset_revision=each.edition, dataset_args={"version": each.version, "items_sha256": each.items_digest},
            metric_type=METRICS.get(each.metric, each.metric), metric_name=f"{each.metric}, {each.protocol}",
            metric_value=round(each.score, DIGITS), metric_args=_beside(each, result, merged=merged),
        )
        for each in result.measured
    ]  # fmt: skip
    return eval_results_to_model_index(model, found)


def _beside(each: Measured, result: Result, *, merged: bool) -> dict[str, Any]:
    """What a bare value does not say."""
    bounds = {} if each.low is None or each.high is None else {
        "low": round(each.low, DIGITS), "high": round(each.high, DIGITS), "confidence": result.confidence,
    }  # fmt: skip
    return {
        **bounds, "n": each.n, "clusters": each.clusters, "blind_guess": round(each.guess_rate, DIGITS),
        "training_seeds": list(result.seeds), "verdict": result.outcome, "verdict_json_sha256": result.digest,
        **({"scored": "the adapter on its base, unmerged"} if merged else {}),
    }  # fmt: skip
