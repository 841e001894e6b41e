"""Cameras on the device: contexts, buffers and the state between frames."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from contextlib import ExitStack, suppress
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pcan_model.core.engine import Image
from pcan_model.core.structures import Slots
from pcan_model.inference.errors import EngineLost
from pcan_model.inference.tensorrt.arena import Arena
from pcan_model.inference.tensorrt.cuda import Address, Cuda
from pcan_model.inference.tensorrt.image_buffers import PLACES, ImageBuffers, Images
from pcan_model.inference.tensorrt.loaded_engine import LoadedEngine
from pcan_model.inference.tensorrt.network_pass import NetworkPass, Transfer, Variant
from pcan_model.model.pass_names import DETECTIONS, NMS_OK, REFINED, REMEMBER, SLOTS

DOWN = (*DETECTIONS, NMS_OK)  # of the frame pass
PARITIES = (0, 1)
Meanwhile = Callable[[], None]  # what the host does while the device works
Places = dict[str, Address]  # where each tensor of an engine lies


class Session:
    """The state ping-pongs: what one frame writes the next one reads, and no prototype is copied.

    A session serves one camera, or all cameras that the networks run at once. Each state
    tensor has two buffers. A pass of parity p reads buffer p and writes buffer 1 - p; a state
    is taken over by changing the parity. Features pass from the frame engine to the instance engine in
    the same buffers. Images alternate between two places on their own account, so that the next one
    may be uploaded while the device is busy with this one.
    """

    def __init__(self, frame: LoadedEngine, instance: LoadedEngine, cuda: Cuda) -> None:
        self._cuda, self._held = cuda, ExitStack()
        self._arena = Arena(cuda)
        self._held.callback(self._arena.close)
        self._passes: list[NetworkPass] = []
        self._parity = {"frames": 0, "bank": 0}
        try:
            self._place(frame, instance)
        except Exception:
            self.close()
            raise

    @property
    def device_bytes(self) -> int:
        """Return the device memory of this session's buffers."""
        return self._arena.device_bytes

    @property
    def graphs(self) -> int:
        """Return how many variants of the two passes run as a CUDA graph: at most four and two."""
        return sum(each.graphs for each in self._passes)

    def reset(self, camera: int = 0) -> None:
        """Forget all frames of a camera: nothing is valid any more.

        The prototypes go too: it costs a memset, and numbers that are none would spoil what reads them
        (0 x NaN is NaN).
        """
        for name in self._state:
            part = self._sizes[name] // self._cameras
            for address in self._buffers[name]:
                self._cuda.zero(address + camera * part, part, self._stream)
        self._cuda.synchronise(self._stream)

    def stage(self, image: Image, camera: int = 0) -> None:
        """Begin to upload what the next `detect` will be given, whatever the device is busy with."""
        self._images.stage(camera, image)

    def detect(
        self, images: Images, meanwhile: Meanwhile, remember: Collection[int] = ()
    ) -> dict[str, NDArray[Any]]:
        """Run the frame pass; returns copies of its small outputs.

        remember  cameras whose memory takes the image in, where the network decides that
        """
        if REMEMBER in self._host:
            self._host[REMEMBER][:] = [camera in remember for camera in range(self._cameras)]
        place = self._images.take(images, self._stream)
        self._frame.run((self._parity["frames"], place), meanwhile)
        return {name: self._host[name].copy() for name in DOWN}

    def segment(self, slots: Slots, meanwhile: Meanwhile) -> NDArray[Any]:
        """Run the instance pass on the last features, advance the bank; returns a copy of `refined`."""
        for name in SLOTS:
            np.copyto(self._host[name], getattr(slots, name))
        self._instance.run((self._parity["bank"],), meanwhile)
        self._parity["bank"] ^= 1
        return self._host[REFINED].copy()

    def advance(self, *, remember: bool) -> None:
        """End a frame: take its prototypes over, or leave the frame memory as it was."""
        self._parity["frames"] ^= remember

    def close(self) -> None:
        """Free everything on the device; after a lost context there is nothing left to free."""
        with suppress(EngineLost):
            self._held.close()
        self._passes = []

    def _place(self, frame: LoadedEngine, instance: LoadedEngine) -> None:
        """Allocate every tensor once and make the two passes."""
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
            for name in (*SLOTS, *DOWN, REMEMBER, REFINED)
            if name in owner
        }
        self._cuda.synchronise(self._stream)
        seen: dict[Variant, Places] = {
            (parity, place): self._lies(frame, parity) | {"image": self._images.places[place]}
            for parity, place in product(PARITIES, PLACES)
        }
        self._frame = self._pass(frame, seen, tuple(name for name in (REMEMBER,) if name in owner), DOWN)
        lies: dict[Variant, Places] = {(parity,): self._lies(instance, parity) for parity in PARITIES}
        self._instance = self._pass(instance, lies, SLOTS, (REFINED,))

    def _zeros(self, size: int) -> Address:
        address = self._arena.device(size)
        self._cuda.zero(address, size, self._stream)  # what was there before may be NaN, and 0 x NaN is NaN
        return address

    def _pass(
        self,
        engine: LoadedEngine,
        addresses: Mapping[Variant, Places],
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

    def _lies(self, engine: LoadedEngine, parity: int) -> Places:
        """Return where each tensor lies when a pass of this parity runs."""
        places = {name: self._buffers[name][0] for name in _names(engine) if name in self._buffers}
        for name, following in engine.signature.state.items():
            places[name] = self._buffers[name][parity]
            places[following] = self._buffers[name][1 - parity]
        return places


def _names(engine: LoadedEngine) -> tuple[str, ...]:
    return (*engine.signature.inputs, *engine.signature.outputs)
