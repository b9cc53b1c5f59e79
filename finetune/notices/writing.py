"""Notices as text, and their fields as the answer: rows of train.jsonl and test.jsonl."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator
from datetime import date
from decimal import Decimal
from typing import Any

from finetune.notices.facts import Fee, Lang, Notice, Part, Terms, notices
from finetune.notices.wording import ASKED, KEYS, wordings

Row = dict[str, str]
MONTHS = (
    "January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November",
    "December",
)  # fmt: skip
FIGURES = "零一二三四五六七八九"
WIDE = str.maketrans("0123456789.%", "０１２３４５６７８９．％")
PARTS: tuple[Part, Part] = ("train", "test")
LANGS: tuple[Lang, Lang] = ("zh", "en")


class Pen:
    """Writes one notice: every choice of wording and of how a value is written is drawn from one seed."""

    def __init__(self, part: Part, lang: Lang, rng: random.Random) -> None:
        self.part, self.lang, self.rng = part, lang, rng

    def clause(self, what: str, **parts: str) -> str:
        return self.rng.choice(wordings(what, self.part, self.lang)).format(**parts)

    def percent(self, value: Decimal) -> str:
        """8%, ８％, 百分之八; 8%, 8 percent, 8 per cent."""
        plain = f"{value:f}".removesuffix(".0")
        if self.lang == "en":
            return self.rng.choice((f"{plain}%", f"{plain}%", f"{plain} percent", f"{plain} per cent"))
        return self.rng.choice((f"{plain}%", f"{plain}%", f"{plain}%".translate(WIDE), f"百分之{spelled(plain)}"))

    def fee(self, fee: Fee) -> str:
        plain = f"{fee.amount:f}".removesuffix(".0")
        if fee.per_lot:
            forms = {"zh": "{}元/手|每手{}元|{}元每手", "en": "CNY {} per lot|{} yuan a lot|RMB {}/lot"}
        else:
            forms = {
                "zh": "成交金额的万分之{}|成交金额的{share}%|万分之{}（按成交金额）",
                "en": "{} per ten thousand of turnover|{share}% of turnover|{} bp of turnover",
            }
        share = f"{(fee.amount / 100).normalize():f}"
        return self.rng.choice(forms[self.lang].split("|")).format(plain, share=share)

    def date(self, day: date) -> str:
        """2026年3月5日, 2026-03-05, 2026/3/5, 二〇二六年三月五日; 5 March 2026, March 5, 2026, 2026-03-05."""
        iso = day.isoformat()
        if self.lang == "en":
            month = MONTHS[day.month - 1]
            return self.rng.choice((f"{day.day} {month} {day.year}", f"{month} {day.day}, {day.year}", iso))
        plain = f"{day.year}年{day.month}月{day.day}日"
        year = "".join(FIGURES[int(c)] for c in str(day.year)).replace("零", "〇")
        spoken = f"{year}年{spelled(str(day.month))}月{spelled(str(day.day))}日"
        return self.rng.choice((plain, plain, iso, f"{day.year}/{day.month}/{day.day}", spoken, plain.translate(WIDE)))

    def contracts(self, codes: tuple[str, ...]) -> str:
        if self.lang == "zh":
            return "、".join(codes)
        return codes[0] if len(codes) == 1 else f"{', '.join(codes[:-1])} and {codes[-1]}"


def spelled(number: str) -> str:
    """A number below 100, with at most one decimal, in Chinese: 12.5 -> 十二点五."""
    whole, _, after = number.partition(".")
    tens, ones = divmod(int(whole), 10)
    head = ("" if tens == 1 else FIGURES[tens]) + "十" if tens else ""
    said = head + (FIGURES[ones] if ones or not tens else "")
    return said + ("点" + "".join(FIGURES[int(c)] for c in after) if after else "")


def text_of(notice: Notice, part: Part, lang: Lang, rng: random.Random) -> str:
    """The notice: a title, what changes as sentences or as lines of a table, what misleads, date and signature."""
    pen = Pen(part, lang, rng)
    product = notice.product[1 if lang == "zh" else 2]
    changes = _lines(pen, notice) if notice.table else _sentences(pen, notice)
    misleading = [
        pen.clause("hedge", new=pen.percent(notice.hedge)),
        pen.clause("closing", new=pen.fee(notice.closing)),
        pen.clause("other", c=notice.other, new=pen.percent(notice.old["margin"])),
        pen.clause("deadline", d=pen.date(notice.deadline)),
        pen.clause("former", n=str(notice.number)),
    ]
    beside = rng.sample(misleading, rng.randrange(1, 4))
    when = pen.clause("effective", d=pen.date(notice.effective)) if notice.effective else pen.clause("later")
    body = [*beside, when] if rng.random() < 0.5 else [when, *beside]
    stop, join = ("。", "") if lang == "zh" else (".", " ")
    told = join.join(f"{sentence}{stop}" for sentence in (*([] if notice.table else changes), *body))
    parts = [pen.clause("title", p=product), pen.clause("open", p=product)]
    parts += [pen.clause("head"), *changes] if notice.table else []
    return "\n".join([*parts, told, pen.clause("sign", d=pen.date(notice.published))])


def _sentences(pen: Pen, notice: Notice) -> list[str]:
    found = []
    for terms in notice.groups:
        named = pen.contracts(terms.contracts)
        if terms.margin is not None:
            values = {"old": pen.percent(notice.old["margin"]), "new": pen.percent(terms.margin)}
            found.append(pen.clause("margin", c=named, **values))
        if terms.limit is not None:
            values = {"old": pen.percent(notice.old["limit"]), "new": pen.percent(terms.limit)}
            found.append(pen.clause("limit", c=named, **values))
        if terms.fee is not None:
            found.append(pen.clause("fee", c=named, new=pen.fee(terms.fee)))
    return found


def _lines(pen: Pen, notice: Notice) -> list[str]:
    """A line a contract, of the fields that the notice speaks of at all."""
    every: dict[str, Callable[[Any], str]] = {"margin": pen.percent, "limit": pen.percent, "fee": pen.fee}
    there = [name for name in every if any(getattr(terms, name) is not None for terms in notice.groups)]
    names = {"zh": {"margin": "保证金率", "limit": "涨跌停板幅度", "fee": "手续费"},
             "en": {"margin": "Margin rate", "limit": "Price limit", "fee": "Fee"}}[pen.lang]  # fmt: skip
    lines = [" | ".join(["合约" if pen.lang == "zh" else "Contract", *(names[name] for name in there)])]
    for terms in notice.groups:
        for code in terms.contracts:
            cells = [getattr(terms, name) for name in there]
            written = [every[name](cell) if cell is not None else "—" for name, cell in zip(there, cells, strict=True)]
            lines.append(" | ".join([code, *written]))
    return lines


def answer_of(notice: Notice, lang: Lang) -> str:
    """The fields as a JSON array, one object a contract, in the plainest writing; null for what is absent."""
    day = notice.effective.isoformat() if notice.effective else None
    rows = [
        dict(zip(KEYS[lang], (code, _rate(terms.margin), _fee(terms, lang), _rate(terms.limit), day), strict=True))
        for terms in notice.groups
        for code in terms.contracts
    ]
    return json.dumps(rows, ensure_ascii=False)


def _rate(value: Decimal | None) -> str | None:
    return None if value is None else f"{value.normalize():f}%"


def _fee(terms: Terms, lang: Lang) -> str | None:
    if terms.fee is None:
        return None
    if not terms.fee.per_lot:
        return f"{(terms.fee.amount / 100).normalize():f}%"
    plain = f"{terms.fee.amount.normalize():f}"
    return f"{plain}元/手" if lang == "zh" else f"CNY {plain} per lot"


def rows(part: Part, lang: Lang) -> list[Row]:
    """A part's rows in one language; a cluster is a product."""
    found = []
    for place, notice in enumerate(notices(part, lang)):
        code = notice.product[0]
        text = text_of(notice, part, lang, random.Random(f"text {part} {lang} {code} {place}"))
        found.append({
            "id": f"{part}-{lang}-{place:03d}", "cluster": code, "instruction": ASKED[lang],
            "notice": text, "answer": answer_of(notice, lang),
        })  # fmt: skip
    return found


def contents() -> Iterator[tuple[str, str]]:
    """(file name, whole content) of the four files."""
    for part in PARTS:
        for lang in LANGS:
            yield (
                f"{part}_{lang}.jsonl",
                "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows(part, lang)),
            )
