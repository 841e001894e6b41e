"""A stand-in for `cuda.bindings.runtime`: device memory is host memory, and streams are queues.

It refuses what CUDA refuses: addresses outside a live allocation, wrong sizes, unknown streams, a capture
that does not end. Nothing on a stream happens before it is waited for, so that reading a result too
early reads what was there before.
"""

from __future__ import annotations

import ctypes
from collections import Counter
from collections.abc import Callable
from enum import IntEnum
from types import SimpleNamespace
from typing import Any

import numpy as np
from numpy.typing import NDArray

Work = Callable[[], None]


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


class cudaStreamCaptureMode(IntEnum):
    cudaStreamCaptureModeThreadLocal = 1


class Fault(Exception):
    """What work on a stream ran into."""


class Queue:
    """A stream, or a graph: work in order."""

    def __init__(self, handle: int) -> None:
        self.handle = handle
        self.work: list[Work] = []
        self.capture: list[Work] | None = None

    def __int__(self) -> int:
        return self.handle


class FakeCudart:
    """One device; `fails[name] = (error, after)` makes a call fail once it succeeded `after` times."""

    cudaError_t, cudaMemcpyKind, cudaStreamCaptureMode = cudaError_t, cudaMemcpyKind, cudaStreamCaptureMode
    cudaStreamNonBlocking = 1

    def __init__(self, *, devices: int = 1, memory: int = 1 << 30) -> None:
        self.devices, self.memory = devices, memory
        self.device: dict[int, NDArray[np.uint8]] = {}
        self.pinned: dict[int, NDArray[np.uint8]] = {}
        self.streams: dict[int, Queue] = {}
        self.graphs: dict[int, Queue] = {}
        self.calls: Counter[str] = Counter()
        self.fails: dict[str, tuple[cudaError_t, int]] = {}
        self.lost: cudaError_t | None = None  # an error of work on a stream stays for ever, as in CUDA
        self._handles = iter(range(1, 1 << 30))

    def __getattribute__(self, name: str) -> Any:
        """Count every call and let it fail where a test wants it to."""
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
        up = kind is cudaMemcpyKind.cudaMemcpyHostToDevice
        sides = (self.device, self.pinned) if up else (self.pinned, self.device)
        if not (inside(sides[0], dst, size) and inside(sides[1], src, size)):
            return (cudaError_t.cudaErrorInvalidValue,)

        def copy() -> None:
            if not (inside(sides[0], dst, size) and inside(sides[1], src, size)):
                raise Fault
            ctypes.memmove(dst, src, size)

        return (self.enqueue(int(stream), copy),)

    def cudaMemsetAsync(self, address: int, value: int, size: int, stream: Any) -> tuple[Any, ...]:
        if not inside(self.device, address, size):
            return (cudaError_t.cudaErrorInvalidValue,)
        return (self.enqueue(int(stream), lambda: ctypes.memset(address, value, size) and None),)

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
        work, queue.work = queue.work, []
        try:
            for each in work:
                each()
        except Fault:
            self.lost = cudaError_t.cudaErrorIllegalAddress
            return (self.lost,)
        return (cudaError_t.cudaSuccess,)

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

    # For the fake TensorRT and for tests

    def enqueue(self, stream: int, work: Work) -> cudaError_t:
        """Put work on a stream, or into the graph that it records."""
        queue = self.streams.get(stream)
        if queue is None:
            return cudaError_t.cudaErrorInvalidResourceHandle
        (queue.work if queue.capture is None else queue.capture).append(work)
        return cudaError_t.cudaSuccess

    def capturing(self, stream: int) -> bool:
        return self.streams[stream].capture is not None

    def _allocate(self, side: dict[int, NDArray[np.uint8]], size: int) -> tuple[Any, ...]:
        memory = np.full(size, 0xFF, np.uint8)  # as floats: NaN, so that nobody trusts fresh memory
        side[memory.ctypes.data] = memory
        return cudaError_t.cudaSuccess, memory.ctypes.data

    def _free(self, side: dict[int, NDArray[np.uint8]], address: int) -> cudaError_t:
        found = side.pop(address, None)
        return cudaError_t.cudaErrorInvalidValue if found is None else cudaError_t.cudaSuccess


def inside(side: dict[int, NDArray[np.uint8]], address: int, size: int) -> bool:
    """Return whether some bytes lie in one live allocation."""
    return any(begin <= address and address + size <= begin + a.nbytes for begin, a in side.items())
