"""A window shows what is drawn until it is closed; where there can be none, an error says why."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from pcan_model.visualization.window import NoWindow, window

RED = np.zeros((4, 6, 3), np.uint8) + np.array([250, 30, 20], np.uint8)


class Screen:
    """Stands in for OpenCV's windows."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.shown: list[NDArray[np.uint8]] = []
        self.open, self.key = False, -1
        monkeypatch.setenv("DISPLAY", ":0")
        monkeypatch.setattr(cv2, "currentUIFramework", lambda: "GTK3")
        monkeypatch.setattr(cv2, "namedWindow", lambda *_: setattr(self, "open", True))
        monkeypatch.setattr(cv2, "destroyWindow", lambda _: setattr(self, "open", False))
        monkeypatch.setattr(cv2, "getWindowProperty", lambda *_: float(self.open))
        monkeypatch.setattr(cv2, "imshow", lambda _, image: self.shown.append(image))
        monkeypatch.setattr(cv2, "waitKey", lambda _: self.key)


@pytest.fixture
def screen(monkeypatch: pytest.MonkeyPatch) -> Screen:
    return Screen(monkeypatch)


def test_images_are_shown_in_their_colours_and_the_window_is_closed(screen: Screen) -> None:
    with window("drive") as show:
        assert screen.open and show(RED)
    assert screen.shown[0][0, 0].tolist() == [20, 30, 250], "BGR, as OpenCV shows it"
    assert not screen.open


@pytest.mark.parametrize("key", [ord("q"), 27])
def test_a_key_ends_it(screen: Screen, key: int) -> None:
    with window("drive") as show:
        screen.key = key
        assert not show(RED)


def test_closing_the_window_ends_it(screen: Screen) -> None:
    with window("drive") as show:
        screen.open = False
        assert not show(RED) and not screen.shown


def test_without_a_display_or_windows_the_error_says_what_is_missing(
    screen: Screen, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("sys.platform", "linux")
    with pytest.raises(NoWindow, match="expected a display, got neither DISPLAY"), window("drive"):
        pass
    monkeypatch.setattr(cv2, "currentUIFramework", lambda: "")
    with pytest.raises(NoWindow, match="opencv-python-headless"), window("drive"):
        pass
