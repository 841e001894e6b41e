"""A bag as a clip: its images with ground truth matched by stamp."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from itertools import pairwise
from pathlib import Path
from statistics import median

from pcan_model.core.config import CLASSES
from pcan_model.core.errors import DataError
from pcan_model.data.bags.files import ImageBag, Record
from pcan_model.data.bags.inspect import header_stamp
from pcan_model.data.bags.labels import labels_of
from pcan_model.data.bags.message_types import TRACKS, our_types
from pcan_model.data.bags.reading import Bag
from pcan_model.data.clips import Clip, ClipFrame, without_image
from pcan_model.data.image_decoding import BadImage, decode

FALLBACK = 10.0  # frames per second of a bag without usable stamps


class BagClip(Clip):
    """The images of a bag with ground truth matched by stamp.

    Reading in order is cheap; each step back starts over. The time of a frame is its stamp, and the rate is
    from the median interval of stamps; if stamps never increase, times are computed from the rate. Raises
    BagError if there are no images.
    """

    def __init__(
        self,
        path: Path,
        *,
        topic: str = "",
        ground_truth: str = "/ground_truth",
        names: Sequence[str] = CLASSES,
    ) -> None:
        self.name = path.stem
        self._path, self._names, self._types = path, names, our_types()
        self._made = partial(BagClip, path, topic=topic, ground_truth=ground_truth, names=names)
        self._images = ImageBag(path, topic)
        stamps: list[int] = []
        self._ground_truth: dict[int, bytes] = {}  # serialised messages by stamp
        with Bag(path) as bag:
            for stored in bag.messages([self._images.topic, ground_truth]):
                if stored.connection.topic == self._images.topic:
                    stamps.append(header_stamp(stored.raw))
                elif stored.connection.msgtype == TRACKS:
                    self._ground_truth[header_stamp(stored.raw)] = stored.raw
        self._stamps = tuple(stamps)
        self.labelled = bool(self._ground_truth)
        steps = [b - a for a, b in pairwise(stamps) if b > a]
        self._timed = bool(steps)
        self.rate = 1e9 / median(steps) if steps else FALLBACK
        self._records: Iterator[Record] = iter(())
        self._next = len(stamps)  # next frame of `_records`

    def __reduce__(self) -> tuple[Callable[[], BagClip], tuple[()]]:
        return self._made, ()  # another process opens the bag itself

    def __len__(self) -> int:
        return len(self._stamps)

    def time(self, index: int) -> int:
        """Return the stamp of a frame."""
        return self._stamps[index] if self._timed else super().time(index)

    def read(self, index: int) -> ClipFrame:
        """Decode a frame; in a labelled bag, one without ground truth has no objects."""
        self._check_index(index, len(self))
        record = self._record(index)
        try:
            image = decode(record.message)
        except BadImage as error:
            raise DataError(self._path, f"frame {index}", "an image", error) from error
        if record.stamp not in self._ground_truth:
            frame = self._frame(index, image)
            return replace(frame, labels=frame.objects()) if self.labelled else frame
        message = self._types.deserialize_cdr(self._ground_truth[record.stamp], TRACKS)
        if (message.image_height, message.image_width) != image.shape[:2]:
            size = f"{message.image_width}x{message.image_height}"
            raise DataError(self._path, f"frame {index}: ground truth", "the size of its image", size)
        ids = Counter(instance.track_id for instance in message.instances)
        if twice := [identity for identity, count in ids.items() if count > 1]:
            raise DataError(self._path, f"frame {index}: ids", "one object each", f"twice {twice}")
        return self._frame(index, image, without_image(labels_of(message, image, self._names)))

    def _record(self, index: int) -> Record:
        if index < self._next:
            self._records, self._next = self._images.records(), 0
        for record in self._records:
            self._next += 1
            if self._next > index:
                return record
        raise DataError(self._path, f"frame {index}", f"{len(self)} images", f"the end after {self._next}")
