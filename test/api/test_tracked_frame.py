"""What was found is there as arrays of one order, and as other libraries take it."""

from __future__ import annotations

import builtins
import json
from typing import Any
from uuid import UUID

import numpy as np
import pytest
from pycocotools import mask as coco

from pcan_model.api.tracked_frame import TrackedFrame
from pcan_model.core.structures import EMPTY_MASK, Mask, TrackedInstance, Tracks, TrackState

HEIGHT, WIDTH = 20, 30


def instance(number: int, label: int, mask: Mask, state: TrackState = TrackState.TRACKED) -> TrackedInstance:
    h, w = mask.crop.shape
    box = np.array([mask.x, mask.y, mask.x + w, mask.y + h], np.float32)
    velocity = np.zeros(2, np.float32)
    return TrackedInstance(number, UUID(int=number), state, 1, 0, label, 0.5, box, velocity, mask)


def frame(*instances: TrackedInstance) -> TrackedFrame:
    image = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    return TrackedFrame(image, 0.5, 4, "4.png", Tracks(0.5, HEIGHT, WIDTH, 4, instances), ("person", "car"))


CAR = instance(3, 1, Mask(2, 4, np.ones((5, 6), np.uint8)))
LOST = instance(4, 0, EMPTY_MASK, TrackState.LOST)


def test_arrays_are_of_what_was_found_in_this_image() -> None:
    found = frame(LOST, CAR)
    assert (len(found), found.ids.tolist(), found.labels, found.class_ids.tolist()) == (1, [3], ("car",), [1])
    assert found.boxes.tolist() == [[2, 4, 8, 9]] and found.scores.tolist() == [0.5]
    assert found.masks.shape == (1, HEIGHT, WIDTH) and found.masks[0, 4:9, 2:8].all()
    assert found.masks.sum() == 30 and len(found.tracks.instances) == 2


def test_nothing_found_keeps_the_shapes() -> None:
    empty = frame()
    assert empty.masks.shape == (0, HEIGHT, WIDTH) and empty.boxes.shape == (0, 4)
    assert (empty.ids.shape, empty.class_ids.shape, empty.scores.shape) == ((0,),) * 3
    assert empty.masks.dtype == bool and empty.ids.dtype == np.int64 and empty.to_coco() == []


def test_coco_annotations_are_json_and_decode_to_the_masks() -> None:
    (entry,) = json.loads(json.dumps(frame(CAR).to_coco()))
    decoded = coco.decode(entry["segmentation"])
    assert np.array_equal(decoded, frame(CAR).masks[0])
    assert (entry["image_id"], entry["category_id"], entry["track_id"]) == (4, 2, 3)
    assert entry["bbox"] == [2, 4, 6, 5] and entry["area"] == 30
    assert frame(CAR).to_coco(image_id=77)[0]["image_id"] == 77


@pytest.mark.parametrize("instances", [(), (CAR,)])
def test_supervision_takes_ids_masks_and_names(instances: tuple[TrackedInstance, ...]) -> None:
    sv = pytest.importorskip("supervision", reason="supervision is not installed: pip install supervision")
    found = frame(*instances)
    detections = found.to_supervision()
    assert isinstance(detections, sv.Detections) and len(detections) == len(found)
    assert np.array_equal(detections.tracker_id, found.ids)
    assert np.array_equal(detections.mask, found.masks)
    assert list(detections.data["class_name"]) == list(found.labels)


def test_without_supervision_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    original = builtins.__import__

    def lacking(name: str, *rest: Any, **named: Any) -> Any:
        if name == "supervision":
            raise ModuleNotFoundError("No module named 'supervision'", name="supervision")
        return original(name, *rest, **named)

    monkeypatch.setattr(builtins, "__import__", lacking)
    with pytest.raises(ModuleNotFoundError, match="pip install supervision"):
        frame(CAR).to_supervision()
