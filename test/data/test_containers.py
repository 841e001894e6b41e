"""How many bytes a container lacks: exact for every cut, none for a whole file or another one."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from support.videos import without_length, write_video

from pcan_model.data.containers import missing_bytes

KINDS = [
    ("v.avi", "MJPG"),
    ("v.mp4", "mp4v"),
    ("v.mov", "mp4v"),
    ("v.mkv", "mp4v"),
    ("v.webm", "VP80"),
    ("v.wmv", "WMV2"),
]


@pytest.mark.parametrize(("name", "code"), KINDS)
def test_a_cut_is_told_to_the_byte(tmp_path: Path, name: str, code: str) -> None:
    path = write_video(tmp_path / name, code)
    data = path.read_bytes()
    assert missing_bytes(path) == 0
    for lost in (1, 100, len(data) // 2):
        path.write_bytes(data[:-lost])
        if name.endswith((".mp4", ".mov")) and b"moov" in data[-lost:]:
            assert missing_bytes(path) > 0  # of the box that was cut; those behind it are not known of
        else:
            assert missing_bytes(path) == lost


def test_a_transport_stream_ends_with_a_packet(tmp_path: Path) -> None:
    path = write_video(tmp_path / "v.ts", "mpg2")
    assert missing_bytes(path) == 0
    path.write_bytes(path.read_bytes()[:-100])
    assert missing_bytes(path) == 100


def test_a_stream_of_unknown_size_lacks_nothing(tmp_path: Path) -> None:
    path = without_length(write_video(tmp_path / "v.webm", "VP80"))
    path.write_bytes(path.read_bytes()[:-300])
    assert missing_bytes(path) == 0


def test_what_a_camera_adds_behind_the_video_is_no_damage(tmp_path: Path) -> None:
    for name, code in KINDS[:3]:
        path = write_video(tmp_path / name, code)
        for more in (bytes(50), b"\xff\x00\x10\x01 trailer of the camera"):
            path.write_bytes(path.read_bytes() + more)
            assert missing_bytes(path) == 0, (name, more)


def test_an_avi_of_several_parts_is_followed_to_its_last(tmp_path: Path) -> None:
    path = write_video(tmp_path / "v.avi", "MJPG")
    part = b"RIFF" + (104).to_bytes(4, "little") + b"AVIX" + bytes(100)
    path.write_bytes(path.read_bytes() + part + part)
    assert missing_bytes(path) == 0
    path.write_bytes(path.read_bytes()[:-30])
    assert missing_bytes(path) == 30


def test_bytes_of_any_kind_give_a_number(tmp_path: Path) -> None:
    rng, path = np.random.default_rng(0), tmp_path / "any"
    heads = [write_video(tmp_path / name, code).read_bytes()[:300] for name, code in KINDS]
    heads += [b"", b"\x1a\x45\xdf\xa3", b"RIFF", b"\0\0\0\x01ftyp", b"\0\0\0\0moov", b"\x47" * 400]
    for trial in range(600):
        data = bytearray(heads[trial % len(heads)])
        for place in rng.integers(0, max(1, len(data)), 8 if data else 0):
            data[place] = rng.integers(256)
        path.write_bytes(data[: rng.integers(len(data) + 1)])
        assert missing_bytes(path) >= 0
