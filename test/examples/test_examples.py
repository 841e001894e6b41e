"""The examples run as they are: on stand-ins where a distribution's package is not installed."""

from __future__ import annotations

import importlib.util
import re
import runpy
import sys
import threading
import time
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

pytest.importorskip("rclpy")

import rclpy
from sensor_msgs.msg import Image
from std_msgs.msg import UInt32
from support.domains import new_domain
from support.robot import PATIENCE, image
from support.squares import export_squares, pixels

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = ROOT / "examples"
CAR, PEDESTRIAN = 2, 0


def load(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, EXAMPLES / f"{name}.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def stand_in(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """Put a stand-in where a package is not installed."""
    if importlib.util.find_spec(name) is None:
        monkeypatch.setitem(sys.modules, name, importlib.import_module(f"support.{name}_stand_in"))


@pytest.fixture
def tracked(tmp_path: Path) -> Any:
    """Return an image message of a car, and the message of its tracks."""
    from pcan_model.core.engine import Engine
    from pcan_model.core.masks import Encoding
    from pcan_model.core.structures import Frame
    from pcan_model.inference.onnx_engine import OnnxEngine
    from pcan_model.tracking.tracker import Tracker
    from pcan_ros.messages import to_tracks

    engine: Engine = OnnxEngine(export_squares(tmp_path / "squares"))
    scene, tracker = pixels({CAR: (5, 10)}), Tracker(engine)
    _, tracks = tracker.step(tracker.start(), Frame(scene, 1.0))
    message = image(scene, 1.0)
    return message, to_tracks(tracks, message.header, engine.config.classes, encoding=Encoding.RLE_COCO)


def test_an_image_is_painted_with_its_own_tracks(monkeypatch: pytest.MonkeyPatch, tracked: Any) -> None:
    for name in ("message_filters", "cv_bridge"):
        stand_in(monkeypatch, name)
    rclpy.init(domain_id=new_domain())
    try:
        node = load("image_with_tracks").ImageWithTracks()
        painted: list[Image] = []
        monkeypatch.setattr(node._publisher, "publish", painted.append, raising=False)
        message, tracks = tracked
        node.paint(message, tracks)
        topics = {topic for topic, _ in node.get_topic_names_and_types()}
        assert {"/image", "/tracks", "/painted"} <= topics
    finally:
        rclpy.try_shutdown()
    assert painted[0].header == message.header and painted[0].encoding == "bgr8"
    shown = np.ndarray((painted[0].height, painted[0].width, 3), np.uint8, bytes(painted[0].data))
    inside = shown[24, 7]  # of the car's lower left part, where no letters are
    assert len(tracks.instances) == 1 and tuple(inside) == (0, 0, 255)


def test_the_tracker_and_another_node_share_a_process(tmp_path: Path) -> None:
    from rclpy.context import Context
    from rclpy.parameter import Parameter

    example = load("one_process")
    context, domain = Context(), new_domain()
    rclpy.init(context=context, domain_id=domain)
    given = {"model": str(export_squares(tmp_path / "squares")), "threads": 1}
    overrides = [Parameter(name, value=value) for name, value in given.items()]
    tracker = example.TrackerNode(context=context, parameter_overrides=overrides)
    counter = example.Counter(context=context)
    counts: list[int] = []
    counter.create_subscription(UInt32, "/counter/count", lambda message: counts.append(message.data), 10)
    publisher = counter.create_publisher(Image, "/pcan_tracker/image", 1)
    scene, end = pixels({CAR: (5, 10), PEDESTRIAN: (60, 20)}), time.monotonic() + PATIENCE
    thread = threading.Thread(target=example.spin, args=(tracker, counter))
    thread.start()
    stamp = 1.0
    while not counts and time.monotonic() < end:
        publisher.publish(image(scene, stamp))
        stamp += 0.1
        time.sleep(0.1)
    context.try_shutdown()
    thread.join(PATIENCE)
    assert not thread.is_alive() and counts and set(counts) == {2}


def test_two_trackers_have_arguments_of_their_own() -> None:
    pytest.importorskip("launch_ros", reason="launch comes with a ROS 2 distribution")
    description = runpy.run_path(str(EXAMPLES / "two_trackers.launch.py"))["generate_launch_description"]()
    names = [entity.name for entity in description.entities if hasattr(entity, "default_value")]
    assert names == [
        f"{side}_{name}" for side in ("front", "rear") for name in ("cameras", "threads", "classes")
    ]


def test_the_launched_trackers_are_given_arguments_that_the_launch_file_has() -> None:
    from pcan_ros.launch_arguments import NAMES

    text = (EXAMPLES / "two_trackers.launch.py").read_text()
    offered = set(re.findall(r'"(\w+)": "', text))
    assert offered == {"cameras", "threads", "classes"} and offered <= set(NAMES)
    assert "GroupAction([include], scoped=True)" in text


def test_every_example_is_listed() -> None:
    names = {path.name for path in EXAMPLES.iterdir()} - {"README.md", "__pycache__"}
    listed = set(re.findall(r"^\| \[(.+?)\]\(\1\)", (EXAMPLES / "README.md").read_text(), re.MULTILINE))
    assert listed == names
