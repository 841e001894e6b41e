"""Print the API of CUDA's Python bindings; run as a script, since a process can load one version only."""

from __future__ import annotations

import inspect
import json
from typing import Any

from cuda.bindings import __version__, runtime

ENUMS = ("cudaError_t", "cudaMemcpyKind", "cudaStreamCaptureMode")
FLAGS = ("cudaStreamNonBlocking", "cudaEventDisableTiming")


def main() -> None:
    values: dict[str, Any] = {
        name: getattr(runtime, name) for name in dir(runtime) if name.startswith("cuda")
    }
    functions = {n: f for n, f in values.items() if callable(f) and not isinstance(f, type)}
    arguments = {name: len(inspect.signature(function).parameters) for name, function in functions.items()}
    members = [*ENUMS, *(member for name in ENUMS for member in values[name].__members__)]
    flags = {name: int(values[name]) for name in FLAGS}
    print(json.dumps({"version": __version__, "arguments": arguments, "members": members, "flags": flags}))


if __name__ == "__main__":
    main()
