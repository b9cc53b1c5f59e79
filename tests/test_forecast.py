"""What `tuneworth check` says of cost, by the front door: without weights, on named devices, on real questions."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml
from small_exam import write_exam
from small_lesson import rows, write_card
from small_study import tuneworth

from eval.benchmark import Benchmark
from eval.foretold.hours import seconds
from eval.foretold.load import read_load
from finetune.card import DataCard, ask
from finetune.plan import find, guess_tokens
from finetune.recipe import Recipe, read_yaml

ROOT = Path(__file__).parent.parent
MODELS = ROOT / "recipes" / "models"


@pytest.fixture
def study(tmp_path):
    """study(**keys) -> a recipe on published checkpoints whose weights are nowhere; `keys` go over the recipe's."""
    write_exam(tmp_path / "exam")
    write_card(tmp_path / "rows.md", rows(48))
    older, newer = (str(MODELS / f"{name}.yaml") for name in ("r1_distill_qwen_32b", "qwen3_8b"))

    def write(**keys) -> Path:
        recipe = {
            "question": "What would it cost?", "data": ["rows.md"],
            "contenders": {
                "old": {"model": older}, "newer": {"model": newer},
                "lora": {"model": older, "method": {"kind": "lora", "rank": 8}},
                "quarter": {"model": older, "method": {"kind": "qlora", "rank": 8}},
            },
            "train": {"max_length": 1024, "checkpointing": True},
            "exam": {"tasks": ["./exam/own_gen"], "samples": 2},
            "rule": {"challengers": ["lora"], "incumbent": "newer", "base": "old"}, **keys,
        }  # fmt: skip
        path = tmp_path / "study.yaml"
        path.write_text(yaml.safe_dump(recipe), "utf-8")
        return path

    return write


def said(*line: object) -> str:
    """What check prints on a wide terminal."""
    done = tuneworth("check", *line, COLUMNS="220")
    assert done.returncode == 0, done.stderr
    return done.stdout


def cells(text: str, title: str, contender: str) -> list[str]:
    row = next(line for line in text.split(title)[1].splitlines() if line.startswith(f"{contender} "))
    return re.split(r"\s{2,}", row.strip())


def test_without_weights_and_device_memory_is_planned(study):
    text = said(study())
    assert cells(text, "Memory of tuning", "lora")[-1] == "h100 or larger"
    assert cells(text, "Memory of tuning", "quarter")[-1] == "rtx4090 or larger"
    full, quarter = (float(cells(text, "Memory of tuning", name)[6]) for name in ("lora", "quarter"))
    assert 60 < full < 80
    assert quarter < full / 2
    assert "--device NAME" in text
    assert "Time and money" not in text


def test_on_a_device_hours_money_and_launch_are_planned(study):
    exam = {"tasks": ["./exam/own_gen"], "samples": 2, "batch_tokens": 2048}
    text = said(study(exam=exam), "--device", "h100", "--devices", 8)
    assert cells(text, "Memory of tuning", "lora")[7] == "launch/ddp.yaml"
    tuning, exam = (cells(text, f"Time and money of {what}", "lora") for what in ("tuning", "the exam"))
    tuning, exam = tuning[3], exam[4]
    assert float(tuning.removesuffix(" USD")) < float(exam.removesuffix(" USD"))
    assert "The exam costs more than the tuning" in text
    assert "RunPod community" in text
    assert "2026-11-09" in text
    assert "leaves room for one answer at a time" in text


def test_what_does_not_fit_says_what_would(study):
    text = " ".join(said(study(), "--device", "rtx4090").split())
    assert "lora does not fit on NVIDIA GeForce RTX 4090: method.kind: qlora" in text


def test_a_base_that_fits_on_no_device_whole_is_divided(study):
    text = " ".join(said(study(), "--device", "rtx4090", "--devices", 8).split())
    assert "lora: the base fits on no device whole, so divide it over 8: launch/fsdp.yaml; where machines run" in text
    assert "launch/zero3.yaml divides the same weights" in text


def test_the_recipes_own_price_goes_before_the_shelfs(study):
    text = said(study(costs={"gpu_hour": 100, "currency": "CNY"}), "--device", "h100")
    hours, price = cells(text, "Time and money of the exam", "all")[-2:]
    assert float(price.replace(",", "").removesuffix(" CNY")) == pytest.approx(100 * float(hours), rel=0.01, abs=0.6)
    assert "costs.gpu_hour of the recipe" in text


def test_a_device_without_known_speed_gets_no_hours(study):
    text = said(study(), "--device", "ascend-910b")
    assert cells(text, "Time and money of tuning", "lora")[2:4] == ["-", "-"]
    assert "its speed is not on the shelf" in text


def test_an_unknown_device_is_one_line(study):
    done = tuneworth("check", study(), "--device", "h1000")
    assert done.returncode == 2
    assert done.stderr.startswith("tuneworth: --device h1000: unknown; known are rtx4090")


def test_more_samples_and_seeds_cost_more(study):
    def of(**keys):
        recipe = Recipe.read(study(**keys))
        load = read_load(recipe, Benchmark.read(recipe), "lora", Path("nowhere"))
        return seconds(recipe, load, find("h100"))

    tasks = {"tasks": ["./exam/own_gen"]}
    one = of(exam={**tasks, "samples": 1})
    four = of(exam={**tasks, "samples": 4})
    thrice = of(exam={**tasks, "samples": 1}, train={"seeds": [1, 2, 3], "max_length": 1024, "checkpointing": True})
    assert four[0] == one[0]
    assert four[1] == pytest.approx(4 * one[1], rel=0.01)
    assert thrice[0] == pytest.approx(3 * one[0])
    assert thrice[1] == pytest.approx(3 * one[1])
    assert one[2] > one[1]


@pytest.mark.data
@pytest.mark.parametrize("device", ["rtx4090", "h100"])
@pytest.mark.parametrize("recipe", ["r1_qwen_1_5b", "r1_qwen_7b"])
def test_shipped_recipes_are_planned_without_weights(shared_data, recipe, device):
    path = ROOT / "recipes" / f"{recipe}.yaml"
    text = said(path, "--device", device, "--data-root", shared_data)
    for name, contender in read_yaml(path)["contenders"].items():
        assert len(cells(text, "Time and money of the exam", name)) == 6
        assert ("method" not in contender) or len(cells(text, "Time and money of tuning", name)) == 4
        assert ("method" not in contender) or float(cells(text, "Memory of tuning", name)[6]) > 2


@pytest.mark.data
@pytest.mark.parametrize("card", ["fin_eva", "fineval", "finqa", "gsm8k", "mmlu", "cflue"])
def test_tokens_are_guessed_within_fifteen_per_cent(shared_data, card):
    import gzip

    from tokenizers import Tokenizer

    found = DataCard.read(ROOT / "data_cards" / f"{card}.md")
    texts = [ask(row) for row in list(found.rows(shared_data, next(iter(found.splits))))[:300]]
    packed = shared_data.parent / "tokenizers" / "deepseek-r1-distill-qwen" / "tokenizer.json.gz"
    if not packed.is_file():
        pytest.skip("the real tokenizer does not lie beside the data")
    tokenizer = Tokenizer.from_buffer(gzip.decompress(packed.read_bytes()))
    real = sum(len(tokenizer.encode(text, add_special_tokens=False).ids) for text in texts)
    assert sum(map(guess_tokens, texts)) == pytest.approx(real, rel=0.15)


def test_within_80_columns_nothing_is_cut(study):
    """What is too long for its column goes on below; numbers and their heads stay whole."""
    done = tuneworth("check", study(), "--device", "h100", COLUMNS="80")
    assert done.returncode == 0, done.stderr
    told = [line.rstrip() for line in done.stdout.splitlines()]
    begin = next(at for at, line in enumerate(told) if line.startswith("Time and money"))
    assert max(map(len, told[begin : begin + 6])) <= 80
    assert "…" not in done.stdout
    for head in ("weights", "activations", "written", "clusters"):
        assert any(head in line.split() for line in told), head


def test_within_80_columns_a_name_stands_in_a_line(study):
    """Names of the length that people give them are not folded, two letters a line, beside what numbers take."""
    name = "lora_rank_64"
    path = study()
    path.write_text(path.read_text("utf-8").replace("lora:", f"{name}:").replace("- lora", f"- {name}"), "utf-8")
    told = tuneworth("check", path, "--device", "h100", COLUMNS="80").stdout
    for title in ("Memory of tuning", "Time and money of tuning", "Time and money of the exam"):
        assert len(cells(told, title, name)) >= 4
        rows = told.split(title)[1].split("\n\n")[0].splitlines()
        assert max(map(len, rows)) <= 80
