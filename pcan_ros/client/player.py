"""Plays the images of a bag to the node and collects the tracks."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

from pcan_model.core.stamps import nanoseconds
from pcan_model.data.bags.files import Record
from pcan_ros.client.client import Client, ClientError, Reply

REPLY_TIMEOUT = 20.0  # seconds to wait for the tracks of an image; the first one is slow
MIN_SPIN = 0.001  # seconds to spin between two images when the player is late
MAX_UNANSWERED = 3  # consecutive images without a reply


@dataclass(frozen=True, slots=True, eq=False)
class Played:
    """An image that was played, and the reply."""

    stamp: int  # of the image, nanoseconds
    sent: float  # monotonic time, seconds
    reply: Reply | None

    @property
    def round_trip(self) -> float | None:
        """Return the seconds from sending the image to receiving its tracks; None without a reply."""
        return self.reply.time - self.sent if self.reply else None


def play_in_lockstep(records: Iterable[Record], client: Client, alive: Callable[[], bool]) -> list[Played]:
    """Send each image when the previous one has its tracks, so that no image is dropped."""
    return list(lockstep(records, client, alive))


def lockstep(records: Iterable[Record], client: Client, alive: Callable[[], bool]) -> Iterator[Played]:
    """Yield the images and replies of `play_in_lockstep` one by one."""
    unanswered = 0
    for record in records:
        sent = time.monotonic()
        reply = client.exchange(record.raw, REPLY_TIMEOUT, alive)
        unanswered = 0 if reply else unanswered + 1
        if unanswered >= MAX_UNANSWERED:
            raise ClientError(
                f"no tracks for {MAX_UNANSWERED} consecutive images within {REPLY_TIMEOUT:.0f} s each"
            )
        yield Played(record.stamp, sent, reply)


def play_in_time(
    records: Iterable[Record], client: Client, alive: Callable[[], bool], rate: float
) -> list[Played]:
    """Send the images at the pace of their stamps times `rate`, without waiting for replies."""
    sent: list[tuple[int, float]] = []  # stamp, and monotonic time
    begin, first = time.monotonic(), None
    for record in records:
        first = record.time if first is None else first
        due = begin + (record.time - first) * 1e-9 / rate
        client.idle(max(MIN_SPIN, due - time.monotonic()))
        sent.append((record.stamp, client.send(record.raw)))
    _drain(client, alive, [stamp for stamp, _ in sent])
    replies: dict[int, deque[Reply]] = {}
    for reply in client.replies:
        replies.setdefault(nanoseconds(reply.message.header.stamp), deque()).append(reply)
    return [Played(stamp, time_sent, _next(replies.get(stamp))) for stamp, time_sent in sent]


def _next(waiting: deque[Reply] | None) -> Reply | None:
    """Return the next reply; images that share a stamp get one each."""
    return waiting.popleft() if waiting else None


def _drain(client: Client, alive: Callable[[], bool], stamps: Sequence[int]) -> None:
    """Wait for the reply to the last image, or until no more replies arrive."""
    count = -1
    while count != len(client.replies) and not _all_replied(client, stamps):
        count = len(client.replies)
        client.wait(partial(_more, client, count), REPLY_TIMEOUT, alive)


def _more(client: Client, count: int) -> bool:
    return len(client.replies) > count


def _all_replied(client: Client, stamps: Sequence[int]) -> bool:
    """Return whether the last image, and every other with its stamp, has a reply."""
    last = stamps[-1:]
    found = sum(nanoseconds(reply.message.header.stamp) in last for reply in client.replies)
    return found >= sum(stamp in last for stamp in stamps)
