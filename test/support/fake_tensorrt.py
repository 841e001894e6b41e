"""A stand-in for `tensorrt` and `tensorrt_rtx` over `FakeCudart`: engines run by ONNX Runtime.

It refuses what TensorRT refuses: a plan of another version, an address that is not set, is not device
memory or is too small, an output over an input, a capture before the first run.
"""

from __future__ import annotations

import ctypes
import json
import time
from enum import IntEnum
from types import SimpleNamespace
from typing import Any

import numpy as np
import onnxruntime as ort
from support.fake_cudart import FakeCudart, Fault, Work, cudaError_t, inside
from support.stream_order import Access

MAGIC = b"ftrt"
TYPES = {
    "tensor(float)": ("FLOAT", np.float32),
    "tensor(float16)": ("HALF", np.float16),
    "tensor(int64)": ("INT64", np.int64),
    "tensor(uint8)": ("UINT8", np.uint8),
    "tensor(bool)": ("BOOL", np.bool_),
}


class Severity(IntEnum):
    INTERNAL_ERROR = 0
    ERROR = 1
    WARNING = 2


class ILogger:
    Severity = Severity

    def __init__(self) -> None:
        pass

    def log(self, severity: Severity, message: str) -> None:
        raise NotImplementedError


class IProgressMonitor:
    def __init__(self) -> None:
        pass


class NetworkDefinitionCreationFlag(IntEnum):
    EXPLICIT_BATCH = 0
    STRONGLY_TYPED = 1


class MemoryPoolType(IntEnum):
    WORKSPACE = 0


class ComputeCapability(IntEnum):
    NONE = 0
    CURRENT = 1
    SM86 = 4
    SM89 = 5


class FakeTensorRt:
    """The module; its fields configure failures and count calls."""

    ILogger, IProgressMonitor, MemoryPoolType = ILogger, IProgressMonitor, MemoryPoolType
    NetworkDefinitionCreationFlag, ComputeCapability = NetworkDefinitionCreationFlag, ComputeCapability

    def __init__(self, cudart: FakeCudart, version: str = "10.3.0", *, rtx: bool = False) -> None:
        self.cudart, self.__version__, self.rtx = cudart, version, rtx
        self.builds: list[str] = []  # graphs
        self.refuses: set[str] = set()  # "builder", "parse", "build", "load", "context", "execute", "capture"
        self.spoils: set[str] = set()  # outputs that come out as no numbers
        self.inner_steps, self.inner_pause = 1, 0.0  # of every build: how many, and seconds before each
        self.executed = 0
        self.launched_alone = 0  # executions that were put on a stream outside a capture
        self.timing_caches: list[bytes] = []  # as given to builds
        self.runtime_caches: list[bytes] = []  # as deserialised

    # The classes of the module, which know it

    def Builder(self, logger: ILogger) -> Any:
        if "builder" in self.refuses:
            logger.log(Severity.ERROR, "CUDA initialization failure with error: 35")
            raise TypeError("pybind11::init(): factory function returned nullptr")
        return Builder(self, logger)

    def OnnxParser(self, network: Any, logger: ILogger) -> Any:
        return OnnxParser(self, network)

    def Runtime(self, logger: ILogger) -> Any:
        return SimpleNamespace(deserialize_cuda_engine=lambda plan: self._load(plan, logger))

    def _load(self, plan: bytes, logger: ILogger) -> Any:
        if plan[:4] != MAGIC or "load" in self.refuses:
            logger.log(Severity.ERROR, "Serialization assertion plan->header.magicTag == kPLAN failed.")
            return None
        header = json.loads(plan[4:])
        if header["version"] != self.__version__:
            logger.log(Severity.ERROR, "The engine plan file is not compatible with this version of TensorRT")
            return None
        return Engine(self, header["onnx"], logger)


class BuilderConfig:
    __slots__ = (
        "_capability", "_module", "_timing", "builder_optimization_level", "num_compute_capabilities",
        "progress_monitor", "workspace",
    )  # fmt: skip

    def __init__(self, module: FakeTensorRt) -> None:
        self._module, self._capability, self._timing = module, None, None
        self.progress_monitor: Any = None

    def set_memory_pool_limit(self, pool: MemoryPoolType, size: int) -> None:
        self.workspace = size

    def set_compute_capability(self, capability: ComputeCapability, index: int) -> bool:
        assert self._module.rtx and index < self.num_compute_capabilities
        self._capability = capability
        return True

    def create_timing_cache(self, content: bytes) -> Any:
        assert not self._module.rtx
        self._module.timing_caches.append(content)
        return SimpleNamespace(serialize=lambda: content + b"timed")

    def set_timing_cache(self, cache: Any, ignore_mismatch: bool) -> bool:
        self._timing = cache
        return True


class Builder:
    def __init__(self, module: FakeTensorRt, logger: ILogger) -> None:
        self._module, self._logger = module, logger

    def create_network(self, flags: int) -> Any:
        assert flags == 1 << NetworkDefinitionCreationFlag.STRONGLY_TYPED, "weakly typed"
        return SimpleNamespace(path="")

    def create_builder_config(self) -> BuilderConfig:
        return BuilderConfig(self._module)

    def _inner(self, monitor: Any) -> bool:
        """Go through the inner steps; return whether nobody stopped the build."""
        for step in range(self._module.inner_steps):
            time.sleep(self._module.inner_pause)
            if not monitor.step_complete("Inner", step):
                return False
        return True

    def build_serialized_network(self, network: Any, config: BuilderConfig) -> Any:
        if config.progress_monitor:
            config.progress_monitor.phase_start("Building", None, 2)
            config.progress_monitor.phase_start("Inner", "Building", self._module.inner_steps)
            going = self._inner(config.progress_monitor)
            going = going and config.progress_monitor.step_complete("Building", 0)
            config.progress_monitor.phase_finish("Inner")
            config.progress_monitor.phase_finish("Building")
            if not going:
                return None
        if "build" in self._module.refuses:
            self._logger.log(Severity.ERROR, "Could not find any implementation\n for node conv1")
            return None
        self._module.builds.append(network.path)
        header = {"version": self._module.__version__, "onnx": network.path}
        return MAGIC + json.dumps(header).encode()


class OnnxParser:
    def __init__(self, module: FakeTensorRt, network: Any) -> None:
        self._module, self._network = module, network
        self.num_errors = 0

    def parse_from_file(self, path: str) -> bool:
        assert isinstance(path, str)
        self.num_errors = int("parse" in self._module.refuses)
        self._network.path = path
        return not self.num_errors

    def get_error(self, index: int) -> Any:
        return SimpleNamespace(desc=lambda: "In node 7: no importer registered for op: RoiAlign")


class Engine:
    """An engine, and the ONNX graph that runs instead."""

    device_memory_size_v2 = 1 << 20

    def __init__(self, module: FakeTensorRt, onnx: str, logger: ILogger) -> None:
        self.module, self.logger = module, logger
        options = ort.SessionOptions()
        options.intra_op_num_threads = 1
        self.session = ort.InferenceSession(onnx, options, providers=["CPUExecutionProvider"])
        inputs, outputs = self.session.get_inputs(), self.session.get_outputs()
        self.inputs = {node.name: node for node in inputs}
        self.outputs = {node.name: node for node in outputs}
        self.nodes = self.inputs | self.outputs

    @property
    def num_io_tensors(self) -> int:
        return len(self.nodes)

    def get_tensor_name(self, index: int) -> str:
        return list(self.nodes)[index]

    def get_tensor_shape(self, name: str) -> tuple[int, ...]:
        return tuple(self.nodes[name].shape)

    def get_tensor_dtype(self, name: str) -> Any:
        return SimpleNamespace(name=TYPES[self.nodes[name].type][0])

    def get_tensor_mode(self, name: str) -> Any:
        return SimpleNamespace(name="INPUT" if name in self.inputs else "OUTPUT")

    def create_runtime_config(self) -> Any:
        assert self.module.rtx, "IRuntimeConfig is not in TensorRT 10.3"
        return RuntimeConfig(self.module)

    def create_execution_context(self, config: Any = None) -> Any:
        if "context" in self.module.refuses:
            self.logger.log(Severity.ERROR, "OutOfMemory (Requested size was 1048576 bytes.)")
            return None
        context = ExecutionContext(self)
        if self.module.rtx:  # the other versions do not know this method
            context.is_stream_capturable = lambda stream: "capture" not in self.module.refuses
        return context


class RuntimeConfig:
    def __init__(self, module: FakeTensorRt) -> None:
        self._module = module

    def create_runtime_cache(self) -> Any:
        return SimpleNamespace(
            deserialize=lambda content: self._module.runtime_caches.append(content) or True,
            serialize=lambda: b"kernels",
        )

    def set_runtime_cache(self, cache: Any) -> bool:
        return True


class ExecutionContext:
    def __init__(self, engine: Engine) -> None:
        self._engine, self._addresses = engine, dict[str, int]()
        self._warm = False

    def set_tensor_address(self, name: str, address: int) -> bool:
        if name not in self._engine.nodes:
            return self._complain(f"Given invalid tensor name: {name}")
        self._addresses[name] = address
        return True

    def execute_async_v3(self, stream: int) -> bool:
        module, cudart = self._engine.module, self._engine.module.cudart
        assert isinstance(stream, int)
        for name in self._engine.nodes:
            if name not in self._addresses:
                return self._complain(f"Address is not set for tensor {name}")
            if not inside(cudart.device, self._addresses[name], self._bytes(name)):
                return self._complain(f"Address of {name} is not device memory of {self._bytes(name)} bytes")
        if "execute" in module.refuses:
            return self._complain("Cask convolution execution")
        if cudart.capturing(stream):
            if "capture" in module.refuses or not self._warm:
                return self._complain("operation not permitted when stream is capturing")
        else:
            self._warm = True
            module.launched_alone += 1
        addresses = dict(self._addresses)  # a graph keeps those of its capture
        accesses = tuple(
            Access(address, address + self._bytes(name), name in self._engine.outputs)
            for name, address in addresses.items()
        )
        work = Work(lambda: self._run(addresses), accesses)
        return cudart.enqueue(stream, work) == cudaError_t.cudaSuccess

    def _run(self, addresses: dict[str, int]) -> None:
        engine = self._engine
        engine.module.executed += 1
        ranges = {name: range(a, a + self._bytes(name)) for name, a in addresses.items()}
        if not all(inside(engine.module.cudart.device, r.start, len(r)) for r in ranges.values()):
            raise Fault
        for name in engine.outputs:
            for other, taken in ranges.items():
                assert other == name or not _meet(ranges[name], taken), f"{name} lies over {other}"
        values = {name: self._view(name, addresses[name]).copy() for name in engine.inputs}
        for name, value in zip(engine.outputs, engine.session.run(list(engine.outputs), values), strict=True):
            self._view(name, addresses[name])[...] = np.nan if name in engine.module.spoils else value

    def _view(self, name: str, address: int) -> Any:
        memory = (ctypes.c_byte * self._bytes(name)).from_address(address)
        return np.frombuffer(memory, self._dtype(name)).reshape(self._engine.get_tensor_shape(name))

    def _dtype(self, name: str) -> Any:
        return TYPES[self._engine.nodes[name].type][1]

    def _bytes(self, name: str) -> int:
        return int(np.prod(self._engine.get_tensor_shape(name))) * np.dtype(self._dtype(name)).itemsize

    def _complain(self, text: str) -> bool:
        self._engine.logger.log(Severity.ERROR, text)
        return False


def _meet(a: range, b: range) -> bool:
    return a.start < b.stop and b.start < a.stop
