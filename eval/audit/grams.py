"""Grams: runs of characters or words of a text, each as a 64-bit number, so that many texts can be compared quickly.

The number is a polynomial of the run's characters modulo 2^64 with an odd factor (Rabin and Karp 1987), mixed as in
MurmurHash3; a run's polynomial is a difference of prefix sums, times the factor's inverse power, so numpy makes all
runs of a text at once. Two of n different runs share a number with a probability of about n^2 / 2^65.
"""

import re
from functools import lru_cache
from zlib import crc32

import numpy as np

from finetune.card.likeness import normalise

FACTOR = 0x9E3779B97F4A7C15  # odd: it has an inverse modulo 2^64
WORD = re.compile(r"[^\W_]+")
Numbers = np.ndarray  # uint64, [runs]


def characters(text: str, size: int) -> Numbers:
    """Distinct runs of `size` letters and digits (NFKC, no case) of a text; a shorter text is one run."""
    plain = normalise(text)
    return _runs(np.frombuffer(plain.encode("utf-32-le", "replace"), dtype=np.uint32), min(size, len(plain)))


def words(text: str, size: int) -> Numbers:
    """Distinct runs of `size` words (letters and digits, no case); a shorter text has none."""
    codes = [crc32(word.encode("utf-8", "replace")) for word in WORD.findall(text.casefold())]
    return _runs(np.array(codes, dtype=np.uint32), size)


def _runs(codes: Numbers, size: int) -> Numbers:
    count = len(codes) - size + 1
    if count < 1 or not size:
        return np.empty(0, dtype=np.uint64)
    powers, inverse = _powers(1 << (len(codes)).bit_length())
    sums = np.zeros(len(codes) + 1, dtype=np.uint64)
    np.cumsum((codes.astype(np.uint64) + np.uint64(1)) * powers[: len(codes)], out=sums[1:])
    return np.unique(_mix((sums[size:] - sums[:-size]) * inverse[:count]))


@lru_cache
def _powers(length: int) -> tuple[Numbers, Numbers]:
    """Powers of the factor and of its inverse, from 0 on."""
    each = [np.full(length, value, dtype=np.uint64) for value in (FACTOR, pow(FACTOR, -1, 1 << 64))]
    for values in each:
        values[0] = 1
    return np.cumprod(each[0]), np.cumprod(each[1])


def _mix(values: Numbers) -> Numbers:
    """The last steps of MurmurHash3, 64 bits: near polynomials become far numbers."""
    for shift, factor in ((33, 0xFF51AFD7ED558CCD), (33, 0xC4CEB9FE1A85EC53)):
        values = (values ^ (values >> np.uint64(shift))) * np.uint64(factor)
    return values ^ (values >> np.uint64(33))
