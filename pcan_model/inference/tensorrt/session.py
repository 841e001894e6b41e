"""Execution contexts, buffers and the state between frames, for one camera or a batch of cameras."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from contextlib import ExitStack, suppress
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pcan_model.core.structures import Slots
from pcan_model.inference.errors import EngineLost
from pcan_model.inference.tensorrt.arena import Arena
from pcan_model.inference.tensorrt.cuda import Address, Cuda
from pcan_model.inference.tensorrt.image_buffers import BUFFERS, AnyImage, ImageBuffers, Images
from pcan_model.inference.tensorrt.loaded_engine import LoadedEngine
from pcan_model.inference.tensorrt.network_pass import NetworkPass, Transfer, Variant
from pcan_model.model.pass_names import DETECTIONS, NMS_OK, REFINED, REMEMBER, SLOTS

FRAME_OUTPUTS = (*DETECTIONS, NMS_OK)  # of the frame pass, copied to the host
PARITIES = (0, 1)
Meanwhile = Callable[[], None]  # called on the host while the device is busy
Addresses = dict[str, Address]  # of an engine's tensors


class Session:
    """Contexts and double-buffered state of one camera, or of a batch of cameras.

    Each state tensor has two buffers: a pass of parity p reads buffer p and writes buffer 1 - p, and
    changing the parity commits the new state without a copy. Features are passed from the frame engine to
    the instance engine in shared buffers. Images have their own double buffer, so that the next one can
    be uploaded while the device is busy.
    """

    def __init__(self, frame: LoadedEngine, instance: LoadedEngine, cuda: Cuda) -> None:
        self._cuda, self._held = cuda, ExitStack()
        self._arena = Arena(cuda)
        self._held.callback(self._arena.close)
        self._passes: list[NetworkPass] = []
        self._parity = {"frames": 0, "bank": 0}
        try:
            self._allocate(frame, instance)
        except Exception:
            self.close()
            raise

    @property
    def device_bytes(self) -> int:
        """Return the device memory of this session's buffers."""
        return self._arena.device_bytes

    @property
    def graphs(self) -> int:
        """Return the number of variants with a CUDA graph, at most four and two of the two passes."""
        return sum(each.graphs for each in self._passes)

    def reset(self, camera: int = 0) -> None:
        """Clear the memory of a camera.

        Not only validity but also the prototypes are zeroed, since a NaN would propagate (0 x NaN is NaN).
        """
        for name in self._state:
            part = self._sizes[name] // self._cameras
            for address in self._buffers[name]:
                self._cuda.zero(address + camera * part, part, self._stream)
        self._cuda.synchronise(self._stream)

    def stage(self, image: AnyImage, camera: int = 0) -> None:
        """Start copying the image for the next `detect`, also while the device is busy."""
        self._images.stage(camera, image)

    def detect(
        self, images: Images, meanwhile: Meanwhile, remember: Collection[int] = ()
    ) -> dict[str, NDArray[Any]]:
        """Run the frame pass; returns copies of its small outputs.

        remember  cameras whose memory stores the image, if that is an input of the network
        """
        if REMEMBER in self._host:
            self._host[REMEMBER][:] = [camera in remember for camera in range(self._cameras)]
        index = self._images.take(images, self._stream)
        self._frame.run((self._parity["frames"], index), meanwhile)
        self._images.release(index)
        return {name: self._host[name].copy() for name in FRAME_OUTPUTS}

    def segment(self, slots: Slots, meanwhile: Meanwhile) -> NDArray[Any]:
        """Run the instance pass on the last features and commit the bank; returns a copy of `refined`."""
        for name in SLOTS:
            np.copyto(self._host[name], getattr(slots, name))
        self._instance.run((self._parity["bank"],), meanwhile)
        self._parity["bank"] ^= 1
        return self._host[REFINED].copy()

    def advance(self, *, remember: bool) -> None:
        """End a frame: commit its frame memory, or keep the old one."""
        self._parity["frames"] ^= remember

    def close(self) -> None:
        """Free everything on the device; does nothing after a lost context."""
        with suppress(EngineLost):
            self._held.close()
        self._passes = []

    def _allocate(self, frame: LoadedEngine, instance: LoadedEngine) -> None:
        """Allocate all tensors and create the two passes."""
        self._stream = self._cuda.stream()
        self._held.callback(self._cuda.close_stream, self._stream)
        self._images = ImageBuffers(frame.shape("image"), self._arena, self._cuda)
        self._held.callback(self._images.close)
        self._cameras = frame.shape("image")[0]
        self._state = frame.signature.state | instance.signature.state
        owner = {name: engine for engine in (instance, frame) for name in _names(engine)}
        self._sizes = {name: engine.bytes(name) for name, engine in owner.items()}
        self._buffers: dict[str, list[Address]] = {}
        for name in owner:
            if name != "image" and name not in self._state.values():
                count = len(PARITIES) if name in self._state else 1
                self._buffers[name] = [self._zeros(self._sizes[name]) for _ in range(count)]
        self._host = {
            name: self._arena.pinned(owner[name].shape(name), owner[name].dtype(name))
            for name in (*SLOTS, *FRAME_OUTPUTS, REMEMBER, REFINED)
            if name in owner
        }
        self._cuda.synchronise(self._stream)
        frame_addresses: dict[Variant, Addresses] = {
            (parity, index): self._addresses(frame, parity) | {"image": self._images.addresses[index]}
            for parity, index in product(PARITIES, BUFFERS)
        }
        self._frame = self._pass(
            frame, frame_addresses, tuple(name for name in (REMEMBER,) if name in owner), FRAME_OUTPUTS
        )
        addresses: dict[Variant, Addresses] = {(p,): self._addresses(instance, p) for p in PARITIES}
        self._instance = self._pass(instance, addresses, SLOTS, (REFINED,))

    def _zeros(self, size: int) -> Address:
        address = self._arena.device(size)
        self._cuda.zero(address, size, self._stream)  # old contents may be NaN, and 0 x NaN is NaN
        return address

    def _pass(
        self,
        engine: LoadedEngine,
        addresses: Mapping[Variant, Addresses],
        up: tuple[str, ...],
        down: tuple[str, ...],
    ) -> NetworkPass:
        new = NetworkPass(
            engine,
            self._cuda,
            self._stream,
            addresses=addresses,
            uploads=[Transfer(self._host[name], self._buffers[name][0]) for name in up],
            downloads=[Transfer(self._host[name], self._buffers[name][0]) for name in down],
        )
        self._passes.append(new)
        self._held.callback(new.close)
        return new

    def _addresses(self, engine: LoadedEngine, parity: int) -> Addresses:
        """Return the address of each tensor for a pass of this parity."""
        addresses = {name: self._buffers[name][0] for name in _names(engine) if name in self._buffers}
        for name, following in engine.signature.state.items():
            addresses[name] = self._buffers[name][parity]
            addresses[following] = self._buffers[name][1 - parity]
        return addresses


def _names(engine: LoadedEngine) -> tuple[str, ...]:
    return (*engine.signature.inputs, *engine.signature.outputs)
