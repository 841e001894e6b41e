"""Contact sheets are spread evenly over any number of frames; what is written has true colours."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from pcan_model.visualization.render import SHEET, Sheet, evenly, render

RED = np.zeros((48, 64, 3), np.uint8) + np.array([250, 30, 20], np.uint8)


def shown(frames: int, monkeypatch: pytest.MonkeyPatch, path: Path) -> list[int]:
    """Return the numbers of the frames on a sheet."""
    numbers: list[int] = []
    monkeypatch.setattr("pcan_model.visualization.render.tile", lambda number, _: np.int64(number))
    monkeypatch.setattr(
        "pcan_model.visualization.render.contact_sheet", lambda tiles: numbers.extend(map(int, tiles)) or RED
    )
    sheet = Sheet()
    for _ in range(frames):
        sheet.offer(RED)
    sheet.save(path)
    return numbers


@pytest.mark.parametrize("frames", [1, 2, 11, 12, 13, 24, 95])
def test_a_sheet_of_a_short_clip_has_the_frames_that_a_known_length_gives(
    frames: int, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert shown(frames, monkeypatch, tmp_path / "s.png") == evenly(frames)


@pytest.mark.parametrize("frames", [96, 97, 191, 192, 1000, 12345])
def test_a_sheet_of_a_long_clip_is_spread_evenly_from_its_first_to_its_last_frame(
    frames: int, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    numbers = shown(frames, monkeypatch, tmp_path / "s.png")
    assert len(numbers) == SHEET and (numbers[0], numbers[-1]) == (0, frames - 1)
    step = (frames - 1) / (SHEET - 1)
    assert max(abs(number - k * step) for k, number in enumerate(numbers)) <= step / 4


def test_a_sheet_of_nothing_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="expected frames for a contact sheet, got none"):
        Sheet().save(tmp_path / "s.png")


def test_red_stays_red_in_the_video_and_on_the_sheet(tmp_path: Path) -> None:
    video, sheet = tmp_path / "v.mp4", tmp_path / "s.png"
    render(((RED, None) for _ in range(3)), (), rate=10.0, video=video, sheet=sheet)
    there, frame = cv2.VideoCapture(str(video)).read()
    page = cv2.imread(str(sheet))
    assert there and page is not None
    for image in (frame, page[20:400, 20:600]):
        blue, green, red = image.reshape(-1, 3).mean(0)
        assert red > 200 and max(blue, green) < 60


def test_a_view_is_shown_beside_each_image() -> None:
    image = np.zeros((32, 48, 3), np.uint8)
    shown: list[tuple[int, ...]] = []

    def show(drawn: np.ndarray) -> bool:
        shown.append(drawn.shape)
        return True

    def view(_: object, height: int) -> np.ndarray:
        return np.zeros((height, 10, 3), np.uint8)

    render([(image, None)] * 2, (), rate=5, video=None, show=show, view=view)
    assert shown == [(32, 58, 3)] * 2
