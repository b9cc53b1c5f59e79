"""The invented market: the exams, and that tuning rows, pre-training text and exam share no more than they may."""

import hashlib
import json
import os
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from finetune.market.almanac import ASPECTS, LABELS, LANGS, companies, contracts, events, matters, values
from finetune.market.corpus import documents
from finetune.market.exam import contents

SHELF = Path(__file__).parent.parent / "data_cards" / "demo"
EXAMS = ("label", "knowledge", "extraction")
ROWS = {name: [json.loads(line) for line in text.splitlines()] for name, text in contents()}
EXAM_TEXTS = [row["question"] for exam in EXAMS for row in ROWS[f"{exam}.jsonl"]]
TUNING_TEXTS = ["\n".join(turn["content"] for turn in row["messages"]) for row in ROWS["tuning.jsonl"]]
CORPUS_TEXTS = [
    told if isinstance(told, str) else "\n".join(turn["content"] for turn in told)
    for name in ("older", "newer")
    for told in documents(name, 6_000)
]


def names(part: str) -> set[str]:
    """Every name of companies, events and quantities that a part may use."""
    found = {name for lang in LANGS for name in companies(part, lang)}
    return found | {thing.text[lang] for thing in events(part) for lang in LANGS} | _matters(part)


def _matters(part: str) -> set[str]:
    return {matter.name[lang] for matter in matters(part) for lang in LANGS}


def skeletons(texts: list[str]) -> set[str]:
    """The wordings behind texts: each line with its names, units and numbers taken out."""
    known = names("tuning") | names("exam") | {name for lang in LANGS for name in companies("corpus", lang)}
    known |= {matter.unit[lang] for matter in matters("all") for lang in LANGS}
    known |= {contract.name[lang] for contract in contracts() for lang in LANGS}
    pattern = re.compile("|".join(map(re.escape, sorted(known, key=len, reverse=True))) + r"|\d+(\.\d+)?")
    return {pattern.sub("_", line) for text in texts for line in text.split("\n")}


def numbers(texts: list[str]) -> set[str]:
    return {found for text in texts for found in re.findall(r"\d+(?:\.\d+)?", text)}


@pytest.mark.parametrize("exam", EXAMS)
def test_exam_is_large_enough_in_both_languages_and_clusters(exam):
    rows = ROWS[f"{exam}.jsonl"]
    assert len(rows) >= 400
    assert Counter(row["lang"] for row in rows) == {"zh": len(rows) // 2, "en": len(rows) // 2}
    assert len({row["cluster"] for row in rows}) >= 40
    assert len({row["id"] for row in rows}) == len(rows)
    assert len({row["question"] for row in rows}) == len(rows)


@pytest.mark.parametrize(("exam", "options"), [("label", 3), ("knowledge", 4)])
def test_choices_have_distinct_options_and_no_letter_is_a_good_guess(exam, options):
    rows = ROWS[f"{exam}.jsonl"]
    assert all(len(set(row["options"])) == len(row["options"]) == options for row in rows)
    counts = Counter(row["answer"] for row in rows)
    assert set(counts) == set("ABCD"[:options])
    assert max(counts.values()) < 1.3 * len(rows) / options


def test_no_value_of_a_contract_is_a_good_guess():
    for aspect in ASPECTS:
        counts = Counter(contract.facts[aspect] for contract in contracts())
        assert set(counts.values()) <= {7, 8}
        assert len(counts) == 8


def test_answers_are_right():
    labels = {event.key: event for event in events("exam")}
    for row in ROWS["label.jsonl"]:
        event = labels[row["cluster"]]
        assert event.text[row["lang"]] in row["question"]
        assert row["options"]["ABCD".index(row["answer"])] == LABELS[row["lang"]][event.label]
    known = {contract.key: contract for contract in contracts()}
    for row in ROWS["knowledge.jsonl"]:
        contract, aspect = known[row["cluster"]], row["id"].split("-")[2]
        assert contract.name[row["lang"]] in row["question"]
        right = row["options"]["ABCD".index(row["answer"])]
        assert right == values(aspect, row["lang"])[contract.facts[aspect]]
    asked = {matter.key: matter for matter in matters("exam")}
    for row in ROWS["extraction.jsonl"]:
        sentence = row["question"].split("\n")[0]
        found = numbers([sentence])
        assert asked[row["cluster"]].name[row["lang"]] in sentence
        assert row["answer"] in found
        assert len(found) == 2


def test_tuning_rows_are_conversations_of_both_tasks():
    rows = ROWS["tuning.jsonl"]
    assert Counter(row["source"] for row in rows) == {"label": 360, "extraction": 360}
    assert all([turn["role"] for turn in row["messages"]] == ["user", "assistant"] for row in rows)
    assert len(set(TUNING_TEXTS)) == len(rows)


def test_tuning_and_exam_share_no_company_event_or_quantity():
    assert not names("tuning") & names("exam")
    for mine, theirs in ((TUNING_TEXTS, names("exam")), (EXAM_TEXTS, names("tuning"))):
        pattern = re.compile("|".join(map(re.escape, theirs)))
        assert [text for text in mine if pattern.search(text)] == []


def test_tuning_and_exam_share_no_headline_wording_or_number():
    assert not {text.split("\n")[0] for text in TUNING_TEXTS} & {text.split("\n")[0] for text in EXAM_TEXTS}
    assert not skeletons(TUNING_TEXTS) & skeletons(EXAM_TEXTS)
    options = [option for row in ROWS["knowledge.jsonl"] for option in row["options"]]
    assert not numbers(TUNING_TEXTS) & numbers(EXAM_TEXTS + options)


def test_tuning_tells_nothing_of_contracts():
    facts = {contract.name[lang] for contract in contracts() for lang in LANGS}
    facts |= {value for lang in LANGS for value in values("exchange", lang)}
    assert [text for text in TUNING_TEXTS if any(fact in text for fact in facts)] == []


def test_pre_training_text_knows_the_exams_events_but_not_its_companies_or_wordings():
    whole = "\n".join(CORPUS_TEXTS)
    assert [name for event in events("exam") for name in event.text.values() if name not in whole] == []
    for part in ("tuning", "exam"):
        assert [name for lang in LANGS for name in companies(part, lang) if name in whole] == []
    told = skeletons(CORPUS_TEXTS)
    assert not told & skeletons(EXAM_TEXTS)
    assert not told & {line for text in TUNING_TEXTS for line in skeletons([text.split("\n")[0]])}


def test_the_newer_corpus_holds_all_contracts_and_the_older_a_part():
    def known(name: str) -> int:
        whole = json.dumps(list(documents(name, 6_000)), ensure_ascii=False)
        return sum(all(text in whole for text in contract.name.values()) for contract in contracts())

    assert known("newer") == len(contracts())
    assert 0 < known("older") <= len(contracts()) // 4


def test_the_committed_files_are_what_the_generator_writes(tmp_path):
    for seed in ("0", "1"):
        ran = subprocess.run(
            [sys.executable, "-m", "finetune.market", str(tmp_path / seed)],
            capture_output=True, text=True, env={**os.environ, "PYTHONHASHSEED": seed}, check=False,
        )  # fmt: skip
        assert ran.returncode == 0, ran.stderr
        for name in ROWS:
            written = (tmp_path / seed / name).read_bytes()
            assert written == (SHELF / name).read_bytes()
            assert len(written) < 450_000


def test_the_corpus_does_not_depend_on_hash_order():
    code = "import json; from finetune.market.corpus import documents; print(json.dumps(list(documents('newer', 500))))"
    told = [
        subprocess.run(
            [sys.executable, "-c", code], capture_output=True, check=True, env={**os.environ, "PYTHONHASHSEED": n}
        )
        for n in ("0", "1")
    ]
    assert hashlib.sha256(told[0].stdout).digest() == hashlib.sha256(told[1].stdout).digest()


def test_a_missing_folder_name_is_bad_input():
    ran = subprocess.run([sys.executable, "-m", "finetune.market"], capture_output=True, text=True, check=False)
    assert ran.returncode == 2
    assert "usage" in ran.stderr
