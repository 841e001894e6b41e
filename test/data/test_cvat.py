"""CVAT's XML for video: masks, polygons and boxes by track, written and read back."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from pcan_model.core.config import CLASSES
from pcan_model.core.errors import DataError
from pcan_model.core.rle import paint
from pcan_model.core.structures import Mask
from pcan_model.data.formats.cvat import MaskTrack, encode, encode_mask, read_tracks
from pcan_model.data.registry import open_clips

SIZE = (20, 30)
SHAPE = '<box frame="{frame}" outside="{outside}" xtl="2" ytl="3" xbr="12" ybr="9"/>'
FILE = """<?xml version="1.0" encoding="utf-8"?>
<annotations><version>1.1</version>
<meta><job><original_size><width>30</width><height>20</height></original_size></job></meta>
{tracks}</annotations>"""


def saved(folder: Path, tracks: str) -> Path:
    path = folder / "annotations.xml"
    path.write_text(FILE.format(tracks=tracks))
    return path


@given(arrays(np.uint8, st.tuples(st.integers(1, 6), st.integers(1, 6)), elements=st.integers(0, 1)))
def test_a_mask_is_its_runs_row_by_row_from_background_on(crop: np.ndarray) -> None:
    found = encode_mask(Mask(3, 2, crop))
    runs = [int(run) for run in found["rle"].split(",")]
    assert np.array_equal(np.repeat(np.arange(len(runs)) % 2, runs), crop.reshape(-1))
    assert [found[key] for key in ("left", "top")] == ["3", "2"]
    assert (int(found["height"]), int(found["width"])) == crop.shape


def test_a_track_with_a_gap_comes_back_and_is_outside_in_between(tmp_path: Path) -> None:
    crop = np.array([[1, 0], [1, 1]], np.uint8)
    masks = {frame: encode_mask(Mask(3 + frame, 2, crop)) for frame in (0, 1, 4)}
    text = encode([MaskTrack(7, "car", masks)], CLASSES, name="drive", frames=6, size=SIZE)
    shapes = ElementTree.fromstring(text.encode()).findall("track/mask")
    assert [(shape.get("frame"), shape.get("outside")) for shape in shapes] == [
        ("0", "0"), ("1", "0"), ("2", "1"), ("4", "0"), ("5", "1"),
    ]  # fmt: skip
    (tmp_path / "a.xml").write_text(text)
    frames = read_tracks(tmp_path / "a.xml", CLASSES)
    assert sorted(frames) == [0, 1, 4]
    index = np.zeros(SIZE, np.int16)
    paint(index, frames[4][0].rle, 1, file="a.xml", key="mask")
    assert np.array_equal(index, Mask(7, 2, crop).full(*SIZE))
    assert frames[0][0].identity == "7" and CLASSES[frames[0][0].label] == "car"


def test_polygons_and_other_classes_are_read_frame_by_frame(tmp_path: Path) -> None:
    polygon = '<polygon frame="5" outside="0" points="0.0,0.0;10.0,0.0;10.0,5.0;0.0,5.0"/>'
    mask = '<mask frame="7" outside="0" left="1" top="1" width="2" height="2" rle="0, 4"/>'
    saved(tmp_path, f'<track id="0" label="car">{polygon}</track><track id="1" label="lorry">{mask}</track>')
    (tmp_path / "images").mkdir()
    for frame in (5, 7, 9):
        cv2.imwrite(str(tmp_path / "images" / f"frame_{frame:06d}.png"), np.zeros((*SIZE, 3), np.uint8))
    (clip,) = open_clips(tmp_path)
    first, second, third = (clip.labels(index) for index in range(3))
    assert first.masks()[0][:5, :10].all() and first.masks().sum() == 50
    assert len(second) == 0 and (second.index == -1).sum() == 4, "a class that is not known is ignored"
    assert len(third) == 0 and not third.index.any()


def test_a_box_is_a_box(tmp_path: Path) -> None:
    seen, gone = SHAPE.format(frame=0, outside=0), SHAPE.format(frame=1, outside=1)
    frames = read_tracks(saved(tmp_path, f'<track id="0" label="car">{seen}{gone}</track>'), CLASSES)
    assert list(frames) == [0] and frames[0][0].box == (2, 3, 11, 8) and frames[0][0].boxed


@pytest.mark.parametrize(
    ("shape", "said"),
    [
        ('<mask frame="0" left="1" top="1" width="2" height="2" rle="0,5"/>', "runs that fill a part"),
        ('<mask frame="0" left="29" top="1" width="2" height="2" rle="0,4"/>', "runs that fill a part"),
        ('<mask frame="0" left="1" top="1" width="2" height="2" rle="0,-4"/>', "whole numbers as rle"),
        ('<polygon frame="0" points="1,2;3"/>', "2 finite numbers"),
        ('<polygon frame="0" points="1,2;3,4"/>', "3 corners or more"),
        ('<box frame="0" xtl="nan" ytl="0" xbr="1" ybr="1"/>', "4 finite numbers"),
        ('<box frame="0" rotation="3" xtl="0" ytl="0" xbr="1" ybr="1"/>', "without rotation"),
        ('<points frame="0" points="1,2"/>', "one of mask, polygon, box"),
        ('<box frame="-1"/>', "whole numbers from 0 up"),
    ],
)
def test_a_shape_that_cannot_be_read_is_named(tmp_path: Path, shape: str, said: str) -> None:
    path = saved(tmp_path, f'<track id="3" label="car">{shape}</track>')
    with pytest.raises(DataError, match=f"annotations.xml: track 3: .*{said}"):
        read_tracks(path, CLASSES)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("<annotations>", "expected XML, got"),
        ('<!DOCTYPE a [<!ENTITY x "y">]><annotations/>', "without document types"),
        ("<annotations><image/></annotations>", "of another kind"),
        ("<annotations><track/></annotations>", "original_size: expected height and width"),
    ],
)
def test_another_file_is_refused(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "a.xml").write_text(text)
    with pytest.raises(DataError, match=said):
        read_tracks(tmp_path / "a.xml", CLASSES)
