"""Flags of membership: Min-K%++ by hand, a tiny model that knows some questions by heart, and what the judge says."""

from __future__ import annotations

import json

import pytest
import torch
from conftest import build_checkpoint
from judged_run import finished
from reader import Reader, refuse_lone_words
from small_exam import model, write_exam, write_recipe
from small_study import tuneworth

from eval import engines, pledge
from eval.benchmark import Benchmark
from eval.lm.surprise import _standing, min_k
from eval.membership import FLAGGED, Membership
from eval.report import render
from eval.score import __main__ as score
from eval.verdict import judge
from eval.verify import verify
from finetune.card import DataCard
from finetune.chat import Chat
from finetune.mistakes import BadInput
from finetune.recipe import Recipe
from finetune.run import RunDir

torch.set_num_threads(1)
KNOWN = 5


def memorise(folder, texts, steps=150):
    """Train every weight on whole texts until they are known by heart."""
    from transformers import AutoModelForCausalLM

    chat = Chat.open(folder, "qwen3", "empty")
    net = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, local_files_only=True).train()
    optimizer = torch.optim.AdamW(net.parameters(), lr=3e-3)
    rows = [chat.encode(text) for text in texts]
    width = max(map(len, rows))
    ids = torch.tensor([row + [0] * (width - len(row)) for row in rows])
    labels = torch.tensor([row + [-100] * (width - len(row)) for row in rows])
    for _ in range(steps):
        net(input_ids=ids, labels=labels, use_cache=False).loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    net.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """`newer` knows the first five questions by heart, `old` none."""
    folder = tmp_path_factory.mktemp("member")
    exam = write_exam(folder / "exam", count=24)
    old = model(build_checkpoint(folder / "old", "qwen2"), "r1_distill_qwen")
    rows = DataCard.read(exam / "own.md").rows(None, "test")
    newer = memorise(build_checkpoint(folder / "newer", "qwen3"), [row.asked for row in rows[:KNOWN]])
    write_recipe(folder / "r.yaml", exam, old, model(newer, "qwen3"))
    return folder


def measured(study, name: str) -> Membership:
    words = [str(study / "r.yaml"), "--contender", name, "--out", str(study / "runs"), "--membership"]
    assert score.main(words) == 0
    found = Membership.read(study / f"runs/r/{name}/membership.json")
    assert found is not None
    return found


def test_what_was_memorised_is_flagged_and_nothing_else(study, capsys):
    found = measured(study, "newer")
    assert found.flagged == [(task, f"q{at}") for task in ("own", "own_gen") for at in range(KNOWN)]
    assert {task: len(each) for task, each in found.scores.items()} == {"own": 24, "own_gen": 24}
    assert f"membership newer: {2 * KNOWN} of 48 questions flagged" in capsys.readouterr().out
    assert measured(study, "old").flagged == []
    assert not (study / "runs/r/newer/seed-0/items.jsonl").exists()
    lines = [json.loads(line) for line in (study / "runs/r/attempts.jsonl").read_text("utf-8").splitlines()]
    assert lines[0]["event"] == "plan"
    assert [line["contender"] for line in lines if line["event"] == "membership"] == ["newer", "old"]


def test_a_token_stands_as_the_paper_says():
    """Zhang et al. 2024, eq. 3, reckoned by hand: p = 1/2, 1/4, 1/4, and a model that is certain."""
    logits = torch.tensor([[0.5, 0.25, 0.25], [0.5, 0.25, 0.25]]).log()
    mean = -(0.5 * 1 + 0.5 * 2) * 0.6931472  # nats
    spread = (0.5 * (-0.6931472 - mean) ** 2 + 0.5 * (-2 * 0.6931472 - mean) ** 2) ** 0.5
    found = _standing(logits, torch.tensor([0, 2]))
    assert found.tolist() == pytest.approx([(-0.6931472 - mean) / spread, (-2 * 0.6931472 - mean) / spread], abs=1e-5)
    assert _standing(torch.tensor([[90.0, 0.0, 0.0]]), torch.tensor([0])).tolist() == pytest.approx([0])


def test_a_long_text_is_read_in_pieces_as_it_is_whole(study):
    from transformers import AutoModelForCausalLM

    net = AutoModelForCausalLM.from_pretrained(study / "newer", dtype=torch.float32, local_files_only=True).eval()
    ids = torch.randint(5, 200, (40,), generator=torch.Generator().manual_seed(1)).tolist()
    logits = net(torch.tensor([ids])).logits[0, :-1].detach()
    each = _standing(logits, torch.tensor(ids[1:])).sort().values
    assert min_k(net, ids) == pytest.approx(float(each[:7].mean()), abs=1e-4)
    for positions in (7, 13, 39):
        assert min_k(net, ids, positions) == pytest.approx(min_k(net, ids), abs=1e-4)


@pytest.mark.parametrize("name", ["nobody", "tuned"])
def test_bad_input_is_refused(study, name, capsys):
    assert score.main([str(study / "r.yaml"), "--contender", name, "--out", str(study), "--membership"]) == 2
    assert name in capsys.readouterr().err


def test_a_damaged_file_is_refused(tmp_path):
    (tmp_path / "membership.json").write_text('{"contender": "x"}')
    with pytest.raises(BadInput, match="run score --membership again"):
        Membership.read(tmp_path / "membership.json")


def test_the_front_door_spells_the_line_and_takes_one_wish(study):
    words = ("score", study / "r.yaml", "--contender", "old", "--membership")
    done = tuneworth(*words, "--dry-run")
    assert done.stdout.splitlines() == [f"python -m eval.score {study}/r.yaml --contender old --out runs --membership"]
    assert tuneworth(*words, "--probe").returncode == 2


def note(run, name: str, fingerprint: str, **scores: float) -> None:
    found = Membership(contender=name, seed=0, fingerprint=fingerprint, at=1.0, scores={"letters": scores})
    found.write(run.run.membership(name))


def test_the_judge_tells_flags_and_turns_nothing(tmp_path):
    run = finished(tmp_path, "rule.alternatives=[prompted]")
    before = judge(run.recipe, run.run)
    assert before.contamination.membership == ()
    assert "membership-rows" not in render(before)
    prints = {name: run.run.seed(name, run.recipe.seeds(name)[0]).scored().fingerprint for name in ("lora", "newer")}
    note(run, "newer", prints["newer"], a=0.1, b=-3.0, c=-0.2)
    note(run, "lora", prints["lora"], a=-1.0, b=-3.0)
    note(run, "prompted", "of another state", a=1.0)
    after = judge(run.recipe, run.run)
    rows = {row.contender: row for row in after.contamination.membership}
    assert {name: row.status for name, row in rows.items()} == {
        "lora": "none", "newer": "flagged", "prompted": "not_checked", "old": "not_checked",
    }  # fmt: skip
    newer = rows["newer"]
    assert (newer.n, newer.flagged, newer.middle, newer.lean) == (3, 2, -0.2, "low")
    assert newer.named == ("letters/a", "letters/c")
    plain = {"contamination": None}
    assert after.model_copy(update=plain) == before.model_copy(update=plain)  # no gate, no word, no figure
    page = render(after)
    assert 'data-member="newer" data-flagged="2"' in page
    assert page.count("not checked (tuneworth score --membership)") == 2
    assert f"Min-20%++ of −{abs(FLAGGED):g} or more" in page
    refuse_lone_words(page)
    assert Reader(page).faults == []
    run.run.verdict.write_text(after.model_dump_json(), "utf-8")
    assert verify(run.run).differs == ()


def test_a_token_that_the_model_rules_out_leaves_a_figure():
    """A logit of -inf, as some checkpoints have for tokens that are never written: no NaN, which no file may hold."""
    ruled_out = torch.tensor([[0.5, 0.5, 0.0], [0.5, 0.5, 0.0], [1.0, 0.0, 0.0]]).log()
    plain = _standing(torch.tensor([[0.5, 0.5]]).log(), torch.tensor([0]))
    found = _standing(ruled_out, torch.tensor([0, 2, 1]))
    assert found[0] == plain[0]
    assert found[1:].isfinite().all()
    assert (found[1:] < -1000).all()


def test_it_keeps_the_plan_as_a_scoring_would_and_the_engine_that_was_decided(study, monkeypatch, tmp_path):
    """What is foretold stands in the plan; and a study that would go to vLLM does so in its ledger too, although
    transformers reads the words."""
    words = [str(study / "r.yaml"), "--contender", "old", "--out", str(tmp_path), "--membership"]
    vllm = engines.Choice("vllm", "as on another machine", "如同另一台机器")
    monkeypatch.setattr(engines, "here", lambda recipe, benchmark: vllm)
    assert score.main(words) == 0
    run, recipe = RunDir(tmp_path / "r"), Recipe.read(study / "r.yaml")
    assert set(pledge.read(run).foretold) == set(recipe.contenders)
    (line,) = [line for line in run.attempted() if line["event"] == "membership"]
    assert (line["engine"], line["why"]) == ("vllm", "as on another machine")
    assert engines.recorded(run) == vllm
    decided = engines.as_begun(recipe, Benchmark.read(recipe), run)
    scored = decided.score_fingerprint("old", 0, Benchmark.read(recipe).digests)
    assert Membership.read(run.membership("old")).fingerprint == scored  # so its flags are those of that score
    monkeypatch.undo()
    assert score.main(words) == 2  # what comes later goes on so, or says why it cannot
