"""Questions about the invented market: three exams, and the rows that a contender may be tuned on.

Tuning and exam share no event, company, quantity, wording or number; contracts are
never tuned on. A cluster is what a question is about: one event, one contract, one quantity.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator
from typing import Any, Literal

from finetune.market.almanac import (
    ASPECTS,
    LABELS,
    LANGS,
    Contract,
    Event,
    Lang,
    Matter,
    companies,
    contracts,
    events,
    matters,
    numbers,
    values,
)  # fmt: skip

Row = dict[str, Any]
Part = Literal["tuning", "exam"]
LABEL_WORDING = {  # part -> language -> (headlines, asks)
    "tuning": {
        "zh": (
            ["{c}{e}。", "消息：{c}{e}", "{c}公告称{e}。", "今天{c}{e}。"],
            ["标签？", "判断：利好、利空、中性", "属于哪一类？"],
        ),
        "en": (
            ["{c} {e}.", "News: {c} {e}", "{c} said it {e}.", "Today {c} {e}."],
            ["Label?", "Judge: positive, negative, neutral", "Which class?"],
        ),
    },
    "exam": {
        "zh": (
            ["快讯：{c}{e}。", "据报道，{c}已{e}。", "{c}近期{e}"],
            ["对股价是利好、利空还是中性？", "请选择标签。"],
        ),
        "en": (
            ["Flash: {c} {e}.", "Reports say {c} {e}.", "{c} recently {e}"],
            ["Is that positive, negative or neutral for the shares?", "Choose a label."],
        ),
    },
}
KNOWLEDGE_WORDING = {  # aspect -> language -> asks of the exam
    "exchange": {
        "zh": ["{k}期货归哪家交易所？", "要买卖{k}，应去哪家交易所？"],
        "en": ["Which exchange lists {k} futures?", "Where would one trade {k}?"],
    },
    "unit": {
        "zh": ["一手{k}期货是多少？", "{k}每张合约多大？"],
        "en": ["How much is one lot of {k} futures?", "What is the size of a {k} contract?"],
    },
    "tick": {
        "zh": ["{k}期货最小跳动多少？", "{k}报价一跳是多少？"],
        "en": ["What is the minimum move of {k} futures?", "By how much do {k} quotes move?"],
    },
    "months": {
        "zh": ["{k}期货在哪些月份交割？", "{k}有哪几个合约月份？"],
        "en": ["In which months are {k} futures delivered?", "What months does {k} have?"],
    },
}
EXTRACTION_WORDING = {  # part -> form -> language -> (sentences, ask for the first number, ask for the second)
    "tuning": {
        "change": {
            "zh": (["{c}的{m}从{x}{u}调整为{y}{u}。", "{c}把{m}从{x}{u}改为{y}{u}。"], "之前的{m}是多少？", "之后的{m}是多少？"),
            "en": (
                ["{c} moved its {m} from {x} to {y} {u}.", "{c}: {m} changed from {x} {u} to {y} {u}."],
                "What was the {m} before?", "What is the {m} after?",
            ),
        },
        "periods": {
            "zh": (["{c}的{m}今年为{x}{u}，去年为{y}{u}。", "{c}今年{m}{x}{u}，去年{y}{u}。"], "今年的{m}是多少？", "去年的{m}是多少？"),
            "en": (
                ["{c} has {m} of {x} {u} this year and {y} {u} last year.", "{m} of {c}: this year {x}, last year {y} {u}."],
                "What is the {m} this year?", "What was the {m} last year?",
            ),
        },
        "bounds": {
            "zh": (["{c}的{m}最少为{x}{u}，最多为{y}{u}。", "{c}{m}最少{x}{u}、最多{y}{u}。"], "最少的{m}是多少？", "最多的{m}是多少？"),
            "en": (
                ["{c} has {m} of at least {x} {u} and at most {y} {u}.", "{m} of {c}: at least {x}, at most {y} {u}."],
                "What is the {m} at least?", "What is the {m} at most?",
            ),
        },
    },
    "exam": {
        "change": {
            "zh": (["据悉，{c}将{m}由{x}{u}变更为{y}{u}。", "{c}通报{m}：由{x}{u}变更到{y}{u}。"], "变更之前，{m}为多少？", "变更之后，{m}为多少？"),
            "en": (
                ["Notice: {c} takes its {m} from {x} {u} to {y} {u}.", "From {x} {u}, {m} of {c} goes to {y} {u}."],
                "Give the number for {m} before this.", "Give the number for {m} after this.",
            ),
        },
        "periods": {
            "zh": (["据悉，{c}的{m}本月达{x}{u}，上月达{y}{u}。", "{c}通报{m}：本月{x}{u}；上月{y}{u}。"], "请写出本月的数字。", "请写出上月的数字。"),
            "en": (
                ["Notice: at {c}, {m} was {x} {u} this month, {y} {u} last month.", "This month {c} put {m} at {x}, last month at {y} {u}."],
                "Give the number for this month.", "Give the number for last month.",
            ),
        },
        "bounds": {
            "zh": (["据悉，{c}的{m}最低达{x}{u}，最高达{y}{u}。", "{c}通报{m}：最低{x}{u}；最高{y}{u}。"], "请写出最低的数字。", "请写出最高的数字。"),
            "en": (
                ["Notice: at {c}, {m} was {x} {u} at the lowest, {y} {u} at the highest.", "The lowest {m} at {c} is {x}, the highest {y} {u}."],
                "Give the number for the lowest.", "Give the number for the highest.",
            ),
        },
    },
}  # fmt: skip


def label_question(event: Event, part: Part, lang: Lang, rng: random.Random) -> str:
    headlines, asks = LABEL_WORDING[part][lang]
    company = rng.choice(companies(part, lang))
    return f"{rng.choice(headlines).format(c=company, e=event.text[lang])}\n{rng.choice(asks)}"


def label_exam() -> list[Row]:
    """60 events x 4 headlines x 2 languages; options are the three label words, always in the same order."""
    rng, seen, rows = random.Random("label exam"), set[str](), []
    for event in events("exam"):
        for lang in LANGS:
            for n in range(4):
                question = _new(lambda: label_question(event, "exam", lang, rng), seen)  # noqa: B023
                rows.append(
                    _choice(f"label-{event.key}-{lang}-{n}", lang, event.key, question, LABELS[lang], event.label)
                )
    return rows


def knowledge_exam() -> list[Row]:
    """60 contracts x 4 aspects x 2 languages; the three wrong options are other contracts' values of that aspect."""
    rng = random.Random("knowledge exam")
    return [
        _fact(contract, aspect, lang, rng) for contract in contracts() for aspect in ASPECTS for lang in LANGS
    ]  # fmt: skip


def _fact(contract: Contract, aspect: str, lang: Lang, rng: random.Random) -> Row:
    known, held = values(aspect, lang), contract.facts[aspect]
    options = [held, *rng.sample([n for n in range(len(known)) if n != held], 3)]
    rng.shuffle(options)
    question = rng.choice(KNOWLEDGE_WORDING[aspect][lang]).format(k=contract.name[lang])
    name = f"knowledge-{contract.key}-{aspect}-{lang}"
    return _choice(name, lang, contract.key, question, [known[n] for n in options], options.index(held))


def extraction_question(matter: Matter, part: Part, form: str, lang: Lang, rng: random.Random) -> tuple[str, str]:
    """A sentence with two numbers and an ask for one of them; returns (question, answer)."""
    sentences, *asks = EXTRACTION_WORDING[part][form][lang]
    pools = list(numbers(part).values())
    found = [rng.choice(pool) for pool in rng.choices(pools, k=2)]
    while found[0] == found[1]:
        found[1] = rng.choice(pools[0])
    if form == "bounds":
        found.sort()
    slots = {
        "m": matter.name[lang],
        "u": matter.unit[lang],
        "c": rng.choice(companies(part, lang)),
        "x": found[0],
        "y": found[1],
    }
    asked = rng.randrange(2)
    return f"{rng.choice(sentences).format(**slots)}\n{asks[asked].format(**slots)}", str(found[asked])


def extraction_exam() -> list[Row]:
    """48 quantities x 5 sentences x 2 languages; the answer is a number as it stands in the sentence."""
    rng, rows = random.Random("extraction exam"), []
    forms = list(EXTRACTION_WORDING["exam"])
    for m, matter in enumerate(matters("exam")):
        for lang in LANGS:
            for n in range(5):
                question, answer = extraction_question(matter, "exam", forms[(m + n) % len(forms)], lang, rng)
                name = f"extraction-{matter.key}-{lang}-{n}"
                rows.append({"id": name, "lang": lang, "cluster": matter.key, "question": question, "answer": answer})
    return rows


def tuning_rows() -> list[Row]:
    """360 label rows (36 events) and 360 extraction rows (20 quantities) as conversations; no fact of a contract."""
    rng, seen, rows = random.Random("tuning"), set[str](), []
    for event in events("tuning"):
        for lang in LANGS:
            for n in range(5):
                question = _new(lambda: label_question(event, "tuning", lang, rng), seen)  # noqa: B023
                rows.append(_taught(f"label-{event.key}-{lang}-{n}", lang, question, LABELS[lang][event.label]))
    forms = list(EXTRACTION_WORDING["tuning"])
    for matter in matters("tuning"):
        for lang in LANGS:
            for n in range(9):
                taught = extraction_question(matter, "tuning", forms[n % len(forms)], lang, rng)
                rows.append(_taught(f"extraction-{matter.key}-{lang}-{n}", lang, *taught))
    rng.shuffle(rows)
    return rows


def _taught(name: str, lang: Lang, question: str, answer: str) -> Row:
    messages = [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]
    return {"id": f"tuning-{name}", "lang": lang, "source": name.split("-")[0], "messages": messages}


def _choice(name: str, lang: Lang, cluster: str, question: str, options: Any, right: int) -> Row:
    asked = {"id": name, "lang": lang, "cluster": cluster, "question": question}
    return {**asked, "options": list(options), "answer": "ABCD"[right]}


def _new(draw: Callable[[], str], seen: set[str]) -> str:
    """Draw until the text is one that has not been asked."""
    while (text := draw()) in seen:
        pass
    seen.add(text)
    return text


FILES: dict[str, Callable[[], list[Row]]] = {
    "label.jsonl": label_exam,
    "knowledge.jsonl": knowledge_exam,
    "extraction.jsonl": extraction_exam,
    "tuning.jsonl": tuning_rows,
}


def contents() -> Iterator[tuple[str, str]]:
    """(file name, whole content) of the four files."""
    for name, rows in FILES.items():
        yield name, "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows())
