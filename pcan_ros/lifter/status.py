"""Counts what the lifter does, and names every problem of the last period in /diagnostics."""

from __future__ import annotations

from collections import Counter

from diagnostic_msgs.msg import DiagnosticStatus, KeyValue

MOST = 5  # problems in one message


class LifterStatus:
    """Collects counts and problems between two reports."""

    def __init__(self) -> None:
        self.received = self.lifted = 0  # messages of tracks since the start
        self.boxes = self.missing = 0  # tracks with and without a box since the start
        self._before = 0  # received at the last report
        self._problems = Counter[str]()
        self._examples: dict[str, str] = {}

    def problem(self, kind: str, text: str, count: int = 1) -> None:
        """Count a problem; `text` names it, and the last one of a kind is reported."""
        self._problems[kind] += count
        self._examples[kind] = text

    def report(self, name: str, waiting_for: str) -> DiagnosticStatus:
        """Return the status since the last report, and start anew.

        waiting_for  topic of the tracks, for the case that none arrived
        """
        level, message = DiagnosticStatus.OK, "lifting"
        if self.received == self._before:
            level, message = DiagnosticStatus.WARN, f"no tracks arrived on {waiting_for}"
        if self._problems:
            level = DiagnosticStatus.WARN
            texts = [f"{count} x {self._examples[kind]}" for kind, count in self._problems.most_common(MOST)]
            message = "; ".join(texts)
        values = {
            "messages received": self.received,
            "messages lifted": self.lifted,
            "tracks with a box": self.boxes,
            "tracks without a box": self.missing,
        }
        self._before = self.received
        self._problems.clear()
        self._examples.clear()
        return DiagnosticStatus(
            level=level,
            name=name,
            message=message,
            hardware_id=waiting_for,
            values=[KeyValue(key=key, value=str(value)) for key, value in values.items()],
        )
