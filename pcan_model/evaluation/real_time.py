"""The cost of real time: dropped frames, latency, and scores compared with lock-step."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from pcan_model.core.percentiles import percentiles
from pcan_model.evaluation.report.summary import Summary


@dataclass(frozen=True, slots=True)
class Timing:
    """Dropped frames and latency over all clips; latency is from sending an image to receiving its tracks."""

    rate: float  # multiple of the clips' frame rate
    frames: int  # sent
    answered: int  # with tracks
    p50: float | None  # seconds; None if no frame was answered
    p95: float | None
    p99: float | None
    jitter: float | None  # seconds, mean difference of consecutive latencies

    @property
    def dropped(self) -> int:
        """Return the number of frames without tracks."""
        return self.frames - self.answered


def timing_of(rate: float, clips: Sequence[Sequence[float | None]]) -> Timing:
    """Summarise the latencies of each clip's frames in seconds, None for dropped frames."""
    answered = [[value for value in clip if value is not None] for clip in clips]
    every = [value for clip in answered for value in clip]
    steps = [abs(step) for clip in answered for step in np.diff(clip)]
    p50, p95, p99 = percentiles(every, (50, 95, 99)) or (None,) * 3
    jitter = float(np.mean(steps)) if steps else None
    return Timing(rate, sum(map(len, clips)), len(every), p50, p95, p99, jitter)


@dataclass(frozen=True, slots=True)
class Cost:
    """Scores of the same clips in lock-step and in real time, where dropped frames have no objects."""

    timing: Timing
    lockstep: Summary
    real_time: Summary

    def text(self) -> str:
        """Return it as text: HOTA over the classes that occur and BDD100K's mMOTSA, in per cent."""
        t = self.timing
        lines = [
            f"in real time, {t.rate:g} x: {t.frames} frames sent, {t.answered} answered, {t.dropped} dropped",
            f"latency p50 / p95 / p99: {_ms(t.p50)} / {_ms(t.p95)} / {_ms(t.p99)}, jitter {_ms(t.jitter)}",
        ]
        pairs = zip(_scores(self.lockstep), _scores(self.real_time), strict=True)
        for name, (before, after) in zip(("HOTA", "mMOTSA"), pairs, strict=True):
            cost = "" if before is None or after is None else f", cost {100 * (before - after):.1f}"
            lines.append(f"{name}: {_percent(before)} in lock-step, {_percent(after)} in real time{cost}")
        return "\n".join(lines)

    def plain(self) -> dict[str, Any]:
        """Return it as plain values for JSON."""
        plain: dict[str, Any] = {**asdict(self.timing), "dropped": self.timing.dropped}
        for name, summary in (("lockstep", self.lockstep), ("real_time", self.real_time)):
            plain[name] = dict(zip(("hota", "mmotsa"), _scores(summary), strict=True))
        return plain


def _scores(summary: Summary) -> tuple[float | None, float | None]:
    """Return HOTA as mean of the classes that occur, and BDD100K's mMOTSA; each at most 1."""
    percent = summary.bdd100k.average.mota
    return summary.report.mean.hota, None if percent is None else percent / 100


def _ms(value: float | None) -> str:
    return "-" if value is None else f"{1e3 * value:.1f} ms"


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{100 * value:.1f}"
