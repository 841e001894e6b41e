"""PCAN on TensorRT: engines shared by all cameras, with a context and a state on the device for each."""

from __future__ import annotations

import weakref
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pcan_model.core.engine import Engine, EngineFacts
from pcan_model.core.structures import Detections, Slots
from pcan_model.inference.graphs import check_image, detections, masks
from pcan_model.inference.tensorrt.engine_pair import EnginePair, Source
from pcan_model.inference.tensorrt.image_buffers import AnyImage
from pcan_model.inference.tensorrt.session import Session


class Lease:
    """Use of a session by a camera; the session is released once no memory refers to the lease."""

    def __init__(self, session: Session, free: list[Session]) -> None:
        self.session = session
        self.newest = 0  # number of the memory that is on the device
        weakref.finalize(self, free.append, session)


@dataclass(frozen=True, slots=True, eq=False)
class DeviceMemory:
    """Handle of one camera's memory on the device, which holds the newest only."""

    lease: Lease
    number: int


@dataclass(frozen=True, slots=True, eq=False)
class DeviceFeatures:
    """Handle of the features of the last image on the device."""

    memory: DeviceMemory  # used in detection
    count: int  # detections without padding


class TensorRtEngine(Engine):
    """Engine on a device; a failure of the device raises EngineLost and is final."""

    device_images = True

    def __init__(self, source: Source) -> None:
        self._files, self._pair = source.files, EnginePair(source)
        self.config, self.camera_format = self._files.config, self._files.manifest.camera_format
        self._sessions: list[Session] = []
        self._free: list[Session] = []
        self._finalizer = weakref.finalize(self, _close, self._sessions)

    @property
    def facts(self) -> EngineFacts:
        """Return the runtime, and the device memory of engines, contexts and buffers."""
        return self._pair.facts(self._sessions)

    def start(self, camera: int = 0) -> DeviceMemory:
        """Return the empty memory of one camera, reusing a released session if there is one."""
        with self._pair.alive():
            if self._free:
                session = self._free.pop()
            else:
                session = self._pair.session()
                self._sessions.append(session)
            session.reset()
            return DeviceMemory(Lease(session, self._free), 0)

    def stage(self, image: AnyImage, memory: DeviceMemory) -> None:
        """Start uploading the image for the next `detect`; see `pcan_model.core.engine`."""
        check_image(image, self._files)
        with self._pair.alive():
            memory.lease.session.stage(image)

    def detect(self, image: AnyImage, memory: DeviceMemory) -> tuple[Detections, DeviceFeatures]:
        """Detect the objects in one image; see `pcan_model.core.engine`."""
        check_image(image, self._files)
        session = _session(memory)
        with self._pair.alive():
            out = session.detect({0: image}, self._while_busy)
        self.nms_ok = bool(out["nms_ok"])
        found = detections(out, self.config)
        return found, DeviceFeatures(memory, len(found))

    def segment(
        self, features: DeviceFeatures, slots: Slots, memory: DeviceMemory, *, remember: bool
    ) -> tuple[NDArray[np.float32], DeviceMemory]:
        """Refine the masks by their tracks' prototypes; see `pcan_model.core.engine`."""
        session = _session(memory)
        if features.memory is not memory:
            raise ValueError("features: expected those of this camera's last image")
        with self._pair.alive():
            if features.count:
                logits = masks(session.segment(slots, self._while_busy), features.count)
            else:
                logits = np.zeros(self._pair.instance.shape("refined"), np.float32)
        session.advance(remember=remember)
        memory.lease.newest += 1
        return logits, DeviceMemory(memory.lease, memory.lease.newest)

    def close(self) -> None:
        """Free all sessions."""
        self._pair.retire()
        self._finalizer()

    def _while_busy(self) -> None:
        if self.meanwhile is not None:
            self.meanwhile()


def _session(memory: DeviceMemory) -> Session:
    """Return the session of a memory; raises ValueError if the device holds a later memory."""
    if memory.number != memory.lease.newest:
        raise ValueError(
            f"memory: expected the newest one (number {memory.lease.newest}), got number {memory.number}: "
            "on TensorRT a camera's earlier memories are gone"
        )
    return memory.lease.session


def _close(sessions: list[Session]) -> None:
    while sessions:
        sessions.pop().close()
