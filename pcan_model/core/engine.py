"""The base class of everything that runs the network (torch, ONNX Runtime, OpenVINO, TensorRT)."""

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
    """The images of one size that a frame network takes as the camera sends them."""

    height: int  # pixels
    width: int
    order: str = "rgb"  # of the channels, rgb | bgr


@dataclass(frozen=True, slots=True)
class EngineFacts:
    """Which implementation runs the network, for the log and diagnostics."""

    backend: str  # onnxruntime | openvino | tensorrt | torch
    engine: str  # runtime, version and device, for people
    precision: str  # of the exported graphs: fp32, fp16, …
    device_memory: int | None = None  # bytes this engine holds on the device; None where that is the host

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
    """What one camera's frame leaves for the instance pass, where cameras are run one after the other."""

    features: Any  # of `Engine.detect`
    memory: Any  # the camera's memory before the frame
    remember: bool  # whether the frame enters the frame memory


class Engine(ABC):
    """Runs the two passes of PCAN; only the engine looks into its memories and features.

    An engine has to offer `start`, `detect` and `segment` for one camera. Everything else has a default:
    one that fits the camera's images itself names their format, one on a device calls `meanwhile` while
    that is busy, and one that runs several cameras in one launch overrides the methods for them.
    """

    config: Config
    camera_format: CameraFormat | None = None  # images it fits into the network's input; None: the host does
    cameras_at_once: int = 1  # cameras that one launch of the network serves
    nms_ok: bool = True  # whether non-maximum suppression had converged in the last frame
    meanwhile: Callable[[], None] | None = None  # what the host does while a device is busy with a pass

    @property
    def facts(self) -> EngineFacts:
        """Return which implementation runs the network, and the memory that it holds now."""
        return EngineFacts(type(self).__name__, type(self).__name__, "unknown")

    @abstractmethod
    def start(self, camera: int = 0) -> Any:
        """Return the empty prototype memory of a camera.

        camera  its index; only engines that run several cameras in one launch distinguish them
        """

    @abstractmethod
    def detect(self, image: Image, memory: Any) -> tuple[Detections, Any]:
        """Find the objects of one image.

        image    (height, width, 3) uint8 RGB, letterboxed to Config.input; or of `camera_format`
        memory   the camera's memory, left as it is
        returns  detections, and the features that `segment` takes
        """

    @abstractmethod
    def segment(
        self, features: Any, slots: Slots, memory: Any, *, remember: bool
    ) -> tuple[NDArray[np.float32], Any]:
        """Refine the masks of the detections by their tracks' prototypes.

        remember whether this frame enters the frame memory
        returns  (D, m, m) float32 mask logits over each detection's box, and the next memory
        """

    def detect_cameras(
        self, images: Mapping[int, Image], memories: Mapping[int, Any], *, remember: Collection[int]
    ) -> tuple[dict[int, Detections], Any]:
        """Find the objects of one image of each of several cameras; here one after the other.

        images    by camera, as `detect` takes them
        memories  of these cameras at least
        remember  cameras whose image enters their frame memory
        returns   detections by camera, and the features that `segment_cameras` takes
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

    def stage(self, image: Image, memory: Any) -> None:  # noqa: B027  nothing to do on the host
        """Begin to upload the image that a camera's next `detect` is given; here there is nothing to upload.

        image   as `detect` takes it; only the very same array is recognised there
        memory  any of the camera's, also an old one
        """

    def close(self) -> None:  # noqa: B027  the host's memory needs no closing
        """Free what the engine holds on a device; it runs nothing after that."""
