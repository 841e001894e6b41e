"""A pass of the network on the device: upload, execute, download; a CUDA graph from the second run on."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from pcan_model.inference.errors import EngineLost
from pcan_model.inference.tensorrt.cuda import Address, CaptureRefused, Cuda, Graph, Stream
from pcan_model.inference.tensorrt.loaded_engine import LoadedEngine

Variant = tuple[int, ...]  # indices of the buffers that a run reads and writes


@dataclass(frozen=True, slots=True, eq=False)
class Transfer:
    """A pinned host array and its address on the device."""

    host: NDArray[Any]
    device: Address


class NetworkPass:
    """An execution context with the tensor addresses of each variant; not thread-safe.

    Each variant has its own CUDA graph, since a graph contains the addresses that it was captured with.
    """

    def __init__(
        self,
        engine: LoadedEngine,
        cuda: Cuda,
        stream: Stream,
        *,
        addresses: Mapping[Variant, Mapping[str, Address]],
        uploads: Sequence[Transfer],
        downloads: Sequence[Transfer],
    ) -> None:
        """Create the execution context of an engine.

        addresses  of every input and output, by variant
        """
        self._engine, self._cuda, self._stream = engine, cuda, stream
        self._addresses, self._uploads, self._downloads = addresses, uploads, downloads
        self._context = engine.context()
        self._warm: set[Variant] = set()  # variants that have run, which capturing requires
        self._graphs: dict[Variant, Graph] = {}
        self._may_capture = self._capturable()

    @property
    def graphs(self) -> int:
        """Return the number of variants with a CUDA graph."""
        return len(self._graphs)

    def run(self, variant: Variant, meanwhile: Callable[[], None]) -> None:
        """Run once and wait for the results in the pinned arrays; raises EngineLost.

        meanwhile  called while the device is busy
        """
        if variant in self._warm and variant not in self._graphs and self._may_capture:
            self._capture(variant)
        if variant in self._graphs:
            self._cuda.launch(self._graphs[variant], self._stream)
        else:
            self._enqueue(variant)
        meanwhile()
        self._cuda.synchronise(self._stream)
        if variant not in self._warm:
            self._warm.add(variant)
            self._engine.keep_kernels()

    def close(self) -> None:
        """Destroy graphs and context."""
        for graph in self._graphs.values():
            self._cuda.close_graph(graph)
        self._graphs = {}
        self._context = None

    def _capturable(self) -> bool:
        query = getattr(self._context, "is_stream_capturable", None)  # TensorRT-RTX only
        return bool(query(int(self._stream))) if query else True

    def _capture(self, variant: Variant) -> None:
        try:
            self._graphs[variant] = self._cuda.capture(self._stream, lambda: self._enqueue(variant))
        except CaptureRefused:  # some layers synchronise: continue without a graph
            self._may_capture = False

    def _enqueue(self, variant: Variant) -> None:
        for name, address in self._addresses[variant].items():
            if not self._context.set_tensor_address(name, address):
                raise EngineLost(f"TensorRT: {self._engine.graph}: {name}: {self._engine.reason()}")
        for transfer in self._uploads:
            self._cuda.upload(transfer.device, transfer.host.ctypes.data, transfer.host.nbytes, self._stream)
        if not self._context.execute_async_v3(int(self._stream)):
            raise EngineLost(f"TensorRT: {self._engine.graph}: not executed: {self._engine.reason()}")
        for transfer in self._downloads:
            self._cuda.download(
                transfer.host.ctypes.data, transfer.device, transfer.host.nbytes, self._stream
            )
