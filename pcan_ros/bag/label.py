"""`pcan-bag label`: the tracker over the images of a bag; a copy of every message, and what was found.

First the tracking, whose answers go into a journal chunk by chunk: after a kill it goes on behind the last
one. Then the copy, beside its final name, which it gets when it is whole.
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
from pcan_model.tracking.tracker import Tracker
from pcan_ros.bag.chunk_file import Chunk, LabelAnswer
from pcan_ros.bag.copy import CopyStyle, write_copy
from pcan_ros.bag.journal import Journal
from pcan_ros.messages import to_tracks
from pcan_ros.node.camera import TimeLimits, time_jump

CHUNK = 25  # images between two saves

Progress = Callable[[Iterable[Any], int, str], Iterable[Any]]  # items, how many, what is done


@dataclass(frozen=True, slots=True)
class Labelled:
    """What `label_bag` did."""

    images: int  # tracked
    resumed: int  # of them, tracked by an earlier run
    refused: tuple[str, ...]  # why images could not be read, each reason once with its count
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
    tell: Callable[[str], object] = print,
) -> Labelled:
    """Track the images of some topics (the camera's if none is named) and write the copy.

    model  names weights and runtime: what another one answered before an interruption is not used
    tell   takes in a line which part of an interrupted run cannot be used

    Raises BagError when a topic is not there, or when `out` is the source itself.
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
        journal = Journal(folder, job, tracker.start().memory, tell)
        resumed = journal.done
        images = progress(bag.messages(names), sum(c.msgcount for c in chosen), "tracking")
        _track(images, tracker, journal, bag.types())
        partial = folder / out.name
        shutil.rmtree(partial, ignore_errors=True)
        answers = _ByTopic(journal.answers())
        with new_bag(partial, style.storage) as writer:
            messages = progress(bag.messages(), bag.count, "writing")
            write_copy(messages, bag, writer, answers.next, names, style, tracker.engine.config.classes)
        put_in_place(partial, out)
        refused = _reasons(journal.answers())
        tracked = [bool(answer.tracks) for answer in journal.answers()]
        shutil.rmtree(folder)
        return Labelled(sum(tracked), sum(tracked[:resumed]), refused, tuple(bag.losses))


def _track(images: Iterable[Any], tracker: Tracker, journal: Journal, types: Any) -> None:
    """Answer the images that the journal does not know yet."""
    states = dict(journal.states)
    fresh: list[LabelAnswer] = []
    for index, stored in enumerate(images):
        if index < journal.done:
            continue
        fresh.append(_answer(stored, tracker, states, types))
        if len(fresh) == CHUNK:
            journal.append(Chunk(tuple(fresh), dict(states)))
            fresh = []
    if fresh:
        journal.append(Chunk(tuple(fresh), dict(states)))


def _answer(stored: Any, tracker: Tracker, states: dict[str, tuple[State, float]], types: Any) -> LabelAnswer:
    """Track one image, as the node does; an image that cannot be read is left out."""
    topic = stored.connection.topic
    try:
        message = types.deserialize_cdr(stored.raw, stored.connection.msgtype)
        image = decode(message)
    except Exception as error:  # a broken message shows in many ways
        return LabelAnswer(topic, b"", f"{topic}: {error}")
    stamp = stamp_seconds(message.header.stamp)
    state, last = states.get(topic, (None, None))
    if state is None or time_jump(last, stamp, TimeLimits()):
        state = tracker.start()
    state, tracks = tracker.step(state, Frame(image, stamp))
    states[topic] = state, stamp
    predicted = to_tracks(
        tracks, _header(message.header), tracker.engine.config.classes, encoding=Encoding.RLE_COCO
    )
    return LabelAnswer(topic, serialize_message(predicted))


def _header(header: Any) -> Any:
    """Return a header of rosbags as one of ROS."""
    from builtin_interfaces.msg import Time
    from std_msgs.msg import Header

    stamp = Time(sec=int(header.stamp.sec), nanosec=int(header.stamp.nanosec))
    return Header(stamp=stamp, frame_id=header.frame_id)


class _ByTopic:
    """Hands out answers topic by topic, reading on only as far as needed."""

    def __init__(self, answers: Iterator[LabelAnswer]) -> None:
        self._answers = answers
        self._waiting: dict[str, deque[LabelAnswer]] = {}

    def next(self, topic: str) -> LabelAnswer:
        """Return the next answer of a topic."""
        queue = self._waiting.setdefault(topic, deque())
        while not queue:
            answer = next(self._answers)
            self._waiting.setdefault(answer.topic, deque()).append(answer)
        return queue.popleft()


def _job(source: Path, tracker: Tracker, model: str, topics: tuple[str, ...]) -> dict[str, Any]:
    """Return what decides the answers: another source, model or setting begins anew."""
    files = [source] if source.is_file() else [path for path in visible(source.iterdir()) if path.is_file()]
    return {
        "source": str(source.resolve()),
        "files": {path.name: [path.stat().st_size, path.stat().st_mtime_ns] for path in files},
        "topics": list(topics),
        "model": model,
        "config": hashlib.sha256(repr(tracker.engine.config).encode()).hexdigest(),
        "tracker": repr(tracker.config),
    }


def _reasons(answers: Iterable[LabelAnswer]) -> tuple[str, ...]:
    counts: dict[str, int] = {}
    for answer in answers:
        if answer.error:
            counts[answer.error] = counts.get(answer.error, 0) + 1
    return tuple(f"{reason} ({count} images)" for reason, count in counts.items())
