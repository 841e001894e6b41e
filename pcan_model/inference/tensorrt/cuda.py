"""Checked calls of the CUDA runtime."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pcan_model.inference.errors import EngineLost

Address = int
Stream = Any
Event = Any
Graph = Any  # an instantiated CUDA graph


class CaptureRefused(Exception):
    """The work on a stream cannot be captured as a CUDA graph."""


class Cuda:
    """Device 0 through `cuda.bindings.runtime`; every failure raises EngineLost with CUDA's error name."""

    def __init__(self, cudart: Any) -> None:
        self._cudart = cudart

    def devices(self) -> int:
        """Return the number of devices, 0 without a driver."""
        try:
            error, count = self._cudart.cudaGetDeviceCount()
        except RuntimeError:  # raised by cuda-python 12.6 without a driver
            return 0
        return int(count) if error == self._cudart.cudaError_t.cudaSuccess else 0

    def device_name(self) -> str:
        """Return the device's name, such as Orin."""
        name = self._call("cudaGetDeviceProperties", 0).name
        return name.decode().rstrip("\0") if isinstance(name, bytes) else str(name)

    def capability(self) -> str:
        """Return the device's compute capability, such as 8.7."""
        properties = self._call("cudaGetDeviceProperties", 0)
        return f"{properties.major}.{properties.minor}"

    def allocate(self, size: int) -> Address:
        """Allocate device memory of a size in bytes."""
        return int(self._call("cudaMalloc", size, note=f" for {size / 2**20:.1f} MiB"))

    def free(self, address: Address) -> None:
        """Free device memory."""
        self._call("cudaFree", address)

    def pin(self, size: int) -> Address:
        """Allocate page-locked host memory, which can be copied asynchronously."""
        return int(self._call("cudaHostAlloc", size, 0, note=f" for {size / 2**20:.1f} MiB"))

    def unpin(self, address: Address) -> None:
        """Free page-locked memory."""
        self._call("cudaFreeHost", address)

    def stream(self) -> Stream:
        """Create a stream that does not synchronise with the default one."""
        return self._call("cudaStreamCreateWithFlags", self._cudart.cudaStreamNonBlocking)

    def close_stream(self, stream: Stream) -> None:
        """Destroy a stream."""
        self._call("cudaStreamDestroy", stream)

    def upload(self, target: Address, source: Address, size: int, stream: Stream) -> None:
        """Enqueue a copy from pinned memory to the device."""
        self._copy(target, source, size, self._cudart.cudaMemcpyKind.cudaMemcpyHostToDevice, stream)

    def download(self, target: Address, source: Address, size: int, stream: Stream) -> None:
        """Enqueue a copy from the device to pinned memory."""
        self._copy(target, source, size, self._cudart.cudaMemcpyKind.cudaMemcpyDeviceToHost, stream)

    def copy(self, target: Address, source: Address, size: int, stream: Stream) -> None:
        """Enqueue a copy on the device."""
        self._copy(target, source, size, self._cudart.cudaMemcpyKind.cudaMemcpyDeviceToDevice, stream)

    def zero(self, address: Address, size: int, stream: Stream) -> None:
        """Enqueue filling device memory with zeros."""
        self._call("cudaMemsetAsync", address, 0, size, stream)

    def synchronise(self, stream: Stream) -> None:
        """Wait until all work on the stream is done."""
        self._call("cudaStreamSynchronize", stream)

    def event(self) -> Event:
        """Create an event without timing."""
        return self._call("cudaEventCreateWithFlags", self._cudart.cudaEventDisableTiming)

    def close_event(self, event: Event) -> None:
        """Destroy an event."""
        self._call("cudaEventDestroy", event)

    def record(self, event: Event, stream: Stream) -> None:
        """Record an event after the work enqueued on the stream so far."""
        self._call("cudaEventRecord", event, stream)

    def follow(self, stream: Stream, event: Event) -> None:
        """Let further work on a stream wait for an event; the host does not wait."""
        self._call("cudaStreamWaitEvent", stream, event, 0)

    def await_event(self, event: Event) -> None:
        """Wait on the host for an event; returns at once if it was never recorded."""
        self._call("cudaEventSynchronize", event)

    def capture(self, stream: Stream, work: Callable[[], None]) -> Graph:
        """Capture what `work` enqueues on the stream, without running it; raises CaptureRefused."""
        mode = self._cudart.cudaStreamCaptureMode.cudaStreamCaptureModeThreadLocal
        self._call("cudaStreamBeginCapture", stream, mode)
        try:
            work()
        except EngineLost as error:
            self._cudart.cudaStreamEndCapture(stream)
            self._cudart.cudaGetLastError()  # clears the error
            raise CaptureRefused(str(error)) from error
        try:
            graph = self._call("cudaStreamEndCapture", stream)
            return self._call("cudaGraphInstantiate", graph, 0)
        except EngineLost as error:
            self._cudart.cudaGetLastError()
            raise CaptureRefused(str(error)) from error

    def launch(self, graph: Graph, stream: Stream) -> None:
        """Launch a captured graph."""
        self._call("cudaGraphLaunch", graph, stream)

    def close_graph(self, graph: Graph) -> None:
        """Destroy a graph."""
        self._call("cudaGraphExecDestroy", graph)

    def _copy(self, target: Address, source: Address, size: int, kind: Any, stream: Stream) -> None:
        self._call("cudaMemcpyAsync", target, source, size, kind, stream)

    def _call(self, name: str, *arguments: Any, note: str = "") -> Any:
        error, *values = getattr(self._cudart, name)(*arguments)
        if error != self._cudart.cudaError_t.cudaSuccess:
            raise EngineLost(f"CUDA: {name}{note}: {error.name}")
        return values[0] if values else None
