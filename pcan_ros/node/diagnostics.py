"""What is wrong with a camera, judged and worded for /diagnostics."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum

from diagnostic_msgs.msg import DiagnosticStatus, KeyValue

from pcan_ros.node.mailbox import Counts
from pcan_ros.node.offers import Offers
from pcan_ros.node.statistics import CameraStatistics

SILENCE = 3.0  # seconds without an image that are worth a warning
DROPPED = 1 / 3  # share of the images that arrived lately, above which that is worth a warning
ENOUGH = 6  # images to take a share of
OFF_CLOCK = 60.0  # seconds between an image's stamp and the node's clock, more than any pipeline takes
PROFILE_HINT = (
    "best effort drops every image above 512 KiB (640x270 rgb8) unless both sides use the Fast DDS profile "
    "share/pcan_ros/config/fastdds_shm.xml (FASTDDS_DEFAULT_PROFILES_FILE, before Kilted "
    "FASTRTPS_DEFAULT_PROFILES_FILE); or set reliability:=reliable where the camera publishes reliably"
)
ALONE_HINT = "sync:=approximate with a greater sync_slop, or sync:=none; or a camera has stopped"


class Level(IntEnum):
    """As in diagnostic_msgs/DiagnosticStatus."""

    OK = 0
    WARN = 1
    ERROR = 2


@dataclass(frozen=True, slots=True)
class Recent:
    """What arrived lately."""

    seconds: float = 0.0  # how long it took
    received: int = 0
    replaced: int = 0  # of them, by newer ones before their turn
    alone: int = 0  # of them, without those of the other cameras of their instant


@dataclass(frozen=True, slots=True)
class ClockState:
    """How the stamps of the images compare with the node's clock."""

    simulated: bool = False  # use_sim_time is set
    stands: bool = False  # at 0: nobody has published /clock
    behind: float | None = None  # seconds from the newest image's stamp to its result; None before any


@dataclass(frozen=True, slots=True)
class Health:
    """What is known of one camera at one moment."""

    topic: str  # resolved name
    counts: Counts  # since activation
    processed: int  # since activation
    bad: int  # since activation
    new_bad: int  # since the last report
    silence: float  # seconds since the last image or activation
    offers: Offers
    enabled: bool
    last_error: str  # why the last bad image was bad
    recent: Recent = Recent()
    clock: ClockState = ClockState()


def judge(health: Health) -> tuple[Level, str]:
    """Return how bad it is and what to do; all that is wrong at once, the worst level of it."""
    if not health.enabled:
        return Level.OK, "disabled by ~/enable"
    found = list(_findings(health))
    if not found:
        return Level.OK, "tracking"
    return max(level for level, _ in found), "; ".join(text for _, text in found)


def _findings(health: Health) -> Iterator[tuple[Level, str]]:
    if health.new_bad:
        yield Level.ERROR, f"{health.new_bad} unreadable images: {health.last_error}"
    if health.silence > SILENCE:
        yield Level.WARN, _silent(health)
    off_clock = _off_clock(health.clock)
    if off_clock:
        yield Level.WARN, off_clock
    recent = health.recent
    if recent.received >= ENOUGH and recent.alone > DROPPED * recent.received:
        share = recent.alone / recent.received
        yield Level.WARN, f"{share:.0%} of the images find no partners in the other cameras: {ALONE_HINT}"
    if recent.received >= ENOUGH and recent.replaced > DROPPED * recent.received:
        arrive, track = recent.received / recent.seconds, (recent.received - recent.replaced) / recent.seconds
        share = recent.replaced / recent.received
        text = (
            f"{share:.0%} of the images are dropped: {arrive:.1f} arrive per second, {track:.1f} are tracked"
        )
        yield Level.WARN, text


def _silent(health: Health) -> str:
    """Tell the causes of silence apart: no publisher, other type, quality of service, camera, transport."""
    topic, offers, began = health.topic, health.offers, health.counts.received > 0
    if offers.remedy:
        return f"no image arrived: {offers.remedy}"
    if not offers.publishers:
        return f"nobody publishes {topic}" + (" any more" if began else "")
    if offers.unreliable == offers.publishers:
        return f"{topic} is published best effort, this node asks for reliable: set reliability:=best_effort"
    if began:
        return f"the camera stopped: {topic} is advertised, its last image came {health.silence:.0f} s ago"
    idle = f"{topic} is advertised, no image arrived for {health.silence:.0f} s"
    return f"{idle}: either none is sent (ros2 topic hz), or the transport loses them: {PROFILE_HINT}"


def _off_clock(clock: ClockState) -> str:
    if clock.simulated and clock.stands:
        return (
            "use_sim_time is set, but nobody publishes /clock: ros2 bag play --clock, or use_sim_time:=false"
        )
    if clock.behind is None or abs(clock.behind) < OFF_CLOCK:
        return ""
    how = "behind" if clock.behind > 0 else "ahead of"
    hint = "" if clock.simulated else ": use_sim_time:=true for a bag (ros2 bag play --clock) or a simulation"
    apart = f"the images' stamps are {abs(clock.behind):.3g} s {how} the node's clock"
    return f"{apart}, latencies mean nothing{hint}"


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
        "frames dropped": str(health.counts.dropped),
        "frames without partners": str(health.counts.alone),
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
