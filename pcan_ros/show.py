"""Commands and arguments of `show.launch.py`, which plays a bag, tracks it and displays the result."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pcan_model.core.errors import UserError
from pcan_model.data.bags.files import ImageBag
from pcan_model.data.bags.reading import Bag

CAMERA = "/camera/image"  # topic that the bag's images are remapped to; config/foxglove_layout.json uses it
SUFFIX = "/compressed"
LAYOUT = "config/foxglove_layout.json"
VIEWS = ("rviz", "foxglove", "none")
PACKAGES = {  # part: ROS package that it requires
    "play": "ros2bag",
    "rviz": "rviz2",
    "foxglove": "foxglove_bridge",
}


class ShowError(UserError, ValueError):
    """An invalid launch argument."""


@dataclass(frozen=True, slots=True)
class ShownBag:
    """A bag and the form of its images."""

    path: Path
    topic: str  # of the images
    compressed: bool
    has_clock: bool


def read_bag(path: Path, topic: str = "") -> ShownBag:
    """Inspect a bag; raises BagError if it has no images, or none on the given topic."""
    images = ImageBag(path, topic)
    with Bag(path) as bag:
        has_clock = any(connection.topic == "/clock" for connection in bag.connections)
    return ShownBag(path, images.topic, images.compressed, has_clock)


def tracker_arguments(bag: ShownBag, *, playing: bool) -> dict[str, str]:
    """Return the arguments of tracker.launch.py; it uses the bag's time if the launch file plays the bag."""
    return {
        "cameras": CAMERA if playing else bag.topic.removesuffix(SUFFIX),
        "compressed": str(bag.compressed).lower(),
        "reliability": "reliable",
        "use_sim_time": str(playing).lower(),
    }


def play_command(bag: ShownBag, rate: str, loop: str) -> list[str]:
    """Return the command that plays a bag; rate and loop are launch arguments, as text."""
    target = CAMERA + SUFFIX if bag.compressed else CAMERA
    command = ["ros2", "bag", "play", str(bag.path), "--rate", str(_positive(rate))]
    command += [] if bag.has_clock else ["--clock"]
    command += ["--loop"] if _boolean(loop) else []
    return [*command, "--remap", f"{bag.topic}:={target}"]


def view_of(text: str) -> str:
    """Return the viewer; raises ShowError unless it is one of VIEWS."""
    if text not in VIEWS:
        raise ShowError(f"view: expected one of {', '.join(VIEWS)}; got {text}")
    return text


def missing_reason(part: str) -> str | None:
    """Return why a part is skipped, or None if its package is installed."""
    package = PACKAGES[part]
    if installed(package):
        return None
    name = f"ros-$ROS_DISTRO-{package.replace('_', '-')}"
    return f"{part} is skipped: {package} is not installed: sudo apt-get install {name}"


def installed(package: str) -> bool:
    """Return whether a ROS package is installed."""
    from ament_index_python.packages import PackageNotFoundError, get_package_prefix

    try:
        get_package_prefix(package)
    except (PackageNotFoundError, OSError):  # OSError: no AMENT_PREFIX_PATH
        return False
    return True


def _positive(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = 0.0
    if not 0 < number < float("inf"):
        raise ShowError(f"rate: expected a number above 0, got {text}")
    return number


def _boolean(text: str) -> bool:
    if text not in ("true", "false"):
        raise ShowError(f"loop: expected true or false, got {text}")
    return text == "true"
