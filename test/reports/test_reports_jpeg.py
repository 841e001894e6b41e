"""Node, bags and data sets use the same rule for truncated JPEG files."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from pcan_model.core.errors import DataError
from pcan_model.data.check import DatasetSummary, check
from pcan_model.data.files import read_image
from pcan_model.data.formats.jpeg import is_whole
from pcan_model.data.image_decoding import BadImage, decode
from pcan_model.data.registry import open_clip, open_clips

REPORTS = Path(os.environ.get("PCAN_SHARED", Path(__file__).parents[3] / "shared")) / "data/reports"


def jpeg(*settings: int) -> bytes:
    """Return an image of 90 x 160 as JPEG."""
    noise = np.random.default_rng(0).integers(0, 255, (90, 160, 3), np.uint8)
    return cv2.imencode(".jpg", cv2.GaussianBlur(noise, (0, 0), 2), list(settings))[1].tobytes()


def with_thumbnail(data: bytes) -> bytes:
    """Put a smaller JPEG into the first segment, as cameras do."""
    small = jpeg(cv2.IMWRITE_JPEG_QUALITY, 5)
    return data[:2] + b"\xff\xe1" + (len(small) + 2).to_bytes(2, "big") + small + data[2:]


PLAIN = jpeg()
KINDS = {
    "plain": PLAIN,
    "progressive": jpeg(cv2.IMWRITE_JPEG_PROGRESSIVE, 1),
    "restarts": jpeg(cv2.IMWRITE_JPEG_RST_INTERVAL, 2),
    "thumbnail": with_thumbnail(PLAIN),
    "fill bytes": PLAIN[:2] + b"\xff\xff\xff" + PLAIN[2:],
}
PADDING = {
    "nothing": b"",
    "8 KB of zeros": bytes(8192),
    "ones": b"\xff" * 2000,
    "text": b"made by a camera" * 99,
}


def by_node(data: bytes, _: Path) -> object:
    return decode(SimpleNamespace(format="jpeg", data=np.frombuffer(data, np.uint8)))


def by_data_set(data: bytes, path: Path) -> object:
    path.write_bytes(data)
    return read_image(path)


def by_track(data: bytes, path: Path) -> object:
    path.write_bytes(data)
    return next(iter(open_clip(path.parent).frames())).image


READERS = [by_node, by_data_set, by_track]


@pytest.mark.parametrize("read", READERS)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("padding", PADDING)
def test_a_complete_jpeg_is_read_with_any_trailing_bytes(
    tmp_path: Path, read: Callable[[bytes, Path], object], kind: str, padding: str
) -> None:
    assert np.shape(read(KINDS[kind] + PADDING[padding], tmp_path / "a.jpg")) == (90, 160, 3)


@pytest.mark.parametrize("read", READERS)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("part", [0.3, 0.5, 0.97, 1 - 1 / 5000])
@pytest.mark.parametrize("padding", ["nothing", "8 KB of zeros"])
def test_a_truncated_jpeg_is_rejected_everywhere(
    tmp_path: Path, read: Callable[[bytes, Path], object], kind: str, part: float, padding: str
) -> None:
    data = KINDS[kind][: int(len(KINDS[kind]) * part)] + PADDING[padding]

    with pytest.raises((BadImage, DataError), match="a whole jpeg, got one cut off after"):
        read(data, tmp_path / "a.jpg")


def test_check_reports_the_truncated_image_and_continues(tmp_path: Path) -> None:
    for number, data in enumerate([PLAIN, PLAIN[:2000], PLAIN + bytes(999)]):
        (tmp_path / f"{number}.jpg").write_bytes(data)

    summary = DatasetSummary()
    list(check(open_clips(tmp_path), ("car",), summary))

    assert summary.frames == 2 and len(summary.problems) == 1 and "1.jpg: image" in summary.problems[0]


@settings(max_examples=300, deadline=200)
@given(some.binary(max_size=4000), some.integers(0, len(PLAIN)))
def test_any_bytes_are_complete_or_not_without_an_exception(data: bytes, cut: int) -> None:
    assert is_whole(PLAIN + data)
    assert is_whole(PLAIN[:cut] + data) in (True, False)
    assert not is_whole(PLAIN[:cut]) or cut == len(PLAIN)
    pixels = SimpleNamespace(format="jpeg", data=np.frombuffer(PLAIN[:cut] + data, np.uint8))
    with suppress(BadImage):
        assert decode(pixels).ndim == 3


@pytest.mark.skipif(not REPORTS.is_dir(), reason="the shared inputs of reports are not here")
def test_the_reported_images() -> None:
    summary = DatasetSummary()
    for name in ("padded", "trunc"):
        list(check(open_clips(REPORTS / "img" / name), ("car",), summary))

    assert summary.frames == 4 and [p for p in summary.problems if "trunc/000002.jpg" in p]
