"""Base class of the inference engines (torch, ONNX Runtime, OpenVINO, TensorRT)."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pcan_model.core.config import Config
from pcan_model.core.structures import Detections, Slots

Image = NDArray[np.uint8]  # (height, width, 3)


@dataclass(frozen=True, slots=True)
class CameraFormat:
    """Format of camera images that a frame network takes without preprocessing."""

    height: int  # pixels
    width: int
    order: str = "rgb"  # of the channels, rgb | bgr


@dataclass(frozen=True, slots=True)
class EngineFacts:
    """Description of the engine in use, for the log and diagnostics."""

    backend: str  # onnxruntime | openvino | tensorrt | torch
    engine: str  # runtime, version and device, for display
    precision: str  # of the exported graphs: fp32, fp16, …
    device_memory: int | None = None  # bytes allocated on the device; None if that is the host

    def texts(self) -> dict[str, str]:
        """Return the facts as keys and values of diagnostics."""
        memory = "host" if self.device_memory is None else f"{self.device_memory / 2**20:.1f} MiB"
        return {
            "backend": self.backend,
            "engine": self.engine,
            "precision": self.precision,
            "device memory": memory,
        }


@dataclass(frozen=True, slots=True, eq=False)
class CameraFeatures:
    """One camera's inputs of the instance pass, where cameras are processed in turn."""

    features: Any  # from `Engine.detect`
    memory: Any  # the camera's memory before the frame
    remember: bool  # whether the frame enters the frame memory


class Engine(ABC):
    """Runs the two passes of PCAN; its memories and features are opaque to callers.

    A subclass implements `start`, `detect` and `segment` for one camera; everything else has a default.
    An engine that resizes camera images itself sets `camera_format`, one on a device calls `meanwhile`
    while the device is busy, and one that batches cameras overrides `detect_cameras` and `segment_cameras`.
    """

    config: Config
    camera_format: CameraFormat | None = None  # images that it resizes itself; None: the host does
    device_images: bool = False  # whether it also takes a DeviceImage, in `camera_format`
    cameras_at_once: int = 1  # cameras per launch of the network
    nms_ok: bool = True  # whether non-maximum suppression had converged in the last frame
    meanwhile: Callable[[], None] | None = None  # called on the host while the device runs a pass

    @property
    def facts(self) -> EngineFacts:
        """Return a description of the engine and its current device memory."""
        return EngineFacts(type(self).__name__, type(self).__name__, "unknown")

    @abstractmethod
    def start(self, camera: int = 0) -> Any:
        """Return the empty prototype memory of a camera.

        camera  its index; only used by engines that batch cameras
        """

    @abstractmethod
    def detect(self, image: Image, memory: Any) -> tuple[Detections, Any]:
        """Detect the objects in one image.

        image    (height, width, 3) uint8 RGB, letterboxed to Config.input; or in `camera_format`
        memory   the camera's memory, which is not modified
        returns  detections, and the features for `segment`
        """

    @abstractmethod
    def segment(
        self, features: Any, slots: Slots, memory: Any, *, remember: bool
    ) -> tuple[NDArray[np.float32], Any]:
        """Refine the masks of the detections by their tracks' prototypes.

        remember whether to store this frame in the frame memory
        returns  (D, m, m) float32 mask logits over each detection's box, and the next memory
        """

    def detect_cameras(
        self, images: Mapping[int, Image], memories: Mapping[int, Any], *, remember: Collection[int]
    ) -> tuple[dict[int, Detections], Any]:
        """Detect the objects in one image of each of several cameras; by default in turn.

        images    by camera, as for `detect`
        memories  by camera, of these cameras at least
        remember  cameras whose image is stored in their frame memory
        returns   detections by camera, and the features for `segment_cameras`
        """
        found, features = dict[int, Detections](), dict[int, CameraFeatures]()
        for camera, image in images.items():
            found[camera], own = self.detect(image, memories[camera])
            features[camera] = CameraFeatures(own, memories[camera], camera in remember)
        return found, features

    def segment_cameras(
        self, features: Any, slots: Mapping[int, Slots]
    ) -> tuple[dict[int, NDArray[np.float32]], dict[int, Any]]:
        """Refine the masks of the same cameras; returns logits (D, m, m) and the next memory of each."""
        logits, memories = dict[int, NDArray[np.float32]](), dict[int, Any]()
        for camera, own in features.items():
            logits[camera], memories[camera] = self.segment(
                own.features, slots[camera], own.memory, remember=own.remember
            )
        return logits, memories

    def state_arrays(self, memory: Any) -> dict[str, NDArray[Any]]:
        """Return the values of a camera's memory by name, such as `bank` (M, K, D); empty if unknown."""
        return {}

    def stage(self, image: Image, memory: Any) -> None:  # noqa: B027  nothing to do on the host
        """Start uploading the image for a camera's next `detect`; does nothing by default.

        image   as for `detect`, which recognises the same array object
        memory  any memory of the camera, also an old one
        """

    def close(self) -> None:  # noqa: B027  nothing to free on the host
        """Free the device memory; the engine cannot be used afterwards."""
