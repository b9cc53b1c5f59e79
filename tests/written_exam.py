"""A run written by hand: real recipe, cards and tasks on disk, item logs and manifests made up; to test the judge."""

from __future__ import annotations

import json
import random
from dataclasses import dataclass, field
from pathlib import Path

import yaml

from eval import pledge
from eval.benchmark import Benchmark
from eval.extract import EXTRACTOR
from eval.items import ItemScore, append
from finetune.recipe import Recipe
from finetune.run import (
    AdapterProbe,
    GitState,
    Hardware,
    RunDir,
    RunManifest,
    ScoreFacts,
    TrainFacts,
)

MACHINE = {
    "versions": {"python": "3.11"}, "git": GitState(commit=None, dirty=None),
    "hardware": Hardware(device="cpu", devices=1, processes=1, host="a test"),
}  # fmt: skip
LICENCE = {"licence": {"name": "MIT", "commercial": True}, "format": "jsonl"}
HEAD = "custom_dataset: !function eval.benchmark.load\ntest_split: test\ndoc_to_text: x\n"
TASKS = {  # name -> (language, questions, questions a document)
    "letters": ("zh", 240, 3),
    "numbers": ("en", 160, 2),
}


def row(task: str = "t", number: int = 0, **changes) -> ItemScore:
    """One answer to question `number`, right unless said otherwise; every question its own document."""
    facts = {
        "contender": "old", "seed": 0, "scorer": "s", "task": task, "id": str(number), "hash": f"hash {number}",
        "content": f"content {number}", "cluster": f"document {number}", "part": "test", "lang": "zh",
        "protocol": "generated", "sample": 0, "question": "?", "gold": "A", "text": "A", "finish": "stop",
        "extracted": "A", "rule": "letter", "outcome": "correct", "score": 1.0, "tokens_in": 10, "tokens_thinking": 0,
        "tokens_out": 2, "seconds": 0.1,
    }  # fmt: skip
    return ItemScore(**(facts | changes))


def graded(outcome: str) -> dict:
    return {"outcome": outcome, "score": float(outcome == "correct")}


@dataclass
class Run:
    """A study on disk; `sit` writes what a contender answered, `tune` what its training said of itself."""

    folder: Path
    recipe: Recipe
    run: RunDir = field(init=False)
    benchmark: Benchmark = field(init=False)

    def __post_init__(self) -> None:
        self.run = RunDir(self.folder / "runs" / self.recipe.name)
        self.benchmark = Benchmark.read(self.recipe)

    def pledge(self) -> pledge.Plan:
        return pledge.keep(self.recipe, self.run, self.benchmark)

    def tune(self, name: str, seed: int = 17, seconds: float = 3600, **facts) -> None:
        place = self.run.seed(name, seed)
        training = TrainFacts(**{
            "steps": 10, "best_step": 10, "stopped": "done", "loss_first": 2.0, "loss_last": 1.0, "losses": (),
            "dev_losses": (), "rows": 9, "dev_rows": 1, "truncated_rows": 0, "target_tokens": 90, "useful_tokens": 900,
            "raw_tokens": 900, "useful_tokens_per_second": 1.0, "raw_tokens_per_second": 1.0, "peak_memory_bytes": 1,
            "trainable_parameters": 8, "parameters": 800, "adapter_digest": f"{name} {seed}", "adapter_norm": 1.0,
            "end_token_trained": True, "reload_difference": 0.0, "logit_shift": 0.5, "chat_digest": "chat",
            "data": {"tuning": "unpinned"},
        } | facts)  # fmt: skip
        RunManifest(
            stage="train", contender=name, seed=seed, fingerprint=self.recipe.train_fingerprint(name, seed),
            started_at=0, finished_at=1, device_seconds=seconds, training=training, **MACHINE,
        ).write(place.train_manifest)  # fmt: skip

    def sit(self, name: str, rates: dict[str, float] | float, *, seed: int | None = None, change=None, **facts) -> None:
        """Answer the exam, right with the given chance a task; documents of one draw stand or fall together a little.

        `change(row) -> row` alters single answers; `facts` replace fields of the score manifest.
        """
        seeds = self.recipe.seeds(name) if seed is None else (seed,)
        for each in seeds:
            rows = list(self._answers(name, each, rates))
            rows = [change(answer) for answer in rows] if change else rows
            self.hand_in(name, each, rows, **facts)

    def _answers(self, name, seed, rates):
        scorer = self.recipe.score_fingerprint(name, seed, self.benchmark.digests)
        for task in self.benchmark.carded:
            rate = rates[task.name] if isinstance(rates, dict) else rates
            for question in task.rows:
                hard = random.Random(question.id).random()  # one difficulty for all contenders: answers are alike
                luck = random.Random(f"{name} {seed} {question.id}").random()
                for sample in range(self.recipe.exam.samples):
                    yield row(
                        task.name, contender=name, seed=seed, scorer=scorer, id=question.id, hash=question.digest,
                        content=f"content {question.id}", cluster=task.cluster(question), part=task.part(question),
                        lang=question.lang, protocol=task.protocol, sample=sample, gold=question.answer or "",
                        **graded("correct" if 0.7 * hard + 0.3 * luck < rate else "wrong"),
                    )  # fmt: skip

    def hand_in(self, name: str, seed: int, rows: list[ItemScore], **facts) -> None:
        """Answers made elsewhere: their log, and the manifest of a finished scoring."""
        append(self.run.seed(name, seed).items, rows)
        chosen, plan = self.recipe.contenders[name], pledge.read(self.run)
        tuned = AdapterProbe(prompts=16, kl=0.2, kl_same=1e-9, norm=1.0) if chosen.tuned else None
        scoring = ScoreFacts(**{
            "plan_digest": plan.digest if plan else "none", "first_score_at": (plan.at if plan else 0) + 1, "tasks": (),
            "weights_digest": chosen.model.digest(), "adapter_digest": f"{name} {seed}" if chosen.tuned else None,
            "adapter_probe": tuned, "chat_digest": f"chat of {chosen.model.family}", "template": {},
            "frame_digest": "frame" if chosen.prompt else None, "decoding": {}, "engine": "transformers",
            "dtype": "float32", "batch_tokens": 64, "samples": self.recipe.exam.samples, "extractor": EXTRACTOR,
            "items": len(rows), "generated_tokens": 0,
        } | facts)  # fmt: skip
        RunManifest(
            stage="score", contender=name, seed=seed, fingerprint=rows[0].scorer, started_at=0, finished_at=1,
            device_seconds=sum(answer.seconds or 0 for answer in rows), scoring=scoring, **MACHINE,
        ).write(self.run.seed(name, seed).score_manifest)  # fmt: skip


def build(folder: Path, *changes: str) -> Run:
    """old, lora (on old), newer and prompted (newer with a frame); two tasks; changes as in `--set`."""
    for name, family in (("old", "r1_distill_qwen"), ("newer", "qwen3")):
        (folder / name).mkdir(parents=True, exist_ok=True)
        for part in ("config.json", "tokenizer.json"):
            (folder / name / part).write_text(json.dumps({"family": family}))
        (folder / name / "model.safetensors").write_bytes(name.encode())
    for task, (lang, count, size) in TASKS.items():
        _task(folder / task, task, lang, count, size)
    _card(folder / "tuning.md", "tuning", ["en"], "qa", [{"question": "q", "answer": "a"}], "train", {})
    (folder / "study.yaml").write_text(yaml.safe_dump(_recipe(folder)))
    return Run(folder, Recipe.read(folder / "study.yaml", changes))


def _recipe(folder: Path) -> dict:
    old = {"id": "./old", "family": "r1_distill_qwen", "think": "empty"}
    newer = {"id": "./newer", "family": "qwen3", "think": "empty"}
    return {
        "question": "Is it worth it?", "data": ["tuning.md"],
        "contenders": {
            "old": {"model": old}, "lora": {"model": old, "method": {"kind": "lora", "rank": 4}},
            "prefix": {"model": old, "method": {"kind": "ptuning_v2"}},
            "newer": {"model": newer}, "prompted": {"model": newer, "prompt": {"role": "an analyst"}},
        },
        "exam": {"tasks": [str(folder / task) for task in TASKS], "weights": {"letters": 3, "numbers": 1}},
        "rule": {"challengers": ["lora"], "incumbent": "newer", "base": "old"},
    }  # fmt: skip


def _task(folder: Path, name: str, lang: str, count: int, size: int) -> None:
    questions = [
        {"id": f"{name}-{i}", "question": f"{name} {i}?", "options": list("wxyz"), "answer": "A", "doc": i // size}
        for i in range(count)
    ]
    columns = {"id": "id", "cluster": "doc"}
    folder.mkdir(exist_ok=True)
    choice = name == "letters"
    if choice:
        columns["options"] = "options"
    _card(folder / f"{name}.md", name, [lang], "choice" if choice else "qa", questions, "test", columns)
    text = HEAD + f"task: {name}\ndataset_kwargs: {{card: {name}, split: test}}\noutput_type: generate_until\n"
    answer = "letter" if choice else "text"
    (folder / f"{name}.yaml").write_text(text + f"metadata: {{version: 1, headline: exact, answer: {answer}}}\n")


def _card(path: Path, name: str, languages: list[str], shape: str, rows: list[dict], split: str, columns: dict) -> None:
    path.with_suffix(".jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    front = {
        "name": name, "title": name, "languages": languages, "published": False, "shape": shape, **LICENCE,
        "columns": {"question": "question", "answer": "answer", **columns}, "splits": {split: [f"{name}.jsonl"]},
    }  # fmt: skip
    path.write_text(f"---\n{yaml.safe_dump(front)}---\nMade up.\n")
