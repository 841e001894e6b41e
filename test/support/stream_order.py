"""Race detection with vector clocks: rejects accesses that no event or wait orders.

Every stream counts its work. An event takes along what its stream knew when it was recorded; who waits
for the event knows that too. Two accesses to one place, one of them writing, by streams (or the host) of
which the later does not know the earlier, are a race: on a real device either may come first.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

Clock = dict[int, int]  # stream: number of its last work that is known to be done by then
HOST = 0  # no stream's handle


@dataclass(frozen=True)
class Access:
    """Some bytes that a piece of work reads or writes."""

    begin: int
    end: int
    writes: bool

    def meets(self, other: Access) -> bool:
        return (self.writes or other.writes) and self.begin < other.end and other.begin < self.end


class StreamOrder:
    """Keeps the clocks of all streams and the last accesses of each."""

    def __init__(self) -> None:
        self._clocks: dict[int, Clock] = {HOST: {}}
        self._last: dict[Access, Clock] = {}  # by stream, the number of the last work with this access

    def work(self, stream: int, accesses: Iterable[Access]) -> None:
        """Record new work on a stream; fails if another stream may still access its memory."""
        clock = self._clocks.setdefault(stream, {})
        join(clock, self._clocks[HOST])  # the host gave the work, so whatever it waited for is done
        clock[stream] = clock.get(stream, 0) + 1
        for access in accesses:
            self.check(stream, access)
            self._last.setdefault(access, {})[stream] = clock[stream]

    def check(self, stream: int, access: Access) -> None:
        """Fail if an earlier access of another stream is not known to be finished."""
        known = self._clocks[stream]
        for other, numbers in self._last.items():
            if access.meets(other):
                for earlier, number in numbers.items():
                    assert earlier == stream or known.get(earlier, 0) >= number, (
                        f"race: {kind(access)} of stream {stream} does not wait for the "
                        f"{kind(other)} of stream {earlier} at {access.begin:#x}"
                    )

    def snapshot(self, stream: int) -> Clock:
        """Return the clock of a stream, for an event."""
        return dict(self._clocks.setdefault(stream, {}))

    def learn(self, stream: int, clock: Clock) -> None:
        """Let a stream, or the host, wait for an event."""
        join(self._clocks.setdefault(stream, {}), clock)

    def forget(self, begin: int, end: int) -> None:
        """Remove freed memory: its address may be reused."""
        self._last = {a: n for a, n in self._last.items() if a.end <= begin or end <= a.begin}


def join(clock: Clock, other: Clock) -> None:
    for stream, number in other.items():
        clock[stream] = max(clock.get(stream, 0), number)


def kind(access: Access) -> str:
    return "write" if access.writes else "read"
