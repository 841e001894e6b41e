"""Where a video ends: decoding tells, the header is a hint, and what a cut file lacks is named."""

from __future__ import annotations

import os
import pickle
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from support.videos import FRAMES, announce, cut_off, decoded, trim, without_length, write_video

from pcan_model.core.errors import DataError
from pcan_model.data.clips import EndOfClip
from pcan_model.data.edit_lists import shown_seconds
from pcan_model.data.registry import open_clip, recognise
from pcan_model.data.video import OPTIONS, VideoClip

SHARED = Path(os.environ.get("PCAN_SHARED", Path(__file__).parents[3] / "shared"))
REPORTS = SHARED / "data" / "reports" / "vid"
CONTAINERS = [
    ("v.avi", "MJPG"),
    ("x.avi", "XVID"),
    ("v.mp4", "mp4v"),
    ("v.mkv", "mp4v"),
    ("m.mkv", "MJPG"),
    ("v.webm", "VP80"),
]
STREAMS = [
    ("v.ts", "mpg2"),
    ("v.mts", "mp4v"),
    ("v.m2ts", "mpg2"),
    ("v.mjpg", "MJPG"),
    ("v.mjpeg", "MJPG"),
    ("v.m2v", "mpg2"),
    ("v.wmv", "WMV2"),
    ("v.mov", "mp4v"),
    ("v.m4v", "mp4v"),
    ("v.3gp", "mp4v"),
    ("v.ivf", "VP80"),
    ("V.AVI", "MJPG"),
]


@pytest.mark.parametrize(("name", "code"), [*CONTAINERS, *STREAMS])
def test_a_whole_video_of_any_kind_gives_all_its_frames(tmp_path: Path, name: str, code: str) -> None:
    path = write_video(tmp_path / name, code)
    assert recognise(path).name == "video"
    clip = open_clip(path)
    frames = list(clip.frames())
    assert [frame.number for frame in frames] == list(range(FRAMES))
    for frame, image in zip(frames, decoded(path), strict=True):
        np.testing.assert_array_equal(frame.image, image)
    assert (len(clip), clip.count, clip.problems()) == (FRAMES, FRAMES, ())
    assert [frame.time for frame in frames[:2]] == [10**9, 10**9 + round(1e9 / clip.rate)]
    assert frames[3].labels is None and not clip.labelled and frames[3].name == "000003.jpg"


@pytest.mark.parametrize(("name", "code"), CONTAINERS)
@pytest.mark.parametrize("share", [0.5, 0.6, 0.9])
def test_a_cut_video_gives_its_whole_frames_and_says_how_many_are_missing(
    tmp_path: Path, name: str, code: str, share: float
) -> None:
    path = write_video(tmp_path / name, code)
    size, whole = path.stat().st_size, decoded(path)
    clip = VideoClip(cut_off(path, share))
    assert clip.problems() == (), "nothing is claimed before the end was seen"
    frames = list(clip.frames())
    assert 0 < len(frames) < FRAMES
    for frame in frames:  # none of which a part is grey
        np.testing.assert_array_equal(frame.image, whole[frame.number])
    missing = size - path.stat().st_size
    (problem,) = clip.problems()
    expected = f"ended after {len(frames)} of 25 frames: the file is cut off, {missing} bytes are missing"
    assert problem == f"{path}: {expected}"
    assert OPTIONS not in os.environ
    other = VideoClip(path)
    assert (len(other), other.problems()) == (len(frames), (problem,)), "also where frames are only counted"


def test_a_cut_video_that_does_not_know_its_length_is_named_too(tmp_path: Path) -> None:
    clip = VideoClip(cut_off(write_video(tmp_path / "v.wmv", "WMV2"), 0.5))
    count = len(list(clip.frames()))
    assert clip.problems()[0].startswith(f"{tmp_path}/v.wmv: ended after {count} frames: the file is cut off")


def test_a_video_that_lacks_its_index_is_refused_as_cut_off(tmp_path: Path) -> None:
    path = cut_off(write_video(tmp_path / "v.mp4", "mp4v"), 0.02)
    with pytest.raises(DataError, match="expected a video that OpenCV can read, got a file that is cut off"):
        VideoClip(path)


@pytest.mark.parametrize("name", ["v.mp4", "v.mov"])
def test_frames_that_an_edit_list_hides_are_not_missing(tmp_path: Path, name: str) -> None:
    path = write_video(tmp_path / name, "mp4v")
    assert shown_seconds(path) == FRAMES / 25
    trim(path, 10, 15)
    assert cv2.VideoCapture(str(path)).get(cv2.CAP_PROP_FRAME_COUNT) == FRAMES, "its header counts them"
    clip = VideoClip(path)
    assert (clip.count, len(list(clip.frames())), clip.problems()) == (15, 15, ())


def test_a_trimmed_video_that_is_cut_off_is_named(tmp_path: Path) -> None:
    clip = VideoClip(cut_off(trim(write_video(tmp_path / "v.mp4", "mp4v"), 4, 20), 0.7))
    count = len(list(clip.frames()))
    assert 0 < count < 20 and f"ended after {count} of 20 frames: the file is cut off" in clip.problems()[0]


def test_an_edit_list_of_any_bytes_gives_a_length_or_none(tmp_path: Path) -> None:
    rng, path = np.random.default_rng(0), write_video(tmp_path / "v.mp4", "mp4v")
    whole = path.read_bytes()
    end = whole.index(b"mdat")
    for _ in range(300):
        data = bytearray(whole[:end])
        for place in rng.integers(0, end, 20):
            data[place] = rng.integers(256)
        path.write_bytes(data[: rng.integers(end + 1)])
        shown = shown_seconds(path)
        assert shown is None or shown > 0


@pytest.mark.parametrize("declared", [24, 26, 27])
def test_the_header_of_a_whole_video_may_be_off_by_a_few_frames(tmp_path: Path, declared: int) -> None:
    path = announce(write_video(tmp_path / "v.mkv", "MJPG"), declared)
    assert cv2.VideoCapture(str(path)).get(cv2.CAP_PROP_FRAME_COUNT) == declared
    clip = VideoClip(path)
    assert clip.count == declared
    assert (len(list(clip.frames())), clip.problems(), clip.count) == (FRAMES, (), FRAMES)


def test_a_whole_file_whose_header_says_far_more_has_lost_frames(tmp_path: Path) -> None:
    clip = VideoClip(announce(write_video(tmp_path / "v.mkv", "MJPG"), 50))
    assert len(clip) == FRAMES
    assert clip.problems() == (f"{tmp_path}/v.mkv: ended after 25 of 50 frames",)


@pytest.mark.parametrize("name", ["v.mkv", "v.webm"])
def test_a_live_stream_without_a_length_is_read_to_its_end(tmp_path: Path, name: str) -> None:
    path = without_length(write_video(tmp_path / name, "VP80"))
    clip = VideoClip(path)
    assert (sum(1 for _ in clip.frames()), len(clip), clip.problems()) == (FRAMES, FRAMES, ())
    assert len(VideoClip(path)) == FRAMES


@pytest.mark.skipif(not REPORTS.is_dir(), reason=f"no reports at {REPORTS} (set PCAN_SHARED)")
@pytest.mark.parametrize(
    ("name", "frames", "end"),
    [
        ("base.mkv", 24, ""),
        ("live.webm", 24, ""),
        ("raw.h264", 24, ""),
        ("truncated.mkv", 9, "ended after 9 of 25 frames"),
    ],
)
def test_the_videos_of_public_reports_end_where_they_should(name: str, frames: int, end: str) -> None:
    clip = open_clip(REPORTS / name)
    assert sum(1 for _ in clip.frames()) == frames
    assert end in "".join(clip.problems()) and len(clip.problems()) == bool(end)


def test_frames_come_in_any_order_and_in_another_process(tmp_path: Path) -> None:
    path = write_video(tmp_path / "v.avi", "MJPG")
    whole, clip = decoded(path), VideoClip(path)
    for index in (3, 3, 24, 0, 7):
        np.testing.assert_array_equal(clip.read(index).image, whole[index])
    other = pickle.loads(pickle.dumps(clip))
    np.testing.assert_array_equal(other.read(5).image, whole[5])
    for index in (FRAMES, FRAMES + 9, -1):
        with pytest.raises(EndOfClip, match="v: expected a frame below "):
            clip.read(index)


def test_a_video_is_decoded_once_when_it_is_read_in_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    grabbed, opened = [], []
    real = cv2.VideoCapture

    class Watched:
        def __init__(self, path: str) -> None:
            opened.append(path)
            self._video = real(path)

        def grab(self) -> bool:
            grabbed.append(1)
            return self._video.grab()

        def __getattr__(self, name: str) -> Any:
            return getattr(self._video, name)

    path = write_video(tmp_path / "v.avi", "MJPG")
    monkeypatch.setattr("cv2.VideoCapture", Watched)
    clip = open_clip(path)
    assert [clip.read(k).number for k in range(FRAMES)] == list(range(FRAMES))
    with pytest.raises(EndOfClip):
        clip.read(FRAMES)
    assert len(clip) == FRAMES and (len(opened), len(grabbed)) == (1, FRAMES + 1)


def test_a_video_of_an_unknown_ending_is_tried_and_a_text_is_not(tmp_path: Path) -> None:
    path = write_video(tmp_path / "v.avi", "MJPG").rename(tmp_path / "recording.dav")
    assert len(open_clip(path)) == FRAMES
    for name, data in (("notes.txt", b"once upon a time"), ("data.bin", bytes(2000))):
        (tmp_path / name).write_bytes(data)
        with pytest.raises(DataError, match=f"layout: expected one of kitti_mots, .*, got {name}"):
            open_clip(tmp_path / name)


def test_a_name_with_a_colon_is_no_address(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_video(tmp_path / "v.avi", "MJPG").rename(tmp_path / "cam:1 (front).avi")
    monkeypatch.chdir(tmp_path)
    assert len(open_clip("cam:1 (front).avi")) == FRAMES
