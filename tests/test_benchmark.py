"""The benchmark: rows, clusters, parts and digests, and a task folder of the user's own."""

import json
from pathlib import Path

import pytest
import yaml
from small_exam import write_exam
from written_exam import Run, build

from eval.benchmark import SHELF, Benchmark, document, find, load, read_task
from eval.check import seen_before
from eval.foresight import power
from eval.pledge import digest, keep
from eval.verdict import judge
from finetune.mistakes import BadInput
from finetune.recipe import Recipe
from finetune.run import RunDir

ROOT = Path(__file__).parent.parent
DEMO = ("demo_label", "demo_knowledge", "demo_extraction")


@pytest.mark.parametrize("name", DEMO)
def test_demo_tasks_are_large_enough_and_bilingual(name):
    task = read_task(*find(name))
    assert len(task.rows) >= 400
    assert task.lang == "en+zh"
    assert len({task.cluster(row) for row in task.rows}) >= 40
    assert task.edition == "official"
    assert task.guess_rate == pytest.approx({"demo_label": 1 / 3, "demo_knowledge": 1 / 4, "demo_extraction": 0}[name])


def test_both_protocols_ask_the_same_questions():
    plain, written = read_task(*find("demo_label")), read_task(*find("demo_label_gen"))
    assert (plain.protocol, written.protocol) == ("likelihood", "generated")
    assert plain.items_digest == written.items_digest
    assert plain.digest != written.digest


@pytest.mark.parametrize("share", [0.1, 0.3, 0.5])
def test_dev_is_taken_by_cluster_and_by_seed(share):
    task = read_task(*find("demo_label"), dev=share, seed=1)
    parts = {}
    for row in task.rows:
        parts.setdefault(task.cluster(row), set()).add(task.part(row))
    assert all(len(found) == 1 for found in parts.values())
    assert 0.3 * share < len(task.dev) / len(task.rows) < 2 * share
    assert read_task(*find("demo_label"), dev=share, seed=2).dev != task.dev
    assert read_task(*find("demo_label"), dev=share, seed=1).items_digest == task.items_digest


def test_lm_eval_reads_the_same_rows():
    task = read_task(*find("demo_knowledge"))
    docs = load(card="demo_knowledge", split="test", answer="option")["test"]
    assert [doc["id"] for doc in docs] == [row.id for row in task.rows]
    assert docs[3] == document(task.rows[3], {"answer": "option", "headline": "exact"})


def share_documents(folder: Path, named: str) -> None:
    for card in (folder / "letters" / "letters.md", folder / "numbers" / "numbers.md"):
        card.write_text(card.read_text("utf-8").replace("---\n", f"---\ndocuments: {named}\n", 1), "utf-8")


def test_a_document_asked_in_two_tasks_is_one_cluster_of_the_verdict(tmp_path):
    """80 documents a task; where both cards name the same documents, 80 clusters stand in place of 160."""
    found, digests = [], []
    for place, named in enumerate(("", "filings")):
        made = build(tmp_path / str(place))
        if named:
            share_documents(tmp_path / str(place), named)
        made = Run(made.folder, Recipe.read(made.folder / "study.yaml"))
        made.pledge()
        made.tune("lora")
        for name, rate in {"old": 0.45, "lora": 0.7, "prefix": 0.6, "newer": 0.5, "prompted": 0.5}.items():
            if name == "prefix":
                made.tune(name)
            made.sit(name, rate)
        digests.append([task.items_digest for task in made.benchmark.tasks])
        found.append(judge(made.recipe, made.run).comparisons[0])
    assert [each.clusters for each in found] == [160, 80]
    assert found[1].gain == pytest.approx(found[0].gain)
    assert found[1].df < found[0].df
    assert not set(digests[0]) & set(digests[1])


def test_shared_documents_must_be_named(tmp_path):
    build(tmp_path)
    share_documents(tmp_path, "filings")
    card = tmp_path / "letters" / "letters.md"
    card.write_text(card.read_text("utf-8").replace("cluster: doc", "subject: doc"), "utf-8")
    with pytest.raises(BadInput, match="documents: shared documents need columns.cluster"):
        Benchmark.read(Recipe.read(tmp_path / "study.yaml"))


@pytest.mark.parametrize("name", ["no_such_task", "./nowhere"])
def test_a_task_that_is_not_there(name):
    with pytest.raises(BadInput, match="on the shelf|the shelf has"):
        find(name)


@pytest.mark.parametrize("key", ["card", "split", "version", "headline", "answer"])
def test_a_task_without_a_key_is_named(tmp_path, key):
    raw = yaml.safe_load((SHELF / "demo_label" / "demo_label.yaml").read_text().replace("!function ", ""))
    for holder in ("dataset_kwargs", "metadata"):
        raw[holder].pop(key, None)
    (tmp_path / f"{tmp_path.name}.yaml").write_text(yaml.safe_dump(raw))
    with pytest.raises(BadInput, match=rf"\.{key} is missing"):
        read_task(*find(str(tmp_path)))


def test_the_name_of_the_planted_secrets_is_no_task_of_ones_own(tmp_path):
    """Its answers would be graded as secrets, also where none is planted."""
    own = tmp_path / "canaries"
    own.mkdir()
    (own / "canaries.yaml").write_text((SHELF / "demo_label" / "demo_label.yaml").read_text("utf-8"), "utf-8")
    with pytest.raises(BadInput, match="'canaries' is kept for the secrets of train.canaries; give it another name"):
        read_task(*find(str(own)))


def test_an_exam_that_can_find_no_gain_is_told_so(tmp_path, tiny):
    """A smallest gain of more than all questions is none."""
    exam = write_exam(tmp_path / "own", 4)
    recipe = smoke(tmp_path, tiny, f"exam.tasks=['{exam}']", "exam.weights={}")
    said = power(recipe, Benchmark.read(recipe)).plain
    assert "4 questions in 4 clusters are too few to find any gain above the margin of 2.0%" in said
    assert "find a gain of" not in said


def test_check_says_where_the_exam_itself_is_trained_on(tmp_path, tiny):
    exam = write_exam(tmp_path / "own", 6)
    asked = (f"exam.tasks=['{exam}']", "exam.weights={}")
    apart, same = smoke(tmp_path, tiny, *asked), smoke(tmp_path, tiny, *asked, f"data=['{exam}/own.md#test']")
    assert seen_before(apart, Benchmark.read(apart)) == []
    (line,) = seen_before(same, Benchmark.read(same))
    assert line.startswith("The outcome will be invalid: challengers are tuned on the very split that is the exam: own")


def smoke(tmp_path: Path, tiny, *changes: str) -> Recipe:
    model = json.dumps({"id": str(tiny("qwen2")), "family": "r1_distill_qwen", "think": "empty"})
    names = ("old", "lora", "prefix", "newer")
    return Recipe.read(ROOT / "recipes" / "smoke.yaml", (*(f"contenders.{n}.model={model}" for n in names), *changes))


def test_the_plan_keeps_its_first_time_and_a_changed_one_does_not(tmp_path, tiny):
    run = RunDir(tmp_path / "smoke")
    first = keep(smoke(tmp_path, tiny), run)
    assert keep(smoke(tmp_path, tiny), run) == first
    changed = keep(smoke(tmp_path, tiny, "rule.margin=0.05"), run)
    assert changed.digest != first.digest
    assert changed.at > first.at
    events = [json.loads(line)["event"] for line in run.attempts.read_text().splitlines()]
    assert events == ["plan", "plan"]
    assert json.loads(run.plan.read_text())["recipe"]["rule"]["margin"] == 0.05


@pytest.mark.parametrize(("tasks", "decides"), [("[demo_label]", False), ("[demo_label, demo_label_gen]", True)])
def test_the_extractor_is_in_the_plan_where_answers_are_written(tmp_path, tiny, monkeypatch, tasks, decides):
    recipe = smoke(tmp_path, tiny, f"exam.tasks={tasks}", "exam.weights={}")
    benchmark = Benchmark.read(recipe)
    before = digest(recipe, benchmark)
    monkeypatch.setattr("eval.pledge.EXTRACTOR", "another")
    assert (digest(recipe, benchmark) != before) is decides


@pytest.mark.parametrize(
    ("change", "decides"),
    [
        ("rule.margin=0.03", True), ("rule.confidence=0.9", True), ("exam.seed=3", True), ("costs.gpu_hour=5", True),
        ("exam.weights={demo_label: 2}", True), ("exam.dev=0.2", True), ("train.seeds=[1]", True),
        ("exam.batch_tokens=512", False), ("train.save_every=3", False), ("note=hello", False),
    ],
)  # fmt: skip
def test_the_plan_holds_what_decides_and_nothing_else(tmp_path, tiny, change, decides):
    one, two = smoke(tmp_path, tiny), smoke(tmp_path, tiny, change)
    assert (digest(one, Benchmark.read(one)) != digest(two, Benchmark.read(two))) is decides


GOLDS = {"number": ["n/a", "约百", "12 or 13"], "yes_no": ["maybe"], "letter": ["甲", "A or B"]}


@pytest.mark.parametrize(("kind", "gold"), [(kind, gold) for kind, golds in GOLDS.items() for gold in golds])
def test_a_gold_that_no_answer_can_meet_is_refused_before_the_exam(tmp_path, kind, gold):
    """Of a card whose answers are any text; those that can be met are read."""
    exam = write_exam(tmp_path / "exam", count=12)
    good = {"number": ["1/3", "12.3万元", "-4.5%", "yes"], "yes_no": ["是", "No"], "letter": ["A", "BC"]}[kind]
    card = (exam / "own.md").read_text("utf-8")
    (exam / "own.md").write_text(
        card.replace("shape: choice", "shape: qa").replace("  options: options\n", ""), "utf-8"
    )
    yaml_text = (exam / "own_gen.yaml").read_text("utf-8")
    (exam / "own_gen.yaml").write_text(yaml_text.replace("answer: letter", f"answer: {kind}"), "utf-8")

    def read(golds):
        lines = [
            {"id": f"q{n}", "question": f"{n}?", "answer": answer, "cluster": "c", "lang": "en"}
            for n, answer in enumerate(golds)
        ]
        (exam / "exam.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines), "utf-8")
        return read_task(*find(str(exam / "own_gen")))

    assert len(read(good).rows) == len(good)
    with pytest.raises(
        BadInput, match=rf"own_gen\.yaml: q{len(good)}: the answer .* can be met by none of kind {kind}"
    ):
        read([*good, gold])


SHAPES = [
    ("own.yaml", "metadata:", "metadata: 5\nx:", "metadata 5; a mapping is needed"),
    ("own.yaml", "{card: own, split: test}", "[own]", r"dataset_kwargs \['own'\]; a mapping is needed"),
    ("own.yaml", "card: own,", "card: 5,", "dataset_kwargs.card 5; a name is needed"),
    ("own.yaml", "split: test}", "split: 2024}", "dataset_kwargs.split 2024; a name is needed"),
    ("own_gen.yaml", 'until: ["\\n\\n"]', "until: 5", "generation_kwargs.until 5; a list of texts is needed"),
    ("own_gen.yaml", 'until: ["\\n\\n"]', "until: [5]", r"generation_kwargs.until \[5\]; a list of texts is needed"),
]


@pytest.mark.parametrize(("file", "before", "after", "said"), SHAPES)
def test_a_task_whose_yaml_has_another_shape_is_refused_by_its_key(tmp_path, file, before, after, said):
    exam = write_exam(tmp_path / "exam", count=12)
    text = (exam / file).read_text("utf-8")
    assert before in text
    (exam / file).write_text(text.replace(before, after), "utf-8")
    with pytest.raises(BadInput, match=rf"{file}: {said}"):
        read_task(*find(str(exam / file.removesuffix(".yaml"))))
