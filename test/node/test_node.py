"""The node as a process, over DDS."""

from __future__ import annotations

import json
import time
from pathlib import Path

import cv2
import numpy as np
import pytest

pytest.importorskip("rclpy")

from diagnostic_msgs.msg import DiagnosticArray
from lifecycle_msgs.msg import Transition
from rcl_interfaces.msg import ParameterType, ParameterValue
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import CompressedImage, Image
from std_srvs.srv import SetBool, Trigger
from support.robot import PATIENCE, image, robot
from support.squares import export_squares, pixels

from pcan_model.core.masks import decode
from pcan_ros.client.client import Client

CAR, PERSON, BUS = 2, 0, 4


@pytest.fixture(scope="module")
def squares(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return export_squares(tmp_path_factory.mktemp("squares"))


def scene(step: int) -> np.ndarray:
    """Return an image in which a car moves right and a person down."""
    return pixels({CAR: (5 + 2 * step, 10), PERSON: (60, 20 + step)})


def test_every_image_gets_tracks_with_its_header_and_stable_ids(squares: Path) -> None:
    with robot(squares) as r:
        replies = [r.track(image(scene(i), 10 + i / 10, frame="front")) for i in range(4)]

        assert [a.frame_index for a in replies] == [0, 1, 2, 3]
        assert {a.header.frame_id for a in replies} == {"front"}
        assert [a.header.stamp.nanosec for a in replies] == [0, 100_000_000, 200_000_000, 300_000_000]
        names = {(i.track_id, i.class_name) for a in replies for i in a.instances}
        assert names == {(1, "car"), (2, "pedestrian")}
        assert len({bytes(i.uuid.uuid) for a in replies for i in a.instances}) == 2
        last = replies[-1]
        car = next(i for i in last.instances if i.class_name == "car")
        wanted = np.all(scene(3) == (255, 0, 0), axis=2)
        assert np.array_equal(decode(car.mask, last.image_height, last.image_width), wanted)
        assert r.process.stop() == 0, r.process.log()
        assert "Traceback" not in r.process.log()


def test_an_empty_image_gets_a_message_too(squares: Path) -> None:
    with robot(squares) as r:
        assert len(r.track(image(scene(0), 1.0)).instances) == 2
        empty = r.track(image(pixels({}), 1.1))
        assert not empty.instances and empty.frame_index == 1
        assert {i.track_id for i in r.track(image(scene(2), 1.2)).instances} == {1, 2}


def test_bad_images_are_reported_and_the_next_good_one_is_tracked(squares: Path) -> None:
    good = scene(0)
    bad = {name: image(good, 1.0) for name in ("encoding", "step", "data", "size")}
    bad["encoding"].encoding = "32FC1"
    bad["step"].step = 7
    bad["data"].data = bad["data"].data[:100]
    bad["size"].width = 0
    with robot(squares) as r:
        for name, message in bad.items():
            r.client.send(message)
            r.until(lambda name=name: f"image: {name}: expected" in r.process.log(), f"{name} reported")
        assert len(r.track(image(good, 2.0)).instances) == 2
        r.until(lambda: r.client.statuses and r.client.statuses[-1].frames_bad == 4, "four bad ones counted")
        assert r.process.log().count("encoding: expected") == 1


def test_a_jump_back_in_time_resets_the_tracks_and_is_logged(squares: Path) -> None:
    with robot(squares) as r:
        first = [r.track(image(scene(i), 100 + i)) for i in range(2)]
        again = r.track(image(scene(0), 100.0))
        assert again.frame_index == 0
        assert again.instances[0].track_id == 1
        assert bytes(again.instances[0].uuid.uuid) != bytes(first[0].instances[0].uuid.uuid)
        r.until(lambda: "time went back by 1.000 s" in r.process.log(), "said")


def test_a_seek_far_ahead_resets_the_tracks_and_a_pause_does_not(squares: Path) -> None:
    with robot(squares) as r:
        stamps = (100.0, 109.5, 109.6, 300.0, 300.1)
        said = [r.track(image(scene(i), stamp)) for i, stamp in enumerate(stamps)]
        assert [a.frame_index for a in said] == [0, 1, 2, 0, 1]
        names = [bytes(a.instances[0].uuid.uuid) for a in said]
        assert names[0] == names[2] != names[3] == names[4]
        r.until(lambda: "time jumped ahead by 190.400 s: tracks are reset" in r.process.log(), "said")


def test_with_simulated_time_a_looping_bag_resets_once_and_latency_is_on_its_clock(squares: Path) -> None:
    with robot(squares, use_sim_time=True) as r:
        clock = r.client.node.create_publisher(Clock, "/clock", 10)
        r.until(clock.get_subscription_count, "listening to /clock")
        reports = r.collect(DiagnosticArray, "/diagnostics")
        r.until(lambda: reports, "reporting though the clock stands still")
        loop = [50 + i / 10 for i in range(8)]
        for number in range(3):
            for step, stamp in enumerate(loop):
                now = image(scene(step), stamp + 0.02).header.stamp
                clock.publish(Clock(clock=now))
                reply = r.track(image(scene(step), stamp))
                assert reply.frame_index == step, f"round {number}"
        r.until(lambda: r.process.log().count("time went back by 0.700 s") == 2, "said twice")
        r.until(lambda: len(r.client.statuses) == 24, "a status for every image")
        late = [s.pipeline_latency for s in r.client.statuses]
        assert min(late) > -1.0 and max(late) < 1.0, "on the bag's clock, not the wall's"


def test_reset_and_enable(squares: Path) -> None:
    with robot(squares) as r:
        for i in range(2):
            r.track(image(scene(i), 1 + i))
        assert r.call(Trigger, "reset", Trigger.Request()).success
        assert r.track(image(scene(2), 3.0)).frame_index == 0
        assert r.call(SetBool, "enable", SetBool.Request(data=False)).success
        assert r.client.exchange(image(scene(3), 4.0), 1.0) is None
        assert r.call(SetBool, "enable", SetBool.Request(data=True)).success
        assert r.track(image(scene(4), 500.0)).frame_index == 0
        assert "time jumped" not in r.process.log()


def test_two_cameras_keep_their_tracks_apart(squares: Path) -> None:
    with (
        robot(squares, cameras=["/left/image", "/right/image"]) as left,
        Client(image_topic="/right/image", outputs="/pcan_tracker/camera1", domain=left.domain) as right,
    ):
        right.find_node(PATIENCE, left.process.alive)
        for i in range(3):
            a = left.track(image(scene(i), 1 + i / 10, frame="left"))
            reply = right.exchange(image(pixels({CAR: (70 - i, 40)}), 5.0 - i, frame="right"), PATIENCE)
            assert reply is not None
            assert (a.header.frame_id, reply.message.header.frame_id) == ("left", "right")
            assert a.frame_index == i, "the other camera's jumps are its own"
            assert reply.message.frame_index == 0
            assert [len(a.instances), len(reply.message.instances)] == [2, 1]


def test_a_camera_of_another_size_than_the_model_was_exported_for_makes_it_inactive(tmp_path: Path) -> None:
    folder = export_squares(tmp_path / "squares")
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["camera"] = {"height": 64, "width": 96, "order": "bgr"}  # then red is blue, and the other way
    (folder / "manifest.json").write_text(json.dumps(manifest))
    with robot(folder) as r:
        overlays = r.collect(Image, "/pcan_tracker/overlay")
        r.client.idle(0.5)
        for encoding, turned in (("rgb8", pixels({BUS: (5, 10)})), ("bgr8", pixels({CAR: (6, 10)}))):
            reply = r.track(image(turned, 1.0, encoding=encoding))
            assert [i.class_name for i in reply.instances] == ["car"]
        r.until(lambda: len(overlays) == 2, "drawn")
        first, second = (np.frombuffer(o.data, np.uint8).reshape(64, 96, 3)[60, 90] for o in overlays)
        assert (first == second).all()
        r.client.send(image(pixels({CAR: (5, 10)}, height=48), 2.0))
        r.until(lambda: r.state() == "inactive", "inactive")
        said = "the camera does not fit the model, the node becomes inactive: image: expected 64 x 96 as"
        assert said in r.process.log() and "got 48 x 96: pcan-export --camera 48 96" in r.process.log()


def test_images_are_published_while_there_are_subscribers(squares: Path) -> None:
    with robot(squares) as r:
        r.track(image(scene(0), 1.0))
        overlays = r.collect(Image, "/pcan_tracker/overlay")
        labels = r.collect(Image, "/pcan_tracker/label_image")
        r.client.idle(0.5)
        r.track(image(scene(1), 2.0))
        # On a busy machine the subscriptions are in time for the first image, too.
        r.until(lambda: {2} <= {m.header.stamp.sec for m in overlays}, "overlay published")
        r.until(lambda: {2} <= {m.header.stamp.sec for m in labels}, "label image published")
        overlay, label = overlays[-1], labels[-1]
        ids = np.frombuffer(label.data, np.uint16).reshape(label.height, label.width)
        assert set(np.unique(ids)) == {0, 1, 2}
        assert (overlay.encoding, label.encoding) == ("bgr8", "16UC1")


def test_a_deactivated_node_ignores_images_and_activation_resets_it(squares: Path) -> None:
    with robot(squares) as r:
        r.track(image(scene(0), 1.0))
        assert not r.change_state(Transition.TRANSITION_CONFIGURE), "an active node cannot be configured"
        assert r.change_state(Transition.TRANSITION_DEACTIVATE)
        assert r.state() == "inactive"
        assert r.client.exchange(image(scene(1), 2.0), 1.0) is None
        assert r.change_state(Transition.TRANSITION_ACTIVATE)
        r.client.find_node(PATIENCE)
        assert r.track(image(scene(2), 3.0)).frame_index == 0
        assert r.change_state(Transition.TRANSITION_DEACTIVATE)
        assert r.change_state(Transition.TRANSITION_CLEANUP)
        assert r.change_state(Transition.TRANSITION_CONFIGURE)
        assert r.change_state(Transition.TRANSITION_ACTIVATE)
        r.client.find_node(PATIENCE)
        assert r.track(image(scene(3), 4.0)).frame_index == 0


def test_thresholds_change_at_runtime_within_their_range(squares: Path) -> None:
    def number(value: float) -> ParameterValue:
        return ParameterValue(type=ParameterType.PARAMETER_DOUBLE, double_value=value)

    with robot(squares) as r:
        assert r.set_parameter("tracker.init_score", number(0.92)).successful
        assert len(r.track(image(scene(0), 1.0)).instances) == 1, "the person's 0.9 is not enough any more"
        assert not r.set_parameter("tracker.init_score", number(1.5)).successful
        assert not r.set_parameter("tracker.no_such", number(0.5)).successful
        text = ParameterValue(type=ParameterType.PARAMETER_STRING, string_value="png")
        refused = r.set_parameter("mask_encoding", text)
        assert not refused.successful and "rle, bitmap, mono8, none" in refused.reason
        text.string_value = "bitmap"
        assert r.set_parameter("mask_encoding", text).successful
        assert r.track(image(scene(1), 2.0)).instances[0].mask.encoding == 2
        text.string_value = "/elsewhere"
        assert not r.set_parameter("model", text).successful


@pytest.mark.parametrize(
    ("parameters", "said"),
    [
        ({"modle": "x"}, "modle: unknown parameter; expected one of model"),
        ({"mask_encoding": "png"}, "mask_encoding: expected one of rle, bitmap, mono8, none; got 'png'"),
        ({"tracker.init_score": 2.0}, "tracker.init_score out of range"),
        ({"model": "/nowhere"}, "/nowhere: no such folder"),
    ],
)
def test_an_invalid_start_ends_with_one_clear_line(
    squares: Path, parameters: dict[str, object], said: str
) -> None:
    with robot(squares, connect=False, **parameters) as r:
        assert r.process.wait(PATIENCE) == 1
        assert said in r.process.log()
        assert "Traceback" not in r.process.log()


def test_compressed_images_are_read_and_broken_ones_reported(squares: Path) -> None:
    bits = cv2.imencode(".png", scene(0)[..., ::-1])[1].tobytes()
    with robot(squares, compressed=True) as r:
        whole = CompressedImage(format="png", data=bits)
        r.client.send(CompressedImage(format="jpeg", data=b"\xff\xd8 no jpeg"))
        r.until(lambda: "data: expected a whole jpeg" in r.process.log(), "reported")
        assert len(r.track(whole).instances) == 2


def test_diagnostics_report_counts_and_latencies(squares: Path) -> None:
    with robot(squares, status_period=0.2) as r:
        reports = r.collect(DiagnosticArray, "/diagnostics")
        r.track(image(scene(0), time.time()))

        def last() -> dict[str, str]:
            return {v.key: v.value for v in reports[-1].status[0].values} if reports else {}

        r.until(lambda: last().get("frames processed") == "1", "one frame counted")
        assert any(m.status[0].message == "tracking" for m in reports)
        values = last()
        assert "ms" in values["processing latency p50 / p95"]
        assert (values["backend"], values["precision"], values["device memory"]) == (
            "onnxruntime",
            "fp32",
            "host",
        )
        assert "ONNX Runtime" in values["engine"] and "ms" in values["network latency p50 / p95"]


def test_diagnostics_mention_the_transport_if_an_advertised_camera_is_silent(squares: Path) -> None:
    with robot(squares, status_period=0.2) as r:
        reports = r.collect(DiagnosticArray, "/diagnostics")
        r.until(lambda: any("fastdds_shm.xml" in m.status[0].message for m in reports), "warned")


def test_best_effort_delivers_a_large_image(squares: Path) -> None:
    large = image(pixels({CAR: (100, 100)}, size=200, height=720, width=1280), 1.0)
    with robot(squares, reliability="best_effort", reliable=False) as r:
        replies = (r.client.exchange(large, 2.0, r.process.alive) for _ in range(5))
        reply = next((a for a in replies if a), None)
        assert reply is not None, r.process.log()
        assert [i.width for i in reply.message.instances] == pytest.approx([200], abs=15)
