"""Minimal message_filters, exact and approximate, for machines where it is not installed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import product
from typing import Any

from pcan_model.core.stamps import nanoseconds


class SimpleFilter:
    """Passes messages to registered callbacks."""

    def __init__(self) -> None:
        self.callbacks: list[Callable[..., None]] = []

    def registerCallback(self, callback: Callable[..., None]) -> None:
        self.callbacks.append(callback)

    def signalMessage(self, *messages: Any) -> None:
        for callback in self.callbacks:
            callback(*messages)


class ApproximateTimeSynchronizer(SimpleFilter):
    """Passes messages that are at most `slop` seconds apart, the newest first, once."""

    def __init__(self, inputs: Sequence[SimpleFilter], queue_size: int, slop: float) -> None:
        super().__init__()
        self._queues: list[dict[int, Any]] = [{} for _ in inputs]
        self._size, self._slop = queue_size, slop * 1e9
        for each, queue in zip(inputs, self._queues, strict=True):
            each.registerCallback(lambda message, queue=queue: self._add(message, queue))

    def _add(self, message: Any, queue: dict[int, Any]) -> None:
        queue[nanoseconds(message.header.stamp)] = message
        while len(queue) > self._size:
            del queue[min(queue)]
        for stamps in product(*map(sorted, self._queues)):
            if max(stamps) - min(stamps) <= self._slop:
                pairs = zip(self._queues, stamps, strict=True)
                self.signalMessage(*(waiting.pop(stamp) for waiting, stamp in pairs))
                return


class TimeSynchronizer(ApproximateTimeSynchronizer):
    """Passes messages with equal stamps."""

    def __init__(self, inputs: Sequence[SimpleFilter], queue_size: int) -> None:
        super().__init__(inputs, queue_size, 0.0)


class Subscriber(SimpleFilter):
    """Hands on the messages of a topic."""

    def __init__(self, node: Any, kind: Any, topic: str, *, qos_profile: Any = 10) -> None:
        super().__init__()
        node.create_subscription(kind, topic, self.signalMessage, qos_profile)
