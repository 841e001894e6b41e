"""The few calls of the CUDA runtime that we use, each checked."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pcan_model.inference.errors import EngineLost

Address = int
Stream = Any
Event = Any
Graph = Any  # an instantiated one


class CaptureRefused(Exception):
    """The work of a stream cannot be recorded as a CUDA graph."""


class Cuda:
    """Device 0 through `cuda.bindings.runtime`; every failure raises EngineLost with CUDA's own words."""

    def __init__(self, cudart: Any) -> None:
        self._cudart = cudart

    def devices(self) -> int:
        """Return how many devices there are; 0 also without a driver."""
        try:
            error, count = self._cudart.cudaGetDeviceCount()
        except RuntimeError:  # so cuda-python 12.6 reports that there is no driver
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
        """Return device memory of some bytes."""
        return int(self._call("cudaMalloc", size, note=f" for {size / 2**20:.1f} MiB"))

    def free(self, address: Address) -> None:
        """Give device memory back."""
        self._call("cudaFree", address)

    def pin(self, size: int) -> Address:
        """Return page-locked memory of the host, which copies to the device without waiting."""
        return int(self._call("cudaHostAlloc", size, 0, note=f" for {size / 2**20:.1f} MiB"))

    def unpin(self, address: Address) -> None:
        """Give page-locked memory back."""
        self._call("cudaFreeHost", address)

    def stream(self) -> Stream:
        """Return a new stream that does not wait for the default one."""
        return self._call("cudaStreamCreateWithFlags", self._cudart.cudaStreamNonBlocking)

    def close_stream(self, stream: Stream) -> None:
        """Destroy a stream."""
        self._call("cudaStreamDestroy", stream)

    def upload(self, target: Address, source: Address, size: int, stream: Stream) -> None:
        """Copy from pinned memory to the device, in the stream's turn."""
        self._copy(target, source, size, self._cudart.cudaMemcpyKind.cudaMemcpyHostToDevice, stream)

    def download(self, target: Address, source: Address, size: int, stream: Stream) -> None:
        """Copy from the device to pinned memory, in the stream's turn."""
        self._copy(target, source, size, self._cudart.cudaMemcpyKind.cudaMemcpyDeviceToHost, stream)

    def zero(self, address: Address, size: int, stream: Stream) -> None:
        """Fill device memory with zeros, in the stream's turn."""
        self._call("cudaMemsetAsync", address, 0, size, stream)

    def synchronise(self, stream: Stream) -> None:
        """Wait until the stream has done its work."""
        self._call("cudaStreamSynchronize", stream)

    def event(self) -> Event:
        """Return a new event, which marks a place in a stream's work; it takes no times."""
        return self._call("cudaEventCreateWithFlags", self._cudart.cudaEventDisableTiming)

    def close_event(self, event: Event) -> None:
        """Destroy an event."""
        self._call("cudaEventDestroy", event)

    def record(self, event: Event, stream: Stream) -> None:
        """Let an event stand for all that the stream was given so far."""
        self._call("cudaEventRecord", event, stream)

    def follow(self, stream: Stream, event: Event) -> None:
        """Let a stream's next work begin only after the event; the host does not wait."""
        self._call("cudaStreamWaitEvent", stream, event, 0)

    def await_event(self, event: Event) -> None:
        """Wait until what the event stands for is done; at once where it was never recorded."""
        self._call("cudaEventSynchronize", event)

    def capture(self, stream: Stream, work: Callable[[], None]) -> Graph:
        """Record what `work` puts on the stream, without doing it; raises CaptureRefused."""
        mode = self._cudart.cudaStreamCaptureMode.cudaStreamCaptureModeThreadLocal
        self._call("cudaStreamBeginCapture", stream, mode)
        try:
            work()
        except EngineLost as error:
            self._cudart.cudaStreamEndCapture(stream)
            self._cudart.cudaGetLastError()  # else the next call reports it
            raise CaptureRefused(str(error)) from error
        try:
            graph = self._call("cudaStreamEndCapture", stream)
            return self._call("cudaGraphInstantiate", graph, 0)
        except EngineLost as error:
            self._cudart.cudaGetLastError()
            raise CaptureRefused(str(error)) from error

    def launch(self, graph: Graph, stream: Stream) -> None:
        """Do what was recorded."""
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
