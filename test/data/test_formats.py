"""Label formats: what is encoded is decoded again, bounds hold, and what is broken is named."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pycocotools import mask as coco

from pcan_model.core import rle
from pcan_model.core.config import CLASSES
from pcan_model.core.errors import DataError
from pcan_model.data.formats import bdd100k, kitti_mots, scalabel, youtube_vis
from pcan_model.data.formats.identities import IdAllocator
from pcan_model.data.formats.labels import (
    BACKGROUND,
    IGNORE,
    FrameLabels,
    from_masks,
    labelled,
    unique_values,
)

PEDESTRIAN, CAR, TRUCK = (CLASSES.index(name) for name in ("pedestrian", "car", "truck"))
INDEX = np.array(
    [
        [0, 1, 1, 0, 0],
        [0, 1, 2, 2, 0],
        [3, 3, 2, 0, -1],
    ],
    np.int16,
)


def frame(*labels: int, ids: tuple[int, ...] = (4, 9, 12)) -> FrameLabels:
    return labelled(INDEX, labels or (CAR, PEDESTRIAN, TRUCK), ids)


def assert_same(a: FrameLabels, b: FrameLabels) -> None:
    """Equal but for the order of the objects."""
    order_a, order_b = np.argsort(a.ids), np.argsort(b.ids)
    for name in ("labels", "ids", "ignored"):
        np.testing.assert_array_equal(getattr(a, name)[order_a], getattr(b, name)[order_b], name)
    np.testing.assert_array_equal(a.masks()[order_a], b.masks()[order_b])
    np.testing.assert_array_equal(a.index == IGNORE, b.index == IGNORE)


def test_overlaps_go_to_the_higher_score() -> None:
    masks = np.zeros((2, 1, 3), bool)
    masks[0, 0, :2], masks[1, 0, 1:] = True, True
    two = {"labels": np.array([CAR, CAR]), "ids": np.array([1, 2])}
    assert from_masks(masks, **two, scores=np.array([0.9, 0.4])).index.tolist() == [[1, 1, 2]]
    assert from_masks(masks, **two).index.tolist() == [[1, 2, 2]]


def test_values_of_an_image_are_those_that_numpy_finds() -> None:
    pixels = np.random.default_rng(0).integers(0, 4, (7, 9)).astype(np.uint16)
    values, which = unique_values(pixels)
    np.testing.assert_array_equal(values, np.unique(pixels))
    np.testing.assert_array_equal(values[which], pixels)


def test_an_ignored_object_counts_no_more() -> None:
    shown = labelled(INDEX, [CAR, CAR, CAR], [1, 2, 3], [False, True, False]).objects()
    assert shown.ids.tolist() == [1, 3]
    assert ((shown.index == IGNORE) == ((INDEX == 2) | (INDEX == IGNORE))).all()


def test_run_lengths_are_those_of_pycocotools_and_come_back() -> None:
    for k, run in enumerate(rle.encode_objects(frame().index, len(frame()))):
        expected = coco.encode(np.asfortranarray(k + 1 == INDEX, np.uint8))
        assert run == {"size": [3, 5], "counts": expected["counts"].decode()}
        index = np.zeros((3, 5), np.int16)
        rle.paint(index, run, 7, file="f", key="k")
        np.testing.assert_array_equal(index == 7, k + 1 == INDEX)


def test_long_run_lengths_are_read_as_pycocotools_writes_them() -> None:
    rng = np.random.default_rng(0)
    for share in (0.001, 0.1, 0.9):
        mask = np.asfortranarray(rng.random((211, 307)) < share, np.uint8)
        flat = np.concatenate([[0], mask.ravel(order="F"), [2]])
        changes = np.flatnonzero(np.diff(flat.astype(int)))
        assert rle.run_lengths(coco.encode(mask)["counts"]) == np.diff(changes, prepend=0).tolist()


@pytest.mark.parametrize("counts", ["0Z1", "", "\x00\xff", [3, 13], [3, -3, 15], None])
def test_run_lengths_that_do_not_cover_the_image_are_refused(counts: object) -> None:
    with pytest.raises(DataError, match=r"f: k\.counts: expected run lengths that cover \(3, 5\), got"):
        rle.paint(np.zeros((3, 5), np.int16), {"size": [3, 5], "counts": counts}, 1, file="f", key="k")


def test_numbers_keep_what_fits_and_is_free() -> None:
    numbers = IdAllocator(1, 5)
    assert [numbers.of(i) for i in (3, 900, 1, 900, 2)] == [3, 1, 2, 1, 4]
    assert numbers.of(-1) == 5
    with pytest.raises(OverflowError, match="at most 5"):
        numbers.of(77)


def test_kitti_mots_values_are_class_times_1000_plus_id_and_10000_where_ignored() -> None:
    values = kitti_mots.to_values(frame(), CLASSES, kitti_mots.Identities())
    assert values.dtype == np.uint16
    assert values.tolist() == [  # a truck is no class of KITTI-MOTS
        [0, 1004, 1004, 0, 0],
        [0, 1004, 2009, 2009, 0],
        [10000, 10000, 2009, 0, 10000],
    ]
    dropped = kitti_mots.to_values(frame(), CLASSES, kitti_mots.Identities(), other=BACKGROUND)
    assert dropped[2].tolist() == [0, 0, 2009, 0, 10000]


def test_kitti_mots_images_come_back_with_whole_values_as_ids() -> None:
    values = kitti_mots.to_values(frame(CAR, PEDESTRIAN, CAR), CLASSES, kitti_mots.Identities())
    again = kitti_mots.from_values(values, CLASSES, "f")
    assert_same(again, frame(CAR, PEDESTRIAN, CAR, ids=(1004, 2009, 1012)))
    np.testing.assert_array_equal(kitti_mots.to_values(again, CLASSES, kitti_mots.Identities()), values)


def test_kitti_mots_lines_hold_the_same_as_its_images(tmp_path: Path) -> None:
    lines = kitti_mots.to_lines(frame(), 3, CLASSES, kitti_mots.Identities())
    assert [line.split()[:5] for line in lines] == [
        ["3", "1004", "1", "3", "5"],
        ["3", "2009", "2", "3", "5"],
        ["3", "10000", "10", "3", "5"],
    ]
    file = tmp_path / "0000.txt"
    file.write_text("\n".join(lines))
    values = kitti_mots.to_values(frame(), CLASSES, kitti_mots.Identities())
    decoded = kitti_mots.from_lines(kitti_mots.read_lines(file)[3], (3, 5), CLASSES)
    assert_same(decoded, kitti_mots.from_values(values, CLASSES, "f"))


def test_kitti_mots_numbers_every_class_on_its_own_and_stops_at_999() -> None:
    identities = kitti_mots.Identities()
    assert [identities.value(1, 5000), identities.value(2, 5000), identities.value(1, 5000)] == [
        1000,
        2000,
        1000,
    ]
    for identity in range(999):
        identities.value(1, 10_000 + identity)
    with pytest.raises(OverflowError, match="at most 1000"):
        identities.value(1, 77_000)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("0 1001 1 3 5", "line 1: fields: expected time, id, class"),
        ("0 1001 2 3 5 09", "line 1: class: expected that of the id 1001, 1, got 2"),
    ],
)
def test_a_broken_line_is_named(tmp_path: Path, line: str, message: str) -> None:
    (tmp_path / "0000.txt").write_text(line)
    with pytest.raises(DataError, match=message):
        kitti_mots.read_lines(tmp_path / "0000.txt")


def test_an_unknown_kitti_mots_class_is_named() -> None:
    with pytest.raises(DataError, match=r"f: class: expected one of .*car.*, got value 3001"):
        kitti_mots.from_values(np.full((2, 2), 3001, np.uint16), CLASSES, "f")


def test_a_class_the_configuration_lacks_is_ignored() -> None:
    values = kitti_mots.to_values(frame(), CLASSES, kitti_mots.Identities())
    only = kitti_mots.from_values(values, ["pedestrian"], "f")
    assert (
        only.labels.tolist() == [0] and ((only.index == IGNORE) == (values == 1004) | (values > 9999)).all()
    )


def test_a_bitmask_is_category_attributes_and_id() -> None:
    marked = labelled(INDEX, [CAR, PEDESTRIAN, TRUCK], [300, 9, 12], [False, False, True])
    pixels = bdd100k.to_bitmask(marked, CLASSES, bdd100k.identities())
    assert pixels[0, 1].tolist() == [3, 0, 1, 44]  # 300 = 1 * 256 + 44
    assert pixels[1, 2].tolist() == [1, 0, 0, 9]
    assert pixels[2, 0].tolist() == [4, 3, 0, 12]  # crowd and ignored
    assert pixels[0, 0].tolist() == [0, 0, 0, 0]
    again = bdd100k.from_bitmask(pixels, CLASSES, "f")
    assert again.ids.tolist() == [9, 12, 300, 65535] and again.ignored.tolist() == [False, True, False, True]
    assert_same(again.objects(), marked.objects())


def test_the_official_colour_of_a_bitmask_is_understood() -> None:
    pixels = np.array([[[15, 8, 1, 44]]], np.uint8)  # of the toolkit's own test: truncated, id 300
    parsed = bdd100k.parse(pixels, "f")
    assert (parsed.categories.tolist(), parsed.attributes.tolist(), parsed.ids.tolist()) == ([15], [8], [300])
    with pytest.raises(DataError, match="f: id 300: category: expected 1 to 8, got 15"):
        bdd100k.from_bitmask(pixels, CLASSES, "f")


def test_an_id_of_two_categories_is_refused() -> None:
    with pytest.raises(DataError, match=r"f: id 7: expected one category .*, got \[\(1, 0\), \(3, 0\)\]"):
        bdd100k.parse(np.array([[[1, 0, 0, 7], [3, 0, 0, 7]]], np.uint8), "f")


@pytest.mark.parametrize("empty", [labelled(np.zeros((3, 5), np.int16), [], [])])
def test_a_frame_without_objects_stays_one_in_every_format(empty: FrameLabels) -> None:
    values = kitti_mots.to_values(empty, CLASSES, kitti_mots.Identities())
    assert_same(kitti_mots.from_values(values, CLASSES, "f"), empty)
    assert kitti_mots.to_lines(empty, 0, CLASSES, kitti_mots.Identities()) == []
    pixels = bdd100k.to_bitmask(empty, CLASSES, bdd100k.identities())
    assert_same(bdd100k.from_bitmask(pixels, CLASSES, "f"), empty)
    assert scalabel.encode(empty, CLASSES, name="n", video="v", time=0)["labels"] == []


def test_scalabel_entries_come_back_ignored_ones_too() -> None:
    marked = labelled(INDEX, [CAR, PEDESTRIAN, TRUCK], [4, 9, 12], [False, False, True])
    entry = scalabel.encode(marked, CLASSES, name="n", video="v", time=2)
    assert (entry["name"], entry["videoName"], entry["frameIndex"]) == ("n", "v", 2)
    assert entry["labels"][0]["box2d"] == {"x1": 1, "y1": 0, "x2": 2, "y2": 1}
    labels = scalabel.labels_of(json.loads(json.dumps(entry)), CLASSES, "s")
    again = scalabel.decode(labels, (3, 5), scalabel.number_ids([labels]), "s")
    assert again.ignored.tolist() == [False, False, True, True]
    assert_same(again.objects(), marked.objects())


def test_a_score_stands_beside_a_prediction_only() -> None:
    predicted = FrameLabels(
        INDEX, *(np.array(v) for v in ([2, 0, 3], [1, 2, 3], [False] * 3, [0.5, 0.25, 1.0]))
    )
    labels = scalabel.encode(predicted, CLASSES, name="n", video="v", time=0)["labels"]
    assert [label.get("score") for label in labels[:3]] == [0.5, 0.25, None]


def test_a_box_alone_is_ignored_and_no_background() -> None:
    entry = {"id": 1, "category": "car", "box2d": {"x1": 1, "y1": 0, "x2": 2, "y2": 1}}
    labels = scalabel.labels_of({"labels": [entry]}, CLASSES, "s")
    shown = scalabel.decode(labels, (3, 5), {"1": 1}, "s").objects()
    assert len(shown) == 0
    assert np.argwhere(shown.index == IGNORE).tolist() == [[0, 1], [0, 2], [1, 1], [1, 2]]


def test_training_gets_boxes_whole_however_they_overlap() -> None:
    def entry(identity: int, x1: float, y1: float, x2: float, y2: float, **more: Any) -> dict[str, Any]:
        box = {"x1": x1, "y1": y1, "x2": x2, "y2": y2}
        return {"id": identity, "category": "car", "box2d": box, **more}

    outline = {"vertices": [[0, 0], [1, 0], [1, 0], [0, 0]]}
    entries = [
        entry(1, 0, 0, 1, 0, poly2d=[outline]), entry(2, 1, 0, 2, 1.2), entry(3, -1, 0, 9, 9),
        entry(4, 4, 2, 4, 2, ignored=True),
    ]  # fmt: skip
    labels = scalabel.labels_of({"labels": entries}, CLASSES, "s")
    frame = scalabel.decode(labels, (3, 5), {str(k): k for k in range(1, 5)}, "s")

    shown = frame.objects(boxed=True)
    assert shown.ids.tolist() == [3, 2, 1] and shown.boxed.tolist() == [True, True, False]
    np.testing.assert_allclose(shown.boxes[:2], [[0, 0, 5, 3], [1, 0, 3, 2.2]])
    assert shown.index.tolist() == [[3, 3, 2, 1, 1], [1, 2, 2, 1, 1], [1, 1, 1, 1, IGNORE]]

    judged = frame.objects()
    assert judged.ids.tolist() == [1]
    np.testing.assert_array_equal(judged.index == IGNORE, shown.index != 3)


def write_videos(tmp_path: Path, frames: list[FrameLabels], **changes: Any) -> Path:
    tubes = youtube_vis.Tubes()
    for one in frames:
        tubes.add(one)
    data = {
        "videos": [tubes.video(1, [f"v/{k}.jpg" for k in range(len(frames))])],
        "categories": youtube_vis.categories(CLASSES),
        "annotations": tubes.annotations(1, range(1, len(CLASSES) + 1), 1),
    }
    file = tmp_path / "instances.json"
    file.write_text(json.dumps(data | changes))
    return file


def test_youtube_vis_tubes_come_back(tmp_path: Path) -> None:
    second = labelled(np.roll(INDEX, 1, 1), [CAR, PEDESTRIAN, TRUCK], [4, 12, 9])  # one stays, two are new
    (video,) = youtube_vis.read_videos(write_videos(tmp_path, [frame(), second]), CLASSES)
    assert (video.name, video.size, len(video.instances)) == ("v", (3, 5), 6)  # with the ignored region
    for time, one in enumerate((frame(), second)):
        again = youtube_vis.decode(video, time).objects()
        np.testing.assert_array_equal(again.masks(), one.masks())
        np.testing.assert_array_equal(again.labels, one.labels)
        np.testing.assert_array_equal(again.index == IGNORE, one.index == IGNORE)
    ids = [youtube_vis.decode(video, time).ids.tolist() for time in (0, 1)]
    assert set(ids[0][:3]) & set(ids[1][:3]) == {ids[0][0]}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"annotations": 7}, "annotations: expected a list, got int"),
        ({"categories": None}, "categories: expected a list, got NoneType"),
        ({"categories": [{"id": 1, "name": "ape"}]}, r"categories: expected some of the classes .*'ape'"),
        ({"videos": []}, r"annotations.video_id: expected an id of videos, got \[1\]"),
    ],
)
def test_a_broken_youtube_vis_file_is_named(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError, match=message):
        youtube_vis.read_videos(write_videos(tmp_path, [frame()], **changes), CLASSES)


def test_other_names_and_polygons_of_youtube_vis_are_understood(tmp_path: Path) -> None:
    square = [[1.0, 0.0, 4.0, 0.0, 4.0, 2.0, 1.0, 2.0]]
    annotation = {"id": 5, "video_id": 1, "category_id": 6, "segmentations": [square]}
    categories = [{"id": 6, "name": "sedan"}, {"id": 7, "name": "ape"}]
    changes = {"categories": categories, "annotations": [annotation, annotation | {"category_id": 7}]}
    (video,) = youtube_vis.read_videos(write_videos(tmp_path, [frame()], **changes), CLASSES)
    shown = youtube_vis.decode(video, 0)
    assert shown.labels.tolist() == [CAR] and (shown.index == 1).sum() == 6
