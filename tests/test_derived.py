"""Key points that are taken by rule from golds in prose: what counts, what does not, and what stays ungraded."""

import json
import re
from collections import Counter

import pytest

from eval import blind
from eval.benchmark import find, find_card, read_task
from eval.extract import grade
from eval.extract.derived import points
from eval.extract.keypoints import Rubric, weigh
from finetune.card import Row
from finetune.mistakes import BadInput

PAGE = (
    "Acme 10-K. Net sales 1,250 1,187 (in millions). Segments: Wood Products, Paper, Consumer Glue. Customer deposits "
    "40. The Board approved. Operating margin 12.4 11.1. Listed on the New York Stock Exchange: ACM26, ACM31. We "
    "acquired Tiny Robot Ltd and Blue Lake. Segment operating profit by segment."
)
READ = [  # question, gold, points (or why there are none)
    ("Is Acme capital intensive?", "No. Capex was 3.1% of sales of $1,250 million.", ["no", "3.1%", "$1,250 million"]),
    ("Did margins improve from 2021 to 2022?", "Yes, from 11.1% (2021) to 12.4%.", ["yes", "11.1%", "12.4%"]),
    ("As of FY2022, has Acme paid dividends?", "Yes", ["yes"]),
    ("Was the ratio healthy?", "No, 2.774729, so about 2.77 of assets to earn 1 of revenue.", ["no", "2.77"]),
    ("How much did sales change?", "They grew by 5.3% (from $1,187 million).", ["5.3%", "$1,187 million"]),
    ("What was the gain, if net sales were $1,250 million?", "$20.5 billion on $1,250 million", ["$20.5 billion"]),
    ("How many times was stock sold? If it is not meaningful, explain why.", "It was sold 9.5 times.", ["9.5"]),
    ("By how many points was guidance raised?", "By 1 percentage point.", ["1 percentage point"]),
    ("How many shops were opened?", "4", ["4"]),
    ("How many shops?", "47. The answer here assumes FY2023 is 12 months to January 28, 2023.", ["47"]),
    ("How high was the charge?", "(1) COVID-19 costs of $30 million", ["$30 million"]),
    ("Which segment sold the most?", "Wood Products. Its sales were 700 million.", ["Wood Products"]),
    ("Which firms were bought?", "Acme bought (1) Tiny Robot Ltd, (2) Blue Lake", ["Acme", "Tiny Robot", "Blue Lake"]),
    ("Which firms has Acme bought?", "Acme bought Blue Lake", ["Blue Lake"]),
    ("What was the largest liability?", "Customer deposits.", ["Customer deposits"]),
    ("Which bonds are listed?", "Listed on New York Stock Exchange: ACM26, ACM31", ["ACM26", "ACM31"]),
    ("What drove margins?", "Lower freight: margins rose by 1.3%.", "asks for a reason"),
    ("Why was guidance raised?", "A strong start", "asks for a reason"),
    ("Which bonds are listed?", "There are none", "no name of the gold stands in what was shown"),
    ("Which region did best?", "Narnia", "no name of the gold stands in what was shown"),
    ("How did sales change?", "They were flat.", "no figure in the gold that the question does not say"),
    ("客户是否需要补缴？", "是，需补缴12.5万元。", ["yes", "12.5万"]),
    ("净利润增长了多少？", "同比增长12.5%。", ["12.5%"]),
    ("为什么下降？", "因为成本上升5%", "asks for a reason"),
]  # fmt: skip


def item(question: str, gold: str, context: str = PAGE) -> Row:
    lang = "zh" if "？" in question else "en"
    return Row(id="1", split="test", lang=lang, question=question, answer=gold, context=context)


@pytest.mark.parametrize(("question", "gold", "wanted"), READ)
def test_what_is_taken_from_a_gold(question, gold, wanted):
    rubric, lacks = points(item(question, gold))
    if isinstance(wanted, str):
        assert (rubric, lacks) == ("", wanted)
        return
    assert [point["says"] for point in json.loads(rubric)["say"]] == wanted
    assert lacks == ""
    assert weigh(gold, Rubric.read(rubric)).score == 1, "a gold says its own points"
    assert grade("keypoints", "", rubric).score == 0


def worth(question: str, gold: str, answer: str) -> float:
    return weigh(answer, Rubric.read(points(item(question, gold))[0])).score


INTENSIVE = "Is Acme capital intensive?", "No. Capex was 3.1% of sales of $1,250 million."


@pytest.mark.parametrize(
    ("answer", "score"),
    [
        ("No. Of sales of $1.25 billion 3.1% went into plant.", 1),
        ("No, it is not: capex takes 3.12 percent.", 0.75),
        ("No.", 0.5),
        ("The answer is no.", 0.5),
        ("Yes. Capex was 3.1% of sales of $1,250 million.", 0),
        ("Capex was 3.1% of sales of $1,250 million.", 0.5),
        ("No. Capex was 3.4% of sales of $1,250 million.", 0.75),
        ("No. Capex was not 3.1% of sales.", 0.5),
        ("It is true that sales are large.", 0),
        ("", 0),
        ("No. " + " ".join(f"{n}.1%" for n in range(80)), 0.5),  # a copy of the pages commits to no figure
    ],
)
def test_stance_and_figures(answer, score):
    assert worth(*INTENSIVE, answer) == pytest.approx(score)


@pytest.mark.parametrize(
    ("answer", "score"), [("Tiny Robot, and Blue Lake", 1), ("Blue Lake", 0.5), ("It did not buy Blue Lake.", 0)]
)
def test_names(answer, score):
    assert worth("Which firms has Acme bought?", "Tiny Robot Ltd and Blue Lake", answer) == score


def exam(folder, kind: str):
    rows = [
        {"q": "Is Acme capital intensive?", "a": "No. Capex was 3.1% of sales.", "page": PAGE, "doc": "a"},
        {"q": "Why was guidance raised?", "a": "A strong start", "page": PAGE, "doc": "b"},
    ]
    (folder / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    (folder / "prose.md").write_text(
        "---\nname: prose\ntitle: Prose\nlicence: {name: private, commercial: true}\nlanguages: [en]\n"
        "published: false\nshape: qa\nformat: jsonl\n"
        "columns: {question: q, answer: a, context: page, cluster: doc}\nsplits: {test: [rows.jsonl]}\n---\n", "utf-8",
    )  # fmt: skip
    (folder / "prose.yaml").write_text(
        "task: prose\ncustom_dataset: !function eval.benchmark.load\n"
        f"dataset_kwargs: {{card: prose, split: test, points: {kind}}}\ntest_split: test\n"
        "output_type: generate_until\ndoc_to_text: '{{ask}}'\ndoc_to_target: '{{answer}}'\n"
        "generation_kwargs: {until: [], do_sample: false}\nprocess_results: !function eval.extract.process_results\n"
        "metric_list:\n  - {metric: keypoints, aggregation: mean, higher_is_better: true}\n"
        "metadata: {version: 1, headline: keypoints, answer: keypoints}\n", "utf-8",
    )  # fmt: skip
    return find(str(folder / "prose"))


def test_an_exam_of_ones_own_in_prose(tmp_path):
    """lm-eval is shown and grades the questions that a rule reads, as the engine does."""
    from eval.score.questions import questions

    task = read_task(*exam(tmp_path, "derived"))
    assert [row.id for row in task.rows] == ["0"]
    (asked,) = questions(task)
    assert asked.judge.process_results(asked.doc, ["No. It is 3.1%."]) == {"keypoints": 1}
    assert {one.way: one.score for one in blind.baselines(task)} == {"guess": 0, "echo": 0, "frequent": 0.5}


def test_points_of_another_kind_are_refused(tmp_path):
    with pytest.raises(BadInput, match=r"dataset_kwargs\.points 'all'; known is derived"):
        read_task(*exam(tmp_path, "all"))


# ---- with the real file


@pytest.fixture
def prose(shared_data, monkeypatch, tmp_path):
    monkeypatch.setenv("TUNEWORTH_DATA", str(shared_data))
    monkeypatch.setenv("TUNEWORTH_CACHE", str(tmp_path))
    return find_card("financebench_prose").rows(shared_data, "prose")


def turned(gold: str) -> str:
    """A gold whose stance is the other."""
    return re.sub(r"^(Yes|No)\b", lambda said: {"Yes": "No", "No": "Yes"}[said[0]], gold)


def moved(gold: str, figure: str) -> str:
    """A gold with another figure in the place of one: its first digit is another."""
    other = re.sub("[0-9]", lambda digit: str((int(digit[0]) + 3) % 9 + 1), figure.strip("$ "), count=1)
    return gold.replace(figure.strip("$ "), other)


@pytest.mark.data
def test_financebench_in_prose(prose):
    """50 of 70 are read; a gold earns all of its points, none when empty, less with another figure or stance."""
    assert Counter(points(row)[1] for row in prose) == {
        "": 50, "asks for a reason": 6, "no name of the gold stands in what was shown": 7,
        "no figure in the gold that the question does not say": 7,
    }  # fmt: skip
    kinds: Counter[str] = Counter()
    for row in prose:
        if not (written := points(row)[0]):
            continue
        rubric, gold = Rubric.read(written), row.answer or ""
        assert weigh(gold, rubric).score == 1, row.id
        assert weigh("", rubric).score == 0
        for point in rubric.say:
            kinds["name" if point.phrases else point.reads] += 1
            if point.reads == "figure":
                assert weigh(moved(gold, point.says), rubric).score < 1, (row.id, point.says)
            elif point.reads == "yes_no":
                assert weigh(turned(gold), rubric).score == 0, row.id
            else:
                assert weigh(gold.replace(point.says, "Narnia"), rubric).score < 1, (row.id, point.says)
    assert kinds == {"figure": 47, "yes_no": 25, "name": 33}


@pytest.mark.data
def test_financebench_in_prose_is_not_passed_blind_or_by_its_pages(prose):
    task = read_task(*find("financebench_prose"))
    rubrics = [Rubric.read(row.answer or "") for row in task.rows]
    assert len(task.rows) == 50
    assert blind.best(task).score < 0.25
    others = sum(weigh(prose[place].answer or "", rubric).score for place, rubric in enumerate(rubrics[1:])) / 49
    copied = sum(weigh(row.context, rubric).score for row, rubric in zip(task.rows, rubrics, strict=True)) / 50
    print(f"another's gold {others:.2f}, the pages copied {copied:.2f}")
    assert others < 0.25
    assert copied < 0.4
