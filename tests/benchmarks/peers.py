"""Peers in venvs of their own, from the package index: the same versions of what both sides stand on.

They live in build/peers/ and are made once; remove the folder to make them anew.
"""

import subprocess
import sys
from importlib import metadata
from pathlib import Path

PLACE = Path(__file__).parents[2] / "build" / "peers"
SHARED = ("transformers", "peft", "accelerate", "datasets", "tokenizers", "safetensors", "numpy")
HUGGING = "trl==1.16.0"  # brings transformers' Trainer and TRL's SFTTrainer


def hugging() -> Path:
    """The interpreter of a venv with Trainer and SFTTrainer."""
    place = PLACE / "hugging"
    python, ready = place / "bin" / "python", place / "ready"
    if not ready.is_file():
        print(f"setting up {HUGGING} in {place} (once, some minutes)", flush=True)
        subprocess.run([sys.executable, "-m", "venv", str(place)], check=True)
        install = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        torch = metadata.version("torch").partition("+")[0]
        subprocess.run([*install, f"torch=={torch}"], check=True)
        subprocess.run([*install, HUGGING, *(f"{name}=={metadata.version(name)}" for name in SHARED)], check=True)
        ready.touch()
    return python
