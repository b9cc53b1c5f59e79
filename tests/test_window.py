"""train.window: when it is open, what a person may write, and a training that goes on from window to window."""

from __future__ import annotations

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
import torch
import yaml
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from small_lesson import LAUNCH, facts, finish, place, start, words, write_lesson
from small_study import tuneworth

from finetune.recipe import Recipe, Window
from finetune.recipe.window import weekdays
from finetune.train import pause
from finetune.train.__main__ import main

torch.set_num_threads(1)
HOURS = {"from": "15:30", "to": "09:00", "days": "mon-fri", "tz": "Asia/Shanghai"}
LONG = {"epochs": 6, "tokens_per_step": 120, "save_every": 50, "evaluations": 6, "dev": 0.2}  # 72 steps
TWO = ["--set", f"train.launch={LAUNCH / 'cpu2.torchrun.yaml'}"]


def at(text, zone="Asia/Shanghai"):
    """A moment of the first days of November 2026, of which the 2nd is a Monday: `02 09:00`."""
    return datetime.strptime(f"2026-11-{text}", "%Y-%m-%d %H:%M").replace(tzinfo=ZoneInfo(zone))


@pytest.mark.parametrize(
    ("moment", "open_", "opens"),
    [
        ("02 08:59", True, None),
        ("02 09:00", False, "02 15:30"),
        ("02 15:29", False, "02 15:30"),
        ("02 15:30", True, None),
        ("03 00:00", True, None),
        ("06 12:00", False, "06 15:30"),  # Friday
        ("06 20:00", True, None),
        ("07 12:00", True, None),  # Saturday, all day long
        ("08 12:00", True, None),
        ("09 08:00", True, None),  # Monday before trading
        ("09 10:00", False, "09 15:30"),
    ],
)
def test_beside_an_exchange(moment, open_, opens):
    window = Window.model_validate(HOURS)
    assert window.open(at(moment)) is open_
    if opens:
        assert window.next(at(moment)) == at(opens)


def test_hours_within_a_day_and_a_free_weekend():
    window = Window.model_validate(HOURS | {"from": "01:00", "to": "05:00"})
    assert [window.open(at(moment)) for moment in ("02 00:30", "02 01:00", "02 05:00", "07 12:00")] == [0, 1, 0, 1]
    assert window.next(at("06 05:00")) == at("07 00:00")  # Saturday begins
    assert window.next(at("02 23:00")) == at("03 01:00")


def test_the_zone_is_that_of_the_hours_not_of_the_machine():
    window = Window.model_validate(HOURS)
    assert window.open(at("02 07:31", "UTC"))  # 15:31 in Shanghai
    assert not window.open(at("01 20:30", "America/New_York"))  # Monday 09:30 in Shanghai
    assert window.next(at("02 03:00", "UTC")).strftime("%H:%M %Z") == "15:30 CST"


@given(
    st.integers(0, 1439), st.integers(0, 1439), st.sets(st.sampled_from(["mon", "tue", "sat", "sun"]), min_size=1),
    st.integers(0, 20_000),
)  # fmt: skip
def test_the_next_opening_is_the_first_open_minute(opens, closes, days, minute):
    if opens == closes:
        return
    clock = [f"{time // 60:02}:{time % 60:02}" for time in (opens, closes)]
    window = Window.model_validate({"from": clock[0], "to": clock[1], "days": ",".join(days), "tz": "Asia/Shanghai"})
    moment = at("02 00:00") + timedelta(minutes=minute)
    if window.open(moment):
        return
    found = window.next(moment)
    assert window.open(found)
    step = (found - moment) // 7 or timedelta(minutes=1)
    assert not any(window.open(moment + step * part) for part in range(7) if moment + step * part < found)
    assert not window.open(found - timedelta(minutes=1))


def test_days():
    assert weekdays("mon-fri") == {0, 1, 2, 3, 4}
    assert weekdays("fri-mon") == {4, 5, 6, 0}
    assert weekdays("Sat, sun") == {5, 6}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"from": 930}, 'train.window.from: 930 is no time of day; write hours and minutes in quotes, "09:00"'),
        ({"to": "24:00"}, "24:00 is no time of day"),
        ({"days": "mo-fr"}, "train.window.days: mo-fr is no day; write mon, tue"),
        ({"tz": "Shanghai"}, "train.window.tz: Shanghai is no known time zone"),
        ({"to": "15:30"}, "from and to are the same time"),
        ({"form": "09:00"}, "train.window.form: unknown; did you mean from?"),
    ],
)
def test_what_is_no_window_is_refused(tmp_path, tiny, change, said):
    recipe = write_lesson(tmp_path, tiny("qwen2"), window=HOURS | change)
    with pytest.raises(ValueError, match="lesson.yaml: ") as fault:
        Recipe.read(recipe)
    assert said in str(fault.value)


def test_hours_without_quotes_are_refused_not_misread():
    with pytest.raises(ValidationError, match="930 is no time of day"):
        Window.model_validate(HOURS | {"from": yaml.safe_load("15:30")})


def test_the_window_is_in_the_recipe_and_not_in_the_fingerprint(tmp_path, tiny):
    path = write_lesson(tmp_path, tiny("qwen2"))
    free, bound = (
        Recipe.read(path),
        Recipe.read(path, ('train.window={from: "15:30", to: "09:00", tz: Asia/Shanghai}',)),
    )
    assert bound.train_fingerprint("lora", 17) == free.train_fingerprint("lora", 17)
    kept = bound.model_dump(mode="json")["train"]["window"]
    assert kept == {"from": "15:30:00", "to": "09:00:00", "days": "mon-sun", "tz": "Asia/Shanghai"}


def clock(begin, minutes=10):
    """Code of a fake clock: each look at it finds so many minutes more; the second process is one look ahead."""
    return (
        "import os\nfrom datetime import datetime, timedelta\nfrom finetune.train import pause\n"
        f"looks = [int(os.environ.get('RANK', 0))]\nbegin = datetime.fromisoformat('{begin.isoformat()}')\n"
        "def now():\n"
        "    looks[0] += 1\n"
        f"    return begin + timedelta(minutes={minutes} * looks[0])\n"
        "pause.now = now"
    )


def trained(recipe, contender, begin, *more, **keys):
    return finish(start(words(recipe, contender, *more), code=clock(at(begin)), **keys))


@pytest.mark.parametrize("contender", ["lora", pytest.param("prefix", marks=pytest.mark.slow)])
def test_from_window_to_window_is_the_undisturbed_run(tmp_path, tiny, contender, monkeypatch, capsys):
    straight = write_lesson(tmp_path / "straight", tiny("qwen2"), **LONG)
    recipe = write_lesson(tmp_path / "it", tiny("qwen2"), **LONG, window=HOURS)
    assert main(words(straight, contender)) == 0
    status, _, err = trained(recipe, contender, "05 06:00")  # Thursday: 18 looks until 09:00, one of them at the start
    assert (status, err) == (
        75,
        "tuneworth: paused after step 17, which is saved: train.window (15:30 to 09:00, mon-fri, Asia/Shanghai) opens "
        "2026-11-05 15:30 CST, start then\n",
    )
    capsys.readouterr()
    monkeypatch.setattr(pause, "now", lambda: at("05 11:00"))
    assert main(words(recipe, contender)) == 75
    out, err = capsys.readouterr()
    assert "paused: outside of train.window" in err
    assert "it opens 2026-11-05 15:30 CST" in err
    assert "step" not in out
    note = place(recipe, contender).folder.parent / "paused"
    assert note.is_file()
    status, out, err = trained(recipe, contender, "05 16:00")
    assert status == 0, err
    assert "goes on after step 17" in out
    assert not note.exists()
    one, other = facts(recipe, contender), facts(straight, contender)
    assert (one.losses, one.dev_losses, one.adapter_digest) == (other.losses, other.dev_losses, other.adapter_digest)


def test_two_processes_whose_clocks_differ_stop_after_the_same_step(tmp_path, tiny):
    recipe = write_lesson(tmp_path, tiny("qwen2"), **LONG, window=HOURS)
    status, _, err = trained(recipe, "lora", "05 06:00", *TWO, processes=2)
    assert status == 1  # torchrun's, whatever its processes gave
    said = [line for line in err.splitlines() if line.startswith("tuneworth")]
    assert len(said) == 2
    assert all("paused after step 16, which is saved" in line for line in said), said
    assert [path.name for path in place(recipe).checkpoints.glob("step-*")] == ["step-000016"]
    assert "paused after step 16" in (place(recipe).folder.parent / "paused").read_text()


def test_the_front_door_says_paused_too(tmp_path, tiny):
    now = datetime.now(ZoneInfo("UTC"))
    hours = {"from": f"{now + timedelta(hours=1):%H:%M}", "to": f"{now - timedelta(hours=1):%H:%M}", "tz": "UTC"}
    recipe = write_lesson(tmp_path, tiny("qwen2"), window=hours)
    done = tuneworth("train", recipe, "--out", tmp_path / "runs")
    assert done.returncode == 75, done.stderr
    assert done.stderr.startswith("tuneworth: paused: outside of train.window")
    assert len(done.stderr.splitlines()) == 1
    assert not place(recipe).checkpoints.exists()
