"""PCAN: prototypical cross-attention networks for tracking and segmentation; knows no ROS.

`pcan_model.load("street").track("drive.mp4")` yields what was tracked, image by image.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pcan_model.api.load import load

__all__ = ["load"]

# OpenCV reads it when it is loaded: without it an image of some kilobytes may unpack to 3 GB.
os.environ.setdefault("OPENCV_IO_MAX_IMAGE_PIXELS", str(1 << 28))


def __getattr__(name: str) -> Any:
    """Import `load` when it is first used, so that importing the package stays cheap."""
    if name != "load":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from pcan_model.api.load import load

    return load
