"""The README's examples for GitHub and GitLab: YAML with the keys these know, and nothing named that is not there.

Neither service can be asked here. The keys are those of their references: docs.github.com "Workflow syntax for GitHub
Actions", the `action.yml` of each action named, and docs.gitlab.com "CI/CD YAML syntax reference".
"""

from __future__ import annotations

import fnmatch
import re
import subprocess
from pathlib import Path

import pytest
import yaml

from finetune.files import cache_folder
from finetune.recipe import Recipe
from finetune.run import RunDir

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text("utf-8")
ACTIONS = {  # of the version that is named: the inputs it knows, those it cannot do without
    "actions/checkout@v4": (set(), set()),
    "actions/setup-python@v5": ({"python-version", "cache", "cache-dependency-path"}, {"python-version"}),
    "actions/cache@v4": ({"path", "key", "restore-keys"}, {"path", "key"}),
    "actions/upload-artifact@v4": ({"name", "path", "if-no-files-found", "retention-days"}, {"path"}),
}
STEP = {"name", "id", "if", "uses", "with", "run", "env", "shell", "working-directory", "timeout-minutes"}
JOB = {"runs-on", "timeout-minutes", "env", "steps", "strategy", "needs", "if", "permissions"}
GITLAB = {
    "image", "rules", "timeout", "variables", "cache", "script", "before_script", "artifacts", "stage", "needs", "tags",
}  # fmt: skip
EVENTS = {"pull_request", "push", "schedule", "workflow_dispatch"}


def example(where: str) -> dict:
    """The YAML block that follows the name of its file."""
    text = README[README.index(where) :]
    found = yaml.safe_load(re.search(r"```yaml\n(.*?)```", text, re.DOTALL)[1])
    assert isinstance(found, dict)
    return found


@pytest.fixture(scope="module")
def job():
    flow = example(".github/workflows/smoke.yml")
    assert set(flow) == {True, "jobs"}, "YAML 1.1 reads `on` as true; GitHub does not"
    assert flow[True] in EVENTS
    (found,) = flow["jobs"].values()
    return found


@pytest.fixture(scope="module")
def gitlab():
    (found,) = example(".gitlab-ci.yml").values()
    return found


@pytest.fixture(scope="module")
def written() -> set[str]:
    """What `make smoke` leaves, by the Makefile and the address book of its recipe."""
    (line,) = re.findall(r"^smoke:.*\n\t(.*)$", (ROOT / "Makefile").read_text(), re.M)
    words = line.split()
    recipe = Recipe.read(ROOT / words[words.index("run") + 1])
    assert recipe.purpose == "smoke"
    run = RunDir(Path("runs") / recipe.name)
    return {words[words.index("--junit") + 1], *map(str, (run.verdict, run.summary, run.report))}


def refuse_absent(commands: list[str]) -> None:
    """Every command is a target of the Makefile."""
    targets = set(re.findall(r"^([a-z.]+):", (ROOT / "Makefile").read_text(), re.M))
    for command in commands:
        program, *words = command.split()
        assert program == "make"
        assert words
        assert set(words) <= targets


def refuse_unwritten(paths: list[str], written: set[str]) -> None:
    """Every path is one that the run writes."""
    for path in paths:
        assert fnmatch.filter(written, path), path


def test_the_job_for_github_has_the_keys_that_github_knows(job):
    assert set(job) <= JOB
    assert {"runs-on", "steps"} <= set(job)
    assert job["timeout-minutes"] <= 10
    assert all(isinstance(value, str) for value in job["env"].values())
    for step in job["steps"]:
        assert set(step) <= STEP
        assert ("uses" in step) != ("run" in step)
        if "uses" in step:
            known, needed = ACTIONS[step["uses"]]
            assert needed <= set(step.get("with", {})) <= known
            assert all(isinstance(value, str) for value in step.get("with", {}).values())


def test_steps_of_github_stand_in_an_order_that_works(job):
    names = [step.get("uses", step.get("run", "")).partition("@")[0] for step in job["steps"]]
    order = ["actions/checkout", "actions/setup-python", "actions/cache", "make smoke", "actions/upload-artifact"]
    assert names == order
    assert job["steps"][-1]["if"] == "always()", "a run that failed is the one to look at"


def test_what_github_caches_keys_and_keeps_is_there(job, written, monkeypatch):
    kept = {step["uses"].partition("@")[0]: step["with"] for step in job["steps"] if "with" in step}
    assert (ROOT / kept["actions/setup-python"]["cache-dependency-path"]).is_file()
    for name in ("TUNEWORTH_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    assert Path(kept["actions/cache"]["path"]).expanduser() == cache_folder()
    expression = re.search(r"\$\{\{ hashFiles\((.*?)\) \}\}", kept["actions/cache"]["key"])[1]
    patterns = re.findall(r"'([^']+)'", expression)
    assert patterns
    assert all(list(ROOT.glob(pattern)) for pattern in patterns)
    refuse_unwritten(kept["actions/upload-artifact"]["path"].split("\n"), written)
    refuse_absent([step["run"] for step in job["steps"] if "run" in step])


def test_the_job_for_gitlab_has_the_keys_that_gitlab_knows(gitlab):
    assert set(gitlab) <= GITLAB
    assert {"image", "script"} <= set(gitlab)
    assert [set(rule) for rule in gitlab["rules"]] == [{"if"}]
    assert re.fullmatch(r'\$CI_PIPELINE_SOURCE == "\w+"', gitlab["rules"][0]["if"])
    minutes = re.fullmatch(r"(\d+) minutes", gitlab["timeout"])
    assert int(minutes[1]) <= 10
    assert set(gitlab["artifacts"]) <= {"when", "paths", "reports", "expire_in", "name"}
    assert gitlab["artifacts"]["when"] in ("always", "on_success", "on_failure")
    assert set(gitlab["artifacts"]["reports"]) == {"junit"}
    assert all(isinstance(value, str) for value in gitlab["variables"].values())


def test_what_gitlab_caches_keys_and_keeps_is_there(gitlab, written, monkeypatch):
    files = gitlab["cache"]["key"]["files"]
    assert 1 <= len(files) <= 2, "GitLab takes two files at most"
    assert all((ROOT / name).is_file() for name in files)
    monkeypatch.delenv("TUNEWORTH_CACHE", raising=False)
    home = gitlab["variables"]["XDG_CACHE_HOME"].replace("$CI_PROJECT_DIR", "/builds/a/project")
    monkeypatch.setenv("XDG_CACHE_HOME", home)
    assert gitlab["cache"]["paths"] == [str(cache_folder().parent.relative_to("/builds/a/project"))]
    refuse_unwritten([*gitlab["artifacts"]["paths"], gitlab["artifacts"]["reports"]["junit"]], written)
    script = gitlab["script"]
    refuse_absent([script] if isinstance(script, str) else script)


def test_images_and_versions_are_ones_that_the_package_takes(job, gitlab):
    """The Python of both examples, and the index of torch that the Makefile's constraints are found in."""
    said = next(step["with"]["python-version"] for step in job["steps"] if "setup-python" in step.get("uses", ""))
    assert gitlab["image"] == f"python:{said}"
    least = re.search(r'requires-python = ">=([\d.]+)"', (ROOT / "pyproject.toml").read_text())[1]
    assert tuple(map(int, said.split("."))) >= tuple(map(int, least.split(".")))
    assert job["env"]["PIP_EXTRA_INDEX_URL"] == gitlab["variables"]["PIP_EXTRA_INDEX_URL"]


def test_the_smoke_recipe_needs_only_toys_that_are_quickly_built():
    """Whole ones take nine minutes to build, more than the job has."""
    models = [each.model for each in Recipe.read(ROOT / "recipes" / "smoke.yaml").contenders.values()]
    assert all(model.embedded.endswith("_brief") for model in models)


def test_make_smoke_is_the_line_that_writes_it():
    done = subprocess.run(["make", "-n", "smoke"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert "eval.cli run recipes/smoke.yaml --gate --junit runs/smoke/junit.xml" in done.stdout
