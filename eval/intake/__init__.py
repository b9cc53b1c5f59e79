"""Intake of data: what `tuneworth data check` finds out about a card, and `tuneworth data new` (eval.intake.draft).

A fault means that the card cannot be used as it is; a warning is something to know before judging by it.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from itertools import combinations
from pathlib import Path

from eval.audit.condition import answer_of, encoding_faults, labels, lengths, looks_cut
from eval.audit.duplicates import first_alike
from eval.audit.overlap import Overlap, overlap, words_of
from eval.intake.draft import draft
from eval.intake.mask import mask
from eval.intake.report import CardReport, SplitReport
from eval.intake.table import table
from finetune.card import BadCard, DataCard, Row, place_of
from finetune.card.columns import EXAMS
from finetune.card.personal import find

__all__ = ["CardReport", "SplitReport", "check", "draft", "mask", "table"]
FEW_CLUSTERS = 40  # below so many, intervals rest on a bootstrap and stay wide
UNEVEN = 0.05  # a blind rule that beats guessing by more than this share of points is worth a warning
UNDATED = "not dated"


def check(path: Path, root: Path | None, exams: Sequence[str] = (), *, with_text: bool = False) -> CardReport:
    """Verify a card and its files, and hold its rows against `exams`, cards as `card.md` or `card.md#split`.

    Of a private card ids and counts are told, its texts only `with_text`. BadCard where a card cannot be read or no
    file is found at all.
    """
    card = DataCard.read(path)
    shown = card.shows(with_text)
    files = card.locate(root)
    rows, faults = _sifted(card, root, shown)
    if card.name != path.stem:
        faults = [f"name is {card.name}, the file {path.name}; a task finds it by its name", *faults]
    splits = tuple(describe(card, split, found, shown) for split, found in rows.items() if found)
    overlaps = dict(_overlaps(rows))
    against = tuple(_against(card, rows, exams, root))
    about_rows = _about_rows(splits, overlaps, card.shape in EXAMS)
    return CardReport(
        card=card.name,
        title=card.title,
        licence=f"{card.licence.name} {card.licence.url}".strip(),
        defects=card.defects,
        edition=files.edition,
        files=len(files.sha256),
        splits=splits,
        overlaps=overlaps,
        warnings=(*_about_card(card, card.differences(files)), *about_rows, *_about_exams(against)),
        faults=tuple(faults),
        against=against,
    )


def _sifted(card: DataCard, root: Path | None, shown: bool) -> tuple[dict[str, list[Row]], list[str]]:
    """The rows of each split that can be read, and a line for all that cannot be used."""
    rows: dict[str, list[Row]] = {}
    faults: list[str] = []
    for split in card.splits:
        try:
            rows[split], found = card.sift(root, split)
            found = found if shown else [place_of(fault) for fault in found]
            faults += [f"{split}: {fault}" for fault in found or ([] if rows[split] else ["no row is left"])]
        except BadCard as fault:
            faults.append(str(fault))
    return rows, faults


def describe(card: DataCard, split: str, rows: list[Row], shown: bool = True) -> SplitReport:
    """Counts of one split's rows (at least one)."""
    answered = [answer_of(row) for row in rows]
    alike = first_alike([f"{row.context}\n{row.asked}\n" + "\n".join(row.options) for row in rows])
    # an exam's clusters as its intervals have them; training needs none, and the exact search takes its time
    exam = card.shape in EXAMS
    clusters = Counter(row.cluster for row in card.cluster(rows)) if exam else Counter(alike)
    single = [row for row in rows if row.options and row.answer and len(row.answer) == 1]
    return SplitReport(
        split=split,
        rows=len(rows),
        languages=dict(Counter(row.lang for row in rows)),
        clusters=len(clusters),
        largest_cluster=max(clusters.values()),
        **_repeated(rows, answered, len(set(alike))),
        repeated_options=sum(len(set(row.options)) < len(row.options) for row in rows),
        empty=_empty(card, rows),
        options=dict(sorted(Counter(len(row.options) for row in rows if row.options).items())),
        several=sum(row.options != () and len(row.answer or "") > 1 for row in rows),
        letters={letter: n / len(single) for letter, n in sorted(Counter(row.answer or "" for row in single).items())},
        blind=_blind(single),
        lengths={"asked": lengths([f"{row.context}{row.asked}" for row in rows]), "answered": lengths(answered)},
        years=_years(rows) if card.dates else {},
        labels={} if not shown or any(row.options for row in rows) else labels(answered),
        cut=tuple(row.id for row, answer in zip(rows, answered, strict=True) if looks_cut(answer)),
        encoding=_ids(rows, encoding_faults),
        personal=_ids(rows, lambda text: sorted({each.kind for each in find(text)})),
    )


def _repeated(rows: list[Row], answered: list[str], groups: int) -> dict[str, int]:
    """Rows that repeat a question exactly and nearly (of `groups` alike), and answers beyond one to the same."""
    answers: dict[object, set[str]] = {}
    for answer, row in zip(answered, rows, strict=True):
        answers.setdefault((row.context, row.asked, row.options), set()).add(
            answer if row.messages else row.answer or ""
        )
    exact = len(rows) - len(answers)
    conflicting = sum(len(found) - 1 for found in answers.values())
    return {"exact": exact, "conflicting": conflicting, "near": len(rows) - groups - exact}


def _years(rows: list[Row]) -> dict[str, int]:
    told = Counter(str(row.public.first.year) if row.public else UNDATED for row in rows)
    return dict(sorted(told.items()))


def _ids(rows: list[Row], signs: Callable[[str], Sequence[str]]) -> dict[str, tuple[str, ...]]:
    """For each sign that a row's texts show, the rows that show it."""
    found: dict[str, list[str]] = {}
    for row in rows:
        for sign in signs(words_of(row)):
            found.setdefault(sign, []).append(row.id)
    return {sign: tuple(ids) for sign, ids in found.items()}


def _empty(card: DataCard, rows: list[Row]) -> dict[str, int]:
    named = [part for part in ("context", "explanation", "subject", "cluster", "source") if _named(card, part)]
    counts = {part: sum(not getattr(row, part) for row in rows) for part in named}
    return {part: count for part, count in counts.items() if count}


def _named(card: DataCard, part: str) -> bool:
    return bool(getattr(card.columns, part)) or part in {str(key) for key in card.columns.from_path}


def _blind(rows: list[Row]) -> dict[str, float]:
    """Scores of rules that do not read the question; a tie of longest options is shared."""
    if not rows:
        return {}
    longest = [[len(text) == max(map(len, row.options)) for text in row.options] for row in rows]
    hits = [at["ABCDEFGHIJ".index(row.answer or "")] / sum(at) for row, at in zip(rows, longest, strict=True)]
    return {
        "most_frequent": max(Counter(row.answer for row in rows).values()) / len(rows),
        "longest": sum(hits) / len(rows),
        "random": sum(1 / len(row.options) for row in rows) / len(rows),
    }


def _overlaps(rows: dict[str, list[Row]]) -> Iterator[tuple[str, int]]:
    """Rows of one split that are nearly like a row of another; splits that share rows by design are left out."""
    ids = {split: {(row.id, row.digest) for row in found} for split, found in rows.items()}
    pairs = [pair for pair in combinations(rows, 2) if not ids[pair[0]] & ids[pair[1]]]
    if not pairs:
        return
    groups = iter(first_alike([f"{row.context}\n{row.asked}" for found in rows.values() for row in found]))
    alike = {split: [next(groups) for _ in found] for split, found in rows.items()}
    for one, other in pairs:
        seen = set(alike[one])
        count = sum(group in seen for group in alike[other])
        if count:
            yield f"{one} & {other}", count


def _against(card: DataCard, rows: dict[str, list[Row]], exams: Sequence[str], root: Path | None) -> Iterator[Overlap]:
    """Each split of the card beside each named split of each exam."""
    for named in exams:
        file, _, wanted = named.partition("#")
        exam = DataCard.read(Path(file))
        for split in [wanted] if wanted else exam.splits:
            asked = exam.rows(root, split)
            for own, found in rows.items():
                yield overlap(found, asked, (f"{card.name}#{own}", f"{exam.name}#{split}"))


def _about_card(card: DataCard, differences: dict[str, list[str]]) -> Iterator[str]:
    if not card.licence.commercial:
        yield f"licence {card.licence.name}: no commercial use, of a contender tuned on it either"
    if card.published:
        yield "published: a newer base may have seen it, a tuned older one too; a private exam settles what this cannot"
    if differences and all(differences.values()):
        name, files = min(differences.items(), key=lambda each: len(each[1]))
        shown = ", ".join(files[:3]) + (", ..." if len(files) > 3 else "")
        yield f"unpinned: no listed edition; nearest is {name}, which differs in {len(files)} of its files: {shown}"
    elif not differences:
        yield "unpinned: the card lists no edition; list the files' sha256, so that a change is noticed"


def _about_rows(splits: tuple[SplitReport, ...], overlaps: dict[str, int], exam: bool) -> Iterator[str]:
    for it in splits:
        if it.years.get(UNDATED) == it.rows:
            yield f"{it.split}: no row is dated; correct the card's dates"
        if it.conflicting:
            yield f"{it.split}: the same question with different answers: {it.conflicting}"
        if it.exact or it.near:
            yield f"{it.split}: duplicates: {it.exact} exact, {it.near} near"
        if it.repeated_options:
            yield f"{it.split}: questions that offer an option twice: {it.repeated_options}"
        if it.cut:
            yield f"{it.split}: answers that look cut off: {len(it.cut)}, the first in row {it.cut[0]}"
        for kind, ids in it.personal.items():
            yield f"{it.split}: personal data ({kind}) in {len(ids)} rows, the first is {ids[0]}; --mask FOLDER"
        for fault, ids in it.encoding.items():
            yield f"{it.split}: characters decoded wrongly ({fault}) in {len(ids)} rows, the first is {ids[0]}"
        if exam and it.clusters < FEW_CLUSTERS:
            yield f"{it.split}: clusters: {it.clusters}; below {FEW_CLUSTERS} expect wide intervals"
        for rule in ("most_frequent", "longest"):
            if it.blind and it.blind[rule] > it.blind["random"] + UNEVEN:
                words = {"most_frequent": "the most frequent letter", "longest": "the longest option"}[rule]
                yield f"{it.split}: {words} alone scores {it.blind[rule]:.1%}, guessing {it.blind['random']:.1%}"
    for pair, count in overlaps.items():
        yield f"{pair}: nearly equal questions: {count}; do not tune on one split and examine on the other"


def _about_exams(against: Sequence[Overlap]) -> Iterator[str]:
    for it in against:
        if it.any:
            same, partly = len(it.same), len(it.any - {*it.same})
            ways = [f"{same} the same, whose rows train.exclude takes out"] if same else []
            ways += [f"{partly} in part, for which tune on other rows, or judge on other questions"] if partly else []
            yield f"{it.taught} teaches {len(it.any)} of {it.questions} questions of {it.exam}: {'; '.join(ways)}"
