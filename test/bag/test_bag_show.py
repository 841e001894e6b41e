"""Broken bags: everything readable is read, and every loss is reported."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest
from rosbags.rosbag2 import CompressionFormat, CompressionMode, StoragePlugin, Writer
from support.bags import CAR, TYPES, cut, drive, image_message, write_bag
from support.squares import pixels

from pcan_model.data.bags.files import ImageBag
from pcan_model.data.bags.inspect import BagReport, TopicReport, inspect
from pcan_model.data.bags.message_types import IMAGE
from pcan_model.data.bags.reading import Bag, BagError, Loss
from pcan_ros.bag.command import main

STAMPS = [1 + i / 10 for i in range(40)]


def only(report: BagReport) -> TopicReport:
    (topic,) = report.topics
    return topic


def stamps_of(path: Path) -> list[float]:
    return [record.stamp / 1e9 for record in ImageBag(path).records()]


def test_an_intact_bag_has_no_problem(tmp_path: Path) -> None:
    report = inspect(write_bag(tmp_path / "bag", drive(STAMPS)))
    topic = only(report)
    assert (topic.name, topic.type, topic.count) == ("/camera/image", IMAGE, 40)
    assert topic.rate == pytest.approx(10) and report.duration == pytest.approx(3.9)
    assert topic.formats == {"96x64 rgb8": 40} and topic.problems() == [] and report.losses == ()


def test_gaps_and_duplicate_and_backward_stamps_are_found(tmp_path: Path) -> None:
    stamps = [1.0, 1.1, 1.2, 1.2, 1.3, 2.0, 2.1, 1.9, 2.2, 2.3]
    bag = write_bag(tmp_path / "bag", drive(stamps))
    topic = only(inspect(bag))
    assert [(round(g.start, 3), round(g.length, 3)) for g in topic.gaps] == [(0.3, 0.7), (1.1, 0.3)]
    assert (topic.duplicate_stamps, topic.backward_stamps) == (1, 1)
    assert topic.problems()[0] == "/camera/image: gaps: 2, the longest of 0.70 s at 0.30 s"


@pytest.mark.parametrize("storage", ["mcap", "sqlite3"])
def test_the_beginning_of_a_truncated_bag_is_read_in_order(tmp_path: Path, storage: str) -> None:
    bag = cut(write_bag(tmp_path / "bag", drive(STAMPS), storage=storage), 0.6)
    report = inspect(bag)
    read = only(report).count
    assert 15 <= read < 40
    assert stamps_of(bag) == pytest.approx(STAMPS[:read])
    cut_off, promised = report.losses
    assert f"{read} messages can be read" in cut_off.effect
    assert promised == Loss("metadata.yaml", "says 40 messages", f"{read} can be read, {40 - read} are lost")


@pytest.mark.parametrize("storage", ["mcap", "sqlite3"])
def test_a_recorder_that_died_leaves_a_bag_without_metadata_and_end(tmp_path: Path, storage: str) -> None:
    bag = cut(write_bag(tmp_path / "bag", drive(STAMPS), storage=storage), 0.5)
    (bag / "metadata.yaml").unlink()
    report = inspect(bag)
    assert 10 <= only(report).count < 30
    assert report.losses[0].problem == "missing" and len(report.losses) == 2


@pytest.mark.parametrize("share", [0.0, 0.001])
@pytest.mark.parametrize("storage", ["mcap", "sqlite3"])
def test_a_file_that_ends_before_its_first_message_is_one_clear_line(
    tmp_path: Path, storage: str, share: float
) -> None:
    bag = cut(write_bag(tmp_path / "bag", drive(STAMPS), storage=storage), share)
    try:
        report = inspect(bag)
    except BagError as error:
        assert "nothing can be read" in str(error) and "\n" not in str(error)
    else:
        assert report.messages == 0 and report.losses


def test_an_mcap_truncated_at_any_byte_is_read_correctly(tmp_path: Path) -> None:
    whole = write_bag(tmp_path / "whole", drive(STAMPS[:4]))
    data = (whole / "whole.mcap").read_bytes()
    counts = []
    for end in range(0, len(data), 997):
        file = tmp_path / "part.mcap"
        file.write_bytes(data[:end])
        try:
            with Bag(file) as bag:
                found = [stored.time for stored in bag.messages()]
                assert bag.losses
        except BagError:
            found = []
        assert found == [round(s * 1e9) for s in STAMPS[: len(found)]]
        counts.append(len(found))
    assert counts == sorted(counts) and counts[-1] == 4


@pytest.mark.parametrize("storage", ["mcap", "sqlite3"])
def test_without_metadata_everything_is_read_from_the_files(tmp_path: Path, storage: str) -> None:
    bag = write_bag(tmp_path / "bag", drive(STAMPS), storage=storage)
    (bag / "metadata.yaml").unlink()
    report = inspect(bag)
    assert only(report).count == 40
    assert [loss.problem for loss in report.losses] == ["missing"]


def test_a_split_bag_without_metadata_is_read_in_the_order_of_its_numbers(tmp_path: Path) -> None:
    bag = tmp_path / "bag"
    bag.mkdir()
    for number in (9, 10):
        part = write_bag(tmp_path / f"part_{number}", drive(STAMPS[number : number + 1]))
        shutil.move(part / f"part_{number}.mcap", bag / f"bag_{number}.mcap")
    assert stamps_of(bag) == pytest.approx([STAMPS[9], STAMPS[10]])


def test_one_damaged_file_of_a_split_bag_does_not_cost_the_others(tmp_path: Path) -> None:
    bag = tmp_path / "bag"
    bag.mkdir()
    for number in (0, 1):
        part = write_bag(tmp_path / f"part_{number}", drive(STAMPS[10 * number : 10 * number + 5]))
        shutil.move(part / f"part_{number}.mcap", bag / f"bag_{number}.mcap")
    (bag / "bag_0.mcap").write_bytes(b"not an mcap file at all")
    report = inspect(bag)
    assert only(report).count == 5
    assert any(loss.file == "bag_0.mcap" and loss.effect == "nothing read of it" for loss in report.losses)


def damaged(bag: Path) -> Path:
    """Write 60 images in compressed chunks of 6, one of them damaged."""
    writer = Writer(bag, version=9, storage_plugin=StoragePlugin.MCAP)
    writer.set_compression(CompressionMode.STORAGE, CompressionFormat.ZSTD)
    noise = np.random.default_rng(0).integers(0, 255, (60, 256, 256, 3), np.uint8)
    with writer:
        connection = writer.add_connection("/camera/image", IMAGE, typestore=TYPES)
        for index, image in enumerate(noise):
            raw = TYPES.serialize_cdr(image_message(image, 1 + index / 10), IMAGE)
            writer.write(connection, 10**9 + index * 10**8, raw)
    file = bag / f"{bag.name}.mcap"
    data = bytearray(file.read_bytes())
    chunk = data.find(b"\x28\xb5\x2f\xfd", len(data) // 2)  # how a compressed chunk begins
    data[chunk : chunk + 4] = bytes(4)
    file.write_bytes(data)
    return bag


def test_damage_in_the_middle_affects_no_later_messages(tmp_path: Path) -> None:
    report = inspect(damaged(tmp_path / "bag"))
    topic = only(report)
    assert topic.count == 54 and topic.end == pytest.approx(5.9)
    assert len(topic.gaps) == 1 and topic.duplicate_stamps == 0
    assert any("read on behind the damage" in loss.effect for loss in report.losses)


def test_after_damage_the_next_file_of_a_bag_is_read_once(tmp_path: Path) -> None:
    bag = damaged(tmp_path / "bag_0")
    (bag / "metadata.yaml").unlink()
    later = write_bag(tmp_path / "bag_1", drive(8 + i / 10 for i in range(5)))
    shutil.move(later / "bag_1.mcap", bag / "bag_1.mcap")
    topic = only(inspect(bag))
    assert topic.count == 54 + 5 and topic.duplicate_stamps == topic.backward_stamps == 0


def test_damaged_pages_of_sqlite_lose_their_messages_only(tmp_path: Path) -> None:
    bag = write_bag(tmp_path / "bag", drive(STAMPS), storage="sqlite3")
    file = bag / "bag.db3"
    data = bytearray(file.read_bytes())
    middle = len(data) // 2 // 4096 * 4096
    data[middle : middle + 2 * 4096] = bytes(2 * 4096)
    file.write_bytes(data)
    report = inspect(bag)
    topic = only(report)
    assert 36 <= topic.count < 40 and topic.end == pytest.approx(3.9)
    assert topic.unreadable == 0 and report.losses


def test_a_change_of_resolution_is_reported(tmp_path: Path) -> None:
    def messages():
        for index, (height, width) in enumerate([(64, 96)] * 3 + [(32, 48)] * 2):
            image = pixels({}, height=height, width=width)
            yield "/camera/image", 1 + index / 10, image_message(image, 1 + index / 10)

    topic = only(inspect(write_bag(tmp_path / "bag", messages())))
    assert topic.formats == {"96x64 rgb8": 3, "48x32 rgb8": 2}
    assert topic.problems() == ["/camera/image: images change: 96x64 rgb8 (3), 48x32 rgb8 (2)"]


def test_two_cameras_have_a_rate_each(tmp_path: Path) -> None:
    slow = [1 + i / 5 for i in range(20)]
    both = [*drive(STAMPS, "/left/image"), *drive(slow, "/right/image")]
    report = inspect(write_bag(tmp_path / "bag", sorted(both, key=lambda m: m[1])))
    assert [(t.name, round(t.rate or 0), t.count) for t in report.topics] == [
        ("/left/image", 10, 40),
        ("/right/image", 5, 20),
    ]
    assert not any(topic.problems() for topic in report.topics)


def test_invalid_encodings_and_broken_messages_are_counted_and_the_first_is_reported(tmp_path: Path) -> None:
    good = pixels({CAR: (10, 10)})
    messages = [
        ("/camera/image", 1.0, image_message(good, 1.0)),
        ("/camera/image", 1.1, image_message(good, 1.1, encoding="32FC1")),
        ("/camera/image", 1.2, b"\0\1\0\0 no image"),
        ("/camera/image", 1.3, b""),
        ("/camera/image", 1.4, image_message(good, 1.4)),
    ]
    topic = only(inspect(write_bag(tmp_path / "bag", messages)))
    assert (topic.count, topic.unreadable, topic.formats) == (5, 3, {"96x64 rgb8": 2})
    assert "encoding: expected one of" in topic.first_error and "'32FC1'" in topic.first_error


def test_the_report_is_json_too_and_a_loss_is_exit_code_1(
    tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    bag = write_bag(tmp_path / "bag", drive(STAMPS))
    out, sheet = tmp_path / "report.json", tmp_path / "sheet.png"
    assert main(["show", str(bag), "--json", str(out), "--sheet", str(sheet)]) == 0
    assert cv2.imread(str(sheet)) is not None
    cut(bag, 0.5)
    assert main(["show", str(bag), "--json", str(out)]) == 1
    printed = capsys.readouterr().out
    report = json.loads(out.read_text())
    assert report["losses"][0]["file"] == "bag.mcap" and report["topics"][0]["count"] == report["messages"]
    assert "lost: bag.mcap: cut off at byte" in printed
    assert main(["show", str(tmp_path / "nowhere")]) == 2
    assert capsys.readouterr().err.strip().endswith(f"pcan-bag: {tmp_path}/nowhere: no such bag")


def test_an_empty_bag_is_no_error(tmp_path: Path) -> None:
    report = inspect(write_bag(tmp_path / "bag", []))
    assert (report.messages, report.duration, report.topics) == (0, 0.0, ())
