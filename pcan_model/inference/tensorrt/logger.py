"""TensorRT's log: its last errors, so that a failure can name its reason."""

from __future__ import annotations

from collections import deque
from typing import Any


def make_logger(trt: Any) -> Any:
    """Return a trt.ILogger whose `reason()` tells and forgets the last errors."""

    class Logger(trt.ILogger):  # a class of the module at hand, which may be any of several
        def __init__(self) -> None:
            trt.ILogger.__init__(self)
            self._errors: deque[str] = deque(maxlen=2)

        def log(self, severity: Any, message: str) -> None:
            """Take a message of TensorRT."""
            if int(severity) <= int(trt.ILogger.Severity.ERROR):
                self._errors.append(" ".join(message.split()))

        def reason(self) -> str:
            """Return the last errors in one line."""
            errors = "; ".join(self._errors) or "TensorRT gives no reason"
            self._errors.clear()
            return errors

    return Logger()
