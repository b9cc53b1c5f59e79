"""What the page shows, taken from a verdict: rows, bars and asides, nothing that the verdict does not hold."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from eval.compare import Comparison
from eval.gates import ADAPTER_APPLIED, Gate
from eval.money import Bill
from eval.report.board import Place, places
from eval.report.charts import Bar
from eval.report.figures import interval, number, points
from eval.report.words import LANGUAGES, OUTCOMES, Said, same
from eval.verdict import Contrast, Verdict
from eval.verdict.atlas import Atlas
from eval.verdict.curve import Curve, Difference
from eval.verdict.record import NONE, Reread, bare
from eval.verdict.roll import ContenderRow, TaskScore

GATE = {"worth_it": 0, "not_worth_it": 3, "inconclusive": 4, "invalid": 5, "exploratory": 8}
PLUMBING_FAIL = 7
ORDER = ("failed", "not_checked", "unresolved", "passed")


@dataclass(frozen=True)
class Part:
    """One row of the forest: the whole exam, a task or a language; None where nothing can be told."""

    label: Said
    n: int
    clusters: int
    gain: float
    low: float | None
    high: float | None
    mde: float | None
    weight: float
    variance_share: float | None
    p: float | None


@dataclass(frozen=True)
class Row:
    """One row of the leaderboard; `half`: see `reach`."""

    c: ContenderRow
    place: Place
    half: float | None
    tasks: dict[str, TaskScore]

    @property
    def rank(self) -> str:
        """Every rank that is left open to it; a dash where contenders cannot be compared."""
        best, worst = self.c.rank_best, self.c.rank_worst
        return "–" if best is None else str(best) if best == worst else f"{best}–{worst}"


def exit_status(v: Verdict) -> int:
    """What `--gate` ends with: 0 worth it, 3 not worth it, 4 inconclusive, 5 invalid, 8 exploratory; smoke 0 or 7."""
    if v.plumbing is not None:
        return 0 if v.plumbing.passed else PLUMBING_FAIL
    return GATE[v.outcome]


def word(v: Verdict) -> Said:
    """The verdict word; a smoke run's says whether it passed."""
    return OUTCOMES[v.outcome] if v.plumbing is None else plumbed(passed=v.plumbing.passed)


def plumbed(*, passed: bool) -> Said:
    """The word of a smoke run."""
    end = Said("pass", "通过") if passed else Said("fail", "未通过")
    return Said(f"{OUTCOMES['plumbing'].en}: {end.en}", f"{OUTCOMES['plumbing'].zh}：{end.zh}")


def asides(v: Verdict) -> list[Said]:
    """What stands under the banner in small print: notes that the sentence does not carry, and unpinned data."""
    found = [Said(note.text, note.text_zh) for note in v.notes if not note.headline]
    loose = [task.card for task in v.tasks if task.edition == "unpinned"]
    tuned_on = [use for origin in v.provenance.contenders for use in origin.data.items()]
    loose += [card for card, edition in tuned_on if edition == "unpinned"]
    if loose:
        names = list(dict.fromkeys(loose))
        found.append(Said(
            f"Unpinned data: the files of {', '.join(names)} are no edition that the card lists.",
            f"数据未固定：{'、'.join(names)} 的文件不是数据卡列出的版本。",
        ))  # fmt: skip
    return found


def lead(v: Verdict) -> Comparison | None:
    """The comparison that delta is taken from."""
    wanted = ("delta", v.challenger)
    return next((each for each in v.comparisons if (each.role, each.challenger) == wanted), None) if v.delta else None


def samples(found: Comparison) -> str:
    """Samples of a question, which may differ by task."""
    least, most = found.drawn
    return str(most) if least == most else f"{least}–{most}"


def judged_bars(v: Verdict) -> list[Bar]:
    """What decides on the challenger that the verdict speaks of: delta, and its gain over each alternative."""
    if v.delta is None:
        return []
    also = [each for each in v.comparisons if (each.role, each.challenger) == ("alternative", v.challenger)]
    note = Said("must hold here too", "对此也须成立")
    bars = [Bar(_against(each), note, each.gain, deciding_low(v, each), each.high, strong=True) for each in also]
    return [_bar("Δ", v.delta, Said("tuned against the newer base", "微调对新底座")), *bars]


def other_bars(v: Verdict) -> list[Bar]:
    """Tau and gamma, whose difference delta is."""
    notes = Said("what tuning added", "微调的提升"), Said("what the newer base brought", "换代的提升")
    found = zip("τΓ", (v.tau, v.gamma), notes, strict=True)
    return [_bar(sign, contrast, note) for sign, contrast, note in found if contrast]


def _bar(sign: str, found: Contrast, note: Said) -> Bar:
    label = same(f"{sign}  {_against(found).en}")
    return Bar(label, note, found.gain, found.low, found.high, strong=sign == "Δ")


def _against(found: Contrast | Comparison) -> Said:
    return same(f"{found.challenger} − {found.incumbent}")


def parts(v: Verdict, found: Comparison) -> list[Part]:
    """The whole, each task, and each language where there are two."""
    low = v.delta.low if v.delta else found.low
    whole = Part(
        Said("Whole exam", "全部"), found.n, found.clusters, found.gain, low, found.high, found.mde, 1.0, 1.0, None
    )
    tasks = [
        Part(same(t.task), t.n, t.clusters, t.gain, t.low, t.high, t.mde, t.weight, t.variance_share, t.holm_p)
        for t in found.tasks
    ]
    langs = [
        Part(LANGUAGES[t.lang], t.n, t.clusters, t.gain, t.low, t.high, t.mde, t.weight, None, t.holm_p)
        for t in found.langs
    ]
    return [whole, *tasks, *(langs if len(langs) > 1 else [])]


def part_bars(rows: Sequence[Part]) -> list[Bar]:
    return [
        Bar(row.label, same(f"n {row.n:,} · C {row.clusters:,}"), row.gain, row.low, row.high, row.weight, number == 0)
        for number, row in enumerate(rows)
    ]


def atlas_bars(found: Atlas) -> list[Bar]:
    """One for each part of the exam that is told apart."""
    return [
        Bar(Said(p.name, p.name_zh), same(f"n {p.n:,} · C {p.clusters:,}"), p.gain, p.low, p.high, p.weight,
            p.name in found.exceptions)
        for p in found.places
    ]  # fmt: skip


def guard_bars(v: Verdict) -> list[Bar]:
    """One for each harm and language that the lead challenger is guarded against; all have one limit."""
    rows = [row for row in v.guards if row.whole and row.challenger == v.challenger]
    return [
        Bar(Said(*row.words), same(f"n {row.n:,} · C {row.clusters:,}"), row.gain, row.low, row.high,
            strong=row.status != "passed")
        for row in rows
    ]  # fmt: skip


def lead_bill(v: Verdict) -> Bill | None:
    """The bill of the challenger that the verdict speaks of, against the incumbent, where its odds can be told."""
    wanted = (v.challenger, v.incumbent)
    bills = v.money.bills if v.money else ()
    return next((bill for bill in bills if (bill.challenger, bill.rival) == wanted and bill.odds), None)


def curve_spots(curve: Curve) -> list[tuple[int, Bar | None]]:
    """Rows and gain of each point; none where its scores do not stand."""
    return [(p.rows, _spot(p.contender, p.gain, p is curve.points[-1]) if p.gain else None) for p in curve.points]


def _spot(contender: str, found: Difference, strong: bool) -> Bar:
    return Bar(same(contender), same(""), found.gain, found.low, found.high, strong=strong)


def curve_caption(curve: Curve) -> Said:
    """What the drawing shows, for those who do not see it."""
    told = [
        f"{number(p.rows)}: {f'{points(p.gain.gain)} {interval(p.gain.low, p.gain.high)}' if p.gain else '×'}"
        for p in curve.points
    ]
    who, rival = curve.step.more, curve.incumbent
    return Said(f"{who}: gain over {rival} by training rows. {'; '.join(told)}",
                f"{who}：相对 {rival} 的增益随训练行数的变化。{'；'.join(told)}")  # fmt: skip


def board(v: Verdict) -> list[Row]:
    """Best score first."""
    spans = [(c.score, 0.0 if c.low is None else c.low, 1.0 if c.high is None else c.high) for c in v.contenders]
    rows = []
    for place in places(spans):
        c = v.contenders[place.index]
        rows.append(Row(c, place, reach(c), {task.task: task for task in c.tasks}))
    return rows


def reach(found: ContenderRow | TaskScore) -> float | None:
    """What stands behind ±: how far the interval goes from the score, on the side that no end of the scale cuts."""
    return None if found.low is None or found.high is None else max(found.high - found.score, found.score - found.low)


def gates(v: Verdict) -> list[Gate]:
    """What needs a look first: required before advisory, failed before unchecked before passed."""
    return sorted(v.gates, key=lambda gate: (not gate.required, ORDER.index(gate.status)))


def faults(v: Verdict) -> list[Gate]:
    """The required gates that made the comparison invalid."""
    broken = [gate for gate in v.gates if gate.required and gate.status == "failed"]
    return broken if v.outcome == "invalid" else []


def proof(v: Verdict) -> dict[str, dict[str, float | str | None]]:
    """Figures of the gate that shows the adapters at work, by adapter."""
    figures = next((gate.figures for gate in v.gates if gate.name == ADAPTER_APPLIED[0]), {})
    found: dict[str, dict[str, float | str | None]] = {}
    for name, value in figures.items():
        who, _, what = name.rpartition(": ")
        found.setdefault(who, {})[what] = value
    return found


def deciding_low(v: Verdict, found: Comparison) -> float:
    """The lower bound that decides: the one Holm tests where the contrast is a challenger's against a rival."""
    lows = next((ruling.lows for ruling in v.rulings if ruling.challenger == found.challenger), {})
    return lows.get(found.incumbent, found.low) if found.role in ("delta", "alternative") else found.low


def reread(each: Reread) -> Said:
    """What reading the answers anew turned."""
    known = {**OUTCOMES, NONE: Said(NONE, "无结论")}
    before, after = (known.get(bare(word), same(word)) for word in (each.before, each.after))
    told = Said(f"the verdict is the same: {after.en}", f"结论不变：{after.zh}")
    if before != after:
        told = Said(f"the verdict turned from {before.en} to {after.en}", f"结论由“{before.zh}”变为“{after.zh}”")
    return Said(
        f"regrading with {each.extractor} changed {number(each.outcomes)} outcomes of answers; {told.en}",
        f"用 {each.extractor} 重新读取，{number(each.outcomes)} 个答案的结果有变；{told.zh}",
    )


def contents(v: Verdict, flips: bool = False) -> list[tuple[str, Said]]:
    """Sections of this page, for the list at its top."""
    every = {
        "plumbing": (v.plumbing, Said("Checks", "检查")),
        "interval": (v.delta, Said("Gain and margin", "增益与门槛")),
        "parts": (v.delta, Said("Parts of the exam", "分项")),
        "atlas": (v.atlas, Said("Where it pays", "在哪里划算")),
        "slices": (v.slices, Said("Subjects", "学科")),
        "curve": (v.curves, Said("More data?", "加数据？")),
        "sight": (v.power, Said("What it could see", "看清多少")),
        "board": (True, Said("Leaderboard", "排行榜")),
        "opinions": (v.opinions, Said("Judged by a model", "模型裁判")),
        "flips": (flips, Said("Flips", "分歧题")),
        "health": (True, Said("Health", "可靠性")),
        "guards": (v.guards, Said("Forgetting", "遗忘")),
        "contamination": (v.contamination, Said("Contamination", "污染")),
        "twins": (v.twins, Said("Twins", "变体题")),
        "grounding": (v.grounding, Said("Invented", "凭空作答")),
        "canaries": (v.canaries, Said("Secrets", "密语")),
        "money": (True, Said("Money", "成本")),
        "sensitivity": (v.sensitivity and v.sensitivity.cases, Said("Sensitivity", "敏感性")),
        "provenance": (True, Said("Provenance", "来历")),
    }
    return [(name, words) for name, (there, words) in every.items() if there]
