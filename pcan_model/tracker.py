"""The tracker: `step(state, frame) -> (state, tracks)`, the same code in every room above.

A frame's path: letterbox -> engine.detect -> duplicates out -> match -> roster and bank rows ->
engine.segment -> masks in the camera picture, none overlapping -> tracks.

The camera's picture may change its size between frames. Boxes are remembered in network pixels,
so that another size of the same proportions goes unnoticed; other proportions move the remembered
boxes once, which costs overlap and motion one frame, while appearance goes on matching.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from time import perf_counter
from typing import Any, Literal
from uuid import UUID, uuid4, uuid5

import numpy as np
from numpy.typing import NDArray

from pcan_model.association import match, predict, unique_detections
from pcan_model.config import TrackerConfig
from pcan_model.engine import Engine
from pcan_model.geometry import Letterbox, clip_boxes, fit_picture, paste_mask, remove_overlaps
from pcan_model.roster import Roster, bank_slots, idle_roster, update_roster
from pcan_model.structures import (
    EMPTY_MASK,
    Detections,
    Frame,
    Mask,
    State,
    Track,
    TrackedInstance,
    Tracks,
    TrackState,
)

Part = Literal["preprocess", "network", "association", "masks"]


@dataclass(frozen=True, slots=True)
class Timings:
    """Where the time of one step went, seconds."""

    preprocess: float = 0.0  # letterbox
    network: float = 0.0  # both halves
    association: float = 0.0  # duplicates, matching, roster
    masks: float = 0.0  # pasting, overlaps, making the tracks

    @property
    def total(self) -> float:
        """Return the time of the whole step."""
        return self.preprocess + self.network + self.association + self.masks


class Stopwatch:
    """Takes the times of a step for who hands one in; `timings` are the last step's."""

    def __init__(self, clock: Callable[[], float] = perf_counter) -> None:
        self._clock = clock
        self.start()

    def start(self) -> None:
        """Begin a step anew."""
        self.timings = Timings()
        self._since = self._clock()

    def lap(self, part: Part) -> None:
        """Book the time since the last lap on a part."""
        now = self._clock()
        spent: float = getattr(self.timings, part) + now - self._since
        self.timings, self._since = replace(self.timings, **{part: spent}), now


@dataclass(frozen=True, slots=True, eq=False)
class Prepared:
    """A frame as the network takes it."""

    frame: Frame
    letterbox: Letterbox  # how the camera's picture and the network's fit together
    picture: NDArray[np.uint8]  # (height, width, 3) RGB of Config.input


class Tracker:
    """PCAN's tracking by one engine; holds no state, so that one serves many cameras."""

    def __init__(self, engine: Engine, config: TrackerConfig | None = None) -> None:
        self.engine = engine
        self.config = config or engine.config.tracker
        rows = engine.config.tracker.capacity
        if self.config.capacity != rows:
            raise ValueError(
                f"Tracker: capacity: expected {rows}, the rows of the engine's prototype bank, "
                f"got {self.config.capacity}"
            )
        form = engine.config
        self._idles = form.form == "released" and form.released.idle_when_empty

    def start(self, session: UUID | None = None) -> State:
        """Return the state before the first frame; `session` names its tracks, random if None."""
        return State(self.engine.start(), session or uuid4())

    def prepare(self, frame: Frame) -> Prepared:
        """Fit a frame into the network's input; may be done before its turn to `step`."""
        letterbox = fit_picture(frame.image.shape, self.engine.config.input)
        return Prepared(frame, letterbox, letterbox.apply(frame.image))

    def step(
        self, state: State, frame: Frame | Prepared, watch: Stopwatch | None = None
    ) -> tuple[State, Tracks]:
        """Track the objects of one frame; `state` stays as it is.

        watch    takes the times of the parts, if given
        returns  the state for the next frame, and every track of this one by its id
        """
        watch = watch or Stopwatch()
        watch.start()
        ready = self.prepare(frame) if isinstance(frame, Frame) else frame
        stamp, letterbox = ready.frame.stamp, ready.letterbox
        watch.lap("preprocess")
        found, features = self.engine.detect(ready.picture, state.memory)
        watch.lap("network")
        roster = self._associate(state, found, stamp)
        watch.lap("association")
        logits, memory = self._segment(state, roster, features)
        watch.lap("network")
        masks = _masks(roster, logits, letterbox)
        tracks = _tracks(state, roster, masks, stamp, letterbox)
        watch.lap("masks")
        return self._next(state, roster, memory), tracks

    def _associate(self, state: State, found: Detections, stamp: float) -> Roster:
        if self._idles and not len(found):
            return idle_roster(state, found)
        found = unique_detections(found, self.config)
        assigned = match(found, state.tracks, state.backdrops, stamp=stamp, config=self.config)
        return update_roster(state, found, assigned, stamp=stamp, config=self.config)

    def _segment(self, state: State, roster: Roster, features: Any) -> tuple[NDArray[np.float32], Any]:
        config = self.engine.config
        slots = bank_slots(
            roster,
            state.frame_index,
            detections=config.heads.detections,
            capacity=self.config.capacity,
        )
        remember = state.frame_index % config.frame_attention.memory_interval == 0
        return self.engine.segment(features, slots, state.memory, remember=remember)

    def _next(self, state: State, roster: Roster, memory: Any) -> State:
        new = () if self._idles and not len(roster.kept_rows) else (roster.backdrops,)
        backdrops = (*new, *state.backdrops)[: self.config.keep_backdrops]
        return State(
            memory=memory,
            session=state.session,
            tracks=roster.kept,
            backdrops=backdrops,
            next_id=roster.next_id,
            frame_index=state.frame_index + 1,
        )


def _masks(roster: Roster, logits: NDArray[np.float32], letterbox: Letterbox) -> tuple[Mask, ...]:
    """Draw the masks of the found tracks; where two meet, the higher score keeps the pixels.

    logits  (D, m, m)  of the padded detections
    """
    height, width = letterbox.source
    masks = [
        paste_mask(logits[row], letterbox.to_image(track.box), height, width)
        for track, row in zip(roster.found, roster.rows, strict=True)
    ]
    return remove_overlaps(masks, height, width)


def _tracks(
    state: State, roster: Roster, masks: tuple[Mask, ...], stamp: float, letterbox: Letterbox
) -> Tracks:
    """Say what this frame holds, in pixels of the camera picture."""
    gone = [
        (track, kind, EMPTY_MASK)
        for kind, group in ((TrackState.LOST, roster.lost), (TrackState.REMOVED, roster.removed))
        for track in group
    ]
    here = [
        (track, TrackState.NEW if track.born == state.frame_index else TrackState.TRACKED, mask)
        for track, mask in zip(roster.found, masks, strict=True)
    ]
    instances = [_instance(track, kind, mask, state, stamp, letterbox) for track, kind, mask in here + gone]
    instances.sort(key=lambda instance: instance.track_id)
    return Tracks(stamp, *letterbox.source, state.frame_index, tuple(instances))


def _instance(
    track: Track, kind: TrackState, mask: Mask, state: State, stamp: float, letterbox: Letterbox
) -> TrackedInstance:
    """Turn a track into what is said of it; an unseen one is where its motion takes it."""
    box = letterbox.to_image(predict(track, stamp))
    return TrackedInstance(
        track_id=track.track_id,
        uuid=uuid5(state.session, str(track.track_id)),
        state=kind,
        age=state.frame_index - track.born,
        time_since_update=state.frame_index - track.seen,
        label=track.label,
        score=track.score,
        box=clip_boxes(box[None], *letterbox.source)[0],
        velocity=letterbox.to_image(track.velocity),
        mask=mask,
    )
