"""Logs of lm-eval: what is done to one, and what must be said of it; a study with a contender that others asked."""

from __future__ import annotations

import hashlib
import json
import sys
from pathlib import Path

from small_exam import run_line
from written_exam import Run, build

from finetune.run import LoggedFacts

THEIRS = {"id": "their/model", "family": "served", "think": "keep"}
UNKNOWN = {"seconds": None, "tokens_in": None, "tokens_thinking": None, "tokens_out": None, "finish": None}


def log_samples(checkpoint: Path, exam: Path, out: Path) -> None:
    """What others run: both tasks, by lm-eval's own command."""
    words = [sys.executable, "-m", "lm_eval", "--model", "hf", "--model_args", f"pretrained={checkpoint},dtype=float32"]
    words += ["--tasks", "own,own_gen", "--include_path", str(exam), "--device", "cpu", "--batch_size", "4"]
    done = run_line([*words, "--output_path", str(out), "--log_samples"], TUNEWORTH_CARDS=str(exam))
    assert done.returncode == 0, done.stderr[-2000:]


def edit(log: Path, task: str, change) -> None:
    """`change(samples)` alters the parsed lines of one task in place, or gives the bytes to be written."""
    (path,) = log.rglob(f"samples_{task}_2*.jsonl")
    samples = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
    found = change(samples)
    text = "".join(json.dumps(sample, ensure_ascii=False) + "\n" for sample in samples).encode()
    path.write_bytes(found if isinstance(found, bytes) else text)


def hashed(sample: dict) -> None:
    text = json.dumps(sample["doc"], indent=2, ensure_ascii=False)
    sample["doc_hash"] = hashlib.sha256(text.encode()).hexdigest()


def torn(samples):
    return "".join(json.dumps(sample) + "\n" for sample in samples).encode()[:-40]


def half(samples):
    return json.dumps(samples[0]).encode() + b"\n" + json.dumps(samples[1]).encode()[:80] + b"\n"


def shuffled(samples):
    for sample, other in zip(samples, [sample["doc"]["id"] for sample in samples[1:] + samples[:1]], strict=True):
        sample["doc"]["id"] = other
        hashed(sample)


def edition(samples):
    samples[4]["doc"]["question"] += "?"
    hashed(samples[4])


def gold(samples):
    samples[4]["doc"]["answer"] = "ABC"[("ABC".index(samples[4]["doc"]["answer"]) + 1) % 3]
    hashed(samples[4])


def options(samples):
    arguments = samples[3]["arguments"]
    arguments["gen_args_0"], arguments["gen_args_1"] = arguments["gen_args_1"], arguments["gen_args_0"]


def nested(samples):
    samples[2]["arguments"]["gen_args_0"]["arg_0"] = ["[" * 5000]


def warmer(samples):
    samples[2]["arguments"]["gen_args_0"]["arg_1"]["temperature"] = 0.9


def alternating(samples):
    for sample in samples[1::2]:
        sample["filter"] = "b"


FAULTS = {  # task, what is done to its samples, what is said
    "torn": ("own", torn, r"samples_own_2.*:18: the last line is torn"),
    "half a line": ("own", half, r"samples_own_2.*:2: no sample as lm-eval .* log it"),
    "no doc": ("own", lambda s: s[1].pop("doc"), r":2: no sample as .* \(doc: Field required\)"),
    "missing": ("own_gen", lambda s: s.__delitem__(slice(3, 7)), r"no sample of 4 of 18 questions of own_gen, .* q3; "),
    "doubled": ("own_gen", lambda s: s.append(s[2]), r":19: own_gen/q2 stands twice"),
    "shuffled ids": ("own", shuffled, r":1: the question of own/q1 is not the exam's: another edition .* shuffled"),
    "other edition": ("own", edition, r":5: the question of own/q4 is not the exam's: another edition"),
    "other gold": ("own", gold, r":5: the answer of own/q4 is not the exam's"),
    "unknown": ("own", lambda s: s[0]["doc"].update(id="q99"), r":1: 'q99' is no question of own"),
    "shuffled numbers": ("own", lambda s: s[0].update(doc_id=5), r":1: own/q0: doc_id 5, but it is number 0"),
    "altered": ("own", lambda s: s[0]["doc"].update(subject="x"), r":1: own/q0: doc_hash is of another doc"),
    "options": ("own", options, r":4: own/q3: its options are not the exam's"),
    "fewer options": ("own", lambda s: s[3]["resps"].pop(), r":4: own/q3 has 2 answers to 3 requests"),
    "infinite": ("own", lambda s: s[0]["resps"][1][0].__setitem__(0, "nan"), r":1: own/q0: no finite log-likelihood"),
    "other score": ("own", lambda s: s[0].update(acc_norm=1 - s[0]["acc_norm"]), r":1: own/q0: acc_norm is .* make it"),
    "no text": ("own_gen", lambda s: s[2].update(resps=[[None]]), r":3: own_gen/q2: the answer None is no text"),
    "a record": ("own_gen", lambda s: s[2].update(resps=[[{"a": 1}]]), r":3: own_gen/q2: the answer \{'a': 1\} is no"),
    "metric nan": ("own", lambda s: s[0].update(acc_norm=float("nan")), r":1: own/q0: acc_norm is nan, no finite"),
    "metric text": ("own", lambda s: s[0].update(acc_norm="1"), r":1: own/q0: acc_norm is '1', no finite number"),
    "metric huge": ("own", lambda s: s[0].update(acc_norm=10**400), r":1: own/q0: acc_norm is 10+, no finite number"),
    "written nan": ("own_gen", lambda s: s[1].update(exact=float("nan")), r":2: own_gen/q1: exact is nan, no finite"),
    "huge": ("own", lambda s: s[0]["resps"][1][0].__setitem__(0, 10**400), r":1: own/q0: no finite log-likelihood"),
    "above 0": ("own", lambda s: s[0]["resps"][1][0].__setitem__(0, 5.0), r":1: own/q0: a log-likelihood of 5, above"),
    "nested": ("own_gen", nested, r":3: no sample as .* \(arguments: .* messages that are nested without end\)"),
    "filters": ("own_gen", alternating, r"of 2 filters \('none', 'b'\), and 'none' lacks 9 of 18 .* leave the lines"),
    "uneven": ("own_gen", lambda s: s[2]["resps"][0].append("A"), r":1: own_gen/q0 was answered 1 times, others 2"),
    "two ways": ("own_gen", warmer, r":3: was asked with .*0\.9.*, line 1 with .*; keep the lines of one run"),
    "empty": ("own", lambda s: s.clear(), r"samples_own_2.*: holds no sample"),
}  # fmt: skip


def theirs(folder: Path, *changes: str, name: str = "newer", **facts) -> Run:
    """A hand-written study in which one contender's answers came from elsewhere, an hour after the plan."""
    (folder / "samples_letters.jsonl").write_text("{}\n", "utf-8")
    run = build(folder, *changes, f"contenders.{name}.items={folder}/samples_letters.jsonl")
    kept = run.pledge()
    told = {"batch_tokens": None, "generated_tokens": None, "engine": "lm-eval hf", "dtype": "float32"}
    told |= {"first_score_at": kept.at + 3600, "logged": LoggedFacts(files={"samples": "ab"}, model="m", versions={})}
    told |= {"adapter_probe": None, "adapter_digest": None}
    for each, rate in {"old": 0.3, "lora": 0.9, "prefix": 0.5, "newer": 0.4, "prompted": 0.5, "bought": 0.9}.items():
        if each not in run.recipe.contenders:
            continue
        if run.recipe.contenders[each].method:
            run.tune(each)
        mine = each == name
        change = (lambda row: row.model_copy(update=UNKNOWN | {"engine": "lm_eval"})) if mine else None
        run.sit(each, rate, change=change, **(told | facts if mine else {}))
    return run
