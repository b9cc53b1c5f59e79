"""English numbers in words, as digits: ninety million is 90 million, twenty-five percent is 25 percent.

Magnitudes stay in words, where one ends the number. Counts below ten stay as they are unless a magnitude or percent
follows, and so does what is no one number: nineteen ninety, one or two.
"""

import re

SMALL = {
    "zero": 0, "one": 1, "two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7, "eight": 8, "nine": 9,
    "ten": 10, "eleven": 11, "twelve": 12, "thirteen": 13, "fourteen": 14, "fifteen": 15, "sixteen": 16,
    "seventeen": 17, "eighteen": 18, "nineteen": 19,
}  # fmt: skip
TENS = {
    "twenty": 20, "thirty": 30, "forty": 40, "fifty": 50, "sixty": 60, "seventy": 70, "eighty": 80, "ninety": 90,
}  # fmt: skip
SCALES = {"thousand": 10**3, "million": 10**6, "billion": 10**9, "trillion": 10**12}
WORD, SCALE = "|".join((*SMALL, *TENS, "hundred", *SCALES)), "|".join(SCALES)
SPELLED = re.compile(  # a run is bounded: what is longer is a loop
    rf"(?<![a-z0-9.-])(?:an? (?:hundred|{SCALE})|{'|'.join((*SMALL, *TENS))})(?:(?:-| and |,? )(?:{WORD})){{0,11}}"
    rf"(?: point(?: (?:{'|'.join(list(SMALL)[:10])})){{1,4}}(?: (?:{SCALE}))?)?(?![a-z]|-[a-z])",
    re.I,
)
RATE = re.compile(r" ?(?:%|per ?cent(?![a-z])|percentage points?|basis points?)", re.I)


def in_digits(text: str) -> str:
    """The text with its spelled numbers in digits."""
    return SPELLED.sub(_digits, text)


def _digits(found: re.Match[str]) -> str:
    whole, _, behind = found[0].casefold().partition(" point ")
    words = [word for word in re.split(r"[-, ]+", whole) if word not in ("and", "a", "an")]
    scale = [behind.split()[-1]] if behind and behind.split()[-1] in SCALES else []
    if not behind and len(words) > 1 and words[-1] in SCALES and not set(words[:-1]) & set(SCALES):
        scale = [words.pop()]
    value = _value(words)
    decimals = "".join(str(SMALL[word]) for word in behind.split() if word in SMALL)
    bare = value is not None and value < 10 and not (scale or decimals or RATE.match(found.string, found.end()))
    if value is None or bare:
        return found[0]
    return " ".join([f"{value}.{decimals}" if decimals else str(value), *scale])


def _value(words: list[str]) -> int | None:
    """The worth of one number in words; None where they are not one."""
    total, section, below, scale = 0, 0, 100, 10**15  # the next word, and the next magnitude, must be smaller
    for word in words:
        if word in SCALES:
            if SCALES[word] >= scale:
                return None
            scale = SCALES[word]
            total, section, below = total + (section or 1) * scale, 0, 100
        elif word == "hundred":
            if section > 9:
                return None
            section, below = 100 * (section or 1), 100
        else:
            size = SMALL.get(word, TENS.get(word, 0))
            if size >= below:
                return None
            section, below = section + size, 10 if word in TENS else 0
    return total + section
