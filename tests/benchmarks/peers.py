"""Peers in venvs of their own, from the package index, so that none moves a version of ours or of another.

They live in build/peers/ and are made once; remove the folder to make them anew.
"""

import subprocess
import sys
from importlib import metadata
from pathlib import Path

PLACE = Path(__file__).parents[2] / "build" / "peers"
SHARED = ("transformers", "peft", "accelerate", "datasets", "tokenizers", "safetensors", "numpy")
HUGGING = "trl==1.16.0"  # brings transformers' Trainer and TRL's SFTTrainer, on the same versions as ours
FACTORY = "llamafactory==0.9.5"  # refuses newer ones than these; without its pages, services, pictures and sounds
FACTORY_STANDS_ON = (
    "transformers==5.6.0", "peft==0.18.1", "trl==0.24.0", "accelerate==1.11.0", "datasets==4.0.0", "torchdata==0.11.0",
    "einops", "fire", "hf-transfer", "matplotlib", "numpy", "omegaconf", "pandas", "protobuf", "pydantic", "pyyaml",
    "safetensors", "scipy", "sentencepiece", "tiktoken", "tyro<0.9.0",
)  # fmt: skip


def hugging() -> str:
    """The interpreter of a venv with Trainer and SFTTrainer."""
    return _made("hugging", [[HUGGING, *(f"{name}=={metadata.version(name)}" for name in SHARED)]])


def factory() -> str:
    """The interpreter of a venv with LLaMA-Factory.

    Its torchaudio comes for CUDA alone and cannot be loaded beside a torch for processors; nothing of text needs it,
    so an empty module stands in its place, and torchvision is absent.
    """
    python = _made("factory", [list(FACTORY_STANDS_ON), ["--no-deps", FACTORY]])
    asked = "import sysconfig; print(sysconfig.get_path('purelib'))"
    packages = subprocess.run([python, "-c", asked], check=True, capture_output=True, text=True).stdout.strip()
    (Path(packages) / "torchaudio.py").touch()
    return python


def _made(name: str, steps: list[list[str]]) -> str:
    """The interpreter of a venv with our torch and, after it, what each step gives to pip."""
    place = PLACE / name
    python, ready = place / "bin" / "python", place / "ready"
    if not ready.is_file():
        print(f"setting up {place} (once, some minutes)", flush=True)
        subprocess.run([sys.executable, "-m", "venv", str(place)], check=True)
        torch = metadata.version("torch").partition("+")[0]
        for wanted in ([f"torch=={torch}"], *steps):
            install = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
            subprocess.run([*install, *wanted], check=True)
        ready.touch()
    return str(python)
