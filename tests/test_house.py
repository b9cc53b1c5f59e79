"""The house holds: imports only fall, the wall has its doors, light rooms stay light (shared floors: README)."""

import ast
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
FLOORS = {  # room (a module or a package) -> floor; the wall stands between 3.5 and 4
    "finetune.striped": -2, "finetune.product": -2,
    "finetune.files": -1, "finetune.mistakes": -1, "finetune.segments": -1, "finetune.licence": -1,
    "finetune.narrow": -1, "finetune.collector": -1, "finetune.lock": 0, "finetune.methods": 0,
    "finetune.card": 0.5, "finetune.market": 0.5,
    "finetune.notices": 0.5, "finetune.shape": 0.5,
    "finetune.checkpoint": 0.8, "finetune.frame": 0.8, "finetune.recipe": 1, "finetune.chat": 2, "finetune.run": 2,
    "finetune.launch": 2, "finetune.plan": 2, "finetune.labelled": 2.5,
    "finetune.data": 3, "finetune.tokenised": 3.2, "finetune.world": 3,
    "finetune.train": 3.5, "finetune.export": 3.5, "finetune.embedded": 3.5,
    "eval.extract": 3.9, "eval.signs": 3.9, "eval.twins": 3.95, "eval.task": 3.97, "eval.outline": 3.98,
    "eval.benchmark": 4,
    "eval.answerable": 4.1, "eval.standing": 4.1, "eval.blind": 4.1, "eval.paired": 4, "eval.noise": 4,
    "eval.significance": 4, "eval.exact": 4.1, "eval.spread": 4, "eval.corpus": 4.1, "eval.labels": 4.9,
    "eval.power": 4.1,
    "eval.answer": 4.2, "eval.items": 4.2, "eval.columns": 4.3, "eval.grading": 4.6, "eval.pledge": 4.2,
    "eval.foretold": 4.3, "eval.lm": 4.5, "eval.endpoint": 4.5, "eval.score": 5,
    "eval.sheet": 4.8, "eval.repeatability": 4.9, "eval.membership": 4.9,
    "eval.pairing": 4.9, "eval.scarce": 4.95, "eval.compare": 5,
    "eval.opinion": 4.7, "eval.guards": 4.2, "eval.engines": 4.2,
    "eval.gates": 5.2, "eval.money": 5.2,
    "eval.verdict": 5.5, "eval.flips": 5.7,
    "eval.report": 6, "eval.audit": 3.9, "eval.intake": 6, "eval.check": 6.1, "eval.foresight": 6, "eval.forecast": 6,
    "eval.regrade": 6, "eval.launch": 7, "eval.slurm": 7.1, "eval.course": 7.2, "eval.closing": 7.2,
    "eval.outlets": 6.2, "eval.terminal": 3.9, "eval.cards": 7.4,
    "eval.leaderboard": 6.5, "eval.review": 7.4, "eval.verify": 6, "eval.cli": 7.5,
}  # fmt: skip
ENGINE_ROOMS = {"finetune.train", "finetune.export", "finetune.embedded", "eval.score"}
DOORS = {
    f"finetune.{one}"
    for one in (
        "recipe",
        "run",
        "chat",
        "card",
        "methods",
        "labelled",
        "files",
        "mistakes",
        "plan",
        "world",
        "launch",
        "narrow",
        "product",
        "licence",
        "collector",
    )
}
HEAVY = {"torch", "transformers", "peft", "accelerate", "datasets", "lm_eval", "bitsandbytes", "deepspeed", "vllm"}
FEEDERS = {"finetune.striped", "finetune.product", "finetune.data", "finetune.tokenised", "finetune.world", "eval.lm"}
FORBIDDEN = {"utils", "helpers", "common", "misc", "base", "core", "manager", "types"} | set(sys.stdlib_module_names)
FILES = sorted(p for package in ("finetune", "eval") for p in (ROOT / package).rglob("*.py"))


def module(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def room(name: str) -> str | None:
    """The entry of the table that a module belongs to, `finetune.methods.lora` -> `finetune.methods`."""
    while name and name not in FLOORS:
        name = name.rpartition(".")[0]
    return name or None


def imports(path: Path) -> list[tuple[str, bool]]:
    """(module, whether at the top of the file) for every import."""
    tree, found = ast.parse(path.read_text("utf-8")), []
    inside = {n for f in ast.walk(tree) if isinstance(f, ast.FunctionDef | ast.ClassDef) for n in ast.walk(f)}
    typing_only = {
        n for i in ast.walk(tree) if isinstance(i, ast.If) and "TYPE_CHECKING" in ast.dump(i.test) for n in ast.walk(i)
    }
    for node in ast.walk(tree):
        top = node not in inside and node not in typing_only
        if isinstance(node, ast.ImportFrom) and node.module:
            names = [f"{node.module}.{a.name}" for a in node.names]
            found += [(n if n in FLOORS else node.module, top) for n in names]
        elif isinstance(node, ast.Import):
            found += [(a.name, top) for a in node.names]
    return found


@pytest.mark.parametrize("path", FILES, ids=module)
def test_imports_fall(path):
    here = module(path)
    if here in ("finetune", "eval"):
        return
    mine = room(here)
    assert mine, f"{here} has no floor in the table"
    for name, top in imports(path):
        theirs = room(name) if name.split(".")[0] in ("finetune", "eval") else None
        if name in ("eval", "finetune"):
            pytest.fail(f"{here}: bare import of {name}")
        if theirs and theirs != mine:
            assert FLOORS[theirs] < FLOORS[mine], f"{here} (floor {FLOORS[mine]}) climbs to {theirs} ({FLOORS[theirs]})"
            assert theirs not in ENGINE_ROOMS, f"{here} imports the engine room {theirs}"
            assert not (here.startswith("finetune") and theirs.startswith("eval")), (
                f"{here} looks over the wall: {theirs}"
            )
            if here.startswith("eval") and theirs.startswith("finetune"):
                assert theirs in DOORS, f"{here}: the wall has no door to {theirs}"
        if top and name.split(".")[0] in HEAVY:
            assert mine in ENGINE_ROOMS | FEEDERS, f"{here} is a light room and imports {name} at its top"


def test_every_room_of_the_table_exists():
    rooms = {room(module(p)) for p in FILES if module(p) not in ("finetune", "eval")}
    assert rooms == set(FLOORS)


def test_names_shadow_nothing():
    assert not {p.stem for p in FILES} & FORBIDDEN


def test_no_device_is_named():
    """But where vLLM's own is: the one place that says on which device it is taken unasked."""
    for path in FILES:
        text = path.read_text("utf-8")
        assert ".cuda(" not in text, path
        assert '"cuda"' not in text or module(path) == "finetune.recipe.engine_choice", path


def test_files_are_one_noun_long():
    assert {str(p): n for p in FILES if (n := len(p.read_text("utf-8").splitlines())) > 330} == {}
