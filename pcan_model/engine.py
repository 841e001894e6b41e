"""The seam between the tracker and whatever runs the network (torch, ONNX Runtime, TensorRT)."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from pcan_model.config import Config
from pcan_model.structures import Detections, Slots


class Engine(Protocol):
    """Runs the two halves of PCAN; memories and features are values only it looks into."""

    config: Config

    def start(self) -> Any:
        """Return the empty prototype memory of one camera."""

    def detect(self, image: NDArray[np.uint8], memory: Any) -> tuple[Detections, Any]:
        """Find the objects of one picture.

        image    (height, width, 3) uint8 RGB, letterboxed to Config.input
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
