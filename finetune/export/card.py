"""The model card: front matter for the Hub, then what a person must know before using or passing on what was tuned."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

import yaml

from finetune.export.facts import Facts
from finetune.export.index import model_index
from finetune.licence import Terms, terms_of
from finetune.methods import declared
from finetune.methods.heads import PIPELINES
from finetune.recipe import DataUse

FENCE = "~~~~"  # a frame may hold backticks
THINK = {
    "keep": "the model thinks; a thought stood in every training row and was trained",
    "drop": "no thought was trained; an untuned reasoning model may think all the same",
    "empty": "an empty thought is handed to the model, so that it answers at once",
}
PLAIN_PEFT = {  # what plain PEFT makes of a trained prompt, beside what the exam did
    "ptuning_v1": "In plain PEFT: one question at a time, or rows padded on the right. In a batch padded on the left "
    "PEFT puts the virtual tokens before the padding, at other positions: the answers are others, `generate`'s too.",
    "ptuning_v2": "In plain PEFT: `generate` is right in any batch. A bare forward of rows padded on the left needs "
    "`position_ids` counted from the attention mask; without them the logits are others.",
}
SHIPPED = {
    "same": "The chat template in this folder renders this question in the same way.",
    "other": "**The chat template in this folder, the base's own, renders it otherwise: render as shown.**",
    "none": "No chat template comes with the base: render as shown.",
}  # fmt: skip
HEADED = {
    "sequence": "- **It answers by its classification head, not in words.** Run the prompt, rendered as below, through "
    "the model and take the decoder's last hidden state (after the final norm) at the last token. `weight` [labels, "
    "hidden] and `bias` [labels] of `head.safetensors` make of it, in float32, a score for each of the `labels` of "
    "`head.json`; the largest is the answer.",
    "token": "- **It answers by its classification head, not in words.** Run the prompt, rendered as below, through "
    "the model and take the decoder's last hidden states (after the final norm) at the tokens of the text inside it. "
    "`weight` [labels, hidden] and `bias` [labels] of `head.safetensors` make of each, in float32, a score for each "
    "tag of `head.json`: B begins a passage, I goes on with it, O is outside.",
}
UNJUDGED = {
    "none": "None: no verdict was there when this was exported. Nothing is known of its worth.",
    "other": "None: the verdict beside this run is of another adapter or of other contenders.",
    "plumbing": "None: it was made in a smoke run, which checks that every room works and says nothing of worth.",
}


def card(facts: Facts) -> str:
    """README.md of an exported folder."""
    front = yaml.safe_dump(_front(facts), allow_unicode=True, sort_keys=False)
    parts = [_head(facts), _licences(facts), _tuning(facts), _asking(facts), _training(facts), _results(facts)]
    return f"---\n{front}---\n\n" + "\n\n".join("\n".join(part) for part in parts) + "\n"


def _front(facts: Facts) -> dict[str, Any]:
    kind, index = facts.method["kind"], _index(facts)
    return {
        "base_model": facts.base,
        "base_model_relation": "finetune" if facts.whole else "adapter",
        "library_name": "transformers" if facts.whole else "peft",
        "pipeline_tag": PIPELINES[facts.contender.head],
        **_hub_licence(facts),
        "language": sorted({language for use in facts.data for language in use.card.languages}),
        "datasets": list(dict.fromkeys(use.card.name for use in facts.data)),
        "tags": [kind, *(["merged"] if facts.fusion else []), "tuneworth"],
        **({"model-index": index} if index else {}),
    }


def _index(facts: Facts) -> list[dict[str, Any]]:
    """Of weights that were trained in 4 bits and merged nothing is known: they are another model."""
    if facts.fusion and facts.fusion.four_bit_difference is not None:
        return []
    name, kind = f"{facts.recipe.name}-{facts.name}", PIPELINES[facts.contender.head]
    return model_index(name, kind, facts.result, merged=facts.fusion is not None)


def _hub_licence(facts: Facts) -> dict[str, str]:
    """The base's where it has but one that the Hub knows; a Llama licence binds whatever stands above it."""
    if any(not use.card.licence.commercial for use in facts.data):
        return {"license": "other", "license_name": "non-commercial-training-data"}
    strict = [terms.hub for terms in facts.base_terms if terms.rider] or [terms.hub for terms in facts.base_terms]
    if len(set(strict)) == 1 and strict[0] != "other":
        return {"license": strict[0]}
    return {"license": "other", "license_name": "-and-".join(strict) or "see-model-card"}


def _head(facts: Facts) -> list[str]:
    spec = facts.contender.model
    what = "merged into its base" if facts.fusion else "whole weights" if facts.whole else "an adapter for its base"
    return [
        f"# {facts.name}: {facts.base}, tuned by {facts.method['kind']}",
        "",
        *(["**Built with Llama**", ""] if any("Llama" in terms.name for terms in facts.base_terms) else []),
        f"- Contender `{facts.name}`, seed {facts.trained.seed}, of the study `{facts.recipe.name}`; {what}.",
        f"- Base: {facts.base}{f' @ {spec.revision}' if spec.revision else ''}"
        + (f", released {spec.released}" if spec.released else ""),
        *(f"- Data: {use.card.name} ({use.split}): {use.card.title}{_source(use)}" for use in facts.data),
        *([f"- Goes on from contender `{facts.contender.start}`."] if facts.contender.start else []),
        *_caveat(facts),
    ]


def _source(use: DataUse) -> str:
    return f"; from {use.card.source.repository}" if use.card.source else ""


def _caveat(facts: Facts) -> list[str]:
    return [f"- {facts.recipe.note}"] if facts.recipe.note else []


def _licences(facts: Facts) -> list[str]:
    """What base and data ask. The table is of this project and may lack a licence; then its name alone stands here."""
    barred = [use.card.name for use in facts.data if not use.card.licence.commercial]
    lines = ["## Licences and what they ask", ""]
    if barred:
        lines += [f"**No commercial use: {', '.join(barred)} allows none, nor then what was tuned on it.**", ""]
    lines += _asked(f"Base: {facts.contender.model.licence or 'not stated in its YAML'}", facts.base_terms)
    for use in facts.data:
        licence = use.card.licence
        allowed = "" if licence.commercial else "; no commercial use"
        said = f"Data {use.card.name}: {licence.name}{allowed}{f' ({licence.url})' if licence.url else ''}"
        lines += _asked(said, terms_of(licence.name))
    return [*lines, "", "A summary for orientation, no legal advice; the licences' own texts bind."]


def _asked(said: str, known: Iterable[Terms]) -> list[str]:
    duties = [f"  - {terms.name}: {duty}" for terms in known for duty in terms.asks]
    return [f"- {said}", *(duties or ["  - Not among the licences that tuneworth knows: read its text."])]


def _tuning(facts: Facts) -> list[str]:
    knobs = {f"method.{key}": value for key, value in facts.method.items()}
    used = {"epochs", "max_steps", "tokens_per_step", "max_length", "dev", "warmup", "schedule", "clip", "weight_decay",
            "optimizer", "packing"}  # fmt: skip
    knobs |= {f"train.{key}": value for key, value in facts.recipe.train.model_dump(mode="json", include=used).items()}
    knobs |= {"data_share": facts.contender.data_share}
    return ["## How it was tuned", "", *_table({**knobs, **_search(facts)}), *_merged(facts)]


def _search(facts: Facts) -> dict[str, Any]:
    """How its knobs were chosen, where they were."""
    method, found = facts.contender.method, facts.trained.training and facts.trained.training.search
    if method is None or not found:
        return {}
    tried = "; ".join(f"{knob}: {', '.join(map(str, values))}" for knob, values in declared(method).items())
    return {
        "method.search": f"{found.trials} trials ({tried}), chosen by the dev loss: {found.knobs}",
        "device-seconds of the other trials": f"{found.device_seconds:.0f}",
    }


def _table(rows: dict[str, Any]) -> list[str]:
    def plain(value: Any) -> str:
        return str(value).replace("|", "\\|").replace("\n", " ")

    return ["| key | value |", "|---|---|", *(f"| {key} | {plain(value)} |" for key, value in rows.items())]


def _merged(facts: Facts) -> list[str]:
    """How near the merged weights are to what was trained."""
    found = facts.fusion
    if found is None:
        return []
    lines = [
        "",
        f"Merged in {found.dtype} into a freshly read base. On {found.tokens} tokens the logits differ by at most "
        f"{found.difference:.2g} from those of the adapter on that base (the largest is {found.top:.3g}).",
    ]
    if found.four_bit_difference is not None:
        lines.append(
            f"It was trained, and scored if it was, on the base in 4 bits (NF4). From that, with the adapter, "
            f"the merged logits differ by at most {found.four_bit_difference:.2g}, and the likeliest next token is the "
            f"same at {found.four_bit_same:.0%} of the positions: another model, which scores may not hold for."
        )
    return lines


def _asking(facts: Facts) -> list[str]:
    chat, frame = facts.chat, facts.contender.prompt
    framed = (
        "The prompt frame of the recipe belongs around every question; it stands in the text below."
        if frame
        else "No prompt frame: the question stands alone."
    )
    return [
        "## How to ask it",
        "",
        f"- Chat family `{chat.family}`, think policy `{chat.think}`: {THINK[chat.think]}.",
        f"- Fingerprint {chat.digest[:12]} (`chat.json`); another rendering makes it another model.",
        f"- {framed}",
        *([HEADED[facts.contender.head]] if facts.contender.head else []),
        f"- {SHIPPED[facts.rendering.template]}",
        "- Decoding: `generation_config.json`, as the model's YAML declares it.",
        *_budget(facts),
        *([f"- {PLAIN_PEFT[facts.method['kind']]}"] if facts.method["kind"] in PLAIN_PEFT else []),
        "",
        "One question as it was rendered, up to where the model writes:",
        "",
        f"{FENCE}text",
        facts.rendering.text,
        FENCE,
    ]


def _budget(facts: Facts) -> list[str]:
    budget = facts.contender.model.decoding.thinking_tokens
    said = f"- Its thought was closed after {budget} tokens (`thinking_tokens`), which no setting of `generate` does."
    return [said] if budget else []


def _training(facts: Facts) -> list[str]:
    manifest, found = facts.trained, facts.trained.training
    assert found is not None, "a training's manifest"
    git = manifest.git.commit or "not in a repository"
    return ["## Training", "", *_table({
        "finished": datetime.fromtimestamp(manifest.finished_at, UTC).isoformat(timespec="minutes"),
        "rows (for the dev loss, cut)": f"{found.rows} ({found.dev_rows}, {found.truncated_rows})",
        "steps (best)": f"{found.steps} ({found.best_step}), {found.stopped}",
        "loss, nats a target token": f"{found.loss_first:.4g} to {found.loss_last:.4g}",
        "target tokens": found.target_tokens,
        "trained parameters": f"{found.trainable_parameters} of {found.parameters}",
        "data, edition": ", ".join(f"{name} {edition}" for name, edition in found.data.items()),
        "device-seconds": f"{manifest.device_seconds:.0f} on {manifest.hardware.devices} x {manifest.hardware.device}",
        "versions": ", ".join(f"{name} {version}" for name, version in manifest.versions.items()),
        "source": git + (", with uncommitted changes" if manifest.git.dirty else ""),
        "adapter, sha256": found.adapter_digest,
    })]  # fmt: skip


def _results(facts: Facts) -> list[str]:
    result = facts.result
    if result.state != "judged":
        return ["## Results", "", UNJUDGED[result.state]]
    merged = ["It was scored unmerged; how near the merged weights are stands above."] if facts.fusion else []
    return [
        "## Results",
        "",
        f"Scored from {result.date} on (UTC); intervals at {facts.recipe.rule.confidence:.0%}.",
        "",
        *(f"- {line}" for line in result.lines),
        "",
        "What they do not say:",
        "",
        "- They hold for these questions, this rendering and this decoding; not for other tasks, languages or lengths.",
        "- Nothing here was tested for safety, bias, or advice that someone may act on.",
        *(f"- {line}" for line in (*result.limits, *merged)),
    ]
