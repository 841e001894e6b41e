"""What is wrong with a camera, judged and worded for /diagnostics."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

from diagnostic_msgs.msg import DiagnosticStatus, KeyValue

from pcan_ros.node.mailbox import Counts
from pcan_ros.node.statistics import CameraStatistics

SILENCE = 3.0  # seconds without an image that are worth a warning
PROFILE_HINT = (
    "best effort drops every image above 512 KiB (640x270 rgb8) unless both sides use the Fast DDS profile "
    "share/pcan_ros/config/fastdds_shm.xml (FASTDDS_DEFAULT_PROFILES_FILE, before Kilted "
    "FASTRTPS_DEFAULT_PROFILES_FILE); or set reliability:=reliable where the camera publishes reliably"
)


class Level(IntEnum):
    """As in diagnostic_msgs/DiagnosticStatus."""

    OK = 0
    WARN = 1
    ERROR = 2


@dataclass(frozen=True, slots=True)
class Health:
    """What is known of one camera at one moment."""

    topic: str  # resolved name
    counts: Counts  # since activation
    processed: int  # since activation
    bad: int  # since activation
    new_bad: int  # since the last report
    silence: float  # seconds since the last image or activation
    publishers: int  # that offer the topic
    unreliable: int  # of them, best effort where the node asks for reliable
    enabled: bool
    last_error: str  # why the last bad image was bad


def judge(health: Health) -> tuple[Level, str]:
    """Return how bad it is and what to do."""
    if not health.enabled:
        return Level.OK, "disabled by ~/enable"
    if health.silence > SILENCE:
        return Level.WARN, _silent(health)
    if health.new_bad:
        return Level.ERROR, f"{health.new_bad} unreadable images: {health.last_error}"
    return Level.OK, "tracking"


def _silent(health: Health) -> str:
    if not health.publishers:
        return f"nobody publishes {health.topic}"
    if health.unreliable == health.publishers:
        offer = f"{health.topic} is published best effort"
        return f"{offer}, this node asks for reliable: set reliability:=best_effort"
    since = "no image arrived" if health.counts.received == 0 else "no image any more"
    return f"{health.topic} is advertised, {since} for {health.silence:.0f} s: {PROFILE_HINT}"


def to_status(name: str, health: Health, camera: CameraStatistics, facts: dict[str, str]) -> DiagnosticStatus:
    """Return one camera's diagnostics; `facts` are those of all cameras."""
    level, message = judge(health)
    values = {**facts, **_counts(health), **_latencies(camera)}
    return DiagnosticStatus(
        level=bytes([level]),
        name=f"{name}: {health.topic}",
        message=message,
        hardware_id=health.topic,
        values=[KeyValue(key=key, value=value) for key, value in values.items()],
    )


def _counts(health: Health) -> dict[str, str]:
    return {
        "frames received": str(health.counts.received),
        "frames processed": str(health.processed),
        "frames dropped": str(health.counts.replaced),
        "frames bad": str(health.bad),
    }


def _latencies(camera: CameraStatistics) -> dict[str, str]:
    texts = {}
    for name in ("network", "cyclic", "processing", "pipeline"):
        found = camera.percentiles(name)
        texts[f"{name} latency p50 / p95"] = (
            f"{found.p50 * 1e3:.1f} / {found.p95 * 1e3:.1f} ms" if found else "-"
        )
    return texts
