"""Personal data in a text: where it stands and of what kind, never what it is; and placeholders in its stead.

Resident ids (GB 11643: date, place and check digit, python-stdnum), bank cards (issuer's prefix and Luhn's digit,
ISO/IEC 7812), phones (phonenumbers), e-mail addresses, and the numbers a broker keeps (资金账号, 股东账户, 客户号),
which look like any number and count only after their name. Amounts, prices, dates and contract codes are left alone: a
number before a unit or after a currency, and digits within a longer word or decimal, are no number of a person.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from typing import Literal

Kind = Literal["resident_id", "bank_card", "phone", "email", "fund_account", "shareholder_account", "client_number"]
KEPT: tuple[Kind, ...] = ("fund_account", "shareholder_account", "client_number")  # by a broker
WIDE = {code: code - 0xFEE0 for code in range(0xFF01, 0xFF5F)} | {0x3000: 0x20}  # full-width forms, one for one
ANY = re.compile(r"@|\d(?:[ \-().]?\d){4}")  # without it no text holds any of these
EMAIL = re.compile(
    r"(?<![\w.+-])[A-Za-z0-9][\w.+-]{0,63}@(?:[A-Za-z0-9-]{1,63}\.){1,5}[A-Za-z]{2,24}(?![\w-])", re.ASCII
)
# No part of a word or decimal. A comma beside it parts cells or a list: thousands are set off in threes, shorter than
# any part of such a number. `.0` is how tables write a number in a column with gaps.
BEFORE = r"(?<![A-Za-z0-9_])(?<!\d\.)"
AFTER = r"(?![A-Za-z0-9_])(?!\.(?!0(?!\d))\d)"
RESIDENT = re.compile(  # date and check digit tell it behind a word too
    r"(?<!\d)(?<!\d\.)\d{6}[ -]?\d{4}[ -]?\d{4}[ -]?\d{3}[\dXx]" + AFTER
)
CARD = re.compile(BEFORE + r"(?:\d{4}[ -]?){3,4}\d{1,4}" + AFTER)
ISSUER = re.compile(  # UnionPay, older Chinese debit cards, Visa, Mastercard, JCB, Amex, Discover
    r"62\d{14,17}|9558\d{12,15}|4\d{15}|5[1-5]\d{14}|2(?:22[1-9]|2[3-9]\d|[3-6]\d\d|7[01]\d|720)\d{12}|35\d{14}|3[47]\d{13}"
    r"|6(?:011|5\d\d)\d{12}"
)
PHONE = re.compile(
    BEFORE + r"(?<![+-])(?:\(?(?:\+|00)\d{1,3}\)?[ -]?\(?\d{1,4}\)?(?:[ -]?\d{2,4}){2,4}"  # with its country's code
    r"|(?:86[ -])?1[3-9]\d[ -]?\d{4}[ -]?\d{4}"  # a mobile of China
    r"|\(?0\d{2,3}(?:\)[ -]?|[ -])\d{3,4}[ -]?\d{4}"  # a line of China, its area set off
    r"|(?:\(\d{3}\) ?|\d{3}-)\d{3}-\d{4}|\d{3}\.\d{3}\.\d{4})" + AFTER  # North America
)
MARKET = r"(?:(?:沪|深|京|上海|深圳|北京)[市]?(?:[AB]股)?[:： ]?)?"  # a shareholder has an account at each exchange
CALLED = re.compile(  # the numbers that only their name tells
    r"(?:(?P<fund_account>[资資]金[账帐帳][号户號戶]|(?:fund|capital|cash|trading|brokerage) account)"
    r"|(?P<shareholder_account>股[东東](?:[账帐帳][号户號戶]|[代卡][码号碼號])"
    r"|[证證]券[账帐帳][号户號戶]|(?:shareholder|securities) account)"
    r"|(?P<client_number>客[户戶][编代編]?[号码號碼]|(?:client|customer) (?:id|no\b|number|code)))"
    r"(?:号码|代码|编号|号)? ?(?:no\.?|number|id|code)?(?:[(（][^()（）\n元万亿]{1,8}[)）])?"  # but no unit
    r"[\s:：=#是为(（\[【\"'“.|>-]{0,6}" + MARKET + r"(?P<number>[A-Za-z]{0,2}-?\d{5,16})" + AFTER, re.IGNORECASE,
)  # fmt: skip
ALSO = re.compile(
    r"\s?[，,、;；/和及]\s?" + MARKET + r"(?P<number>[A-Za-z]?\d{9,10})" + AFTER
)  # another market's account
CARD_NAMED = re.compile(r"卡号|银行卡|借记卡|信用卡|card (?:no|number)|card[:：#]", re.IGNORECASE)
LISTED = re.compile(r"\d,$|,(?=\d)")  # among other numbers, such as the options of a question
PHONE_NAMED = re.compile(r"电话|手机|联系|致电|phone|mobile|\btel\b|\bcall\b|whatsapp|微信", re.IGNORECASE)
MONEY_BEFORE = re.compile(  # a currency, or what is counted in one
    r"(?:(?:[¥￥$€£]|RMB|CNY|USD|HKD|EUR|人民币|港币|港元|美元)[ :：]?"
    r"|(?:[金余总净]额|(?:成交|交易|销售)[额量]|收入|利润|资产|负债|市值|股本|成本|总计|合计|revenue|income|profit|assets|turnover|volume)"
    r"(?:总[计额])?(?:约?[为达是]|约|共计?|was|is|of|[ :：=|]){0,3})$", re.IGNORECASE,
)  # fmt: skip
UNIT_AFTER = re.compile(
    r" ?(?:[元股万亿美港欧日手吨份桶张户笔人个克%％倍]|(?:yuan|shares?|dollars?|rmb|cny|usd|hkd|eur|units|lots|tons?|"
    r"million|billion|thousand|bps?)\b)", re.IGNORECASE,
)  # fmt: skip
NEAR = 16  # characters before a number in which its name is looked for


@dataclass(frozen=True)
class Finding:
    """A kind of personal data and where it stands in the text."""

    kind: Kind
    start: int
    end: int


def find(text: str) -> list[Finding]:
    """What personal data a text holds, from left to right; nothing overlaps."""
    plain = text.translate(WIDE)
    if not ANY.search(plain):
        return []
    found: list[Finding] = []
    for search in (_emails, _residents, _called, _cards, _phones):  # from sure to weak
        for each in search(plain):
            if all(each.end <= other.start or other.end <= each.start for other in found):
                found.append(each)
    return sorted(found, key=lambda each: each.start)


@dataclass
class Masker:
    """Puts placeholders such as [PHONE_1] in the place of personal data; one number has one placeholder throughout."""

    names: dict[tuple[str, str], str] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)  # of what was masked, by kind

    def mask(self, text: str, called: str = "") -> str:
        """The text with placeholders. `called` is the name of its column, which may say what a bare number is."""
        lead = f"{called}:" if called else ""
        parts, at = [], 0
        for each in find(lead + text):
            start, end = each.start - len(lead), each.end - len(lead)
            if start >= 0:
                self.counts[each.kind] = self.counts.get(each.kind, 0) + 1
                parts += [text[at:start], self._name(each.kind, text[start:end])]
                at = end
        return "".join([*parts, text[at:]])

    def _name(self, kind: Kind, value: str) -> str:
        bare = re.sub(r"[ \-()]", "", value.translate(WIDE)).casefold()
        bare = re.sub(r"^(?:\+|00)86", "", bare) if kind == "phone" else bare
        if (kind, bare) not in self.names:
            number = 1 + sum(known == kind for known, _ in self.names)
            self.names[kind, bare] = f"[{kind.upper()}_{number}]"
        return self.names[kind, bare]


def _emails(text: str) -> Iterator[Finding]:
    yield from (Finding("email", *match.span()) for match in EMAIL.finditer(text))


def _residents(text: str) -> Iterator[Finding]:
    for match in RESIDENT.finditer(text):
        if _is_resident(re.sub(r"[ -]", "", match[0]).upper()):
            yield Finding("resident_id", *match.span())


def _is_resident(number: str) -> bool:
    from stdnum.cn import ric

    return bool(ric.is_valid(number))


def _called(text: str) -> Iterator[Finding]:
    for match in CALLED.finditer(text):
        kind = next(kind for kind in KEPT if match[kind])
        if not UNIT_AFTER.match(text, match.end("number")):
            yield Finding(kind, *match.span("number"))
            while kind == "shareholder_account" and (also := ALSO.match(text, match.end("number"))):
                if UNIT_AFTER.match(text, also.end("number")):
                    break
                match = also
                yield Finding(kind, *match.span("number"))


def _cards(text: str) -> Iterator[Finding]:
    from stdnum import luhn

    for match in CARD.finditer(text):
        number = re.sub(r"[ -]", "", match[0])
        named = CARD_NAMED.search(text, max(0, match.start() - NEAR), match.start())
        known = ISSUER.fullmatch(number) or (named and 13 <= len(number) <= 19)
        if known and len(set(number)) > 1 and luhn.is_valid(number) and not _amount(text, *match.span()):
            yield Finding("bank_card", *match.span())


def _phones(text: str) -> Iterator[Finding]:
    last = -1  # where the phone before ended: a list that begins with a phone is one of phones
    for match in PHONE.finditer(text):
        start, end = match.span()
        named = PHONE_NAMED.search(text, max(0, start - NEAR), start)
        listed = start - 1 != last and (LISTED.search(text[max(0, start - 2) : start]) or LISTED.match(text, end))
        alone = listed and not PHONE_NAMED.search(text)  # a column's head may stand far above
        doubted = alone or text.startswith(".0", end) or _amount(text, start, end)
        if _is_phone(match[0]) and (named or not doubted):
            last = end
            yield Finding("phone", *match.span())


@cache
def _is_phone(written: str) -> bool:
    """A number in use, of a person or an office; not a toll-free line, which is a company's."""
    import phonenumbers as book

    western = re.fullmatch(r"(?:\(\d{3}\) ?|\d{3}-)\d{3}-\d{4}|\d{3}\.\d{3}\.\d{4}", written)
    called = re.sub(r"^\(?00", "+", written) if written.lstrip("(").startswith("00") else written
    try:
        number = book.parse(called, "US" if western else "CN")
    except book.NumberParseException:
        return False
    kind, known = book.number_type(number), book.PhoneNumberType
    personal = (known.MOBILE, known.FIXED_LINE, known.FIXED_LINE_OR_MOBILE)
    return book.is_valid_number(number) and kind in personal and not re.search(r"-(?:19|20)\d{6}$", written)


def _amount(text: str, start: int, end: int) -> bool:
    """Whether a unit follows or a currency leads."""
    return bool(UNIT_AFTER.match(text, end) or MONEY_BEFORE.search(text[max(0, start - NEAR) : start]))
