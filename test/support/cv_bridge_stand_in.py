"""cv_bridge as far as the node uses it, for where it is not installed: three encodings."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from pcan_ros.messages import to_image

PLANES = "planes8"


class CvBridgeError(TypeError):
    """As in cv_bridge."""


class CvBridge:
    """Converts bgr8, rgb8 and one encoding that the project's own decoder does not know."""

    def imgmsg_to_cv2(self, message: Any, desired_encoding: str = "passthrough") -> NDArray[np.uint8]:
        shape = (message.height, message.width, 3)
        if message.encoding == PLANES:
            image = np.ndarray((3, *shape[:2]), np.uint8, bytes(message.data)).transpose(1, 2, 0)
        elif message.encoding in ("rgb8", "bgr8"):
            image = np.ndarray(shape, np.uint8, bytes(message.data))
        else:
            raise CvBridgeError(f"Unrecognized image encoding [{message.encoding}]")
        stays = desired_encoding == ("bgr8" if message.encoding == "bgr8" else "rgb8")
        return np.ascontiguousarray(image if stays else image[..., ::-1])

    def cv2_to_imgmsg(self, image: NDArray[np.uint8], encoding: str, header: Any) -> Any:
        return to_image(image, encoding, header)
