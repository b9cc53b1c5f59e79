"""Which engine runs contenders that name none: the table of the choice, what is kept, and a run on a processor."""

from __future__ import annotations

import json
import re
from io import StringIO

import pytest
import yaml
from conftest import build_checkpoint
from rich.console import Console
from small_exam import model, write_adapter, write_exam, write_recipe

from eval import check, engines, pledge
from eval.benchmark import Benchmark
from eval.forecast import Wish
from eval.score import __main__ as score
from finetune.mistakes import BadInput
from finetune.plan import find
from finetune.recipe import VLLM, Auto, Recipe, Timing
from finetune.recipe.engine_choice import ROOMY, choose, hindrance, settled
from finetune.recipe.timing import extra
from finetune.run import RunDir, RunManifest

BOTH = ("likelihood", "generated")
HAN = re.compile(r"[\u4e00-\u9fff]")
SERVED = "contenders.newer.engine={kind: openai, url: 'http://127.0.0.1:9/v1', model: m}"


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """Contenders old, newer, framed, tuned (a LoRA) and brought (an adapter), none of which names an engine."""
    folder = tmp_path_factory.mktemp("choice")
    exam = write_exam(folder / "exam", count=12)
    old, newer = build_checkpoint(folder / "old", "qwen2"), build_checkpoint(folder / "newer", "qwen3")
    adapter = write_adapter(folder / "adapter", old)
    write_recipe(folder / "r.yaml", exam, model(old, "r1_distill_qwen"), model(newer, "qwen3"), adapter)
    return folder


@pytest.fixture
def recipe(place):
    return Recipe.read(place / "r.yaml")


@pytest.mark.parametrize(
    ("forbidden", "processes", "device", "installed", "engine", "why"),
    [
        (None, 1, "cuda", True, "vllm", "vLLM is installed here, on cuda, and can run every contender"),
        (None, 1, "cpu", True, "hf", "on cuda alone, and here is cpu"),
        (None, 1, "npu", True, "hf", "here is npu"),
        (None, 1, "mps", True, "hf", "here is mps"),
        (None, 1, "cuda", False, "hf", "vLLM is not installed here"),
        (None, 8, "cuda", True, "hf", "8 processes score"),
        (("prefix: no prefixes", "prefix：没有前缀"), 1, "cuda", True, "hf", "prefix: no prefixes"),
    ],
)
def test_the_machine_decides_where_the_recipe_lets_it(forbidden, processes, device, installed, engine, why):
    found = choose(forbidden, processes, device, installed)
    assert found.engine == engine
    assert why in found.why
    assert HAN.search(found.why_zh), "the page says it in both languages"


@pytest.mark.parametrize(
    ("changes", "protocols", "why"),
    [
        ((), BOTH, ""),
        ((), ("generated",), ""),
        ((), ("likelihood",), "all tasks are scored by likelihood"),
        (("contenders.old.engine=vllm",), BOTH, ""),
        (("contenders.old.engine=hf",), BOTH, "old names hf, and one comparison"),
        (("contenders.tuned.method={kind: ptuning_v2}",), BOTH, "tuned: method ptuning_v2: vLLM has no trained pref"),
        (("contenders.tuned.method={kind: ptuning_v1}",), BOTH, "tuned: method ptuning_v1"),
        (("contenders.tuned.method={kind: full}",), BOTH, "tuned: method full"),
        (("contenders.tuned.method={kind: qlora}",), BOTH, "tuned: method qlora"),
        (("contenders.tuned.method={kind: lora, dora: true}",), BOTH, "tuned: method.dora"),
        (("contenders.tuned.method={kind: lora, rank: 600}",), BOTH, "tuned: method.rank: vLLM has room for 512"),
        (
            ("contenders.tuned.method={kind: lora, search: {rank: [8, 600]}}",), BOTH,
            "tuned: method.rank: vLLM has room for 512",
        ),
        (("contenders.tuned.head=sequence",), BOTH, "tuned: vLLM has no classification head"),
        (
            ("contenders.newer.model.think=keep", "contenders.newer.model.decoding={thinking_tokens: 6}"),
            ("generated",), "",
        ),
        (("contenders.newer.model.dtype=nf4",), BOTH, "newer: model.dtype: nf4"),
        (("contenders.newer.model.think=drop", SERVED), BOTH, "newer is served, and what links it"),
    ],
)  # fmt: skip
def test_what_one_contender_cannot_none_does(place, changes, protocols, why):
    found = hindrance(Recipe.read(place / "r.yaml", changes).contenders, protocols)
    assert bool(found) is bool(why)
    if found:
        assert found[0].startswith(why)
        assert HAN.search(found[1])


def test_an_adapter_from_elsewhere_is_looked_at(place, tmp_path):
    raw = yaml.safe_load((place / "r.yaml").read_text("utf-8"))
    raw["contenders"]["brought"]["adapter"] = str(tmp_path / "theirs")
    (tmp_path / "theirs").mkdir()
    (tmp_path / "theirs/adapter_config.json").write_text('{"peft_type": "PREFIX_TUNING"}')
    (tmp_path / "other.yaml").write_text(yaml.safe_dump(raw))
    said = hindrance(Recipe.read(tmp_path / "other.yaml").contenders, BOTH)
    assert said is not None
    assert said[0].startswith("brought: its adapter holds peft_type PREFIX_TUNING")
    assert said[1].startswith("brought：vLLM 无法运行所带适配器")


def test_scores_of_a_recipe_without_engines_are_those_of_hf(place, recipe):
    assert all(isinstance(each.engine, Auto) for each in recipe.contenders.values())
    every = tuple(f"contenders.{name}.engine=hf" for name in recipe.contenders)
    named, asked = Recipe.read(place / "r.yaml", every), Recipe.read(place / "r.yaml", ("contenders.old.engine=auto",))
    for name in ("old", "newer", "brought"):
        print_ = recipe.score_fingerprint(name, 0, {})
        assert print_ == named.score_fingerprint(name, 0, {}) == asked.score_fingerprint(name, 0, {})
    benchmark = Benchmark.read(recipe)
    assert pledge.digest(recipe, benchmark) == pledge.digest(named, benchmark)


def test_the_whole_study_has_one_engine_and_room_for_options(recipe):
    found = settled(recipe.contenders, "vllm", BOTH)
    assert {each.vllm for each in found.values()} == {VLLM(kind="vllm", gpu_memory_utilization=ROOMY)}
    written = settled(recipe.contenders, "vllm", ("generated",))
    assert written["old"].vllm == VLLM(kind="vllm")
    assert {each.engine.kind for each in settled(recipe.contenders, "hf", BOTH).values()} == {"hf"}


def test_a_processor_takes_hf_and_says_so_in_ledger_manifest_and_plan(place, tmp_path):
    words = [str(place / "r.yaml"), "--out", str(tmp_path), "--contender"]
    assert score.main([*words, "brought"]) == 0
    run = RunDir(tmp_path / "r")
    (began,) = (line for line in run.attempted() if line["event"] == "score")
    assert began["engine"] == "hf"
    assert began["why"].startswith("vLLM is")  # not installed, or not chosen on a processor
    facts = RunManifest.read(run.seed("brought", 0).score_manifest).scoring
    assert facts.engine.startswith("transformers ")
    assert (facts.engine_why, facts.engine_why_zh) == (began["why"], began["why_zh"])
    recipe = Recipe.read(place / "r.yaml")
    benchmark = Benchmark.read(recipe)
    assert engines.recorded(run) == engines.here(recipe, benchmark)
    assert engines.as_begun(recipe, benchmark, run).contenders["newer"].engine.kind == "hf"
    assert pledge.restored(run).contenders["brought"].engine.kind == "hf"
    assert (
        score.main([str(place / "r.yaml"), "--contender", "old", "--out", str(tmp_path), "--probe", "--items", "2"])
        == 0
    )
    probed = run.attempted()[-1]
    assert (probed["event"], probed["engine"], probed["why"]) == ("probe", "hf", began["why"])


def test_what_another_machine_began_with_vllm_is_not_gone_on_with_here(place, recipe, tmp_path, capsys):
    run, benchmark = RunDir(tmp_path / "r"), Benchmark.read(recipe)
    run.attempt("score", contender="old", seed=0, fingerprint="x", engine="vllm", why="as here")
    for more in ((), ("--probe",)):
        assert score.main([str(place / "r.yaml"), "--contender", "old", "--out", str(tmp_path), *more]) == 2
        said = capsys.readouterr().err
        assert "was begun with vllm, and here contenders that name no engine would go to hf" in said
        assert "say engine: hf, and all are scored anew" in said
    read = engines.as_begun(recipe, benchmark, run)
    assert read.score_fingerprint("old", 0, {}) != recipe.score_fingerprint("old", 0, {})  # what stands there is vLLM's
    named = Recipe.read(place / "r.yaml", ("contenders.old.engine=hf",))
    assert engines.decide(named, benchmark, run).why == "old names hf, and one comparison keeps one engine"
    assert not engines.as_begun(named, benchmark, run).contenders["newer"].vllm


def test_a_run_of_an_earlier_version_stays_with_hf(recipe, tmp_path):
    run = RunDir(tmp_path / "r")
    assert engines.recorded(run) is None
    run.attempt("plan", digest="x")
    run.attempt("score", contender="old", seed=0, fingerprint="x")
    run.attempt("score", contender="newer", seed=0, fingerprint="y", engine="vllm", why="never")
    assert engines.recorded(run) == engines.BEFORE
    assert engines.decide(recipe, Benchmark.read(recipe), run).engine == "hf"


def test_what_names_its_engine_decides_nothing_for_the_others(recipe, tmp_path):
    run = RunDir(tmp_path / "r")
    run.attempt("score", contender="api", seed=0, fingerprint="x", engine="openai")
    assert engines.recorded(run) is None


def shown(recipe: Recipe, out, device: str = "") -> str:
    told = Console(width=600, record=True, file=StringIO())
    check.show(recipe, told, Wish(find(device), 1) if device else None, out)
    return told.export_text()


def test_check_tells_the_engine_and_why(place, recipe, tmp_path):
    said = shown(recipe, tmp_path)
    assert "Engine of brought, framed, newer, old, tuned: hf (vLLM is" in said
    prefix = Recipe.read(place / "r.yaml", ("contenders.tuned.method={kind: ptuning_v2}",))
    assert "hf (tuned: method ptuning_v2: vLLM has no trained prefixes" in shown(prefix, tmp_path)
    assert "decided where scoring begins" in said
    RunDir(tmp_path / "r").attempt("score", contender="old", seed=0, fingerprint="x", engine="vllm", why="as here")
    assert "was begun with vllm" in shown(recipe, tmp_path)
    every = tuple(f"contenders.{name}.engine=hf" for name in recipe.contenders)
    assert "Engine of" not in shown(Recipe.read(place / "r.yaml", every), tmp_path)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ((), "of what vLLM runs (on CUDA, where vLLM is installed, brought, framed, newer, old, tuned), which has"),
        (("contenders.newer.engine=vllm", "contenders.old.engine=hf"), "of what vLLM runs (newer), which has been"),
        (("contenders.old.engine=hf",), "Exam hours are of engine hf (transformers)."),
        (("contenders.tuned.method={kind: ptuning_v2}",), "Exam hours are of engine hf (transformers)."),
    ],
)
def test_hours_are_said_to_be_of_hf(place, tmp_path, changes, said):
    text = shown(Recipe.read(place / "r.yaml", changes), tmp_path, "h100")
    assert said in text
    assert ("options by likelihood may take vLLM longer" in text) is ("vLLM runs" in said)
    assert ("an upper bound" in text) is ("vLLM runs" in said)


def test_what_vllm_took_in_a_timing_is_not_divided_by_the_speedup():
    def timed(engine: str | None) -> Timing:
        return Timing(
            contender="lora", fingerprint="x", at=1, questions=1, answers=1, seconds=8, tokens_in=1, tokens_out=1,
            engine=engine,
        )  # fmt: skip

    free = Timing(**json.loads(timed(None).model_dump_json()) | {"contender": "newer", "seconds": 0})
    took = {each: extra([timed(each), free], {}, 3600, 4) for each in ("hf", "vllm", None)}
    assert took == {"hf": 2, "vllm": 8, None: 2}
    assert extra([timed(None), free], {"lora": {"engine": "vllm"}}, 3600, 4) == 8
    assert extra([timed(None), free], {"lora": {"engine": {"kind": "hf"}}}, 3600, 4) == 2


def test_an_engine_that_is_none_is_refused(place):
    with pytest.raises(BadInput, match="must be auto, hf, vllm or a mapping"):
        Recipe.read(place / "r.yaml", ("contenders.old.engine=fast",))
