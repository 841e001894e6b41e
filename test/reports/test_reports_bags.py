"""Bags of users: ROS 1, compressed files or messages, with or without metadata."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import numpy as np
import pytest
from backports import zstd
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some
from rosbags.rosbag1 import Writer
from rosbags.typesys import Stores, get_typestore
from support.bags import TYPES, drive, image_message, write_bag
from support.squares import pixels

from pcan_model.cli import data as data_sets
from pcan_model.cli import track
from pcan_model.data.bags import packed
from pcan_model.data.bags.inspect import inspect
from pcan_model.data.bags.message_types import IMAGE
from pcan_model.data.bags.packed import unpack_message
from pcan_model.data.bags.reading import BagError
from pcan_model.data.registry import open_clips
from pcan_ros.bag import command

REPORTS = Path(os.environ.get("PCAN_SHARED", Path(__file__).parents[3] / "shared")) / "data/reports"
STAMPS = [k / 10 for k in range(5)]


def ros1_bag(path: Path) -> Path:
    """Write a bag of ROS 1 with three images."""
    types = get_typestore(Stores.ROS1_NOETIC)
    known = types.types
    with Writer(path) as writer:
        topic = writer.add_connection("/camera/image", IMAGE, typestore=types)
        for k in range(3):
            header = known["std_msgs/msg/Header"](k, known["builtin_interfaces/msg/Time"](k, 0), "camera")
            image = known[IMAGE](header, 2, 2, "mono8", 0, 2, np.arange(4, dtype=np.uint8))
            writer.write(topic, k * 10**9, types.serialize_ros1(image, IMAGE))
    return path


@pytest.mark.parametrize("folder", [False, True])
def test_a_ros_1_bag_is_recognised_and_the_command_that_converts_it_works(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], folder: bool
) -> None:
    (tmp_path / "drives").mkdir()
    path = ros1_bag(tmp_path / "drives/drive.bag")
    shown = path.parent if folder else path

    assert command.main(["show", str(shown)]) == 2
    message = capsys.readouterr().err
    assert message.count("\n") == 1 and "got a ROS 1 bag; convert it first: rosbags-convert --src " in message
    convert = message[message.index("rosbags-convert") :].strip()
    subprocess.run(convert, shell=True, check=True)
    assert inspect(Path(convert.split()[-1])).messages == 3


def test_every_command_reports_a_ros_1_bag(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = str(ros1_bag(tmp_path / "drive.bag"))

    assert data_sets.main(["check", path]) == 1
    assert data_sets.main(["show", path]) == 2
    assert command.main(["make", path, "--out", str(tmp_path / "out")]) == 2
    assert track.main([path, "--out", str(tmp_path / "out.mp4")]) == 2
    message = capsys.readouterr()
    assert message.out.count("a ROS 1 bag") == 1 and message.err.count("a ROS 1 bag") == 3
    assert "Traceback" not in message.err


def raw(message: object) -> bytes:
    return bytes(TYPES.serialize_cdr(message, IMAGE))


def pack(path: Path, data: bytes) -> Path:
    path.write_bytes(zstd.compress(data))
    return path


@pytest.mark.parametrize("storage", ["mcap", "sqlite3"])
@pytest.mark.parametrize("whole", [True, False])
def test_a_compressed_storage_file_is_read_without_metadata(
    tmp_path: Path, storage: str, whole: bool
) -> None:
    folder = write_bag(tmp_path / "drive", drive(STAMPS), storage=storage)
    (file,) = (path for path in folder.iterdir() if path.suffix in (".mcap", ".db3"))
    packed_file = pack(file.with_name(f"{file.name}.zstd"), file.read_bytes())
    file.unlink()
    (folder / "metadata.yaml").unlink()

    report = inspect(folder if whole else packed_file)

    assert report.messages == 5 and report.topics[0].rate == pytest.approx(10)
    assert not report.topics[0].problems()
    (clip,) = open_clips(folder if whole else packed_file)
    assert len(clip) == 5 and clip.frame(4).image.shape == pixels({}).shape


def test_a_file_present_both_compressed_and_not_is_read_once(tmp_path: Path) -> None:
    folder = write_bag(tmp_path / "drive", drive(STAMPS))
    (file,) = folder.glob("*.mcap")
    pack(file.with_name(f"{file.name}.zstd"), file.read_bytes())
    (folder / "metadata.yaml").unlink()

    assert inspect(folder).messages == 5


def test_the_beginning_of_a_truncated_compressed_file_is_read(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    images = [rng.integers(0, 255, (96, 160, 3), np.uint8) for _ in STAMPS]
    messages = [("/c", t, image_message(image, t)) for t, image in zip(STAMPS, images, strict=True)]
    folder = write_bag(tmp_path / "drive", messages, storage="mcap")
    (file,) = folder.glob("*.mcap")
    data = zstd.compress(file.read_bytes())
    packed_file = file.with_name(f"{file.name}.zstd")
    packed_file.write_bytes(data[: int(len(data) * 0.7)])
    file.unlink()
    (folder / "metadata.yaml").unlink()

    report = inspect(folder)

    assert 1 <= report.messages < 5 and "cut off or damaged after" in report.text()


@pytest.mark.parametrize("storage", ["mcap", "sqlite3"])
def test_individually_compressed_messages_are_read_without_metadata(tmp_path: Path, storage: str) -> None:
    plain = [(topic, time, zstd.compress(raw(message))) for topic, time, message in drive(STAMPS)]
    folder = write_bag(tmp_path / "drive", plain, storage=storage)
    (folder / "metadata.yaml").unlink()

    report = inspect(folder)

    assert report.messages == 5 and report.topics[0].rate == pytest.approx(10)
    assert not report.topics[0].problems()
    assert open_clips(folder)[0].frame(2).image.shape == pixels({}).shape


def test_a_broken_compressed_message_affects_no_other(tmp_path: Path) -> None:
    messages = [(topic, time, zstd.compress(raw(message))) for topic, time, message in drive(STAMPS)]
    messages[2] = (*messages[2][:2], messages[2][2][:40])
    folder = write_bag(tmp_path / "drive", messages)
    (folder / "metadata.yaml").unlink()

    report = inspect(folder)

    assert report.messages == 4
    assert any("a compressed message is cut off" in str(loss) for loss in report.losses)


def test_a_message_or_file_that_unpacks_beyond_its_bound_is_rejected(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(packed, "MOST_OF_MESSAGE", 10**6)
    with pytest.raises(ValueError, match="of more than 1000000 bytes"):
        unpack_message(zstd.compress(bytes(2 * 10**6)))

    monkeypatch.setattr(packed, "LEAST", 10**6)
    monkeypatch.setattr(packed, "MOST_TIMES", 10)
    pack(tmp_path / "a.mcap.zstd", bytes(10**8))
    with pytest.raises(BagError, match="for which there is no room"):
        inspect(tmp_path / "a.mcap.zstd")


@settings(max_examples=300, deadline=1000)
@given(some.binary(max_size=300), some.integers(0, 60))
def test_any_bytes_are_a_message_or_an_error(data: bytes, cut: int) -> None:
    assert unpack_message(zstd.compress(data)) == data
    if data[:4] != packed.MAGIC:
        assert unpack_message(data) == data
    for broken in (zstd.compress(data)[:cut], packed.MAGIC + data):
        try:
            assert isinstance(unpack_message(broken), bytes)
        except ValueError as error:
            assert "compressed message" in str(error)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(some.binary(max_size=400), some.sampled_from(["a.mcap", "a.db3", "a.mcap.zstd", "a.db3.zstd"]))
def test_any_bytes_are_a_bag_or_one_line(tmp_path: Path, data: bytes, name: str) -> None:
    file = tmp_path / name
    for content in (data, zstd.compress(data), packed.ROS1 + data, b"\x89MCAP0\r\n" + data):
        file.write_bytes(content)
        try:
            inspect(file)
        except BagError as error:
            assert "\n" not in str(error)


@pytest.mark.skipif(not REPORTS.is_dir(), reason="the shared inputs of reports are not here")
def test_the_reported_bags() -> None:
    report = inspect(REPORTS / "bags/zstd_message_nometa")
    assert report.messages == 8 and not report.topics[0].problems()
    assert report.topics[0].rate == pytest.approx(10)
    assert inspect(REPORTS / "bags/c_padded_small").topics[0].unreadable == 0
    with pytest.raises(BagError, match="a ROS 1 bag; convert it first"):
        inspect(REPORTS / "bags/ros1.bag")
