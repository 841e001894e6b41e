"""Masks and tracks survive the conversion to messages and back."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

import numpy as np
import pytest

from pcan_model.core.masks import Encoding, decode, decode_crop, encode_crop
from pcan_model.core.rle import run_lengths
from pcan_model.core.structures import EMPTY_MASK, Mask, TrackedInstance, Tracks, TrackState

HEIGHT, WIDTH = 20, 30


@dataclass
class Wire:
    """What arrives of a mask, whatever carried it."""

    encoding: int
    x_offset: int
    y_offset: int
    width: int
    height: int
    data: bytes


def blob() -> Mask:
    crop = np.zeros((7, 11), np.uint8)
    crop[1:6, 2] = 1
    crop[:, 5:9] = 1
    return Mask(4, 3, crop)


def wire(mask: Mask, encoding: Encoding) -> Wire:
    height, width = mask.crop.shape
    return Wire(encoding, mask.x, mask.y, width, height, encode_crop(mask.crop, encoding))


@pytest.mark.parametrize("encoding", [Encoding.RLE_COCO, Encoding.BITMAP, Encoding.MONO8])
def test_a_mask_survives_every_encoding(encoding: Encoding) -> None:
    assert np.array_equal(decode(wire(blob(), encoding), HEIGHT, WIDTH), blob().full(HEIGHT, WIDTH))


@pytest.mark.parametrize("encoding", list(Encoding))
@pytest.mark.parametrize("shape", [(0, 0), (1, 1), (3, 8), (3, 9), (HEIGHT, WIDTH)])
def test_full_and_empty_crops_of_any_size_survive(encoding: Encoding, shape: tuple[int, int]) -> None:
    mask = Mask(0, 0, np.ones(shape, np.uint8))
    wanted = np.zeros((HEIGHT, WIDTH), np.uint8) if encoding == Encoding.NONE else mask.full(HEIGHT, WIDTH)
    assert np.array_equal(decode(wire(mask, encoding), HEIGHT, WIDTH), wanted)


def test_bitmap_rows_start_on_their_own_byte() -> None:
    crop = np.array([[1, 0, 0, 0, 0, 0, 0, 0, 1], [0, 1, 0, 0, 0, 0, 0, 0, 0]], np.uint8)
    assert encode_crop(crop, Encoding.BITMAP) == bytes([0b10000000, 0b10000000, 0b01000000, 0])


def test_run_lengths_cover_the_crop_column_by_column() -> None:
    crop = np.array([[0, 1], [1, 1], [0, 0]], np.uint8)  # columns: 0 1 0 | 1 1 0
    assert run_lengths(encode_crop(crop, Encoding.RLE_COCO)) == [1, 1, 1, 2, 1]


@pytest.mark.parametrize(
    ("encoding", "data", "said"),
    [
        (Encoding.RLE_COCO, b"0", "run lengths that cover"),
        (Encoding.BITMAP, b"1234", "expected 14 bytes"),
        (Encoding.MONO8, b"", "expected 77 bytes"),
        (9, b"", "expected one of 0 (NONE)"),
    ],
)
def test_bytes_of_the_wrong_length_are_rejected(encoding: int, data: bytes, said: str) -> None:
    with pytest.raises(ValueError, match=said.replace("(", r"\(").replace(")", r"\)")):
        decode_crop(Wire(encoding, 0, 0, 11, 7, data))


def test_a_crop_beyond_the_image_is_rejected() -> None:
    with pytest.raises(ValueError, match="inside 10x20"):
        decode(wire(blob(), Encoding.MONO8), HEIGHT, 10)


def instance(track_id: int, state: TrackState, mask: Mask) -> TrackedInstance:
    return TrackedInstance(
        track_id=track_id,
        uuid=UUID(int=track_id),
        state=state,
        age=5,
        time_since_update=0,
        label=1,
        score=0.5,
        box=np.array([4, 3, 15, 10], np.float32),
        velocity=np.array([1.5, -2], np.float32),
        mask=mask,
    )


def tracks() -> Tracks:
    found = instance(1, TrackState.TRACKED, blob())
    lost = instance(2, TrackState.LOST, EMPTY_MASK)
    return Tracks(1.25, HEIGHT, WIDTH, 3, (found, lost))


@pytest.mark.parametrize("encoding", list(Encoding))
def test_tracks_survive_serialisation(encoding: Encoding) -> None:
    serialization = pytest.importorskip("rclpy.serialization")
    from pcan_ros.msg import TrackedInstanceArray
    from std_msgs.msg import Header

    from pcan_ros.messages import from_tracks, to_tracks

    header = Header(frame_id="camera")
    header.stamp.sec, header.stamp.nanosec = 1, 250_000_000
    sent = to_tracks(tracks(), header, ("car", "bus"), encoding=encoding, lost=True)
    message = serialization.deserialize_message(serialization.serialize_message(sent), TrackedInstanceArray)
    back = from_tracks(message)

    assert message.header == header
    assert (back.stamp, back.height, back.width, back.frame_index) == (1.25, HEIGHT, WIDTH, 3)
    for got, wanted in zip(back.instances, tracks().instances, strict=True):
        assert (got.track_id, got.uuid, got.state) == (wanted.track_id, wanted.uuid, wanted.state)
        assert (got.age, got.label, got.score) == (wanted.age, wanted.label, wanted.score)
        assert np.array_equal(got.box, wanted.box) and np.array_equal(got.velocity, wanted.velocity)
        pixels = wanted.mask if encoding != Encoding.NONE else EMPTY_MASK
        assert np.array_equal(got.mask.full(HEIGHT, WIDTH), pixels.full(HEIGHT, WIDTH))
    assert message.instances[0].class_name == "bus"
    sent_mask = message.instances[0].mask
    assert sent_mask.area == blob().area
    assert (sent_mask.x_offset, sent_mask.y_offset, sent_mask.width, sent_mask.height) == (4, 3, 11, 7)
    assert (len(sent_mask.data) == 0) == (encoding == Encoding.NONE)
    lost = message.instances[1].mask
    assert (lost.encoding, lost.area, lost.width, lost.height) == (Encoding.NONE, 0, 0, 0)


def test_lost_tracks_are_omitted_by_default() -> None:
    pytest.importorskip("rclpy")
    from std_msgs.msg import Header

    from pcan_ros.messages import to_tracks

    sent = to_tracks(tracks(), Header(), ("car", "bus"), encoding=Encoding.RLE_COCO)
    assert [i.track_id for i in sent.instances] == [1]


def test_the_label_image_holds_track_ids_that_wrap_around_16_bits() -> None:
    pytest.importorskip("rclpy")
    from pcan_ros.messages import label_image

    found = instance(65_536, TrackState.NEW, blob())
    pixels = label_image(Tracks(0.0, HEIGHT, WIDTH, 0, (found,)))
    assert set(np.unique(pixels)) == {0, 1}
    assert np.array_equal(pixels > 0, blob().full(HEIGHT, WIDTH) > 0)


def test_values_of_the_enums_are_those_of_the_messages() -> None:
    pytest.importorskip("rclpy")
    from pcan_ros.msg import InstanceMask
    from pcan_ros.msg import TrackedInstance as Message

    assert all(getattr(InstanceMask, e.name) == e for e in Encoding)
    assert all(getattr(Message, s.name) == s for s in TrackState)
