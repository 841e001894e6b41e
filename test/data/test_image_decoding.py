"""Image messages to images; nothing here needs ROS."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np
import pytest

from pcan_model.data.image_decoding import BadImage, decode

RED = (200, 30, 10)  # RGB


def red(height: int = 4, width: int = 6) -> np.ndarray:
    return np.full((height, width, 3), RED, np.uint8)


def raw(pixels: np.ndarray, encoding: str, *, pad: int = 0) -> Any:
    rows = pixels.reshape(pixels.shape[0], -1)
    rows = np.pad(rows, ((0, 0), (0, pad)))
    data, (height, width), step = rows.tobytes(), pixels.shape[:2], rows.shape[1] * pixels.itemsize
    return SimpleNamespace(
        height=height, width=width, step=step, encoding=encoding, data=data, is_bigendian=0
    )


def compressed(data: bytes, kind: str = "jpeg") -> Any:
    return SimpleNamespace(format=kind, data=data)


def yuv(red: int, green: int, blue: int) -> dict[str, int]:
    """Return a colour by ITU-R BT.601, 16 to 235."""
    parts = {
        "y": 16 + (65.738 * red + 129.057 * green + 25.064 * blue) / 256,
        "u": 128 + (-37.945 * red - 74.494 * green + 112.439 * blue) / 256,
        "v": 128 + (112.439 * red - 94.154 * green - 18.285 * blue) / 256,
    }
    return {part: round(value) for part, value in parts.items()}


@pytest.mark.parametrize(
    ("encoding", "conversion"),
    [
        ("rgb8", None),
        ("bgr8", cv2.COLOR_RGB2BGR),
        ("rgba8", cv2.COLOR_RGB2RGBA),
        ("bgra8", cv2.COLOR_RGB2BGRA),
    ],
)
@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("pad", [0, 6])
def test_colours_come_out_as_rgb(encoding: str, conversion: int | None, bits: int, pad: int) -> None:
    expected_pixels = red() if conversion is None else cv2.cvtColor(red(), conversion)
    if bits == 16:
        expected_pixels, encoding = expected_pixels.astype(np.uint16) << 8 | 0x7F, encoding.replace("8", "16")
    pixels = decode(raw(expected_pixels, encoding, pad=pad))
    assert pixels.shape == (4, 6, 3) and pixels.flags.c_contiguous
    assert np.abs(pixels.astype(int) - RED).max() <= 4


@pytest.mark.parametrize(
    ("encoding", "order"),
    [("yuv422", "uyvy"), ("uyvy", "uyvy"), ("yuv422_yuy2", "yuyv"), ("yuyv", "yuyv")],
)
def test_pairs_of_yuv_pixels_come_out_as_rgb(encoding: str, order: str) -> None:
    parts = yuv(*RED)
    pair = np.array([[parts[part] for part in order]], np.uint8)
    pixels = decode(raw(np.tile(pair, (4, 3)).reshape(4, 6, 2), encoding))
    assert pixels.shape == (4, 6, 3) and np.abs(pixels.astype(int) - RED).max() <= 4


@pytest.mark.parametrize(("encoding", "order"), [("nv12", "uv"), ("nv21", "vu")])
@pytest.mark.parametrize("pad", [0, 3])
def test_planes_of_yuv_come_out_as_rgb(encoding: str, order: str, pad: int) -> None:
    left, right = yuv(*RED), yuv(20, 60, 220)
    grey = [left["y"]] * 4 + [right["y"]] * 4
    colour = [left[part] for part in order] * 2 + [right[part] for part in order] * 2
    message = raw(np.array([grey] * 4 + [colour] * 2, np.uint8), encoding, pad=pad)
    message.height = 4
    pixels = decode(message)
    assert pixels.shape == (4, 8, 3) and pixels.flags.c_contiguous
    assert np.abs(pixels[:, :4].astype(int) - RED).max() <= 4
    assert np.abs(pixels[:, 4:].astype(int) - (20, 60, 220)).max() <= 4


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"width": 5}, "size: expected even sides for nv12, got 5x4"),
        ({"height": 6}, r"data: expected 54 bytes \(step 6 x 9 rows\), got 36"),
        ({"step": 5}, "step: expected at least 6 bytes for width 6 of nv12, got 5"),
        ({"encoding": "nv24"}, "encoding: expected one of .*nv12, nv21.*; got 'nv24'"),
    ],
)
def test_planes_that_do_not_fit_are_refused(change: dict[str, Any], expected: str) -> None:
    message = raw(np.zeros((6, 6), np.uint8), "nv12")
    vars(message).update({"height": 4, **change})
    with pytest.raises(BadImage, match=expected):
        decode(message)


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize(
    ("encoding", "first"), [("rggb", (0, 0)), ("bggr", (1, 1)), ("grbg", (0, 1)), ("gbrg", (1, 0))]
)
def test_bayer_patterns_come_out_as_rgb(encoding: str, first: tuple[int, int], bits: int) -> None:
    mosaic = np.zeros((8, 8), f"u{bits // 8}")
    mosaic[first[0] :: 2, first[1] :: 2] = 200 << (bits - 8)  # where the pattern has its red pixels
    pixels = decode(raw(mosaic, f"bayer_{encoding}{bits}"))[2:-2, 2:-2]
    assert pixels[..., 0].min() == 200 and pixels[..., 1:].max() == 0


@pytest.mark.parametrize(("encoding", "red"), [("bayer_rggb8", 0), ("bayer_bggr8", 2), ("bayer_rggb16", 0)])
def test_a_compressed_bayer_pattern_is_no_grey_image(encoding: str, red: int) -> None:
    mosaic = np.zeros((8, 8), np.uint8)
    mosaic[::2, ::2] = 200
    data = cv2.imencode(".png", mosaic)[1].tobytes()
    pixels = decode(compressed(data, f"{encoding}; png compressed "))[2:-2, 2:-2]
    assert pixels[..., red].min() == 200 and np.delete(pixels, red, -1).max() == 0


def test_grey_and_16_bit_images_become_rgb() -> None:
    grey = np.full((4, 6), 77, np.uint8)
    assert (decode(raw(grey, "mono8")) == 77).all()
    deep = grey.astype(np.uint16) << 8 | 0xFF
    for encoding in ("mono16", "16UC1"):
        assert (decode(raw(deep, encoding)) == 77).all()


def test_16_bits_may_come_with_the_high_byte_first() -> None:
    message = raw(np.full((4, 6), 77 << 8 | 0x12, ">u2"), "mono16", pad=1)
    message.is_bigendian = 1
    assert (decode(message) == 77).all()


def test_rgb_and_unpadded_rows_are_not_copied() -> None:
    message = raw(red(), "rgb8")
    assert np.shares_memory(decode(message), np.frombuffer(message.data, np.uint8))


def test_compressed_images_come_out_as_rgb() -> None:
    for kind in ("jpeg", "png"):
        data = cv2.imencode(f".{kind}", red(32, 32)[..., ::-1])[1].tobytes()
        assert np.abs(decode(compressed(data, kind)).astype(int) - RED).max() <= 4


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"encoding": "32FC1"}, "encoding: expected one of rgb8, .*; got '32FC1'"),
        ({"encoding": ""}, "encoding: expected one of .*; got ''"),
        ({"width": 0}, "size: expected at least 1x1, got 0x4"),
        ({"step": 17}, "step: expected at least 18 bytes for width 6 of rgb8, got 17"),
        ({"height": 5}, r"data: expected 90 bytes \(step 18 x 5 rows\), got 72"),
        ({"data": b""}, "data: expected 72 bytes .*, got 0"),
        ({"encoding": "mono16", "step": 11}, "step: expected at least 12 bytes"),
    ],
)
def test_a_bad_image_is_refused_by_name_and_value(change: dict[str, Any], expected: str) -> None:
    message = raw(red(), "rgb8")
    vars(message).update(change)
    with pytest.raises(BadImage, match=expected):
        decode(message)


def test_an_odd_width_of_yuv_is_refused() -> None:
    with pytest.raises(BadImage, match="width: expected an even one for yuv422, got 5"):
        decode(raw(np.zeros((4, 5, 2), np.uint8), "yuv422"))


def test_broken_compressed_images_are_refused() -> None:
    whole = cv2.imencode(".jpg", np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8))[
        1
    ].tobytes()
    with pytest.raises(BadImage, match="whole jpeg, got one cut off"):
        decode(compressed(whole[: len(whole) // 2]))
    with pytest.raises(BadImage, match="cannot decode 7 bytes"):
        decode(compressed(b"rubbish"))
    with pytest.raises(BadImage, match="got 0 bytes"):
        decode(compressed(b""))
    with pytest.raises(BadImage, match="compressedDepth"):
        decode(compressed(whole, "16UC1; compressedDepth png"))
