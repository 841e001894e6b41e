"""What an engine says of itself, for the log and diagnostics."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, runtime_checkable


class NothingWorks(RuntimeError):
    """No picture will be processed any more, until somebody changes something."""

    what = "nothing works"  # in a few words


class EngineLost(NothingWorks):
    """The device failed (no memory, a lost context): the engine will give no result any more."""

    what = "the engine is lost"


class WrongCamera(NothingWorks):
    """The camera's pictures are not of the size that the model was exported for."""

    what = "the camera does not fit the model"


@dataclass(frozen=True, slots=True)
class EngineFacts:
    """Which implementation runs which file how."""

    backend: str  # onnxruntime | openvino | tensorrt
    engine: str  # runtime, version and device, for people
    precision: str  # of the exported graphs: fp32, fp16, …
    device_memory: int | None = None  # bytes this engine holds on the device; None where that is the host

    def texts(self) -> dict[str, str]:
        """Return the facts as keys and values of diagnostics."""
        memory = "host" if self.device_memory is None else f"{self.device_memory / 2**20:.1f} MiB"
        return {
            "backend": self.backend,
            "engine": self.engine,
            "precision": self.precision,
            "device memory": memory,
        }


@runtime_checkable
class Described(Protocol):
    """An engine that knows its facts."""

    @property
    def facts(self) -> EngineFacts:
        """Return what it is and what it holds now."""
