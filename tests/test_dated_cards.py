"""Dates out of cards: how they are read, where they stand, what is refused; the real sets; what bounds a model."""

from __future__ import annotations

import csv
import gzip
import io
import json
import re
from collections import Counter
from datetime import date
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from eval.cli import app
from finetune.card import BadCard, DataCard, Interval
from finetune.checkpoint import ModelSpec

ROOT = Path(__file__).parent.parent


@pytest.mark.parametrize(
    ("text", "first", "last"),
    [
        ("2024", "2024-01-01", "2024-12-31"), ("2024-02", "2024-02-01", "2024-02-29"),
        ("2023/2/5", "2023-02-05", "2023-02-05"), ("20240305", "2024-03-05", "2024-03-05"),
        (" 2024年3月5日 ", "2024-03-05", "2024-03-05"), ("2024年3月", "2024-03-01", "2024-03-31"),
        ("2024年", "2024-01-01", "2024-12-31"), ("2024-03-05T10:00:00Z", "2024-03-05", "2024-03-05"),
    ],
)  # fmt: skip
def test_a_date_is_an_interval_of_days(text, first, last):
    assert Interval.read(text) == Interval(first=date.fromisoformat(first), last=date.fromisoformat(last))


@pytest.mark.parametrize("text", ["", "24", "2024-13", "2023-02-29", "0305", "3024", "2024-3-5-7", "spring 2024"])
def test_what_is_no_date_is_refused(text):
    with pytest.raises(ValueError, match=r"no date|of no year"):
        Interval.read(text)


def card(folder: Path, dates: dict, records: list[dict]) -> DataCard:
    front = {
        "name": "own", "title": "own", "licence": {"name": "MIT", "commercial": True}, "languages": ["en"],
        "published": True, "shape": "qa", "format": "jsonl", "splits": {"test": ["own_2023.jsonl"]},
    } | ({"dates": dates} if dates else {})  # fmt: skip
    rows = [{"question": f"q {at}", "answer": "a"} | record for at, record in enumerate(records)]
    (folder / "own_2023.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (folder / "own.md").write_text(f"---\n{yaml.safe_dump(front)}---\n")
    return DataCard.read(folder / "own.md")


@pytest.mark.parametrize(
    ("dates", "record", "days"),
    [
        ({"every": date(2026, 1, 5)}, {}, ("2026-01-05", "2026-01-05")),
        ({"every": 2026}, {}, ("2026-01-01", "2026-12-31")),
        ({"column": "year"}, {"year": 2019}, ("2019-01-01", "2019-12-31")),
        ({"column": "year"}, {"year": None}, None),
        ({"column": "doc", "pattern": r"/(\d{4})/", "later": 365}, {"doc": "AAL/2014/page_18.pdf"},
         ("2014-01-01", "2015-12-31")),
        ({"column": "doc", "pattern": r"/(\d{4})/"}, {"doc": "no year"}, None),
        ({"column": "more.year"}, {"more": {"year": "2020"}}, ("2020-01-01", "2020-12-31")),
        ({"column": "more.year"}, {"more": None}, None),
        ({"pattern": r"_(\d{4})"}, {}, ("2023-01-01", "2023-12-31")),
    ],
)  # fmt: skip
def test_a_card_says_where_the_date_of_an_item_is(tmp_path, dates, record, days):
    found = card(tmp_path, dates, [record]).rows(None, "test")[0].public
    assert (found and (str(found.first), str(found.last))) == days


@pytest.mark.parametrize(
    ("dates", "words"),
    [
        ({"later": 3}, "say where the dates are"), ({"every": "soon"}, "'soon' is no date"),
        ({"every": 2024, "column": "year"}, "every is the date of all items"), ({"pattern": r"\d{4}"}, "has no group"),
        ({"pattern": "("}, "no regular expression"), ({"column": "year", "colum": 1}, "colum"),
    ],
)  # fmt: skip
def test_dates_that_say_nothing_are_refused(tmp_path, dates, words):
    with pytest.raises(BadCard, match=words):
        card(tmp_path, dates, [{"year": 2020}])


@pytest.mark.parametrize(
    ("column", "words"), [("yeer", "no column 'yeer'"), ("year", r"own_2023\.jsonl:1: dates: 'x' is")]
)
def test_a_record_without_a_date_where_one_should_be(tmp_path, column, words):
    with pytest.raises(BadCard, match=words):
        card(tmp_path, {"column": column}, [{"year": "x"}]).rows(None, "test")


def test_dates_change_no_row_digest_and_no_card_digest(tmp_path):
    plain = card(tmp_path, {}, [{"year": 2020}])
    row, digest = plain.rows(None, "test")[0], plain.digest(None)
    told = card(tmp_path, {"column": "year"}, [{"year": 2020}])
    assert (told.rows(None, "test")[0].digest, told.digest(None)) == (row.digest, digest)


def test_data_check_counts_years(tmp_path):
    card(tmp_path, {"column": "year"}, [{"year": 2020}, {"year": 2021}, {"year": ""}])
    done = CliRunner().invoke(app, ["data", "check", str(tmp_path / "own.md"), "--json", str(tmp_path / "x.json")])
    assert "sources of test by year: 2020 1, 2021 1, not dated 1" in " ".join(done.output.split())
    assert json.loads((tmp_path / "x.json").read_text())["splits"][0]["years"] == {"2020": 1, "2021": 1, "not dated": 1}


@pytest.mark.data
def test_real_sets_are_dated_as_their_files_say(shared_data):
    """By year, against readings of the upstream files that know nothing of cards."""
    bench = _text(shared_data / "financebench/original/financebench_open_source.jsonl.gz").splitlines()
    told = [json.loads(line) for line in bench]
    numbers, prose = (
        [row for row in told if (row["question_type"] == "metrics-generated") is kind] for kind in (True, False)
    )
    chains = json.loads(_text(shared_data / "convfinqa/original/convfinqa_dev.json.gz"))
    speeches = (shared_data / "fomc_stance/original/lab-manual-combine-test-5768.csv").read_text("utf-8")
    expected = {
        "financebench#numbers": [row["doc_name"].split("_")[1] for row in numbers],
        "financebench_prose#prose": [re.search(r"20\d\d", row["doc_name"])[0] for row in prose],
        "convfinqa#dev": [row["id"].split("/")[1] for row in chains],
        "fomc_stance#test": [row["year"] for row in csv.DictReader(io.StringIO(speeches))],
    }
    for named, years in expected.items():
        name, _, split = named.partition("#")
        rows = DataCard.read(ROOT / "data_cards" / f"{name}.md").rows(shared_data, split)
        assert Counter(str(row.public.first.year) for row in rows) == Counter(years), named
    assert [len(years) for years in expected.values()] == [37, 70, 285, 311]


@pytest.mark.data
def test_every_gaokao_question_is_dated_and_no_other_of_agieval(shared_data):
    zh, en = (DataCard.read(ROOT / f"data_cards/agieval_{lang}.md").rows(shared_data, "test") for lang in ("zh", "en"))
    assert {row.public is None for row in zh} == {False}
    assert {2006, 2022} <= {row.public.first.year for row in zh}
    told = Counter((row.subject == "gaokao-english", row.public is not None) for row in en)
    assert told == {(True, True): 234, (False, False): 1151}


def _text(path: Path) -> str:
    return gzip.decompress(path.read_bytes()).decode("utf-8")


# ---- what bounds a model


def spec(**keys) -> ModelSpec:
    return ModelSpec.model_validate({"id": "a/b", "family": "qwen3", "think": "keep"} | keys)


def test_a_cutoff_is_stated_with_its_source_and_lies_before_the_release():
    stated = spec(released="2025-04-29", cutoff={"date": 2024, "source": "its card"})
    assert (str(stated.cutoff.last), str(stated.released_on)) == ("2024-12-31", "2025-04-29")
    assert spec(released="built here").released_on is None
    with pytest.raises(ValueError, match="2025-05 is after the release"):
        spec(released="2025-04-29", cutoff={"date": "2025-05", "source": "its card"})
    with pytest.raises(ValueError, match="is no date"):
        spec(cutoff={"date": "recently", "source": "its card"})
    with pytest.raises(ValueError, match="source"):
        spec(cutoff={"date": "2024"})
