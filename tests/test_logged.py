"""Answers that lm-eval logged elsewhere: imported, graded as our own, refused where they do not fit, never made up."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import yaml
from conftest import MARKERS, build_checkpoint, train_tokenizer
from small_exam import environment, model, run_line, score_line, teach, write_exam, write_recipe
from small_study import tuneworth, verdict, write_study
from test_regrade import study
from written_exam import Run, build

from eval import items
from eval.extract import EXTRACTOR
from eval.report import render
from eval.score import __main__ as score
from eval.verdict import judge
from finetune.mistakes import BadInput
from finetune.recipe import Recipe
from finetune.run import LoggedFacts

THEIRS = {"id": "their/model", "family": "served", "think": "keep"}
UNKNOWN = {"seconds": None, "tokens_in": None, "tokens_thinking": None, "tokens_out": None, "finish": None}


def log_samples(checkpoint: Path, exam: Path, out: Path) -> None:
    """What others run: both tasks, by lm-eval's own command."""
    words = [sys.executable, "-m", "lm_eval", "--model", "hf", "--model_args", f"pretrained={checkpoint},dtype=float32"]
    words += ["--tasks", "own,own_gen", "--include_path", str(exam), "--device", "cpu", "--batch_size", "4"]
    done = run_line([*words, "--output_path", str(out), "--log_samples"], TUNEWORTH_CARDS=str(exam))
    assert done.returncode == 0, done.stderr[-2000:]


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A taught checkpoint, what `lm_eval --log_samples` says of it, and a recipe that asks both it and the log."""
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("others")
    exam = write_exam(folder / "exam", count=18)
    rows = train_tokenizer(MARKERS["qwen3"]).get_vocab_size()  # no padding rows: lm-eval would draw them, we never do
    checkpoint = teach(build_checkpoint(folder / "qwen3", "qwen3", rows=rows), exam, "plain")
    log_samples(checkpoint, exam, folder / "log")
    spec = model(checkpoint, "plain")
    recipe = write_recipe(folder / "r.yaml", exam, spec, spec, samples=1)
    known = yaml.safe_load(recipe.read_text("utf-8"))
    known["contenders"]["theirs"] = {"model": THEIRS, "items": "./log"}
    recipe.write_text(yaml.safe_dump(known, allow_unicode=True), "utf-8")
    return recipe


def rows_of(out: Path, name: str) -> dict[tuple[str, str], items.ItemScore]:
    return {(row.task, row.id): row for row in items.read(out / f"r/{name}/seed-0/items.jsonl")}


def test_what_lm_eval_logged_has_the_scores_of_our_own_scoring(made, tmp_path):
    for name in ("newer", "theirs"):
        done = run_line(score_line(made, tmp_path, name))
        assert done.returncode == 0, done.stderr
    assert "own_gen 0." in done.stdout
    assert "graded otherwise" not in done.stdout
    ours, theirs = rows_of(tmp_path, "newer"), rows_of(tmp_path, "theirs")
    assert ours.keys() == theirs.keys()
    assert 0 < sum(row.score for row in theirs.values()) < len(theirs)
    for key, row in theirs.items():
        told = {"finish": "likelihood"} if row.protocol == "likelihood" else {}
        assert row.model_dump(include=set(UNKNOWN)) == UNKNOWN | told
        assert row.loglikelihoods == pytest.approx(ours[key].loglikelihoods, abs=1e-5, rel=1e-6)
        same = {
            "score",
            "outcome",
            "extracted",
            "rule",
            "text",
            "hash",
            "content",
            "cluster",
            "part",
            "version",
            "gold",
        }
        assert row.model_dump(include=same) == ours[key].model_dump(include=same)
    facts = json.loads((tmp_path / "r/theirs/seed-0/score.json").read_text("utf-8"))["scoring"]
    assert (facts["engine"].split()[0], facts["dtype"]) == ("lm-eval", "float32")
    assert (facts["batch_tokens"], facts["generated_tokens"], facts["weights_digest"]) == (None, None, "")
    assert facts["first_score_at"] < json.loads((tmp_path / "r/recipe.json").read_text("utf-8"))["plan"]["at"]
    assert len(facts["logged"]["files"]) == 3
    assert facts["template"] == {"own": ["", ""], "own_gen": ["", ""]}


def test_no_model_is_loaded_and_a_second_start_does_nothing(made, tmp_path):
    code = (
        "import sys\nfrom eval.score.__main__ import main\n"
        f"asked = [{str(made)!r}, '--contender', 'theirs', '--out', {str(tmp_path)!r}]\n"
        "assert (main(asked), main(asked)) == (0, 0)\n"
        "assert not {'torch', 'transformers', 'accelerate'} & set(sys.modules), 'heavy'"
    )
    done = subprocess.run([sys.executable, "-c", code], env=environment(), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "score theirs seed 0: done, unchanged" in done.stdout
    wide, line = environment() | {"COLUMNS": "400"}, [sys.executable, "-m", "eval.cli", "check", str(made)]
    said = subprocess.run(line, env=wide, capture_output=True, text=True, check=False)
    assert "asked elsewhere" in said.stdout, said.stderr


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
    "empty": ("own", lambda s: s.clear(), r"samples_own_2.*: holds no sample"),
}  # fmt: skip


def copied(made: Path, folder: Path) -> Path:
    """The log in a folder of the test's own."""
    return Path(shutil.copytree(made.parent / "log", folder / "log"))


def refused(made: Path, log: Path, capsys, wanted: str) -> None:
    asked = [str(made), "--contender", "theirs", "--out", str(log.parent / "runs")]
    assert score.main([*asked, "--set", f"contenders.theirs.items={log}"]) == 2
    said = capsys.readouterr().err
    assert re.search(wanted, said), said
    assert said.count("tuneworth: ") == said.partition("tuneworth: ")[2].count("\n") == 1
    assert not (log.parent / "runs").exists() or not list((log.parent / "runs").rglob("*.json*"))


@pytest.mark.parametrize(("task", "change", "wanted"), FAULTS.values(), ids=FAULTS)
def test_what_does_not_fit_is_refused_by_file_and_line(made, tmp_path, capsys, task, change, wanted):
    log = copied(made, tmp_path)
    edit(log, task, change)
    refused(made, log, capsys, wanted)


def test_other_versions_runs_and_places_are_refused(made, tmp_path, capsys):
    log = copied(made, tmp_path)
    (results,) = log.rglob("results_*.json")
    whole = results.read_text("utf-8")
    results.write_text(whole.replace('"own": 1,', '"own": 2,', 1), "utf-8")
    refused(made, log, capsys, r"own was asked in version 2, and the exam has version 1")
    results.write_text("{}", "utf-8")
    refused(made, log, capsys, r"results_.*: not the results of an lm-eval run")
    results.write_text(whole, "utf-8")
    (path,) = log.rglob("samples_own_2*.jsonl")
    shutil.copy(path, path.with_name("samples_own_2026-01-01T00-00-00.000001.jsonl"))
    refused(made, log, capsys, r"2 files of samples of task own .* name the folder of one run")
    refused(made, path, capsys, r"no samples of task own_gen, but of own")
    refused(made, tmp_path / "nowhere", capsys, r"nowhere: no such file or folder")
    (tmp_path / "empty").mkdir()
    refused(made, tmp_path / "empty", capsys, r"empty: no samples_<task>_<date>.jsonl")


@pytest.mark.parametrize(
    ("change", "wanted"),
    [
        ({"versions": {"mmlu": 1}}, r"results_.*: the results of another run: of mmlu, not of own,"),
        ({"date": -1}, r"results_.*: date -1 is no time that has been"),
        ({"date": float("nan")}, r"results_.*: date nan is no time that has been"),
        ({"date": 1e300}, r"results_.*: date 1e\+300 is no time that has been"),
    ],
)
def test_results_of_another_run_or_of_no_time_are_refused(made, tmp_path, capsys, change, wanted):
    log = copied(made, tmp_path)
    (results,) = log.rglob("results_*.json")
    results.write_text(json.dumps(json.loads(results.read_text("utf-8")) | change), "utf-8")
    refused(made, log, capsys, wanted)


def apart(log: Path, change) -> None:
    """The written answers as of a run of their own, whose results `change` alters."""
    (results,) = log.rglob("results_*.json")
    (samples,) = log.rglob("samples_own_gen_*.jsonl")
    date = "2026-01-01T00-00-00.000001"
    known = json.loads(results.read_text("utf-8"))
    change(known)
    results.with_name(f"results_{date}.json").write_text(json.dumps(known), "utf-8")
    samples.rename(samples.with_name(f"samples_own_gen_{date}.jsonl"))


def test_one_contender_is_one_model(made, tmp_path, capsys):
    log = copied(made, tmp_path / "name")
    apart(log, lambda known: known.update(model_name="their/other"))
    refused(
        made,
        log,
        capsys,
        r"results_2026-01-01T.*\.json: model_name is 'their/other', and in .*results_.*\.json '.*qwen3'; a contender",
    )
    log = copied(made, tmp_path / "adapter")
    apart(log, lambda known: known["config"]["model_args"].update(peft="their/adapter"))
    refused(
        made, log, capsys, r"results_2026-01-01T.*\.json: peft is 'their/adapter', and in .*\.json None; a contender"
    )
    log = copied(made, tmp_path / "same")
    told = "pretrained={pretrained},dtype=bfloat16"
    apart(log, lambda known: known["config"].update(model_args=told.format_map(known["config"]["model_args"])))
    imported(made, log)  # older runs write the same as a text, and dtype is not which model


def test_a_link_to_nothing_is_named(made, tmp_path, capsys):
    log = copied(made, tmp_path)
    (log / "samples_zzz.jsonl").symlink_to("/nowhere")
    refused(made, log, capsys, r"samples_zzz.jsonl: no file, but a folder or a link to nothing")


def imported(made: Path, log: Path, *more: str) -> tuple[Path, list[items.ItemScore]]:
    out = log.parent / "runs"
    changes = ["--set", f"contenders.theirs.items={log}", *more]
    assert score.main([str(made), "--contender", "theirs", "--out", str(out), *changes]) == 0
    return out, items.read(out / "r/theirs/seed-0/items.jsonl")


def test_shuffled_lines_samples_filters_and_thoughts_are_read_as_they_are(made, tmp_path, capsys):
    """Lines in any order, several answers a question, a second filter, a prompt that opened the thought."""
    log = copied(made, tmp_path)

    def change(samples):
        samples.reverse()
        for sample in samples:
            sample["resps"] = [["hm</think>A", "A, I still think"]]
            sample["arguments"]["gen_args_0"]["arg_0"] = f"<user>{sample['doc']['ask']}<assistant><think>\n"
        samples += [sample | {"filter": "strict"} for sample in samples]

    edit(log, "own_gen", change)
    for results in log.rglob("results_*.json"):
        results.unlink()
    out, rows = imported(made, log)
    found = [row for row in rows if row.task == "own_gen"]
    assert [(row.id, row.sample) for row in found[:3]] == [("q0", 0), ("q0", 1), ("q1", 0)]
    assert {row.outcome for row in found if row.sample == 0} == {"correct", "wrong"}
    assert {row.outcome for row in found if row.sample == 1} == {"unclosed_thinking"}
    facts = json.loads((out / "r/theirs/seed-0/score.json").read_text("utf-8"))["scoring"]
    assert (facts["first_score_at"], facts["engine"], facts["dtype"], facts["samples"]) == (
        None,
        "unknown",
        "unknown",
        2,
    )
    assert {row.version for row in rows} == {""}


def test_questions_within_unlike_words_are_not_taken_for_the_exams(made, tmp_path, capsys):
    log = copied(made, tmp_path)

    def change(samples):
        for number, sample in enumerate(samples):
            sample["arguments"]["gen_args_0"]["arg_0"] = f"Example {number}: yes.\n{sample['doc']['ask']}"

    edit(log, "own_gen", change)
    edit(log, "own", templated)
    _, rows = imported(made, log)
    said = capsys.readouterr().out
    assert "own_gen: not asked as the exam asks it: what stands around its questions differs" in said
    assert "own: not asked as the exam asks it: its template ends in blanks, which lm-eval counts with each" in said
    assert all(row.content == row.prompt for row in rows)


def templated(samples):
    for sample in samples:
        for each in sample["arguments"].values():
            each["arg_0"] = f"<user>{each['arg_0']}<assistant>\n\n"


def test_another_log_is_another_score(made, tmp_path, capsys):
    log = copied(made, tmp_path)
    _, first = imported(made, log)
    edit(log, "own_gen", lambda samples: samples[0].update(resps=[["我不知道"]]))
    out, second = imported(made, log)
    assert "what stood here was scored otherwise, and is now in .old-" in capsys.readouterr().out
    assert first[0].scorer != second[0].scorer
    assert len(list((out / "r/theirs/seed-0").glob(".old-*/items.jsonl"))) == 1


@pytest.mark.parametrize("change", ["exam.twins=[options]", "train.canaries=4"])
def test_what_lm_eval_does_not_ask_is_not_asked_beside_a_log(tmp_path, change):
    log = f"contenders.newer.items={tmp_path}/samples_letters.jsonl"
    with pytest.raises(BadInput, match=f"{change.partition('=')[0]}: newer has items, and a log holds no answers to"):
        build(tmp_path, log, change)


@pytest.mark.parametrize(
    ("keys", "wanted"),
    [
        ({"method": {"kind": "lora"}}, "items and method exclude each other"),
        ({"adapter": "x", "adapter_cost": 1}, "items and adapter exclude each other"),
        ({"prompt": {"role": "an analyst"}}, "items and prompt exclude each other"),
        ({"engine": {"kind": "openai", "url": "http://127.0.0.1:1/v1", "model": "m"}}, "items and engine exclude"),
        ({"start": "old"}, "of a contender that is tuned here"),
        ({"items": None, "query_cost": 1, "model": THEIRS | {"family": "qwen3"}}, "query_cost is of a contender with"),
        ({"items": None}, "or give an engine or items"),
    ],
)
def test_what_is_answered_already_is_neither_tuned_nor_asked(made, tmp_path, keys, wanted):
    known = yaml.safe_load(made.read_text("utf-8"))
    known["contenders"]["theirs"] |= keys
    path = made.with_name(f"{tmp_path.name}.yaml")
    path.write_text(yaml.safe_dump(known, allow_unicode=True), "utf-8")
    with pytest.raises(BadInput, match=wanted):
        Recipe.read(path)


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


def gates_of(found) -> dict[str, str]:
    return {gate.name: gate.status for gate in found.gates}


def test_imported_answers_are_read_anew_like_any_other(tmp_path, monkeypatch):
    """Of their right answers nine in ten were not read before; what a log cannot tell stays so."""
    (tmp_path / "samples_letters.jsonl").write_text("{}\n", "utf-8")
    change = f"contenders.newer.items={tmp_path}/samples_letters.jsonl"
    run = study(tmp_path, monkeypatch, change, unread={"newer": 900})
    log = run.run.seed("newer", 0).items
    items.replace(log, [row.model_copy(update=UNKNOWN | {"engine": "lm_eval"}) for row in items.read(log)])
    done = tuneworth("regrade", tmp_path / "study.yaml", "--out", tmp_path / "runs", "--set", change)
    assert done.returncode == 0, done.stderr
    (turned,) = re.findall(r"regrade newer seed 0, letters: (\d+) of 240 outcomes changed", done.stdout)
    assert int(turned) > 50
    assert "the verdict moved from invalid to inconclusive" in done.stdout
    rows = items.read(log)
    assert {row.outcome for row in rows} == {"correct", "wrong"}
    assert {(row.extractor, row.finish, row.seconds, row.tokens_out) for row in rows} == {(EXTRACTOR, None, None, None)}


def test_what_a_log_cannot_tell_is_not_checked(tmp_path):
    run = theirs(tmp_path)
    found = judge(run.recipe, run.run)
    told = gates_of(found)
    assert (found.outcome, told["truncated"], told["engine parity"]) == ("inconclusive", "not_checked", "not_checked")
    assert (told["same questions"], told["prompt content"], told["plan"]) == ("passed", "passed", "passed")
    assert "serving cost" not in told  # nobody asked for a net benefit
    row = next(row for row in found.contenders if row.name == "newer")
    measured = (row.seconds_per_query, row.tokens_in, row.tokens_out, row.cost_per_query, row.scoring_seconds)
    assert measured == (None,) * 5
    bill = next(bill for bill in found.money.bills if bill.rival == "newer")
    assert (bill.extra_per_query, bill.breakeven, bill.net) == (None, None, None)
    page = render(found)
    assert page.count("未知") >= 6
    assert "Imported from samples, sha256" in page


PRICES = ("costs.gpu_hour=1", "costs.value_per_correct=1", "costs.queries=1000000")


def test_a_serving_cost_that_nobody_declared_leaves_the_money_open(tmp_path):
    run = theirs(tmp_path, *PRICES, engine="transformers")
    found = judge(run.recipe, run.run)
    assert gates_of(found)["serving cost"] == "not_checked"
    assert "serving cost" in found.sentence
    assert "服务成本" in found.sentence_zh


def test_a_declared_serving_cost_is_counted(tmp_path):
    run = theirs(tmp_path, *PRICES, "contenders.newer.query_cost=0.25")
    found = judge(run.recipe, run.run)
    assert "serving cost" not in gates_of(found)
    ours = next(row for row in found.contenders if row.name == "lora").cost_per_query
    bill = next(bill for bill in found.money.bills if bill.rival == "newer")
    assert bill.extra_per_query == pytest.approx(ours - 0.25)
    assert bill.net is not None


@pytest.mark.parametrize(
    ("facts", "status", "outcome"),
    [({"first_score_at": None}, "not_checked", "inconclusive"), ({"first_score_at": 1.0}, "failed", "exploratory")],
)
def test_a_log_older_than_the_plan_or_of_unknown_date_is_no_proof_of_the_plan(tmp_path, facts, status, outcome):
    run = theirs(tmp_path, **facts)
    found = judge(run.recipe, run.run)
    assert (gates_of(found)["plan"], found.outcome) == (status, outcome)


def test_engines_that_no_log_names_are_not_taken_for_one(tmp_path):
    run = theirs(tmp_path, engine="unknown", dtype="unknown")
    gate = next(gate for gate in judge(run.recipe, run.run).gates if gate.name == "engine parity")
    assert (gate.status, gate.reason) == ("not_checked", "nothing says what newer ran on")


def test_a_challenger_tuned_elsewhere_has_a_declared_cost_and_no_proof_of_its_adapter(tmp_path):
    bought = f"contenders.bought={{model: {{id: {tmp_path}/old, family: served, think: keep}}, items: "
    bought += f"{tmp_path}/samples_letters.jsonl, adapter_cost: 500, query_cost: 0.1}}"
    with pytest.raises(BadInput, match="bought has no method and no adapter"):
        build(tmp_path, bought.replace("adapter_cost: 500, ", ""), "rule.challengers=[bought]")
    run = theirs(tmp_path, bought, "rule.challengers=[bought]", *PRICES, name="bought")
    found = judge(run.recipe, run.run)
    assert (gates_of(found)["adapter applied"], found.outcome) == ("not_checked", "inconclusive")
    bill = next(bill for bill in found.money.bills if bill.challenger == "bought")
    assert (bill.parts["declared"], bill.net is None) == (500, False)
    assert "unknown" in render(found)


@pytest.mark.slow
def test_a_rival_that_others_ran_after_the_plan_is_judged_end_to_end(tmp_path):
    """The plan is kept by the first scoring, before their log is there; then they run lm-eval, and all is judged."""
    recipe = write_study(tmp_path, questions=36)
    known = yaml.safe_load(recipe.read_text("utf-8"))
    known["contenders"]["newer"] = {"model": THEIRS, "items": "./log", "query_cost": 0.01}
    del known["contenders"]["framed"], known["rule"]["alternatives"]
    recipe.write_text(yaml.safe_dump(known, allow_unicode=True), "utf-8")
    out = ["--out", tmp_path / "runs"]
    assert tuneworth("score", recipe, "--contender", "old", *out).returncode == 0
    early = tuneworth("score", recipe, "--contender", "newer", *out)
    assert (early.returncode, "log: no such file or folder" in early.stderr) == (2, True)
    log_samples(tmp_path / "newer", tmp_path / "exam", tmp_path / "log")
    done = tuneworth("run", recipe, *out)
    assert done.returncode == 0, done.stderr
    found = verdict(tmp_path / "runs")
    told = {gate["name"]: gate["status"] for gate in found["gates"]}
    assert (told["plan"], told["same questions"], told["prompt content"]) == ("passed", "passed", "passed")
    assert (told["truncated"], told["engine parity"]) == ("not_checked", "not_checked")
    assert found["outcome"] in ("inconclusive", "invalid")  # a toy may fall below chance
    row = next(row for row in found["contenders"] if row["name"] == "newer")
    assert (row["seconds_per_query"], row["cost_per_query"], row["tokens_out"]) == (None, 0.01, None)
    assert "未知" in (tmp_path / "runs/study/report.html").read_text("utf-8")
