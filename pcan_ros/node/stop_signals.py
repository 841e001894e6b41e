"""SIGINT and SIGTERM as a wish to stop, which interrupts nothing."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable

STOPPING = (signal.SIGINT, signal.SIGTERM)


class StopSignals:
    """Takes the process's stop signals from its making on; a second one changes nothing.

    A thread waits for them, and every thread made later lets them pass: no handler runs in the middle of
    something, as Python's and rclpy's do.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._wanted = False
        self._wake: Callable[[], None] | None = None
        signal.pthread_sigmask(signal.SIG_BLOCK, STOPPING)
        threading.Thread(target=self._wait, name="stop signals", daemon=True).start()

    @property
    def wanted(self) -> bool:
        """Return whether somebody wants the process to stop."""
        return self._wanted

    def wake_by(self, wake: Callable[[], None] | None) -> None:
        """Call this when a stop is wanted, from another thread, or at once where it is already."""
        with self._lock:
            self._wake = wake
            if wake is not None and self._wanted:
                wake()

    def _wait(self) -> None:
        while True:
            signal.sigwait(STOPPING)
            with self._lock:
                self._wanted = True
                if self._wake is not None:
                    self._wake()
