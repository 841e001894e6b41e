"""`python -m support.shared_memory PUBLISHERS COUNT`: big images between processes, best effort.

Prints how many of COUNT 720p images arrived in a process of its own while PUBLISHERS processes had their
participants open, one of them publishing. Meant to be run where /dev/shm is as small as in a container.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable

import rclpy
from rclpy.node import Node
from rclpy.qos import QoSProfile, QoSReliabilityPolicy
from sensor_msgs.msg import Image

TOPIC = "/shared_memory_test/image"
BEST_EFFORT = QoSProfile(depth=5, reliability=QoSReliabilityPolicy.BEST_EFFORT)
RATE = 20.0  # images per second
PATIENCE = 30.0  # seconds


def spin_until(node: Node, done: Callable[[], bool], patience: float) -> bool:
    """Spin until a condition holds; returns whether it does."""
    end = time.monotonic() + patience
    while not done() and time.monotonic() < end:
        rclpy.spin_once(node, timeout_sec=0.05)
    return done()


def publish(count: int) -> None:
    """Publish images once there is a subscriber."""
    node = rclpy.create_node("camera")
    publisher = node.create_publisher(Image, TOPIC, BEST_EFFORT)
    image = Image(height=720, width=1280, step=3840, encoding="rgb8", data=bytes(720 * 3840))
    spin_until(node, lambda: publisher.get_subscription_count() > 0, PATIENCE)
    for _ in range(count):
        publisher.publish(image)
        spin_until(node, lambda: False, 1 / RATE)


def listen(participants: int, count: int) -> int:
    """Return how many images arrive."""
    node = rclpy.create_node("listener")
    arrived: list[None] = []
    node.create_subscription(Image, TOPIC, lambda _: arrived.append(None), BEST_EFFORT)
    idle = [_start("idle", count) for _ in range(participants - 1)]
    spin_until(node, lambda: False, 1.0 * participants)  # their memory is taken before the camera's
    camera = _start("publish", count)
    spin_until(node, lambda: camera.poll() is not None, PATIENCE + count / RATE)
    for process in idle:
        process.kill()
        process.wait()
    return len(arrived)


def _start(role: str, count: int) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-m", "support.shared_memory", role, str(count)])


def main() -> None:
    """Run one role."""
    role, count = sys.argv[1], int(sys.argv[2])
    rclpy.init()
    if role == "publish":
        publish(count)
    elif role == "idle":
        spin_until(rclpy.create_node("idle"), lambda: False, 600.0)
    else:
        print("arrived:", listen(int(role), count))


if __name__ == "__main__":
    main()
