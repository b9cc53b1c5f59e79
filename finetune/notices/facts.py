"""What is true in a notice: the contracts it changes, the new value of each field, and the values that mislead.

A field that a notice does not change, or a date that it leaves open, is absent (None). A misleading value (the old rate,
the rate for hedgers, another contract's) is never the right one of its field, so taking it earns nothing.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from typing import Literal

Part = Literal["train", "test"]
Lang = Literal["zh", "en"]
PRODUCTS: dict[Part, str] = {  # code, Chinese and English name; the parts share none
    "train": """
BQ 青铅 Blue Lead; DX 冬絮 Winter Cotton; FV 浮钒 Float Vanadium; GK 谷壳 Grain Husk; HJ 海胶 Sea Rubber
JW 井卤 Well Brine; KZ 空砖 Hollow Brick; LG 兰硅 Orchid Silicon; MQ 麦青 Green Wheat; NX 暖絮 Warm Down
PF 坪粉 Plain Flour; QH 青禾 Young Rice; RY 软油 Soft Oil; TZ 塔锌 Tower Zinc; VK 细矿 Fine Ore
""",
    "test": """
AX 安锡 Calm Tin; BY 白榆 White Elm; CK 赤矿 Red Ore; DZ 淡竹 Pale Bamboo; EH 峨红 Ridge Tea
FQ 枫漆 Maple Lacquer; GW 古蜡 Old Wax; HV 寒钒 Cold Vanadium; JX 金絮 Gold Floss; KY 苦荞 Bitter Buckwheat
LZ 绿锗 Green Germanium; MW 墨钨 Ink Tungsten; NK 泥炭 Bog Peat; OX 欧芹 Field Parsley; PQ 平曲 Plain Malt
QV 清钒 Clear Vanadite; RX 润盐 Damp Salt; SZ 霜枣 Frost Date; TV 铜柏 Bronze Cypress; UK 乌糠 Black Bran
VX 微絮 Fine Floss; WQ 梧桐 Parasol Wood; XZ 雪枣 Snow Jujube; YK 银矿砂 Silver Sand; ZV 紫钒 Violet Alloy
AQ 暗铅 Dark Lead; BZ 碧砖 Jade Brick; CV 沉油 Deep Oil; DK 稻糠 Rice Bran; EX 鹅绒 Goose Down
FZ 粉岩 Powder Rock; GX 甘蓝 Sweet Kale; HW 红苎 Red Ramie; IK 鸢麻 Iris Hemp; JZ 焦石 Char Stone
KV 昆布 Kelp Leaf; LX 蓝铜 Azure Copper; MZ 苜蓿 Lucerne Hay; NV 凝胶 Set Gel; OQ 瓯柑 Bay Citrus
""",
}
NOTICES: dict[Part, int] = {"train": 4, "test": 3}  # a product, in each language
RATES = tuple(Decimal(n) / 2 for n in range(8, 41))  # percent: 4 to 20
FEES = tuple(Decimal(n) / 2 for n in range(2, 41))  # yuan a lot: 1 to 20
SHARES = tuple(Decimal(n) / 10 for n in range(1, 31))  # per ten thousand of turnover: 0.1 to 3


@dataclass(frozen=True)
class Fee:
    """A fee: yuan a lot, or so many ten-thousandths of turnover."""

    amount: Decimal
    per_lot: bool


@dataclass(frozen=True)
class Terms:
    """The new terms of one or several contracts that a notice changes together; None: it does not say."""

    contracts: tuple[str, ...]
    margin: Decimal | None  # percent
    fee: Fee | None
    limit: Decimal | None  # percent


@dataclass(frozen=True)
class Notice:
    """One notice: what is to be found in it, and what misleads."""

    product: tuple[str, str, str]  # code, Chinese name, English name
    number: int
    published: date
    effective: date | None
    groups: tuple[Terms, ...]
    other: str  # a contract that is named and not changed
    old: dict[str, Decimal]  # margin and limit before
    hedge: Decimal  # margin of hedgers
    closing: Fee  # fee of closing on the day
    deadline: date  # of tests, none of the fields
    table: bool  # whether the terms stand in lines, a contract each


def products(part: Part) -> list[tuple[str, str, str]]:
    """(code, Chinese name, English name) of a part's products."""
    lines = PRODUCTS[part].replace("\n", ";").split(";")
    return [(code, zh, en) for code, zh, en in (line.strip().split(" ", 2) for line in lines if line.strip())]


def notices(part: Part, lang: Lang) -> list[Notice]:
    """All notices of a part in one language, in the order of their products."""
    found = []
    for code, zh, en in products(part):
        for place in range(NOTICES[part]):
            rng = random.Random(f"notice {part} {lang} {code} {place}")
            found.append(_draw(rng, (code, zh, en)))
    return found


def _draw(rng: random.Random, product: tuple[str, str, str]) -> Notice:
    months = rng.sample(range(1, 13), 5)
    codes = sorted(
        f"{product[0]}{year}{month:02d}" for year, month in zip(rng.choices((27, 28), k=5), months, strict=True)
    )
    other = codes.pop(rng.randrange(5))
    codes = sorted(rng.sample(codes, rng.choice((1, 1, 2, 2, 3, 4))))
    rates, per_lot = rng.sample(RATES, 8), rng.random() < 0.6
    fees = [Fee(amount, per_lot) for amount in rng.sample(FEES if per_lot else SHARES, 3)]
    named = rng.choice((("margin",), ("limit",), ("fee",), ("margin", "limit"), ("margin", "limit"), ("margin", "fee"),
                        ("margin", "fee", "limit"), ("margin", "fee", "limit")))  # fmt: skip
    cut = rng.randrange(1, len(codes)) if len(codes) > 1 and rng.random() < 0.6 else len(codes)
    groups = tuple(
        Terms(
            tuple(each),
            rates[place] if "margin" in named else None,
            fees[place] if "fee" in named else None,
            rates[2 + place] if "limit" in named else None,
        )
        for place, each in enumerate((codes[:cut], codes[cut:]))
        if each
    )
    if len(groups) == 2 and len(named) > 1 and rng.random() < 0.4:  # the second group leaves one field as it is
        groups = (groups[0], _without(groups[1], rng.choice(named)))
    published = date(2026, 1, 5) + timedelta(rng.randrange(330))
    return Notice(
        product, rng.randrange(11, 399), published, published + timedelta(rng.randrange(3, 20)) if rng.random() < 0.8 else None,
        groups, other, {"margin": rates[4], "limit": rates[5]}, rates[6], fees[2],
        published + timedelta(rng.randrange(1, 3)), rng.random() < 0.3,
    )  # fmt: skip


def _without(terms: Terms, field: str) -> Terms:
    return Terms(
        terms.contracts,
        None if field == "margin" else terms.margin,
        None if field == "fee" else terms.fee,
        None if field == "limit" else terms.limit,
    )
