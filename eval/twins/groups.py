"""Group twins: the same question with the client's sex, age or region changed, and nothing else; gold unchanged.

Made where a word of the list stands in an item that speaks of a client, and where the answer may not depend on it: what
turns on retirement, birth or a place's own law is left out, as is an item whose options or gold say such a word.
"""

import re
from collections.abc import Mapping
from typing import Literal, get_args

from finetune.card import Row

Group = Literal["sex", "age", "region"]
GROUPS: tuple[Group, ...] = get_args(Group)
CLIENT = re.compile(
    r"客户|投资者|投资人|借款人|贷款人|申请人|储户|持卡人|投保人|股民|用户|先生|女士|小姐|"
    r"\b(?:clients?|customers?|investors?|borrowers?|applicants?|depositors?|cardholders?|policyholders?|Mr|Mrs|Ms)\b",
    re.I,
)
DEPENDS: Mapping[Group, re.Pattern[str]] = {
    "sex": re.compile(r"退休|生育|产假|孕|妇女|女职工|保费|寿命|婚|retire|matern|pregnan|premium|widow|spous", re.I),
    "age": re.compile(
        r"退休|养老|年龄|周岁|未成年|成年|保费|寿命|监护|retire|pension|premium|minor|age limit|annuit|mortality", re.I
    ),
    "region": re.compile(r"税|条例|地方|自贸|沪|深港|交易所|证监局|tax|exchange|\blaws?\b|state of|jurisdiction", re.I),
}
ZH: Mapping[Group, tuple[tuple[str, str], ...]] = {  # what stands around a character that is part of another word
    "sex": (
        (r"(?<![领首率优占])先生(?![物产活成])", "女士"), (r"女士", "先生"), (r"小姐", "先生"),
        (r"男性", "女性"), (r"女性", "男性"),
        (r"男(?=客户|投资者|士|生|子|孩)", "女"), (r"女(?=客户|投资者|士|生|子|孩)", "男"),
        (r"丈夫", "妻子"), (r"妻子", "丈夫"), (r"父亲", "母亲"), (r"母亲", "父亲"), (r"儿子", "女儿"),
        (r"女儿", "儿子"),
        (r"(?<![其吉排])他(?![人国])", "她"), (r"她", "他"),
    ),
    "age": (
        (r"老年", "青年"), (r"青年", "老年"), (r"年轻", "年长"), (r"年长", "年轻"), (r"老人", "年轻人"),
        (r"老太太", "姑娘"), (r"老大爷", "小伙子"), (r"小伙(?!伴)子?", "老大爷"),
    ),
    "region": (
        (r"(?<=来自|住在|家住|户籍|籍贯)(?:北京|上海|广州|深圳|杭州)", "甘肃"),
        (r"(?<=来自|住在|家住|户籍|籍贯)(?:河南|甘肃|贵州|东北|新疆|西藏)", "上海"),
        (r"(?:北京|上海|广州|深圳|杭州)(?=籍|人(?!民|寿|员|工)|居民|客户)", "甘肃"),
        (r"(?:河南|甘肃|贵州|东北|新疆|西藏)(?=籍|人(?!民|寿|员|工)|居民|客户)", "上海"),
        (r"农村(?=客户|居民|户|的)", "城市"), (r"城市(?=客户|居民)", "农村"),
    ),
}  # fmt: skip
EN: Mapping[Group, tuple[tuple[str, str], ...]] = {
    "sex": (
        ("he", "she"), ("she", "he"), ("him", "her"), ("his", "her"), (r"her(?= [a-z])", "his"), ("her", "him"),
        ("himself", "herself"), ("herself", "himself"), ("mr", "Ms"), ("mrs", "Mr"), ("ms", "Mr"), ("man", "woman"),
        ("woman", "man"), ("men", "women"), ("women", "men"), ("male", "female"), ("female", "male"),
        ("husband", "wife"), ("wife", "husband"), ("father", "mother"), ("mother", "father"), ("son", "daughter"),
        ("daughter", "son"), ("businessman", "businesswoman"), ("businesswoman", "businessman"),
    ),
    "age": (("young", "elderly"), ("elderly", "young"), ("older", "younger"), ("younger", "older")),
    "region": (
        (r"(?<=from )(?:New York|London|California|Boston)", "Alabama"),
        (r"(?<=lives in )(?:New York|London|California|Boston)", "Alabama"),
        (r"(?<=living in )(?:New York|London|California|Boston)", "Alabama"),
        (r"(?<=from )(?:Alabama|Mississippi|Nigeria|Mexico)", "New York"),
        (r"(?<=lives in )(?:Alabama|Mississippi|Nigeria|Mexico)", "New York"),
        (r"(?<=living in )(?:Alabama|Mississippi|Nigeria|Mexico)", "New York"),
        (r"rural(?= (?:client|customer|resident|borrower))", "urban"),
        (r"urban(?= (?:client|customer|resident|borrower))", "rural"),
    ),
}  # fmt: skip
YEARS_OLD = re.compile(r"(?<!\d)([2-7]\d)(?=\s?岁|[- ]years?[- ]old)")
TOLD = {
    language: {group: tuple((re.compile(form, re.I), word) for form, word in words) for group, words in lists.items()}
    for language, lists in (("zh", ZH), ("en", {g: tuple((rf"\b{f}\b", w) for f, w in ws) for g, ws in EN.items()}))
}


def swapped(row: Row, group: Group, *, numeric: bool) -> Row | None:
    """The twin; None where no such word stands, or the answer may turn on it. `numeric`: ages may be reckoned with."""
    told = f"{row.context}\n{row.question}"
    if not CLIENT.search(told) or DEPENDS[group].search(told):
        return None
    said = [*row.options, "" if row.options else row.answer or ""]
    if any(exchanged(text, group, numeric=False) != text for text in said):
        return None
    kept = {part: exchanged(getattr(row, part), group, numeric=numeric) for part in ("context", "question")}
    return row.model_copy(update=kept) if any(kept[part] != getattr(row, part) for part in kept) else None


def exchanged(text: str, group: Group, *, numeric: bool) -> str:
    """Every word of the group for its other, in one pass, so that none is turned back."""
    pairs = [*TOLD["zh"][group], *TOLD["en"][group]]
    spots: dict[int, tuple[int, str]] = {}
    for pattern, word in pairs:
        for found in pattern.finditer(text):
            if not any(begin < found.end() and found.start() < end for begin, (end, _) in spots.items()):
                spots[found.start()] = (found.end(), _cased(word, found[0]))
    if group == "age" and not numeric:
        for found in YEARS_OLD.finditer(text):
            age = int(found[1])
            spots[found.start()] = (found.end(), str(age + 35 if age < 45 else age - 35 if age > 55 else age - 25))
    parts, place = [], 0
    for begin in sorted(spots):
        end, word = spots[begin]
        parts += [text[place:begin], word]
        place = end
    return "".join([*parts, text[place:]])


def _cased(word: str, stood: str) -> str:
    return word[:1].upper() + word[1:] if stood[:1].isupper() else word
