"""Two processes do what one does: the same steps, the same losses, one adapter. Frozen weights split or whole."""

from __future__ import annotations

import json
import os
from functools import cache
from importlib.util import find_spec

import pytest
import torch
from safetensors.torch import load_file
from small_lesson import LAUNCH, METHODS, facts, finish, manifest, place, start, words, write_lesson

from finetune.mistakes import BadInput
from finetune.recipe import read_yaml
from finetune.train.__main__ import main
from finetune.world import Launch, World

torch.set_num_threads(1)
TWO = ["--set", f"train.launch={LAUNCH / 'cpu2.torchrun.yaml'}"]
LESSON = {"tokens_per_step": 900, "dev": 0.2, "epochs": 4}  # more sheets a step than one
SPLIT = (
    "from finetune.world import World\n"
    "whole = World.open.__func__\n"
    "World.open = classmethod(lambda cls, *asked: World(whole(cls, *asked).accelerator, sharded=True))"
)
EACH = (  # main of the processes that are started: of one contender after another, and they part only at their end
    "\nfrom accelerate import Accelerator\n"
    "Accelerator.end_training, tune = Accelerator.wait_for_everyone, main\n"
    "main = lambda: max(tune([*sys.argv[1:], '--contender', name]) for name in {names})"
)
KIN = {
    "qlora": METHODS["lora"] | {"kind": "qlora"},
    "dora": METHODS["lora"] | {"dora": True},
    "rslora": METHODS["lora"] | {"dora": True, "rslora": True},
}
PLAIN = tuple(METHODS)
SPLITTABLE = (*(name for name in METHODS if name != "full"), "dora")  # full is refused


@pytest.fixture(scope="module")
def pair(tmp_path_factory, tiny):
    """pair(contender, names, code) -> facts of one process and of two, on the same lesson.

    Two processes are started once for all `names`, which they tune one after another, and asked of once for each.
    """

    @cache
    def lessons(names, code, keys):
        folder = tmp_path_factory.mktemp("pair")
        with pytest.MonkeyPatch.context() as patch:
            for name, knobs in KIN.items():
                patch.setitem(METHODS, name, knobs)
            one, two = (write_lesson(folder / count, tiny("qwen2"), **LESSON, **dict(keys)) for count in ("one", "two"))
        assert max(main(words(one, name)) for name in names) == 0
        status, _, err = finish(start(words(two, names[0], *TWO), processes=2, code=code + EACH.format(names=names)))
        assert status == 0, err
        return one, two

    def made(contender, names, code="", **train):
        one, two = lessons(names, code, tuple(train.items()))
        assert manifest(two, contender).hardware.processes == 2
        assert sorted(path.name for path in place(two, contender).folder.parent.iterdir()) == ["seed-17"]
        same_adapter(place(one, contender).adapter, place(two, contender).adapter)
        return facts(one, contender), facts(two, contender)

    return made


def same_adapter(one, two):
    """What several processes saved is whole: no tensor is missing, empty or zero, and all agree with one process's."""
    told, found = (load_file(next(folder.glob("*.safetensors"))) for folder in (one, two))
    assert {name: tensor.shape for name, tensor in found.items()} == {name: t.shape for name, t in told.items()}
    for name, tensor in told.items():
        assert tensor.numel() > 0
        assert bool(tensor.any())
        torch.testing.assert_close(found[name], tensor, rtol=1e-3, atol=1e-5)


def alike(one, two):
    assert [step for step, _ in one.losses] == [step for step, _ in two.losses]
    assert len(one.losses) > 4
    for name in ("losses", "dev_losses"):
        told, found = (dict(getattr(each, name)) for each in (one, two))
        assert found == pytest.approx(told, rel=3e-6)  # float32 sums in another order; measured 8e-7
    assert (one.useful_tokens, one.target_tokens) == (two.useful_tokens, two.target_tokens)
    assert two.reload_difference == 0
    assert two.adapter_norm == pytest.approx(one.adapter_norm, rel=1e-4)


def test_two_processes_are_one(pair):
    one, two = pair("lora", PLAIN)
    alike(one, two)
    assert one.losses != two.losses  # the sums were indeed made in another order


@pytest.mark.parametrize("contender", ["prefix", "reencoded", "prompt"])
def test_two_processes_are_one_with_a_trained_prompt(pair, contender):
    alike(*pair(contender, PLAIN))


def test_two_processes_are_one_with_every_weight_trained(pair):
    alike(*pair("full", PLAIN))


@pytest.mark.slow
def test_two_processes_train_one_seed_after_another(tmp_path, tiny):
    recipe = write_lesson(tmp_path, tiny("qwen2"), **LESSON, seeds=[3, 4])
    status, _, err = finish(start(words(recipe, "lora", *TWO), processes=2))
    assert status == 0, err
    assert facts(recipe, seed=3).losses != facts(recipe, seed=4).losses


@pytest.mark.slow
@pytest.mark.parametrize("contender", [name for name in SPLITTABLE if name != "dora"])
@pytest.mark.parametrize("checkpointing", [False, True])
def test_split_frozen_weights_are_whole_ones(pair, contender, checkpointing):
    """FSDP's own splitting on a processor: each layer's frozen weights in two halves, the adapter whole."""
    one, two = pair(contender, SPLITTABLE, SPLIT, checkpointing=checkpointing)
    alike(one, two)
    assert two.parameters == one.parameters


@pytest.mark.slow
def test_a_pair_that_was_stopped_goes_on_bit_for_bit(pair, tmp_path, tiny):
    _, straight = pair("lora", PLAIN)
    broken = write_lesson(tmp_path, tiny("qwen2"), **LESSON)
    kill = (
        "import os; from finetune.train.loop import Loop; take = Loop._step\n"
        "def step(self):\n"
        "    if self.progress.step == 5 and os.environ['RANK'] == '1': os.kill(os.getpid(), 9)\n"
        "    return take(self)\n"
        "Loop._step = step"
    )
    assert finish(start(words(broken, "lora", *TWO), processes=2, code=kill))[0] != 0
    assert place(broken).trained() is None
    assert main(words(broken, "lora")) == 2  # one process would not go on bit for bit
    status, out, err = finish(start(words(broken, "lora", *TWO), processes=2))
    assert status == 0, err
    assert "goes on after step 4" in out
    assert facts(broken).losses == straight.losses
    assert facts(broken).adapter_digest == straight.adapter_digest


@pytest.mark.slow
def test_one_of_two_asked_to_stop_stops_both(tmp_path, tiny):
    recipe = write_lesson(tmp_path, tiny("qwen2"), **LESSON)
    stop = (
        "import os, signal; from finetune.train.loop import Loop; take = Loop._step\n"
        "def step(self):\n"
        "    if self.progress.step == 5 and os.environ['RANK'] == '1': os.kill(os.getpid(), signal.SIGTERM)\n"
        "    return take(self)\n"
        "Loop._step = step"
    )
    status, _, err = finish(start(words(recipe, "lora", *TWO), processes=2, code=stop))
    assert status != 0
    assert "SIGTERM after step 6, which is saved" in err
    assert json.loads((place(recipe).checkpoints / "step-000006" / "state.json").read_text())["processes"] == 2


@pytest.mark.parametrize("name", ["cpu", "one_gpu", "ddp", "fsdp", "two_nodes", "zero2", "zero3"])
def test_launch_files_are_accelerate_configs(name):
    from accelerate.commands.config.config_args import load_config_from_file

    path = str(LAUNCH / f"{name}.yaml")
    found, own = load_config_from_file(path), Launch.read(path)
    assert (found.num_processes, str(found.distributed_type.value), found.use_cpu) == (own.processes, own.kind, own.cpu)


def test_the_torchrun_file_has_two_keys():
    assert read_yaml(LAUNCH / "cpu2.torchrun.yaml") == {"launcher": "torchrun", "processes": 2}
    assert Launch.read(str(LAUNCH / "cpu2.torchrun.yaml")) == Launch(
        str(LAUNCH / "cpu2.torchrun.yaml"), 2, "MULTI_CPU", True
    )


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("distributed_type: MEGATRON_LM", "MEGATRON_LM is not supported; use NO, MULTI_GPU, FSDP or DEEPSPEED"),
        ("distributed_type: DEEPSPEED", "zero_stage is None; 2 and 3 are built"),
        ("deepspeed_config: {zero_stage: 1}\ndistributed_type: DEEPSPEED", "of ZeRO-1 .* use ddp.yaml"),
        (
            "deepspeed_config: {zero_stage: 2, offload_optimizer_device: cpu}\ndistributed_type: DEEPSPEED",
            "deepspeed_config.offload_optimizer_device is not obeyed here",
        ),
    ],
)
def test_an_engine_that_is_not_built_is_refused_and_ours_is_named(tmp_path, text, said):
    (tmp_path / "other.yaml").write_text(f"{text}\nnum_processes: 8\n")
    with pytest.raises(BadInput, match=said):
        Launch.read(str(tmp_path / "other.yaml"))


def test_processes_that_know_nothing_of_each_other_are_refused(tmp_path, monkeypatch):
    """What accelerate makes of a wrong config: two that were started together, each a world of its own."""
    monkeypatch.setitem(os.environ, "WORLD_SIZE", "2")
    monkeypatch.setattr("accelerate.PartialState.num_processes", 1, raising=False)
    with pytest.raises(BadInput, match="2 processes were started, each alone in its world"):
        World.open(None, None, tmp_path)


def test_shares_cover_the_work_and_meet_at_every_forward(monkeypatch):
    class Rank:
        def __init__(self, rank, size):
            self.process_index, self.num_processes = rank, size

    for size in (1, 2, 3):
        for count in range(1, 8):
            work = list("abcdefg"[:count])
            for sharded in (False, True):
                shares = [World(Rank(rank, size), sharded).share(work) for rank in range(size)]
                counted = sorted((index, item) for share in shares for index, item, weight in share if weight)
                assert counted == list(enumerate(work))
                if sharded:
                    assert len({len(share) for share in shares}) == 1


@pytest.mark.slow
@pytest.mark.parametrize("contender", ["rslora", "qlora"])
def test_two_processes_are_one_with_the_kin_of_lora_read_back_by_a_third(pair, contender):
    if contender == "qlora":
        pytest.importorskip("bitsandbytes", reason="bitsandbytes is not installed")
    kin = ("rslora", "qlora") if find_spec("bitsandbytes") else ("rslora",)
    one, two = pair(contender, kin, prove="fresh")
    assert [loss for _, loss in two.losses] == pytest.approx([loss for _, loss in one.losses], abs=1e-5)
    assert (one.reread, two.reread) == ("fresh", "fresh")
    assert (two.reload_difference, two.packing_leak) == (0, 0)
    assert two.start_difference < 1e-6


@pytest.mark.slow
@pytest.mark.parametrize("checkpointing", [False, True])
def test_dora_on_a_split_base_is_dora_on_a_whole_one(pair, checkpointing):
    one, two = pair("dora", SPLITTABLE, SPLIT, checkpointing=checkpointing)
    assert [loss for _, loss in two.losses] == pytest.approx([loss for _, loss in one.losses], abs=1e-5)
    assert two.reload_difference < 1e-4
