"""The node's own services: reset, enable, saving of parameters, and the choice of tracks."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from rclpy.node import Node
from std_srvs.srv import SetBool, Trigger

from pcan_ros.node.track_choice import ChoiceError
from pcan_ros.srv import TrackOnly


def add_services(
    node: Node, *, reset: Callable[[], bool], enable: Callable[[bool], None], save: Callable[[], Path]
) -> None:
    """Offer `~/reset`, `~/save_parameters` (std_srvs/Trigger) and `~/enable` (std_srvs/SetBool).

    reset   resets the tracks of all cameras; returns whether the node is active
    enable  processes images from now on, or ignores them
    save    writes the parameters; returns the file
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

    def on_save(_: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        """Write what has been set into a file."""
        try:
            response.message, response.success = f"written: {save()}", True
        except OSError as error:
            response.message, response.success = f"parameters_file: not written: {error}", False
        return response

    node.create_service(Trigger, "~/reset", on_reset)
    node.create_service(SetBool, "~/enable", on_enable)
    node.create_service(Trigger, "~/save_parameters", on_save)


def add_track_only(node: Node, prefix: str, choose: Callable[[Iterable[int]], frozenset[int]]) -> Any:
    """Offer a camera's `track_only` (pcan_ros/TrackOnly); returns the service.

    choose  publishes the tracks of these ids only, or all; raises ChoiceError
    """

    def on_choice(request: TrackOnly.Request, response: TrackOnly.Response) -> TrackOnly.Response:
        """Publish the chosen tracks only."""
        try:
            chosen = choose(request.track_ids)
        except ChoiceError as error:
            response.message, response.success = str(error), False
            return response
        ids = ", ".join(map(str, sorted(chosen)))
        response.message, response.success = f"published: {ids or 'all tracks'}", True
        return response

    return node.create_service(TrackOnly, f"{prefix}/track_only", on_choice)
