"""The scoring engine, by its entry point: every question answered once, graded, kept, and never mixed with others."""

from __future__ import annotations

import json
from collections import Counter

import pytest
import torch
import yaml
from small_exam import model, run_line, score_line, write_adapter
from small_lm import Scripted
from small_score import SAMPLED, Study, parts, study  # noqa: F401 (fixtures)

from eval import items
from eval.benchmark import Benchmark, find, read_task
from eval.lm.budget import Budget
from eval.score.answers import Desk
from eval.score.questions import questions
from finetune.chat import Chat
from finetune.methods import Full, PTuningV2, adapter_digest
from finetune.recipe import Contender, Exam, Recipe
from finetune.run import RunDir

torch.set_num_threads(1)


@pytest.fixture(scope="module")
def scored(tmp_path_factory, parts):
    """The whole recipe scored once; read only."""
    study = Study(tmp_path_factory.mktemp("scored"), **parts)
    assert [study.score(name) for name in ("old", "newer", "framed", "brought")] == [0, 0, 0, 0]
    return study


def bare(rows: list[items.ItemScore]) -> list[dict]:
    """Rows without what a machine decides."""
    return [row.model_dump(exclude={"seconds", "rank", "loglikelihoods", "scorer"}) for row in rows]


def same(some: list[items.ItemScore], others: list[items.ItemScore]) -> bool:
    close = [
        pytest.approx(one.loglikelihoods, abs=1e-5, rel=1e-6) == other.loglikelihoods
        for one, other in zip(some, others, strict=True)
    ]
    return bare(some) == bare(others) and all(close)


def test_every_question_is_answered_once_for_each_sample(scored):
    recipe = Recipe.read(scored.recipe)
    tasks = Benchmark.read(recipe).tasks
    wanted = [
        (task.name, row.id, k) for task in tasks for row in task.rows for k in range(2 if "gen" in task.name else 1)
    ]
    for name in ("old", "newer", "framed", "brought"):
        assert [(row.task, row.id, row.sample) for row in scored.rows(name)] == wanted
        assert not list(scored.place(name).glob("items.rank-*"))


def test_rows_say_what_was_asked_said_read_and_earned(scored):
    rows = scored.rows("old")
    outcomes = Counter(row.outcome for row in rows if row.task == "own_gen")
    assert min(outcomes["correct"], outcomes["wrong"]) > 0
    for row in rows:
        assert row.score == (row.outcome == "correct")
        assert row.tokens_in > 0
        assert row.seconds > 0
        assert row.counted == ("" if row.task == "own" else "text")
        if row.task == "own":
            best = max(range(3), key=lambda i: row.loglikelihoods[i] / len(row.options[i]))
            assert (row.text, row.extracted, row.rule) == (row.options[best], "ABC"[best], "acc_norm")
            assert row.score == (row.extracted == row.gold)
        elif row.outcome in ("correct", "wrong"):
            assert (row.extracted == row.gold) == (row.outcome == "correct")
            assert row.finish == "stop"


def test_contenders_of_one_exam_are_asked_the_same(scored):
    asked = [
        [(r.task, r.id, r.hash, r.content, r.cluster, r.part) for r in scored.rows(n)]
        for n in ("old", "newer", "framed")
    ]
    assert asked[0] == asked[1] == asked[2]
    newer, framed = scored.rows("newer"), scored.rows("framed")
    assert all(a.tokens_in < b.tokens_in for a, b in zip(newer, framed, strict=True))


def test_the_manifest_says_on_what_it_rests(scored):
    found = scored.manifest("brought")
    facts = found.scoring
    recipe = Recipe.read(scored.recipe)
    benchmark = Benchmark.read(recipe)
    assert found.fingerprint == recipe.score_fingerprint("brought", 0, benchmark.digests)
    assert [task.items_digest for task in facts.tasks] == [task.items_digest for task in benchmark.tasks]
    assert facts.items == len(scored.rows("brought")) == 24 + 48
    assert facts.weights_digest == recipe.contenders["old"].model.digest()
    assert facts.generated_tokens == sum(row.tokens_out for row in scored.rows("brought"))
    assert found.device_seconds == pytest.approx(sum(row.seconds for row in scored.rows("brought")))
    assert facts.frame_digest is None
    assert scored.manifest("framed").scoring.frame_digest
    plan = json.loads((scored.out / "r/recipe.json").read_text("utf-8"))["plan"]
    assert facts.plan_digest == plan["digest"]
    assert plan["at"] <= facts.first_score_at <= found.finished_at


def test_the_adapter_is_proven_to_be_on(scored):
    proof = scored.manifest("brought").scoring.adapter_probe
    assert proof.prompts == 16
    assert proof.kl > 1e6 * proof.kl_same
    assert proof.norm > 0
    assert scored.manifest("old").scoring.adapter_probe is None
    assert bare(scored.rows("brought")) != bare(scored.rows("old"))


def test_a_prefix_is_scored_like_any_adapter(study, parts):
    study.adapter = write_adapter(study.folder / "prefix", parts["old"], PTuningV2(virtual_tokens=5))
    study.write()
    assert study.score("brought") == 0
    assert study.manifest("brought").scoring.adapter_probe.kl > 1e-3


def test_a_checkpoint_tuned_elsewhere_is_scored_like_any_adapter(study, parts):
    study.adapter = write_adapter(study.folder / "whole", parts["old"], Full(), spread=0.03)
    study.write()
    assert study.score("brought") == 0
    found = study.manifest("brought").scoring
    assert found.adapter_probe.kl > 1e-3
    assert 0 < found.adapter_probe.norm < 0.04 * 127_552**0.5  # of the change, not of the weights
    assert found.adapter_digest == adapter_digest(study.adapter)


def test_what_is_done_and_unchanged_is_left_alone(study, capsys):
    assert study.score("old") == 0
    before = (study.place("old") / "items.jsonl").stat().st_mtime_ns
    capsys.readouterr()
    assert study.score("old") == 0
    assert capsys.readouterr().out == "score old seed 0: done, unchanged\n"
    assert (study.place("old") / "items.jsonl").stat().st_mtime_ns == before


def test_batch_size_decides_nothing(scored, study):
    for budget in ("64", "100000"):
        assert study.score("old", "--set", f"exam.batch_tokens={budget}", "--set", f"name=b{budget}") == 0
        assert same(items.read(study.out / f"b{budget}/old/seed-0/items.jsonl"), scored.rows("old"))


def test_the_exam_seed_decides_the_draws(study):
    study.write(old={"decoding": SAMPLED | {"temperature": 5}}, tasks=[f"{study.exam}/own_gen"])
    texts = []
    for name, seed in (("a", 17), ("b", 17), ("c", 18)):
        assert study.score("old", "--set", f"exam.seed={seed}", "--set", f"name={name}") == 0
        texts.append([row.text for row in items.read(study.out / name / "old/seed-0/items.jsonl")])
    assert texts[0] == texts[1] != texts[2]
    assert len(set(texts[0])) > len(texts[0]) / 2


def test_a_start_after_a_kill_scores_only_what_is_missing(scored, study, capsys):
    """Two processes had written some rows each, one line is torn; another number of processes goes on."""
    place, rows = study.place("old"), scored.rows("old")
    items.append(place / "items.rank-0.jsonl", rows[:15])
    items.append(place / "items.rank-3.jsonl", rows[10:31])
    with (place / "items.rank-3.jsonl").open("a") as torn:
        torn.write('{"contender": "old", "se')
    assert study.score("old") == 0
    assert "41 of 72 answers to go" in capsys.readouterr().out
    assert same(study.rows("old"), rows)
    assert [row.seconds for row in study.rows("old")][:31] == [row.seconds for row in rows[:31]]
    assert sorted(p.name for p in place.iterdir()) == ["items.jsonl", "items.parquet", "score.json"]


def test_rows_of_another_scorer_are_set_aside_finished_or_not(scored, study, capsys):
    items.append(study.place("old") / "items.rank-0.jsonl", scored.rows("newer")[:5])
    assert study.score("old") == 0
    assert "scored otherwise" in capsys.readouterr().out
    (shelf,) = study.place("old").glob(".old-*")
    assert len(items.read(shelf / "items.rank-0.jsonl")) == 5
    study.write(samples=1)
    assert study.score("old") == 0
    assert len(study.rows("old")) == 48
    shelves = sorted(study.place("old").glob(".old-*"))
    assert {path.name for path in shelves[0].iterdir()} | {path.name for path in shelves[1].iterdir()} == {
        "items.rank-0.jsonl", "items.jsonl", "items.parquet", "score.json",
    }  # fmt: skip


def test_the_first_start_counts_whatever_came_after(study):
    assert study.score("old") == 0
    first = study.manifest("old").scoring.first_score_at
    (study.place("old") / "score.json").unlink()
    assert study.score("old") == 0
    assert study.manifest("old").scoring.first_score_at == first
    events = [json.loads(line)["event"] for line in RunDir(study.out / "r").attempts.read_text("utf-8").splitlines()]
    assert events == ["plan", "score"]


def test_two_processes_score_what_one_does_each_question_once(scored, study):
    """Under torchrun with gloo; the rows say that both had a share."""
    launch = study.folder / "cpu2.yaml"
    launch.write_text("launcher: torchrun\nprocesses: 2\n", "utf-8")
    study.write(launch=str(launch))
    done = run_line(score_line(study.recipe, study.out, "old", processes=2))
    assert done.returncode == 0, done.stderr
    assert same(study.rows("old"), scored.rows("old"))
    assert {row.rank for row in study.rows("old")} == {0, 1}
    assert study.manifest("old").hardware.processes == 2
    assert done.stdout.count("answers to go") == 1


def test_plain_lines_on_stdout_and_silence_on_stderr(study):
    done = run_line(score_line(study.recipe, study.out, "brought"))
    assert done.returncode == 0
    assert done.stderr == ""
    assert [line.split(": ")[0] for line in done.stdout.splitlines()] == ["score brought seed 0"] * 4


@pytest.mark.parametrize(
    ("text", "outcome", "extracted"),
    [
        ("stock\nprofit\n</think>\n\n答案是B<｜end▁of▁sentence｜>", "correct", "B"),
        ("答案是B\n</think>\n\nA<｜end▁of▁sentence｜>", "wrong", "A"),
        ("stock </think>\n\nB\n\nnot C<｜end▁of▁sentence｜>", "correct", "B"),
        ("stock </think>\n\nyes<｜end▁of▁sentence｜>", "unparsed", None),
        ("stock </think>\n\ncannot answer<｜end▁of▁sentence｜>", "refused", None),
        ("答案是B<｜end▁of▁sentence｜>", "unclosed_thinking", None),
        ("答案是B " * 30, "unclosed_thinking", None),
        ("stock </think>\n\n答案是B" + " the" * 60, "truncated", None),
    ],
)
def test_what_an_answer_is_worth(parts, text, outcome, extracted):
    from transformers import AutoModelForCausalLM

    chat = Chat.open(parts["old"], "r1_distill_qwen", "keep")
    how = {"max_new_tokens": 48}
    spec = model(parts["old"], "r1_distill_qwen", think="keep", decoding=how)
    desk = Desk("c", 0, Contender.model_validate({"model": spec}), Exam(tasks=("own_gen",)), chat, "digest", 0)
    asked = next(q for q in questions(read_task(*find(str(parts["exam"] / "own_gen")))) if q.row.answer == "B")
    ids = chat.tokenizer.encode(text, add_special_tokens=False).ids
    inner = AutoModelForCausalLM.from_pretrained(parts["old"], dtype=torch.float32)
    ((row,),) = desk.answers(Scripted(inner, ids), list(desk.entries(asked)), Budget(8192))
    assert (row.outcome, row.extracted, row.score) == (outcome, extracted, float(outcome == "correct"))
    assert (row.finish == "length") == (outcome == "truncated" or text.startswith("答案是B 答案"))
    assert 0 < row.tokens_thinking <= row.tokens_out


def test_options_of_a_thinking_contender_stand_after_an_empty_thought(parts):
    chat = Chat.open(parts["old"], "r1_distill_qwen", "keep")
    spec = model(parts["old"], "r1_distill_qwen", think="keep")
    desk = Desk("c", 0, Contender.model_validate({"model": spec}), Exam(tasks=("own",)), chat, "digest", 0)
    asked = questions(read_task(*find(str(parts["exam"] / "own"))))[0]
    (entry,) = desk.entries(asked)
    assert chat.decode(entry.prompt).endswith("<think>\n\n</think>\n\n")
    assert [chat.decode(option) for option in entry.options] == list(asked.row.options)


def test_the_recipe_of_the_tests_is_one_a_user_could_write(study):
    assert set(yaml.safe_load(study.recipe.read_text("utf-8"))) <= set(Recipe.model_fields)
