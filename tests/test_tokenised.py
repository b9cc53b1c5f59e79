"""Rendered rows are kept in the cache: the same as fresh ones, made once, and again when anything changes or breaks."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from typing import Any

import numpy as np
import pytest
from small_lesson import LAUNCH, facts, finish, place, rows, start, words, write_card, write_lesson

from finetune import tokenised
from finetune.chat import Chat
from finetune.data import chosen, prepare
from finetune.mistakes import BadInput
from finetune.recipe import Recipe
from finetune.train.__main__ import main

UNCLOSED = {"prompt": "a", "completion": "<think>and so on"}
COUNT = (  # every process writes how many rows it rendered
    "import os, finetune.tokenised as kept\n"
    "whole = kept.rendered\n"
    "def counted(*asked):\n"
    "    found = whole(*asked)\n"
    "    open(f'rendered-{os.environ.get(\"RANK\", 0)}', 'a').write(f'{len(found.examples)} ')\n"
    "    return found\n"
    "kept.rendered = counted"
)


@pytest.fixture(autouse=True)
def shelf(tmp_path, monkeypatch):
    """The folder of kept rows, in a cache of this test's own."""
    monkeypatch.setenv("TUNEWORTH_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "tokenised"


@pytest.fixture
def fetched(tmp_path, tiny, monkeypatch):
    """fetched(changes..., train keys) -> (what is learnt from, how often it was rendered, what was said)."""
    chat = Chat.open(tiny("qwen2"), "r1_distill_qwen", "drop")
    made, whole = [], tokenised.rendered
    monkeypatch.setattr(tokenised, "rendered", lambda *asked: made.append(1) or whole(*asked))

    def make(*changes, lesson=None, chat=chat, **train):
        recipe = Recipe.read(write_lesson(tmp_path, tiny("qwen2"), lesson or rows(24), **train), changes)
        made.clear()
        told: list[str] = []
        found = chosen(recipe, "lora", chat, tokenised.fetch(recipe, "lora", chat, told.append))
        assert alike(found, prepare(recipe, "lora", chat)), "kept rows are not the fresh ones"
        return found, len(made), told

    return make


def alike(one, two):
    def bare(found):
        return [
            [(e.name, e.question, e.ids.tolist(), e.mask.tolist(), e.ids.dtype, e.mask.dtype) for e in part]
            for part in (found.train, found.dev)
        ] + [found.excluded, found.truncated, found.editions]

    return bare(one) == bare(two)


def test_a_second_start_reads_what_the_first_rendered(fetched, tmp_path, shelf):
    write_card(tmp_path / "exam.md", rows(3))
    first, made, told = fetched(exclude=["exam.md#train"], dev=0.2)
    assert (made, told, first.excluded) == (1, [], 3)
    again, made, told = fetched(exclude=["exam.md#train"], dev=0.2)
    assert (made, told, len(again.train)) == (0, [], len(first.train))
    (file,) = shelf.iterdir()
    assert file.stat().st_mode & 0o077 == 0, "rows may be private: others cannot read them"


@pytest.mark.parametrize(
    "change",
    ["contenders.lora.data_share=0.5", "train.dev=0.4", "train.max_length=40", "train.epochs=3"],
)
def test_cuts_and_shares_are_made_anew_from_the_same_rows(fetched, change):
    fetched(max_truncated=1)
    _, made, _ = fetched(change, max_truncated=1)
    assert made == 0


@pytest.mark.parametrize("what", ["rows", "frame", "exclude", "split", "tokenizer", "policy", "code", "library"])
def test_whatever_rendering_depends_on_makes_them_anew(fetched, tmp_path, tiny, monkeypatch, what):
    write_card(tmp_path / "exam.md", rows(2))
    fetched()
    asked: dict[str, Any] = {}
    changes: tuple[str, ...] = ()
    if what == "rows":
        asked["lesson"] = [{**row, "completion": "?"} for row in rows(24)]
    elif what == "frame":
        changes = ("contenders.lora.prompt={role: An analyst, lang: en}",)
    elif what == "exclude":
        asked["exclude"] = ["exam.md#train"]
    elif what == "split":
        write_card(tmp_path / "other.md", rows(24))
        changes = ("data=[other.md#train]",)
    elif what == "tokenizer":
        copy = tmp_path / "other"
        copy.mkdir()
        text = (tiny("qwen2") / "tokenizer.json").read_text("utf-8")
        (copy / "tokenizer.json").write_text(text + "\n", "utf-8")
        asked["chat"] = Chat.open(copy, "r1_distill_qwen", "drop")
    elif what == "policy":
        asked["chat"] = Chat.open(tiny("qwen2"), "r1_distill_qwen", "empty")
    elif what == "code":
        monkeypatch.setattr(tokenised, "SOURCES", ("data.py",))
    else:
        monkeypatch.setattr(tokenised.metadata, "version", lambda name: "0.0")
    _, made, told = fetched(*changes, **asked)
    assert (made, told) == (1, [])


def torn(file):
    file.write_bytes(file.read_bytes()[:-5])


def empty(file):
    file.write_bytes(b"")


def altered(file):
    """One bit of one token: nothing but a checksum finds it."""
    held = bytearray(file.read_bytes())
    held[-1] ^= 1
    file.write_bytes(held)


def other(file):
    from safetensors.numpy import save_file

    save_file({"ids": np.zeros(3)}, file)


@pytest.mark.parametrize("blow", [torn, empty, altered, other])
def test_a_broken_file_is_made_anew_with_one_line(fetched, shelf, blow):
    fetched()
    (file,) = shelf.iterdir()
    size = file.stat().st_size
    blow(file)
    _, made, told = fetched()
    assert made == 1
    (line,) = told
    assert re.search("the rendered rows kept here cannot be read .*; they are rendered anew", line)
    assert str(file) in line
    assert file.stat().st_size == size
    assert fetched()[1:] == (0, [])


def test_refusals_are_the_same_from_kept_rows_and_never_kept(fetched, shelf):
    lesson = rows(9) + [{"prompt": "long", "completion": "利好" * 200}]
    said = []
    for _ in range(2):
        with pytest.raises(BadInput, match=r"train.max_length: 100 cuts an answer in 10.0%") as refused:
            fetched(lesson=lesson, max_length=100, max_truncated=0.05)
        said.append(str(refused.value))
    assert said[0] == said[1]
    for file in shelf.iterdir():
        file.unlink()
    for _ in range(2):
        with pytest.raises(BadInput, match="rows#train:1: .*close the thought"):
            fetched(lesson=[rows(1)[0], UNCLOSED])
    assert list(shelf.iterdir()) == []


def test_rows_that_change_while_they_are_rendered_are_not_kept(tmp_path, tiny, shelf):
    path = write_lesson(tmp_path, tiny("qwen2"))
    recipe, chat = Recipe.read(path), Chat.open(tiny("qwen2"), "r1_distill_qwen", "drop")

    def meanwhile(work):
        (tmp_path / "rows.jsonl").write_text('{"prompt": "a", "completion": "b"}\n')
        return work

    found = tokenised.fetch(recipe, "lora", chat, print, meanwhile)
    assert len(found.examples) == 48
    assert not shelf.exists()


def test_the_cache_is_bounded_and_what_is_used_stays(fetched, shelf, monkeypatch):
    fetched()
    (used,) = shelf.iterdir()
    size, now = used.stat().st_size, time.time()
    for name, age in (("old", 31 * 86400), ("older", 3000), ("newer", 2000), (".killed", 90_000), (".at_work", 600)):
        (shelf / name).write_bytes(b"x" * size)
        os.utime(shelf / name, (now - age, now - age))
    os.utime(used, (now - 4000, now - 4000))
    fetched()  # read, and so used
    monkeypatch.setattr(tokenised, "ROOM", int(3.5 * size))
    fetched(lesson=rows(23))
    names = {file.name for file in shelf.iterdir()}
    assert names >= {used.name, "newer", ".at_work"}
    assert not names & {"old", "older", ".killed"}


@pytest.mark.parametrize("what", ["the kept rows", "the whole cache"])
def test_a_full_disk_or_a_closed_cache_ends_no_training(tmp_path, tiny, capsys, shelf, what):
    """A real file where the folder should be: nothing can be written there."""
    recipe, closed = write_lesson(tmp_path, tiny("qwen2"), max_steps=1), shelf
    if what == "the whole cache":
        closed = shelf.parent
    closed.parent.mkdir(exist_ok=True)
    closed.write_text("in the way")
    assert main(words(recipe)) == 0
    (line,) = [line for line in capsys.readouterr().out.splitlines() if "could not be kept" in line]
    assert "the next start renders them again" in line
    assert facts(recipe).steps == 1


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="needs a small tmpfs in a namespace of its own")
def test_a_cache_on_a_full_disk_ends_no_training(tmp_path, tiny, shelf):
    recipe = write_lesson(tmp_path, tiny("qwen2"), max_steps=1)
    shelf.mkdir(parents=True)
    line = (
        f"mount -t tmpfs -o size=8k none {shelf} && exec {sys.executable} -m finetune.train "
        + " ".join(words(recipe))
        + f"; echo {shelf}/*"
    )
    done = subprocess.run(["unshare", "-rm", "sh", "-c", line], capture_output=True, text=True, check=False)
    if "unshare" in done.stderr or "mount:" in done.stderr:
        pytest.skip("no namespaces here")
    assert done.returncode == 0, done.stderr
    assert re.search("could not be kept .*No space left", done.stdout)
    assert place(recipe).trained()


def test_of_two_processes_one_renders_and_both_learn_the_same(tmp_path, tiny):
    two = ["--set", f"train.launch={LAUNCH / 'cpu2.torchrun.yaml'}"]
    recipe = write_lesson(tmp_path, tiny("qwen2"), max_steps=1, dev=0.2)
    status, _, err = finish(start(words(recipe, "lora", *two), processes=2, code=COUNT))
    assert status == 0, err
    assert {path.name: path.read_text() for path in tmp_path.glob("rendered-*")} == {"rendered-0": "48 "}
    assert main(words(recipe, "prefix")) == 0
    assert (tmp_path / "rendered-0").read_text() == "48 ", "the other contender reads what the first rendered"


@pytest.mark.slow
def test_of_two_processes_both_refuse_a_bad_row(tmp_path, tiny):
    two = ["--set", f"train.launch={LAUNCH / 'cpu2.torchrun.yaml'}"]
    recipe = write_lesson(tmp_path, tiny("qwen2"), [*rows(3), UNCLOSED])
    status, _, err = finish(start(words(recipe, "lora", *two), processes=2))
    assert status != 0
    assert len(re.findall("rows#train:3: .*close the thought", err)) == 2


def test_rows_with_personal_data_are_not_kept(tmp_path, tiny, shelf):
    recipe = write_lesson(tmp_path, tiny("qwen2"), max_steps=1)
    assert main(words(recipe, "lora", "--set", "allow_personal_data=made up for a test")) == 0
    assert not shelf.exists()
    assert main(words(recipe, "prefix")) == 0
    assert len(list(shelf.iterdir())) == 1


def test_a_long_rendering_shows_a_bar_on_a_terminal(tmp_path, tiny, capsys, monkeypatch):
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
    monkeypatch.setenv("TERM", "xterm")
    assert main(words(write_lesson(tmp_path, tiny("qwen2"), max_steps=1))) == 0
    assert "rendering rows" in capsys.readouterr().out
