"""Conversions as the official tools do them: cases of the BDD100K toolkit, and one clip in four formats."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from pycocotools import mask as coco
from support.shared import DATA, needs

from pcan_model.core import rle
from pcan_model.core.config import CLASSES
from pcan_model.data.datasets.bdd100k import read_bitmask
from pcan_model.data.formats import bdd100k, kitti_mots, scalabel, youtube_vis
from pcan_model.data.formats.labels import FrameLabels

TOOLKIT = DATA / "official_bdd100k_tests" / "label"
GOLDEN = DATA / "golden_mots" / "bdd100k_00091078_6f_seed0"
VIDEO, SIZE, PER_VIDEO = "00091078-875c1f73", (720, 1280), 3
needs_toolkit = pytest.mark.skipif(not TOOLKIT.is_dir(), reason=f"no cases of the toolkit at {TOOLKIT}")
needs_golden = needs(GOLDEN)


def polygons(file: Path) -> FrameLabels:
    labels = scalabel.labels_of(scalabel.read_frames(file)[0], CLASSES, "s")
    return scalabel.decode(labels, SIZE, scalabel.number_ids([labels]), "s")


@needs_toolkit
@pytest.mark.parametrize("number", [1, 2])
def test_bitmasks_become_the_run_lengths_that_the_toolkit_makes(number: int) -> None:
    pixels = read_bitmask(TOOLKIT / "seg_track" / "masks" / "0" / f"0-{number}.png")
    frame = bdd100k.from_bitmask(pixels, CLASSES, "f")
    assert frame.ids.tolist() == list(range(1, 11))  # ten labels, as its test counts
    ids = (pixels[..., 2].astype(int) << 8) + pixels[..., 3]
    for identity, label, run in zip(
        frame.ids, frame.labels, rle.encode_objects(frame.index, len(frame)), strict=True
    ):
        expected = coco.encode(np.asfortranarray(ids == identity, np.uint8))
        assert run["counts"] == expected["counts"].decode()
        assert set(pixels[ids == identity, 0].tolist()) == {label + 1}


@needs_toolkit
@pytest.mark.parametrize("number", [1, 2])
def test_run_lengths_become_the_bitmask_they_came_from(number: int) -> None:
    pixels = read_bitmask(TOOLKIT / "seg_track" / "masks" / "0" / f"0-{number}.png")
    entry = scalabel.encode(bdd100k.from_bitmask(pixels, CLASSES, "f"), CLASSES, name="n", video="0", time=0)
    labels = scalabel.labels_of(entry, CLASSES, "s")
    frame = scalabel.decode(labels, SIZE, scalabel.number_ids([labels]), "s")
    again = bdd100k.to_bitmask(frame, CLASSES, bdd100k.identities())
    pixels[(pixels[..., 2] == 0) & (pixels[..., 3] == 0)] = 0  # a category without an id is background
    np.testing.assert_array_equal(again, pixels)


@needs_toolkit
def test_polygons_are_filled_as_the_toolkit_fills_them_but_for_edges() -> None:
    frame = polygons(TOOLKIT / "example_annotation.json")
    official = bdd100k.parse(read_bitmask(TOOLKIT / "bitmasks" / "quasi-video" / "segtrack_bitmask.png"), "f")
    assert frame.ids.tolist() == official.ids.tolist()  # two polygons of one id are one object
    for k, least in enumerate((0.99, 0.96, 0.93)):  # the last is five slivers
        ours, theirs = frame.index == k + 1, official.index == k + 1
        assert (ours & theirs).sum() / (ours | theirs).sum() > least


@needs_golden
def test_one_clip_is_the_same_in_four_formats() -> None:
    frames = scalabel.read_frames(GOLDEN / "scalabel" / "gt.json")
    labels = [scalabel.labels_of(frame, CLASSES, "s") for frame in frames]
    ids = scalabel.number_ids(labels)
    lines = kitti_mots.read_lines(GOLDEN / "kitti_mots" / "gt" / "label_02" / "0001.txt")
    videos = youtube_vis.read_videos(GOLDEN / "youtube_vis" / "instances.json", CLASSES)
    assert len({video.name for video in videos}) == len(videos) == 2
    for time, frame in enumerate(frames):
        first = scalabel.decode(labels[time], SIZE, ids, "s")
        name = Path(frame["name"]).with_suffix(".png")
        bitmask = read_bitmask(GOLDEN / "bdd100k_bitmask" / "gt" / VIDEO / name)
        tube = youtube_vis.decode(videos[time // PER_VIDEO], time % PER_VIDEO)
        expected = shown(first)
        assert shown(bdd100k.from_bitmask(bitmask, CLASSES, "f")) == expected
        assert shown(tube) == expected
        kitti = kitti_mots.from_lines(lines[time], SIZE, CLASSES)
        assert shown(kitti) == {entry for entry in expected if CLASSES[entry[0]] in kitti_mots.CATEGORIES}


def shown(frame: FrameLabels) -> set[tuple[int, bytes]]:
    """Class and mask of every object that counts."""
    objects = frame.objects()
    return {(int(label), mask.tobytes()) for label, mask in zip(objects.labels, objects.masks(), strict=True)}
