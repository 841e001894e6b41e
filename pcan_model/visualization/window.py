"""A window that shows images while they are made."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import cv2

from pcan_model.core.errors import UserError
from pcan_model.visualization.overlay import RgbImage
from pcan_model.visualization.render import bgr

QUIT = (ord("q"), 27)  # keys; 27 is Escape


class NoWindow(UserError, RuntimeError):
    """There is no display, or OpenCV was built without windows."""


@contextmanager
def window(title: str) -> Iterator[Callable[[RgbImage], bool]]:
    """Yield a function that shows an image, and returns False once q, Escape or the close button was used.

    Raises NoWindow where there can be none.
    """
    _check()
    cv2.namedWindow(title, cv2.WINDOW_NORMAL)
    try:
        yield lambda image: _show(title, image)
    finally:
        cv2.destroyWindow(title)


def _show(title: str, image: RgbImage) -> bool:
    if cv2.getWindowProperty(title, cv2.WND_PROP_VISIBLE) < 1:
        return False
    cv2.imshow(title, bgr(image))
    return cv2.waitKey(1) & 0xFF not in QUIT


def _check() -> None:
    """Raise NoWindow; OpenCV itself may end the process where there is no display."""
    if not cv2.currentUIFramework():
        raise NoWindow(
            "window: expected an OpenCV with windows, got one without (opencv-python-headless): "
            "pip uninstall opencv-python-headless && pip install 'opencv-python<5'"
        )
    if sys.platform == "linux" and not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
        raise NoWindow("window: expected a display, got neither DISPLAY nor WAYLAND_DISPLAY")
