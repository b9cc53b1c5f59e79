"""Groups of like texts: equal to comparing all pairs, whatever the order."""

from __future__ import annotations

import random
from itertools import combinations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from finetune.card.likeness import groups, normalise

BASES = [
    "某企业为增值税一般纳税人设有一个基本生产车间生产销售两种产品",
    "the profit of the company rose by 12.5 percent",
]
EDITED = st.builds(
    lambda base, at, piece, cut: base[:at] + piece + base[at + cut :],
    st.sampled_from(BASES), st.integers(0, 40), st.text("xyz，", max_size=5), st.integers(0, 3),
)  # fmt: skip
SHORT = st.lists(EDITED | st.text("ab, ", max_size=9), max_size=12)


def grams(text: str) -> set[str]:
    plain = normalise(text)
    return {plain[at : at + 5] for at in range(max(1, len(plain) - 4))}


def by_all_pairs(texts: list[str]) -> list[int]:
    """The definition: connected components of equal text or Jaccard >= 4/5, each named by its first member."""
    label = list(range(len(texts)))
    for one, other in combinations(range(len(texts)), 2):
        a, b = grams(texts[one]), grams(texts[other])
        if normalise(texts[one]) and normalise(texts[other]) and 5 * len(a & b) >= 4 * len(a | b):
            label = [label[one] if each == label[other] else each for each in label]
    first = {each: label.index(each) for each in label}
    return [first[each] for each in label]


@given(SHORT)
@settings(max_examples=300, deadline=None)
def test_equal_to_comparing_all_pairs(texts):
    assert groups(texts) == by_all_pairs(texts)


@given(SHORT, st.randoms())
@settings(max_examples=100, deadline=None)
def test_the_order_does_not_matter(texts, rng):
    order = list(range(len(texts)))
    rng.shuffle(order)
    shuffled = groups([texts[at] for at in order])
    together = {
        frozenset((order[i], order[j])) for i, j in combinations(range(len(order)), 2) if shuffled[i] == shuffled[j]
    }
    plain = groups(texts)
    assert together == {
        frozenset(pair) for pair in combinations(range(len(texts)), 2) if plain[pair[0]] == plain[pair[1]]
    }


@given(st.text())
def test_normalising_twice_changes_nothing(text):
    assert normalise(normalise(text)) == normalise(text)


def test_normalise_folds_width_case_and_marks():
    assert normalise("Ａ公司， 2023 年：\n利润（ＲＭＢ）？") == "a公司2023年利润rmb"
    assert normalise(" .,!? ") == ""


def test_the_threshold_itself_joins():
    assert groups(["abcdefgh", "abcdefghi"]) == [0, 0]  # 4 of 5 grams shared
    assert groups(["abcdefg", "abcdefgh"]) == [0, 1]  # 3 of 4


def test_chains_are_one_group_and_wordless_texts_stand_alone():
    chain = ["abcdefghijklmnopqrst", "abcdefghijklmnopqrstu", "abcdefghijklmnopqrstuv", "abcdefghijklmnopqrstuvw"]
    assert groups([*chain, "?!", "?!"]) == [0, 0, 0, 0, 4, 5]


def test_planted_copies_are_all_found_among_many():
    rng = random.Random(5)
    texts = [
        "".join(rng.choices("的一是不了在人有我他这为之大来以个中上们到说国和地也子时道出而", k=200))
        for _ in range(2000)
    ]
    copies = {at: texts[at][:100] + "新" + texts[at][101:] for at in range(0, 2000, 40)}
    found = groups([*texts, *copies.values()])
    assert found[:2000] == list(range(2000))
    assert found[2000:] == list(copies)


@pytest.mark.parametrize("threshold", [0, -1, 1.5])
def test_a_threshold_outside_is_refused(threshold):
    with pytest.raises(ValueError, match="threshold is"):
        groups(["a"], threshold=threshold)
