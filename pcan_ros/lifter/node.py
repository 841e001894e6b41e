"""The ROS 2 node `pcan_lifter`: topics, transforms and diagnostics around `pcan_model.lifting`."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

from diagnostic_msgs.msg import DiagnosticArray
from rclpy.clock import Clock
from rclpy.node import Node
from rclpy.qos import QoSDurabilityPolicy, QoSProfile, QoSReliabilityPolicy
from sensor_msgs.msg import CameraInfo, Image, PointCloud2
from std_msgs.msg import Header

from pcan_model.core.fields import settings_of
from pcan_model.core.frame_tree import FrameTree
from pcan_model.core.space import Pose
from pcan_model.core.stamps import stamp_seconds
from pcan_model.core.structures import Tracks
from pcan_model.data.image_decoding import BadImage
from pcan_model.lifting.config import LiftingConfig
from pcan_model.lifting.lifter import Lifted, Lifter, LiftState
from pcan_model.lifting.measurements import DepthImage, LidarPoints, Measurement, MeasurementError
from pcan_ros.lifter.pairing import Pair, Pairing, Stamped
from pcan_ros.lifter.settings import LifterSettings
from pcan_ros.lifter.status import LifterStatus
from pcan_ros.lifter.writing import to_cloud, to_detections_3d, to_markers
from pcan_ros.messages import from_tracks
from pcan_ros.msg import TrackedInstanceArray
from pcan_ros.node.geometry_reading import read_camera, read_depth, read_points, read_transform
from pcan_ros.node.node_parameters import declare
from pcan_ros.node.outputs import message_type
from pcan_ros.node.parameters import described, reject_unknown

TIME_BACK = 0.5  # seconds that stamps may go back; more is a new start, as of a looping bag
NEWEST = QoSProfile(depth=5, reliability=QoSReliabilityPolicy.BEST_EFFORT)
TRANSFORMS = QoSProfile(depth=100, reliability=QoSReliabilityPolicy.RELIABLE)
LATCHED = QoSProfile(
    depth=100, reliability=QoSReliabilityPolicy.RELIABLE, durability=QoSDurabilityPolicy.TRANSIENT_LOCAL
)
Poses = tuple[Pose, Pose]  # of the camera in the fixed frame, and of the sensor in the camera


class LifterNode(Node):
    """Publishes the 3D boxes of the tracks of one camera."""

    def __init__(self, **options: Any) -> None:
        """Declare parameters and topics; raises ParameterError for an invalid parameter."""
        super().__init__("pcan_lifter", **options)
        self.settings = _settings(self)
        self.status, self.frames = LifterStatus(), FrameTree()
        self._state, self._info = LiftState(), None
        self._lifter: tuple[tuple[str, ...], Lifter] | None = None
        self._pairing = Pairing[Poses](
            self._poses,
            slop=self.settings.slop,
            timeout=self.settings.timeout,
            name="point cloud" if self.settings.points else "depth image",
            refuse=self._refuse,
        )
        self._subscribe()
        self._boxes = self._offer("vision_msgs/Detection3DArray", "boxes")
        self._markers = self._offer("visualization_msgs/MarkerArray", "markers")
        self._cloud = self._offer("sensor_msgs/PointCloud2", "points")
        self._diagnostics = self.create_publisher(DiagnosticArray, "/diagnostics", 10)
        always = Clock()  # system time, so that problems are reported while /clock is stopped
        self.create_timer(self.settings.status_period, self._report, clock=always)
        self.create_timer(self.settings.timeout / 2, self._work, clock=always)

    def _subscribe(self) -> None:
        from tf2_msgs.msg import TFMessage

        settings, add = self.settings, self.create_subscription
        add(TrackedInstanceArray, settings.tracks, self._on_tracks, QoSProfile(depth=10))
        if settings.points:
            add(PointCloud2, settings.points, self._on_measured, NEWEST)
        else:
            add(Image, settings.depth, self._on_measured, NEWEST)
        add(CameraInfo, settings.camera_info, self._on_info, NEWEST)
        add(TFMessage, "/tf", lambda m: self._on_transforms(m, fixed=False), TRANSFORMS)
        add(TFMessage, "/tf_static", lambda m: self._on_transforms(m, fixed=True), LATCHED)

    def _offer(self, kind: str, topic: str) -> Any:
        message = message_type(kind)
        if message is None:
            self.get_logger().info(f"{kind.split('/')[0]} is not installed; not published: ~/{topic}")
            return None
        return self.create_publisher(message, f"~/{topic}", 5)

    # Callbacks

    def _on_tracks(self, message: Any) -> None:
        self.status.received += 1
        stamp = stamp_seconds(message.header.stamp)
        if self._state.stamp is not None and stamp < self._state.stamp - TIME_BACK:
            self.get_logger().warning(f"time went back by {self._state.stamp - stamp:.3f} s: starting anew")
            self._state = LiftState()
            self._pairing.clear()
            self.frames.clear()
        self._pairing.add_tracks(Stamped(stamp, message, time.monotonic()))
        self._work()

    def _on_measured(self, message: Any) -> None:
        self._pairing.add_measured(Stamped(stamp_seconds(message.header.stamp), message, time.monotonic()))
        self._work()

    def _on_info(self, message: Any) -> None:
        self._info = message

    def _on_transforms(self, message: Any, *, fixed: bool) -> None:
        for each in message.transforms:
            try:
                pose = read_transform(each.transform)
            except ValueError as error:
                self.status.problem("transform", f"transform of {each.child_frame_id!r}: {error}")
                continue
            stamp = None if fixed else stamp_seconds(each.header.stamp)
            self.frames.add(each.header.frame_id, each.child_frame_id, pose, stamp)
        self._work()

    # Work

    def _work(self) -> None:
        """Lift what is complete."""
        for pair in self._pairing.ready(time.monotonic()):
            try:
                self._lift(pair)
            except (BadImage, MeasurementError, ValueError) as error:
                self._refuse(str(error))

    def _poses(self, tracks: Any, stamp: float, measured: Any, measured_stamp: float) -> Poses:
        """Return the poses of camera and sensor; the camera may have moved between the two stamps."""
        fixed, camera = self.settings.fixed_frame, tracks.header.frame_id
        pose = self.frames.pose(camera, fixed, stamp)
        if not self.settings.points:
            return pose, Pose.identity()
        return pose, pose.inverse() @ self.frames.pose(measured.header.frame_id, fixed, measured_stamp)

    def _lift(self, pair: Pair[Poses]) -> None:
        """Lift the tracks of one image; raises BadImage or MeasurementError for messages that do not fit."""
        message, (camera, sensor) = pair.tracks.message, pair.poses
        tracks = from_tracks(message)
        names = {instance.track_id: instance.class_name for instance in message.instances}
        measured = self._measurement(message, pair.measured.message, sensor)
        lifter = self._lifter_of(message.instances)
        self._state, lifted = lifter.step(self._state, tracks, measured, camera)
        self.status.lifted += 1
        self.status.boxes += len(lifted.boxes)
        self.status.missing += len(lifted.missing)
        for track_id, reason in lifted.missing.items():
            self.status.problem("no box", f"track {track_id}: {reason}")
        header = Header(stamp=message.header.stamp, frame_id=self.settings.fixed_frame)
        self._publish(lifted, tracks, header, names)

    def _measurement(self, tracks: Any, message: Any, sensor: Pose) -> Measurement:
        if self._info is None:
            raise BadImage(f"camera_info: expected a message on {self.settings.camera_info}, got none")
        camera = read_camera(self._info, rectified=self.settings.rectified)
        if self.settings.points:
            return LidarPoints(camera, sensor.apply(read_points(message)))
        frame, expected = message.header.frame_id, tracks.header.frame_id
        if frame != expected:
            raise BadImage(f"depth: expected frame {expected!r} like the tracks (registered), got {frame!r}")
        return DepthImage(camera, read_depth(message))

    def _lifter_of(self, instances: Sequence[Any]) -> Lifter:
        """Return a lifter that knows the classes of these instances."""
        names = list(self._lifter[0]) if self._lifter else []
        for instance in instances:
            names += [""] * (instance.class_id + 1 - len(names))
            names[instance.class_id] = instance.class_name
        if self._lifter is None or list(self._lifter[0]) != names:
            self._lifter = tuple(names), Lifter(tuple(names), self.settings.lifting)
        return self._lifter[1]

    def _publish(self, lifted: Lifted, tracks: Tracks, header: Any, names: dict[int, str]) -> None:
        if self._boxes is not None:
            self._boxes.publish(to_detections_3d(lifted.boxes, header))
        if self._markers is not None and self._markers.get_subscription_count():
            self._markers.publish(to_markers(lifted.boxes, header, names))
        if self._cloud.get_subscription_count():
            labels = {instance.track_id: instance.label for instance in tracks.instances}
            self._cloud.publish(to_cloud(lifted.points, labels, header))

    def _refuse(self, reason: str) -> None:
        self.status.problem(reason.split(":")[0], reason)

    def _report(self) -> None:
        message = DiagnosticArray(
            status=[self.status.report(self.get_fully_qualified_name(), self.settings.tracks)]
        )
        message.header.stamp = self.get_clock().now().to_msg()
        self._diagnostics.publish(message)


def _settings(node: Node) -> LifterSettings:
    """Declare the parameters and return their values; unknown ones are refused."""
    known = {each.name: each for each in described(LifterSettings())}
    reject_unknown(list(node._parameter_overrides), known)
    values = {name: declare(node, each) for name, each in known.items()}
    for name, each in known.items():
        each.check(values[name])
    lifting = LiftingConfig(**{name: values.pop(name) for name in settings_of(LiftingConfig)})
    return LifterSettings(**values, lifting=lifting)
