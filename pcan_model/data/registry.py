"""Registry of data set formats, which are detected by their files and opened as clips."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from pcan_model.core.config import CLASSES
from pcan_model.core.errors import DataError
from pcan_model.core.storage import local
from pcan_model.data.clips import Clip
from pcan_model.data.datasets import bdd100k, coco, cvat, kitti_mots, label_studio, scalabel, youtube_vis
from pcan_model.data.files import IMAGE_SUFFIXES, is_visible, read_folder
from pcan_model.data.formats.reading import OnError, raise_error
from pcan_model.data.video import VIDEOS, VideoClip, is_video

Names = Sequence[str]
BAGS = (
    ".mcap",
    ".db3",
    ".mcap.zstd",
    ".db3.zstd",
    ".bag",
)  # .bag: ROS 1, refused with the command to convert it


@dataclass(frozen=True, slots=True)
class DatasetFormat:
    """A data set format on disk."""

    name: str
    expected: str  # description of its files
    matches: Callable[[Path], bool]
    read: Callable[[Path, str | None, Names, OnError], list[Clip]]  # folder, split, classes
    splits: bool = True  # whether the format has splits


def _bdd100k(name: str, task: bdd100k.Task) -> DatasetFormat:
    return DatasetFormat(name, task.layout(), task.matches, partial(bdd100k.read_clips, task=task))


def _whole(
    read: Callable[[Path, Names, OnError], list[Clip]],
) -> Callable[[Path, str | None, Names, OnError], list[Clip]]:
    """Wrap a reader of a format without splits, which raises DataError if one is given."""

    def read_checked(root: Path, split: str | None, names: Names, on_error: OnError) -> list[Clip]:
        if split is not None:
            raise DataError(root, "split", "none: this kind of data set has no splits", split)
        return read(root, names, on_error)

    return read_checked


def _has(endings: Sequence[str]) -> Callable[[Path], bool]:
    """Return a function that tests for a file with one of these endings, or a folder with such a file."""

    def test(path: Path) -> bool:
        return any(is_visible(p, endings) for p in (path.iterdir() if path.is_dir() else [path]))

    return test


def _read_bag(path: Path, names: Names, _: OnError) -> list[Clip]:
    """Open a bag; rosbags is an optional dependency, imported on demand."""
    from pcan_model.data.bags.clip import BagClip

    return [BagClip(path, names=names)]


DATASET_FORMATS = (  # in order of preference
    DatasetFormat("kitti_mots", kitti_mots.LAYOUT, kitti_mots.matches, kitti_mots.read_clips),
    _bdd100k("bdd100k_seg_track", bdd100k.SEG_TRACK),
    _bdd100k("bdd100k_ins_seg", bdd100k.INS_SEG),
    _bdd100k("bdd100k_box_track", bdd100k.BOX_TRACK),
    _bdd100k("bdd100k_det", bdd100k.DET),
    DatasetFormat("youtube_vis", youtube_vis.LAYOUT, youtube_vis.matches, youtube_vis.read_clips),
    DatasetFormat("coco", coco.LAYOUT, coco.matches, coco.read_clips),
    DatasetFormat("scalabel", scalabel.LAYOUT, scalabel.matches, _whole(scalabel.read_set), splits=False),
    DatasetFormat("cvat", cvat.LAYOUT, cvat.matches, _whole(cvat.read_set), splits=False),
    DatasetFormat(
        "label_studio", label_studio.LAYOUT, label_studio.matches, _whole(label_studio.read_set), splits=False
    ),
    DatasetFormat(
        "bag", "a rosbag2 with images, /ground_truth for labels", _has(BAGS), _whole(_read_bag), splits=False
    ),
    DatasetFormat(
        "video",
        f"a file that OpenCV can read ({', '.join(VIDEOS)})",
        lambda path: path.suffix.lower() not in IMAGE_SUFFIXES and is_video(path),
        _whole(lambda path, *_: [VideoClip(path)]),
        splits=False,
    ),
    DatasetFormat(
        "folder",
        f"images ({', '.join(IMAGE_SUFFIXES)}), or one of them, without labels",
        _has(IMAGE_SUFFIXES),
        _whole(lambda path, *_: [read_folder(path)]),
        splits=False,
    ),
)
FORMATS = tuple(known.name for known in DATASET_FORMATS)


def recognise(path: Path, format: str = "auto") -> DatasetFormat:
    """Return the format of the data set at a path.

    format  a name of FORMATS, or auto

    Raises DataError if no format matches.
    """
    if not path.exists():
        raise DataError(path, "path", "a data set, a folder of images or a video", "nothing there")
    if format != "auto" and format not in FORMATS:
        raise DataError(path, "format", f"auto or one of {', '.join(FORMATS)}", format)
    candidates = [known for known in DATASET_FORMATS if format in ("auto", known.name)]
    if matches := next((known for known in candidates if known.matches(path)), None):
        return matches
    all_names = f"one of {', '.join(FORMATS)}, whose files `pcan-data --help` names"
    expected = all_names if len(candidates) > 1 else f"{candidates[0].name}: {candidates[0].expected}"
    here = sorted(p.name for p in path.iterdir())[:12] if path.is_dir() else path.name
    raise DataError(path, "layout", expected, here)


def open_clips(
    path: Path | str,
    format: str = "auto",
    *,
    split: str | None = None,
    videos: Sequence[str] | None = None,
    names: Names = CLASSES,
    on_error: OnError = raise_error,
) -> list[Clip]:
    """Open a data set as clips, sorted by name.

    format    a name of FORMATS, or auto to detect it
    split     such as train or val; None: all labelled splits
    videos    names of the clips to open; None: all
    names     class names, in the order of labels; objects of other classes become ignore
    on_error  called with the error of each skipped file, frame or object; by default the first is raised

    JSON labels are read and validated at once; all other labels, and images, on demand.
    Raises DataError if the files are not as expected.
    """
    root = local(path)
    clips = recognise(root, format).read(root, split, names, on_error)
    if videos is None:
        return clips
    known = {clip.name: clip for clip in clips}
    if missing := [name for name in videos if name not in known]:
        raise DataError(root, "videos", f"some of {sorted(known)}", missing)
    return [known[name] for name in sorted(set(videos))]


def open_clip(path: Path | str, format: str = "auto", *, names: Names = CLASSES) -> Clip:
    """Open the clip at a path: a video, a folder of images, an image, or a bag.

    Raises DataError unless there is exactly one.
    """
    clips = open_clips(path, format, names=names)
    if len(clips) != 1:
        expected = "one clip, such as a video or a folder of images"
        raise DataError(Path(path), "clips", expected, [clip.name for clip in clips][:5] or "none")
    return clips[0]
