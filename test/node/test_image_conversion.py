"""The project's decoder is the fast path; cv_bridge reads what it does not know, where it is installed."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from support import cv_bridge_stand_in
from support.cv_bridge_stand_in import PLANES

from pcan_model.data.image_decoding import BadImage, decode
from pcan_ros.node.image_conversion import convert, cv_bridge

CHANNELS = {"rgb": 3, "bgr": 3, "rgba": 4, "bgra": 4, "mono": 1}
MOSAICS = ("bayer_rggb", "bayer_bggr", "bayer_gbrg", "bayer_grbg")
BOTH_KNOW = {  # encoding: channels, of those that cv_bridge converts to rgb8
    **{f"{name}{bits}": n for name, n in CHANNELS.items() for bits in (8, 16)},
    **{f"{name}{bits}": 1 for name in MOSAICS for bits in (8, 16)},
    "yuv422": 2,
    "yuv422_yuy2": 2,
}


@pytest.fixture(autouse=True)
def fresh() -> Iterator[None]:
    cv_bridge.cache_clear()
    yield
    cv_bridge.cache_clear()


@pytest.fixture
def stand_in(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cv_bridge", cv_bridge_stand_in)


def message(encoding: str, pixels: np.ndarray, size: tuple[int, int] | None = None) -> Any:
    height, width = size or pixels.shape[:2]
    data = pixels.tobytes()
    return SimpleNamespace(
        height=height, width=width, step=len(data) // height, encoding=encoding, data=data, is_bigendian=0
    )


def noise(channels: int, kind: type = np.uint8, height: int = 8, width: int = 10) -> np.ndarray:
    values = np.random.default_rng(3).integers(
        0, np.iinfo(kind).max, (height, width, channels), endpoint=True
    )
    return values.astype(kind)


@pytest.mark.parametrize("order", ["rgb", "bgr"])
def test_cv_bridge_reads_what_only_it_knows(stand_in: None, order: str) -> None:
    image = noise(3)
    read = convert(message(PLANES, image.transpose(2, 0, 1), (8, 10)), order)
    np.testing.assert_array_equal(read, image if order == "rgb" else image[..., ::-1])


def test_the_own_decoder_reads_what_it_knows(monkeypatch: pytest.MonkeyPatch, stand_in: None) -> None:
    monkeypatch.setattr(cv_bridge_stand_in.CvBridge, "imgmsg_to_cv2", None)  # whoever calls it fails
    image = noise(3)
    np.testing.assert_array_equal(convert(message("rgb8", image)), image)


def test_what_neither_knows_is_refused_by_name(stand_in: None) -> None:
    with pytest.raises(BadImage, match=r"expected one of rgb8, .*; got 'odd', and cv_bridge: Unrecognized"):
        convert(message("odd", noise(3)))


def test_data_that_cv_bridge_cannot_take_is_a_bad_image(stand_in: None) -> None:
    with pytest.raises(BadImage, match="cv_bridge: buffer is too small"):
        convert(message(PLANES, noise(1), (8, 10)))


@pytest.mark.parametrize("answer", [np.zeros((8, 10), np.uint8), np.zeros((8, 10, 3), np.float32)])
def test_what_is_no_colour_image_of_the_size_is_refused(
    monkeypatch: pytest.MonkeyPatch, stand_in: None, answer: np.ndarray
) -> None:
    monkeypatch.setattr(cv_bridge_stand_in.CvBridge, "imgmsg_to_cv2", lambda *_, **__: answer)
    with pytest.raises(BadImage, match="planes8: expected 8 x 10 x 3 bytes of cv_bridge, got 8 x 10"):
        convert(message(PLANES, noise(3)))


def test_without_cv_bridge_an_unknown_encoding_is_refused_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cv_bridge", None)
    with pytest.raises(BadImage, match=r"encoding: expected one of rgb8, .*; got 'planes8'$"):
        convert(message(PLANES, noise(3)))


@pytest.mark.parametrize("order", ["rgb", "bgr"])
@pytest.mark.parametrize("encoding", BOTH_KNOW)
def test_both_decoders_agree(encoding: str, order: str) -> None:
    bridge = pytest.importorskip("cv_bridge", reason="cv_bridge comes with a ROS 2 distribution").CvBridge()
    messages = pytest.importorskip("sensor_msgs.msg")
    wide = encoding.endswith("16")
    pixels = noise(BOTH_KNOW[encoding], np.uint16 if wide else np.uint8)
    sent = messages.Image(**vars(message(encoding, pixels)))
    theirs = bridge.imgmsg_to_cv2(sent, desired_encoding=f"{order}8")
    # Of 16 bits cv_bridge rounds value / 257, after the conversion; the own decoder takes the high byte.
    furthest = 2 if wide else 0
    assert np.abs(decode(sent, order).astype(int) - theirs.astype(int)).max() <= furthest
