"""Decoders of masks and images: any input gives a correct value or DataError, quickly and within bounds."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some
from hypothesis.extra.numpy import arrays
from pycocotools import mask as coco

from pcan_model.core import rle
from pcan_model.core.config import CLASSES
from pcan_model.core.errors import DataError
from pcan_model.data.files import read_unchanged
from pcan_model.data.formats import bdd100k, kitti_mots, polygons
from pcan_model.data.image_decoding import BadImage, decode

SMALL = some.tuples(some.integers(1, 12), some.integers(1, 12))
MASKS = SMALL.flatmap(lambda size: arrays(np.uint8, size, elements=some.integers(0, 1)))
COUNTS = some.one_of(
    some.text(max_size=40),
    some.text(some.characters(min_codepoint=48, max_codepoint=111), max_size=40),
    some.lists(some.integers(-5, 200), max_size=20),
    some.sampled_from([None, 5, 10**12, 0.5, True, {}, [0.5], ["1"], [True], "o" * 10**5]),
)
SIDES = some.one_of(some.integers(-2, 2**40), some.sampled_from([96, 96.0, 0.5, "96", None, True, [96]]))


@settings(max_examples=300, deadline=500)
@given(MASKS)
def test_every_mask_comes_back_compressed_or_not(mask: Any) -> None:
    run = rle.encode(mask)
    np.testing.assert_array_equal(coco.decode(rle.check(run, file="f", key="k")), mask)
    plain = run | {"counts": rle.run_lengths(run["counts"].encode())}
    np.testing.assert_array_equal(coco.decode(rle.check(plain, file="f", key="k")), mask)


@settings(max_examples=500, deadline=500)
@given(SMALL, COUNTS)
def test_any_counts_are_a_mask_of_their_size_or_a_data_error(size: tuple[int, int], counts: Any) -> None:
    try:
        run = rle.check({"size": list(size), "counts": counts}, file="f", key="k")
    except DataError as error:
        assert str(error).startswith("f: k.counts: expected run lengths that cover ")
    else:
        assert coco.decode(run).shape == size


@settings(max_examples=300, deadline=500)
@given(SIDES, SIDES)
def test_any_size_is_one_of_an_image_or_a_data_error(height: Any, width: Any) -> None:
    size = rle.size_from(height, width)
    if size is None:
        with pytest.raises(DataError, match=r"f: k\.size: expected \[height, width\], at most"):
            rle.check({"size": [height, width], "counts": "0"}, file="f", key="k")
    else:
        assert size == (height, width) and 0 < size[0] * size[1] <= rle.MOST_PIXELS


@settings(max_examples=300, deadline=500)
@given(
    some.lists(
        some.one_of(
            some.lists(some.floats(-1e7, 1e7) | some.integers(-50, 50), max_size=14),
            some.sampled_from([None, 7, "a", [None] * 6, [[1, 2]] * 6, [float("nan")] * 6]),
        ),
        max_size=3,
    )
)
def test_any_polygons_are_a_mask_or_a_value_error(parts: list[Any]) -> None:
    try:
        run, left_out = polygons.run_lengths(parts, (24, 60))
    except ValueError:
        return
    assert left_out == (sum(len(part) < 6 for part in parts) if parts else 1)
    assert (run is None) == all(len(part) < 6 for part in parts)
    assert run is None or coco.decode(run).shape == (24, 60)


VERTEX = some.one_of(
    some.lists(some.floats(-1e7, 1e7) | some.integers(-9, 70), min_size=2, max_size=2),
    some.sampled_from([None, [], [1], [1, 2, 3], ["1", 2], [float("inf"), 1], "12"]),
)


@settings(max_examples=300, deadline=500)
@given(some.lists(VERTEX, max_size=8), some.sampled_from([None, "", "L", "LCCC", "LLLL", "CCCC", "X", 5]))
def test_any_vertices_are_filled_or_a_value_error(vertices: list[Any], types: Any) -> None:
    try:
        filled = polygons.fill_polygons([{"vertices": vertices, "types": types}], (24, 60))
    except ValueError:
        return
    assert filled.shape == (24, 60) and (len(vertices) >= 3 or not filled.any())


@settings(max_examples=200, deadline=500)
@given(arrays(np.uint16, SMALL), arrays(np.uint8, SMALL.map(lambda size: (*size, 4))))
def test_any_image_of_values_is_labels_or_names_each_wrong_one(values: Any, rgba: Any) -> None:
    errors: list[DataError] = []
    frame = kitti_mots.from_values(values, CLASSES, "f", errors.append)
    right = [v for v in np.unique(values).tolist() if v == 0 or v == 10_000 or v // 1000 in (1, 2)]
    assert len(errors) == len(np.unique(values)) - len(right)
    assert sorted(frame.ids.tolist()) == [v for v in right if v not in (0, 10_000)]
    try:
        again = bdd100k.from_bitmask(rgba, CLASSES, "f", errors.append)
    except DataError as error:
        assert "expected one category and one set of attributes" in str(error)
    else:
        assert again.index.shape == rgba.shape[:2] and len(set(again.ids.tolist())) == len(again)


IMAGE_SUFFIXES = {
    end: cv2.imencode(end, np.full((9, 16, 3), 77, np.uint8))[1].tobytes()
    for end in (".png", ".jpg", ".bmp", ".webp", ".tiff")
}


@settings(max_examples=200, deadline=2000, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    some.sampled_from(list(IMAGE_SUFFIXES)), some.integers(0, 400), some.binary(max_size=20), some.booleans()
)
def test_any_bytes_are_an_image_or_an_error_for_data_sets_and_the_node(
    tmp_path: Path, end: str, place: int, junk: bytes, cut: bool
) -> None:
    whole = IMAGE_SUFFIXES[end]
    data = whole[:place] + junk + (b"" if cut else whole[place + len(junk) :])
    (tmp_path / f"a{end}").write_bytes(data)
    try:
        assert read_unchanged(tmp_path / f"a{end}").size
    except DataError as error:
        assert "an image" in str(error) or "readable" in str(error) or "whole jpeg" in str(error)
    try:
        assert decode(SimpleNamespace(format="", data=np.frombuffer(data, np.uint8))).ndim == 3
    except BadImage as error:
        assert "data: expected a" in str(error)
