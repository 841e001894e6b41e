"""The labels of a frame as tracks, as a perfect tracker would return them."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID, uuid5

import numpy as np

from pcan_model.core.geometry import trim
from pcan_model.core.structures import Mask, TrackedInstance, Tracks, TrackState
from pcan_model.data.clips import LabeledFrame

SESSION = UUID(int=0)


def true_tracks(frame: LabeledFrame, stamp: float, index: int = 0, known: Sequence[int] = ()) -> Tracks:
    """Return the labels of a frame as tracks without velocities.

    stamp  seconds
    index  of the frame
    known  ids that earlier frames had; the others are NEW
    """
    height, width = frame.image.shape[:2]
    found = []
    for pixels, label, identity in zip(frame.masks, frame.labels, frame.ids, strict=True):
        mask = trim(Mask(0, 0, pixels.astype(np.uint8)))
        rows, columns = mask.crop.shape
        found.append(
            TrackedInstance(
                track_id=int(identity),
                uuid=uuid5(SESSION, str(identity)),
                state=TrackState.TRACKED if identity in known else TrackState.NEW,
                age=0,
                time_since_update=0,
                label=int(label),
                score=1.0,
                box=np.array([mask.x, mask.y, mask.x + columns, mask.y + rows], np.float32),
                velocity=np.zeros(2, np.float32),
                mask=mask,
            )
        )
    return Tracks(stamp, height, width, index, tuple(found))
