"""Plays the images of a bag to the node and keeps what it answers."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial

from pcan_ros.replay.bags import Record
from pcan_ros.replay.client import Answer, Client, ClientError
from pcan_ros.replay.message_types import nanoseconds

PATIENCE = 20.0  # seconds for one image; the first of a network takes longest
GIVE_UP = 3  # images without an answer, one after the other
TAIL = 2.0  # seconds without an answer after the last image that end a run in real time


@dataclass(frozen=True, slots=True, eq=False)
class Played:
    """One image and what came back for it."""

    stamp: int  # of the image, nanoseconds
    sent: float  # monotonic time, seconds
    answer: Answer | None

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
    sent: dict[int, float] = {}
    begin, first = time.monotonic(), None
    for record in records:
        first = record.time if first is None else first
        client.idle(begin + (record.time - first) * 1e-9 / rate - time.monotonic())
        sent[record.stamp] = client.send(record.raw)
    _drain(client, alive)
    answers = {nanoseconds(answer.message.header.stamp): answer for answer in client.answers}
    return [Played(stamp, moment, answers.get(stamp)) for stamp, moment in sent.items()]


def _drain(client: Client, alive: Callable[[], bool]) -> None:
    """Wait until nothing comes any more."""
    count = -1
    while count != len(client.answers) and alive():
        count = len(client.answers)
        client.wait(partial(_more, client, count), TAIL)


def _more(client: Client, count: int) -> bool:
    return len(client.answers) > count
