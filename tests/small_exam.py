"""A small private exam and recipe around the tiny checkpoints: a choice task, its generated form, two contenders."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import yaml

ROOT = Path(__file__).parent.parent
HANGS = 1800  # seconds: a line that takes longer hangs; no measure of speed
COMPANIES = ["鼎泰", "海辰", "岭铭", "Northwind", "Fabrikam", "Contoso"]
EVENTS = [("净利润大增", 0), ("profit jumped", 0), ("sales fell", 1), ("股价下跌", 1), ("开会", 2), ("met", 2)]
OPTIONS = ["利好", "the shares fell", "中性"]


def write_exam(folder: Path, count: int = 24) -> Path:
    """A task folder of the user's own: data, card, a likelihood task and a generated one."""
    folder.mkdir(parents=True)
    lines = []
    for number in range(count):
        event, gold = EVENTS[number % len(EVENTS)]
        company = COMPANIES[number // len(EVENTS) % len(COMPANIES)]
        question = f"{company} {event}, share {number}" + " the stock rose" * (number % 5) + "\n标签?"
        asked = {"id": f"q{number}", "lang": "zh" if number % 2 else "en", "cluster": f"c{number % 6}"}
        lines.append(asked | {"question": question, "options": OPTIONS, "answer": "ABC"[gold]})
    (folder / "exam.jsonl").write_text("".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines), "utf-8")
    front = {
        "name": "own", "title": "A private exam", "licence": {"name": "proprietary", "commercial": True},
        "languages": ["zh", "en"], "published": False, "shape": "choice", "format": "jsonl",
        "columns": {name: name for name in ("id", "question", "options", "answer", "cluster", "lang")},
        "splits": {"test": ["exam.jsonl"]},
    }  # fmt: skip
    (folder / "own.md").write_text(f"---\n{yaml.safe_dump(front)}---\n", "utf-8")
    (folder / "own.yaml").write_text(TASK, "utf-8")
    (folder / "own_gen.yaml").write_text(TASK_GEN, "utf-8")
    return folder


TASK = """task: own
custom_dataset: !function eval.benchmark.load
dataset_kwargs: {card: own, split: test}
test_split: test
output_type: multiple_choice
doc_to_text: "{{question}}"
doc_to_choice: "{{options}}"
doc_to_target: gold
metric_list:
  - {metric: acc, aggregation: mean, higher_is_better: true}
  - {metric: acc_norm, aggregation: mean, higher_is_better: true}
metadata: {version: 1, headline: acc_norm, answer: option}
"""
TASK_GEN = """task: own_gen
custom_dataset: !function eval.benchmark.load
dataset_kwargs: {card: own, split: test}
test_split: test
output_type: generate_until
doc_to_text: "{{ask}}"
doc_to_target: "{{answer}}"
target_delimiter: ""
generation_kwargs: {until: ["\\n\\n"], max_gen_toks: 8, do_sample: false}
process_results: !function eval.extract.process_results
metric_list:
  - {metric: exact, aggregation: mean, higher_is_better: true}
metadata: {version: 1, headline: exact, answer: letter}
"""


def write_recipe(path: Path, exam: Path, old: dict, newer: dict, adapter: Path | None = None, **exam_keys) -> Path:
    """Contenders: old, newer (untuned), framed (newer with a prompt frame), tuned (a LoRA on old that nobody has
    trained), and brought (old with `adapter`, if one is given). Models as in a recipe."""
    frame = {"lang": "en", "role": "An analyst", "instruction": "Choose."}
    brought = {"brought": {"model": old, "adapter": str(adapter), "adapter_cost": 1}} if adapter else {}
    recipe = {
        "question": "Is it worth it?",
        "data": [f"{exam}/own.md#test"],
        "contenders": {
            "old": {"model": old},
            "newer": {"model": newer},
            "framed": {"model": newer, "prompt": frame},
            "tuned": {"model": old, "method": {"kind": "lora"}},
        }
        | brought,
        "exam": {"tasks": [f"{exam}/own", f"{exam}/own_gen"], "samples": 2, "batch_tokens": 512} | exam_keys,
        "rule": {"challengers": ["tuned", *brought], "incumbent": "newer", "base": "old"},
    }
    path.write_text(yaml.safe_dump(recipe, allow_unicode=True), "utf-8")
    return path


def model(folder: Path | str, family: str, **keys) -> dict:
    """A model as a recipe names it, the same on every processor; greedy unless `decoding` says otherwise."""
    think = "drop" if family == "plain" else "empty"
    asked = {"id": str(folder), "family": family, "think": think, "decoding": {"max_new_tokens": 8}}
    return asked | {"dtype": "float32"} | keys


def write_adapter(
    folder: Path, base: Path, method: object = None, *, family: str = "r1_distill_qwen", spread: float = 0.3
) -> Path:
    """A LoRA that moves the logits, with the chat fingerprint that training leaves beside it."""
    import torch
    from transformers import AutoModelForCausalLM

    from finetune.chat import Chat
    from finetune.methods import LoRA, adapter_parameters

    chat, method = Chat.open(base, family, "empty"), method or LoRA(rank=4)
    model = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32, local_files_only=True)
    model = method.attach(model, tokenizer=chat.tokenizer, seed=1)
    torch.manual_seed(5)
    with torch.no_grad():
        for tensor in adapter_parameters(model).values():
            tensor.add_(torch.randn_like(tensor) * spread)
    folder.mkdir(parents=True)
    method.save(model, folder, base=str(base))
    (folder / "chat.json").write_text(json.dumps(chat.fingerprint()), "utf-8")
    return folder


def teach(folder: Path, exam: Path, family: str, *, steps: int = 40, thinks: bool = False) -> Path:
    """Train a tiny checkpoint in place until it answers the generated task with a letter and stops; often wrongly. One
    that `thinks` does so before it answers, of some questions longer than of others."""
    import torch
    from transformers import AutoModelForCausalLM

    from finetune.card import DataCard, ask
    from finetune.chat import Chat

    chat = Chat.open(folder, family, "drop" if family == "plain" else "keep" if thinks else "empty")
    rows = DataCard.read(exam / "own.md").rows(None, "test")
    said = ["ABC"[(ord(row.answer) + number // 4) % 3] for number, row in enumerate(rows)]
    if thinks:
        said = [f"<think>\n{'利好' * (1 + 4 * (n % 2))}\n</think>\n\n{letter}" for n, letter in enumerate(said)]
    turns = [
        [{"role": "user", "content": ask(row)}, {"role": "assistant", "content": a}]
        for row, a in zip(rows, said, strict=True)
    ]
    examples = [chat.example(turn) for turn in turns]
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, local_files_only=True).train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    width = max(len(example.ids) for example in examples)
    ids = torch.tensor([example.ids + [0] * (width - len(example.ids)) for example in examples])
    mask = torch.tensor([example.mask + [0] * (width - len(example.mask)) for example in examples])
    for _ in range(steps):
        model(input_ids=ids, labels=ids.masked_fill(mask == 0, -100), use_cache=False).loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    model.save_pretrained(folder)
    return folder


def environment() -> dict[str, str]:
    return os.environ | {"OMP_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false", "PYTHONPATH": str(ROOT)}


def score_line(recipe: Path, out: Path, contender: str, *more: str, processes: int = 1) -> list[str]:
    """The command line of the scoring engine, as a person would start it."""
    start = [sys.executable, "-m", "torch.distributed.run", f"--nproc_per_node={processes}"]
    words = start if processes > 1 else [sys.executable]
    return [*words, "-m", "eval.score", str(recipe), "--contender", contender, "--out", str(out), *more]


def run_line(words: list[str], **more: str) -> subprocess.CompletedProcess[str]:
    """Run one line to its end; `more` is added to its environment."""
    return subprocess.run(words, env=environment() | more, capture_output=True, text=True, check=False, timeout=HANGS)
