"""A node under test in its own process and DDS domain, and its client."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from builtin_interfaces.msg import Time
from lifecycle_msgs.srv import ChangeState, GetState
from numpy.typing import NDArray
from rcl_interfaces.msg import Parameter as ParameterMessage
from rcl_interfaces.msg import ParameterValue
from rcl_interfaces.srv import SetParameters
from rclpy.qos import QoSProfile
from sensor_msgs.msg import Image
from std_msgs.msg import Header
from support.domains import new_domain

from pcan_ros.client.client import Client
from pcan_ros.client.process import NodeProcess
from pcan_ros.environment import profile_settings
from pcan_ros.messages import to_image

PATIENCE = 40.0  # seconds for whatever should happen at once, on a busy machine, or after building an engine
# The tests' own side needs the profile too; Fast DDS reads it when the first node is made.
os.environ.update(profile_settings(os.environ))


def image(pixels: NDArray[np.uint8], stamp: float, *, encoding: str = "rgb8", frame: str = "camera") -> Image:
    """Return an image as an Image message."""
    second = int(stamp)
    header = Header(stamp=Time(sec=second, nanosec=round((stamp - second) * 1e9)), frame_id=frame)
    return to_image(pixels, encoding, header)


class Robot:
    """The node's process and a client of it."""

    def __init__(self, process: NodeProcess, client: Client, domain: int) -> None:
        self.process, self.client, self.domain = process, client, domain

    def track(self, message: Image) -> Any:
        """Send an image and return its tracks."""
        reply = self.client.exchange(message, PATIENCE, self.process.alive)
        assert reply is not None, f"no tracks came back; the node says:\n{self.process.log()}"
        return reply.message

    def until(self, done: Callable[[], Any], what: str) -> None:
        """Wait until a condition holds."""
        assert self.client.wait(done, PATIENCE, self.process.alive), f"not {what}:\n{self.process.log()}"

    def call(self, kind: Any, name: str, request: Any) -> Any:
        """Call a service of the node."""
        caller = self.client.node.create_client(kind, f"/pcan_tracker/{name}")
        assert self.client.wait(caller.service_is_ready, PATIENCE, self.process.alive), f"no service {name}"
        future = caller.call_async(request)
        self.until(future.done, f"answered by {name}")
        return future.result()

    def state(self) -> str:
        return str(self.call(GetState, "get_state", GetState.Request()).current_state.label)

    def change_state(self, transition: int) -> bool:
        request = ChangeState.Request()
        request.transition.id = transition
        return bool(self.call(ChangeState, "change_state", request).success)

    def set_parameter(self, name: str, value: ParameterValue) -> Any:
        request = SetParameters.Request(parameters=[ParameterMessage(name=name, value=value)])
        return self.call(SetParameters, "set_parameters", request).results[0]

    def collect(self, kind: Any, topic: str, quality: QoSProfile | int = 10) -> list[Any]:
        """Subscribe to a topic and return the list to which its messages are appended."""
        messages: list[Any] = []
        self.client.node.create_subscription(kind, topic, messages.append, quality)
        return messages


@contextmanager
def robot(
    model: Path,
    /,
    *,
    connect: bool = True,
    reliable: bool = True,
    environment: dict[str, str] | None = None,
    **parameters: Any,
) -> Iterator[Robot]:
    """Start the node on a model and yield it, active; parameters' names use __ for a dot."""
    domain = new_domain()
    given = {name.replace("__", "."): value for name, value in parameters.items()}
    given = {"model": str(model), "reliability": "reliable", "threads": 1, **given}
    outputs = "/pcan_tracker" if len(given.get("cameras", "1")) == 1 else "/pcan_tracker/camera0"
    topic = given["cameras"][0] if "cameras" in given else "/pcan_tracker/image"
    compressed = bool(given.get("compressed", False))
    with (
        NodeProcess(given, {"ROS_DOMAIN_ID": str(domain)} | (environment or {})) as process,
        Client(
            image_topic=topic, outputs=outputs, compressed=compressed, reliable=reliable, domain=domain
        ) as client,
    ):
        if connect:
            client.find_node(PATIENCE, process.alive)
        yield Robot(process, client, domain)
