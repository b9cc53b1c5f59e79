"""`make smoke` as a pull request's job runs it, from nothing: brief toys are built, every room works, JUnit says so."""

from __future__ import annotations

from xml.etree import ElementTree

import pytest
from small_exam import ROOT
from small_study import lines_started, tuneworth, verdict

pytestmark = pytest.mark.slow
RECIPE = ROOT / "recipes" / "smoke.yaml"


@pytest.fixture(scope="module")
def smoke(tmp_path_factory):
    """Folder of the runs, of a user whose cache is empty."""
    folder = tmp_path_factory.mktemp("smoke")
    words = ("run", RECIPE, "--out", folder / "runs", "--gate", "--junit", folder / "junit.xml")
    done = tuneworth(*words, XDG_CACHE_HOME=str(folder / "cache"))
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr
    assert "building older_brief" in done.stdout
    return folder


def test_the_plumbing_passes_and_junit_has_a_case_for_each_check(smoke):
    found = verdict(smoke / "runs", "smoke")
    assert found["outcome"] == "plumbing"
    assert found["plumbing"]["pass"] is True
    names = {check["name"] for check in found["plumbing"]["checks"]}
    assert {f"{name} seed 17: loss fell" for name in ("lora", "prefix")} < names
    cases = {case.get("name") for case in ElementTree.parse(smoke / "junit.xml").iter("testcase")}
    assert all(any(name in case for case in cases) for name in names)


def test_a_second_start_builds_and_trains_nothing(smoke):
    done = tuneworth("run", RECIPE, "--out", smoke / "runs", XDG_CACHE_HOME=str(smoke / "cache"))
    assert done.returncode == 0, done.stderr
    assert lines_started(done.stdout) == []
    assert "building" not in done.stdout
