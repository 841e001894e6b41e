"""Play a bag of a drive to `pcan_tracker` and `pcan_lifter` over DDS; measure what each takes of a core.

    pcan-drive --out drives --first 1 --count 1 --length 40 --rate 10 --geometry
    pcan-bag make drives --out drive_bag
    python benchmarks/lifting_node.py drive_bag --points /points --record recorded

Every topic of the bag is published at the pace of its times. The tracker knows the car's motion
(odometry_frame), the lifter lifts by the depth image or, with --points, by the lidar. --record writes what
both publish, with images and transforms, as a bag for Foxglove or Lichtblick. Needs tf2_msgs and
visualization_msgs, which ROS 2 installations have.
"""

from __future__ import annotations

import argparse
import importlib
import os
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from rclpy.qos import QoSDurabilityPolicy, QoSProfile

from pcan_model.core.package_files import default_model
from pcan_model.data.bags.files import bag_writer
from pcan_model.data.bags.reading import Bag
from pcan_model.data.bags.recovery import StoredMessage
from pcan_ros.client.client import Client
from pcan_ros.client.process import NodeProcess
from pcan_ros.environment import profile_settings

START = 90.0  # seconds that the nodes may take to start
REST = 2.0  # seconds after the last message
OUTPUTS = {
    "/pcan_tracker/tracks": "pcan_ros/msg/TrackedInstanceArray",
    "/pcan_tracker/overlay/compressed": "sensor_msgs/msg/CompressedImage",
    "/pcan_lifter/boxes": "vision_msgs/msg/Detection3DArray",
    "/pcan_lifter/markers": "visualization_msgs/msg/MarkerArray",
    "/pcan_lifter/points": "sensor_msgs/msg/PointCloud2",
    "/diagnostics": "diagnostic_msgs/msg/DiagnosticArray",
}
Record = tuple[str, int, bytes]  # topic, nanoseconds, serialised message


def message_class(kind: str) -> Any:
    """Return the class of `package/msg/Name`; raises ModuleNotFoundError."""
    package, _, name = kind.split("/")
    return getattr(importlib.import_module(f"{package}.msg"), name)


def cpu_seconds(process: NodeProcess) -> float:
    """Return the processor time that a process has taken so far."""
    fields = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class Playback:
    """Publishes the messages of a bag, and keeps what comes back with its time in the bag."""

    def __init__(self, messages: Sequence[StoredMessage], client: Client, rate: float) -> None:
        """Create publishers and subscriptions; `rate` is a multiple of the pace of the bag."""
        self._messages, self._client, self._rate = messages, client, rate
        self.received, self._begin = list[Record](), time.monotonic()
        self._publishers: dict[str, Any] = {}
        for each in messages:
            topic, kind = each.connection.topic, each.connection.msgtype
            if topic not in self._publishers:
                quality = QoSProfile(depth=20)
                if topic == "/tf_static":
                    quality.durability = QoSDurabilityPolicy.TRANSIENT_LOCAL
                self._publishers[topic] = client.node.create_publisher(message_class(kind), topic, quality)
        for topic, kind in OUTPUTS.items():
            client.node.create_subscription(
                message_class(kind), topic, lambda raw, topic=topic: self._keep(topic, raw), 100, raw=True
            )

    def connect(self, alive: Callable[[], bool]) -> None:
        """Wait for the two nodes."""
        node, images = self._client.node, self._publishers["/camera/image"]
        offered = ("/pcan_tracker/tracks", "/pcan_lifter/points")
        self._client.wait(
            lambda: images.get_subscription_count() and all(map(node.count_publishers, offered)), START, alive
        )
        self._client.idle(REST)

    def run(self) -> None:
        """Publish all messages in time."""
        self.received.clear()
        self._begin, first = time.monotonic(), self._messages[0].time
        for each in self._messages:
            due = self._begin + (each.time - first) * 1e-9 / self._rate
            self._client.idle(max(0.0, due - time.monotonic()))
            self._publishers[each.connection.topic].publish(each.raw)
        self._client.idle(REST)

    def _keep(self, topic: str, raw: bytes) -> None:
        passed = (time.monotonic() - self._begin) * self._rate
        self.received.append((topic, self._messages[0].time + round(passed * 1e9), raw))


def main() -> None:
    options = _options()
    os.environ.update(profile_settings(os.environ))
    with Bag(options.bag) as bag:
        messages, types = [*bag.messages()], bag.types()
    tracker = {
        "model": str(options.model.resolve()), "size": options.size, "threads": 1, "camera_info": "check",
        "odometry_frame": "odom", "cameras": ["/camera/image"], "reliability": "reliable",
    }  # fmt: skip
    lifter, domain = {"points": options.points, "timeout": 2.0}, {"ROS_DOMAIN_ID": str(options.domain)}
    with (
        NodeProcess(tracker, domain) as tracking,
        NodeProcess(lifter, domain, module="pcan_ros.lifter.start") as lifting,
        Client(image_topic="/unused", domain=options.domain) as client,
    ):
        nodes, playback = (tracking, lifting), Playback(messages, client, options.rate)
        playback.connect(lambda: tracking.alive() and lifting.alive())
        before = [cpu_seconds(each) for each in nodes]
        playback.run()
        spent = [cpu_seconds(each) - then for each, then in zip(nodes, before, strict=True)]
    _report(messages, playback.received, spent, (messages[-1].time - messages[0].time) * 1e-9 / options.rate)
    if options.record:
        shown = [(m.connection.topic, m.time, m.raw) for m in messages]
        kinds = {m.connection.topic: m.connection.msgtype for m in messages} | OUTPUTS
        _write(options.record, sorted(shown + playback.received, key=lambda each: each[1]), kinds, types)


def _report(
    messages: Sequence[StoredMessage], got: Sequence[Record], spent: Sequence[float], length: float
) -> None:
    sent, back = Counter(m.connection.topic for m in messages), Counter(topic for topic, _, _ in got)
    images = sent["/camera/image"]
    print(f"sent: {', '.join(f'{count} {topic}' for topic, count in sent.items())}")
    print(f"received: {', '.join(f'{back[topic]} {topic}' for topic in OUTPUTS)}")
    for name, cpu in zip(("pcan_tracker", "pcan_lifter"), spent, strict=True):
        share = 100 * cpu / length
        print(f"{name}: {1000 * cpu / images:.0f} ms of processor time an image, {share:.0f} % of a core")


def _write(folder: Path, records: Sequence[Record], kinds: dict[str, str], types: Any) -> None:
    """Write a bag of the topics whose types are known."""
    known = {topic: kind for topic, kind in kinds.items() if kind in types.types}
    with bag_writer(folder) as writer:
        connections = {t: writer.add_connection(t, kind, typestore=types) for t, kind in known.items()}
        for topic, stamp, raw in records:
            if topic in connections:
                writer.write(connections[topic], stamp, bytes(raw))
    print(f"written: {folder}, without {', '.join(sorted({*kinds} - {*known})) or 'none'}")


def _options() -> argparse.Namespace:
    form = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=form)
    parser.add_argument("bag", type=Path, help="bag of a drive with geometry")
    parser.add_argument("--points", default="", help="topic of the lidar (default: the depth image)")
    parser.add_argument("--rate", type=float, default=1.0, help="pace (default: %(default)s)")
    parser.add_argument("--model", type=Path, default=default_model(), help="folder of an exported model")
    parser.add_argument("--size", default="384x640", help="input size (default: %(default)s)")
    parser.add_argument("--record", type=Path, help="bag to write")
    parser.add_argument("--domain", type=int, default=78, help="DDS domain (default: %(default)s)")
    return parser.parse_args()


if __name__ == "__main__":
    main()
