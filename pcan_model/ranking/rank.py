"""Ranking of the frames of clips."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from pcan_model.core.engine import Engine
from pcan_model.core.stamps import seconds
from pcan_model.core.structures import Frame, Tracks
from pcan_model.data.clips import Clip
from pcan_model.ranking.choose import choose, uncertainty
from pcan_model.ranking.signals import (
    Signals,
    churn,
    disagreement,
    prototype_jump,
    prototype_likeness,
    score_doubt,
)
from pcan_model.ranking.watched_engine import WatchedEngine
from pcan_model.tracking.tracker import Tracker

THUMBNAIL = 8  # side of the image that describes a frame for engines without readable memory, pixels


@dataclass(frozen=True, slots=True, eq=False)
class RankedFrame:
    """One frame with its signals."""

    clip: str
    frame: int  # index within the clip, from 0
    name: str  # of its image
    signals: Signals
    features: NDArray[np.float64]  # (F,) what it shows, to tell similar frames
    objects: int  # found in it
    uncertainty: float = 0.0  # in [0, 1], among the frames ranked together

    def plain(self) -> dict[str, Any]:
        """Return the frame as plain values for JSON."""
        place = {"clip": self.clip, "frame": self.frame, "name": self.name, "objects": self.objects}
        return place | {"uncertainty": self.uncertainty, "signals": asdict(self.signals)}


class Ranker:
    """Tracks clips and computes the signals of their frames.

    engine  of the model
    other   the same model with another input size; None: without that signal
    """

    def __init__(self, engine: Engine, other: Engine | None = None) -> None:
        self._watched = WatchedEngine(engine)
        self._tracker, self._single = Tracker(self._watched), Tracker(engine)
        self._other = Tracker(other) if other is not None else None

    def rank(
        self,
        clip: Clip,
        keep: Callable[[RankedFrame, Tracks], object] = lambda frame, tracks: None,
    ) -> list[RankedFrame]:
        """Return the frames of a clip in their order.

        keep  called with every frame and its tracks
        """
        state, found = self._tracker.start(), []
        for each in clip.frames():
            frame = Frame(each.image, seconds(each.time))
            state, tracks = self._tracker.step(state, frame)
            ranked = RankedFrame(
                clip.name,
                each.number,
                each.name,
                self._signals(frame, tracks),
                self._features(frame),
                len(tracks.found()),
            )
            keep(ranked, tracks)
            found.append(ranked)
        return found

    def _signals(self, frame: Frame, tracks: Tracks) -> Signals:
        likeness, jump = self._of_prototypes()
        _, alone = self._single.step(self._single.start(), frame)
        sizes = 0.0
        if self._other is not None:
            _, other = self._other.step(self._other.start(), frame)
            sizes = disagreement(alone, other)
        doubt = score_doubt(self._watched.scores)
        return Signals(likeness, jump, disagreement(tracks, alone), churn(tracks), sizes, doubt)

    def _of_prototypes(self) -> tuple[float, float]:
        before, after = self._watched.before.get("bank"), self._watched.after.get("bank")
        slots = self._watched.slots
        if before is None or after is None or slots is None:
            return 0.0, 0.0
        foreground = self._watched.config.instance_attention.foreground
        return prototype_likeness(after, slots, foreground), prototype_jump(before, after, slots)

    def _features(self, frame: Frame) -> NDArray[np.float64]:
        """Return the means of the newest frame prototypes' values, level by level, or a tiny image."""
        values = self._watched.after.get("mem_v")
        if values is None:
            small = cv2.resize(frame.image, (THUMBNAIL, THUMBNAIL), interpolation=cv2.INTER_AREA)
            return small.reshape(-1).astype(np.float64)
        return np.asarray(values[:, 0], np.float64).mean(1).reshape(-1)  # (L, T, N, Cv): T newest first


def rated(frames: Sequence[RankedFrame]) -> list[RankedFrame]:
    """Return frames with their uncertainty among all of them."""
    scores = uncertainty([frame.signals for frame in frames])
    return [replace(frame, uncertainty=float(s)) for frame, s in zip(frames, scores, strict=True)]


def choose_frames(frames: Sequence[RankedFrame], count: int) -> list[RankedFrame]:
    """Return the frames to look at first; see `choose`."""
    features = np.array([frame.features for frame in frames])
    scores = np.array([frame.uncertainty for frame in frames])
    return [frames[k] for k in choose(scores, features, count)]
