"""Clips and images as bags: stamps, images, calibration and labels are read as they were written."""

from __future__ import annotations

import pickle
from dataclasses import replace
from itertools import islice
from pathlib import Path

import cv2
import numpy as np
import pytest

pytest.importorskip("rclpy")

from support.bags import CAR, Squares
from support.squares import pixels
from support.videos import FRAMES, cut_off, write_video

from pcan_model.core.errors import DataError
from pcan_model.core.stamps import nanoseconds
from pcan_model.data.bags.labels import IGNORE_ID, labels_of
from pcan_model.data.bags.reading import Bag, BagError
from pcan_model.data.datasets.scalabel import write_clip
from pcan_model.data.image_decoding import decode
from pcan_model.data.listed_times import timed_frames
from pcan_model.data.registry import open_clip, open_clips
from pcan_ros.bag.camera_info import read_camera_info
from pcan_ros.bag.command import main
from pcan_ros.bag.make import BagStyle, make_bag

TENTH = 100_000_000
MATRIX = "{data: [50, 0, 48, 0, 50, 32, 0, 0, 1]}"


def messages(path: Path, topic: str) -> list:
    with Bag(path) as bag:
        types = bag.types()
        return [types.deserialize_cdr(m.raw, m.connection.msgtype) for m in bag.messages([topic])]


@pytest.mark.parametrize("storage", ["mcap", "sqlite3"])
def test_a_clip_comes_back_from_its_bag_pixel_by_pixel_and_label_by_label(
    tmp_path: Path, storage: str
) -> None:
    clip = Squares()
    made = make_bag(clip.frames(), tmp_path / "bag", BagStyle(storage))  # type: ignore[arg-type]
    assert made == len(clip)

    images, truth = messages(tmp_path / "bag", "/camera/image"), messages(tmp_path / "bag", "/ground_truth")
    clocks, infos = messages(tmp_path / "bag", "/clock"), messages(tmp_path / "bag", "/camera/camera_info")
    wanted = [10**9 + i * TENTH for i in range(len(clip))]
    assert [nanoseconds(m.clock) for m in clocks] == wanted
    for kind in (images, truth, infos):
        assert [nanoseconds(m.header.stamp) for m in kind] == wanted
    assert {(m.height, m.width, m.k[0], m.header.frame_id) for m in infos} == {(64, 96, 0.0, "camera")}
    for index, (image, said) in enumerate(zip(images, truth, strict=True)):
        frame, back = clip.frame(index), labels_of(said, decode(image))
        for field in ("image", "masks", "labels", "ids", "ignore"):
            assert np.array_equal(getattr(back, field), getattr(frame, field)), (index, field)


def test_a_bag_is_read_as_a_data_set_in_any_order_of_frames(tmp_path: Path) -> None:
    clip = Squares()
    make_bag(clip.frames(), tmp_path / "bag")
    (back,) = open_clips(tmp_path / "bag")
    assert (back.name, len(back), back.labelled, round(back.rate, 6)) == ("bag", 6, True, 10.0)
    for index in (0, 1, 4, 2, 5, 5):
        frame, wanted = back.frame(index), clip.frame(index)
        for field in ("image", "masks", "labels", "ids", "ignore"):
            assert np.array_equal(getattr(frame, field), getattr(wanted, field)), (index, field)
    with pytest.raises(IndexError):
        back.frame(6)

    other = pickle.loads(pickle.dumps(back))  # as a worker process gets it
    assert np.array_equal(other.frame(3).masks, clip.frame(3).masks)
    (cars,) = open_clips(tmp_path / "bag", names=["car"])
    assert cars.frame(0).labels.tolist() == [0] and cars.frame(0).ignore.sum() == 28 + 16 * 16
    make_bag([replace(clip.read(0), labels=None)], tmp_path / "bare")
    (bare,) = open_clips(tmp_path / "bare" / "bare.mcap")
    assert (bare.labelled, len(bare.frame(0).ids)) == (False, 0)


def test_ground_truth_marks_new_objects_and_boxes_enclose_the_masks(tmp_path: Path) -> None:
    make_bag(Squares().frames(), tmp_path / "bag")
    truth = messages(tmp_path / "bag", "/ground_truth")
    cars = [next(i for i in m.instances if i.class_name == "car") for m in truth]
    assert [(c.state, c.age, c.track_id, c.score) for c in cars[:3]] == [
        (0, 0, 43, 1),
        (1, 1, 43, 1),
        (1, 2, 43, 1),
    ]
    assert [(c.x, c.y, c.width, c.height) for c in cars[:2]] == [(5, 10, 16, 16), (8, 10, 16, 16)]
    ignored = [i for m in truth for i in m.instances if i.class_id == IGNORE_ID]
    assert len(ignored) == len(truth) and {(i.class_name, i.mask.area) for i in ignored} == {("ignore", 28)}


def test_objects_of_two_classes_may_have_the_same_id_as_in_kitti_mots(tmp_path: Path) -> None:
    frames = islice(Squares().frames(), 2)
    ones = (replace(f, labels=replace(f.objects(), ids=np.ones(len(f.objects()), int))) for f in frames)
    make_bag(ones, tmp_path / "bag")
    for message in messages(tmp_path / "bag", "/ground_truth"):
        things = [i for i in message.instances if i.class_id != IGNORE_ID]
        assert [i.track_id for i in things] == [1, 1]
        assert len({bytes(bytearray(i.uuid.uuid)) for i in things}) == 2
        assert len({i.state for i in things}) == 1


@pytest.mark.parametrize(("encoding", "most"), [("png", 0), ("jpeg", 3)])
def test_compressed_images_are_on_the_topic_of_image_transport(
    tmp_path: Path, encoding: str, most: float
) -> None:
    clip = Squares(length=1)
    make_bag(clip.frames(), tmp_path / "bag", BagStyle(encoding=encoding))
    (image,) = messages(tmp_path / "bag", "/camera/image/compressed")
    assert image.format == f"rgb8; {encoding} compressed bgr8"
    assert np.abs(decode(image).astype(int) - clip.frame(0).image).mean() <= most


def test_the_command_makes_a_bag_per_clip_of_a_data_set(
    tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    for name in ("a", "b"):
        write_clip(tmp_path / "set", name, (Squares().frame(i) for i in range(3)))
    assert main(["make", str(tmp_path / "set"), "--out", str(tmp_path / "bags")]) == 0
    assert [len(messages(tmp_path / "bags" / name, "/ground_truth")) for name in "ab"] == [3, 3]
    assert (
        main(["make", str(tmp_path / "set"), "--videos", "b", "--out", str(tmp_path / "b"), "--rate", "2"])
        == 0
    )
    stamps = [nanoseconds(m.header.stamp) for m in messages(tmp_path / "b", "/camera/image")]
    assert stamps == [10**9, 15 * TENTH, 2 * 10**9]


def test_a_folder_of_images_keeps_its_order_and_needs_no_labels(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    for index in (9, 10):
        cv2.imwrite(str(tmp_path / "images" / f"{index}.png"), pixels({CAR: (index, 5)})[..., ::-1])
    assert main(["make", str(tmp_path / "images"), "--out", str(tmp_path / "bag")]) == 0
    first, second = (decode(m) for m in messages(tmp_path / "bag", "/camera/image"))
    assert np.array_equal(first, pixels({CAR: (9, 5)})) and np.array_equal(second, pixels({CAR: (10, 5)}))
    assert not messages(tmp_path / "bag", "/ground_truth")


def test_a_truncated_video_becomes_a_bag_and_is_reported(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    video = cut_off(write_video(tmp_path / "v.mkv", "MJPG"), 0.5)
    assert main(["make", str(video), "--out", str(tmp_path / "bag")]) == 1
    printed, count = capsys.readouterr(), len(messages(tmp_path / "bag", "/camera/image"))
    assert 0 < count < FRAMES and f"written: {tmp_path}/bag, {count} images" in printed.out
    assert f"pcan-bag: {video}: ended after {count} of 25 frames" in printed.err


def test_a_stream_that_does_not_know_its_length_becomes_a_bag(tmp_path: Path) -> None:
    video = write_video(tmp_path / "v.mjpg", "MJPG")
    assert main(["make", str(video), "--out", str(tmp_path / "bag"), "--rate", "10"]) == 0
    stamps = [nanoseconds(m.header.stamp) for m in messages(tmp_path / "bag", "/camera/image")]
    assert stamps == [10**9 + k * TENTH for k in range(FRAMES)]


def test_the_times_that_kitti_lists_are_kept_to_the_nanosecond(tmp_path: Path) -> None:
    data = tmp_path / "image_02" / "data"
    data.mkdir(parents=True)
    for index in range(2):
        cv2.imwrite(str(data / f"{index:010d}.png"), pixels({CAR: (index, 5)}))
    times = tmp_path / "image_02" / "timestamps.txt"
    times.write_text("2011-09-26 13:02:25.594360375\n2011-09-26 13:02:25.698\n")
    assert main(["make", str(data), "--out", str(tmp_path / "bag")]) == 0
    stamps = [nanoseconds(m.header.stamp) for m in messages(tmp_path / "bag", "/camera/image")]
    assert stamps == [1317042145_594360375, 1317042145_698000000]
    times.write_text("0.0\n")
    with pytest.raises(DataError, match="expected one for each of 2 images, got 1"):
        timed_frames(open_clip(data), data)
    again = timed_frames(open_clip(data), data, rate=5)
    assert [frame.time for frame in again] == [10**9, 12 * TENTH]


def test_a_calibration_is_read_and_must_fit_the_images(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    kitti = tmp_path / "kitti.txt"
    kitti.write_text("P0: 1 0 0 0 0 1 0 0 0 0 1 0\nP2: 700 0 600 45 0 700 170 -1 0 0 1 0.003\n")
    info = read_camera_info(kitti)
    assert list(info.k) == [700, 0, 600, 0, 700, 170, 0, 0, 1] and info.p[3] == 45
    ros = tmp_path / "camera.yaml"
    ros.write_text(
        "{image_width: 96, image_height: 64, distortion_model: plumb_bob,"
        f" camera_matrix: {MATRIX}, distortion_coefficients: {{data: [0.1, 0, 0, 0, 0]}}}}"
    )
    make_bag(
        Squares(length=1).frames(),
        tmp_path / "bag",
        BagStyle(calibration=read_camera_info(ros)),
    )
    (made,) = messages(tmp_path / "bag", "/camera/camera_info")
    assert (made.k[0], made.d[0], made.distortion_model) == (50, 0.1, "plumb_bob")
    ros.write_text("{camera_matrix: {data: [1, 2]}}")
    with pytest.raises(BagError, match=r"camera.yaml: camera_matrix.data: expected 9 numbers, got 2"):
        read_camera_info(ros)
    ros.write_text(f"{{image_width: 9, image_height: 9, camera_matrix: {MATRIX}}}")
    cv2.imwrite(str(tmp_path / "1.png"), pixels({}))
    assert main(["make", str(tmp_path), "--out", str(tmp_path / "no"), "--calibration", str(ros)]) == 2
    assert "expected 96x64, got 9x9" in capsys.readouterr().err
    assert not (tmp_path / "no").exists()


def test_an_existing_folder_that_is_no_bag_is_not_replaced(
    tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter.tex").write_text("all of it")
    with pytest.raises(BagError, match="is not a rosbag2: not replaced"):
        make_bag(Squares(length=1).frames(), tmp_path / "thesis")
    assert (tmp_path / "thesis" / "chapter.tex").is_file()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["thesis"], "no half of a bag stays behind"


def test_an_independent_reader_opens_the_bag(tmp_path: Path) -> None:
    reader = pytest.importorskip("mcap.reader")
    make_bag(Squares().frames(), tmp_path / "bag")
    with (tmp_path / "bag" / "bag.mcap").open("rb") as file:
        opened = reader.make_reader(file, validate_crcs=True)
        counts: dict[str, int] = {}
        for schema, channel, message in opened.iter_messages():
            counts[channel.topic] = counts.get(channel.topic, 0) + 1
            assert schema.encoding == "ros2msg" and channel.message_encoding == "cdr" and message.data
        names = {s.name for s in opened.get_summary().schemas.values()}
    assert counts == dict.fromkeys(("/camera/image", "/camera/camera_info", "/clock", "/ground_truth"), 6)
    assert "pcan_ros/msg/TrackedInstanceArray" in names
