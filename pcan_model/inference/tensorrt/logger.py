"""A TensorRT logger that keeps the last errors, to report the reason of a failure."""

from __future__ import annotations

from collections import deque
from typing import Any


def make_logger(trt: Any) -> Any:
    """Return a trt.ILogger whose `reason()` returns and clears the last errors."""

    class Logger(trt.ILogger):  # defined here since `trt` may be one of several modules
        def __init__(self) -> None:
            trt.ILogger.__init__(self)
            self._errors: deque[str] = deque(maxlen=2)

        def log(self, severity: Any, message: str) -> None:
            """Record an error of TensorRT."""
            if int(severity) <= int(trt.ILogger.Severity.ERROR):
                self._errors.append(" ".join(message.split()))

        def reason(self) -> str:
            """Return and clear the last errors, in one line."""
            errors = "; ".join(self._errors) or "TensorRT gives no reason"
            self._errors.clear()
            return errors

    return Logger()
