"""The tracks of a frame as bytes: compact, exact, and read without executing code."""

from __future__ import annotations

import json
import zlib
from typing import Any
from uuid import UUID

import numpy as np
from pycocotools import mask as coco_mask

from pcan_model.core import rle
from pcan_model.core.structures import EMPTY_MASK, FrameKind, Mask, TrackedInstance, Tracks, TrackState

MOST_BYTES = 1 << 26  # of one frame, to protect against exhausting the memory


def pack_tracks(tracks: Tracks) -> bytes:
    """Return the tracks as bytes, which `unpack_tracks` turns into equal ones."""
    plain = {
        "stamp": tracks.stamp,
        "size": [tracks.height, tracks.width],
        "frame_index": tracks.frame_index,
        "kind": tracks.kind.value,
        "instances": [_plain(each) for each in tracks.instances],
    }
    return zlib.compress(json.dumps(plain).encode(), 1)


def unpack_tracks(data: bytes) -> Tracks:
    """Return the tracks; raises ValueError for other bytes."""
    reader = zlib.decompressobj()
    try:
        text = reader.decompress(data, MOST_BYTES)
        plain = json.loads(text)
        height, width = plain["size"]
        instances = tuple(_instance(each) for each in plain["instances"])
        kind, index = FrameKind(plain["kind"]), int(plain["frame_index"])
        return Tracks(float(plain["stamp"]), int(height), int(width), index, instances, kind)
    except (zlib.error, ValueError, KeyError, TypeError, IndexError, AttributeError) as error:
        raise ValueError(f"tracks: expected what pack_tracks returns, got {error}") from error


def _plain(each: TrackedInstance) -> list[Any]:
    mask = each.mask
    numbers = [each.track_id, each.uuid.hex, int(each.state), each.age, each.time_since_update, each.label]
    place = [mask.x, mask.y, rle.encode(mask.crop) if mask.crop.size else None]
    return [*numbers, float(each.score), each.box.tolist(), each.velocity.tolist(), *place]


def _instance(values: list[Any]) -> TrackedInstance:
    track_id, uuid, state, age, unseen, label, score, box, velocity, x, y, runs = values
    mask = EMPTY_MASK
    if runs is not None:
        mask = Mask(int(x), int(y), coco_mask.decode(rle.check(runs, file="tracks", key="rle")))
    return TrackedInstance(
        track_id=int(track_id),
        uuid=UUID(hex=uuid),
        state=TrackState(state),
        age=int(age),
        time_since_update=int(unseen),
        label=int(label),
        score=float(score),
        box=np.array(box, np.float32),
        velocity=np.array(velocity, np.float32),
        mask=mask,
    )
