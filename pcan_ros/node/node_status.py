"""Reports of the node: a status per image, and periodic diagnostics."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from rclpy.clock import Clock
from rclpy.node import Node

from pcan_model.core.engine import Engine
from pcan_model.core.structures import FrameKind
from pcan_model.inference.errors import UnrecoverableError
from pcan_ros.msg import TrackerStatus
from pcan_ros.node.diagnostics import ClockState, Health, Recent, to_status
from pcan_ros.node.mailbox import Counts
from pcan_ros.node.offers import offers_on
from pcan_ros.node.parameters import Settings
from pcan_ros.node.statistics import CameraStatistics, Latency

RECENT_INTERVAL = 5.0  # seconds over which dropped images are counted


@dataclass(frozen=True, slots=True)
class Activity:
    """What the node is doing at one time."""

    settings: Settings
    engine: Engine | None  # None: not configured
    cameras: tuple[CameraStatistics, ...]  # empty: not active
    enabled: bool
    failure: UnrecoverableError | None  # set after a failure that stops all processing


@dataclass(slots=True)
class LastReport:
    """State of the previous diagnostics of one camera."""

    time: float  # monotonic time when the newest image was noticed, seconds
    received: int = 0
    bad: int = 0
    counts: deque[tuple[float, Counts]] = field(default_factory=deque)  # monotonic time, over RECENT

    def recent(self, now: float, counts: Counts) -> Recent:
        """Add the counts; returns those of the last RECENT seconds, zeros before so much time has passed."""
        self.counts.append((now, counts))
        while len(self.counts) > 2 and self.counts[1][0] <= now - RECENT_INTERVAL:
            self.counts.popleft()
        began, first = self.counts[0]
        if now - began < RECENT_INTERVAL:
            return Recent()
        return Recent(
            now - began,
            counts.received - first.received,
            counts.replaced - first.replaced,
            counts.unmatched - first.unmatched,
        )


class NodeStatus:
    """Publishes the node's activity on /diagnostics."""

    def __init__(self, node: Node, period: float, activity: Callable[[], Activity]) -> None:
        """Create the publisher and its timer; `period` in seconds, `activity` returns the node's activity."""
        self._node, self._activity = node, activity
        self._publisher = node.create_publisher(DiagnosticArray, "/diagnostics", 10)
        always = Clock()  # system time, so that problems are reported while /clock is stopped
        node.create_timer(period, lambda: self._send(self._statuses()), clock=always)
        self.begin(0)

    def begin(self, cameras: int) -> None:
        """Reset the counts at activation."""
        self._last = [LastReport(time.monotonic()) for _ in range(cameras)]

    def announce(self, text: str) -> None:
        """Publish progress while the node does not spin, such as building an engine."""
        name = self._node.get_fully_qualified_name()
        self._send([DiagnosticStatus(level=DiagnosticStatus.OK, name=name, message=text)])

    def _send(self, statuses: list[DiagnosticStatus]) -> None:
        message = DiagnosticArray(status=statuses)
        message.header.stamp = self._node.get_clock().now().to_msg()
        self._publisher.publish(message)

    def _statuses(self) -> list[DiagnosticStatus]:
        name, now = self._node.get_fully_qualified_name(), self._activity()
        if not now.cameras:
            level = DiagnosticStatus.ERROR if now.failure else DiagnosticStatus.OK
            message = f"not active: {now.failure.what}: {now.failure}" if now.failure else "not active"
            return [DiagnosticStatus(level=level, name=name, message=message)]
        facts = {"state": "active", "model": now.settings.model, **engine_facts(now.engine)}
        pairs = zip(now.cameras, self._last, strict=True)
        return [to_status(name, self._health(camera, last, now), camera, facts) for camera, last in pairs]

    def _health(self, camera: CameraStatistics, last: LastReport, now: Activity) -> Health:
        counts, time_now = camera.counts(), time.monotonic()
        if counts.received > last.received or not now.enabled:
            last.time = time_now
        new_bad = camera.bad - last.bad
        last.received, last.bad = counts.received, last.bad + new_bad
        compressed = now.settings.compressed
        topic = f"{camera.topic}/compressed" if compressed else camera.topic
        return Health(
            topic=topic,
            counts=counts,
            processed=camera.processed,
            bad=camera.bad,
            new_bad=new_bad,
            silence=time_now - last.time,
            offers=offers_on(self._node, topic, compressed=compressed),
            enabled=now.enabled,
            last_error=camera.last_error,
            recent=last.recent(time_now, counts),
            clock=self._clock(camera),
        )

    def _clock(self, camera: CameraStatistics) -> ClockState:
        simulated = bool(self._node.get_parameter("use_sim_time").value)
        stopped = self._node.get_clock().now().nanoseconds == 0
        return ClockState(simulated, stopped, camera.newest.pipeline if camera.newest else None)


def engine_facts(engine: Engine | None) -> dict[str, str]:
    """Return the engine's facts as keys and values of diagnostics."""
    if engine is None:
        return {}
    return {**engine.facts.texts(), "nms converged": str(engine.nms_ok).lower()}


def tracker_status(
    header: Any,
    camera: CameraStatistics,
    latency: Latency,
    engine: Engine | None,
    kind: FrameKind = FrameKind.KEY,
) -> TrackerStatus:
    """Return the status after one processed image; `header` and `kind` are the image's."""
    counts = camera.counts()
    return TrackerStatus(
        header=header,
        camera=camera.topic,
        backend=engine.facts.backend if engine else "none",
        frames_received=counts.received,
        frames_processed=camera.processed,
        frames_dropped=counts.dropped,
        frames_bad=camera.bad,
        cyclic_latency=latency.cyclic,
        processing_latency=latency.processing,
        pipeline_latency=latency.pipeline,
        key_frame=kind is FrameKind.KEY,
        key_interval=camera.pace.interval,
        input_size=camera.input_size,
    )
