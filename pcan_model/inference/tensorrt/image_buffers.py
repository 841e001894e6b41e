"""Double buffer for images on the device: one is read while the next images are copied to the other."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pcan_model.core.device_image import DeviceImage
from pcan_model.core.engine import Image
from pcan_model.inference.tensorrt.arena import Arena
from pcan_model.inference.tensorrt.cuda import Address, Cuda, Stream

BUFFERS = (0, 1)
AnyImage = Image | DeviceImage
Images = Mapping[int, AnyImage]  # (H, W, 3) as the frame network takes it, by camera


class ImageBuffers:
    """Copies images on its own stream; readers of a buffer wait for its event on the device."""

    def __init__(self, shape: tuple[int, ...], arena: Arena, cuda: Cuda) -> None:
        """Allocate buffers of shape (cameras, H, W, 3), that of the frame engine's input."""
        size = int(np.prod(shape))
        self._cuda, self._held = cuda, ExitStack()
        self._host: list[NDArray[Any]] = [arena.pinned(shape, np.uint8) for _ in BUFFERS]
        self.addresses: list[Address] = [arena.device(size) for _ in BUFFERS]
        self._part = size // shape[0]  # bytes of one camera's image
        self._next = 0  # buffer to be read next; no running pass reads it
        self._staged: dict[int, AnyImage] = {}  # images in it or being copied to it
        self._borrowed: list[list[DeviceImage]] = [[] for _ in BUFFERS]  # whose copies may be under way
        self._stream = cuda.stream()
        self._held.callback(cuda.close_stream, self._stream)
        events: list[Any] = []
        with self._held.pop_all() as held:
            for _ in (*BUFFERS, "written"):
                events.append(cuda.event())
                held.callback(cuda.close_event, events[-1])
            self._held = held.pop_all()
        *self._events, self._written = events  # copied to each buffer; written by an image's owner

    def stage(self, camera: int, image: AnyImage) -> None:
        """Start copying a camera's next image, replacing one already staged."""
        target = self.addresses[self._next] + camera * self._part
        if isinstance(image, DeviceImage):
            self._copy(image, target)
        else:
            self._upload(image, camera, target)
        self._cuda.record(self._events[self._next], self._stream)
        self._staged[camera] = image

    def _upload(self, image: Image, camera: int, target: Address) -> None:
        self._cuda.await_event(self._events[self._next])  # an earlier copy may still read the pinned memory
        host = self._host[self._next][camera]
        np.copyto(host, image)
        self._cuda.upload(target, host.ctypes.data, self._part, self._stream)

    def _copy(self, image: DeviceImage, target: Address) -> None:
        if image.stream is not None:
            self._cuda.record(self._written, image.stream)
            self._cuda.follow(self._stream, self._written)
        self._borrowed[self._next].append(image)
        self._cuda.copy(target, image.address, self._part, self._stream)

    def take(self, images: Images, reader: Stream) -> int:
        """Return the buffer of the images, staging missing ones; `reader` waits for the copies."""
        for camera, image in images.items():
            if self._staged.get(camera) is not image:
                self.stage(camera, image)
        index = self._next
        self._cuda.follow(reader, self._events[index])
        self._staged, self._next = {}, 1 - index
        return index

    def release(self, index: int) -> None:
        """Drop the references to the images of a buffer, once its reader has been waited for."""
        self._borrowed[index].clear()

    def close(self) -> None:
        """Destroy stream and events after the last copy; the arena frees the memory."""
        self._held.callback(self._cuda.synchronise, self._stream)
        self._held.close()
