"""Frames of KITTI-MOTS are identified by their number, not by their position."""

from __future__ import annotations

import os
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as some
from numpy.typing import NDArray
from support.damage import scratched

from pcan_model.core.config import CLASSES
from pcan_model.core.errors import DataError
from pcan_model.core.rle import encode
from pcan_model.data.check import DatasetSummary, check
from pcan_model.data.files import frame_numbers
from pcan_model.data.formats.kitti_mots import from_lines, read_lines
from pcan_model.data.registry import open_clips
from pcan_model.evaluation.submission import times_of

REPORTS = Path(os.environ.get("PCAN_SHARED", Path(__file__).parents[3] / "shared")) / "data/reports"
NUMBERS = {"from 1": range(1, 6), "with gaps": (0, 3, 4, 9), "from 0": range(4)}


def car(number: int) -> NDArray[np.bool_]:
    """Return where the car of a frame is, which moves with the frame's number."""
    mask = np.zeros((96, 160), bool)
    mask[30:60, 10 * number : 10 * number + 30] = True
    return mask


def line(number: int, value: int = 1001) -> str:
    return f"{number} {value} 1 96 160 {encode(car(number))['counts']}"


def write(root: Path, numbers: list[int], kind: str, lines: list[str] | None = None) -> Path:
    """Write a sequence whose car is drawn where the labels say it is."""
    (root / "image_02/0002").mkdir(parents=True)
    (root / "instances_txt").mkdir()
    for number in numbers:
        pixels = np.where(car(number), 255, 30).astype(np.uint8)
        cv2.imwrite(str(root / f"image_02/0002/{number:06d}.png"), np.dstack([pixels] * 3))
        if kind == "png":
            (root / "instances/0002").mkdir(parents=True, exist_ok=True)
            value = np.where(car(number), 1001, 0).astype(np.uint16)
            cv2.imwrite(str(root / f"instances/0002/{number:06d}.png"), value)
    text = lines if lines is not None else [line(number) for number in reversed(numbers)]
    (root / "instances_txt/0002.txt").write_text("\n".join(text) + "\n")
    return root


@pytest.mark.parametrize("kind", ["txt", "png"])
@pytest.mark.parametrize("name", NUMBERS)
def test_every_mask_lies_on_the_car_that_is_drawn(tmp_path: Path, kind: str, name: str) -> None:
    (clip,) = open_clips(write(tmp_path, list(NUMBERS[name]), kind))

    assert len(clip) == len(NUMBERS[name])
    for index in range(len(clip)):
        for frame in (clip.frame(index), clip.flat(index)):
            mask = frame.masks[0] if hasattr(frame, "masks") else frame.index == 1
            np.testing.assert_array_equal(mask, frame.image[..., 0] > 128)


def test_lines_of_frames_without_an_image_are_reported(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    root = write(tmp_path, [1, 2], "txt", [line(1), line(2), line(3), line(0)])
    summary = DatasetSummary()
    clips = open_clips(root, on_error=lambda error: summary.problems.append(str(error)))
    list(check(clips, CLASSES, summary))

    assert summary.areas == {"car": [900, 900]} and len(summary.problems) == 2
    assert "0002.txt: line 4: time: expected a frame with an image, 1 to 2, got 0" in summary.problems[0]
    assert "line 3: time" in summary.problems[1]
    assert len(open_clips(root)[0].frame(0).ids) == 1  # training goes on, and says it
    assert "line 3: time: expected a frame with an image" in caplog.text


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (line(1).replace("1 1001", "1.5 1001"), "line 1: time: expected a whole number from 0 up, got '1.5'"),
        (line(1).replace("1 1001", "-1 1001"), "line 1: time: expected a whole number"),
        (line(1).replace("1 1001", "² 1001"), "line 1: time: expected a whole number"),
        (line(1).replace("1001 1", "1001 2"), "line 1: class: expected that of the id 1001, 1, got 2"),
        (line(1).replace("96 160", "48 80"), r"line 1: rle.size: expected that of the image \(96, 160\)"),
        (line(1)[:-5], r"line 1: rle.counts: expected run lengths that cover \(96, 160\)"),
        (line(1) + " more", "line 1: fields: expected time, id, class"),
        (f"{line(1)}\n{line(1)}", "line 2: id: expected once in a frame, got 1001 again"),
    ],
)
def test_check_skips_a_bad_line_and_training_stops_there(tmp_path: Path, bad: str, message: str) -> None:
    root = write(tmp_path, [1, 2], "txt", [bad, line(1, 1002), "", line(2)])
    summary = DatasetSummary()
    clips = open_clips(root, on_error=lambda error: summary.problems.append(str(error)))
    list(check(clips, CLASSES, summary))

    assert summary.frames == 2 and len(summary.problems) == 1
    assert len(summary.areas["car"]) == 2
    with pytest.raises(DataError, match=message):
        open_clips(root)[0].frame(0)


@pytest.mark.parametrize("text", ["1.0", "1", "0001", "1."])
def test_a_frame_may_be_written_as_the_official_tool_reads_it(tmp_path: Path, text: str) -> None:
    root = write(tmp_path, [1], "txt", [f"\ufeff{text}{line(1)[1:]}\r", "\r", ""])

    assert open_clips(root)[0].frame(0).ids.tolist() == [1001]


def test_images_without_a_unique_number_are_rejected() -> None:
    assert frame_numbers([Path("a_7.png"), Path("000012.png")]) == [7, 12]
    with pytest.raises(DataError, match="expected one that ends in the number"):
        frame_numbers([Path("left.png")])
    with pytest.raises(DataError, match=r"another number than that of 1\.png, got 1"):
        frame_numbers([Path("1.png"), Path("000001.png")])


def test_results_are_written_under_the_numbers_of_the_images() -> None:
    assert times_of(["000001.png", "000002.png", "000005.png"]) == [1, 2, 5]
    assert times_of(["b1-0000007.jpg", "b1-0000008.jpg"]) == [0, 1]
    assert times_of(["1.png", "01.png"]) == [0, 1]


@settings(max_examples=200, deadline=None)
@given(scratched("\n".join([line(0), line(1), line(2)])) | some.binary(max_size=300))
def test_any_text_is_lines_or_a_data_error(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    file = tmp_path_factory.getbasetemp() / "lines.txt"
    file.write_bytes(data)
    errors: list[DataError] = []
    try:
        lines = read_lines(file, errors.append)
    except DataError as error:
        assert "\n" not in str(error)
        return
    for time, found in lines.items():
        frame = from_lines(found, (96, 160), CLASSES, errors.append)
        assert time >= 0 and len(set(frame.ids.tolist())) == len(frame)
    assert all("\n" not in str(error) for error in errors)


@pytest.mark.skipif(not REPORTS.is_dir(), reason="the shared inputs of reports are not here")
def test_the_reported_sequences_agree_with_the_drawn_car() -> None:
    (lines,), (image_files,) = (open_clips(REPORTS / "kitti_from1" / kind) for kind in ("txt", "png"))

    for index in range(5):
        a, b = lines.frame(index), image_files.frame(index)
        np.testing.assert_array_equal(a.masks, b.masks)
        np.testing.assert_array_equal(a.masks[0], (a.image == (255, 0, 0)).all(2))
