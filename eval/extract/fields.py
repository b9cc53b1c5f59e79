"""Fields of the records that a task asks for: the kind of their values, and the names that an answer may call them.

A task declares them as `metadata.fields`, a kind each, or a kind and names beside the field's own:

    fields: {invoice: code, total: {kind: money, names: [合计, 总金额]}, due: date}

One field of kind `code` or `name` tells the records of an answer apart; without one an answer is a single record.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from eval.extract.passages import clean
from eval.extract.values import READERS
from finetune.mistakes import BadInput

WORDS = re.compile(r"[A-Za-z_ \u3400-\u9fff]{1,24}")  # a name that lines are looked through for, declared or not
TELLING = ("code", "name")  # kinds that tell records apart: a contract's code, or words compared without case
KNOWN = {  # other names of usual fields, as answers write them
    "contract": "contract|contracts|contractcode|contractcodes|code|合约|合约代码|期货合约|合约名称|品种合约",
    "margin_rate": "marginrate|margin|tradingmargin|tradingmarginrate|speculativemargin|newmarginrate|"
    "保证金率|保证金|保证金比例|交易保证金率|交易保证金|交易保证金比例|保证金标准|交易保证金标准|投机保证金率",
    "fee": "fee|fees|tradingfee|openingfee|transactionfee|commission|newfee|"
    "手续费|交易手续费|手续费标准|开仓手续费|交易手续费标准",
    "price_limit": "pricelimit|dailypricelimit|dailylimit|limit|newpricelimit|"
    "涨跌停板幅度|涨跌停板|涨跌停幅度|涨跌幅限制|价格波动限制|每日价格波动限制",
    "effective_date": "effectivedate|effective|date|effectivefrom|dateofeffect|"
    "生效日期|生效时间|生效日|执行日期|实施日期|实施时间|执行时间|起始日期",
}


@dataclass(frozen=True)
class Fields:
    """Kinds by field, in the order of the declaration; fields by every name, without case, blanks and underscores.

    `odd` are declared names beyond words (digits, brackets, strokes, long ones), which lines are looked through for.
    """

    kinds: Mapping[str, str]
    names: Mapping[str, str]
    odd: tuple[str, ...] = ()

    @classmethod
    def of(cls, declared: Any) -> "Fields":
        """As a task's metadata has them. BadInput says what cannot be."""
        if not isinstance(declared, Mapping) or not declared:
            raise BadInput(f"fields {declared!r}; a mapping is needed, of a field to the kind of its values")
        kinds: dict[str, str] = {}
        names: dict[str, str] = {}
        odd: set[str] = set()
        for field, said in declared.items():
            kind, others = (said.get("kind"), said.get("names", [])) if isinstance(said, Mapping) else (said, [])
            if kind not in (*TELLING, *READERS) or not isinstance(others, list):
                raise BadInput(f"fields.{field} {said!r}; known kinds are {', '.join((*TELLING, *READERS))}")
            if isinstance(said, Mapping) and (unknown := [*map(str, {*said} - {"kind", "names"})]):
                raise BadInput(f"fields.{field}: {', '.join(sorted(unknown))} unknown; there are kind and names")
            kinds[str(field)] = kind
            for name in (each for called in (field, *others) for each in dict.fromkeys((called, clean(str(called))))):
                if not folded(name):
                    raise BadInput(f"fields.{field}: {name!r} is an empty name; give it one, or drop it")
                odd |= set() if WORDS.fullmatch(str(name)) else {folded(name)}
                if names.setdefault(folded(name), str(field)) != str(field):
                    raise BadInput(f"fields.{field}: {name!r} is a name of {names[folded(name)]} too; drop one")
        for field in kinds:  # where no other field has that name for its own
            names = dict.fromkeys(KNOWN[field].split("|"), field) | names if field in KNOWN else names
        if len([kind for kind in kinds.values() if kind in TELLING]) > 1:
            raise BadInput(f"fields: one field alone may be of kind {' or '.join(TELLING)}: it tells records apart")
        return cls(kinds, names, tuple(sorted(odd, key=lambda name: (-len(name), name))))  # one may begin another

    @property
    def key(self) -> str:
        """The field that tells records apart; empty: an answer is one record."""
        return next((field for field, kind in self.kinds.items() if kind in TELLING), "")

    def called(self, name: Any) -> str | None:
        """The field of a name; None where it is none."""
        return self.names.get(folded(name))

    def value(self, field: str, said: Any) -> str | None:
        """A value in one writing; None where it says that there is none."""
        return READERS[self.kinds[field]](said)


def folded(name: Any) -> str:
    return re.sub(r"[\s_*\"'-]", "", str(name)).casefold()


NOTICES = Fields.of({
    "contract": "code", "margin_rate": "percent", "fee": "fee", "price_limit": "percent", "effective_date": "date",
})  # fmt: skip
