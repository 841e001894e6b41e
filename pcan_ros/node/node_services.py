"""The node's own services: reset and enable."""

from __future__ import annotations

from collections.abc import Callable

from rclpy.node import Node
from std_srvs.srv import SetBool, Trigger


def add_services(node: Node, *, reset: Callable[[], bool], enable: Callable[[bool], None]) -> None:
    """Offer `~/reset` (std_srvs/Trigger) and `~/enable` (std_srvs/SetBool).

    reset   resets the tracks of all cameras; returns whether the node is active
    enable  processes images from now on, or ignores them
    """

    def on_reset(_: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        """Reset the tracks of all cameras."""
        response.success = reset()
        response.message = "tracks are reset" if response.success else "not active: there are no tracks"
        return response

    def on_enable(request: SetBool.Request, response: SetBool.Response) -> SetBool.Response:
        """Process or ignore images."""
        enable(request.data)
        response.success = True
        response.message = "enabled" if request.data else "disabled: images are ignored"
        return response

    node.create_service(Trigger, "~/reset", on_reset)
    node.create_service(SetBool, "~/enable", on_enable)
