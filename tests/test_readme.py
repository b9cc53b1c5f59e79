"""What the README says is there: commands, targets, paths and floors."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from test_house import FLOORS

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text("utf-8")
BLOCKS = "\n".join(re.findall(r"^ *```bash\n(.*?)^ *```", README, re.S | re.M))


def test_make_targets_exist():
    named = set(re.findall(r"\bmake ([a-z.]+)", README))
    targets = set(re.findall(r"^([a-z.]+):", (ROOT / "Makefile").read_text(), re.M))
    assert {"demo", "test"} <= named <= targets


@pytest.mark.parametrize("command", sorted(set(re.findall(r"^ *tuneworth ((?:data )?[a-z]+)", BLOCKS, re.M))))
def test_commands_exist(command):
    done = subprocess.run(
        [sys.executable, "-m", "eval.cli", *command.split(), "--help"], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert "Example" in done.stdout


def test_options_exist():
    for command, option in re.findall(r"^ *tuneworth ((?:data )?[a-z]+)\b.*?(--[a-z-]+)", BLOCKS, re.M):
        done = subprocess.run(
            [sys.executable, "-m", "eval.cli", *command.split(), "--help"], cwd=ROOT, capture_output=True, text=True
        )
        assert option in done.stdout, f"tuneworth {command} has no {option}"


def test_paths_exist():
    paths = set(re.findall(r"(?:recipes|data_cards|eval/tasks|finetune|docs|tests)/[\w./-]*\w", README))
    made_by_hand = {p for p in paths if "our_" in p or "<" in p}
    assert len(paths) > 8
    assert {p for p in paths - made_by_hand if not (ROOT / p).exists()} == set()


def test_pictures_exist():
    for path in re.findall(r"!\[[^\]]*\]\(([^)]+)\)", README):
        assert (ROOT / path).stat().st_size > 10_000


def test_floors_name_every_room():
    picture = README[README.index("## The floors") :]
    for room in FLOORS:
        assert re.search(rf"\b{room.split('.')[-1]}\b", picture), f"{room} is missing from the README's floors"


def test_help_answers_fast_and_without_torch():
    code = (
        "import sys\nsys.argv = ['tuneworth', '--help']\nimport eval.cli\n"
        "try:\n eval.cli.main()\nexcept SystemExit:\n pass\n"
        "assert not {'torch', 'transformers', 'scipy', 'numpy'} & set(sys.modules), 'heavy import'"
    )
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True, capture_output=True)
