"""Repeated incidents of cameras and of the node on a robot; the node must recover from all."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from builtin_interfaces.msg import Time
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import Image

from benchmarks.reliability.cameras import Cameras, pictures, running
from benchmarks.reliability.measures import Readings

SIZES = ((64, 96), (48, 64), (120, 200), (64, 96))  # height, width
JUMPS = (-500.0, 400.0)  # seconds
TIMEOUT = 20.0  # seconds for an answer
CYCLE = (
    Transition.TRANSITION_DEACTIVATE,
    Transition.TRANSITION_CLEANUP,
    Transition.TRANSITION_CONFIGURE,
    Transition.TRANSITION_ACTIVATE,
)


@dataclass(frozen=True, slots=True)
class Outcome:
    """Result of many repetitions."""

    rounds: int
    answered: int  # images tracked
    expected: int
    waits: tuple[float, ...]  # seconds from sending to the answer
    readings: Readings
    code: int  # that the node ended with
    log: str  # the node's log


class Exchange:
    """Sends an image of one camera and waits for its tracks."""

    def __init__(self, cameras: Cameras, alive: Callable[[], bool]) -> None:
        self._cameras, self._alive = cameras, alive
        self.answered = self.expected = 0
        self.waits: list[float] = []

    def __call__(self, message: Image, *, again: float = 0.0) -> None:
        """Wait for the tracks; sends the image again every `again` seconds unless that is 0."""
        self.expected += 1
        before, began = len(self._cameras.latencies), time.monotonic()
        while time.monotonic() - began < TIMEOUT and self._alive():
            self._cameras.publishers[0].publish(message)
            if self._cameras.until(lambda: len(self._cameras.latencies) > before, again or TIMEOUT):
                self.answered += 1
                self.waits.append(time.monotonic() - began)
                return


def changing(
    model: Path, rounds: int, *, incidents: tuple[str, ...] = ("vanish", "jump", "size", "clock")
) -> Outcome:
    """In turn: a camera disappears and returns, stamps and the ROS clock jump, images change."""
    with running(model, use_sim_time=True, status_period=0.5) as (process, cameras):
        clock = cameras.node.create_publisher(Clock, "/clock", 10)
        cameras.until(clock.get_subscription_count)
        exchange, readings, now = Exchange(cameras, process.alive), Readings(process.pid), 1e6
        for number in range(rounds):
            for name in incidents:
                now = INCIDENTS[name](cameras, exchange, lambda t: clock.publish(Clock(clock=stamp(t))), now)
            if process.alive():
                readings.take(number)
        code = process.stop()
        log = process.log()
    return Outcome(rounds, exchange.answered, exchange.expected, tuple(exchange.waits), readings, code, log)


Tick = Callable[[float], Any]


def _vanish(cameras: Cameras, exchange: Exchange, tick: Tick, now: float) -> float:
    """Remove the publisher and create it again."""
    exchange(picture(now))
    cameras.vanish(0)
    cameras.listen(0.2)
    cameras.come_back(0)
    exchange(picture(now + 1), again=0.1)  # what is sent before it is found again is lost, as on a robot
    return now + 1


def _jump(cameras: Cameras, exchange: Exchange, tick: Tick, now: float) -> float:
    for jump in JUMPS:
        now += jump
        exchange(picture(now))
        exchange(picture(now + 0.1))
    return now + 0.1


def _size(cameras: Cameras, exchange: Exchange, tick: Tick, now: float) -> float:
    for step, (height, width) in enumerate(SIZES):
        exchange(picture(now + step / 10, height=height, width=width, encoding=("rgb8", "bgr8")[step % 2]))
    return now + 1


def _clock(cameras: Cameras, exchange: Exchange, tick: Tick, now: float) -> float:
    """Set the ROS clock ahead and back, as a looping bag does."""
    tick(-5.0)  # refused by ROS itself
    for time_of_clock in (now, now + 5, now - 300, now):
        tick(time_of_clock)
        exchange(picture(time_of_clock))
    return now


INCIDENTS = {"vanish": _vanish, "jump": _jump, "size": _size, "clock": _clock}


def picture(seconds: float, *, height: int = 64, width: int = 96, encoding: str = "rgb8") -> Image:
    """Return an image with a stamp."""
    message = pictures(1, height, width, encoding)[0]
    message.header.stamp = stamp(seconds)
    return message


def stamp(seconds: float) -> Time:
    """Return a ROS time."""
    return Time(sec=int(seconds), nanosec=int(seconds % 1 * 1e9))


def lifecycle(model: Path, cycles: int) -> Outcome:
    """Cycle the node through unconfigured and active, with an image in every tenth cycle."""
    with running(model) as (process, cameras):
        exchange, readings = Exchange(cameras, process.alive), Readings(process.pid)
        caller = cameras.node.create_client(ChangeState, "/pcan_tracker/change_state")
        cameras.until(caller.service_is_ready)
        for number in range(cycles):
            for transition in CYCLE:
                _change(cameras, caller, transition)
            if number % max(1, cycles // 100) == 0:
                exchange(picture(1000.0 + number), again=0.1)
                readings.take(number)
        code = process.stop()
        log = process.log()
    return Outcome(cycles, exchange.answered, exchange.expected, tuple(exchange.waits), readings, code, log)


def _change(cameras: Cameras, caller: Any, transition: int) -> None:
    request = ChangeState.Request()
    request.transition.id = transition
    future = caller.call_async(request)
    if not cameras.until(future.done) or not future.result().success:
        raise RuntimeError(f"transition {transition} did not succeed")
