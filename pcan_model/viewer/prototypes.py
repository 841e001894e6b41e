"""Pictures of the prototypes of every tracked object, for the page of a run."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from pcan_model.data.clips import Clip
from pcan_model.data.files import write_image
from pcan_model.model.pcan import PCAN
from pcan_model.visualization.attention_figure import colour_map, outlined
from pcan_model.visualization.attention_recorder import AttentionView, record_attention

QUALITY = [cv2.IMWRITE_JPEG_QUALITY, 80]
Pictures = dict[int, list[dict[str, Any]]]  # by frame: box in pixels of the image, track, file


def write_pictures(
    net: PCAN, clip: Clip, folder: Path, progress: Callable[[], object] = lambda: None
) -> Pictures:
    """Track a clip and write a picture of each object: its outline, foreground and background prototypes.

    folder  for the pictures; they are named FRAME_TRACK.jpg
    """
    images = (frame.image for frame in clip.frames())
    found: Pictures = {}
    for index, frame in enumerate(record_attention(net, images, clip.rate)):
        entries = found.setdefault(index, [])
        for view in frame.views:
            name = f"{index:06d}_{view.track_id}.jpg"
            write_image(folder / name, _picture(view, net.config.instance_attention.foreground), QUALITY)
            box = frame.letterbox.to_image(view.box[None])[0]
            entries.append({"box": box.round(1).tolist(), "id": view.track_id, "file": name})
        progress()
    return found


def _picture(view: AttentionView, split: int) -> Any:
    sides = (range(split), range(split, len(view.maps)))
    tiles = [outlined(view), *(colour_map(view, side) for side in sides)]
    return np.concatenate(tiles, 1)[..., ::-1]
