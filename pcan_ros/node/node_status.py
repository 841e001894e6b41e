"""What the node says of itself: a status per image, and diagnostics every now and then."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from rclpy.clock import Clock
from rclpy.qos import QoSReliabilityPolicy

from pcan_ros.msg import TrackerStatus
from pcan_ros.node.camera import Latency
from pcan_ros.node.diagnostics import Health, to_status
from pcan_ros.node.pipeline import Result

if TYPE_CHECKING:
    from pcan_ros.node.node import TrackerNode


class NodeStatus:
    """Watches the pipeline and publishes /diagnostics."""

    def __init__(self, node: TrackerNode) -> None:
        self._node = node
        self._publisher = node.create_publisher(DiagnosticArray, "/diagnostics", 10)
        always = Clock()  # the system's: what is wrong is said also while /clock stands still
        node.create_timer(node.parameters.settings.status_period, self._publish, clock=always)
        self.last_error = ""
        self.begin(())

    def begin(self, topics: tuple[str, ...]) -> None:
        """Forget what was seen before an activation."""
        self._received = [0] * len(topics)
        self._bad = [0] * len(topics)
        self._last_image = [time.monotonic()] * len(topics)

    def message(self, result: Result, latency: Latency) -> TrackerStatus:
        """Return the status after one processed image."""
        pipeline = self._node.pipeline
        assert pipeline is not None
        camera, counts = pipeline.cameras[result.camera], pipeline.mailbox.counts(result.camera)
        return TrackerStatus(
            header=result.header,
            camera=camera.topic,
            backend=self.backend,
            frames_received=counts.received,
            frames_processed=camera.processed,
            frames_dropped=counts.replaced,
            frames_bad=camera.bad,
            cyclic_latency=latency.cyclic,
            processing_latency=latency.processing,
            pipeline_latency=latency.pipeline,
        )

    def announce(self, text: str) -> None:
        """Publish what the node is busy with while it does not spin, such as building an engine."""
        name = self._node.get_fully_qualified_name()
        self._send([DiagnosticStatus(level=DiagnosticStatus.OK, name=name, message=text)])

    @property
    def backend(self) -> str:
        """Return what runs the network."""
        tracker = self._node.tracker
        return tracker.engine.facts.backend if tracker else "none"

    def _publish(self) -> None:
        self._send(self._statuses())

    def _send(self, statuses: list[DiagnosticStatus]) -> None:
        message = DiagnosticArray(status=statuses)
        message.header.stamp = self._node.get_clock().now().to_msg()
        self._publisher.publish(message)

    def _statuses(self) -> list[DiagnosticStatus]:
        name, pipeline = self._node.get_fully_qualified_name(), self._node.pipeline
        if pipeline is None:
            lost = self._node.lost
            level = DiagnosticStatus.ERROR if lost else DiagnosticStatus.OK
            message = f"not active: {lost.what}: {lost}" if lost else "not active"
            return [DiagnosticStatus(level=level, name=name, message=message)]
        facts = {"state": "active", "model": self._node.parameters.settings.model, **self._engine_facts()}
        return [to_status(name, self._health(i), camera, facts) for i, camera in enumerate(pipeline.cameras)]

    def _engine_facts(self) -> dict[str, str]:
        tracker = self._node.tracker
        if tracker is None:
            return {}
        return {**tracker.engine.facts.texts(), "nms converged": str(tracker.engine.nms_ok).lower()}

    def _health(self, index: int) -> Health:
        pipeline = self._node.pipeline
        assert pipeline is not None
        camera, counts = pipeline.cameras[index], pipeline.mailbox.counts(index)
        if counts.received > self._received[index] or not self._node.enabled:
            self._last_image[index] = time.monotonic()
        new_bad, self._bad[index] = camera.bad - self._bad[index], camera.bad
        self._received[index] = counts.received
        topic, offered = self._offers(camera.topic)
        return Health(
            topic=topic,
            counts=counts,
            processed=camera.processed,
            bad=camera.bad,
            new_bad=new_bad,
            silence=time.monotonic() - self._last_image[index],
            publishers=len(offered),
            unreliable=self._unreliable(offered),
            enabled=self._node.enabled,
            last_error=self.last_error,
        )

    def _offers(self, topic: str) -> tuple[str, list[QoSReliabilityPolicy]]:
        """Return the subscribed topic and what reliability each of its publishers offers."""
        topic = f"{topic}/compressed" if self._node.parameters.settings.compressed else topic
        found = self._node.get_publishers_info_by_topic(topic)
        return topic, [publisher.qos_profile.reliability for publisher in found]

    def _unreliable(self, offered: list[QoSReliabilityPolicy]) -> int:
        """Return how many publishers offer less than the node asks for."""
        if self._node.parameters.settings.reliability != "reliable":
            return 0
        return offered.count(QoSReliabilityPolicy.BEST_EFFORT)
