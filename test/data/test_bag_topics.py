"""The camera of a bag is chosen by what its images are: colour, then grey, then 16UC1, depth last."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from support.bags import TYPES, drive, image_message, write_bag
from support.squares import pixels

from pcan_model.data.bags.files import ImageBag, bag_writer
from pcan_model.data.bags.message_types import COMPRESSED, IMAGE
from pcan_model.data.registry import open_clip


def compressed(format: str, stamp: float) -> Any:
    header = image_message(pixels({}), stamp).header
    return TYPES.types[COMPRESSED](header, format, image_message(pixels({}), stamp).data[:50])


def write(folder: Path, topics: dict[str, tuple[str, int]]) -> Path:
    """Write topics of images, each with an encoding (or a format, which has a `;`) and a number of images."""
    with bag_writer(folder) as writer:
        for topic, (encoding, count) in topics.items():
            kind = COMPRESSED if ";" in encoding else IMAGE
            connection = writer.add_connection(topic, kind, typestore=TYPES)
            for k in range(count):
                message = (
                    compressed(encoding, 1 + k / 10)
                    if kind == COMPRESSED
                    else image_message(pixels({}), 1 + k / 10, encoding=encoding)
                )
                writer.write(connection, 10**9 + k, TYPES.serialize_cdr(message, kind))
    return folder


@pytest.mark.parametrize(
    ("topics", "chosen"),
    [
        ({"/depth": ("16UC1", 9), "/colour": ("rgb8", 3)}, "/colour"),
        ({"/depth": ("32FC1", 9), "/colour": ("bgr8; jpeg compressed bgr8", 3)}, "/colour"),
        ({"/a/compressedDepth": ("16UC1; compressedDepth png", 9), "/ir": ("mono8", 3)}, "/ir"),
        ({"/ir": ("mono16", 9), "/colour": ("bayer_rggb8", 3)}, "/colour"),
        ({"/ir": ("mono8", 3), "/depth": ("16UC1", 9)}, "/ir"),
        ({"/depth": ("32FC1", 9), "/thermal": ("16UC1", 3)}, "/thermal"),
        ({"/depth": ("16UC1; png compressed", 9), "/ir": ("mono8; jpeg compressed", 3)}, "/ir"),
        ({"/few": ("rgb8", 3), "/many": ("yuyv", 9)}, "/many"),
        ({"/odd": ("a new one", 9), "/ir": ("mono8", 3)}, "/ir"),
        ({"/depth": ("32FC1", 3)}, "/depth"),
    ],
)
def test_the_camera_is_chosen_by_encoding_then_by_the_number_of_images(
    tmp_path: Path, topics: dict[str, tuple[str, int]], chosen: str
) -> None:
    assert ImageBag(write(tmp_path / "bag", topics)).topic == chosen
    first = next(iter(topics))
    assert ImageBag(tmp_path / "bag", first).topic == first, "a name that is given is taken"


def test_a_topic_of_broken_images_is_not_preferred(tmp_path: Path) -> None:
    good = [(topic, time, message) for topic, time, message in drive([1.0, 1.1], "/good")]
    broken = [("/broken", 1 + k / 10, b"\0\1\0\0 no image") for k in range(5)]
    assert ImageBag(write_bag(tmp_path / "bag", [*broken, *good])).topic == "/good"


def test_the_clip_of_a_bag_is_that_of_its_camera_with_its_stamps(tmp_path: Path) -> None:
    depth = [("/a_depth", 1.0, image_message(pixels({}), 1.0, encoding="16UC1"))] * 3
    clip = open_clip(write_bag(tmp_path / "bag", [*depth, *drive([1.0, 1.1, 1.4])]))
    frames = list(clip.frames())
    assert [frame.time for frame in frames] == [10**9, 11 * 10**8, 14 * 10**8]
    assert frames[0].image.shape == (64, 96, 3) and not clip.labelled
