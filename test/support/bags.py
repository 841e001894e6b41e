"""Small bags, intact and broken, written message by message."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from support.clips import DrawnClip
from support.squares import pixels

from pcan_model.data.bags.files import bag_writer
from pcan_model.data.bags.message_types import IMAGE, our_types
from pcan_model.data.clips import LabeledFrame

TYPES = our_types()
CAR, PERSON = 2, 0


@dataclass(frozen=True, eq=False)
class Squares(DrawnClip):
    """A clip whose labels are its coloured squares."""

    name: str = "squares"
    length: int = 6
    rate: float = 10.0  # a second
    labelled: bool = True

    def __len__(self) -> int:
        return self.length

    def draw(self, index: int) -> LabeledFrame:
        """Draw a car that moves right, and a person that moves down and is absent from the fifth frame on."""
        places = {CAR: (5 + 3 * index, 10)} | ({PERSON: (60, 20 + 2 * index)} if index < 4 else {})
        image = pixels(places)
        masks = [
            (image == pixels({label: place})).all(2) & (image != 60).any(2) for label, place in places.items()
        ]
        ignore = np.zeros(image.shape[:2], bool)
        ignore[:4, :7] = True
        labels = np.array(list(places), np.int64)
        return LabeledFrame(image, np.array(masks), labels, labels + 41, ignore)


def image_message(
    image: NDArray[np.uint8], stamp: float, *, encoding: str = "rgb8", frame: str = "camera"
) -> Any:
    """Return an image as rosbags' Image."""
    second, nanosecond = divmod(round(stamp * 1e9), 1_000_000_000)
    known, (height, width) = TYPES.types, image.shape[:2]
    header = known["std_msgs/msg/Header"](known["builtin_interfaces/msg/Time"](second, nanosecond), frame)
    return known[IMAGE](header, height, width, encoding, 0, width * 3, image.reshape(-1))


def write_bag(
    folder: Path, messages: Iterable[tuple[str, float, Any]], *, storage: str = "mcap", kind: str = IMAGE
) -> Path:
    """Write topic, time in seconds and message (or its bytes), all of one type."""
    with bag_writer(folder, storage) as writer:  # type: ignore[arg-type]
        topics: dict[str, Any] = {}
        for topic, time, message in messages:
            if topic not in topics:
                topics[topic] = writer.add_connection(topic, kind, typestore=TYPES)
            raw = message if isinstance(message, bytes) else TYPES.serialize_cdr(message, kind)
            writer.write(topics[topic], round(time * 1e9), raw)
    return folder


def drive(stamps: Iterable[float], topic: str = "/camera/image") -> Iterator[tuple[str, float, Any]]:
    """Yield images of a car that moves right, one per stamp; recorded in this order."""
    recorded = 0.0
    for index, stamp in enumerate(stamps):
        recorded = max(recorded, stamp)
        yield topic, recorded, image_message(pixels({CAR: (5 + index % 20, 10)}), stamp)


def cut(bag: Path, share: float) -> Path:
    """Truncate the storage file of a bag; returns the bag."""
    (file,) = (path for path in bag.iterdir() if path.suffix in (".mcap", ".db3"))
    whole = file.read_bytes()
    file.write_bytes(whole[: int(len(whole) * share)])
    return bag
