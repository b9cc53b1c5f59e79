"""Words in two languages, kept side by side: what is said in one is said in the other."""

from __future__ import annotations

from typing import NamedTuple

from markupsafe import Markup, escape

from eval.verdict import wording


class Said(NamedTuple):
    """One thing said in English and in Chinese."""

    en: str
    zh: str


def same(text: object) -> Said:
    """A name or a number: alike in both languages."""
    return Said(str(text), str(text))


def spoken(words: Said, tag: str = "span") -> Markup:
    """Both languages for the page, escaped; the style sheet shows one. What is alike in both stands once."""
    if words.en == words.zh:
        return escape(words.en)
    form = Markup('<{tag} class="en" lang="en">{en}</{tag}><{tag} class="zh" lang="zh-CN">{zh}</{tag}>')
    return form.format(tag=tag, en=words.en, zh=words.zh)


OUTCOMES = {
    "worth_it": Said("Worth it", "值得"),
    "not_worth_it": Said("Not worth it", "不值得"),
    "inconclusive": Said("Inconclusive", "尚无定论"),
    "invalid": Said("Invalid", "无效"),
    "exploratory": Said("Exploratory", "仅供探索"),
    "plumbing": Said("Plumbing only", "仅为管线检查"),
}
ROLES = {
    "challenger": Said("challenger", "挑战者"),
    "incumbent": Said("incumbent", "现任"),
    "alternative": Said("alternative", "备选"),
    "base": Said("base", "基座"),
}
STATUSES = {
    "passed": Said("passed", "通过"),
    "failed": Said("failed", "未通过"),
    "unresolved": Said("unresolved", "未能判定"),
    "not_checked": Said("not checked", "未检查"),
}
ANSWERS = {
    "correct": Said("right", "正确"),
    "wrong": Said("wrong", "错误"),
    "unparsed": Said("no answer found", "无法提取"),
    "truncated": Said("cut off", "被截断"),
    "unclosed_thinking": Said("thought never closed", "思考未结束"),
    "refused": Said("refused", "拒答"),
    "missing": Said("missing", "缺失"),
}
LANGUAGES = {"zh": Said("Chinese", "中文"), "en": Said("English", "英文")}
METRICS = {
    "macro_f1": Said("macro over labels", "标签宏平均"),
    "slot_macro_f1": Said("macro over slots", "槽位宏平均"),
    "slot_micro_f1": Said("micro over all pairs", "全部槽位微平均"),
}
CONTRASTS = {
    "delta": Said("Δ, against the newer base", "Δ，对新底座"),
    "alternative": Said("against an alternative", "对备选方案"),
    "tau": Said("τ, what tuning added", "τ，微调的提升"),
    "gamma": Said("Γ, what the newer base brought", "Γ，换代的提升"),
}
TRENDS = {
    "rising": Said("still rising", "仍在上升"),
    "falling": Said("falling", "在下降"),
    "no_rise_seen": Said("no rise seen", "未见上升"),
    None: Said("scores do not stand", "分数不成立"),
}
METHODS = {
    "cluster t": Said("clustered t", "聚类 t"),
    "no spread": Said("no spread: rule of three", "无离散：三法则"),
    "wild cluster bootstrap-t": Said("wild cluster bootstrap", "聚类野自助法"),
    "cluster t, rule of three": Said("clustered t; a task without spread: rule of three", "聚类 t；无离散任务：三法则"),
    "wild cluster bootstrap-t, rule of three": Said(
        "wild cluster bootstrap; a task without spread: rule of three", "聚类野自助法；无离散任务：三法则"
    ),
}
COSTS = {name: Said(*words) for name, words in wording.PARTS.items()}
EVENTS = {
    "plan": Said("plans", "登记"),
    "score": Said("scorings", "评分"),
    "train": Said("tunings", "微调"),
    "regraded": Said("regradings", "重新读取"),
    "opinions": Said("rounds of the judge", "裁判询问"),
    "timing": Said("timings", "计时"),
    "probe": Said("probes of repeatability", "可重复性探测"),
    "membership": Said("readings for membership", "成员推断测量"),
}
PROBES = {
    "kl": Said("tuned against base", "微调对底座"),
    "kl of an A/A pair": Said("base against itself", "底座对自身"),
    "norm": Said("norm of the adapter", "适配器范数"),
}
TWINS = {
    "options": Said("options in another order", "选项换序"),
    "numbers": Said("other figures", "换数字"),
    "sex": Said("client of another sex", "客户换性别"),
    "age": Said("client of another age", "客户换年龄"),
    "region": Said("client from elsewhere", "客户换地区"),
}
BOUNDS = {
    "stated": Said("stated cutoff", "声明的知识截止"),
    "released": Said("day of release", "发布日期"),
    "training": Said("its dated training rows", "其有日期的训练数据"),
    "unknown": Said("neither cutoff nor release is known", "截止与发布均未知"),
}
PROTOCOLS = {"likelihood": Said("likelihood", "似然"), "generated": Said("written answers", "生成作答")}
SCENARIOS = {key: Said(*both) for key, both in wording.SCENARIOS.items()}  # of a task's metadata.scenario
TRAITS = {key: Said(*both) for key, both in wording.TRAITS.items()}  # of its metadata.traits
