"""An engine that records the inputs of the instance attention, from which attention maps are drawn."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from pcan_model.core.engine import Engine, Image
from pcan_model.core.geometry import Letterbox
from pcan_model.core.structures import Detections, Frame, Slots, State, Track
from pcan_model.inference.torch_engine import TorchEngine, TorchFeatures, TorchMemory
from pcan_model.model.pcan import PCAN
from pcan_model.model.sparse_passes import pool_sparse
from pcan_model.tracking.tracker import Tracker

SIDE = 224  # side of the crops, pixels


@dataclass(frozen=True, slots=True, eq=False)
class AttentionView:
    """The attention maps of one track's prototypes in one frame."""

    frame: int  # index of the frame, from 0
    track_id: int
    label: int  # index into Config.classes
    box: NDArray[np.float32]  # (4,) x1 y1 x2 y2, pixels of the network input
    crop: NDArray[np.uint8]  # (SIDE, SIDE, 3) RGB, the box stretched to a square
    mask: NDArray[np.float32]  # (2S, 2S) probability of the final mask over the box
    maps: NDArray[np.float32]  # (K, S, S) foreground first; each side sums to 1 at every cell


class RecordingEngine(Engine):
    """Runs the network with torch and records the inputs of the last instance pass."""

    def __init__(self, net: PCAN) -> None:
        self._engine, self._net, self.attention = TorchEngine(net), net, net.instance_attention
        self.config = net.config

    def start(self, camera: int = 0) -> TorchMemory:
        """Return the empty memory of one camera."""
        return self._engine.start()

    def detect(self, image: Image, memory: TorchMemory) -> tuple[Detections, TorchFeatures]:
        """Detect the objects in one image, and record the image."""
        self.image = image
        return self._engine.detect(image, memory)

    def segment(
        self, features: TorchFeatures, slots: Slots, memory: TorchMemory, *, remember: bool
    ) -> tuple[NDArray[np.float32], TorchMemory]:
        """Refine the masks, and record features, slots and logits."""
        self._features, self._slots = features, slots
        self._logits, following = self._engine.segment(features, slots, memory, remember=remember)
        return self._logits, following

    def view(self, track: Track, memory: TorchMemory, frame: int) -> AttentionView:
        """Return the attention maps of a track detected in the last image."""
        row = int(self._slots.owner[track.slot])
        *levels, boxes, _ = self._features.features
        with torch.inference_mode():
            region = pool_sparse(self._net, levels, boxes[row : row + 1], self.config.heads.mask_size)
            keys = self.attention.encode(region)
            maps = self.attention.attend(keys, memory.bank[0][track.slot][None], region.shape[-2:])[0]
        mask = 1 / (1 + np.exp(-self._logits[row]))
        crop = crop_square(self.image, track.box)
        return AttentionView(frame, track.track_id, track.label, track.box, crop, mask, maps.numpy())


def crop_square(image: NDArray[np.uint8], box: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Crop a box of an image and resize it to a square, aligned with the maps."""
    x1, y1, x2, y2 = box.tolist()
    scale_x, scale_y = max(x2 - x1, 1e-3) / SIDE, max(y2 - y1, 1e-3) / SIDE
    back = np.array([[scale_x, 0, x1 + scale_x / 2 - 0.5], [0, scale_y, y1 + scale_y / 2 - 0.5]])
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    square: Any = cv2.warpAffine(image, back, (SIDE, SIDE), flags=flags, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(square, np.uint8)


@dataclass(frozen=True, slots=True, eq=False)
class RecordedFrame:
    """A frame with the attention maps of its tracks."""

    image: NDArray[np.uint8]  # (height, width, 3) RGB uint8, letterboxed
    letterbox: Letterbox
    views: tuple[AttentionView, ...]  # of every track detected in it


def record_attention(
    net: PCAN, images: Iterable[NDArray[np.uint8]], rate: float = 10.0
) -> Iterator[RecordedFrame]:
    """Track RGB images at `rate` frames per second; yields the attention maps of each frame's tracks."""
    engine = RecordingEngine(net)
    tracker = Tracker(engine)
    state: State = tracker.start()
    size = net.config.input.height, net.config.input.width
    for index, image in enumerate(images):
        state, _ = tracker.step(state, Frame(image, index / rate))
        found = [track for track in state.tracks if track.seen == index]
        views = tuple(engine.view(track, state.memory, index) for track in found)
        yield RecordedFrame(engine.image, Letterbox((image.shape[0], image.shape[1]), size), views)
