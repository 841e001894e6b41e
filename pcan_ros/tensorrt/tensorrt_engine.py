"""PCAN on TensorRT, native: one engine for all cameras, a context and a state on the device for each."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pcan_model.structures import Detections, Slots
from pcan_ros.runtime.engine_facts import EngineFacts, EngineLost
from pcan_ros.runtime.graphs import FEATURES, check_fit, check_picture, detections, masks
from pcan_ros.runtime.model_files import ModelError, ModelFiles
from pcan_ros.tensorrt.bindings import Bindings
from pcan_ros.tensorrt.build import BuildOptions, Progress
from pcan_ros.tensorrt.cache import EngineCache
from pcan_ros.tensorrt.cuda import Cuda
from pcan_ros.tensorrt.plan import Say, Shop, open_plan
from pcan_ros.tensorrt.session import Session


class Lease:
    """The use of a session; when no memory holds it any more the session is free for another camera."""

    def __init__(self, session: Session, free: list[Session]) -> None:
        self.session = session
        weakref.finalize(self, free.append, session)


@dataclass(frozen=True, slots=True, eq=False)
class Memory:
    """A claim on the prototypes of one camera: they are on the device, and only the newest ones."""

    lease: Lease
    generation: int


@dataclass(frozen=True, slots=True, eq=False)
class Features:
    """A claim on the features of the last picture."""

    memory: Memory  # that the picture was looked at with
    count: int  # detections that are not padding


class TensorRtEngine:
    """Implements `pcan_model.engine.Engine`; any failure of the device is an EngineLost, and final."""

    def __init__(
        self,
        files: ModelFiles,
        bindings: Bindings,
        cache: Path,
        *,
        build: bool = True,
        say: Say = print,
        progress: Progress | None = None,
    ) -> None:
        self.config, self._bindings, self._precision = files.config, bindings, files.precision
        self._cuda = Cuda(bindings.cudart)
        if not self._cuda.devices():
            raise ModelError(f"backend: tensorrt: {bindings.title} is installed, but there is no CUDA device")
        self._device = f"{self._cuda.device_name()} (compute capability {self._cuda.capability()})"
        options = BuildOptions(self._cuda.capability())
        shop = Shop(bindings, EngineCache(cache), options, say, progress)
        self._frame = open_plan(files, "frame", shop, build=build)
        self._instance = open_plan(files, "instance", shop, build=build)
        check_fit(self.config, self._frame.shape, self._instance.shape)
        self._check_features()
        self.nms_ok = True  # whether the last picture's non-maximum suppression had converged
        self.meanwhile: Callable[[], None] | None = None  # see `Overlapping`
        self._lost = ""
        self._sessions: list[Session] = []
        self._free: list[Session] = []
        weakref.finalize(self, _close, self._sessions)

    @property
    def facts(self) -> EngineFacts:
        """Return what runs, and the device memory of plans, contexts and buffers."""
        scratch = self._frame.scratch + self._instance.scratch
        held = sum(session.device_bytes + scratch for session in self._sessions)
        graphs = sum(session.graphs for session in self._sessions)
        text = f"{self._bindings.title}, {self._device}, {graphs} CUDA graphs"
        plans = self._frame.size + self._instance.size
        return EngineFacts("tensorrt", text, self._precision, held + plans)

    def start(self) -> Memory:
        """Return the empty prototype memory of one camera; a session that nobody uses any more is cleared."""
        with self._alive():
            if self._free:
                session = self._free.pop()
            else:
                session = Session(self._frame, self._instance, self._cuda)
                self._sessions.append(session)
            session.reset()
            return Memory(Lease(session, self._free), session.generation)

    def stage(self, image: NDArray[np.uint8], memory: Memory) -> None:
        """Begin to copy up the picture that `detect` will be given next; see `Overlapping`."""
        check_picture(image, self.config)
        with self._alive():
            memory.lease.session.stage(image)

    def detect(self, image: NDArray[np.uint8], memory: Memory) -> tuple[Detections, Features]:
        """Find the objects of one picture; see `pcan_model.engine`."""
        check_picture(image, self.config)
        session = _session(memory)
        with self._alive():
            out = session.detect({0: image}, self._while_busy)
        self.nms_ok = bool(out["nms_ok"])
        found = detections(out, self.config)
        return found, Features(memory, len(found))

    def segment(
        self, features: Features, slots: Slots, memory: Memory, *, remember: bool
    ) -> tuple[NDArray[np.float32], Memory]:
        """Refine the masks by their tracks' prototypes; see `pcan_model.engine`."""
        session = _session(memory)
        if features.memory is not memory:
            raise ValueError("features: expected those of this camera's last picture")
        with self._alive():
            if features.count:
                logits = masks(session.segment(slots, self._while_busy), features.count)
            else:
                logits = np.zeros(self._instance.shape("refined"), np.float32)
        session.advance(remember=remember)
        return logits, Memory(memory.lease, session.generation)

    def _while_busy(self) -> None:
        if self.meanwhile is not None:
            self.meanwhile()

    def _check_features(self) -> None:
        """Raise ModelError where the instance engine would misread the frame engine's features."""
        for name in FEATURES:
            made, read = self._frame.dtype(name), self._instance.dtype(name)
            if made != read:
                raise ModelError(f"instance.onnx: {name}: expected {np.dtype(made)}, got {np.dtype(read)}")

    @contextmanager
    def _alive(self) -> Iterator[None]:
        """Refuse to go on once the device has failed: what it holds may be anything."""
        if self._lost:
            raise EngineLost(f"{self._lost}; configure the node anew")
        try:
            yield
        except EngineLost as error:
            self._lost = str(error)
            raise


def _session(memory: Memory) -> Session:
    """Return the session of a memory; raises ValueError where the device holds a later one."""
    session = memory.lease.session
    if memory.generation != session.generation:
        raise ValueError(
            f"memory: expected the newest one (number {session.generation}), got number {memory.generation}: "
            "on TensorRT a camera's earlier memories are gone"
        )
    return session


def _close(sessions: list[Session]) -> None:
    while sessions:
        sessions.pop().close()
