from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import fields, is_dataclass, replace
from typing import Any
from uuid import UUID, uuid5

import numpy as np
import pytest
from support.scripted_engine import ScriptedEngine, Thing, blank, small_config

from pcan_model.core.config import FrameAttentionConfig
from pcan_model.core.structures import Frame, Tracks, TrackState
from pcan_model.tracking.tracker import Stopwatch, Tracker

SESSION = UUID(int=7)
CAR = Thing(look=1, box=(10, 10, 30, 20))
VAN = Thing(look=2, box=(60, 30, 80, 50))
BUS = Thing(look=3, box=(10, 40, 30, 60))
NEW, TRACKED, LOST, REMOVED = TrackState


def run(script: Sequence[Sequence[Thing]], **settings: Any) -> list[Tracks]:
    """Track a script at 10 frames a second."""
    return follow(ScriptedEngine(script, small_config(**settings)), len(script))


def follow(engine: ScriptedEngine, frames: int) -> list[Tracks]:
    tracker, said = Tracker(engine), []
    state = tracker.start(SESSION)
    for index in range(frames):
        state, tracks = tracker.step(state, blank(index / 10))
        said.append(tracks)
    return said


def states(said: Sequence[Tracks], track_id: int) -> list[TrackState | None]:
    """Return a track's state in every frame, None where nothing is said of it."""
    return [next((i.state for i in t.instances if i.track_id == track_id), None) for t in said]


def same(a: Any, b: Any) -> bool:
    """Compare two values field by field, arrays element by element."""
    if is_dataclass(a):
        return type(a) is type(b) and all(same(getattr(a, f.name), getattr(b, f.name)) for f in fields(a))
    if isinstance(a, tuple):
        return len(a) == len(b) and all(same(x, y) for x, y in zip(a, b, strict=True))
    return bool(np.array_equal(a, b))


def test_objects_keep_their_ids_through_an_occlusion() -> None:
    said = run([[CAR, VAN], [CAR, VAN], [VAN], [VAN], [CAR.moved(3), VAN]])

    assert states(said, 1) == [NEW, TRACKED, LOST, LOST, TRACKED]
    assert states(said, 2) == [NEW, TRACKED, TRACKED, TRACKED, TRACKED]
    assert [(i.age, i.time_since_update) for i in said[3].instances] == [(3, 2), (3, 0)]


def test_an_object_unseen_for_too_long_is_removed_once_and_returns_as_another() -> None:
    said = run([[CAR, VAN], [VAN], [VAN], [VAN], [CAR, VAN]], lost_frames=2)

    assert states(said, 1) == [NEW, LOST, REMOVED, None, None]
    assert states(said, 3) == [None, None, None, None, NEW]


def test_a_track_can_come_back_in_the_frame_that_would_end_it() -> None:
    said = run([[CAR, VAN], [VAN], [CAR, VAN]], lost_frames=2)

    assert states(said, 1) == [NEW, LOST, TRACKED]


def test_a_lost_track_moves_on_with_an_empty_mask() -> None:
    said = run([[CAR], [CAR.moved(4)], [CAR.moved(8)], []])

    lost = said[3].instances[0]
    np.testing.assert_allclose(lost.velocity, [40, 0], rtol=1e-5)
    np.testing.assert_allclose(lost.box, [22, 10, 42, 20], rtol=1e-5)
    assert lost.mask.area == 0 and not said[3].found()


def test_a_reset_restarts_at_one_with_another_session() -> None:
    tracker = Tracker(ScriptedEngine([[CAR]]))

    first = tracker.step(tracker.start(), blank(0))[1].instances[0]
    again = tracker.step(tracker.start(), blank(0))[1].instances[0]

    assert first.track_id == again.track_id == 1 and first.uuid != again.uuid


def test_a_uuid_follows_from_session_and_id() -> None:
    said = run([[CAR, VAN], [CAR, VAN]])

    for tracks in said:
        assert [i.uuid for i in tracks.instances] == [uuid5(SESSION, "1"), uuid5(SESSION, "2")]


def test_a_step_is_pure() -> None:
    script = [[CAR, VAN, replace(BUS, score=0.5)], [CAR.moved(2), BUS], [VAN, BUS]]
    tracker = Tracker(ScriptedEngine(script))
    state = tracker.start(SESSION)
    for index in range(3):
        before = copy.deepcopy(state)
        once, again = (tracker.step(state, blank(index / 10)) for _ in range(2))
        assert same(once, again) and same(state, before)
        state = once[0]


def test_an_empty_frame_ages_the_tracks_and_clears_the_backdrops() -> None:
    tracker = Tracker(ScriptedEngine([[CAR, replace(BUS, score=0.6)], []]))
    first, _ = tracker.step(tracker.start(), blank(0))
    second, said = tracker.step(first, blank(0.1))

    assert len(first.unmatched[0]) == 1 and len(second.unmatched[0]) == 0
    assert said.instances[0].time_since_update == 1 and second.frame_index == 2


def test_a_weak_detection_continues_a_track_but_starts_none() -> None:
    said = run([[CAR, replace(VAN, score=0.6)], [replace(CAR, score=0.4), replace(VAN, score=0.6)]])

    assert [i.track_id for i in said[1].instances] == [1]
    assert said[1].instances[0].score == pytest.approx(0.4)


def test_a_backdrop_prevents_a_similar_detection_from_taking_a_track() -> None:
    clutter = replace(VAN, score=0.6)
    seen_before = run([[CAR, clutter], [clutter]])
    never_seen = run([[CAR], [clutter]])

    assert states(seen_before, 1) == [NEW, LOST]
    assert states(never_seen, 1) == [NEW, TRACKED], "alone, a detection fits the only track"


def test_a_backdrop_with_a_higher_score_starts_its_own_track() -> None:
    said = run([[CAR, replace(VAN, score=0.6)], [CAR, VAN]])

    assert states(said, 2) == [None, NEW]


def test_a_full_bank_removes_the_tracks_lost_longest() -> None:
    def crowd(first: int, count: int) -> list[Thing]:
        return [
            Thing(first + i, (12.0 * i, 5.0 * (first % 8), 12.0 * i + 8, 5.0 * (first % 8) + 4))
            for i in range(count)
        ]

    engine = ScriptedEngine([crowd(0, 4), crowd(4, 4), crowd(8, 2), crowd(2, 2)])
    said = follow(engine, 4)

    removed = [[i.track_id for i in t.instances if i.state == REMOVED] for t in said]
    assert removed == [[], [], [1, 2], []]
    assert [i.track_id for i in said[3].found()] == [3, 4], "the others came back as themselves"
    assert said[2].instances[-1].track_id == 10
    assert engine.strangers == 0, "a row given to another object starts afresh"


def test_every_detected_track_writes_one_row_and_only_new_ones_are_fresh() -> None:
    engine = ScriptedEngine([[CAR, VAN], [VAN, BUS, replace(CAR, score=0.1, look=9)]])
    said = follow(engine, 2)

    first, second = engine.slots
    assert [i.track_id for i in said[1].found()] == [2, 3]
    assert first.has.sum() == 2 and first.fresh.sum() == 8
    assert second.has.sum() == 2 and second.fresh.sum() == 7
    assert len(set(second.owner[second.has > 0])) == 2


def test_masks_do_not_overlap_and_the_higher_score_keeps_the_pixels() -> None:
    under = replace(VAN, box=(20, 12, 50, 40), score=0.8)
    car, van = run([[CAR, under]])[0].instances

    assert (car.mask.full(64, 96) + van.mask.full(64, 96)).max() == 1
    assert car.mask.area == 20 * 10 and van.mask.area == 30 * 28 - 10 * 8


def test_masks_may_overlap_if_configured() -> None:
    under = replace(VAN, box=(20, 12, 50, 40), score=0.8)
    tracker = Tracker(ScriptedEngine([[CAR, under]], small_config(overlap=True)))
    _, tracks = tracker.step(tracker.start(), blank(0))

    car, van = tracks.instances
    assert (car.mask.full(64, 96) + van.mask.full(64, 96)).max() == 2
    assert car.mask.area == 20 * 10 and van.mask.area == 30 * 28


@pytest.mark.parametrize("stamps", [[0, 0, 0], [5, 4, 3], [0, 1e6, 2e6]])
def test_time_may_stand_still_or_jump(stamps: list[float]) -> None:
    tracker = Tracker(ScriptedEngine([[CAR], [CAR.moved(4)], []], small_config(iou_weight=0.3)))
    state = tracker.start()
    for stamp in stamps:
        state, said = tracker.step(state, blank(stamp))

    assert [i.track_id for i in said.instances] == [1]
    assert np.isfinite(said.instances[0].box).all()
    assert np.isfinite(said.instances[0].velocity).all()


def test_boxes_masks_and_speed_are_in_camera_pixels() -> None:
    tracker = Tracker(ScriptedEngine([[CAR], [CAR.moved(4)]]))
    state = tracker.start()
    for index in range(2):
        state, said = tracker.step(state, blank(index / 10, 128, 192))

    car = said.instances[0]
    np.testing.assert_allclose(car.box, [28, 20, 68, 40])
    np.testing.assert_allclose(car.velocity, [80, 0], rtol=1e-5)
    assert (car.mask.x, car.mask.y, car.mask.crop.shape) == (28, 20, (20, 40))


def test_the_image_may_change_its_size() -> None:
    tracker = Tracker(ScriptedEngine([[CAR, VAN], [CAR, VAN], [CAR, VAN]]))
    state = tracker.start()
    for height, width in ((64, 96), (128, 192), (90, 40)):
        state, said = tracker.step(state, blank(0, height, width))

        assert [i.track_id for i in said.instances] == [1, 2]
        assert (said.height, said.width) == (height, width)
        assert all((i.box <= [width, height, width, height]).all() for i in said.instances)


def test_every_nth_frame_enters_the_memory() -> None:
    config = replace(small_config(), frame_attention=FrameAttentionConfig(memory_interval=3))
    engine = ScriptedEngine([[]] * 7, config)
    follow(engine, 7)

    assert engine.remembered == [True, False, False, True, False, False, True]


def test_a_tracker_rejects_a_bank_of_another_size() -> None:
    engine = ScriptedEngine([])

    with pytest.raises(ValueError, match=r"capacity: expected 8, .* got 9"):
        Tracker(engine, replace(engine.config.tracker, capacity=9))


def test_a_stopwatch_assigns_the_whole_step_to_its_parts() -> None:
    tracker, stopwatch = Tracker(ScriptedEngine([[CAR]])), Stopwatch()
    tracker.step(tracker.start(), blank(0), stopwatch)

    spent = stopwatch.timings
    assert min(spent.preprocess, spent.network, spent.association, spent.masks) > 0
    assert spent.total == pytest.approx(sum(getattr(spent, f.name) for f in fields(spent)))


def test_a_long_run_keeps_its_state_small() -> None:
    random = np.random.default_rng(0)
    script = [
        [Thing(int(look), (10.0 * i, 20, 10.0 * i + 8, 40)) for i, look in enumerate(looks)]
        for looks in (random.permutation(16)[: random.integers(0, 9)] for _ in range(300))
    ]
    tracker = Tracker(ScriptedEngine(script))
    state = tracker.start()
    for index in range(300):
        state, said = tracker.step(state, Frame(blank(0).image, index / 10))
        slots = [track.slot for track in state.tracks]
        assert len(set(slots)) == len(slots) <= 8 and len(state.unmatched) <= 1
        assert len({i.track_id for i in said.instances}) == len(said.instances)


class Together(ScriptedEngine):
    """Runs several cameras at once, and keeps which came together."""

    cameras_at_once = 2

    def detect_cameras(self, images: Any, memories: Any, *, remember: Any) -> Any:
        self.launches = [*getattr(self, "launches", []), sorted(images)]
        return super().detect_cameras(images, memories, remember=remember)


class InTurn(Together):
    cameras_at_once = 1


@pytest.mark.parametrize(("kind", "launches"), [(Together, [[0, 1], [1]]), (InTurn, [[0], [1], [1]])])
def test_cameras_are_batched_if_the_engine_supports_it_and_run_in_turn_otherwise(
    kind: type[Together], launches: list[list[int]]
) -> None:
    engine = kind([[CAR], [CAR.moved(4)], [CAR.moved(8)]])
    tracker = Tracker(engine)
    states = {camera: tracker.start(SESSION, camera=camera) for camera in (0, 1)}
    after = tracker.step_cameras(states, {0: blank(0.0), 1: blank(0.0)})
    states = {camera: state for camera, (state, _) in after.items()}
    after |= tracker.step_cameras(states, {1: blank(0.1)})
    assert engine.launches == launches
    alone, state = Tracker(ScriptedEngine(engine.script)), tracker.start(SESSION)
    for camera, stamp in ((0, 0.0), (1, 0.1)):
        state, expected = alone.step(state, blank(stamp))
        assert [i.box.tolist() for i in after[camera][1].instances] == [
            i.box.tolist() for i in expected.instances
        ]
        assert after[camera][0].frame_index == state.frame_index
