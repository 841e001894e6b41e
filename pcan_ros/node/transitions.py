"""Lifecycle transitions that log their errors."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar

from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn

from pcan_model.inference.errors import BuildStopped, UnrecoverableError

Self = TypeVar("Self", bound=LifecycleNode)


def reported(
    transition: Callable[[Self], None],
) -> Callable[[Self, LifecycleState], TransitionCallbackReturn]:
    """Log an exception of a transition and return FAILURE; rclpy discards it silently."""

    @wraps(transition)
    def run(self: Self, state: LifecycleState) -> TransitionCallbackReturn:
        try:
            transition(self)
        except BuildStopped as error:
            self.get_logger().info(f"{transition.__name__}: {error}")
            return TransitionCallbackReturn.FAILURE
        except Exception as error:  # the node survives any error
            expected = isinstance(error, (ValueError, OSError, UnrecoverableError))
            self.get_logger().error(f"{transition.__name__}: {error if expected else traceback.format_exc()}")
            return TransitionCallbackReturn.FAILURE
        return TransitionCallbackReturn.SUCCESS

    return run


def reject_invalid(node: LifecycleNode) -> None:
    """Reject requests for transitions that the present state does not allow.

    Up to Jazzy, rclpy raises an exception out of the executor, which ends the node.
    """
    service = node._service_change_state
    change = service.callback

    def guarded(request: Any, response: Any) -> Any:
        try:
            return change(request, response)
        except RuntimeError as error:  # rcl's
            node.get_logger().error(f"transition rejected: {error}")
            response.success = False
            return response

    service.callback = guarded
