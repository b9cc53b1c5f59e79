"""DeepSpeed's engine on two processes, by gloo, does what one process does: ZeRO-2 and ZeRO-3."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
import warnings
from types import SimpleNamespace

import pytest
import torch
import yaml
from safetensors.torch import load_file
from small_lesson import LAUNCH, ROOT, facts, finish, manifest, place, start, words, write_lesson

from eval.cli import main as tuneworth
from eval.launch import Job, line
from finetune.launch import Launch, refuse_unbuilt
from finetune.mistakes import BadInput
from finetune.recipe import Train
from finetune.train.__main__ import main
from finetune.train.savepoint import Progress, Savepoint, Savepoints
from finetune.train.zero import RENAMED
from finetune.world import World

torch.set_num_threads(1)
needs_it = pytest.mark.skipif(importlib.util.find_spec("deepspeed") is None, reason="deepspeed is not installed")
LESSON = {"tokens_per_step": 900, "max_steps": 4, "dev": 0.2}  # more sheets a step than one
# How much of the base a process holds between two passes; more of a run's text than that is not needed.
HELD = (
    "from finetune.train.zero import Zero; built = Zero.__init__\n"
    "def init(self, model, *asked):\n"
    "    built(self, model, *asked)\n"
    "    print('held', sum(p.numel() for p in model.parameters()), flush=True)\n"
    "Zero.__init__ = init\n"
)
KILLED = (
    "import os; from finetune.train.loop import Loop; take = Loop._step\n"
    "def step(self):\n"
    "    if self.progress.step == 3 and os.environ['RANK'] == '1': os.kill(os.getpid(), 9)\n"
    "    return take(self)\n"
    "Loop._step = step"
)


@pytest.fixture(autouse=True)
def on_processors(monkeypatch):
    monkeypatch.setenv("DS_ACCELERATOR", "cpu")


def launch_file(folder, stage):
    """The one of recipes/launch, for two processes."""
    path = folder / f"zero{stage}.yaml"
    path.write_text((LAUNCH / path.name).read_text().replace("num_processes: 8", "num_processes: 2"))
    return path


def by_torchrun(recipe, contender, launch, code="", *more):
    return finish(start(words(recipe, contender, "--set", f"train.launch={launch}", *more), processes=2, code=code))


def alike(one, two, near=1e-6):
    """float32 sums in another order; measured 8e-8."""
    assert len(one.losses) == 4
    for told, found in ((one.losses, two.losses), (one.dev_losses, two.dev_losses)):
        assert [step for step, _ in found] == [step for step, _ in told]
        assert [loss for _, loss in found] == pytest.approx([loss for _, loss in told], rel=near)
    assert (two.useful_tokens, two.parameters) == (one.useful_tokens, one.parameters)
    assert two.reload_difference == 0  # read back into a whole base on the processor
    assert two.adapter_norm == pytest.approx(one.adapter_norm, rel=1e-5)
    assert two.logit_shift > 0.1


def same_adapter(one, two):
    told, found = (load_file(next(folder.glob("*.safetensors"))) for folder in (one, two))
    assert {name: tensor.shape for name, tensor in found.items()} == {name: t.shape for name, t in told.items()}
    for name, tensor in told.items():
        assert bool(tensor.any())
        torch.testing.assert_close(found[name], tensor, rtol=1e-3, atol=1e-5)


CASES = [
    (2, "lora", {}),
    (3, "lora", {}),
    pytest.param(3, "prompt", {"checkpointing": True}, marks=pytest.mark.slow),
]


@needs_it
@pytest.mark.parametrize(("stage", "contender", "train"), CASES)
def test_two_processes_are_one(tmp_path, tiny, stage, contender, train):
    one, two = (write_lesson(tmp_path / name, tiny("qwen2"), **LESSON, **train) for name in ("one", "two"))
    assert main(words(one, contender)) == 0
    status, out, err = by_torchrun(two, contender, launch_file(tmp_path, stage), HELD)
    assert status == 0, err
    assert manifest(two, contender).hardware.processes == 2
    alike(facts(one, contender), facts(two, contender))
    same_adapter(place(one, contender).adapter, place(two, contender).adapter)
    held, whole = int(out.partition("held ")[2].split()[0]), facts(one, contender).parameters
    assert held == whole if stage == 2 else held < whole / 2


@needs_it
@pytest.mark.slow
def test_in_half_precision_the_engine_is_torchs_own_pair(tmp_path, tiny):
    """Both are off one process by as much: there rounding falls otherwise from the second step on."""
    half, found = ("--set", "contenders.lora.model.dtype=bfloat16"), []
    for launch in (LAUNCH / "cpu2.torchrun.yaml", launch_file(tmp_path, 2)):
        recipe = write_lesson(tmp_path / launch.stem, tiny("qwen2"), **LESSON)
        status, _, err = by_torchrun(recipe, "lora", launch, "", *half)
        assert status == 0, err
        found.append(facts(recipe))
    alike(*found)


@needs_it
@pytest.mark.slow
def test_a_killed_run_started_by_accelerate_goes_on_bit_for_bit(tmp_path, tiny, capsys):
    straight, broken = (write_lesson(tmp_path / name, tiny("qwen2"), **LESSON) for name in ("straight", "broken"))
    launch = launch_file(tmp_path, 3)
    job = Job("train", straight, "lora", None, straight.parent / "runs", (f"train.launch={launch}",))
    command, paths = line(job, str(launch)), os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    done = subprocess.run([sys.executable, *command[1:]], env=paths, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert by_torchrun(broken, "lora", launch, KILLED)[0] != 0
    assert main(words(broken, "lora")) == 2
    assert "an unfinished run had 2 processes" in capsys.readouterr().err
    status, out, err = by_torchrun(broken, "lora", launch)
    assert status == 0, err
    assert "goes on after step 2" in out
    assert facts(broken).losses == facts(straight).losses
    assert facts(broken).adapter_digest == facts(straight).adapter_digest


@needs_it
@pytest.mark.slow
def test_a_head_on_a_bfloat16_base(tmp_path, tiny):
    """The first loss is that of one process, before rounding of the base parts the two."""
    chosen = ["--set", "contenders.prefix.head=sequence", "--set", "contenders.prefix.model.dtype=bfloat16"]
    chosen += ["--set", "contenders.prefix.method.learning_rate=0.02"]
    one, two = (write_lesson(tmp_path / name, tiny("qwen2"), **LESSON) for name in ("one", "two"))
    assert main(words(one, "prefix", *chosen)) == 0
    status, _, err = by_torchrun(two, "prefix", launch_file(tmp_path, 3), "", *chosen)
    assert status == 0, err
    (_, told), (_, found) = facts(one, "prefix").losses[0], facts(two, "prefix").losses[0]
    assert found == pytest.approx(told, rel=1e-5)
    assert facts(two, "prefix").losses[-1][1] == pytest.approx(facts(one, "prefix").losses[-1][1], rel=0.05)
    assert (facts(two, "prefix").reload_difference, facts(two, "prefix").head_difference) == (0, 0)


def refused(method, stage, four_bit=False, **knobs):
    contender = SimpleNamespace(four_bit=four_bit, method=method)
    with pytest.raises(BadInput) as fault:
        refuse_unbuilt(contender, Train(**knobs), sharded=stage == 3, zero=stage)
    return str(fault.value)


def test_what_the_engine_is_not_built_for_is_refused():
    from finetune.methods import Full, LoRA

    assert "method full" in refused(Full(), 2)
    assert "method full" in refused(Full(), 3)
    assert "4 bits" in refused(LoRA(kind="qlora"), 2, four_bit=True)
    assert "method.dora finds no weight" in refused(LoRA(dora=True), 3)
    assert "train.optimizer: adamw_8bit is not built" in refused(LoRA(), 2, optimizer="adamw_8bit")


def test_checkpoints_of_another_engine_are_refused(tmp_path):
    own = Savepoints(tmp_path, "f", 2, "DeepSpeed ZeRO-2")
    part = {"0": torch.ones(2, 3)}
    own.save(Savepoint(Progress(step=1), part, {}, part))
    assert own.latest(print).progress.step == 1
    state = json.loads((tmp_path / "step-000001" / "state.json").read_text())
    assert state["engine"] == "DeepSpeed ZeRO-2"
    with pytest.raises(BadInput, match=r"took its steps by DeepSpeed ZeRO-2, this one would by torch"):
        Savepoints(tmp_path, "f", 2).latest(print)


def test_without_deepspeed_a_line_says_so(tmp_path, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(BadInput, match=r"zero2.yaml needs deepspeed, which is missing; `pip install 'tuneworth"):
        World.open(str(launch_file(tmp_path, 2)), None, tmp_path)


def test_without_an_accelerator_its_word_for_processors_is_asked_for(tmp_path, monkeypatch):
    monkeypatch.delenv("DS_ACCELERATOR")
    monkeypatch.setattr("importlib.util.find_spec", lambda name: True)
    monkeypatch.setattr("torch.accelerator.is_available", lambda: False)
    with pytest.raises(BadInput, match="none is seen; on processors set DS_ACCELERATOR=cpu"):
        World.open(str(launch_file(tmp_path, 3)), None, tmp_path)


@pytest.mark.parametrize("method", ["lora", "full"])
@needs_it
def test_a_plain_start_is_told_how_to_start_it(tmp_path, tiny, capsys, monkeypatch, method):
    monkeypatch.delenv("RANK", raising=False)
    recipe, launch = write_lesson(tmp_path, tiny("qwen2")), launch_file(tmp_path, 2)
    assert main(words(recipe, method, "--set", f"train.launch={launch}")) == 2
    assert (
        f"which no launcher started; start it as `accelerate launch --config_file {launch}" in capsys.readouterr().err
    )


def test_deepspeed_that_the_recipe_does_not_name_is_said_first(tmp_path, monkeypatch):
    """Else accelerate gives each process on a processor a world of its own."""
    monkeypatch.setenv("ACCELERATE_USE_DEEPSPEED", "true")
    monkeypatch.setenv("WORLD_SIZE", "2")
    for launch, said in ((None, "train.launch names no file"), (str(LAUNCH / "ddp.yaml"), "ddp.yaml is not")):
        with pytest.raises(BadInput, match=f"DeepSpeed was started, but .*{said} of its kind"):
            World.open(launch, None, tmp_path)


@pytest.mark.parametrize(
    ("told", "said"),
    [
        ("abc", "deepspeed_config is 'abc'; write keys below it"),
        ("[2]", r"deepspeed_config is \[2\]; write keys below it"),
        ("{zero_stage: 2, 3: x, a: b}", "deepspeed_config.3 is not obeyed here"),
        ('{zero_stage: "2"}', "zero_stage is '2'; write a whole number, without quotes"),
    ],
)
def test_a_malformed_file_is_refused_in_a_line(tmp_path, told, said):
    path = tmp_path / "odd.yaml"
    path.write_text(f"distributed_type: DEEPSPEED\nnum_processes: 2\ndeepspeed_config: {told}\n")
    with pytest.raises(BadInput, match=said):
        Launch.read(str(path))


def by_the_door(capsys, monkeypatch, stage, recipe, launch, *more):
    """`tuneworth STAGE` in this process, where nothing may be launched: (status, its error line, what it printed)."""
    monkeypatch.setattr("eval.course.start", lambda words: pytest.fail(f"launched {words}"))
    asked = [stage, str(recipe), "--set", f"train.launch={launch}", *more]
    monkeypatch.setattr(sys, "argv", ["tuneworth", *asked])
    capsys.readouterr()  # what building the checkpoint said
    with pytest.raises(SystemExit) as end:
        tuneworth()
    printed = capsys.readouterr()
    return end.value.code, printed.err, printed.out


def test_before_anything_is_launched_one_line_says_what_is_not_built(tmp_path, tiny, capsys, monkeypatch):
    recipe, launch = write_lesson(tmp_path, tiny("qwen2")), launch_file(tmp_path, 3)
    runs = ("--contender", "full", "--out", str(tmp_path / "runs"))
    dora = ("--set", "contenders.lora.method.dora=true", "--contender", "lora")
    cases = ((runs, "method full"), (dora, "method.dora"))
    for more, said in cases:
        status, err, _ = by_the_door(capsys, monkeypatch, "train", recipe, launch, *more)
        assert (status, len(err.splitlines())) == (2, 1), err
        assert said in err
    status, err, _ = by_the_door(capsys, monkeypatch, "check", recipe, launch)
    assert (status, "method full" in err) == (2, True)


def test_a_missing_deepspeed_is_said_before_the_launch_and_by_check(tmp_path, tiny, capsys, monkeypatch):
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *of: None if name == "deepspeed" else find(name, *of))
    recipe, launch = write_lesson(tmp_path, tiny("qwen2")), launch_file(tmp_path, 2)
    status, err, _ = by_the_door(capsys, monkeypatch, "train", recipe, launch, "--contender", "lora")
    assert (status, "pip install 'tuneworth[deepspeed]'" in err, len(err.splitlines())) == (2, True, 1), err
    without = yaml.safe_load(recipe.read_text())
    without["contenders"].pop("full")
    recipe.write_text(yaml.safe_dump(without))
    unwrapped = "".join(by_the_door(capsys, monkeypatch, "check", recipe, launch)[2].split())
    assert "zero2.yamlneedsdeepspeed,whichismissing" in unwrapped


@needs_it
def test_what_torch_has_renamed_is_not_said_at_each_step():
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        warnings.filterwarnings("ignore", RENAMED, FutureWarning)
        for name in ("all_gather_into_tensor", "reduce_scatter_tensor", "barrier"):
            warnings.warn(f"`torch.distributed.{name}` is deprecated. Please use another.", FutureWarning, stacklevel=1)
    assert ["barrier" in str(each.message) for each in said] == [True]
