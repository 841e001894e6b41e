"""What a frame attention costs: counted FLOPs beside closed forms, and their growth with the tube."""

from __future__ import annotations

import pytest

from benchmarks.complexity import KINDS, closed_form, count, fusion, kept, matrix, published
from benchmarks.complexity_report import LENGTHS, PAPER

SMALL = ((6, 8), (3, 4))


@pytest.mark.parametrize("length", [2, 5])
@pytest.mark.parametrize("kind", KINDS)
def test_counted_flops_equal_the_closed_form(kind: str, length: int) -> None:
    assert count(kind, length, SMALL)[0] == closed_form(kind, length, SMALL)
    assert count(kind, length, SMALL, keys=256)[0] == closed_form(kind, length, SMALL, keys=256)


@pytest.mark.parametrize("kind", ["prototypical", "non_local"])
def test_work_grows_linearly_with_the_tube(kind: str) -> None:
    one, two, four = (count(kind, length, SMALL) for length in (1, 2, 4))
    for a, b, c in zip(one, two, four, strict=True):
        assert c - b == 2 * (b - a) > 0


def test_self_attention_grows_with_the_square_of_the_tube() -> None:
    one, two, three = (closed_form("transformer", length) for length in (1, 2, 3))
    assert three - 2 * two + one > 0.5 * one, "a second difference: no straight line"


def test_a_step_of_a_running_video_hardly_depends_on_the_tube() -> None:
    """Only reading grows: two products of N x K with C and one with D per memory frame."""
    (_, two), (_, four) = count("prototypical", 2, SMALL), count("prototypical", 4, SMALL)
    positions = sum(height * width for height, width in SMALL)
    assert four - two == 2 * 2 * positions * 64 * (64 + 2 * 256)


@pytest.mark.parametrize(("length", "paper"), [(2, 24.3 / 5.8), (4, 49.1 / 12.0), (8, 99.6 / 23.7)])
def test_tubes_and_steps_are_ahead_of_non_local_by_the_papers_factor(length: int, paper: float) -> None:
    for theirs, ours in zip(count("non_local", length), count("prototypical", length), strict=True):
        assert theirs / ours > paper


def test_the_papers_figures_come_out_with_keys_of_256_channels() -> None:
    for length, paper in zip(LENGTHS, PAPER["prototypical"][0], strict=True):
        assert published(length) / 1e9 == pytest.approx(paper, rel=0.025)


def test_the_fusion_is_one_convolution_of_both_values() -> None:
    assert fusion(((1, 1),)) == 2 * 512 * 256


def test_prototypes_keep_and_weigh_a_hundredth_of_what_positions_do() -> None:
    assert 20 * kept("prototypical", 8) < kept("non_local", 8)
    assert 100 * matrix("prototypical", 8) < matrix("non_local", 8) < matrix("transformer", 8)
