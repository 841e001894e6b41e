"""SIGINT and SIGTERM as a stop request that interrupts no code."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable

STOPPING = (signal.SIGINT, signal.SIGTERM)


class StopSignals:
    """Receives the stop signals of the process from construction on; further signals have no effect.

    A thread waits for them, and they are blocked in all threads created later: no handler interrupts
    running code, as those of Python and rclpy do.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._requested = False
        self._wake: Callable[[], None] | None = None
        signal.pthread_sigmask(signal.SIG_BLOCK, STOPPING)
        threading.Thread(target=self._wait, name="stop signals", daemon=True).start()

    @property
    def requested(self) -> bool:
        """Return whether a stop was requested."""
        return self._requested

    def on_request(self, wake: Callable[[], None] | None) -> None:
        """Call `wake` on a stop request, from another thread, or at once if one was received already."""
        with self._lock:
            self._wake = wake
            if wake is not None and self._requested:
                wake()

    def _wait(self) -> None:
        while True:
            signal.sigwait(STOPPING)
            with self._lock:
                self._requested = True
                if self._wake is not None:
                    self._wake()
