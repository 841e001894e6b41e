"""Persons on two-wheelers are riders, on boxes whose answer is plain, and in matching."""

from __future__ import annotations

import numpy as np
import pytest
from support.associating import f32

from pcan_model.core.config import CLASSES
from pcan_model.core.structures import Detections, Track
from pcan_model.core.tracker_config import TrackerConfig
from pcan_model.tracking.association import NONE, match
from pcan_model.tracking.riders import label_riders, matching_classes, rides

PERSON = (100, 100, 150, 220)
BICYCLE = (90, 160, 160, 230)


def seen(*things: tuple[str, tuple[float, ...], float]) -> Detections:
    boxes = f32([box for _, box, _ in things]).reshape(-1, 4)
    labels = np.array([CLASSES.index(name) for name, _, _ in things], np.int64)
    embeds = np.eye(8, dtype=np.float32)[: len(things)] * 10
    return Detections(boxes, f32([score for *_, score in things]), labels, embeds, np.arange(len(things)))


def names(found: Detections) -> list[str]:
    return [CLASSES[label] for label in found.labels]


@pytest.mark.parametrize("wheels", ["bicycle", "motorcycle"])
def test_a_person_on_a_two_wheeler_is_a_rider(wheels: str) -> None:
    found = label_riders(seen(("pedestrian", PERSON, 0.9), (wheels, BICYCLE, 0.4)), CLASSES)

    assert names(found) == ["rider", wheels]


@pytest.mark.parametrize(
    ("wheels", "why"),
    [
        ((160, 160, 230, 230), "beside the person"),
        ((90, 100, 160, 230), "as high as the person"),
        ((90, 100, 160, 180), "ends above the feet"),
        ((90, 225, 160, 290), "below the feet"),
        ((110, 205, 140, 222), "too small to ride on"),
        ((145, 160, 215, 230), "shares a sliver"),
    ],
)
def test_a_person_near_a_two_wheeler_stays_a_pedestrian(wheels: tuple[float, ...], why: str) -> None:
    found = label_riders(seen(("pedestrian", PERSON, 0.9), ("bicycle", wheels, 0.9)), CLASSES)

    assert names(found) == ["pedestrian", "bicycle"], why


def test_a_doubtful_two_wheeler_makes_no_rider() -> None:
    found = label_riders(seen(("pedestrian", PERSON, 0.9), ("bicycle", BICYCLE, 0.29)), CLASSES)

    assert names(found) == ["pedestrian", "bicycle"]


def test_a_person_without_a_two_wheeler_is_a_pedestrian_whatever_the_network_says() -> None:
    found = label_riders(seen(("rider", PERSON, 0.9), ("bicycle", (300, 160, 370, 230), 0.9)), CLASSES)

    assert names(found) == ["pedestrian", "bicycle"]


def test_only_persons_become_riders() -> None:
    found = label_riders(seen(("car", PERSON, 0.9), ("bicycle", BICYCLE, 0.9)), CLASSES)

    assert names(found) == ["car", "bicycle"]


def test_classes_without_riders_and_empty_frames_are_left_unchanged() -> None:
    pair = seen(("pedestrian", PERSON, 0.9), ("bicycle", BICYCLE, 0.9))

    assert label_riders(pair, [*CLASSES[:1], "person", *CLASSES[2:]]) is pair
    assert not len(label_riders(seen(), CLASSES))


def test_riding_does_not_depend_on_where_in_the_image_or_at_which_size() -> None:
    people, wheels = f32([PERSON, PERSON]), f32([BICYCLE, (300, 160, 370, 230), (0, 0, 0, 0)])
    expected = [[True, False, False]] * 2

    assert rides(people, wheels).tolist() == expected
    assert rides(people * 3 + 40, wheels * 3 + 40).tolist() == expected


@pytest.mark.parametrize("grouped", [True, False])
def test_a_rider_continues_the_track_of_a_pedestrian_only_where_classes_are_grouped(grouped: bool) -> None:
    person = seen(("pedestrian", PERSON, 0.9))
    still = np.zeros(2, np.float32)
    label = CLASSES.index("pedestrian")
    known = Track(
        1,
        0,
        person.boxes[0],
        label=label,
        score=0.9,
        velocity=still,
        stamp=0.0,
        embed=person.embeds[0],
        born=0,
        seen=0,
    )
    rider = label_riders(seen(("pedestrian", PERSON, 0.9), ("bicycle", BICYCLE, 0.8)), CLASSES)
    groups = matching_classes(CLASSES) if grouped else None

    assigned = match(rider, [known], [], stamp=0.1, config=TrackerConfig(), groups=groups)

    assert assigned.tolist() == [0 if grouped else NONE, NONE]
