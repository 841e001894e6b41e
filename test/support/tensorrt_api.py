"""Check that a real TensorRT has the API that our code uses; run as a script, prints JSON.

`python tensorrt_api.py MODULE` imports real bindings, over stub libraries where NVIDIA's are not there:
classes, methods, enums and docstrings are then the real ones, only nothing can be made.
"""

from __future__ import annotations

import importlib
import json
import re
import sys
from typing import Any

COMMON: dict[str, dict[str, int | None]] = {  # class: {method: arguments that we give, None: no method}
    "ILogger": {"Severity": None},
    "ILogger.Severity": {"ERROR": None},
    "IProgressMonitor": {"phase_start": 3, "step_complete": 2, "phase_finish": 1},
    "NetworkDefinitionCreationFlag": {"STRONGLY_TYPED": None},
    "MemoryPoolType": {"WORKSPACE": None},
    "DataType": dict.fromkeys(("FLOAT", "HALF", "INT64", "INT32", "UINT8", "BOOL")),
    "TensorIOMode": {"INPUT": None, "OUTPUT": None},
    "Builder": {"create_network": 1, "create_builder_config": 0, "build_serialized_network": 2},
    "IBuilderConfig": {
        "builder_optimization_level": None,
        "progress_monitor": None,
        "set_memory_pool_limit": 2,
    },
    "OnnxParser": {"parse_from_file": 1, "num_errors": None, "get_error": 1},
    "ParserError": {"desc": 0},
    "Runtime": {"deserialize_cuda_engine": 1},
    "ICudaEngine": {
        "num_io_tensors": None,
        "get_tensor_name": 1,
        "get_tensor_mode": 1,
        "get_tensor_shape": 1,
        "get_tensor_dtype": 1,
        "device_memory_size_v2": None,
        "create_execution_context": 0,
    },
    "IExecutionContext": {"set_tensor_address": 2, "execute_async_v3": 1},
}
FULL: dict[str, dict[str, int | None]] = {  # not asked of TensorRT-RTX
    "IBuilderConfig": {"create_timing_cache": 1, "set_timing_cache": 2},
    "ITimingCache": {"serialize": 0},
}
RTX: dict[str, dict[str, int | None]] = {  # asked of TensorRT-RTX only
    "ComputeCapability": {"SM86": None, "SM89": None, "SM120": None},
    "IBuilderConfig": {"num_compute_capabilities": None, "set_compute_capability": 2},
    "ICudaEngine": {"create_runtime_config": 0, "create_execution_context": 1},
    "IRuntimeConfig": {"create_runtime_cache": 0, "set_runtime_cache": 1},
    "IRuntimeCache": {"serialize": 0, "deserialize": 1},
    "IExecutionContext": {"is_stream_capturable": 1},
}


def main(name: str) -> None:
    trt = importlib.import_module(name)
    own = RTX if "rtx" in name else FULL
    missing = [text for table in (COMMON, own) for text in lacking(trt, table)]
    kinds = [getattr(trt, each) for each in {*COMMON, *own} if hasattr(trt, each)]
    names = sorted({attribute for kind in kinds for attribute in vars(kind) if attribute[0] != "_"})
    print(json.dumps({"version": trt.__version__, "missing": missing, "names": names}))


def lacking(trt: Any, table: dict[str, dict[str, int | None]]) -> list[str]:
    """Return the parts of the API that are missing, or that take another number of arguments."""
    found = []
    for kind, attributes in table.items():
        value: Any = trt
        for part in kind.split("."):
            value = getattr(value, part, None)
        for attribute, arguments in attributes.items():
            method = getattr(value, attribute, None)
            if method is None:
                found.append(f"{kind}.{attribute}")
            elif arguments is not None and not any(
                fewest <= arguments <= most for fewest, most in arities(method.__doc__ or "")
            ):
                found.append(f"{kind}.{attribute}: {arguments} arguments; {(method.__doc__ or '')[:200]}")
    return found


def arities(documentation: str) -> list[tuple[int, int]]:
    """Return fewest and most arguments of each overload of a pybind method, without self."""
    counts = []
    for line in documentation.splitlines():
        call = re.match(r"\s*(?:\d+\. )?\w+\((self: .*)\) -> ", line)
        if call:
            parameters = re.findall(r"(?:^|, )(\w+): ", call[1])[1:]
            given = [p for p in parameters if re.search(rf"\b{p}: [^,]*? = ", call[1])]
            counts.append((len(parameters) - len(given), len(parameters)))
    return counts


if __name__ == "__main__":
    main(sys.argv[1])
