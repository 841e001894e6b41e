"""Report of a run: frame counts, latencies, tracks per class."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from pcan_model.core.percentiles import percentiles
from pcan_model.core.structures import TrackState

SEEN = (TrackState.NEW, TrackState.TRACKED)


@dataclass(frozen=True, slots=True)
class ClassReport:
    """Counts of one class over a run."""

    tracks: int  # different objects
    instances: int  # detections, summed over the frames


@dataclass(frozen=True, slots=True)
class LatencyReport:
    """Percentiles of a latency, milliseconds."""

    p50: float
    p95: float


@dataclass(frozen=True, slots=True)
class RunReport:
    """Results of playing a clip through the node."""

    source: str  # the video, folder or bag
    model: str
    backend: str
    pacing: str  # lock-step or real time, as text
    frames_in: int  # images sent
    frames_out: int  # images with tracks
    frames_dropped: int  # images without tracks
    frames_per_second: float  # with tracks, over the whole run
    tracks: int  # different objects
    classes: dict[str, ClassReport]  # those that occur
    round_trip_ms: LatencyReport | None  # from sending an image to receiving its tracks
    processing_ms: LatencyReport | None  # inside the node: from taking an image to publishing its tracks

    def text(self) -> str:
        """Return the report as text."""
        lines = [
            f"{self.source} -> {self.model} on {self.backend}, {self.pacing}",
            f"frames: {self.frames_in} in, {self.frames_out} out, {self.frames_dropped} dropped; "
            f"{self.frames_per_second:.1f} per second",
            f"latency p50 / p95: round trip {_milliseconds(self.round_trip_ms)}, "
            f"in the node {_milliseconds(self.processing_ms)}",
            f"tracks: {self.tracks}"
            + "".join(
                f"\n  {name:12} {c.tracks:4} tracks, {c.instances:6} masks"
                for name, c in self.classes.items()
            ),
        ]
        return "\n".join(lines)


def classes_of(messages: Iterable[Any]) -> dict[str, ClassReport]:
    """Count tracks and detections per class; a track counts for its most frequent class."""
    votes: dict[bytes, Counter[str]] = {}
    instances: Counter[str] = Counter()
    for message in messages:
        for instance in message.instances:
            if instance.state in SEEN:
                votes.setdefault(bytes(bytearray(instance.uuid.uuid)), Counter())[instance.class_name] += 1
                instances[instance.class_name] += 1
    tracks = Counter(vote.most_common(1)[0][0] for vote in votes.values())
    return {name: ClassReport(tracks[name], count) for name, count in instances.most_common()}


def percentiles_of(seconds: Iterable[float]) -> LatencyReport | None:
    """Return median and 95th percentile in milliseconds; None without values."""
    found = percentiles((1e3 * value for value in seconds), (50, 95))
    return LatencyReport(*(round(p, 2) for p in found)) if found else None


def _milliseconds(latency: LatencyReport | None) -> str:
    return f"{latency.p50:.1f} / {latency.p95:.1f} ms" if latency else "-"
