"""Effect of each setting of the association; the rules of the paper are in test_association.py."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from support.scripted_engine import ScriptedEngine, Thing, small_config

from pcan_model.core.config import Config, InputConfig
from pcan_model.core.structures import Frame, Tracks, TrackState
from pcan_model.tracking.tracker import Tracker

HEIGHT, WIDTH = 160, 320
CAR = Thing(look=1, box=(100, 60, 140, 90))
TWIN = CAR.moved(60)  # looks the same
VAN = Thing(look=2, box=(20, 60, 50, 90))
KALMAN: dict[str, Any] = {"motion": "kalman", "iou_weight": 0.5}
GATED = KALMAN | {"gate": 13.3}
NEW, TRACKED, LOST, _ = TrackState


def configured(**tracker: Any) -> Config:
    return replace(small_config(**tracker), input=InputConfig(height=HEIGHT, width=WIDTH))


def run(
    script: Sequence[Sequence[Thing]], rate: float = 10, pan: Sequence[int] = (), **tracker: Any
) -> list[Tracks]:
    """Track a script; the scene behind it moves to the left by so many pixels in all."""
    scene = cv2.cvtColor(textured(), cv2.COLOR_GRAY2RGB)
    following, said = Tracker(ScriptedEngine(script, configured(**tracker))), []
    state = following.start()
    for frame in range(len(script)):
        x = pan[frame] if pan else 0
        image = np.ascontiguousarray(scene[:, x : x + WIDTH])
        state, tracks = following.step(state, Frame(image, frame / rate))
        said.append(tracks)
    return said


def textured() -> NDArray[np.uint8]:
    """Return a wide grey scene, coarse and fine as real ones are, (HEIGHT, 640)."""
    random, size = np.random.default_rng(0), (2 * WIDTH, HEIGHT)
    layers = [
        cv2.resize(random.random((HEIGHT // k, 2 * WIDTH // k)), size, interpolation=cv2.INTER_CUBIC)
        for k in (80, 40, 16)
    ]
    return np.clip(255 * np.mean(layers, 0), 0, 255).astype(np.uint8)


def ids(tracks: Tracks) -> list[int]:
    """Return the ids of what was found, from left to right."""
    return [i.track_id for i in sorted(tracks.found(), key=lambda i: i.box[0])]


def test_an_id_does_not_change_to_an_object_out_of_reach() -> None:
    script = [[CAR], [CAR], [CAR.moved(120)]]  # gone; another one of its looks, far away

    assert ids(run(script, rate=2, iou_weight=0.0)[2]) == [1], "by looks alone, it is the only one"
    assert ids(run(script, rate=2, **GATED | {"iou_weight": 0.0})[2]) == [2]


def test_a_box_that_overlaps_the_predicted_one_is_never_gated() -> None:
    whole = replace(CAR, box=(100, 60, 160, 110))  # no longer partly hidden: IoU 0.4
    script = [*[[CAR]] * 12, [whole]]

    assert ids(run(script, rate=25, **GATED)[-1]) == [1]
    assert ids(run(script, rate=25, **GATED | {"gate_iou": 1.0})[-1]) == [2]


def test_pairs_out_of_reach_do_not_compete_by_appearance() -> None:
    script = [[CAR, TWIN.moved(60)]] * 3

    assert ids(run(script, iou_weight=0.0)[2]) != [1, 2], "each of two equal looks is worth only a half"
    assert ids(run(script, **GATED | {"iou_weight": 0.0})[2]) == [1, 2]


def test_a_pair_with_too_different_embeddings_never_matches() -> None:
    script = [[CAR], [replace(CAR, look=3)]]

    assert ids(run(script)[1]) == [1]
    assert ids(run(script, least_cosine=0.5)[1]) == [2]


@pytest.mark.parametrize("rate", [30, 10, 5])
def test_the_same_scene_has_the_same_ids_at_every_rate(rate: int) -> None:
    """A car is hidden for a second while it drives on; a van stands still."""

    def seen(time: float) -> list[Thing]:
        hidden = 1.0 < time < 2.0
        return [VAN] if hidden else [VAN, CAR.moved(40 * time)]

    script = [seen(frame / rate) for frame in range(int(2.4 * rate))]
    settings = GATED | {"lost_frames": 2, "lost_seconds": 1.5}

    assert ids(run(script, rate, **settings)[-1]) == [1, 2]
    assert ids(run(script, rate, **settings | {"lost_frames": 1, "lost_seconds": 0.5})[-1]) == [1, 3]


def test_frames_and_seconds_both_have_to_pass_before_a_track_is_removed() -> None:
    script = [[CAR, VAN], *[[VAN]] * 3, [CAR, VAN]]  # unseen for 3 frames

    assert ids(run(script, rate=1, lost_frames=5, lost_seconds=0.5)[-1]) == [2, 1]
    assert ids(run(script, rate=10, lost_frames=2, lost_seconds=5)[-1]) == [2, 1]
    assert ids(run(script, rate=10, lost_frames=2, lost_seconds=0.25)[-1]) == [2, 3]


def test_a_pan_by_the_distance_of_two_cars_keeps_the_ids() -> None:
    places, pan = [0, 0, 60, 120], (0, 0, 60, 120)
    row = [replace(CAR, box=(120, 60, 160, 90)).moved(60 * k) for k in range(3)]
    script = [[thing.moved(-shift) for thing in row] for shift in places]

    assert ids(run(script, pan=pan, **GATED, camera_motion=True)[-1]) == [1, 2, 3]
    assert ids(run(script, pan=pan, **GATED)[-1]) != [1, 2, 3], "each is where its neighbour was"


def test_a_weak_detection_at_the_predicted_position_continues_the_track_but_not_its_embedding() -> None:
    weak = replace(CAR, score=0.2, look=5)
    script = [[CAR, VAN], [weak, VAN], [CAR.moved(4), VAN]]

    assert [i.state for i in run(script)[1].instances] == [LOST, TRACKED]
    kept = run(script, second_pass="weak")
    assert [i.state for i in kept[1].instances] == [TRACKED, TRACKED]
    assert ids(kept[2]) == [2, 1]


def test_the_second_pass_takes_strong_detections_only_if_configured() -> None:
    script = [[CAR, VAN], [replace(CAR, look=5), VAN, replace(TWIN, look=1, score=0.5)]]

    assert 1 not in [i.track_id for i in run(script, second_pass="weak")[1].found() if i.box[0] == 100]
    assert 1 in [
        i.track_id for i in run(script, second_pass="all", iou_weight=0.6)[1].found() if i.box[0] == 100
    ]


def test_a_track_keeps_the_class_with_most_votes() -> None:
    truck = replace(CAR, label=3, score=0.6)
    script = [[CAR], [CAR], [truck], [truck], [truck], [truck]]

    def labels(**settings: Any) -> list[int]:
        return [tracks.found()[0].label for tracks in run(script, match_classes="any", **settings)]

    assert labels() == [2, 2, 3, 3, 3, 3]
    assert labels(class_momentum=0.3) == [2, 2, 2, 2, 3, 3]


def test_a_track_is_published_once_detected_twice_and_one_frame_tracks_never() -> None:
    ghost = replace(VAN, score=0.75)
    script = [[CAR], [CAR, ghost], [CAR], [CAR, replace(TWIN, look=3, score=0.75)]]
    script += [[CAR, replace(TWIN, look=3, score=0.75)]]

    said = run(script, confirm_frames=2, confirm_score=0.8, lost_frames=1)

    assert [ids(tracks) for tracks in said] == [[1], [1], [1], [1], [1, 3]]
    assert {i.track_id for tracks in said for i in tracks.instances} == {1, 3}, "nor is its end said"
    assert said[-1].instances[-1].state == NEW


def test_a_birth_with_a_high_score_or_at_a_low_rate_is_published_at_once() -> None:
    script = [[CAR], [CAR, VAN]]
    two: dict[str, Any] = {"confirm_frames": 2}

    assert ids(run(script, **two)[1]) == [1]
    assert ids(run(script, **two, confirm_score=0.8)[1]) == [2, 1]
    assert ids(run(script, rate=2, **two)[1]) == [2, 1]


def test_an_unconfirmed_track_hides_no_pixel() -> None:
    over = replace(VAN, box=CAR.box, score=0.95).moved(15)
    script = [[CAR], [CAR, over]]

    car = run(script, confirm_frames=2)[1].found()[0]

    assert car.mask.area == 40 * 30
