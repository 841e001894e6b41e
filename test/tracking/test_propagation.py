"""Propagated frames: tracks carried by optical flow, without the network."""

from __future__ import annotations

from dataclasses import replace
from uuid import UUID

import cv2
import numpy as np
import pytest
from support.scripted_engine import ScriptedEngine, Thing, small_config

from pcan_model.core.structures import Frame, FrameKind, State, Tracks, TrackState
from pcan_model.tracking.object_flow import follow
from pcan_model.tracking.tracker import Tracker

HEIGHT, WIDTH = 210, 320
SIDE = 48  # pixels, of the object
KEY, PROPAGATED = FrameKind.KEY, FrameKind.PROPAGATED
NETWORK = small_config(motion="kalman", camera_motion=True).input
SCALE = NETWORK.width / WIDTH  # network pixels in a camera pixel


def texture(seed: int, height: int, width: int) -> np.ndarray:
    """Return smooth noise, (height, width, 3) uint8, whose flow is well defined."""
    noise = np.random.default_rng(seed).normal(0, 1, (height, width)).astype(np.float32)
    smooth = cv2.GaussianBlur(noise, (0, 0), 3)
    grey = np.clip(127 + 50 * smooth / smooth.std(), 0, 255).astype(np.uint8)
    return grey[..., None].repeat(3, 2)


BACKGROUND, OBJECT = texture(0, HEIGHT, WIDTH), texture(1, SIDE, SIDE)


def frame(index: int, x: int, y: int = 90) -> Frame:
    """Return an image of the object at (x, y)."""
    image = BACKGROUND.copy()
    right = min(WIDTH, x + SIDE)
    image[y : y + SIDE, x:right] = OBJECT[:, : right - x]
    return Frame(image, index / 30)


def thing(x: int, y: int = 90) -> Thing:
    x1, y1, x2, y2 = (SCALE * side for side in (x, y, x + SIDE, y + SIDE))
    return Thing(look=1, box=(x1, y1, x2, y2))


def tracker(*script: list[Thing], **settings: object) -> Tracker:
    """Return a tracker whose network finds the script's things in its key frames."""
    settings = {"motion": "kalman", "camera_motion": True, **settings}
    return Tracker(ScriptedEngine(script, small_config(**settings)))


def carried(tracker: Tracker, frames: list[Frame]) -> tuple[State, list[Tracks]]:
    """Track frames of which only the first is a key frame."""
    state, said = tracker.start(UUID(int=3)), []
    for each in frames:
        state, tracks = tracker.step(state, each, kind=PROPAGATED)
        said.append(tracks)
    return state, said


def test_an_object_is_carried_to_where_it_moved() -> None:
    frames = [frame(i, 100 + 3 * i, 90 + i) for i in range(8)]

    _, said = carried(tracker([thing(100)]), frames)

    assert [tracks.kind for tracks in said] == [KEY] + 7 * [PROPAGATED]
    last = said[-1].instances[0]
    assert last.state is TrackState.TRACKED and last.track_id == 1
    np.testing.assert_allclose(last.box, [121, 97, 121 + SIDE, 97 + SIDE], atol=3.0)  # filtered
    full = last.mask.full(HEIGHT, WIDTH).astype(bool)
    truth = np.zeros_like(full)
    truth[97 : 97 + SIDE, 121 : 121 + SIDE] = True
    assert (full & truth).sum() / (full | truth).sum() > 0.9
    np.testing.assert_allclose(last.velocity, [90, 30], atol=15)


def test_the_network_runs_in_key_frames_only_and_its_memory_stays() -> None:
    own = tracker([thing(100)], [thing(106)])
    assert isinstance(own.engine, ScriptedEngine)
    state, _ = carried(own, [frame(0, 100), frame(1, 103)])
    assert len(own.engine.slots) == 1 and state.memory.frame == 1

    after, tracks = own.step(state, frame(2, 106))

    assert tracks.kind is KEY and tracks.instances[0].track_id == 1
    assert len(own.engine.slots) == 2 and after.frame_index == 3 and own.engine.strangers == 0


def test_scores_decay_until_the_next_key_frame() -> None:
    _, said = carried(tracker([thing(100)]), [frame(i, 100) for i in (0, 15, 30)])
    scores = [tracks.instances[0].score for tracks in said]

    np.testing.assert_allclose(scores, [0.9, 0.9 * 0.5**0.5, 0.45], rtol=1e-6)


def test_an_object_that_leaves_the_image_is_lost() -> None:
    frames = [frame(i, x) for i, x in enumerate((270, 278, 286, 294, 302))]

    _, said = carried(tracker([thing(270)]), frames)

    kinds = [tracks.instances[0].state for tracks in said]
    assert kinds[:3] == [TrackState.NEW] + 2 * [TrackState.TRACKED] and kinds[-1] is TrackState.LOST


def test_a_covered_object_asks_for_a_key_frame() -> None:
    own = tracker([thing(100)])
    state, _ = carried(own, [frame(0, 100), frame(1, 102)])
    assert not state.drifted

    hidden = frame(2, 104).image.copy()
    hidden[:, 60:220] = texture(9, HEIGHT, 160)
    state, _ = own.step(state, Frame(hidden, 2 / 30), kind=PROPAGATED)

    assert state.drifted
    assert not own.step(state, frame(3, 106))[0].drifted


def test_a_lost_track_stays_lost_until_a_key_frame_finds_it() -> None:
    own = tracker([thing(100)], [], [thing(109)])
    state, _ = carried(own, [frame(0, 100)])
    state, missed = own.step(state, frame(1, 103))
    state, between = own.step(state, frame(2, 106), kind=PROPAGATED)
    state, again = own.step(state, frame(3, 109))

    found = [tracks.instances[0].state for tracks in (missed, between, again)]
    assert found == [TrackState.LOST, TrackState.LOST, TrackState.TRACKED]


def test_a_track_that_is_not_confirmed_is_carried_unpublished() -> None:
    own = tracker([thing(100)], [thing(106)], confirm_frames=2, confirm_gap=10.0)
    state = replace(own.start(), stamp=-0.01)
    state, _ = own.step(state, frame(0, 100))
    state, between = own.step(state, frame(1, 103), kind=PROPAGATED)
    _, shown = own.step(state, frame(2, 106))

    assert not between.instances and [each.state for each in shown.instances] == [TrackState.NEW]


@pytest.mark.parametrize(
    "second",
    [Frame(np.zeros((HEIGHT + 60, WIDTH, 3), np.uint8), 1 / 30), Frame(BACKGROUND[:, :200].copy(), 1 / 30)],
)
def test_a_frame_of_another_shape_is_a_key_frame(second: Frame) -> None:
    state, _ = carried(tracker([thing(100)]), [frame(0, 100)])

    assert tracker([thing(100)], []).step(state, second, kind=PROPAGATED)[1].kind is KEY


def test_without_a_view_every_frame_is_a_key_frame() -> None:
    _, said = carried(tracker([thing(100)], [thing(100)], camera_motion=False), [frame(0, 100)] * 2)

    assert [tracks.kind for tracks in said] == [KEY, KEY]


def test_an_object_without_texture_moves_as_predicted() -> None:
    flat = np.full((HEIGHT, WIDTH), 127, np.uint8)
    tiny = np.array([[10, 10, 12, 12]], np.float32)  # no point of the grid on an empty mask

    box, lost = (
        getattr(follow(flat, flat, tiny, np.full((1, 28, 28), -8, np.float32), tiny, 1.0)[0], name)
        for name in ("box", "lost")
    )

    assert box is None and lost == 0


def test_several_cameras_are_carried_each_with_its_own_tracks() -> None:
    own = tracker([thing(100)])
    states = {camera: own.start(camera=camera) for camera in (0, 1)}
    for index in range(3):
        frames = {0: frame(index, 100 + 4 * index), 1: frame(index, 100 - 4 * index)}
        after = own.step_cameras(states, frames, kind=PROPAGATED)
        states = {camera: state for camera, (state, _) in after.items()}

    lefts = [after[camera][1].instances[0].mask.x for camera in (0, 1)]
    np.testing.assert_allclose(lefts, [108, 92], atol=1)
