"""The node's own services: reset and enable."""

from __future__ import annotations

from typing import TYPE_CHECKING

from std_srvs.srv import SetBool, Trigger

if TYPE_CHECKING:
    from pcan_ros.node.node import TrackerNode


def add_services(node: TrackerNode) -> None:
    """Offer `~/reset` (std_srvs/Trigger) and `~/enable` (std_srvs/SetBool)."""

    def reset(_: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        """Forget all tracks of all cameras."""
        response.success = node.pipeline is not None
        response.message = "tracks are reset" if response.success else "not active: there are no tracks"
        if node.pipeline is not None:
            node.pipeline.reset()
        return response

    def enable(request: SetBool.Request, response: SetBool.Response) -> SetBool.Response:
        """Take images or ignore them, also the one that waits; tracking starts anew when enabled again."""
        changed, node.enabled = request.data != node.enabled, request.data
        if changed and node.pipeline is not None:
            node.pipeline.reset()
            node.pipeline.mailbox.clear()
        response.success = True
        response.message = "enabled" if request.data else "disabled: images are ignored"
        return response

    node.create_service(Trigger, "~/reset", reset)
    node.create_service(SetBool, "~/enable", enable)
