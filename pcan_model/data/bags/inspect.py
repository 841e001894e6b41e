"""Inspection of a bag for `pcan-bag show`: contents by topic, and problems."""

from __future__ import annotations

import struct
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from rosbags.interfaces import Nodetype

from pcan_model.data.bags.message_types import COMPRESSED, IMAGE
from pcan_model.data.bags.reading import Bag, Loss
from pcan_model.data.bags.recovery import StoredMessage
from pcan_model.data.image_decoding import BadImage, decode

GAP = 2.5  # times the median interval of stamps
FEWEST = 4  # messages needed for a median interval
HEADER = (Nodetype.NAME, "std_msgs/msg/Header")


@dataclass(frozen=True, slots=True)
class Gap:
    """A gap in a topic."""

    start: float  # seconds after the bag's first message
    length: float  # seconds from stamp to stamp


@dataclass(frozen=True, slots=True)
class TopicReport:
    """Contents and problems of a topic."""

    name: str
    type: str
    count: int  # messages read
    rate: float | None  # per second, from the median interval of stamps
    start: float | None  # seconds after the bag's first message
    end: float | None
    gaps: tuple[Gap, ...] = ()
    duplicate_stamps: int = 0  # messages with the stamp of the previous one
    backward_stamps: int = 0  # messages with an earlier stamp than the previous one
    formats: dict[str, int] = field(default_factory=dict)  # number of images by size and encoding
    unreadable: int = 0  # malformed messages
    first_error: str = ""

    def problems(self) -> list[str]:
        """Return the problems as readable lines."""
        lines = []
        if self.gaps:
            worst = max(self.gaps, key=lambda gap: gap.length)
            lines.append(
                f"gaps: {len(self.gaps)}, the longest of {worst.length:.2f} s at {worst.start:.2f} s"
            )
        if self.duplicate_stamps:
            lines.append(f"{self.duplicate_stamps} stamps twice")
        if self.backward_stamps:
            lines.append(f"{self.backward_stamps} stamps go back in time: the tracker is reset there")
        if len(self.formats) > 1:
            kinds = ", ".join(f"{kind} ({count})" for kind, count in self.formats.items())
            lines.append(f"images change: {kinds}")
        if self.unreadable:
            lines.append(f"{self.unreadable} messages cannot be used, the first: {self.first_error}")
        return [f"{self.name}: {line}" for line in lines]


@dataclass(frozen=True, slots=True)
class BagReport:
    """Contents and problems of a bag."""

    path: str
    duration: float  # seconds from the first message to the last
    messages: int  # readable ones
    topics: tuple[TopicReport, ...]
    losses: tuple[Loss, ...]  # missing or damaged contents

    def text(self) -> str:
        """Return the report as text."""
        lines = [f"{self.path}: {self.messages} messages in {self.duration:.2f} s"]
        width = max((len(topic.name) for topic in self.topics), default=0)
        for topic in self.topics:
            rate = "" if topic.rate is None else f", {topic.rate:.2f} Hz"
            kinds = "".join(f", {kind}" for kind in list(topic.formats)[:1])
            lines.append(f"  {topic.name:{width}}  {topic.count:6}  {topic.type}{rate}{kinds}")
        lines += [f"lost: {loss}" for loss in self.losses]
        lines += [f"problem: {line}" for topic in self.topics for line in topic.problems()]
        return "\n".join(lines)


def inspect(path: Path, progress: Any = iter) -> BagReport:
    """Read a bag from end to end, decoding every image; raises BagError if nothing can be read."""
    with Bag(path) as bag:
        types = bag.types()
        topics = {(c.topic, c.msgtype): _TopicStatistics(types, c.msgtype) for c in bag.connections}
        first, last = 2**63 - 1, 0
        for stored in progress(bag.messages()):
            topics[stored.connection.topic, stored.connection.msgtype].take(stored)
            first, last = min(first, stored.time), max(last, stored.time)
        reports = tuple(note.report(topic, first) for (topic, _), note in sorted(topics.items()))
        duration = max(0, last - first) * 1e-9 if last else 0.0
        count = sum(report.count for report in reports)
        return BagReport(str(path), duration, count, reports, tuple(bag.losses))


class _TopicStatistics:
    """Statistics of one topic, with a time and a stamp per message."""

    def __init__(self, types: Any, kind: str) -> None:
        self._types, self._kind = types, kind
        self._known = kind in types.fielddefs
        fields = types.fielddefs[kind][1] if self._known else []
        self._stamped = bool(fields) and fields[0][1] == HEADER
        self._times: list[int] = []
        self._stamps: list[int] = []
        self._formats: Counter[str] = Counter()
        self._errors: list[str] = []

    def take(self, stored: StoredMessage) -> None:
        """Add a message."""
        self._times.append(stored.time)
        if self._stamped and header_stamp(stored.raw) >= 0:
            self._stamps.append(header_stamp(stored.raw))
        if not self._known:
            return
        try:
            message = self._types.deserialize_cdr(stored.raw, self._kind)
            if self._kind in (IMAGE, COMPRESSED):
                self._image(message)
        except BadImage as error:
            self._errors.append(str(error))
        except Exception as error:  # a broken message shows in many ways
            self._errors.append(f"no {self._kind}: {type(error).__name__}: {error}")

    def _image(self, message: Any) -> None:
        height, width = decode(message).shape[:2]
        kind = message.encoding if self._kind == IMAGE else (message.format or "no format named")
        self._formats[f"{width}x{height} {kind}"] += 1

    def report(self, topic: str, first: int) -> TopicReport:
        """Return the report; `first` is the time of the bag's first message."""
        stamps = self._stamps or self._times
        steps = np.diff(np.array(stamps, np.int64))
        ahead = steps[steps > 0]
        usual = float(np.median(ahead)) if len(ahead) + 1 >= FEWEST else 0.0
        return TopicReport(
            topic,
            self._kind,
            len(self._times),
            1e9 / usual if usual else None,
            (self._times[0] - first) * 1e-9 if self._times else None,
            (self._times[-1] - first) * 1e-9 if self._times else None,
            tuple(self._gaps(steps, usual, first)) if self._stamped and usual else (),
            int((steps == 0).sum()) if self._stamped else 0,
            int((steps < 0).sum()) if self._stamped else 0,
            dict(self._formats),
            len(self._errors),
            self._errors[0] if self._errors else "",
        )

    def _gaps(self, steps: Any, usual: float, first: int) -> Iterable[Gap]:
        for index in np.flatnonzero(steps > GAP * usual):
            yield Gap((self._times[index] - first) * 1e-9, float(steps[index]) * 1e-9)


def header_stamp(raw: bytes) -> int:
    """Return the stamp in nanoseconds of a serialised message that begins with a Header; -1 if truncated."""
    if len(raw) < 12:
        return -1
    order = "<" if raw[1] & 1 else ">"
    second, nanosecond = struct.unpack_from(f"{order}iI", raw, 4)
    return int(second) * 1_000_000_000 + int(nanosecond)
