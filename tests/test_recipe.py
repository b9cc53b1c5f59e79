"""Recipes: mistakes named in full, changes recorded, fingerprints over exactly what a stage depends on."""

import ast
import json
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from finetune.mistakes import BadInput
from finetune.recipe import Recipe

ROOT = Path(__file__).parent.parent


@pytest.fixture
def study(tmp_path, tiny):
    """A recipe on tiny checkpoints with a card of its own; returns (path, raw dict)."""
    rows = [{"question": f"q{i}", "answer": f"a{i}"} for i in range(12)]
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    card = {
        "name": "rows", "title": "Rows", "licence": {"name": "MIT", "commercial": True}, "languages": ["en"],
        "published": False, "shape": "qa", "format": "jsonl",
        "columns": {"question": "question", "answer": "answer"}, "splits": {"train": ["rows.jsonl"]},
    }  # fmt: skip
    (tmp_path / "rows.md").write_text(f"---\n{yaml.safe_dump(card)}---\nTwelve rows.\n")
    models = {name: {"id": str(tiny(arch)), "family": family, "think": "empty"} for name, arch, family in
              (("old", "qwen2", "r1_distill_qwen"), ("new", "qwen3", "qwen3"))}  # fmt: skip
    raw = {
        "question": "Is it?", "data": ["rows.md"],
        "contenders": {
            "old": {"model": models["old"]}, "new": {"model": models["new"]},
            "lora": {"model": models["old"], "method": {"kind": "lora", "rank": 4}},
        },
        "exam": {"tasks": ["demo_label"]},
        "rule": {"challengers": ["lora"], "incumbent": "new", "base": "old"},
    }  # fmt: skip
    path = tmp_path / "study.yaml"
    path.write_text(yaml.safe_dump(raw))
    return path, raw


def mistake(path: Path, raw: dict, *changes: str) -> str:
    path.write_text(yaml.safe_dump(raw))
    with pytest.raises(BadInput) as fault:
        Recipe.read(path, changes)
    return str(fault.value)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("contenders.lora.method.rnak=8", "contenders.lora.method.rnak: unknown; did you mean rank?"),
        ("train.epoch=3", "train.epoch: unknown; did you mean epochs?"),
        ("rul.margin=0.1", "rul: unknown; did you mean rule?"),
        ("contenders.old.model.famly=qwen3", "contenders.old.model.famly: unknown; did you mean family?"),
        ("contenders.lora.method.kind=lroa", "contenders.lora.method"),
        ("rule.incumbent=newest", "newest is no contender; there are"),
        ("rule.challengers=[old]", "old has no method and no adapter"),
        ("rule.base=lora", "lora is tuned"),
        ("exam.weights={nope: 2}", "nope is not among exam.tasks"),
        ("train.seeds=[]", "train.seeds"),
        ("train.seeds=[17, 17]", "train.seeds: 17 stands twice"),
        (f"train.seeds=[{10**20}]", "train.seeds.0"),
        ("train.epochs=.inf", "train.epochs"),
        ("rule.margin=.nan", "rule.margin"),
        ("rule.margin=2", "rule.margin"),
        ("rule.challengers=[lora, lora]", "rule.challengers: lora stands twice"),
        ("rule.alternatives=[new]", "rule.alternatives and incumbent: new stands twice"),
        ("rule.base=new", "before it was tuned"),
        ("exam.tasks=[demo_label, demo_label]", "exam.tasks: demo_label stands twice"),
        ("exam.twins=[options, options]", "exam.twins: options stands twice"),
        ("exam.weights={demo_label: 0}", "exam.weights.demo_label"),
        ("exam.weights={demo_label: .nan}", "exam.weights.demo_label"),
        ("name=../elsewhere", "cannot name a folder"),
        ("name=''", "cannot name a folder"),
        ("contenders.a/b={model: models/x.yaml}", "'a/b' cannot name a folder"),
        ("contenders.lora.adapter=./x", "exclude each other"),
        ("contenders.new.adapter=./x", "adapter_cost belong together"),
        ("data=[]", "data: empty"),
        ("costs.utilisation=2", "costs.utilisation"),
    ],
)
def test_mistakes_are_named_in_full(study, change, said):
    path, raw = study
    assert said in mistake(path, raw, change)


def test_every_mistake_is_one_line_with_the_file(study):
    path, raw = study
    lines = mistake(path, raw, "train.epoch=3", "rule.margn=1").splitlines()
    assert len(lines) == 2
    assert all(str(path) in line for line in lines)


def test_broken_yaml_names_the_line(study):
    path, _ = study
    path.write_text("question: x\n  bad: [1\n")
    with pytest.raises(BadInput, match=r"study\.yaml:2"):
        Recipe.read(path)


def test_a_change_is_of_the_one_it_names_where_an_anchor_is_shared(study):
    path, _ = study
    assert "*id" in path.read_text()
    before, after = Recipe.read(path), Recipe.read(path, ("contenders.lora.model.dtype=nf4",))
    assert after.contenders["lora"].model.dtype == "nf4"
    assert after.contenders["old"] == before.contenders["old"]


def test_set_is_part_of_the_resolved_recipe(study):
    path, _ = study
    changed = Recipe.read(path, ("contenders.lora.method.rank=7", "rule.margin=0.05"))
    assert changed.contenders["lora"].method.rank == 7
    assert changed.rule.margin == 0.05


@pytest.mark.parametrize(
    ("change", "train", "score"),
    [
        ("contenders.lora.method.rank=8", True, True),
        ("train.epochs=5", True, True),
        ("contenders.lora.prompt={role: analyst}", True, True),
        ("exam.samples=3", False, True),
        ("contenders.lora.model.decoding={temperature: 0.6}", True, True),
        ("rule.margin=0.5", False, False),
        ("costs.gpu_hour=99", False, False),
        ("exam.batch_tokens=100", False, False),
        ("train.save_every=7", False, False),
        ("question=Another?", False, False),
        ("train.tracker=wandb", False, False),
    ],
)
def test_a_stage_depends_on_exactly_what_changes_it(study, change, train, score):
    path, _ = study
    before, after = Recipe.read(path), Recipe.read(path, (change,))
    tasks = {"demo_label": "digest"}
    assert (before.train_fingerprint("lora", 1) != after.train_fingerprint("lora", 1)) is train
    assert (before.score_fingerprint("lora", 1, tasks) != after.score_fingerprint("lora", 1, tasks)) is score


def test_fingerprints_follow_files_not_paths(study, tmp_path):
    path, _ = study
    before = Recipe.read(path).train_fingerprint("lora", 1)
    with (tmp_path / "rows.jsonl").open("a") as rows:
        rows.write(json.dumps({"question": "one more", "answer": "b"}) + "\n")
    assert Recipe.read(path).train_fingerprint("lora", 1) != before


def test_every_schema_key_is_read_somewhere():
    """A key that is validated and documented but read by nothing is a bug."""
    from finetune import card, checkpoint, frame
    from finetune import recipe as room
    from finetune.methods import METHODS

    modules = (room, checkpoint, frame, card, card.columns, card.dates, card.edition, card.question, card.records)
    found = [v for m in modules for v in vars(m).values() if isinstance(v, type) and hasattr(v, "model_fields")]
    keys = {(model.__name__, key) for model in {*found, *METHODS} for key in model.model_fields}
    assert len(keys) > 80
    read = set()
    for path in [*ROOT.glob("finetune/**/*.py"), *ROOT.glob("eval/**/*.py")]:
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Load):
                read.add(node.attr)
            if isinstance(node, ast.Call):  # a reader of named columns is asked by name: found.text("id")
                read |= {a.value for a in node.args if isinstance(a, ast.Constant)}
    unread = sorted(f"{model}.{key}" for model, key in keys if key not in read)
    assert unread == []


def test_schema_is_printed_for_editors():
    done = subprocess.run(
        [sys.executable, "-m", "eval.cli", "check", "--schema"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    schema = json.loads(done.stdout)
    contender = schema["$defs"]["Contender"]["properties"]
    assert {"model", "method", "prompt", "adapter"} <= set(contender)
    assert schema["additionalProperties"] is False
    assert "string" in json.dumps(contender["model"])  # a path is what one writes


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("train.seeds=3", "train.seeds: a list, such as [a, b], is needed, found 3"),
        ("train.seeds=[1.5]", "train.seeds.0: a whole number is needed, found 1.5"),
        ("train.epochs=many", "train.epochs: a number is needed, found 'many'"),
        ("train.epochs=0", "train.epochs: must be over 0, found 0"),
        ("train.dev=2", "train.dev: must be under 1, found 2"),
        ("train.epochs=true", "train.epochs: a number is needed, found true"),
        ("contenders.lora.method.rank=yes", "contenders.lora.method.rank: a number is needed, found true"),
        (
            "contenders.lora.method={kind: lora, search: {rank: [on, 4]}}",
            "contenders.lora.method.search.rank.0: a number is needed, found true",
        ),
        ("contenders.lora.data_share=[0.5, true]", "contenders.lora.data_share: [0.5, True]; a list holds numbers"),
        ("allow_personal_data=' '", "allow_personal_data: must not be empty, found ' '"),
        ("train.packing=7", "train.packing: true or false is needed, found 7"),
        ("train.schedule=step", "train.schedule: must be 'cosine', 'linear' or 'constant', found 'step'"),
        ("exam=3", "exam: a mapping of keys is needed, found 3"),
        ("exam.tasks=[]", "exam.tasks: must hold 1 or more, holds 0, found []"),
        ("question=", "question: a text is needed, found nothing"),
        ("rule.margin=.inf", "rule.margin: a finite number is needed, found inf"),
        ("contenders.lora.method={rank: 4}", "contenders.lora.method: 'kind' is missing; it must be given, found"),
        ("contenders.lora.method={kind: lra}", "contenders.lora.method: 'kind' is unknown; there are 'lora', "),
    ],
)
def test_a_value_of_the_wrong_kind_is_told_in_words_of_yaml(study, change, said):
    with pytest.raises(BadInput) as fault:
        Recipe.read(study[0], (change,))
    assert f"study.yaml: {said}" in str(fault.value)
    assert len(str(fault.value).splitlines()) == 1


def test_trackers_are_those_of_accelerate():
    from accelerate.tracking import LOGGER_TYPE_TO_CLASS

    from finetune.recipe.sections import TRACKERS

    assert list(TRACKERS) == sorted(LOGGER_TYPE_TO_CLASS)


def test_embedded_names_are_those_that_are_built():
    from finetune import checkpoint, embedded

    assert set(checkpoint.TOYS) == set(embedded.TOYS)
