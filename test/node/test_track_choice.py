"""`~/track_only` publishes chosen tracks, while all go on being tracked."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from uuid import UUID

import numpy as np
import pytest

from pcan_model.core.structures import EMPTY_MASK, TrackedInstance, Tracks, TrackState
from pcan_ros.node.track_choice import ChoiceError, TrackChoice

NEW, LOST, REMOVED = TrackState.NEW, TrackState.LOST, TrackState.REMOVED


def frame(index: int, states: dict[int, TrackState]) -> Tracks:
    zeros = np.zeros(4, np.float32)
    one = TrackedInstance(0, UUID(int=0), NEW, 0, 0, 0, 1.0, zeros, zeros[:2], EMPTY_MASK)
    instances = tuple(replace(one, track_id=track_id, state=state) for track_id, state in states.items())
    return Tracks(0.0, 10, 10, index, instances)


def ids(tracks: Tracks) -> list[int]:
    return [instance.track_id for instance in tracks.instances]


def test_all_tracks_are_published_until_some_are_chosen_and_again_after_none_are() -> None:
    choice = TrackChoice()
    assert ids(choice.narrow(frame(0, {1: NEW, 2: NEW, 3: LOST}))) == [1, 2, 3]
    choice.choose([2, 3])
    assert ids(choice.narrow(frame(1, {1: NEW, 2: NEW, 3: LOST}))) == [2, 3]
    choice.choose([])
    assert ids(choice.narrow(frame(2, {1: NEW, 2: NEW}))) == [1, 2]


def test_a_track_that_is_not_there_is_refused_and_changes_nothing() -> None:
    choice = TrackChoice()
    with pytest.raises(ChoiceError, match=r"^track_ids: expected some of no tracks; got 1$"):
        choice.choose([1])
    choice.narrow(frame(0, {1: NEW, 2: NEW, 4: REMOVED}))
    choice.choose([2])
    with pytest.raises(ChoiceError, match=r"^track_ids: expected some of 1, 2; got 4, 9$"):
        choice.choose([1, 4, 9])
    assert ids(choice.narrow(frame(1, {1: NEW, 2: NEW}))) == [2]


def test_a_choice_outlives_its_tracks_but_no_reset() -> None:
    choice = TrackChoice()
    choice.narrow(frame(0, {1: NEW, 2: NEW}))
    choice.choose([2])
    assert ids(choice.narrow(frame(1, {1: NEW, 2: REMOVED}))) == [2]
    assert ids(choice.narrow(frame(2, {1: NEW}))) == []
    assert ids(choice.narrow(frame(0, {1: NEW, 2: NEW}))) == [1, 2]


def test_over_dds_a_chosen_track_is_published_alone_and_keeps_its_id(tmp_path: Path) -> None:
    pytest.importorskip("rclpy")
    from pcan_ros.srv import TrackOnly
    from std_srvs.srv import Trigger
    from support.robot import image, robot
    from support.squares import export_squares, pixels

    scene = pixels({2: (5, 10), 0: (60, 20)})
    with robot(export_squares(tmp_path / "squares")) as r:

        def choose(*track_ids: int) -> TrackOnly.Response:
            return r.call(TrackOnly, "track_only", TrackOnly.Request(track_ids=track_ids))

        first = {i.track_id: i.class_name for i in r.track(image(scene, 1.0)).instances}
        car = next(track_id for track_id, name in first.items() if name == "car")
        assert len(first) == 2
        assert choose(car).success
        assert [i.track_id for i in r.track(image(scene, 1.1)).instances] == [car]
        refused = choose(car, 99)
        assert not refused.success and refused.message.endswith("got 99")
        assert [i.track_id for i in r.track(image(scene, 1.2)).instances] == [car]
        assert choose().success
        assert {i.track_id for i in r.track(image(scene, 1.3)).instances} == set(first)
        assert choose(car).success and r.call(Trigger, "reset", Trigger.Request()).success
        assert len(r.track(image(scene, 1.4)).instances) == 2
