"""COCO's stills as clips of one frame."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from pcan_model.core.config import CLASSES
from pcan_model.core.errors import DataError
from pcan_model.data.registry import open_clips, recognise

SIZE = {"height": 40, "width": 60}
CAR, PEDESTRIAN = CLASSES.index("car"), CLASSES.index("pedestrian")


def write_coco(root: Path, **changes: Any) -> Path:
    """Write two images, one with a car (a polygon) and a crowd of people (run lengths)."""
    image = np.full((40, 60, 3), 90, np.uint8)
    (root / "train2017").mkdir(parents=True)
    (root / "annotations").mkdir()
    for name in ("000000000007.jpg", "000000000009.jpg"):
        cv2.imwrite(str(root / "train2017" / name), image)
    data = {
        "images": [{"id": k, "file_name": f"{k:012d}.jpg", **SIZE} for k in (7, 9)],
        "categories": [{"id": 1, "name": "person"}, {"id": 3, "name": "car"}, {"id": 90, "name": "kite"}],
        "annotations": [
            {"id": 1, "image_id": 7, "category_id": 3, "segmentation": [[10, 5, 30, 5, 30, 25, 10, 25]]},
            {"id": 2, "image_id": 7, "category_id": 1, "iscrowd": 1,
             "segmentation": {"size": [40, 60], "counts": [0, 80, 2320]}},
            {"id": 3, "image_id": 9, "category_id": 90, "segmentation": [[1, 1, 9, 1, 9, 9]]},
        ],
    }  # fmt: skip
    (root / "annotations" / "instances_train2017.json").write_text(json.dumps(data | changes))
    return root


@pytest.mark.parametrize("split", ["train", "train2017", None])
def test_every_image_is_a_clip_of_one_frame_with_its_masks(tmp_path: Path, split: str | None) -> None:
    root = write_coco(tmp_path)
    assert recognise(root).name == "coco"
    first, second = open_clips(root, split=split)
    assert [clip.name for clip in (first, second)] == ["000000000007", "000000000009"]
    assert len(first) == len(second) == 1 and first.labelled
    frame = first.frame(0)
    assert frame.labels.tolist() == [CAR] and frame.masks[0].sum() == pytest.approx(400, abs=45)
    assert frame.ignore.sum() == 80, "the crowd"
    assert not len(second.frame(0).labels) and second.frame(0).ignore.any(), "kites are no class"


def test_the_configurations_classes_are_the_labels(tmp_path: Path) -> None:
    first, _ = open_clips(write_coco(tmp_path), names=("kite", "person", "car"))
    assert first.frame(0).labels.tolist() == [2]


def test_what_is_wrong_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"instances_train2017\.json: images: expected a list"):
        open_clips(write_coco(tmp_path / "a", images=None))
    with pytest.raises(DataError, match=r"split: expected one of \['train2017'\], got val"):
        open_clips(write_coco(tmp_path / "b"), split="val")
