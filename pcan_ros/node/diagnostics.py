"""Diagnostics of one camera: level and message for /diagnostics."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum

from diagnostic_msgs.msg import DiagnosticStatus, KeyValue

from pcan_ros.node.mailbox import Counts
from pcan_ros.node.offers import Offers
from pcan_ros.node.statistics import CameraStatistics

IMAGE_TIMEOUT = 3.0  # seconds without an image before a warning
DROPPED_SHARE = 1 / 3  # share of the recent images before a warning
MIN_IMAGES = 6  # least number of recent images for such a warning
MAX_CLOCK_OFFSET = 60.0  # seconds between stamp and clock; no pipeline is that slow
PROFILE_HINT = (
    "best effort drops every image above 512 KiB (640x270 rgb8) unless both sides use the Fast DDS profile "
    "share/pcan_ros/config/fastdds_shm.xml (FASTDDS_DEFAULT_PROFILES_FILE, before Kilted "
    "FASTRTPS_DEFAULT_PROFILES_FILE); or set reliability:=reliable where the camera publishes reliably"
)
UNMATCHED_HINT = (
    "sync:=approximate with a greater sync_slop, or sync:=none; or check whether a camera has stopped"
)


class Level(IntEnum):
    """As in diagnostic_msgs/DiagnosticStatus."""

    OK = 0
    WARN = 1
    ERROR = 2


@dataclass(frozen=True, slots=True)
class Recent:
    """Counts of the images that arrived recently."""

    seconds: float = 0.0  # length of the interval
    received: int = 0
    replaced: int = 0  # of them, replaced by a newer image before tracking
    unmatched: int = 0  # of them, without matching images of the other cameras


@dataclass(frozen=True, slots=True)
class ClockState:
    """The node's clock, compared with the stamps of the images."""

    simulated: bool = False  # use_sim_time is set
    stopped: bool = False  # at 0: nothing was received on /clock
    behind: float | None = None  # seconds from the newest image's stamp to its result


@dataclass(frozen=True, slots=True)
class Health:
    """The condition of one camera at one time."""

    topic: str  # resolved name
    counts: Counts  # since activation
    processed: int  # since activation
    bad: int  # since activation
    new_bad: int  # since the last report
    silence: float  # seconds since the last image or activation
    offers: Offers
    enabled: bool
    last_error: str  # why the last bad image could not be processed
    recent: Recent = Recent()
    clock: ClockState = ClockState()


def summarize(health: Health) -> tuple[Level, str]:
    """Return the highest level of all problems, and a message that names every problem and its remedy."""
    if not health.enabled:
        return Level.OK, "disabled by ~/enable"
    problems = list(_problems(health))
    if not problems:
        return Level.OK, "tracking"
    return max(level for level, _ in problems), "; ".join(text for _, text in problems)


def _problems(health: Health) -> Iterator[tuple[Level, str]]:
    if health.new_bad:
        yield Level.ERROR, f"{health.new_bad} unreadable images: {health.last_error}"
    if health.silence > IMAGE_TIMEOUT:
        yield Level.WARN, _no_image_cause(health)
    clock_problem = _clock_problem(health.clock)
    if clock_problem:
        yield Level.WARN, clock_problem
    recent = health.recent
    if recent.received >= MIN_IMAGES and recent.unmatched > DROPPED_SHARE * recent.received:
        share = recent.unmatched / recent.received
        yield Level.WARN, f"{share:.0%} of the images have no match in the other cameras: {UNMATCHED_HINT}"
    if recent.received >= MIN_IMAGES and recent.replaced > DROPPED_SHARE * recent.received:
        arrive, track = recent.received / recent.seconds, (recent.received - recent.replaced) / recent.seconds
        share = recent.replaced / recent.received
        text = (
            f"{share:.0%} of the images are dropped: {arrive:.1f} arrive per second, {track:.1f} are tracked"
        )
        yield Level.WARN, text


def _no_image_cause(health: Health) -> str:
    """Return why no images arrive: no publisher, another type, quality of service, camera or transport."""
    topic, offers, started = health.topic, health.offers, health.counts.received > 0
    if offers.remedy:
        return f"no image arrived: {offers.remedy}"
    if not offers.publishers:
        return f"{topic} has no publisher" + (" any more" if started else "")
    if offers.unreliable == offers.publishers:
        return f"{topic} is published best effort, this node requests reliable: set reliability:=best_effort"
    if started:
        return f"the camera stopped: {topic} is advertised, its last image arrived {health.silence:.0f} s ago"
    idle = f"{topic} is advertised, no image arrived for {health.silence:.0f} s"
    return f"{idle}: either none is published (ros2 topic hz), or the transport drops them: {PROFILE_HINT}"


def _clock_problem(clock: ClockState) -> str:
    if clock.simulated and clock.stopped:
        return (
            "use_sim_time is set, but /clock is not published: ros2 bag play --clock, or use_sim_time:=false"
        )
    if clock.behind is None or abs(clock.behind) < MAX_CLOCK_OFFSET:
        return ""
    how = "behind" if clock.behind > 0 else "ahead of"
    hint = "" if clock.simulated else ": use_sim_time:=true for a bag (ros2 bag play --clock) or a simulation"
    apart = f"the stamps of the images are {abs(clock.behind):.3g} s {how} the node's clock"
    return f"{apart}, so latencies are meaningless{hint}"


def to_status(name: str, health: Health, camera: CameraStatistics, facts: dict[str, str]) -> DiagnosticStatus:
    """Return the diagnostics of one camera; `facts` are common to all cameras."""
    level, message = summarize(health)
    values = {**facts, **_counts(health), **_latencies(camera), **_rhythm(camera)}
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
        "frames without partners": str(health.counts.unmatched),
        "frames bad": str(health.bad),
    }


def _rhythm(camera: CameraStatistics) -> dict[str, str]:
    """Return how often the network runs and at which size, if a latency budget decides it."""
    pace = camera.pace
    if not pace.budget:
        return {}
    times = (pace.key, pace.propagated)
    key, propagated = ("-" if each is None else f"{each * 1e3:.1f} ms" for each in times)
    interval = f"{pace.interval} frames" + (f", the next {pace.delay} later" if pace.delay else "")
    return {
        "key interval": interval,
        "key / propagated frame": f"{key} / {propagated}",
        "input size": camera.input_size,
    }


def _latencies(camera: CameraStatistics) -> dict[str, str]:
    texts = {}
    for name in ("network", "cyclic", "processing", "pipeline"):
        found = camera.percentiles(name)
        texts[f"{name} latency p50 / p95"] = (
            f"{found.p50 * 1e3:.1f} / {found.p95 * 1e3:.1f} ms" if found else "-"
        )
    return texts
