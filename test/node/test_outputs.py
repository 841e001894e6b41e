"""Tracks as messages of other packages, and their topics over DDS."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import cv2
import numpy as np
import pytest

pytest.importorskip("rclpy")

from builtin_interfaces.msg import Time
from rclpy.qos import QoSDurabilityPolicy, QoSProfile
from sensor_msgs.msg import CompressedImage
from std_msgs.msg import Header
from support.robot import image, robot
from support.squares import export_squares, pixels
from visualization_msgs.msg import ImageMarker

from pcan_model.core.structures import EMPTY_MASK, Mask, TrackedInstance, Tracks, TrackState
from pcan_model.tracking.pace import Pace
from pcan_ros.node import outputs
from pcan_ros.node.outputs import KINDS, Outputs, message_type, missing_packages
from pcan_ros.node.outputs_foxglove import to_annotations
from pcan_ros.node.outputs_images import to_jpeg
from pcan_ros.node.outputs_markers import to_image_marker
from pcan_ros.node.outputs_vision import to_detections, to_label_info
from pcan_ros.node.parameters import Settings
from pcan_ros.node.pipeline import FrameResult
from pcan_ros.node.throttle import Throttle

ROOT = Path(__file__).resolve().parents[2]
CAR, PERSON = 2, 0
HEADER = Header(stamp=Time(sec=7, nanosec=5), frame_id="front")
CLASSES = ("pedestrian", "rider", "car")
LATCHED = QoSProfile(depth=1, durability=QoSDurabilityPolicy.TRANSIENT_LOCAL)


def instance(
    track_id: int, box: tuple[float, float, float, float], mask: Mask, *, label: int = 2
) -> TrackedInstance:
    return TrackedInstance(
        track_id=track_id, uuid=UUID(int=track_id), state=TrackState.TRACKED, age=3, time_since_update=0,
        label=label, score=0.75, box=np.array(box, np.float32), velocity=np.zeros(2, np.float32), mask=mask,
    )  # fmt: skip


def tracks(*instances: TrackedInstance) -> Tracks:
    return Tracks(7.0, 100, 200, 0, instances)


SQUARE = instance(4, (10, 20, 18, 26), Mask(10, 20, np.ones((6, 8), np.uint8)))
BARE = instance(9, (50, 60, 70, 90), EMPTY_MASK, label=0)


def lost(one: TrackedInstance) -> TrackedInstance:
    fields = {name: getattr(one, name) for name in one.__dataclass_fields__}
    return TrackedInstance(**{**fields, "track_id": 77, "state": TrackState.LOST})


@pytest.mark.usefixtures("message_packages")
def test_detections_have_the_tracks_id_class_score_and_box() -> None:
    message = to_detections(tracks(SQUARE, lost(SQUARE)), HEADER)
    (one,) = message.detections
    assert message.header == one.header == HEADER
    assert (one.id, one.results[0].hypothesis.class_id) == ("4", "2")
    assert one.results[0].hypothesis.score == 0.75
    centre = one.bbox.center.position
    assert (centre.x, centre.y, one.bbox.size_x, one.bbox.size_y) == (14, 23, 8, 6)


@pytest.mark.usefixtures("message_packages")
def test_label_info_names_the_classes_that_detections_number() -> None:
    message = to_label_info(CLASSES, 0.25, HEADER)
    assert [(each.class_id, each.class_name) for each in message.class_map] == list(enumerate(CLASSES))
    assert message.threshold == 0.25


@pytest.mark.usefixtures("message_packages")
def test_annotations_are_filled_loops_along_the_masks_with_labels() -> None:
    message = to_annotations(tracks(SQUARE, BARE), HEADER, CLASSES)
    loop, box = message.points
    assert loop.type == loop.LINE_LOOP and loop.timestamp == HEADER.stamp
    assert {(p.x, p.y) for p in loop.points} == {(10.5, 20.5), (17.5, 20.5), (17.5, 25.5), (10.5, 25.5)}
    assert 0 < loop.fill_color.a < loop.outline_color.a == 1
    assert {(p.x, p.y) for p in box.points} == {(50.5, 60.5), (70.5, 60.5), (70.5, 90.5), (50.5, 90.5)}
    assert [text.text for text in message.texts] == ["car 4 .75", "pedestrian 9 .75"]
    assert (message.texts[0].position.x, message.texts[0].position.y) == (10, 20)


@pytest.mark.usefixtures("message_packages")
def test_a_loop_follows_its_mask_within_two_pixels_and_has_few_corners() -> None:
    disc = cv2.circle(np.zeros((61, 61), np.uint8), (30, 30), 30, 1, -1)
    message = to_annotations(tracks(instance(1, (5, 5, 66, 66), Mask(5, 5, disc))), HEADER, CLASSES)
    (loop,) = message.points
    distances = [np.hypot(p.x - 35.5, p.y - 35.5) for p in loop.points]
    assert len(distances) < 40 and min(distances) > 28 and max(distances) < 32


def test_the_outlines_of_all_objects_are_one_marker_of_lines_in_their_colours() -> None:
    marker = to_image_marker(tracks(SQUARE, BARE), HEADER)
    assert (marker.type, marker.header) == (ImageMarker.LINE_LIST, HEADER)
    assert len(marker.points) == 2 * len(marker.outline_colors) == 16
    assert len({(c.r, c.g, c.b) for c in marker.outline_colors}) == 2
    lines = [(a.x, a.y, b.x, b.y) for a, b in zip(marker.points[::2], marker.points[1::2], strict=True)]
    assert all(x1 == x2 or y1 == y2 for x1, y1, x2, y2 in lines), "the sides of rectangles"


def test_a_higher_jpeg_quality_takes_more_bytes() -> None:
    picture = pixels({CAR: (16, 16), PERSON: (48, 32)})[..., ::-1] + np.random.default_rng(0).integers(
        0, 20, (64, 96, 1), np.uint8
    )
    good, bad = (to_jpeg(picture, quality, HEADER) for quality in (95, 10))
    assert good.format == "bgr8; jpeg compressed bgr8" and good.header == HEADER
    assert len(bad.data) < len(good.data) / 2
    again = cv2.imdecode(np.frombuffer(good.data, np.uint8), cv2.IMREAD_COLOR)
    assert np.abs(again.astype(int) - picture).mean() < 4


@pytest.mark.usefixtures("message_packages")
def test_outputs_with_installed_packages_are_published() -> None:
    assert missing_packages() == {}


def test_a_missing_package_is_reported_with_its_topics(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        outputs, "KINDS", {"detections": "no_such_msgs/Array", "overlay": "sensor_msgs/Image"}
    )
    assert missing_packages() == {"no_such_msgs": ["detections"]}
    assert message_type("sensor_msgs/Image").__name__ == "Image"


def test_an_error_in_one_output_does_not_affect_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_: object) -> Any:
        raise AttributeError("another version of the package")

    said: list[str] = []
    monkeypatch.setattr(outputs, "OUTPUTS", (outputs.Output("overlay", "sensor_msgs/Image", broken),))
    node: Any = Node(said)
    camera = Outputs(node, "~", CLASSES, Throttle())
    result: Any = FrameResult(0, HEADER, np.zeros((9, 9, 3), np.uint8), tracks(SQUARE), 0.0, 0.0, 0.0, Pace())
    camera.publish_others(camera.publish_tracks(result, Settings()))
    assert len(said) == 1 and said[0].startswith("~/overlay: not created: AttributeError('another version")
    assert node.sent["~/tracks"] and "~/overlay" not in node.sent


class Node:
    """Takes what is published."""

    def __init__(self, said: list[str]) -> None:
        self.sent: dict[str, list[Any]] = {}
        self.get_logger = lambda: SimpleNamespace(warning=said.append)
        self.resolve_topic_name = lambda topic: topic
        self.create_service = lambda kind, name, call: SimpleNamespace(kind=kind, name=name, call=call)

    def create_publisher(self, _: Any, topic: str, *__: Any, **___: Any) -> Any:
        return SimpleNamespace(
            topic_name=topic,
            get_subscription_count=lambda: 1,
            publish=lambda message: self.sent.setdefault(topic, []).append(message),
        )


def test_every_topic_is_documented_with_its_type() -> None:
    page = (ROOT / "docs/reference/topics.md").read_text()
    for topic, kind in KINDS.items():
        row = next((line for line in page.splitlines() if line.startswith(f"| `~/{topic}` |")), "")
        assert f"`{kind}`" in row, f"~/{topic} {kind}"


@pytest.fixture(scope="module")
def squares(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return export_squares(tmp_path_factory.mktemp("squares"))


def test_over_dds_every_output_has_the_header_of_the_image(
    squares: Path, message_packages: dict[str, str]
) -> None:
    from foxglove_msgs.msg import ImageAnnotations
    from vision_msgs.msg import Detection2DArray, LabelInfo

    with robot(squares, environment=message_packages) as r:
        r.track(image(pixels({CAR: (5, 10), PERSON: (60, 20)}), 1.0))
        detections = r.collect(Detection2DArray, "/pcan_tracker/detections")
        annotations = r.collect(ImageAnnotations, "/pcan_tracker/annotations")
        markers = r.collect(ImageMarker, "/pcan_tracker/outlines")
        pictures = r.collect(CompressedImage, "/pcan_tracker/overlay/compressed")
        labels = r.collect(LabelInfo, "/pcan_tracker/label_info", LATCHED)
        r.until(lambda: labels, "latched classes")
        r.client.idle(0.5)
        r.track(image(pixels({CAR: (7, 10), PERSON: (60, 21)}), 2.0, frame="front"))
        r.until(lambda: detections and annotations and markers and pictures, "published")
        for message in (detections[0], markers[0], pictures[0]):
            assert (message.header.stamp.sec, message.header.frame_id) == (2, "front")
        names = {each.class_id: each.class_name for each in labels[0].class_map}
        found = {(d.id, names[int(d.results[0].hypothesis.class_id)]) for d in detections[0].detections}
        assert found == {("1", "car"), ("2", "pedestrian")}
        assert len(annotations[0].points) == len(annotations[0].texts) == 2
        assert annotations[0].texts[0].timestamp.sec == 2
        assert len(markers[0].points) == 16
        picture = cv2.imdecode(np.frombuffer(pictures[0].data, np.uint8), cv2.IMREAD_COLOR)
        assert picture.shape == (64, 96, 3)
        assert "not installed" not in r.process.log() and "WARN" not in r.process.log()


def test_without_the_packages_the_node_logs_the_missing_topics(squares: Path) -> None:
    with robot(squares) as r:
        r.track(image(pixels({CAR: (5, 10)}), 1.0))
        topics = dict(r.client.node.get_topic_names_and_types())
        assert "/pcan_tracker/overlay/compressed" in topics
        if "/pcan_tracker/detections" in topics:
            pytest.skip("vision_msgs is installed")
        assert "vision_msgs is not installed; not published: detections, label_info" in r.process.log()
