"""The tracking step of one frame on the host: before, between and after the two network passes."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, cast
from uuid import uuid5

import numpy as np
from numpy.typing import NDArray

from pcan_model.core.config import Config
from pcan_model.core.device_image import DeviceFrame
from pcan_model.core.engine import CameraFormat, Image
from pcan_model.core.geometry import Letterbox, clip_boxes, fit_image, paste_mask, remove_overlaps
from pcan_model.core.structures import (
    EMPTY_MASK,
    CameraPlace,
    Detections,
    Ego,
    Frame,
    FrameKind,
    Mask,
    Slots,
    State,
    Track,
    TrackedInstance,
    Tracks,
    TrackState,
)
from pcan_model.core.tracker_config import TrackerConfig
from pcan_model.tracking.association import match, moved, predict, unique_detections
from pcan_model.tracking.camera_motion import camera_motion, small_view
from pcan_model.tracking.ego_motion import is_placed, judged, predicted, with_odometry
from pcan_model.tracking.masktrack import CueWeights
from pcan_model.tracking.propagation import Carried, carry_tracks
from pcan_model.tracking.riders import label_riders, matching_classes
from pcan_model.tracking.track_management import (
    TrackUpdate,
    bank_slots,
    unchanged_tracks,
    update_tracks,
)


@dataclass(frozen=True, slots=True, eq=False)
class Prepared:
    """A frame as input of the network."""

    stamp: float  # capture time in seconds
    place: CameraPlace | None  # of the camera; None: unknown
    letterbox: Letterbox  # transform between camera image and network input
    image: Image  # (height, width, 3) RGB of Config.input, or unchanged if the engine resizes it,
    # then also a DeviceImage
    view: NDArray[np.uint8] | None = None  # (h, w) small grey image for optical flow


@dataclass(frozen=True, slots=True)
class FrameStep:
    """One frame's step without the network; holds no state."""

    network: Config
    config: TrackerConfig  # its capacity is the rows of the network's prototype bank
    camera_format: CameraFormat | None = None  # images that the engine resizes itself

    def __post_init__(self) -> None:
        rows = self.network.tracker.capacity
        if self.config.capacity != rows:
            raise ValueError(
                f"Tracker: capacity: expected {rows}, the rows of the engine's prototype bank, "
                f"got {self.config.capacity}"
            )

    def prepare(self, frame: Frame) -> Prepared:
        """Resize a frame to the network's input, unless the engine does."""
        letterbox = fit_image(frame.image.shape, self.network.input)
        view = small_view(frame) if self.config.camera_motion else None
        if self.camera_format is not None:
            image = frame.ordered(self.camera_format.order)
        else:
            image = letterbox.apply(frame.ordered("rgb"))
        return Prepared(frame.stamp, frame.place, letterbox, image, view)

    def prepare_on_device(self, frame: DeviceFrame, *, supported: bool) -> Prepared:
        """Leave a frame on the device for the engine; raises ValueError where the host needs its pixels.

        supported  whether the engine reads images on the device
        """
        wanted = self.camera_format
        if not supported or wanted is None:
            raise ValueError("image: on the device it needs TensorRT and a model exported with --camera")
        if frame.image.order != wanted.order:
            raise ValueError(f"image: order: expected {wanted.order} on the device, got {frame.image.order}")
        if self.config.camera_motion:
            raise ValueError(
                "image: expected it in host memory for tracker.camera_motion, got it on the device"
            )
        letterbox = fit_image(frame.image.shape, self.network.input)
        return Prepared(frame.stamp, frame.place, letterbox, cast(Image, frame.image))

    def remembers(self, state: State) -> bool:
        """Return whether the next frame is added to the frame memory."""
        return state.frame_index % self.network.frame_attention.memory_interval == 0

    def associate(self, state: State, found: Detections, ready: Prepared) -> TrackUpdate:
        """Match the detections with the tracks and update the tracks."""
        if self._idles and not len(found):
            return replace(unchanged_tracks(state, found), ego=state.ego)
        stamp, (tracks, ego) = ready.stamp, self._moved(state, ready)
        groups, classes = None, self.network.classes
        if self.config.riders:
            found, groups = label_riders(found, classes), matching_classes(classes)
        found = unique_detections(found, self.config)
        ego = judged(ego, tracks, found, stamp)
        assigned = match(
            found,
            predicted(tracks, ego, stamp),
            state.unmatched,
            stamp=stamp,
            config=self.config,
            groups=groups,
            weights=self._cue_weights,
        )
        placed, state = is_placed(ego, stamp), replace(state, tracks=tracks)
        update = update_tracks(state, found, assigned, stamp=stamp, config=self.config, placed=placed)
        return replace(update, ego=ego)

    def _moved(self, state: State, ready: Prepared) -> tuple[tuple[Track, ...], Ego | None]:
        """Return the tracks with their motion filters, if any, predicted to this frame, and the odometry.

        The camera's motion is that of the image, if the configuration asks for it, in one of the filters, and
        that of odometry, if it is known, in the other.
        """
        stamp, image = ready.stamp, None
        if ready.view is not None and state.tracks:
            boxes = np.stack([track.box for track in state.tracks])
            image = camera_motion(state.view, ready.view, boxes, ready.letterbox)
        tracks = tuple(moved(track, stamp, image) for track in state.tracks)
        if self.config.motion != "kalman":
            return tracks, None
        return with_odometry(tracks, state.ego, ready.place, ready.letterbox, stamp)

    def carries(self, state: State, ready: Prepared) -> bool:
        """Return whether tracks can be carried to a frame: not to the first, or one of another size."""
        return state.view is not None and ready.view is not None and state.view.shape == ready.view.shape

    def carry(self, state: State, ready: Prepared) -> Carried:
        """Carry the tracks to a propagated frame, see `carries`."""
        assert ready.view is not None, "checked by `carries`"
        (tracks, ego), stamp = self._moved(state, ready), ready.stamp
        carried = carry_tracks(
            state, tracks, ego, ready.view, ready.letterbox, stamp=stamp, config=self.config
        )
        return replace(carried, update=replace(carried.update, ego=ego))

    def finish_carried(self, state: State, ready: Prepared, carried: Carried) -> tuple[State, Tracks]:
        """Paste the masks of a propagated frame; returns the state for the next frame, and the tracks."""
        update, stamp = carried.update, ready.stamp
        masks = _masks(update, carried.logits, ready.letterbox, overlap=self.config.overlap)
        tracks = _tracks(state, update, masks, stamp, ready.letterbox)
        after = replace(
            state,
            tracks=update.kept,
            frame_index=state.frame_index + 1,
            stamp=stamp,
            view=ready.view,
            drifted=carried.drifted,
            ego=update.ego,
        )
        return after, replace(tracks, kind=FrameKind.PROPAGATED)

    def slots(self, state: State, update: TrackUpdate) -> Slots:
        """Return the bank rows that the instance pass reads and writes."""
        detections = self.network.heads.detections
        return bank_slots(update, state.frame_index, detections=detections, capacity=self.config.capacity)

    def finish(
        self, state: State, ready: Prepared, update: TrackUpdate, logits: NDArray[np.float32], memory: Any
    ) -> tuple[State, Tracks]:
        """Paste the masks; returns the state for the next frame, and the tracks of this one ordered by id.

        logits  (D, m, m)  of the padded detections
        memory  of the engine after this frame
        """
        masks = _masks(update, logits, ready.letterbox, overlap=self.config.overlap)
        tracks = _tracks(state, update, masks, ready.stamp, ready.letterbox)
        if self.config.camera_motion:
            update = _with_masks(update, logits)
        return self._next(state, update, ready, memory), tracks

    @property
    def _cue_weights(self) -> CueWeights:
        sipmask = self.network.sipmask
        return CueWeights(sipmask.score_weight, sipmask.iou_weight, sipmask.label_weight)

    @property
    def _idles(self) -> bool:
        return self.network.variant == "released" and self.network.released.idle_when_empty

    def _next(self, state: State, update: TrackUpdate, ready: Prepared, memory: Any) -> State:
        new = () if self._idles and not len(update.kept_rows) else (update.unmatched,)
        unmatched = (*new, *state.unmatched)[: self.config.keep_backdrops]
        return State(
            memory=memory,
            session=state.session,
            tracks=update.kept,
            unmatched=unmatched,
            next_id=update.next_id,
            frame_index=state.frame_index + 1,
            stamp=ready.stamp,
            view=ready.view,
            ego=update.ego,
        )


def _with_masks(update: TrackUpdate, logits: NDArray[np.float32]) -> TrackUpdate:
    """Store the masks of the detected tracks, with which a propagated frame carries them on."""
    rows = zip(update.found, update.rows.tolist(), strict=True)
    return replace(update, found=tuple(replace(track, mask=logits[row].copy()) for track, row in rows))


def _masks(
    update: TrackUpdate, logits: NDArray[np.float32], letterbox: Letterbox, *, overlap: bool
) -> tuple[Mask, ...]:
    """Paste the masks of the shown tracks; without `overlap` a pixel belongs to the highest score.

    logits  (D, m, m)  of the padded detections
    """
    height, width = letterbox.source
    masks = [
        paste_mask(logits[row], letterbox.to_image(track.box), height, width) for track, row in update.shown
    ]
    return tuple(masks) if overlap else remove_overlaps(masks, height, width)


def _tracks(
    state: State, update: TrackUpdate, masks: tuple[Mask, ...], stamp: float, letterbox: Letterbox
) -> Tracks:
    """Return all confirmed tracks of this frame, in pixels of the camera image."""
    gone = [
        (track, kind, EMPTY_MASK)
        for kind, group in ((TrackState.LOST, update.lost), (TrackState.REMOVED, update.removed))
        for track in predicted(group, update.ego, stamp)
        if track.shown is not None
    ]
    here = [
        (track, TrackState.NEW if track.shown == state.frame_index else TrackState.TRACKED, mask)
        for (track, _), mask in zip(update.shown, masks, strict=True)
    ]
    instances = [_instance(track, kind, mask, state, stamp, letterbox) for track, kind, mask in here + gone]
    instances.sort(key=lambda instance: instance.track_id)
    return Tracks(stamp, *letterbox.source, state.frame_index, tuple(instances))


def _instance(
    track: Track, kind: TrackState, mask: Mask, state: State, stamp: float, letterbox: Letterbox
) -> TrackedInstance:
    """Return a track as published; the box of one that was not detected is predicted."""
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
