"""cv_bridge as far as the node uses it, for where it is not installed: planes of red, green and blue only."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

PLANES = "planes8"


class CvBridgeError(TypeError):
    """As in cv_bridge."""


class CvBridge:
    """Converts one encoding that the project's own decoder does not know."""

    def imgmsg_to_cv2(self, message: Any, desired_encoding: str = "passthrough") -> NDArray[np.uint8]:
        if message.encoding != PLANES:
            raise CvBridgeError(f"Unrecognized image encoding [{message.encoding}]")
        planes = np.ndarray((3, message.height, message.width), np.uint8, bytes(message.data))
        image = np.ascontiguousarray(planes.transpose(1, 2, 0))
        return image if desired_encoding == "rgb8" else image[..., ::-1]
