"""Tiny real checkpoints for the tests: the architectures of the trade, a few thousand weights, built here."""

from __future__ import annotations

import gc
import json
import os
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis.internal.conjecture import providers
from small_server import serving

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("HF_DATASETS_OFFLINE", "1")
os.environ.setdefault("WANDB_MODE", "offline")
os.environ.setdefault("WANDB__SERVICE_WAIT", "600")  # seconds for its service to begin, thirty else
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

# A loaded machine is no fault, and every run meets the examples of the one before, whichever modules its process knows:
# a rare one is to be met by who looks for it (--hypothesis-profile=default), not by who pushes next.
settings.register_profile("unhurried", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("unhurried")
if hasattr(providers, "_get_local_constants"):  # else numbers and words of whatever is imported are drawn too
    providers._get_local_constants = providers.Constants

TEXT = [
    "The quick brown fox sold its shares and the stock rose. Profit jumped, sales surged, answer: A B C D.",
    "公司净利润大增，股价上涨，投资者欢呼。标签：利好、利空、中性。答案是B，单位为吨，最小变动价位1元。",
    "User: what is the tick? Assistant: 0.5 yuan. <think> yes no 0123456789 </think> 请选择正确的一项。",
]
MARKERS = {
    "r1_distill_qwen": [
        "<｜end▁of▁sentence｜>",
        "<｜User｜>",
        "<｜Assistant｜>",
        "<｜begin▁of▁sentence｜>",
        "<think>",
        "</think>",
    ],  # fmt: skip
    "qwen3": ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<think>", "</think>"],
}
LONG = {"test_lm_eval_agrees.py", "test_private_exam.py"}  # few tests, none of them slow, that start whole programs
assert all((Path(__file__).parent / name).is_file() for name in LONG), "a file of LONG is gone: name it anew"
FAMILY_OF = {"qwen2": "r1_distill_qwen", "llama": "r1_distill_qwen", "qwen3": "qwen3"}


def pytest_collection_modifyitems(items):
    """Files with the most slow tests come first, then LONG, then the most tests: no process is left with one."""
    slow = Counter(item.path for item in items if item.get_closest_marker("slow"))
    every = Counter(item.path for item in items)
    items.sort(key=lambda item: (-slow[item.path], item.path.name not in LONG, -every[item.path], str(item.path)))


def pytest_collection_finish():
    """The libraries that the tests import stay to the end: no collection between the tests walks over them."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="module", autouse=True)
def no_cards_of_other_files():
    """Reading a task adds its folder to TUNEWORTH_CARDS of the process; tests of a file have folders of their own."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TUNEWORTH_CARDS", "")
        yield


def train_tokenizer(markers: list[str], vocab: int = 480):
    """A byte-level BPE with Qwen's pre-tokenizer, so that AutoTokenizer beside `qwen2` gives the same ids."""
    from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

    split = (
        r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*"
        r"|\s*[\r\n]+|\s+(?!\S)|\s+"
    )
    tokenizer = Tokenizer(models.BPE())
    tokenizer.normalizer = normalizers.NFC()
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(split), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab - len(markers),
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator(TEXT * 4, trainer)
    # Only the end (and begin) of text are "special" in the distills; the roles and the think tags are not.
    tokenizer.add_tokens([AddedToken(m, special="sentence" in m or "<|" in m, normalized=False) for m in markers])
    return tokenizer


def build_checkpoint(
    folder: Path, arch: str, *, family: str | None = None, seed: int = 0, rows: int = 512, **sizes: int
) -> Path:
    """Random weights: qwen2, llama or qwen3, 4 heads on 2 key/value heads; in Qwen3 head_dim * heads != hidden.

    `sizes` are keys of the configuration, instead of what stands here.
    """
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM, Qwen2Config, Qwen2ForCausalLM, Qwen3Config, Qwen3ForCausalLM
    from transformers.utils import logging as notes

    notes.disable_progress_bar()  # a test may count the lines on standard error
    family = family or FAMILY_OF[arch]
    tokenizer = train_tokenizer(MARKERS[family])
    eos = tokenizer.token_to_id("<|im_end|>" if family == "qwen3" else "<｜end▁of▁sentence｜>")
    config_class, model_class = {
        "qwen2": (Qwen2Config, Qwen2ForCausalLM),
        "llama": (LlamaConfig, LlamaForCausalLM),
        "qwen3": (Qwen3Config, Qwen3ForCausalLM),
    }[arch]
    extra = {"head_dim": 24} if arch == "qwen3" else {}
    shape = {"hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 2, **extra, **sizes}
    config = config_class(
        vocab_size=rows, num_attention_heads=4, num_key_value_heads=2, max_position_embeddings=512,
        tie_word_embeddings=False, initializer_range=0.1, bos_token_id=None, eos_token_id=eos, pad_token_id=None,
        **shape,
    )  # fmt: skip
    torch.manual_seed(seed)
    model = model_class(config).float().eval()
    folder.mkdir(parents=True, exist_ok=True)
    model.save_pretrained(folder)
    tokenizer.save(str(folder / "tokenizer.json"))
    said = {"tokenizer_class": "PreTrainedTokenizerFast", "eos_token": tokenizer.id_to_token(eos), "unk_token": None}
    (folder / "tokenizer_config.json").write_text(json.dumps(said))
    return folder


@pytest.fixture(scope="session")
def tiny(tmp_path_factory):
    """tiny("qwen2" | "llama" | "qwen3", seed=0) -> Path of a checkpoint folder, built once a session."""
    built: dict[tuple[str, int], Path] = {}

    def make(arch: str, seed: int = 0) -> Path:
        if (arch, seed) not in built:
            built[arch, seed] = build_checkpoint(tmp_path_factory.mktemp(f"{arch}-{seed}"), arch, seed=seed)
        return built[arch, seed]

    return make


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real question sets; tests that need it carry the `data` marker."""
    root = os.environ.get("TUNEWORTH_DATA")
    if not root or not Path(root).is_dir():
        pytest.skip("TUNEWORTH_DATA does not name a folder of real question sets")
    return Path(root).resolve()


@pytest.fixture
def server():
    """A server on loopback that answers, or fails, as a test tells it (small_server)."""
    with serving() as started:
        yield started


@pytest.fixture
def front(capfd, monkeypatch):
    """front(*words) -> (exit status, stdout, stderr) of the front door, engine rooms' words included."""
    from eval.cli import app

    monkeypatch.setenv("TUNEWORTH_CARDS", "")  # which reading a recipe changes
    monkeypatch.setenv("OMP_NUM_THREADS", "1")

    def call(*words: object) -> tuple[int, str, str]:
        capfd.readouterr()
        try:
            app([str(word) for word in words])
        except SystemExit as end:
            return int(end.code or 0), *capfd.readouterr()
        raise AssertionError("the front door always ends with a status")

    return call
