"""A stand-in for `cuda.bindings.runtime`: device memory is host memory, and streams are queues.

It refuses what CUDA refuses: addresses outside a live allocation, wrong sizes, unknown streams, a capture
that does not end. It also refuses what CUDA silently gets wrong: work of two streams on the same memory
that no event orders. Nothing on a stream happens before it is waited for, so that reading a result too
early reads what was there before.
"""

from __future__ import annotations

import ctypes
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import IntEnum
from types import SimpleNamespace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from support.stream_order import HOST, Access, Clock, StreamOrder

Run = Callable[[], None]


class cudaError_t(IntEnum):
    cudaSuccess = 0
    cudaErrorInvalidValue = 1
    cudaErrorMemoryAllocation = 2
    cudaErrorInsufficientDriver = 35
    cudaErrorInvalidResourceHandle = 400
    cudaErrorIllegalAddress = 700
    cudaErrorStreamCaptureInvalidated = 901


class cudaMemcpyKind(IntEnum):
    cudaMemcpyHostToDevice = 1
    cudaMemcpyDeviceToHost = 2
    cudaMemcpyDeviceToDevice = 3


class cudaStreamCaptureMode(IntEnum):
    cudaStreamCaptureModeThreadLocal = 1


class Fault(Exception):
    """An error of work on a stream."""


@dataclass(frozen=True, eq=False)
class Work:
    """A piece of work of a stream, and the memory that it accesses."""

    run: Run
    accesses: tuple[Access, ...] = ()


class Queue:
    """A stream, or a graph: work in order."""

    def __init__(self, handle: int) -> None:
        self.handle = handle
        self.work: list[Work] = []
        self.capture: list[Work] | None = None

    def __int__(self) -> int:
        return self.handle

    def drain(self, last: Work | None = None) -> None:
        """Run all work, or up to and including one piece."""
        while self.work and (last is None or last in self.work):
            self.work.pop(0).run()


@dataclass(frozen=True, eq=False)
class Mark:
    """The position of an event when it was last recorded."""

    queue: Queue
    work: Work  # which does nothing
    clock: Clock

    def reach(self) -> None:
        self.queue.drain(self.work)


class Event:
    """An event; without a mark it was never recorded."""

    mark: Mark | None = None


class FakeCudart:
    """One device; `fails[name] = (error, after)` makes a call fail once it succeeded `after` times."""

    cudaError_t, cudaMemcpyKind, cudaStreamCaptureMode = cudaError_t, cudaMemcpyKind, cudaStreamCaptureMode
    cudaStreamNonBlocking, cudaEventDisableTiming = 1, 2

    def __init__(self, *, devices: int = 1, memory: int = 1 << 30) -> None:
        self.devices, self.memory = devices, memory
        self.device: dict[int, NDArray[np.uint8]] = {}
        self.pinned: dict[int, NDArray[np.uint8]] = {}
        self.streams: dict[int, Queue] = {}
        self.graphs: dict[int, Queue] = {}
        self.events: set[Event] = set()
        self.order = StreamOrder()
        self.calls: Counter[str] = Counter()
        self.fails: dict[str, tuple[cudaError_t, int]] = {}
        self.lost: cudaError_t | None = None  # an error of work on a stream stays for ever, as in CUDA
        self._handles = iter(range(1, 1 << 30))

    def __getattribute__(self, name: str) -> Any:
        """Count every call and let it fail if a test requests it."""
        value = object.__getattribute__(self, name)
        if not name.startswith("cuda") or not callable(value) or isinstance(value, type):
            return value

        def call(*arguments: Any) -> tuple[Any, ...]:
            self.calls[name] += 1
            error, after = self.fails.get(name, (cudaError_t.cudaSuccess, 0))
            if error and self.calls[name] > after:
                return (error, None)
            if self.lost and name != "cudaGetLastError":
                return (self.lost, None)
            return value(*arguments)

        return call

    # Device

    def cudaGetDeviceCount(self) -> tuple[Any, ...]:
        return (cudaError_t.cudaSuccess, self.devices) if self.devices else (cudaError_t(35), None)

    def cudaGetDeviceProperties(self, device: int) -> tuple[Any, ...]:
        return cudaError_t.cudaSuccess, SimpleNamespace(name=b"Pretender", major=8, minor=6)

    def cudaMemGetInfo(self) -> tuple[Any, ...]:
        return cudaError_t.cudaSuccess, self.memory - sum(a.nbytes for a in self.device.values()), self.memory

    def cudaGetLastError(self) -> tuple[Any, ...]:
        return (cudaError_t.cudaSuccess,)

    # Memory

    def cudaMalloc(self, size: int) -> tuple[Any, ...]:
        used = sum(a.nbytes for a in self.device.values())
        if used + size > self.memory:
            return cudaError_t.cudaErrorMemoryAllocation, None
        return self._allocate(self.device, size)

    def cudaHostAlloc(self, size: int, flags: int) -> tuple[Any, ...]:
        return self._allocate(self.pinned, size)

    def cudaFree(self, address: int) -> tuple[Any, ...]:
        return (self._free(self.device, address),)

    def cudaFreeHost(self, address: int) -> tuple[Any, ...]:
        return (self._free(self.pinned, address),)

    def cudaMemcpyAsync(self, dst: int, src: int, size: int, kind: Any, stream: Any) -> tuple[Any, ...]:
        sides = {
            cudaMemcpyKind.cudaMemcpyHostToDevice: (self.device, self.pinned),
            cudaMemcpyKind.cudaMemcpyDeviceToHost: (self.pinned, self.device),
            cudaMemcpyKind.cudaMemcpyDeviceToDevice: (self.device, self.device),
        }[kind]
        if not (inside(sides[0], dst, size) and inside(sides[1], src, size)):
            return (cudaError_t.cudaErrorInvalidValue,)

        def copy() -> None:
            if not (inside(sides[0], dst, size) and inside(sides[1], src, size)):
                raise Fault
            ctypes.memmove(dst, src, size)

        accesses = (Access(src, src + size, False), Access(dst, dst + size, True))
        return (self.enqueue(int(stream), Work(copy, accesses)),)

    def cudaMemsetAsync(self, address: int, value: int, size: int, stream: Any) -> tuple[Any, ...]:
        if not inside(self.device, address, size):
            return (cudaError_t.cudaErrorInvalidValue,)
        access = Access(address, address + size, True)
        work = Work(lambda: ctypes.memset(address, value, size) and None, (access,))
        return (self.enqueue(int(stream), work),)

    # Streams and graphs

    def cudaStreamCreateWithFlags(self, flags: int) -> tuple[Any, ...]:
        queue = Queue(next(self._handles))
        self.streams[queue.handle] = queue
        return cudaError_t.cudaSuccess, queue

    def cudaStreamDestroy(self, stream: Any) -> tuple[Any, ...]:
        found = self.streams.pop(int(stream), None)
        return (cudaError_t.cudaSuccess if found else cudaError_t.cudaErrorInvalidResourceHandle,)

    def cudaStreamSynchronize(self, stream: Any) -> tuple[Any, ...]:
        queue = self.streams.get(int(stream))
        if queue is None:
            return (cudaError_t.cudaErrorInvalidResourceHandle,)
        if queue.capture is not None:
            return (cudaError_t.cudaErrorStreamCaptureInvalidated,)
        self.order.learn(HOST, self.order.snapshot(queue.handle))
        return (self._do(queue.drain),)

    def cudaStreamBeginCapture(self, stream: Any, mode: Any) -> tuple[Any, ...]:
        self.streams[int(stream)].capture = []
        return (cudaError_t.cudaSuccess,)

    def cudaStreamEndCapture(self, stream: Any) -> tuple[Any, ...]:
        queue = self.streams[int(stream)]
        graph = Queue(next(self._handles))
        graph.work, queue.capture = queue.capture or [], None
        return cudaError_t.cudaSuccess, graph

    def cudaGraphInstantiate(self, graph: Queue, flags: int) -> tuple[Any, ...]:
        self.graphs[graph.handle] = graph
        return cudaError_t.cudaSuccess, graph

    def cudaGraphLaunch(self, graph: Queue, stream: Any) -> tuple[Any, ...]:
        if graph.handle not in self.graphs:
            return (cudaError_t.cudaErrorInvalidResourceHandle,)
        for each in graph.work:
            self.enqueue(int(stream), each)
        return (cudaError_t.cudaSuccess,)

    def cudaGraphExecDestroy(self, graph: Queue) -> tuple[Any, ...]:
        return (cudaError_t.cudaSuccess if self.graphs.pop(graph.handle, None) else cudaError_t(400),)

    # Events

    def cudaEventCreateWithFlags(self, flags: int) -> tuple[Any, ...]:
        event = Event()
        self.events.add(event)
        return cudaError_t.cudaSuccess, event

    def cudaEventDestroy(self, event: Event) -> tuple[Any, ...]:
        if event not in self.events:
            return (cudaError_t.cudaErrorInvalidResourceHandle,)
        self.events.remove(event)
        return (cudaError_t.cudaSuccess,)

    def cudaEventRecord(self, event: Event, stream: Any) -> tuple[Any, ...]:
        queue = self.streams.get(int(stream))
        if event not in self.events or queue is None or queue.capture is not None:
            return (cudaError_t.cudaErrorInvalidResourceHandle,)
        nothing = Work(lambda: None)
        self.enqueue(queue.handle, nothing)
        event.mark = Mark(queue, nothing, self.order.snapshot(queue.handle))
        return (cudaError_t.cudaSuccess,)

    def cudaStreamWaitEvent(self, stream: Any, event: Event, flags: int) -> tuple[Any, ...]:
        if event not in self.events or int(stream) not in self.streams:
            return (cudaError_t.cudaErrorInvalidResourceHandle,)
        if event.mark is not None:
            self.order.learn(int(stream), event.mark.clock)
            self.enqueue(int(stream), Work(event.mark.reach))
        return (cudaError_t.cudaSuccess,)

    def cudaEventSynchronize(self, event: Event) -> tuple[Any, ...]:
        if event not in self.events:
            return (cudaError_t.cudaErrorInvalidResourceHandle,)
        if event.mark is None:
            return (cudaError_t.cudaSuccess,)
        self.order.learn(HOST, event.mark.clock)
        return (self._do(event.mark.reach),)

    # For the fake TensorRT and for tests

    def enqueue(self, stream: int, work: Work) -> cudaError_t:
        """Enqueue work on a stream, or add it to the graph that is captured."""
        queue = self.streams.get(stream)
        if queue is None:
            return cudaError_t.cudaErrorInvalidResourceHandle
        if queue.capture is not None:
            queue.capture.append(work)
            return cudaError_t.cudaSuccess
        for access in work.accesses:
            if any(begin <= access.begin < begin + a.nbytes for begin, a in self.pinned.items()):
                self.order.check(
                    HOST, replace(access, writes=True)
                )  # the host has just filled it, or will read it
        self.order.work(stream, work.accesses)
        queue.work.append(work)
        return cudaError_t.cudaSuccess

    def _do(self, work: Run) -> cudaError_t:
        """Run pending work; errors are sticky."""
        try:
            work()
        except Fault:
            self.lost = cudaError_t.cudaErrorIllegalAddress
            return self.lost
        return cudaError_t.cudaSuccess

    def capturing(self, stream: int) -> bool:
        return self.streams[stream].capture is not None

    def _allocate(self, side: dict[int, NDArray[np.uint8]], size: int) -> tuple[Any, ...]:
        memory = np.full(size, 0xFF, np.uint8)  # as floats: NaN, so that nobody trusts fresh memory
        side[memory.ctypes.data] = memory
        return cudaError_t.cudaSuccess, memory.ctypes.data

    def _free(self, side: dict[int, NDArray[np.uint8]], address: int) -> cudaError_t:
        found = side.pop(address, None)
        if found is None:
            return cudaError_t.cudaErrorInvalidValue
        self.order.forget(address, address + found.nbytes)
        return cudaError_t.cudaSuccess


def inside(side: dict[int, NDArray[np.uint8]], address: int, size: int) -> bool:
    """Return whether some bytes are inside one live allocation."""
    return any(begin <= address and address + size <= begin + a.nbytes for begin, a in side.items())
