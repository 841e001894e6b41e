"""A bag as a clip of labelled frames, as training and evaluation take them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import pairwise
from pathlib import Path
from statistics import median

import numpy as np

from pcan_model.core.config import CLASSES
from pcan_model.core.errors import DataError
from pcan_model.data.bags.files import ImageBag, Record
from pcan_model.data.bags.inspect import header_stamp
from pcan_model.data.bags.labels import labels_of
from pcan_model.data.bags.message_types import TRACKS, our_types
from pcan_model.data.bags.reading import Bag
from pcan_model.data.clips import LabeledFrame, with_image
from pcan_model.data.formats.labels import labelled
from pcan_model.data.image_decoding import BadImage, decode

FALLBACK = 10.0  # frames per second of a bag whose stamps say nothing


class BagClip:
    """The images with the ground truth of their stamps; implements `pcan_model.data.clips.Clip`.

    Frames are cheap in order, and each step back starts over. The rate is that of the usual distance
    between stamps. Raises BagError where there are no images.
    """

    def __init__(
        self, path: Path, *, topic: str = "", truth: str = "/ground_truth", names: Sequence[str] = CLASSES
    ) -> None:
        self.name = path.stem
        self._path, self._names, self._types = path, names, our_types()
        self._made = partial(BagClip, path, topic=topic, truth=truth, names=names)
        self._images = ImageBag(path, topic)
        stamps: list[int] = []
        self._truth: dict[int, bytes] = {}  # stamp to what is labelled
        with Bag(path) as bag:
            for stored in bag.messages([self._images.topic, truth]):
                if stored.connection.topic == self._images.topic:
                    stamps.append(header_stamp(stored.raw))
                elif stored.connection.msgtype == TRACKS:
                    self._truth[header_stamp(stored.raw)] = stored.raw
        self._count = len(stamps)
        steps = [b - a for a, b in pairwise(stamps) if b > a]
        self.rate = 1e9 / median(steps) if steps else FALLBACK
        self._records: Iterator[Record] = iter(())
        self._next = self._count  # frame that the reading stands before

    def __reduce__(self) -> tuple[Callable[[], BagClip], tuple[()]]:
        return self._made, ()  # another process reads the bag itself

    @property
    def labelled(self) -> bool:
        """Return whether the bag holds any ground truth."""
        return bool(self._truth)

    def __len__(self) -> int:
        return self._count

    def frame(self, index: int) -> LabeledFrame:
        """Decode a frame; in a labelled bag, one without ground truth holds no objects."""
        if not 0 <= index < self._count:
            raise IndexError(f"{self.name}: expected a frame below {self._count}, got {index}")
        record = self._record(index)
        try:
            image = decode(record.message)
        except BadImage as error:
            raise DataError(self._path, f"frame {index}", "a picture", error) from error
        if record.stamp not in self._truth:
            return with_image(image, labelled(np.zeros(image.shape[:2], np.int16), [], []))
        message = self._types.deserialize_cdr(self._truth[record.stamp], TRACKS)
        if (message.image_height, message.image_width) != image.shape[:2]:
            size = f"{message.image_width}x{message.image_height}"
            raise DataError(self._path, f"frame {index}: ground truth", "the size of its image", size)
        return labels_of(message, image, self._names)

    def _record(self, index: int) -> Record:
        if index < self._next:
            self._records, self._next = self._images.records(), 0
        for record in self._records:
            self._next += 1
            if self._next > index:
                return record
        raise DataError(self._path, f"frame {index}", f"{self._count} images", f"the end after {self._next}")
