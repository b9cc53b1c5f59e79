"""Recipes with a served contender: what is refused while they are read, what is planned, what scores depend on."""

from __future__ import annotations

from datetime import date
from functools import partial

import pytest
from small_endpoint import KEY, sit, write_study

from finetune.mistakes import BadInput
from finetune.recipe import Recipe, is_loopback


@pytest.fixture
def study(tmp_path, tiny, server):
    return partial(write_study, tmp_path, tiny("qwen2"), server.url)


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ({"api_key": KEY}, "api_key: keys do not stand in recipes"),
        ({"headers": {"Authorization": KEY}}, "headers: keys do not stand in recipes"),
        ({"key_env": KEY}, "no name of an environment variable"),
        ({"url": f"https://me:{KEY}@api.deepseek.com/v1"}, "holds more than an address"),
        ({"url": f"http://127.0.0.1/v1?key={KEY}"}, "holds more than an address"),
        ({"body": {"auth": {"x": KEY}}}, "looks like a key"),
        ({"body": {"user": KEY}}, "looks like a key"),
        ({"body": {"temperature": 1}}, "temperature is set from the recipe's own keys"),
        ({"url": "https://api.deepseek.com"}, "api.deepseek.com is not this machine"),
        ({"url": "http://x.cn/v1", "allow_remote": True, "key_env": "K"}, "in the clear; use https"),
        ({"url": "ftp://x"}, "no address of a server"),
        ({"body": {"top": float("nan")}}, "cannot be sent as JSON"),
        ({"body": {"since": date(2024, 1, 1)}}, "quote a date"),
        ({"price_in": 1}, "price_in and price_out belong together"),
        ({"api": "completions"}, "api completions sends our rendering"),
        ({"kind": "sglang", "api_key": KEY}, "kind must be auto, hf, vllm or openai"),
        ({"kind": "vllm", "api_key": KEY}, "api_key"),
        ({"concurency": 4}, "did you mean concurrency?"),
    ],
)
def test_a_recipe_that_asks_wrongly_is_refused_and_no_key_repeated(study, keys, said):
    with pytest.raises(BadInput) as fault:
        Recipe.read(study(keys))
    assert said in str(fault.value)
    assert KEY not in str(fault.value)


def test_what_a_server_cannot_be_asked_for_is_refused(study, server):
    path = study()
    for change, said in (
        ("contenders.api.method={kind: lora}", "only untuned contenders are asked there"),
        ("contenders.api.model.think=empty", "messages cannot hand over an empty thought"),
        ("contenders.old.model.family=served", "served is a server's own template"),
        (f"contenders.api.engine={KEY}", "must be auto, hf, vllm or a mapping"),
    ):
        with pytest.raises(BadInput, match=r"contenders\.") as fault:
            Recipe.read(path, (change,))
        assert said in str(fault.value)
        assert KEY not in str(fault.value)


def test_tasks_by_likelihood_are_refused_with_their_written_form(study, tmp_path, capsys):
    from eval.check import show

    path = study(tasks=("own", "own_gen"))
    assert sit(path, tmp_path) == 2
    said = capsys.readouterr().err
    assert "own is scored by likelihood, which no API gives, and api has engine openai; name own_gen" in said
    from rich.console import Console

    with pytest.raises(BadInput, match="own is scored by likelihood"):
        show(Recipe.read(path), Console(quiet=True))


def test_check_plans_requests_and_money(study, capsys):
    """24 answers, of 64 tokens at most: 24 * 64 * 8 / 1e6 and what is read."""
    from rich.console import Console

    from eval.check import show

    recipe = study({"price_in": 0, "price_out": 1000, "requests_per_minute": 1})
    with Console(width=200).capture() as shown:
        show(Recipe.read(recipe), shown._console)
    said = " ".join(shown.get().split())
    assert "api: 24 requests to 127.0.0.1" in said
    assert "at most 1,536 written" in said
    assert ": at most 1.54 CNY; at 1 a minute 0.4 hours or more" in said
    assert "some/served, chat at 127.0.0.1" in said


@pytest.mark.parametrize(
    ("change", "other"),
    [
        ("url=http://127.0.0.1:1/v1", True),
        ("model=other", True),
        ("sampling=server", True),
        ("body={chat_template_kwargs: {enable_thinking: false}}", True),
        ("concurrency=2", False),
        ("timeout_s=5", False),
        ("retries=9", False),
        ("requests_per_minute=60", False),
        ("key_env=OTHER", False),
    ],
)
def test_scores_depend_on_what_is_asked_of_whom(study, change, other):
    before, after = Recipe.read(study()), Recipe.read(study(), (f"contenders.api.engine.{change}",))
    assert (before.score_fingerprint("api", 0, {}) != after.score_fingerprint("api", 0, {})) is other


def test_hf_is_the_default_and_changes_no_fingerprint(study):
    before, after = Recipe.read(study()), Recipe.read(study(), ("contenders.old.engine=hf",))
    assert before.score_fingerprint("old", 0, {}) == after.score_fingerprint("old", 0, {})
    assert before.contenders["old"].served is None


@pytest.mark.parametrize(
    ("url", "here"),
    [
        ("http://127.0.0.1:8000/v1", True), ("http://[::1]:8000", True), ("http://localhost/v1", True),
        ("http://127.8.8.8", True), ("http://127.0.0.1.evil.com", False), ("http://10.0.0.1", False),
        ("http://localhost.evil.com", False), ("http://0.0.0.0:8000", False), ("https://api.deepseek.com", False),
    ],
)  # fmt: skip
def test_loopback(url, here):
    assert is_loopback(url) is here
