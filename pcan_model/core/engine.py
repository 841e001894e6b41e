"""The seam between the tracker and whatever runs the network (torch, ONNX Runtime, TensorRT)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from pcan_model.core.config import Config
from pcan_model.core.structures import Detections, Slots


@dataclass(frozen=True, slots=True)
class CameraPicture:
    """The pictures of one size that a frame network takes as the camera sends them."""

    height: int  # pixels
    width: int
    order: str = "rgb"  # of the channels, rgb | bgr


@runtime_checkable
class FitsPictures(Protocol):
    """An engine that may fit pictures into the network's input itself."""

    camera: CameraPicture | None  # the pictures it takes; None: those that the host has fitted


def camera_of(engine: object) -> CameraPicture | None:
    """Return what pictures an engine fits itself, if it does."""
    return engine.camera if isinstance(engine, FitsPictures) else None


class Engine(Protocol):
    """Runs the two halves of PCAN; memories and features are values only it looks into."""

    config: Config

    def start(self) -> Any:
        """Return the empty prototype memory of one camera."""

    def detect(self, image: NDArray[np.uint8], memory: Any) -> tuple[Detections, Any]:
        """Find the objects of one picture.

        image    (height, width, 3) uint8 RGB, letterboxed to Config.input; or see `CameraPicture`
        memory   the camera's memory, left as it is
        returns  detections, and the features that `segment` takes
        """

    def segment(
        self, features: Any, slots: Slots, memory: Any, *, remember: bool
    ) -> tuple[NDArray[np.float32], Any]:
        """Refine the masks of the detections by their tracks' prototypes.

        remember whether this frame enters the frame memory
        returns  (D, m, m) float32 mask logits over each detection's box, and the next memory
        """
