"""Filter of the detections of a camera by class, score, size and image region."""

from __future__ import annotations

import numpy as np
from support.scripted_engine import HEIGHT, WIDTH, ScriptedEngine, Thing, blank

from pcan_model.core.geometry import Letterbox
from pcan_model.core.structures import Detections
from pcan_model.tracking.admission import EVERYTHING, Admission, Regions
from pcan_model.tracking.tracker import Tracker

HALF = Letterbox((200, 400), (100, 200))  # the network sees half of the camera's pixels


def found(*boxes: tuple[float, ...], scores: float = 0.6) -> Detections:
    """Return detections of classes 0, 1, … with boxes in pixels of the network."""
    n = len(boxes)
    return Detections(
        np.array(boxes, np.float32).reshape(-1, 4), np.full(n, scores, np.float32), np.arange(n),
        np.zeros((n, 4), np.float32), np.arange(n)[::-1],
    )  # fmt: skip


def admitted(admission: Admission, detections: Detections) -> list[int]:
    return [int(label) for label in admission.admit(detections, HALF).labels]


THREE = found((0, 0, 10, 20), (50, 50, 60, 55), (90, 60, 190, 98))


def test_by_default_everything_is_admitted_unchanged() -> None:
    assert EVERYTHING.admit(THREE, HALF) is THREE
    assert len(EVERYTHING.admit(found(), HALF)) == 0


def test_each_class_has_its_own_lowest_score() -> None:
    assert admitted(Admission(np.array([0.5, 0.7, 0.6], np.float32)), THREE) == [0, 2]


def test_size_is_the_longer_side_in_pixels_of_the_image() -> None:
    assert admitted(Admission(least_side=40), THREE) == [0, 2]
    assert admitted(Admission(least_side=20), THREE) == [0, 1, 2]
    assert len(Admission(least_side=20).admit(found(), HALF)) == 0


def test_an_object_mostly_inside_a_polygon_is_ignored() -> None:
    bonnet = np.array([[0, 110], [400, 110], [400, 200], [0, 200]], np.int32)
    assert admitted(Admission(ignored=Regions((bonnet,))), THREE) == [0, 1], "box 1 ends where it begins"
    nearer = bonnet - [0, 20]
    assert admitted(Admission(ignored=Regions((nearer.astype(np.int32),))), THREE) == [0]


def test_an_image_of_any_size_defines_ignored_regions() -> None:
    left = np.zeros((2, 4), np.uint8)
    left[:, :2] = 255
    assert admitted(Admission(ignored=Regions(images=(left,))), THREE) == [2]


def test_the_ignored_share_is_that_of_the_pixels() -> None:
    random = np.random.default_rng(0)
    image = (random.random((200, 400)) < 0.3).astype(np.uint8)
    boxes = np.array([[3, 5, 300, 150], [-20, 0, 30, 30], [399, 199, 410, 210]], np.float32)
    shares = Regions(images=(image,)).share(boxes, 200, 400)
    wanted = [image[5:150, 3:300].mean(), image[:30, :30].mean(), image[199:, 399:].mean()]
    assert np.allclose(shares, wanted)


def test_a_box_outside_the_image_has_no_share() -> None:
    shares = Regions(images=(np.ones((2, 2), np.uint8),)).share(
        np.array([[500, 0, 600, 9]], np.float32), 20, 40
    )
    assert shares.tolist() == [0]


def test_each_camera_admits_its_own() -> None:
    thing = Thing(look=1, box=(10, 10, 40, 40))
    ignored = Regions((np.array([[0, 0], [WIDTH, 0], [WIDTH, HEIGHT], [0, HEIGHT]], np.int32),))
    tracker = Tracker(ScriptedEngine([[thing]] * 2), None, (EVERYTHING, Admission(ignored=ignored)))
    states = {camera: tracker.start(camera=camera) for camera in range(2)}
    after = tracker.step_cameras(states, {camera: blank(0.0) for camera in range(2)})
    assert [len(after[camera][1].instances) for camera in range(2)] == [1, 0]


def test_a_track_whose_class_is_no_longer_wanted_is_lost_and_comes_back() -> None:
    engine = ScriptedEngine([[Thing(look=1, box=(10, 10, 40, 40), label=2)]] * 3)
    never = Admission(np.full(8, 2.0, np.float32))
    state, first = Tracker(engine).step(Tracker(engine).start(), blank(0.0))
    state, second = Tracker(engine, None, (never,)).step(state, blank(0.1))
    _, third = Tracker(engine).step(state, blank(0.2))
    assert (len(first.found()), len(second.found())) == (1, 0)
    assert [i.track_id for i in third.found()] == [1]
