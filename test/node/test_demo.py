"""Clip in, overlay and report out: through bag, node and DDS, and without ROS."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from support.domains import new_domain
from support.squares import export_squares, pixels

from pcan_model.cli import track
from pcan_model.core.errors import DataError
from pcan_model.data.registry import open_clip

ROOT = Path(__file__).resolve().parents[2]
FRAMES = 6


@pytest.fixture(scope="module")
def squares(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return export_squares(tmp_path_factory.mktemp("squares"))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder of images in which a car drives right and a person leaves in the fourth."""
    folder = tmp_path_factory.mktemp("clip")
    for i in range(FRAMES):
        scene = {2: (5 + 2 * i, 10)} | ({0: (60, 20 + i)} if i < 3 else {})
        cv2.imwrite(str(folder / f"{i + 8}.png"), pixels(scene)[..., ::-1])
    return folder


def run(module: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", module, *map(str, arguments)]
    environment = {**os.environ, "ROS_DOMAIN_ID": str(new_domain())}
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120)


def frames_of(video: Path) -> int:
    return int(cv2.VideoCapture(str(video)).get(cv2.CAP_PROP_FRAME_COUNT))


def test_a_folder_becomes_a_bag_tracks_overlay_sheet_and_report(
    squares: Path, folder: Path, tmp_path: Path
) -> None:
    pytest.importorskip("rclpy")
    from pcan_model.data.bags.files import ImageBag
    from pcan_model.data.bags.reading import Bag

    out = tmp_path / "out"
    done = run(
        "pcan_ros.demo", "--video", folder, "--model", squares, "--out", out, "--keep-bag", "--birds-eye"
    )
    assert done.returncode == 0, done.stderr
    assert "frames: 6 in, 6 out, 0 dropped" in done.stdout
    assert "from above: assuming a flat road, a camera 1.5 m over it with a focal length of" in done.stdout

    report = json.loads((out / "report.json").read_text())
    assert (report["frames_in"], report["frames_out"], report["frames_dropped"], report["tracks"]) == (
        6,
        6,
        0,
        2,
    )
    assert report["classes"] == {
        "car": {"tracks": 1, "instances": 6},
        "pedestrian": {"tracks": 1, "instances": 3},
    }
    assert report["round_trip_ms"]["p50"] > report["processing_ms"]["p50"] > 0

    assert [r.stamp for r in ImageBag(out / "images").records()] == [10**9 + i * 10**8 for i in range(FRAMES)]
    with Bag(out / "tracks") as bag:
        messages = [bag.types().deserialize_cdr(m.raw, m.connection.msgtype) for m in bag.messages()]
    assert [len(m.instances) for m in messages] == [2, 2, 2, 1, 1, 1]
    assert frames_of(out / "overlay.mp4") == FRAMES
    assert cv2.imread(str(out / "contact_sheet.png")) is not None
    assert sorted(path.name for path in out.iterdir()) == [
        "contact_sheet.png", "images", "overlay.mp4", "report.json", "tracks",
    ]  # fmt: skip

    again = run("pcan_ros.demo", "--bag", out / "images", "--model", squares, "--out", out, "--rate", 0.5)
    assert again.returncode == 0, again.stderr
    assert "6 in, 6 out" in again.stdout and "real time" in again.stdout


def test_wrong_inputs_are_one_clear_line(squares: Path, tmp_path: Path) -> None:
    pytest.importorskip("rclpy")
    from pcan_model.data.bags.files import ImageBag, bag_writer, write_tracks
    from pcan_model.data.bags.message_types import IMAGE, our_types
    from pcan_model.data.bags.reading import BagError

    with pytest.raises(BagError, match="no such bag"):
        ImageBag(tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    with pytest.raises(BagError, match="empty: expected a rosbag2"):
        ImageBag(tmp_path / "empty")
    write_tracks([], tmp_path / "tracks")
    with pytest.raises(
        BagError, match=r"expected a topic of sensor_msgs/msg/Image .*, found /pcan_tracker/tracks"
    ):
        ImageBag(tmp_path / "tracks")
    with bag_writer(tmp_path / "broken") as writer:
        connection = writer.add_connection("/image", IMAGE, typestore=our_types())
        writer.write(connection, 1, b"\0\1\0\0 no image")
    with pytest.raises(BagError, match="broken: /image: "):
        list(ImageBag(tmp_path / "broken").records())

    done = run(
        "pcan_ros.demo", "--video", tmp_path / "none.mp4", "--model", squares, "--out", tmp_path / "out"
    )
    assert done.returncode == 2
    assert done.stderr.strip().startswith(f"demo: {tmp_path}/none.mp4: path: expected a data set, ")
    assert done.stderr.count("\n") == 1
    assert not list((tmp_path / "out").iterdir())


def test_clips_without_images_are_rejected(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"layout: expected one of .*, got \[\]"):
        open_clip(tmp_path)
    (tmp_path / "a.mp4").write_bytes(b"no video")
    with pytest.raises(DataError, match="expected a video that OpenCV can read"):
        open_clip(tmp_path / "a.mp4")
    (tmp_path / "a.png").write_bytes(b"no image")
    with pytest.raises(DataError, match=r"a\.png: image: expected a readable image"):
        list(open_clip(tmp_path / "a.png").frames())


def test_images_of_a_folder_come_in_the_order_of_their_numbers(folder: Path) -> None:
    first = next(open_clip(folder).frames())
    assert np.array_equal(first.image, pixels({2: (5, 10), 0: (60, 20)})), "8.png before 10.png"


def test_track_writes_a_video_without_ros(squares: Path, folder: Path, tmp_path: Path) -> None:
    sheet = tmp_path / "sheet.png"
    done = run(
        "pcan_model.cli.track",
        folder,
        "--model",
        squares,
        "--out",
        tmp_path / "out.mp4",
        "--sheet",
        sheet,
        "--threads",
        1,
    )
    assert done.returncode == 0, done.stderr
    assert frames_of(tmp_path / "out.mp4") == FRAMES and sheet.is_file()
    wrong = run("pcan_model.cli.track", folder, "--model", tmp_path / "none", "--out", tmp_path / "b.mp4")
    assert wrong.returncode == 2 and "no such folder" in wrong.stderr and "Traceback" not in wrong.stderr


@pytest.mark.parametrize("out", ["images", "folder"])
def test_track_does_not_start_if_it_cannot_write(
    squares: Path, folder: Path, tmp_path: Path, out: str, capsys: pytest.CaptureFixture[str]
) -> None:
    place = {"images": folder, "folder": tmp_path}[out]
    words = [folder, "--model", squares, "--backend", "onnxruntime", "--out", place]
    assert track.main([str(word) for word in words]) == 2
    said = capsys.readouterr().err.strip()
    assert said == f"pcan-track: {place}: expected the name of a file to write, got a folder or the input"
