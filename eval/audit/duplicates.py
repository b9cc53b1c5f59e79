"""Duplicates: texts that are nearly the same, among so many that they cannot all be compared.

MinHash (Broder 1997) and banding (datasketch) propose pairs; each is then measured on all its 5-grams, so no pair below
the threshold counts. 25 bands of 5 propose a pair of Jaccard 0.8 with a probability of 0.99995. Clusters of an exam,
which decide intervals, are not made here: finetune.card.likeness finds them exactly, in more time.
"""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from eval.audit.grams import Numbers, characters

if TYPE_CHECKING:
    from datasketch import MinHash

SIZE, THRESHOLD = 5, 0.8
BANDS, BAND = 25, 5
CANDIDATES = 50  # measured for one text at most: texts of one template are alike in pairs without end


class Near:
    """An index of texts that finds those nearly equal to a new one."""

    def __init__(self) -> None:
        from datasketch import MinHash, MinHashLSH  # and scipy's integrals with it, which no other room needs

        self.index = MinHashLSH(num_perm=BANDS * BAND, params=(BANDS, BAND))
        self.blank = MinHash(num_perm=BANDS * BAND, scheme="affine32", hashfunc=int)
        self.grams: dict[int, Numbers] = {}

    def add(self, key: int, grams: Numbers, sketch: "MinHash") -> None:
        self.grams[key] = grams
        self.index.insert(key, sketch, check_duplication=False)

    def sketch(self, grams: Numbers) -> "MinHash":
        made = self.blank.copy()
        made.update_batch((grams >> 32).tolist())
        return made

    def alike(self, grams: Numbers, sketch: "MinHash") -> Iterator[int]:
        """Keys of texts whose Jaccard index with this one reaches the threshold."""
        for key in sorted(self.index.query(sketch))[:CANDIDATES]:
            if _jaccard(grams, self.grams[key]) >= THRESHOLD - 1e-9:
                yield key


def first_alike(texts: Sequence[str]) -> list[int]:
    """For each text the index of the first one that it is nearly like, itself where there is none.

    A text without letters or digits is like no other.
    """
    near, found = Near(), []
    seen: dict[bytes, int] = {}
    for place, text in enumerate(texts):
        grams = characters(text, SIZE)
        if not len(grams):
            found.append(place)
            continue
        known = seen.setdefault(grams.tobytes(), place)
        if known != place:
            found.append(found[known])
            continue
        sketch = near.sketch(grams)
        other = next(near.alike(grams, sketch), None)
        found.append(place if other is None else found[other])
        near.add(place, grams, sketch)
    return found


def _jaccard(one: Numbers, other: Numbers) -> float:
    """Of two sorted sets."""
    if min(len(one), len(other)) < THRESHOLD * max(len(one), len(other)):
        return 0.0
    shared = len(set(one.tolist()) & set(other.tolist()))
    return shared / (len(one) + len(other) - shared)
