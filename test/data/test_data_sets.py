"""Data sets on disk: every format is recognised, written and read again, and says what it lacks."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import pytest
from support.clips import DrawnClip

from pcan_model.core.config import CLASSES
from pcan_model.core.errors import DataError
from pcan_model.data.check import DatasetSummary, check, describe
from pcan_model.data.clips import IGNORE, Clip, LabeledFrame
from pcan_model.data.convert import TARGETS, convert
from pcan_model.data.datasets.scalabel import write_clip
from pcan_model.data.files import FileClip
from pcan_model.data.registry import open_clips, recognise
from pcan_model.synthetic.drive import SyntheticDrive

PEDESTRIAN, CAR, BUS = (CLASSES.index(name) for name in ("pedestrian", "car", "bus"))


class Bars(DrawnClip):
    """Bars that drift to the right, the second from frame 1 on, and an ignored corner."""

    rate = 5.0

    def __init__(
        self, name: str = "bars", labels: Sequence[int] = (CAR, PEDESTRIAN), length: int = 3
    ) -> None:
        self.name, self._labels, self._length = name, labels, length

    def __len__(self) -> int:
        return self._length

    def draw(self, index: int) -> LabeledFrame:
        count = len(self._labels) if index else 1
        masks = np.zeros((count, 40, 60), bool)
        for k in range(count):
            masks[k, 5:20, 20 * k + index : 20 * k + index + 9] = True
        ignore = np.zeros((40, 60), bool)
        ignore[30:, :20] = True
        image = np.full((40, 60, 3), 90 + index, np.uint8)
        return LabeledFrame(image, masks, np.array(self._labels[:count]), np.arange(count) + 7, ignore)


def write(clips: Sequence[Clip], target: str, out: Path, split: str = "train") -> Path:
    assert len(list(convert(clips, target, out, split=split))) == sum(map(len, clips))
    return out


def assert_same(clip: Clip, other: Clip, *, ids: bool = True) -> None:
    """Equal masks, labels and ignored pixels; ids equal, or one to one through the clip."""
    assert (clip.name, len(clip)) == (other.name, len(other))
    known: dict[int, int] = {}
    for index in range(len(clip)):
        a, b = clip.frame(index), other.frame(index)
        np.testing.assert_array_equal(a.ignore, b.ignore)
        assert len(a.ids) == len(b.ids)
        for mask, label, identity in zip(a.masks, a.labels, a.ids.tolist(), strict=True):
            (k,) = (k for k in range(len(b.ids)) if np.array_equal(b.masks[k], mask))
            assert b.labels[k] == label
            assert known.setdefault(identity, int(b.ids[k])) == b.ids[k]
    assert len(set(known.values())) == len(known)
    if ids:
        assert all(identity == number for identity, number in known.items())


NUMBERED = {"kitti_mots": False, "bdd100k_bitmask": True, "scalabel": True, "youtube_vis": False}  # keeps ids
LAYOUTS = {name: {"bdd100k_bitmask": "bdd100k_seg_track"}.get(name, name) for name in TARGETS}


@pytest.mark.parametrize("target", TARGETS)
def test_what_is_written_in_a_format_is_recognised_and_read_again(tmp_path: Path, target: str) -> None:
    out = write([Bars("a"), Bars("b", length=1)], target, tmp_path / "out")
    assert recognise(out).name == LAYOUTS[target]
    first, second = open_clips(out)
    assert_same(Bars("a"), first, ids=NUMBERED[target])
    assert_same(Bars("b", length=1), second, ids=NUMBERED[target])


@pytest.mark.parametrize("target", TARGETS)
def test_a_conversion_there_and_back_changes_nothing(tmp_path: Path, target: str) -> None:
    (first,) = open_clips(write([Bars()], target, tmp_path / "first"))
    between = "scalabel" if target != "scalabel" else "bdd100k_bitmask"
    (second,) = open_clips(write([first], between, tmp_path / "second"))
    (third,) = open_clips(write([second], target, tmp_path / "third"))
    assert_same(first, third, ids=target != "youtube_vis")


@pytest.mark.parametrize("target", ["bdd100k_bitmask", "scalabel", "youtube_vis"])
def test_the_synthetic_drive_writes_itself_in_every_format(tmp_path: Path, target: str) -> None:
    drive = SyntheticDrive(3, 2, 96, 160)
    (clip,) = open_clips(write([drive], target, tmp_path / "out"))
    assert_same(drive, clip, ids=NUMBERED[target])


def test_kitti_mots_ignores_the_classes_it_lacks(tmp_path: Path) -> None:
    (clip,) = open_clips(write([Bars(labels=(CAR, BUS))], "kitti_mots", tmp_path / "out"))
    frame = clip.frame(1)
    assert frame.labels.tolist() == [CAR]
    np.testing.assert_array_equal(frame.ignore, Bars().frame(1).ignore | Bars().frame(1).masks[1])


def test_kitti_mots_images_and_lines_say_the_same(tmp_path: Path) -> None:
    out = write([Bars()], "kitti_mots", tmp_path / "out")
    (image_files,) = open_clips(out)
    shutil.copytree(out, tmp_path / "lines", ignore=shutil.ignore_patterns("instances"))
    (lines,) = open_clips(tmp_path / "lines")
    assert_same(image_files, lines)


def test_images_are_copied_as_they_are(tmp_path: Path) -> None:
    (first,) = open_clips(write([Bars()], "scalabel", tmp_path / "first"))
    (second,) = open_clips(write([first], "youtube_vis", tmp_path / "second"))
    assert isinstance(first, FileClip) and isinstance(second, FileClip)
    assert first.image_files[0].read_bytes() == second.image_files[0].read_bytes()


def test_labels_come_without_their_image(tmp_path: Path) -> None:
    for target in TARGETS:
        out = write([Bars()], target, tmp_path / target)
        (clip,) = open_clips(out)
        assert isinstance(clip, FileClip)
        for pixels in clip.image_files:
            pixels.unlink()
        assert clip.labels(1).objects().areas().tolist() == [135, 135]


@pytest.mark.parametrize("target", TARGETS)
def test_names_with_spaces_stay(tmp_path: Path, target: str) -> None:
    out = write([Bars("front left 2"), Bars("front")], target, tmp_path / "a set", split="val")
    split = "val" if target in ("kitti_mots", "bdd100k_bitmask", "youtube_vis") else None
    clips = open_clips(out, split=split)
    assert sorted(clip.name for clip in clips) == ["front", "front left 2"]
    assert_same(next(clip for clip in clips if " " in clip.name), Bars("front left 2"), ids=False)


def test_splits_are_read_alone(tmp_path: Path) -> None:
    for split in ("train", "val"):
        part = write([Bars(f"{split}_clip")], "bdd100k_bitmask", tmp_path / split, split)
        shutil.copytree(part, tmp_path / "both", dirs_exist_ok=True)
    assert [clip.name for clip in open_clips(tmp_path / "both")] == ["train_clip", "val_clip"]
    assert [clip.name for clip in open_clips(tmp_path / "both", split="val")] == ["val_clip"]
    with pytest.raises(DataError, match=r"labels/seg_track_20: split test: expected images/seg_track_20"):
        open_clips(tmp_path / "both", split="test")


def test_the_splits_of_kitti_mots_are_those_of_the_paper(tmp_path: Path) -> None:
    val = ("0002", "0006", "0007", "0008", "0010", "0013", "0014", "0016", "0018")
    out = write([Bars(f"{k:04d}", length=1) for k in range(21)], "kitti_mots", tmp_path / "out")
    (out / "train.seqmap").unlink()
    assert tuple(clip.name for clip in open_clips(out, split="val")) == val
    train = [clip.name for clip in open_clips(out, split="train")]
    assert len(train) == 12 and not set(train) & set(val)
    shutil.rmtree(out / "image_02" / "0006")
    with pytest.raises(DataError, match=r"image_02: split val: expected the sequences \['0006'\], got"):
        open_clips(out, split="val")


def test_a_sub_split_parts_the_videos_of_youtube_vis(tmp_path: Path) -> None:
    out = write([Bars(f"v{k:02d}", length=1) for k in range(12)], "youtube_vis", tmp_path / "out")
    val = [clip.name for clip in open_clips(out, split="val_sub")]
    train = [clip.name for clip in open_clips(out, split="train_sub")]
    assert val == ["v00", "v10"] and sorted(train + val) == [f"v{k:02d}" for k in range(12)]


def test_a_youtube_vis_split_without_labels_says_so(tmp_path: Path) -> None:
    out = write([Bars()], "youtube_vis", tmp_path / "out", "valid")
    file = out / "valid" / "instances.json"
    data = json.loads(file.read_text())
    del data["annotations"]
    file.write_text(json.dumps(data))
    (clip,) = open_clips(out)
    assert not clip.labelled and len(clip.frame(0).ids) == 0


def test_rles_and_polygons_serve_where_there_are_no_bitmasks(tmp_path: Path) -> None:
    (clip,) = open_clips(write([Bars()], "scalabel", tmp_path / "scalabel"))
    assert isinstance(clip, FileClip)
    root = tmp_path / "bdd"
    for pixels in clip.image_files:
        target = root / "images" / "seg_track_20" / "val" / "bars" / pixels.name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(pixels, target)
    for kind in ("polygons", "rles"):  # rles go before polygons
        file = root / "labels" / "seg_track_20" / kind / "val" / "bars.json"
        file.parent.mkdir(parents=True)
        text = (tmp_path / "scalabel" / "labels" / "bars.json").read_text()
        file.write_text(text if kind == "rles" else "[]")
    assert_same(Bars(), open_clips(root, split="val")[0])


@pytest.mark.parametrize(("task", "images"), [("box_track_20", "track"), ("det_20", "100k")])
def test_boxes_alone_are_ignored_but_for_training(tmp_path: Path, task: str, images: str) -> None:
    label = {"id": "1", "category": "car", "box2d": {"x1": 2, "y1": 3, "x2": 11, "y2": 12}}
    frame = {"name": "0.jpg", "videoName": "v", "frameIndex": 0, "labels": [label]}
    folder = tmp_path / "images" / images / "train" / ("v" if task == "box_track_20" else "")
    labels = tmp_path / "labels" / task / ("train/v.json" if task == "box_track_20" else "det_train.json")
    folder.mkdir(parents=True)
    labels.parent.mkdir(parents=True)
    cv2.imwrite(str(folder / "0.jpg"), np.zeros((40, 60, 3), np.uint8))
    labels.write_text(json.dumps([frame]))
    (clip,) = open_clips(tmp_path)
    shown = clip.frame(0)
    assert len(shown.ids) == 0 and shown.ignore.sum() == 100 and shown.ignore[3:13, 2:12].all()
    taught = clip.flat(0)
    assert taught.boxes.tolist() == [[2, 3, 12, 13]]
    assert not (taught.index == IGNORE).any() and taught.areas().tolist() == [100]
    np.testing.assert_array_equal(taught.index == 1, shown.ignore)


def test_a_folder_of_images_is_a_clip_without_labels(tmp_path: Path) -> None:
    for number in (10, 9):
        cv2.imwrite(str(tmp_path / f"f{number}.png"), np.full((4, 6, 3), number, np.uint8))
    (clip,) = open_clips(tmp_path)
    assert not clip.labelled
    assert [int(clip.frame(k).image[0, 0, 0]) for k in range(2)] == [9, 10]


def test_a_video_gives_its_frames_in_any_order(tmp_path: Path) -> None:
    path = tmp_path / "v.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 12.5, (64, 48))
    for number in range(5):
        writer.write(np.full((48, 64, 3), 50 * number, np.uint8))
    writer.release()
    (clip,) = open_clips(path)
    assert (len(clip), clip.rate, clip.labelled) == (5, 12.5, False)
    for index in (0, 1, 4, 2, 3):
        assert abs(int(clip.frame(index).image.mean()) - 50 * index) <= 2
    with pytest.raises(IndexError):
        clip.frame(5)


def test_a_file_that_is_no_video_is_refused(tmp_path: Path) -> None:
    (tmp_path / "v.mp4").write_text("no video")
    with pytest.raises(DataError, match=r"v\.mp4: video: expected a video that OpenCV can read"):
        open_clips(tmp_path / "v.mp4")


def test_a_folder_that_is_nothing_known_says_what_is_expected(tmp_path: Path) -> None:
    (tmp_path / "odd").mkdir()
    with pytest.raises(DataError, match=r"layout: expected one of kitti_mots, .*, got \['odd'\]"):
        open_clips(tmp_path)
    with pytest.raises(DataError, match=r"format: expected auto or one of kitti_mots, .*, got cityscapes"):
        open_clips(tmp_path, "cityscapes")
    with pytest.raises(DataError, match=r"path: expected a data set, .*, got nothing there"):
        open_clips(tmp_path / "nowhere")


def test_clips_are_chosen_by_name(tmp_path: Path) -> None:
    out = write([Bars("a"), Bars("b")], "scalabel", tmp_path / "out")
    assert [clip.name for clip in open_clips(out, videos=["b"])] == ["b"]
    with pytest.raises(DataError, match=r"videos: expected some of \['a', 'b'\], got \['c'\]"):
        open_clips(out, videos=["c"])


def test_an_interrupted_conversion_leaves_nothing_that_looks_whole(tmp_path: Path) -> None:
    steps = convert([Bars()], "youtube_vis", tmp_path / "out")
    next(steps)
    steps.close()
    assert not (tmp_path / "out").exists()
    write([Bars()], "youtube_vis", tmp_path / "out")
    with pytest.raises(DataError, match="out: expected a folder that does not exist"):
        next(convert([Bars()], "scalabel", tmp_path / "out"))


def test_check_counts_by_class_and_names_every_problem(tmp_path: Path) -> None:
    write_clip(tmp_path, "a", (Bars().frame(k) for k in range(3)))
    (clip,) = open_clips(tmp_path)
    assert isinstance(clip, FileClip)
    summary = DatasetSummary()
    assert list(check([clip], CLASSES, summary)) == ["a"] * 3
    assert (summary.frames, summary.sizes, summary.problems) == (3, {(40, 60): 3}, [])
    assert summary.areas == {"car": [135] * 3, "pedestrian": [135] * 2}
    assert summary.tracks == {"car": 1, "pedestrian": 1} and summary.ignoring == 3

    clip.image_files[1].write_bytes(b"no image")
    cv2.imwrite(str(clip.image_files[2]), np.zeros((30, 60, 3), np.uint8))
    summary = DatasetSummary()
    list(check([clip], CLASSES, summary))
    assert len(summary.problems) == 2
    assert "000001.jpg: image: expected a readable image, got 8 other bytes" in summary.problems[0]
    assert "rle.size: expected that of the image (30, 60), got [40, 60]" in summary.problems[1]
    assert "problem: " in describe(summary)


def test_check_finds_an_identity_of_two_classes() -> None:
    class Turncoat(Bars):
        def draw(self, index: int) -> LabeledFrame:
            frame = super().draw(index)
            frame.labels[0] = index
            return frame

    summary = DatasetSummary()
    list(check([Turncoat(length=2)], CLASSES, summary))
    assert summary.problems == ["bars: frame 1: class of id 7: expected pedestrian, as before, got rider"]
