"""Data structures shared by all packages: frozen, validated, NumPy only."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from enum import Enum, IntEnum
from typing import Any
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from pcan_model.core.space import Pinhole, Pose


def _same_length(record: Any, *names: str) -> None:
    """Raise ValueError if the named fields of a record differ in length."""
    lengths = {name: len(getattr(record, name)) for name in names}
    if len(set(lengths.values())) > 1:
        raise ValueError(f"{type(record).__name__}: fields disagree on their length: {lengths}")


@dataclass(frozen=True, slots=True, eq=False)
class CameraPlace:
    """Where a camera is when it takes an image, as odometry and its calibration tell."""

    pose: Pose  # of the optical frame in a fixed frame whose z is up
    camera: Pinhole  # of the image
    ground: float = 0.0  # metres, z of the ground in the fixed frame
    depth: NDArray[np.float32] | None = None  # (H, W) metres along the optical axis, of the pixels of the
    # image; NaN or <= 0: not measured; None: objects are at the ground

    def __post_init__(self) -> None:
        size = self.camera.height, self.camera.width
        if self.depth is not None and self.depth.shape != size:
            raise ValueError(f"CameraPlace: depth: expected {size} like the camera, got {self.depth.shape}")


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """One image of one camera."""

    image: NDArray[np.uint8]  # (H, W, 3)
    stamp: float  # capture time in seconds
    order: str = "rgb"  # of the channels, rgb | bgr
    place: CameraPlace | None = None  # of the camera; None: unknown

    def ordered(self, order: str) -> NDArray[np.uint8]:
        """Return the image with the given channel order: itself or a reversed view."""
        return self.image if order == self.order else self.image[..., ::-1]

    def __post_init__(self) -> None:
        shape, dtype = self.image.shape, self.image.dtype
        if len(shape) != 3 or shape[2] != 3 or 0 in shape or dtype != np.uint8:
            raise ValueError(f"Frame: image: expected (H, W, 3) uint8 with H, W > 0, got {shape} {dtype}")
        camera = None if self.place is None else self.place.camera
        if camera is not None and (camera.height, camera.width) != shape[:2]:
            size = camera.height, camera.width
            raise ValueError(f"Frame: place: expected a camera of {shape[:2]} like the image, got {size}")


@dataclass(frozen=True, slots=True, eq=False)
class Detections:
    """N objects detected in one frame, by descending score; N may be 0."""

    boxes: NDArray[np.float32]  # (N, 4) x1 y1 x2 y2 in pixels of the network input
    scores: NDArray[np.float32]  # (N,) in [0, 1]
    labels: NDArray[np.int64]  # (N,) index into Config.classes
    embeds: NDArray[np.float32]  # (N, D) appearance embedding, not normalised
    rows: NDArray[np.int64]  # (N,) row of each object in the engine's padded outputs

    def __post_init__(self) -> None:
        _same_length(self, *(f.name for f in fields(self)))

    def __len__(self) -> int:
        return len(self.scores)

    def take(self, index: NDArray[Any]) -> Detections:
        """Return the selected objects, in the order of `index` (integers or a boolean mask)."""
        return Detections(*(getattr(self, field.name)[index] for field in fields(self)))


@dataclass(frozen=True, slots=True, eq=False)
class Slots:
    """Assignment of padded detections to rows of the prototype bank, for reading and for writing."""

    slot: NDArray[np.int64]  # (D,) bank row that detection d reads; arbitrary if fresh
    fresh: NDArray[np.float32]  # (D,) 1 where the detection has no row yet, else 0
    owner: NDArray[np.int64]  # (M,) detection that writes bank row m; arbitrary where has is 0
    has: NDArray[np.float32]  # (M,) 1 where a detection writes row m, else 0
    kept: NDArray[np.bool_] | None = None  # (D,) True unless a duplicate of a better one; None: unknown

    def __post_init__(self) -> None:
        _same_length(self, "slot", "fresh", *(["kept"] if self.kept is not None else []))
        _same_length(self, "owner", "has")


class TrackState(IntEnum):
    """State of a track; the values are those of msg/TrackedInstance."""

    NEW = 0  # first frame in which it is shown
    TRACKED = 1  # detected in this frame, or carried to it if it is a propagated one, and known before
    LOST = 2  # neither detected in this frame nor carried to it, may come back
    REMOVED = 3  # not detected for too long; reported once


class FrameKind(Enum):
    """How the tracks of a frame were found."""

    KEY = "key"  # by the network
    PROPAGATED = "propagated"  # carried from the frame before by optical flow, without the network


@dataclass(frozen=True, slots=True, eq=False)
class Mask:
    """The pixels of one object, cropped to their bounding box."""

    x: int  # left column of the crop in the image, pixels
    y: int  # top row of the crop in the image, pixels
    crop: NDArray[np.uint8]  # (h, w) 1 on the object, else 0

    @property
    def area(self) -> int:
        """Return the number of pixels on the object."""
        return int(np.count_nonzero(self.crop))

    def full(self, height: int, width: int) -> NDArray[np.uint8]:
        """Return the mask as a full image, (height, width)."""
        image = np.zeros((height, width), np.uint8)
        h, w = self.crop.shape
        image[self.y : self.y + h, self.x : self.x + w] = self.crop
        return image


EMPTY_MASK = Mask(0, 0, np.zeros((0, 0), np.uint8))


@dataclass(frozen=True, slots=True, eq=False)
class TrackedInstance:
    """One tracked object after a frame, in pixels of the camera image."""

    track_id: int  # from 1, not reused until reset
    uuid: UUID  # stable per track, new after reset
    state: TrackState
    age: int  # frames since the track began, 0 in the first
    time_since_update: int  # frames since the object was last detected or carried
    label: int  # index into Config.classes
    score: float  # in [0, 1], of the last detection
    box: NDArray[np.float32]  # (4,) x1 y1 x2 y2
    velocity: NDArray[np.float32]  # (2,) of the box centre, pixels per second, x right, y down
    mask: Mask  # empty unless the object was detected in this frame or carried to it


@dataclass(frozen=True, slots=True, eq=False)
class Tracks:
    """The tracking result of one frame: the tracked objects in one camera image."""

    stamp: float  # of the frame, seconds
    height: int  # of the camera image, pixels
    width: int
    frame_index: int  # processed frames since reset, 0 in the first
    instances: tuple[TrackedInstance, ...]
    kind: FrameKind = FrameKind.KEY

    def found(self) -> tuple[TrackedInstance, ...]:
        """Return the objects that were detected in this frame or carried to it."""
        return tuple(i for i in self.instances if i.state in (TrackState.NEW, TrackState.TRACKED))


@dataclass(frozen=True, slots=True, eq=False)
class Motion:
    """Where a box is and how it moves, as a Kalman filter knows it: each of its four numbers by itself."""

    mean: NDArray[np.float64]  # (4, 2) centre x, y, width, height: network pixels, and their change a second
    covariance: NDArray[np.float64]  # (4, 2, 2) of each number and its change
    stamp: float  # seconds, of the time it holds for


@dataclass(frozen=True, slots=True, eq=False)
class Track:
    """The tracker's state of one object; boxes in pixels of the network input."""

    track_id: int
    slot: int  # row of the prototype bank
    box: NDArray[np.float32]  # (4,) x1 y1 x2 y2 of the last detection
    label: int
    score: float
    embed: NDArray[np.float32]  # (D,) running mean
    velocity: NDArray[np.float32]  # (2,) pixels per second of the box centre
    born: int  # frame index of the first detection
    seen: int  # frame index of the last detection
    stamp: float  # seconds, of the last detection
    hits: int = 1  # frames in which it was found
    shown: int | None = 0  # frame index from which on it is published; None: not confirmed yet
    votes: NDArray[np.float64] = field(
        default_factory=lambda: np.zeros(0)
    )  # by label: running mean of scores
    motion: Motion | None = None  # where a Kalman filter predicts boxes, without odometry
    ego: Motion | None = None  # the same with odometry, at its last known place; None: not known yet
    mask: NDArray[np.float32] | None = None  # (m, m) logits over the box, of the last detection


@dataclass(frozen=True, slots=True, eq=False)
class Ego:
    """What odometry has told of a camera, and how well."""

    place: CameraPlace  # of the last frame with one, told or extrapolated
    stamp: float  # seconds, of the place
    told: tuple[tuple[float, Pose], ...]  # the last two poses that were told, older first, with their stamps
    error: float = 0.0  # running error of the boxes predicted with odometry, box sides
    other: float = 0.0  # likewise of those predicted without
    used: bool = False  # whether odometry predicts better, so that it is used


@dataclass(frozen=True, slots=True, eq=False)
class State:
    """The complete state of one camera's tracker between frames; a reset starts with an empty one."""

    memory: Any  # the engine's prototypes, opaque to the tracker
    session: UUID  # namespace of this run's track UUIDs
    tracks: tuple[Track, ...] = ()
    unmatched: tuple[Detections, ...] = ()  # unmatched detections of the last frames, newest first
    next_id: int = 1
    frame_index: int = 0  # frames processed so far
    stamp: float | None = None  # seconds, of the last frame; None before the first
    view: NDArray[np.uint8] | None = None  # (h, w) the last image, small and grey, for optical flow
    drifted: bool = False  # whether a track was carried to the last frame without certainty
    ego: Ego | None = None  # of its odometry, if there is any
