"""Base class for runtimes with their own tensor type (ONNX Runtime, OpenVINO), which holds the memory."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from pcan_model.core.engine import Engine, EngineFacts, Image
from pcan_model.core.structures import Detections, Slots
from pcan_model.inference.graphs import (
    Shape,
    check_fit,
    check_image,
    detections,
    features_of,
    masks,
    signature_of,
)
from pcan_model.inference.manifest import ModelFiles
from pcan_model.model.pass_names import DETECTIONS, GRAPHS, NMS_OK, REFINED, SLOTS


class Network(Protocol):
    """A graph of static shapes in a runtime; values are the runtime's own tensors."""

    def shape(self, name: str) -> Shape:
        """Return the shape of an input or output."""

    def zeros(self, name: str) -> Any:
        """Return a value of zeros for an input."""

    def run(self, *values: Any) -> dict[str, Any]:
        """Run on arrays or values in the order of the inputs; outputs are new values."""

    def read(self, value: Any) -> NDArray[Any]:
        """Return a value as an array."""


@dataclass(frozen=True, slots=True, eq=False)
class HostMemory:
    """One camera's memory, as values of the runtime."""

    frames: tuple[Any, ...]  # state of the frame network, such as keys, values and validity
    bank: tuple[Any, ...]  # state of the instance network


@dataclass(frozen=True, slots=True, eq=False)
class HostFeatures:
    """Inputs of `segment` for one image."""

    regions: tuple[Any, ...]  # features for the instance network, see graphs.features_of
    frames: tuple[Any, ...]  # the frame memory including this image
    count: int  # detections without padding


class HostEngine(Engine):
    """Engine of two networks in a runtime."""

    name = "unknown"  # of the backend

    def __init__(self, files: ModelFiles, frame: Network, instance: Network, device: str) -> None:
        self.config, self.camera_format, self._files = files.config, files.manifest.camera_format, files
        self._frame, self._instance = frame, instance
        self._facts = EngineFacts(self.name, device, files.manifest.precision)
        self._features = features_of(files)
        self._state, self._bank = (signature_of(files, graph).state for graph in GRAPHS)
        check_fit(files, frame.shape, instance.shape)

    @property
    def facts(self) -> EngineFacts:
        """Return the runtime and the precision."""
        return self._facts

    def start(self, camera: int = 0) -> HostMemory:
        """Return the empty prototype memory of one camera."""
        return HostMemory(
            tuple(self._frame.zeros(name) for name in self._state),
            tuple(self._instance.zeros(name) for name in self._bank),
        )

    def detect(self, image: Image, memory: HostMemory) -> tuple[Detections, HostFeatures]:
        """Detect the objects in one image; see `pcan_model.core.engine`."""
        check_image(image, self._files)
        out = self._frame.run(image[None], *memory.frames)
        self.nms_ok = bool(self._frame.read(out[NMS_OK]))
        found = detections({name: self._frame.read(out[name]) for name in DETECTIONS}, self.config)
        regions, frames = (
            tuple(out[name] for name in names) for names in (self._features, self._state.values())
        )
        return found, HostFeatures(regions, frames, len(found))

    def segment(
        self, features: HostFeatures, slots: Slots, memory: HostMemory, *, remember: bool
    ) -> tuple[NDArray[np.float32], HostMemory]:
        """Refine the masks by their tracks' prototypes; see `pcan_model.core.engine`."""
        frames = features.frames if remember else memory.frames
        sparse = "boxes" in self._features  # predicts masks of tracks only, of at least one
        if not (slots.has.any() if sparse else features.count):
            return np.zeros(self._instance.shape(REFINED), np.float32), HostMemory(frames, memory.bank)
        bookkeeping = (getattr(slots, name) for name in SLOTS)
        out = self._instance.run(*features.regions, *memory.bank, *bookkeeping)
        logits = masks(self._instance.read(out[REFINED]), features.count)
        return logits, HostMemory(frames, tuple(out[name] for name in self._bank.values()))

    def state_arrays(self, memory: HostMemory) -> dict[str, NDArray[Any]]:
        """Return the values of a camera's memory by name."""
        names, values = (*self._state, *self._bank), (*memory.frames, *memory.bank)
        networks = (*[self._frame] * len(self._state), *[self._instance] * len(self._bank))
        return {name: net.read(v) for name, net, v in zip(names, networks, values, strict=True)}
