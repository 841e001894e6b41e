"""Coordinate frames that move: poses by time, and the chain from one frame to another (as tf2 has it).

A tree of its own because tf2 is no Python package outside ROS: bags, evaluation and the node use the same.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from dataclasses import dataclass, field

from pcan_model.core.errors import UserError
from pcan_model.core.space import Pose

KEPT = 10.0  # seconds of poses that are kept
BACK = 1.0  # seconds that a stamp may go back; after more, time starts anew
TOUCHING = 1e-6  # seconds; stamps closer to each other are the same
DEPTH = 64  # frames between a frame and its root


class FrameError(UserError, LookupError):
    """A pose that is not known at the requested time."""


class LateError(FrameError):
    """A pose that may still arrive: the newest one is older than requested."""


@dataclass(slots=True)
class _Edge:
    """The poses of one child frame in its parent, by time."""

    parent: str
    fixed: Pose | None = None  # holds at any time
    stamps: list[float] = field(default_factory=list)  # ascending
    poses: dict[float, Pose] = field(default_factory=dict)

    def add(self, stamp: float, pose: Pose) -> None:
        if self.stamps and stamp < self.stamps[-1] - BACK:  # a bag that loops
            self.stamps.clear()
            self.poses.clear()
        if stamp not in self.poses:
            insort(self.stamps, stamp)
        self.poses[stamp] = pose
        while self.stamps[-1] - self.stamps[0] > KEPT:
            del self.poses[self.stamps.pop(0)]

    def at(self, child: str, stamp: float, ahead: float) -> Pose:
        if self.fixed is not None:
            return self.fixed
        first, last = self.stamps[0], self.stamps[-1]
        if stamp > last + ahead + TOUCHING:
            raise LateError(f"frame {child!r}: the newest pose is {stamp - last:.3f} s older than the image")
        if stamp < first - TOUCHING:
            raise FrameError(
                f"frame {child!r}: the oldest pose is {first - stamp:.3f} s newer than the image"
            )
        after = min(bisect_left(self.stamps, stamp), len(self.stamps) - 1)
        before = max(after - 1, 0)
        low, high = self.stamps[before], self.stamps[after]
        share = max((stamp - low) / (high - low), 0.0) if high > low else 0.0
        return self.poses[low].towards(self.poses[high], share)


class FrameTree:
    """Poses of frames in their parents; poses between two stamps are interpolated."""

    def __init__(self) -> None:
        self._edges: dict[str, _Edge] = {}

    def add(self, parent: str, child: str, pose: Pose, stamp: float | None) -> None:
        """Store the pose of a child at a time in seconds; None: it holds at any time."""
        parent, child = parent.lstrip("/"), child.lstrip("/")
        edge = self._edges.get(child)
        if edge is None or edge.parent != parent or (edge.fixed is None) != (stamp is not None):
            edge = self._edges[child] = _Edge(parent)
        if stamp is None:
            edge.fixed = pose
        else:
            edge.add(stamp, pose)

    def clear(self) -> None:
        """Forget all poses that change, as when time goes back."""
        self._edges = {child: edge for child, edge in self._edges.items() if edge.fixed is not None}

    def pose(self, frame: str, parent: str, stamp: float, *, ahead: float = 0.0) -> Pose:
        """Return the pose of `frame` in `parent` at a time in seconds.

        ahead  how many seconds poses may be extrapolated after the newest; by default not at all

        Raises LateError if it may still arrive, FrameError if the frames are not connected or it is too old.
        """
        frame, parent = frame.lstrip("/"), parent.lstrip("/")
        up, down = self._chain(frame), self._chain(parent)
        shared = next((name for name in up if name in down), None)
        if shared is None:
            known = ", ".join(sorted({*self._edges, *(edge.parent for edge in self._edges.values())}))
            raise FrameError(f"frames {frame!r} and {parent!r} are not connected; known: {known or 'none'}")
        return self._to(parent, shared, stamp, ahead).inverse() @ self._to(frame, shared, stamp, ahead)

    def _chain(self, frame: str) -> list[str]:
        chain = [frame]
        while chain[-1] in self._edges and len(chain) < DEPTH:
            chain.append(self._edges[chain[-1]].parent)
        return chain

    def _to(self, frame: str, ancestor: str, stamp: float, ahead: float) -> Pose:
        pose = Pose.identity()
        while frame != ancestor:
            edge = self._edges[frame]
            pose, frame = edge.at(frame, stamp, ahead) @ pose, edge.parent
        return pose
