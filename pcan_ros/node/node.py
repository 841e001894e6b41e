"""The ROS 2 node `pcan_tracker`: lifecycle, parameters, topics and services around the pipeline.

It subscribes on activation and destroys the subscriptions on deactivation; callbacks only store the
newest image, the pipeline's worker thread tracks and publishes.
"""

from __future__ import annotations

import pcan_model.inference.blas  # noqa: F401  before NumPy is loaded

# isort: split
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from rclpy.lifecycle import LifecycleNode, TransitionCallbackReturn

from pcan_model.core.engine import Engine
from pcan_model.core.stamps import stamp_seconds
from pcan_model.inference.errors import UnrecoverableError
from pcan_model.inference.size_engines import open_all
from pcan_model.tracking.tracker import Tracker
from pcan_ros.node.inputs import Inputs, info_topic
from pcan_ros.node.lens import Lens
from pcan_ros.node.node_parameters import NodeParameters
from pcan_ros.node.node_services import add_services
from pcan_ros.node.node_status import Activity, NodeStatus, tracker_status
from pcan_ros.node.outputs import Outputs, missing_packages
from pcan_ros.node.parameters import ParameterError
from pcan_ros.node.pipeline import FrameResult, Pipeline
from pcan_ros.node.places import Places
from pcan_ros.node.statistics import CameraStatistics
from pcan_ros.node.synchronizer import message_filters
from pcan_ros.node.throttle import Throttle
from pcan_ros.node.transitions import reject_invalid, reported


class TrackerNode(LifecycleNode):
    """Tracks and segments objects in the images of one or several cameras."""

    def __init__(self, **options: Any) -> None:
        super().__init__("pcan_tracker", **options)
        self.parameters = NodeParameters(self, self._tune)
        self.enabled = True
        self.stopped: Callable[[], bool] = lambda: False  # whether the process is to end; ends long steps
        self.pipeline: Pipeline | None = None
        self.tracker: Tracker | None = None
        self._larger: tuple[Engine, ...] = ()  # for larger inputs, between which the budget chooses
        self._topics: tuple[str, ...] = ()
        self._statistics: tuple[CameraStatistics, ...] = ()  # since the last activation
        self._outputs: list[Outputs] = []
        self._inputs: Inputs | None = None
        self._places: Places | None = None
        self._throttle = Throttle()
        self.failure: UnrecoverableError | None = None  # set after a failure that stops all processing
        self._failed = self.create_guard_condition(self._stop_after_failure)
        add_services(self, reset=self.reset_tracks, enable=self.enable, save=self.parameters.save)
        reject_invalid(self)
        self.status = NodeStatus(self, self.parameters.settings.status_period, self.activity)

    # Lifecycle

    @reported
    def on_configure(self) -> None:
        """Load the model and open the topics."""
        settings = self.parameters.settings
        self.failure, self._topics = None, self._resolved(settings.cameras)
        if settings.sync != "none":
            message_filters(settings.sync)
        cameras = len(settings.cameras)
        opened, self._larger = open_all(
            Path(settings.model), settings.engine, cameras, self._announce, self.stopped
        )
        self.parameters.adopt(opened.engine.config)
        self.tracker = Tracker(opened.engine, self.parameters.thresholds)
        for each in (self.tracker, *map(self.tracker.at, self._larger)):
            each.warm_up()
        config = opened.engine.config
        infos = {info_topic(topic) for topic in self._topics}  # inputs, such as ~/camera_info of ~/image
        self._outputs = [
            Outputs(self, prefix, config.classes, self._throttle, infos) for prefix in prefixes(cameras)
        ]
        for package, topics in missing_packages().items():
            self.get_logger().info(f"{package} is not installed; not published: {', '.join(topics)}")
        self._publish_labels()
        text = f"{config.name} from {settings.model}: {opened.reason}"
        if opened.degraded:
            self.get_logger().warning(text)
        else:
            self.get_logger().info(text)

    @reported
    def on_activate(self) -> None:
        """Start with no tracks and subscribe to the cameras."""
        settings = self.parameters.settings
        assert self.tracker is not None
        if self.failure is not None:
            raise type(self.failure)(f"{self.failure}; clean up and configure the node again")
        known = self.parameters
        self.tracker = Tracker(self.tracker.engine, known.thresholds, known.admissions)
        cameras, synchronized, lenses = len(self._topics), settings.sync != "none", self._lenses()
        self._places = self._subscribe_places()
        place: dict[str, Any] = {} if self._places is None else {"place": self._places.place}
        pipeline = Pipeline(
            self.tracker,
            cameras,
            settings.time_limits,
            self,
            lenses,
            synchronized=synchronized,
            budget=settings.latency_budget,
            larger=self._larger,
            **place,
        )
        self._statistics = tuple(
            CameraStatistics(topic, partial(pipeline.mailbox.counts, camera))
            for camera, topic in enumerate(self._topics)
        )
        self.status.begin(len(self._topics))
        self.pipeline = pipeline
        pipeline.start()
        self._inputs = Inputs(self, self._topics, settings, pipeline.mailbox, lenses)
        self._inputs.enabled = self.enabled
        self.get_logger().info(f"tracking {', '.join(self._topics)}")

    @reported
    def on_deactivate(self) -> None:
        """Unsubscribe and let the worker finish."""
        self._stop()

    @reported
    def on_cleanup(self) -> None:
        """Close the topics and release the model."""
        self._release()

    @reported
    def on_shutdown(self) -> None:
        """Stop from any state."""
        self._stop()
        self._release()

    @reported
    def on_error(self) -> None:
        """Stop the pipeline and release the model."""
        self._stop()
        self._release()

    def autostart(self) -> bool:
        """Configure and activate unless stopped; returns whether all transitions succeeded."""
        transitions = (self.trigger_configure, self.trigger_activate)
        return all(self.stopped() or go() == TransitionCallbackReturn.SUCCESS for go in transitions)

    def close(self) -> None:
        """Stop the worker and destroy the node."""
        self._stop()
        self.destroy_node()

    # The pipeline's sink, called from its thread

    def on_result(self, result: FrameResult) -> None:
        """Publish the results of one image: tracks first, images for people last."""
        outputs, camera = self._outputs[result.camera], self._statistics[result.camera]
        if result.jump:
            how = "went back" if result.jump < 0 else "jumped ahead"
            text = f"{camera.topic}: time {how} by {abs(result.jump):.3f} s: tracks are reset"
            self.get_logger().warning(text)
        scene = outputs.publish_tracks(result, self.parameters.settings)
        age = self.get_clock().now().nanoseconds * 1e-9 - stamp_seconds(result.header.stamp)
        now = time.monotonic()
        latency = camera.record(taken=result.taken, now=now, age=age, network=result.network)
        camera.pace, camera.input_size = result.pace, result.input_size
        outputs.publish_status(
            tracker_status(result.header, camera, latency, self._engine, result.tracks.kind)
        )
        outputs.publish_others(scene)

    def on_bad(self, camera: int, error: Exception) -> None:
        """Log why an image could not be processed, at a limited rate."""
        reason = error if isinstance(error, ValueError) else repr(error)
        text = f"{self._statistics[camera].topic}: {reason}"
        self._statistics[camera].record_bad(text)
        if (admitted := self._throttle.admit(f"{camera} {str(error).split(':')[0]}", text)) is not None:
            self.get_logger().error(admitted)

    def on_failure(self, cameras: tuple[int, ...], error: UnrecoverableError) -> None:
        """Request deactivation by the executor's thread: the worker, which calls this, cannot join itself."""
        for camera in cameras:
            self._statistics[camera].record_bad(str(error))
        self.failure = error
        self._failed.trigger()

    # Called by services and diagnostics

    def reset_tracks(self) -> bool:
        """Reset the tracks of all cameras; returns whether the node is active."""
        if self.pipeline is not None:
            self.pipeline.reset()
        return self.pipeline is not None

    def enable(self, enabled: bool) -> None:
        """Process or ignore images, including waiting ones; enabling starts with no tracks."""
        changed, self.enabled = enabled != self.enabled, enabled
        if self._inputs is not None and self.pipeline is not None and changed:
            self._inputs.enabled = enabled
            self._inputs.clear()
            self.pipeline.discard()

    def activity(self) -> Activity:
        """Return the node's present activity."""
        cameras = self._statistics if self.pipeline is not None else ()
        return Activity(self.parameters.settings, self._engine, cameras, self.enabled, self.failure)

    # Internal

    @property
    def _engine(self) -> Engine | None:
        return self.tracker.engine if self.tracker else None

    def _stop_after_failure(self) -> None:
        """Deactivate the node after a failure, instead of publishing empty or wrong tracks."""
        if self.failure is not None and self.pipeline is not None:
            self.get_logger().fatal(f"{self.failure.what}, the node becomes inactive: {self.failure}")
            self.trigger_deactivate()

    def _announce(self, text: str) -> None:
        """Report progress of configuring in the log and in the diagnostics."""
        self.get_logger().info(text)
        self.status.announce(text)

    def _resolved(self, topics: tuple[str, ...]) -> tuple[str, ...]:
        """Return the topics after remapping; raises ParameterError for an invalid topic name."""
        try:
            return tuple(self.resolve_topic_name(topic) for topic in topics)
        except RuntimeError as error:  # of rcl
            raise ParameterError(f"cameras: {error}") from error

    def _lenses(self) -> tuple[Lens, ...]:
        wanted = self.parameters.settings.camera_info
        topics = map(info_topic, self._topics) if wanted != "none" else ()
        return tuple(Lens(topic, rectify=wanted == "rectify", warn=self._warn) for topic in topics)

    def _subscribe_places(self) -> Places | None:
        settings = self.parameters.settings
        if not settings.odometry_frame:
            return None
        return Places(
            self,
            settings.odometry_frame,
            rectified=settings.camera_info == "rectify",
            odometry=settings.odometry_topic,
            depth=settings.odometry_depth,
            warn=partial(self._warn, kind="odometry"),
        )

    def _warn(self, text: str, kind: str = "") -> None:
        admitted = self._throttle.admit(kind or text, text)
        if admitted is not None:
            self.get_logger().warning(admitted)

    def _publish_labels(self) -> None:
        for outputs in self._outputs:
            outputs.publish_labels(self.parameters.thresholds.track_score)

    def _tune(self) -> None:
        self._publish_labels()
        if self.pipeline is not None:
            known, settings = self.parameters, self.parameters.settings
            self.pipeline.tune(
                known.thresholds, settings.time_limits, known.admissions, budget=settings.latency_budget
            )

    def _stop(self) -> None:
        if self._inputs is not None:
            self._inputs.destroy()
        self._inputs = None
        if self._places is not None:
            self._places.destroy()
        self._places = None
        if self.pipeline is not None:
            self.pipeline.stop()
        self.pipeline = None

    def _release(self) -> None:
        for outputs in self._outputs:
            outputs.destroy()
        for engine in (*([self.tracker.engine] if self.tracker else []), *self._larger):
            engine.close()
        self._outputs, self.tracker, self._larger = [], None, ()


def prefixes(cameras: int) -> tuple[str, ...]:
    """Return the topic prefix of each camera: `~` of a single one, `~/camera0`, … of several."""
    return ("~",) if cameras == 1 else tuple(f"~/camera{camera}" for camera in range(cameras))
