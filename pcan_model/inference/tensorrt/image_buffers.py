"""Two buffers for the images on the device: one is read while the next images are copied into the other."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pcan_model.core.engine import Image
from pcan_model.inference.tensorrt.arena import Arena
from pcan_model.inference.tensorrt.cuda import Address, Cuda, Stream

PLACES = (0, 1)
Images = Mapping[int, Image]  # (H, W, 3) as the frame network takes it, by camera


class ImageBuffers:
    """Uploads images on a stream of its own; a reader of a place waits for its event, on the device."""

    def __init__(self, shape: tuple[int, ...], arena: Arena, cuda: Cuda) -> None:
        """Take the shape (cameras, H, W, 3) of the frame engine's input."""
        size = int(np.prod(shape))
        self._cuda, self._held = cuda, ExitStack()
        self._host: list[NDArray[Any]] = [arena.pinned(shape, np.uint8) for _ in PLACES]
        self.places: list[Address] = [arena.device(size) for _ in PLACES]
        self._part = size // shape[0]  # bytes of one camera's image
        self._next = 0  # place that will be read next; no pass at work reads it
        self._there: dict[int, Image] = {}  # images in it, or on their way
        self._stream = cuda.stream()
        self._held.callback(cuda.close_stream, self._stream)
        self._events: list[Any] = []
        with self._held.pop_all() as held:
            for _ in PLACES:
                self._events.append(cuda.event())
                held.callback(cuda.close_event, self._events[-1])
            self._held = held.pop_all()

    def stage(self, camera: int, image: Image) -> None:
        """Begin to upload what will be read next of a camera, in place of what is waiting there."""
        place = self._next
        self._cuda.await_event(self._events[place])  # an earlier copy may still read the pinned memory
        host = self._host[place][camera]
        np.copyto(host, image)
        target = self.places[place] + camera * self._part
        self._cuda.upload(target, host.ctypes.data, self._part, self._stream)
        self._cuda.record(self._events[place], self._stream)
        self._there[camera] = image

    def take(self, images: Images, reader: Stream) -> int:
        """Return the place of the images, theirs once `reader` gets there; what is not staged is now."""
        for camera, image in images.items():
            if self._there.get(camera) is not image:
                self.stage(camera, image)
        place = self._next
        self._cuda.follow(reader, self._events[place])
        self._there, self._next = {}, 1 - place
        return place

    def close(self) -> None:
        """Let go of stream and events, once no copy is under way; the arena frees the memory."""
        self._held.callback(self._cuda.synchronise, self._stream)
        self._held.close()
