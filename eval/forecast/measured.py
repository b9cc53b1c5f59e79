"""How well memory was planned: predicted against measured peaks of the runs at hand."""

import json
from pathlib import Path

from rich.table import Table

from finetune.run import RunManifest


def measured(out: Path) -> Table | None:
    """Predicted against measured peaks of the runs in `out`, by method; None where none has both."""
    found: dict[str, list[float]] = {}
    for path in sorted(out.glob("*/*/seed-*/train.json")):
        done, recipe = RunManifest.read(path), path.parents[2] / "recipe.json"
        if done is None or done.training is None or not done.training.predicted_peak_bytes or not recipe.is_file():
            continue
        contender = json.loads(recipe.read_text("utf-8"))["recipe"]["contenders"].get(done.contender) or {}
        kind = (contender.get("method") or {}).get("kind", "?")
        ratio = done.training.predicted_peak_bytes / done.training.peak_memory_bytes - 1
        found.setdefault(f"{kind} on {done.hardware.device}", []).append(ratio)
    if not found:
        return None
    table = Table(title=f"Predicted against measured peak memory, runs in {out}", title_justify="left")
    for head in ("method", "runs", "predicted is off by"):
        table.add_column(head)
    for kind, errors in found.items():
        spread = f"{min(errors):+.0%}" if len(errors) == 1 else f"{min(errors):+.0%} to {max(errors):+.0%}"
        table.add_row(kind, str(len(errors)), spread)
    return table
