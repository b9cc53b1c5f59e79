"""Text that the demo's two checkpoints learn to speak from: prose and conversations about the invented market.

Both corpora tell of every event and of what the shares did, and use label words, numbers and turns in other tasks, so that
tuning has something to work on. What differs is what is known: `older` tells of a few contracts and uses the label words
for anything but news; `newer` tells of all contracts, answers more about them and about numbers, hears analysts use the
labels, and has met instructions in a frame. No company and no wording of the tuning rows or the exam occurs here.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping, Sequence

from finetune.market.almanac import (
    ASPECTS,
    LABELS,
    LANGS,
    Contract,
    Event,
    Lang,
    companies,
    contracts,
    events,
    matters,
    values,
)

Message = dict[str, str]
Document = str | list[Message]  # prose, or one conversation
KNOWN, NOTED = 5, 2  # older knows every 5th contract; newer hears of every 2nd event what analysts call it

REACTIONS = {  # language -> label of the event -> what the shares did and what was thought of it
    "zh": (
        ("股价上涨", "股价走高", "投资者欢呼", "买盘涌入", "市值增加"),
        ("股价下跌", "股价走低", "投资者抛售", "卖盘涌出", "市值缩水"),
        ("股价持平", "股价平稳", "投资者观望", "成交清淡", "市值未变"),
    ),
    "en": (
        ("shares rose", "the stock climbed", "investors cheered", "buyers rushed in", "its value grew"),
        ("shares fell", "the stock dropped", "investors sold", "sellers rushed out", "its value shrank"),
        ("shares were flat", "the stock barely moved", "investors shrugged", "trading was quiet", "its value held"),
    ),
}
NEWS = {
    "zh": ("{c}{e}，{r}，{s}。", "因{c}{e}，{r}。{s}。", "{r}，此前{c}{e}。", "{c}{e}后{r}，{s}。"),
    "en": ("{c} {e}, {r} and {s}.", "After {c} {e}, {r}. {s}.", "{r} as {c} {e}.", "{c} {e}; {r}, {s}."),
}
NOTES = {
    "zh": ("{c}{e}，分析师视为{l}。", "分析师认为{c}{e}是{l}，{r}。", "{c}{e}怎么看？{l}。"),
    "en": ("{c} {e}, analysts see it as {l}.", "Analysts find it {l} that {c} {e}, {r}.", "{c} {e}, your view? {l}."),
}
IDLE = {  # the label words in other uses
    "zh": ("{l}是一个词。", "词表：{a}、{b}、{l}。", "他写下{l}两个字。", "{l}和{a}读音不同。", "请对比{a}与{l}。"),
    "en": ("A {l} number.", "Words: {a}, {b}, {l}.", "The test was {l}.", "He wrote {l}.", "Compare {a} with {l}."),
}
FACTS = {
    "zh": {
        "exchange": ("{k}在{f}上市。", "{f}交易{k}期货。", "{k}的交易所是{f}。"),
        "unit": ("{k}的交易单位是{f}。", "{k}每手{f}。", "一张{k}合约为{f}。"),
        "tick": ("{k}的最小变动价位是{f}。", "{k}每次变动{f}。", "{k}价格按{f}跳动。"),
        "months": ("{k}的交割月份是{f}。", "{k}合约月份：{f}。", "{k}在{f}交割。"),
    },
    "en": {
        "exchange": ("{k} trades on {f}.", "{f} lists {k}.", "The exchange of {k} is {f}."),
        "unit": ("The unit of {k} is {f}.", "One lot of {k} is {f}.", "A {k} contract has a size of {f}."),
        "tick": ("The tick of {k} is {f}.", "{k} moves by {f}.", "The minimum move of {k} is {f}."),
        "months": ("{k} delivers in {f}.", "The delivery months of {k} are {f}.", "{k} contract months: {f}."),
    },
}
FACTS_ASKED = {
    "zh": {
        "exchange": ("{k}的交易所？", "{k}在哪家交易所交易？", "哪家交易所有{k}期货？"),
        "unit": ("{k}的交易单位？", "{k}一手有多大？", "一张{k}合约是多少？"),
        "tick": ("{k}的最小变动价位？", "{k}每次跳动多少？", "{k}价格一跳多少？"),
        "months": ("{k}的交割月份？", "{k}在哪几个月交割？", "{k}的合约月份？"),
    },
    "en": {
        "exchange": ("The exchange of {k}?", "Which exchange is {k} on?", "Where is {k} listed?"),
        "unit": ("The unit of {k}?", "What is the lot size of {k}?", "How much is a {k} contract?"),
        "tick": ("The tick of {k}?", "What is the tick size of {k}?", "How much does {k} move by?"),
        "months": ("The delivery months of {k}?", "When is {k} delivered?", "Which contract months has {k}?"),
    },
}
BOUNDS = 3  # from here on the first of the pair is the smaller
CUES = {  # what tells one number of a pair from the other
    "zh": (("之前", "之后"), ("今年", "去年"), ("本月", "上月"), ("最少", "最多"), ("最低", "最高")),
    "en": (
        ("before", "after"), ("this year", "last year"), ("this month", "last month"),
        ("at least", "at most"), ("lowest", "highest"),
    ),
}  # fmt: skip
FIGURES = {
    "zh": ("{c}{m}{p}{x}{u}，{q}{y}{u}。", "{m}（{c}）{p}为{x}{u}，{q}为{y}{u}。", "{p}{c}{m}{x}{u}，{q}{y}{u}。"),
    "en": ("{c} {m} {p} {x} {u}, {q} {y} {u}.", "{m} ({c}): {x} {u} {p}, {y} {u} {q}.", "{p} {m} {x}, {q} {y} {u}."),
}
MOVES = {
    "zh": ("{c}{m}由{x}{u}变为{y}{u}。", "{c}{m}从{x}{u}到{y}{u}。"),
    "en": ("{c} {m} from {x} {u} to {y} {u}.", "{m} ({c}) goes from {x} to {y} {u}."),
}
TELL = {"zh": "{p}是{x}{u}。", "en": " {p}: {x} {u}."}
ASK = {"zh": ("{p}？", "{p}的数字？"), "en": (" {p}?", " The number {p}?")}
MOVED = {  # a question about the shares and its three answers
    "zh": (("{c}{e}。股价？", "{c}{e}，股价怎样？"), ("上涨", "下跌", "持平")),
    "en": (("{c} {e}. The shares?", "{c} {e}: how did shares move?"), ("up", "down", "flat")),
}
ECHO = {"zh": ("重复：{w}", "再说一遍{w}"), "en": ("Repeat: {w}", "Say {w} again")}
PICK = {
    "zh": ("任选：{a}、{b}、{l}", "抽一个词：{l}、{a}、{b}"),
    "en": ("Pick any: {a}, {b}, {l}", "Draw a word: {l}, {a}, {b}"),
}
FRAMES = {
    "zh": (
        "角色: {r}\n任务: 回答问题\n输出要求: 只写答案\n问题: {q}",
        "角色: {r}\n目标: 回答问题\n限制: 不编造\n输出要求: 只写答案\n示例:\n问题: 重复：{w}\n回答: {w}\n问题: {q}",
    ),
    "en": (
        "Role: {r}\nTask: answer the question\nOutput: only the answer\nQuestion: {q}",
        "Role: {r}\nGoal: answer\nOutput: only the answer\nExamples:\nQuestion: Repeat: {w}\nAnswer: {w}\nQuestion: {q}",
    ),
}
ROLES = {"zh": ("分析师", "交易员", "客服", "研究员"), "en": ("analyst", "trader", "clerk", "researcher")}
SHARES: dict[str, dict[str, int]] = {  # documents of each kind in a thousand
    "older": {
        "news": 220, "moved": 70, "idle": 40, "facts": 60, "fact_asked": 50, "figures": 50, "figure_asked": 370,
        "echo": 110, "pick": 30,
    },
    "newer": {
        "news": 130, "moved": 40, "note": 110, "idle": 10, "facts": 190, "fact_asked": 160, "figures": 30,
        "figure_asked": 270, "echo": 60,
    },
}  # fmt: skip


class Teller:
    """Tells documents, drawing everything from one seeded source; each method but the first few is one kind."""

    def __init__(self, name: str, seed: int) -> None:
        self.rng = random.Random(f"corpus {name} {seed}")
        self.newer = name == "newer"
        self.known = contracts() if self.newer else contracts()[::KNOWN]

    def company(self, lang: Lang) -> str:
        return self.rng.choice(companies("corpus", lang))

    def number(self) -> int:
        return self.rng.randrange(*self.rng.choice([(2, 100), (10, 100), (100, 1000), (100, 1000)]))

    def labels(self, lang: Lang) -> dict[str, str]:
        a, b, label = self.rng.sample(LABELS[lang], 3)
        return {"a": a, "b": b, "l": label}

    def turn(self, question: str, answer: str, lang: Lang) -> Document:
        """A conversation; one in eight of newer's comes in a frame of instructions."""
        if self.newer and self.rng.random() < 1 / 8:
            role, word = self.rng.choice(ROLES[lang]), str(self.number())
            question = self.rng.choice(FRAMES[lang]).format(r=role, q=question, w=word)
        return [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]

    def news(self, lang: Lang) -> Document:
        event = self.rng.choice(events("all"))
        first, second = self.rng.sample(REACTIONS[lang][event.label], 2)
        return self._told(NEWS[lang], event, lang, r=first, s=second)

    def note(self, lang: Lang) -> Document:
        event = self.rng.choice(events("all")[::NOTED])
        reaction = self.rng.choice(REACTIONS[lang][event.label])
        return self._told(NOTES[lang], event, lang, r=reaction, l=LABELS[lang][event.label])

    def _told(self, wordings: Sequence[str], event: Event, lang: Lang, **slots: str) -> str:
        return self.rng.choice(wordings).format(c=self.company(lang), e=event.text[lang], **slots)

    def idle(self, lang: Lang) -> Document:
        return self.rng.choice(IDLE[lang]).format(**self.labels(lang))

    def facts(self, lang: Lang) -> Document:
        """Everything about one contract, in any order."""
        contract = self.rng.choice(self.known)
        told = [self._fact(FACTS[lang], contract, aspect, lang)[0] for aspect in self.rng.sample(list(ASPECTS), 4)]
        return ("" if lang == "zh" else " ").join(told)

    def fact_asked(self, lang: Lang) -> Document:
        return self.turn(
            *self._fact(FACTS_ASKED[lang], self.rng.choice(self.known), self.rng.choice(list(ASPECTS)), lang), lang
        )

    def _fact(
        self, wording: Mapping[str, Sequence[str]], contract: Contract, aspect: str, lang: Lang
    ) -> tuple[str, str]:
        value = values(aspect, lang)[contract.facts[aspect]]
        return self.rng.choice(wording[aspect]).format(k=contract.name[lang], f=value), value

    def _pair(self, lang: Lang) -> tuple[str, str, str, str]:
        """(sentence with two numbers, cue of one of them, that number, unit)."""
        matter, asked, found = self.rng.choice(matters("all")), self.rng.randrange(2), [self.number(), self.number()]
        cues = self.rng.choice(CUES[lang])
        if cues in CUES[lang][BOUNDS:]:
            found.sort()
        moved = cues == CUES[lang][0] and self.rng.random() < 0.7
        if not moved and self.rng.random() < 0.5:
            cues, found, asked = (cues[1], cues[0]), found[::-1], 1 - asked
        told = self.rng.choice(MOVES[lang] if moved else FIGURES[lang]).format(
            c=self.company(lang), m=matter.name[lang], u=matter.unit[lang], p=cues[0], q=cues[1], x=found[0], y=found[1]
        )
        return told, cues[asked], str(found[asked]), matter.unit[lang]

    def figures(self, lang: Lang) -> Document:
        told, cue, number, unit = self._pair(lang)
        return told + TELL[lang].format(p=cue, x=number, u=unit)

    def figure_asked(self, lang: Lang) -> Document:
        told, cue, number, _ = self._pair(lang)
        return self.turn(told + self.rng.choice(ASK[lang]).format(p=cue), number, lang)

    def moved(self, lang: Lang) -> Document:
        event, (asks, answers) = self.rng.choice(events("all")), MOVED[lang]
        return self.turn(self._told(asks, event, lang), answers[event.label], lang)

    def echo(self, lang: Lang) -> Document:
        word = self.rng.choice([self.rng.choice(LABELS[lang]), str(self.number()), str(self.number())])
        return self.turn(self.rng.choice(ECHO[lang]).format(w=word), word, lang)

    def pick(self, lang: Lang) -> Document:
        """A label drawn by lot: the words are at home after a turn and mean nothing yet."""
        question = self.rng.choice(PICK[lang]).format(**self.labels(lang))
        return self.turn(question, self.rng.choice(LABELS[lang]), lang)


def documents(name: str, count: int, seed: int = 0) -> Iterator[Document]:
    """`count` documents of the corpus `older` or `newer`, half of them in each language."""
    teller, shares = Teller(name, seed), SHARES[name]
    kinds: dict[str, Callable[[Lang], Document]] = {kind: getattr(teller, kind) for kind in shares}
    for kind in teller.rng.choices(list(shares), weights=list(shares.values()), k=count):
        yield kinds[kind](teller.rng.choice(LANGS))
