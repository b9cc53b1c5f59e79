"""Likeness of texts: which questions are the same, or nearly the same, so that they are not counted as independent.

Two texts are alike when their letters and digits are equal, or the Jaccard index of their character 5-grams is at least
0.8; groups are the connected components. The search is exact: with the grams of each text ordered from rare to common,
two sets with Jaccard >= t share a gram in their first |x| - ceil(t |x|) + 1 (prefix filter: Chaudhuri et al. 2006,
Bayardo et al. 2007), so only texts that meet in that index are compared.
"""

import math
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Sequence


def normalise(text: str) -> str:
    """Letters and digits of a text, folded: NFKC (full-width forms become plain), no case, no blanks or punctuation."""
    return "".join(filter(str.isalnum, unicodedata.normalize("NFKC", text).casefold()))


def groups(texts: Sequence[str], threshold: float = 0.8, n: int = 5) -> list[int]:
    """Group of each text, as the index of the group's first member. A text without letters or digits stands alone."""
    if not 0 < threshold <= 1:
        raise ValueError(f"threshold is {threshold}; a Jaccard index to reach lies in (0, 1]")
    plain = [normalise(text) for text in texts]
    first: dict[str, int] = {}
    parents = [first.setdefault(text, index) if text else index for index, text in enumerate(plain)]
    grams = {index: _grams(text, n) for text, index in first.items() if text}
    _join_alike(grams, parents, threshold)
    return [_root(parents, index) for index in range(len(parents))]


def _grams(text: str, n: int) -> frozenset[str]:
    return frozenset(text[at : at + n] for at in range(max(1, len(text) - n + 1)))


def _join_alike(grams: dict[int, frozenset[str]], parents: list[int], threshold: float) -> None:
    """Union of all pairs at or above the threshold; texts are met from short to long."""
    counts = Counter(gram for found in grams.values() for gram in found)
    met: dict[str, list[int]] = defaultdict(list)
    for index in sorted(grams, key=lambda each: (len(grams[each]), each)):
        mine = grams[index]
        needed = math.ceil(threshold * len(mine) - 1e-9)
        known = sorted((gram for gram in mine if counts[gram] > 1), key=lambda gram: (counts[gram], gram))
        prefix = known[: max(0, len(known) - needed + 1)]  # grams of no other text come first, and meet nothing
        for other in {candidate for gram in prefix for candidate in met[gram]}:
            if len(grams[other]) >= needed and _root(parents, other) != _root(parents, index):
                shared = len(mine & grams[other])
                if shared >= threshold * (len(mine) + len(grams[other]) - shared) - 1e-9:
                    _union(parents, other, index)
        for gram in prefix:
            met[gram].append(index)


def _root(parents: list[int], index: int) -> int:
    while parents[index] != index:
        parents[index] = parents[parents[index]]
        index = parents[index]
    return index


def _union(parents: list[int], one: int, other: int) -> None:
    low, high = sorted((_root(parents, one), _root(parents, other)))
    parents[high] = low
