"""What made each contender's scores, as labelled facts; what all contenders share is said once."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from eval.report.figures import number
from eval.report.words import Said, same
from eval.verdict import Verdict
from eval.verdict.roll import ContenderOrigin, ContenderRow

_HEADS = {
    "sequence": Said("a classification head, one label a question, no words", "分类头：每题给出一个标签，不写文字"),
    "token": Said("a classification head that tags passages of the text, no words", "分类头：标注文中片段，不写文字"),
}


class Fact(NamedTuple):
    """One labelled fact; `code` asks for a fixed-width face."""

    label: Said
    value: Said
    code: bool = False


def origins(v: Verdict) -> tuple[list[Fact], dict[str, list[Fact]]]:
    """Facts that hold for every contender, and what is left for each."""
    rows = {c.name: c for c in v.contenders}
    each = {o.name: _facts(o, rows[o.name]) for o in v.provenance.contenders}
    first = next(iter(each.values()), [])
    shared = [fact for fact in first if len(each) > 1 and all(fact in facts for facts in each.values())]
    return shared, {name: [fact for fact in facts if fact not in shared] for name, facts in each.items()}


def _facts(o: ContenderOrigin, c: ContenderRow) -> list[Fact]:
    """In the order in which a reader asks: which weights, how tuned, how asked, on what."""
    revision = f" @ {o.revision}" if o.revision else ""
    found = [
        Fact(Said("Model", "模型"), same(o.model + revision)),
        Fact(Said("Licence", "许可"), same(c.licence)),
        Fact(Said("Released", "发布"), same(c.released)),
        Fact(Said("Weights, sha256", "权重 sha256"), same(o.weights_digest), code=True),
        Fact(Said("Tuning", "微调方式"), _listed({c.method: "", **c.knobs} if c.method != "none" else {})),
        Fact(Said("Search of its knobs", "超参数搜索"), _searched(c)),
        Fact(Said("Goes on from", "接续自"), same(c.start or "")),
        Fact(Said("Answers by", "作答方式"), _HEADS.get(c.head or "", same(""))),
        Fact(Said("Tuning data, edition", "微调数据、版本"), _editions(o.data)),
        Fact(Said("Prompt frame, digest", "提示框架摘要"), same(o.frame_digest or ""), code=True),
        Fact(
            Said("Seeds", "训练种子"), same(", ".join(map(str, c.seeds)) if c.method != "none" and not o.logs else "")
        ),
    ]
    for seed, digest in o.adapters.items():
        label = Said(f"Adapter, sha256, seed {seed}", f"适配器 sha256，种子 {seed}")
        found.insert(-1, Fact(label, same(digest), code=True))
    return [fact for fact in [*found, *_setting(o)] if fact.value.en]


def _searched(c: ContenderRow) -> Said:
    """Trials, where it is tuned here; nothing is said of what was tuned elsewhere or not at all."""
    if c.method in ("none", "adapter"):
        return same("")
    return Said(f"{c.trials} trials", f"{c.trials} 次试验") if c.trials else Said("none", "无")


def _setting(o: ContenderOrigin) -> list[Fact]:
    """How it was asked, by which program, on which machine."""
    ran = f"{o.engine} · {o.dtype}"
    batches = Said(f" · batches of {number(o.batch_tokens)} tokens", f" · 每批 {number(o.batch_tokens)} 词元")
    engine = same(ran) if o.batch_tokens is None else Said(ran + batches.en, ran + batches.zh)
    logs = [
        Fact(Said(f"Imported from {name}, sha256", f"导入自 {name}，sha256"), same(digest), code=True)
        for name, digest in o.logs.items()
    ]
    return [
        *logs,
        Fact(Said("Model as its log names it", "日志所记模型"), same(o.logged_model)),
        Fact(Said("Chat format, thinking", "对话格式、思考"), same("" if o.logs else f"{o.family}, {o.think}")),
        Fact(Said("Template, digest", "模板摘要"), same(o.chat_digest), code=True),
        Fact(Said("Decoding", "解码"), _listed(o.decoding)),
        Fact(Said("Engine, dtype", "引擎、精度"), engine),
        Fact(Said("Why this engine", "选用此引擎的原因"), Said(o.engine_why, o.engine_why_zh or o.engine_why)),
        Fact(Said("Hardware", "硬件"), _machine(o)),
        Fact(Said("Versions", "软件版本"), _listed(o.versions)),
        Fact(Said("Source", "源码"), _source(o)),
    ]


def _machine(o: ContenderOrigin) -> Said:
    if o.hardware is None:
        return Said("unknown", "未知")
    machine = f"{o.hardware.devices} × {o.hardware.device} · {o.hardware.host}"
    return Said(f"{machine} · processes: {o.hardware.processes}", f"{machine} · 进程数 {o.hardware.processes}")


def _source(o: ContenderOrigin) -> Said:
    if o.git is None:
        return Said("unknown", "未知")
    if o.git.commit is None:
        return Said("not in a repository", "不在代码仓库中")
    changed = Said(", with uncommitted changes", "，有未提交的改动") if o.git.dirty else same("")
    return Said(o.git.commit[:12] + changed.en, o.git.commit[:12] + changed.zh)


def _editions(data: Mapping[str, str]) -> Said:
    """Cards with the editions of their files; what is none that a card lists is said to be unpinned."""
    pinned = {card: "" if edition == "unpinned" else edition for card, edition in data.items()}
    told = [(f"{card} {edition or 'unpinned'}", f"{card} {edition or '未固定'}") for card, edition in pinned.items()]
    return Said(" · ".join(en for en, _ in told), " · ".join(zh for _, zh in told))


def _listed(facts: Mapping[str, Any]) -> Said:
    return same(" · ".join(f"{name} {value}".strip() for name, value in facts.items() if name != "kind"))
