"""`pcan-bag label`: tracks the images of a bag and writes a copy of the bag with the tracks.

Tracking comes first. Its results go to a journal chunk by chunk, from which an interrupted run resumes. The
copy is then written under a temporary name and renamed when it is complete.
"""

from __future__ import annotations

import hashlib
import shutil
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rclpy.serialization import serialize_message

from pcan_model.core.masks import Encoding
from pcan_model.core.stamps import stamp_seconds
from pcan_model.core.structures import Frame, State
from pcan_model.data.bags.files import check_replaceable, new_bag, put_in_place
from pcan_model.data.bags.reading import Bag, BagError, Loss
from pcan_model.data.bags.topics import image_topic
from pcan_model.data.files import visible
from pcan_model.data.image_decoding import decode
from pcan_model.tracking.chunk_file import Chunk, LabelResult
from pcan_model.tracking.journal import CHUNK, Journal
from pcan_model.tracking.tracker import Tracker
from pcan_ros.bag.copy import CopyStyle, write_copy
from pcan_ros.messages import to_tracks
from pcan_ros.node.camera import TimeLimits, time_jump

Progress = Callable[[Iterable[Any], int, str], Iterable[Any]]  # items, count, description


@dataclass(frozen=True, slots=True)
class LabelSummary:
    """Result of `label_bag`."""

    images: int  # tracked
    resumed: int  # of them, tracked by an earlier run
    refused: tuple[str, ...]  # why images could not be read: each reason once, with its count
    losses: tuple[Loss, ...]  # of the source


def label_bag(
    source: Path,
    out: Path,
    tracker: Tracker,
    *,
    model: str = "",
    topics: tuple[str, ...] = (),
    style: CopyStyle | None = None,
    progress: Progress = lambda items, count, what: items,
    warn: Callable[[str], object] = print,
) -> LabelSummary:
    """Track the images of some topics (by default the most likely camera topic) and write the copy.

    model  identifies weights and runtime; a run with another one is not resumed
    warn   receives a line about each part of an interrupted run that cannot be used

    Raises BagError if a topic does not exist, or if `out` is the source.
    """
    style = style or CopyStyle()
    if out.resolve() == source.resolve():
        raise BagError(f"{out}: expected another name than the source's")
    check_replaceable(out)
    with Bag(source) as bag:
        chosen = [image_topic(bag, topic) for topic in topics or ("",)]
        names = tuple(c.topic for c in chosen)
        style.check(bag, names)
        folder = out.with_name(f".{out.name}.part")
        job = _job(source, tracker, model, names)
        journal = Journal(folder, job, tracker.start().memory, warn)
        resumed = journal.done
        images = progress(bag.messages(names), sum(c.msgcount for c in chosen), "tracking")
        _track(images, tracker, journal, bag.types())
        partial = folder / out.name
        shutil.rmtree(partial, ignore_errors=True)
        results = _ByTopic(journal.results())
        with new_bag(partial, style.storage) as writer:
            messages = progress(bag.messages(), bag.count, "writing")
            write_copy(messages, bag, writer, results.next, names, style, tracker.engine.config.classes)
        put_in_place(partial, out)
        refused = _reasons(journal.results())
        tracked = [bool(result.tracks) for result in journal.results()]
        shutil.rmtree(folder)
        return LabelSummary(sum(tracked), sum(tracked[:resumed]), refused, tuple(bag.losses))


def _track(images: Iterable[Any], tracker: Tracker, journal: Journal, types: Any) -> None:
    """Track the images that are not in the journal yet."""
    states = dict(journal.states)
    pending: list[LabelResult] = []
    for index, stored in enumerate(images):
        if index < journal.done:
            continue
        pending.append(_track_image(stored, tracker, states, types))
        if len(pending) == CHUNK:
            journal.append(Chunk(tuple(pending), dict(states)))
            pending = []
    if pending:
        journal.append(Chunk(tuple(pending), dict(states)))


def _track_image(
    stored: Any, tracker: Tracker, states: dict[str, tuple[State, float]], types: Any
) -> LabelResult:
    """Track one image as the node does; an unreadable image gives an error instead."""
    topic = stored.connection.topic
    try:
        message = types.deserialize_cdr(stored.raw, stored.connection.msgtype)
        image = decode(message)
    except Exception as error:  # a corrupt message raises many kinds of errors
        return LabelResult(topic, b"", f"{topic}: {error}")
    stamp = stamp_seconds(message.header.stamp)
    state, last = states.get(topic, (None, None))
    if state is None or time_jump(last, stamp, TimeLimits()):
        state = tracker.start()
    state, tracks = tracker.step(state, Frame(image, stamp))
    states[topic] = state, stamp
    predicted = to_tracks(
        tracks, _header(message.header), tracker.engine.config.classes, encoding=Encoding.RLE_COCO
    )
    return LabelResult(topic, serialize_message(predicted))


def _header(header: Any) -> Any:
    """Convert a header of the rosbags library to std_msgs."""
    from builtin_interfaces.msg import Time
    from std_msgs.msg import Header

    stamp = Time(sec=int(header.stamp.sec), nanosec=int(header.stamp.nanosec))
    return Header(stamp=stamp, frame_id=header.frame_id)


class _ByTopic:
    """Returns results by topic, reading no further than needed."""

    def __init__(self, results: Iterator[LabelResult]) -> None:
        self._results = results
        self._waiting: dict[str, deque[LabelResult]] = {}

    def next(self, topic: str) -> LabelResult:
        """Return the next result of a topic."""
        queue = self._waiting.setdefault(topic, deque())
        while not queue:
            result = next(self._results)
            self._waiting.setdefault(result.topic, deque()).append(result)
        return queue.popleft()


def _job(source: Path, tracker: Tracker, model: str, topics: tuple[str, ...]) -> dict[str, Any]:
    """Return everything that determines the results; another value starts a new run."""
    files = [source] if source.is_file() else [path for path in visible(source.iterdir()) if path.is_file()]
    return {
        "source": str(source.resolve()),
        "files": {path.name: [path.stat().st_size, path.stat().st_mtime_ns] for path in files},
        "topics": list(topics),
        "model": model,
        "config": hashlib.sha256(repr(tracker.engine.config).encode()).hexdigest(),
        "tracker": repr(tracker.config),
    }


def _reasons(results: Iterable[LabelResult]) -> tuple[str, ...]:
    counts: dict[str, int] = {}
    for result in results:
        if result.error:
            counts[result.error] = counts.get(result.error, 0) + 1
    return tuple(f"{reason} ({count} images)" for reason, count in counts.items())
