"""Numbers in names count by value, and every name has its place."""

from __future__ import annotations

from itertools import permutations

from pcan_model.core.natural_order import natural_order


def test_numbers_count_by_value_and_superscripts_are_letters() -> None:
    wanted = ["", "1", "2", "2a", "10", "a", "a1²", "a1²2", "a1²10", "a2", "a02b", "b"]
    for names in permutations(wanted[5:10]):
        assert sorted(names, key=natural_order) == wanted[5:10]
    backwards = wanted[::-1]
    assert sorted(backwards, key=natural_order) == wanted


def test_names_of_the_same_number_have_a_fixed_order() -> None:
    assert sorted(["1.png", "01.png", "001.png"], key=natural_order) == ["001.png", "01.png", "1.png"]
