"""Messages that ROS itself rejects are logged, and the node continues."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("rclpy")

from builtin_interfaces.msg import Time
from rosgraph_msgs.msg import Clock
from support.robot import image, robot
from support.squares import export_squares, pixels


def test_a_clock_and_a_stamp_below_zero_do_not_end_the_node(tmp_path: Path) -> None:
    squares = export_squares(tmp_path / "squares")
    with robot(squares, use_sim_time=True) as r:
        clock = r.client.node.create_publisher(Clock, "/clock", 10)
        r.until(clock.get_subscription_count, "listening to /clock")
        refused = "a message was rejected: Seconds value must not be negative"

        def said() -> bool:  # what is sent before the node is found is lost
            clock.publish(Clock(clock=Time(sec=-5)))
            return refused in r.process.log()

        r.until(said, "said")
        for k, sec in enumerate((3, -5, -(2**31), 2**31 - 1)):
            message = image(pixels({2: (5 + k, 10)}), 1.0)
            message.header.stamp.sec = sec
            reply = r.track(message)
            assert reply.header.stamp.sec == sec and len(reply.instances) == 1
        assert r.process.stop() == 0 and "Traceback" not in r.process.log()
