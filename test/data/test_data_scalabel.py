"""Clips on disk: what is read, what is written, what is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from support.shared import DATA, needs

from pcan_model.core.config import CLASSES
from pcan_model.core.errors import DataError
from pcan_model.data.clips import IGNORE, ClipFrame, LabeledFrame, without_image
from pcan_model.data.datasets.scalabel import read_clips, read_stills, write_clip
from pcan_model.data.formats.polygons import fill_polygons

needs_shared = needs(DATA)


def make_frame(objects: int = 2) -> LabeledFrame:
    """A grey image with `objects` bars side by side and an ignored lower edge."""
    masks = np.zeros((objects, 40, 60), bool)
    for k in range(objects):
        masks[k, 5:20, 10 * k + 2 : 10 * k + 9] = True
    ignore = np.zeros((40, 60), bool)
    ignore[30:] = True
    image = np.full((40, 60, 3), 90, np.uint8)
    return LabeledFrame(image, masks, np.arange(objects) % 8, np.arange(objects) + 7, ignore)


def write_labels(root: Path, labels: Any) -> Path:
    """One video `v` of one 60 x 40 image with these labels."""
    (root / "images" / "v").mkdir(parents=True)
    (root / "labels").mkdir()
    cv2.imwrite(str(root / "images" / "v" / "0.jpg"), np.zeros((40, 60, 3), np.uint8))
    path = root / "labels" / "v.json"
    path.write_text(json.dumps([{"name": "0.jpg", "frameIndex": 0, "labels": labels}]))
    return path


def square(category: str, identity: str = "1", **more: Any) -> dict[str, Any]:
    corners = [[10, 10], [19, 10], [19, 19], [10, 19]]
    polygon = {"vertices": corners, "types": "LLLL", "closed": True}
    return {"id": identity, "category": category, "poly2d": [polygon], **more}


def test_what_is_written_is_read_again(tmp_path: Path) -> None:
    frame = make_frame()
    write_clip(tmp_path, "a", [frame, make_frame(0)])

    (clip,) = read_clips(tmp_path)

    assert (clip.name, len(clip)) == ("a", 2)
    again = clip.frame(0)
    np.testing.assert_array_equal(again.masks, frame.masks)
    np.testing.assert_array_equal(again.ids, frame.ids)
    np.testing.assert_array_equal(again.labels, frame.labels)
    np.testing.assert_array_equal(again.ignore, frame.ignore)
    assert np.abs(again.image.astype(int) - frame.image).max() <= 2  # JPEG


def test_an_empty_frame_has_no_objects_and_keeps_its_shapes(tmp_path: Path) -> None:
    write_labels(tmp_path, None)
    frame = read_clips(tmp_path)[0].frame(0)
    assert frame.masks.shape == (0, 40, 60)
    assert frame.ids.shape == frame.labels.shape == (0,)
    assert not frame.ignore.any()


@pytest.mark.parametrize(
    ("name", "meant"), [("person", "pedestrian"), ("motor", "motorcycle"), ("bike", "bicycle")]
)
def test_other_names_of_a_class_are_understood(tmp_path: Path, name: str, meant: str) -> None:
    write_labels(tmp_path, [square(name)])
    assert [CLASSES[k] for k in read_clips(tmp_path)[0].frame(0).labels] == [meant]


@pytest.mark.parametrize(
    "label",
    [
        square("car", attributes={"crowd": True}),
        square("car", ignored=True),
        square("other vehicle"),
        square("trailer"),
    ],
)
def test_ignored_never_becomes_an_object(tmp_path: Path, label: dict[str, Any]) -> None:
    write_labels(tmp_path, [label])
    frame = read_clips(tmp_path)[0].frame(0)
    assert len(frame.ids) == 0
    assert frame.ignore.sum() == 100


def test_masks_never_overlap_where_labels_do(tmp_path: Path) -> None:
    other = square("bus", "2")
    other["poly2d"][0]["vertices"] = [[15, 10], [29, 10], [29, 19], [15, 19]]
    write_labels(tmp_path, [square("car"), other])
    masks = read_clips(tmp_path)[0].frame(0).masks
    assert masks.sum(0).max() == 1
    assert masks.sum((1, 2)).tolist() == [50, 150]


def test_ids_that_are_no_numbers_last_through_the_clip(tmp_path: Path) -> None:
    path = write_labels(tmp_path, [square("car", "a-1")])
    (frame,) = json.loads(path.read_text())
    second = {**frame, "frameIndex": 1, "labels": [square("car", "a-1")]}
    path.write_text(json.dumps([frame, second]))
    (clip,) = read_clips(tmp_path)
    assert clip.frame(0).ids == clip.frame(1).ids


def test_a_curve_bulges_beyond_the_line_between_its_ends() -> None:
    corners = [[0, 20], [0, 0], [40, 0], [40, 20]]
    straight = fill_polygons([{"vertices": [corners[0], corners[3], [40, 30], [0, 30]]}], (40, 50))
    curved = fill_polygons([{"vertices": [*corners, [40, 30], [0, 30]], "types": "LCCCLL"}], (40, 50))
    assert (curved & straight).sum() == straight.sum()
    assert curved[6, 20]
    assert not curved[2, 20]


def test_a_flat_frame_holds_the_same_as_its_masks() -> None:
    frame = make_frame(3)
    clip_frame = ClipFrame(frame.image, 0, 10**9, "0.jpg", without_image(frame))
    flat, again = clip_frame.flat(), clip_frame.labeled()
    for k, mask in enumerate(frame.masks):
        np.testing.assert_array_equal(flat.index == k + 1, mask)
    np.testing.assert_array_equal(flat.index == IGNORE, frame.ignore)
    for field in ("masks", "labels", "ids", "ignore"):
        np.testing.assert_array_equal(getattr(again, field), getattr(frame, field))


def test_an_unknown_category_is_refused_with_file_and_label(tmp_path: Path) -> None:
    write_labels(tmp_path, [square("zebra")])
    with pytest.raises(DataError, match=r"v\.json: 0\.jpg: label 1: category: expected one of .*'zebra'"):
        read_clips(tmp_path)


def test_broken_json_is_refused_with_its_file(tmp_path: Path) -> None:
    write_labels(tmp_path, []).write_text('[{"name": "0.jp')
    with pytest.raises(DataError, match=r"v\.json: file: expected JSON"):
        read_clips(tmp_path)


@pytest.mark.parametrize("text", ["{}", '{"frames": 3}', "[1]", '[{"name": null}]'])
def test_json_of_another_shape_is_refused(tmp_path: Path, text: str) -> None:
    write_labels(tmp_path, []).write_text(text)
    with pytest.raises(DataError, match=r"v\.json: frames.*expected"):
        read_clips(tmp_path)


def test_a_missing_or_truncated_image_is_named(tmp_path: Path) -> None:
    write_labels(tmp_path, [])
    pixels = tmp_path / "images" / "v" / "0.jpg"
    (clip,) = read_clips(tmp_path)
    pixels.write_bytes(b"not an image")
    with pytest.raises(DataError, match=r"0\.jpg: image: expected a readable image"):
        clip.frame(0)
    pixels.unlink()
    with pytest.raises(DataError, match=r"0\.jpg: image: expected an image, got no such file"):
        clip.frame(0)


def test_a_mask_of_another_size_is_refused(tmp_path: Path) -> None:
    write_labels(tmp_path, [{"id": "3", "category": "car", "rle": {"size": [4, 4], "counts": "08"}}])
    with pytest.raises(DataError, match=r"label 3: rle\.size: expected that of the image \(40, 60\)"):
        read_clips(tmp_path)[0].frame(0)


def test_a_video_that_is_not_there_is_named(tmp_path: Path) -> None:
    write_labels(tmp_path, [])
    with pytest.raises(DataError, match="nowhere"):
        read_clips(tmp_path, videos=["nowhere"])
    with pytest.raises(DataError, match="one label file per video"):
        read_clips(tmp_path / "empty")


@needs_shared
def test_street_loads_as_its_readme_says() -> None:
    clips = read_clips(DATA / "street")
    assert {c.name: len(c) for c in clips}["kitti_0926"] == 78
    assert sum(map(len, clips)) == 544
    frame = next(c for c in clips if c.name == "kitti_0926").frame(10)
    assert frame.masks.sum(0).max() == 1
    assert frame.ignore.any()


@needs_shared
def test_the_bdd100k_clip_loads_with_all_its_objects() -> None:
    (clip,) = read_clips(DATA / "bdd100k_mots_00091078_6f")
    frames = [clip.frame(i) for i in range(len(clip))]
    labels = np.concatenate([f.labels for f in frames])
    counts = [int((labels == CLASSES.index(name)).sum()) for name in ("car", "pedestrian", "truck")]
    assert counts == [44, 34, 8]  # a crowd of pedestrians is ignored
    assert sum(bool(f.ignore.any()) for f in frames) == 1


@needs_shared
def test_polygons_and_run_lengths_of_a_still_agree() -> None:
    root = DATA / "bdd100k_stills" / "ins_seg"
    a, b = (
        read_stills(root / f, root / "images")[0].frame(0) for f in ("annotation.json", "annotation_rle.json")
    )
    drawn, stored = a.masks.any(0), b.masks.any(0)
    assert (drawn & stored).sum() / (drawn | stored).sum() > 0.97
