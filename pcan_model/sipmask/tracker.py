"""SipMask's own tracker, the baseline of Table 1: whole-image masks, fast NMS, one memory per video."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from uuid import UUID, uuid4, uuid5

import numpy as np
import torch
from numpy.typing import NDArray

from pcan_model.core.geometry import remove_overlaps, trim
from pcan_model.core.structures import Frame, Mask, TrackedInstance, Tracks, TrackState
from pcan_model.sipmask.association import AssociatedObjects, results, track
from pcan_model.sipmask.decode import SipMaskDetections, candidates, detect
from pcan_model.sipmask.embeddings import embeddings
from pcan_model.sipmask.head import HeadMaps
from pcan_model.sipmask.image import ImageFit, fit_image, network_input
from pcan_model.sipmask.masks import STRIDE, crop_masks, enlarge, paste
from pcan_model.sipmask.network import SipMask
from pcan_model.sipmask.suppression import detection_limits
from pcan_model.tracking.tracker import Stopwatch


@dataclass(frozen=True, slots=True)
class Life:
    """First and last detection of an object."""

    born: int  # frame index of the first detection
    stamp: float  # seconds, of the last detection
    box: tuple[float, ...]  # x1 y1 x2 y2 of the last detection, camera pixels


@dataclass(frozen=True, slots=True, eq=False)
class SipMaskState:
    """State of one video; a new video begins with an empty one."""

    session: UUID  # names the tracks
    memory: AssociatedObjects | None = None
    lives: dict[int, Life] = field(default_factory=dict)  # by id, which count from 0
    frame_index: int = 0  # frames processed so far


class SipMaskTracker:
    """Tracks videos with SipMask; stateless."""

    def __init__(self, net: SipMask, *, overlap: bool = False) -> None:
        """Take a network.

        overlap  let masks overlap, as the public code does, instead of giving each pixel to the best one
        """
        self.net, self.config, self.overlap = net.eval(), net.config, overlap

    def start(self, session: UUID | None = None) -> SipMaskState:
        """Return the state before the first frame; `session` names its tracks, random if None."""
        return SipMaskState(session or uuid4())

    def step(
        self, state: SipMaskState, frame: Frame, stopwatch: Stopwatch | None = None
    ) -> tuple[SipMaskState, Tracks]:
        """Track the objects of one frame; `state` stays as it is, `stopwatch` takes the times."""
        stopwatch = stopwatch or Stopwatch()
        stopwatch.start()
        fit = fit_image(frame.image.shape, self.config.input)
        found, embeds, masks = self._look(frame, fit)
        stopwatch.lap("network")
        objects = AssociatedObjects(found.boxes.numpy(), found.scores.numpy(), found.labels.numpy(), embeds)
        ids, memory, _ = track(
            objects,
            state.memory,
            first=state.frame_index == 0,
            config=self.config.sipmask,
            reference=self.config.sipmask.reference,
        )
        stopwatch.lap("association")
        rows = results(ids)
        now, seen = state.frame_index, dict(state.lives)
        for number, row in rows.items():
            born = seen[number].born if number in seen else now
            seen[number] = Life(born, frame.stamp, tuple(objects.boxes[row].tolist()))
        after = replace(state, memory=memory, lives=seen, frame_index=now + 1)
        crops = self._crop(masks, list(rows.values()), fit.source)
        instances = [
            instance(state, after, number, objects, row, mask)
            for (number, row), mask in zip(rows.items(), crops, strict=True)
        ]
        stopwatch.lap("masks")
        return after, Tracks(frame.stamp, *fit.source, now, tuple(instances))

    @torch.inference_mode()
    def _look(
        self, frame: Frame, fit: ImageFit
    ) -> tuple[SipMaskDetections, NDArray[np.float32], NDArray[np.bool_]]:
        """Return detections, their embeddings (N, E) and masks (N, height, width) in the camera image."""
        image = fit.resize(np.ascontiguousarray(frame.ordered("rgb")))
        maps: HeadMaps = self.net(network_input(image, self.config.input, bgr=self.config.backbone.caffe))
        limits = detection_limits(self.config)
        chosen = candidates(maps, 0, fit.size, fit.factor, limits)
        found = detect(maps, 0, chosen, limits)
        boxes = found.boxes * fit.factor
        crop = crop_masks(maps.basis[0], found.coefficients, boxes / STRIDE)
        masks = paste(enlarge(crop, STRIDE / fit.factor), fit.source)
        embeds = embeddings(maps.track[0], boxes, reference=self.config.sipmask.reference)
        return found, embeds.numpy(), masks.numpy()

    def _crop(self, masks: NDArray[np.bool_], rows: list[int], size: tuple[int, int]) -> tuple[Mask, ...]:
        """Return the masks of detections, by falling score, cut to their pixels."""
        cut = [trim(Mask(0, 0, masks[row].astype(np.uint8))) for row in rows]
        if self.overlap:
            return tuple(cut)
        order = sorted(range(len(rows)), key=rows.__getitem__)
        free = dict(zip(order, remove_overlaps([cut[i] for i in order], *size), strict=True))
        return tuple(free[i] for i in range(len(rows)))


def instance(
    before: SipMaskState, after: SipMaskState, number: int, objects: AssociatedObjects, row: int, mask: Mask
) -> TrackedInstance:
    """Return the track of an id, of which a detection was found in this frame."""
    old, new = before.lives.get(number), after.lives[number]
    return TrackedInstance(
        track_id=number + 1,
        uuid=uuid5(before.session, str(number + 1)),
        state=TrackState.TRACKED if old else TrackState.NEW,
        age=before.frame_index - new.born,
        time_since_update=0,
        label=int(objects.labels[row]),
        score=float(objects.scores[row]),
        box=objects.boxes[row],
        velocity=velocity(old, new),
        mask=mask,
    )


def velocity(old: Life | None, new: Life) -> NDArray[np.float32]:
    """Return the velocity (2,) of a box centre since the last detection, pixels per second."""
    if old is None or new.stamp <= old.stamp:
        return np.zeros(2, np.float32)
    shift = np.array(new.box, np.float32) - np.array(old.box, np.float32)
    return np.asarray((shift[:2] + shift[2:]) / 2 / (new.stamp - old.stamp), np.float32)
