"""The page says how each contender came about: by which engine and why, by which head, from which other one."""

from __future__ import annotations

import re

from reader import Reader
from verdict_samples import DEMO, PLANNED, SKILL, evidence, sample

from eval.report import render
from eval.verdict import weigh
from finetune.recipe import Recipe


def test_the_page_says_why_an_engine_was_chosen():
    """Where the recipe names none; once for all where it holds for all, and in English alone where no more is known."""
    v = sample("worth_it")
    assert 'lang="en">Why this engine' not in render(v)
    why = {"engine_why": "vLLM is not installed here", "engine_why_zh": "此处未安装 vLLM"}

    def told(**keys):
        origins = tuple(o.model_copy(update=keys) for o in v.provenance.contenders)
        made = render(v.model_copy(update={"provenance": v.provenance.model_copy(update={"contenders": origins})}))
        return re.findall(r"<dt>[^/]*Why this engine.*?</dd>", made)

    (fact,) = told(**why)
    assert "选用此引擎的原因" in fact
    assert 'lang="en">vLLM is not installed here<' in fact
    assert 'lang="zh-CN">此处未安装 vLLM<' in fact
    (fact,) = told(engine_why=why["engine_why"])
    assert "<dd>vLLM is not installed here</dd>" in fact


def test_the_page_says_who_answers_by_a_head_and_what_a_tuning_goes_on_from():
    headed = Recipe.read(DEMO, ("contenders.lora.head=sequence", "contenders.prefix.head=token"))
    v = weigh(evidence(headed, SKILL, PLANNED + 600))
    assert {c.name: c.head for c in v.contenders if c.head} == {"lora": "sequence", "prefix": "token"}
    rows = tuple(c.model_copy(update={"start": "the wider one"} if c.name == "lora" else {}) for c in v.contenders)
    said = Reader(render(v.model_copy(update={"contenders": rows}))).text()
    for words in ("one label a question, no words", "每题给出一个标签", "tags passages of the text", "标注文中片段"):
        assert said.count(words) == 1
    assert "Goes on from 接续自 the wider one" in " ".join(said.split())
