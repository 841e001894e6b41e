"""Pairs tracks with the measurement nearest in time, once the poses of both are known.

message_filters pairs stamps, but does not wait for transforms; this does both and names what is missing.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from pcan_model.core.frame_tree import FrameError

QUEUE = 30  # messages that wait, of each kind
CLOCKS = 10.0  # seconds apart from which on the clocks are blamed

Poses = TypeVar("Poses")


@dataclass(frozen=True, slots=True)
class Stamped:
    """A message and its time."""

    stamp: float  # seconds
    message: Any
    arrived: float  # monotonic seconds


@dataclass(frozen=True, slots=True)
class Pair(Generic[Poses]):
    """Tracks with their measurement and the poses at their times."""

    tracks: Stamped
    measured: Stamped
    poses: Poses


class Pairing(Generic[Poses]):
    """Waits for measurements and poses; not thread-safe."""

    def __init__(
        self,
        poses: Callable[[Any, float, Any, float], Poses],
        *,
        slop: float,
        timeout: float,
        name: str,
        refuse: Callable[[str], None],
    ) -> None:
        """Create an empty queue.

        poses    returns the poses for tracks and a measurement, each with its stamp; raises FrameError
        slop     largest difference of their stamps, seconds
        timeout  seconds that tracks wait
        name     of the measurements, for messages
        refuse   receives why tracks are dropped
        """
        self._poses, self._slop, self._timeout = poses, slop, timeout
        self._name, self._refuse = name, refuse
        self._tracks: deque[Stamped] = deque()
        self._measured: deque[Stamped] = deque(maxlen=QUEUE)

    def add_tracks(self, tracks: Stamped) -> None:
        """Add tracks; the oldest are dropped if too many wait."""
        self._tracks.append(tracks)
        if len(self._tracks) > QUEUE:
            self._drop(f"more than {QUEUE} tracks wait for {self._name} or transforms")

    def add_measured(self, measured: Stamped) -> None:
        """Add a measurement."""
        self._measured.append(measured)

    def clear(self) -> None:
        """Discard everything that waits."""
        self._tracks.clear()
        self._measured.clear()

    def ready(self, now: float) -> Iterator[Pair[Poses]]:
        """Yield the pairs that are complete, in the order of the tracks, and drop those that never will be.

        now  monotonic seconds
        """
        while self._tracks:
            tracks = self._tracks[0]
            expired = now - tracks.arrived > self._timeout
            measured = self._nearest(tracks.stamp)
            if measured is None or abs(measured.stamp - tracks.stamp) > self._slop:
                if not expired and (measured is None or self._newest() < tracks.stamp + self._slop):
                    return
                self._drop(self._unmatched(tracks, measured))
                continue
            if measured.stamp != tracks.stamp and self._newest() < tracks.stamp and not expired:
                return  # a nearer one may come
            try:
                poses = self._poses(tracks.message, tracks.stamp, measured.message, measured.stamp)
            except FrameError as error:
                if not expired:
                    return  # transforms may come later than images
                self._drop(str(error))
            else:
                self._tracks.popleft()
                yield Pair(tracks, measured, poses)

    def _nearest(self, stamp: float) -> Stamped | None:
        return min(self._measured, key=lambda each: abs(each.stamp - stamp), default=None)

    def _newest(self) -> float:
        return max(each.stamp for each in self._measured)

    def _unmatched(self, tracks: Stamped, measured: Stamped | None) -> str:
        if measured is None:
            return f"no {self._name} arrived within {self._timeout:g} s"
        apart = measured.stamp - tracks.stamp
        how = "later" if apart > 0 else "earlier"
        text = (
            f"the nearest {self._name} is {abs(apart):.3f} s {how} than the tracks, slop is {self._slop:g} s"
        )
        return text + (": are the clocks synchronised?" if abs(apart) > CLOCKS else "")

    def _drop(self, reason: str) -> None:
        self._tracks.popleft()
        self._refuse(reason)
