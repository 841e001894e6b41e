"""Plays the images of a bag to the node and keeps what it answers."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

from pcan_model.core.stamps import nanoseconds
from pcan_model.data.bags.files import Record
from pcan_ros.client.client import Client, ClientError, Reply

PATIENCE = 20.0  # seconds for one image; the first of a network takes longest
LOOK = 0.001  # seconds to look for answers between two images when the player is late
GIVE_UP = 3  # images without an answer, one after the other


@dataclass(frozen=True, slots=True, eq=False)
class Played:
    """One image and what came back for it."""

    stamp: int  # of the image, nanoseconds
    sent: float  # monotonic time, seconds
    answer: Reply | None

    @property
    def round_trip(self) -> float | None:
        """Return seconds from sending the image to receiving its tracks."""
        return self.answer.time - self.sent if self.answer else None


def play_in_lockstep(records: Iterable[Record], client: Client, alive: Callable[[], bool]) -> list[Played]:
    """Send every image when the one before is answered: every frame counts, whatever the machine."""
    return list(lockstep(records, client, alive))


def lockstep(records: Iterable[Record], client: Client, alive: Callable[[], bool]) -> Iterator[Played]:
    """Do the same one by one: what was answered is not kept."""
    silent = 0
    for record in records:
        sent = time.monotonic()
        answer = client.exchange(record.raw, PATIENCE, alive)
        silent = 0 if answer else silent + 1
        if silent >= GIVE_UP:
            raise ClientError(f"no answer to {GIVE_UP} images in a row, {PATIENCE:.0f} s each")
        yield Played(record.stamp, sent, answer)


def play_in_time(
    records: Iterable[Record], client: Client, alive: Callable[[], bool], rate: float
) -> list[Played]:
    """Send the images at the pace of their stamps times `rate`, as a camera does, whether answered or not."""
    sent: list[tuple[int, float]] = []  # stamp, and monotonic time
    begin, first = time.monotonic(), None
    for record in records:
        first = record.time if first is None else first
        due = begin + (record.time - first) * 1e-9 / rate
        client.idle(max(LOOK, due - time.monotonic()))
        sent.append((record.stamp, client.send(record.raw)))
    _drain(client, alive, [stamp for stamp, _ in sent])
    answers: dict[int, deque[Reply]] = {}
    for answer in client.answers:
        answers.setdefault(nanoseconds(answer.message.header.stamp), deque()).append(answer)
    return [Played(stamp, moment, _next(answers.get(stamp))) for stamp, moment in sent]


def _next(waiting: deque[Reply] | None) -> Reply | None:
    """Return one answer for each image, also of those that share a stamp."""
    return waiting.popleft() if waiting else None


def _drain(client: Client, alive: Callable[[], bool], stamps: Sequence[int]) -> None:
    """Wait for the answer to the last image, which no newer one replaces; or until nothing comes any more."""
    count = -1
    while count != len(client.answers) and not _answered(client, stamps):
        count = len(client.answers)
        client.wait(partial(_more, client, count), PATIENCE, alive)


def _more(client: Client, count: int) -> bool:
    return len(client.answers) > count


def _answered(client: Client, stamps: Sequence[int]) -> bool:
    """Return whether the last image is answered, and all with the same stamp."""
    last = stamps[-1:]
    found = sum(nanoseconds(answer.message.header.stamp) in last for answer in client.answers)
    return found >= sum(stamp in last for stamp in stamps)
