"""One entry to every data set: recognised by its files, opened as clips."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from pcan_model.core.config import CLASSES
from pcan_model.core.errors import DataError
from pcan_model.data.clips import Clip
from pcan_model.data.datasets import bdd100k, kitti_mots, scalabel, youtube_vis
from pcan_model.data.files import PICTURES
from pcan_model.data.formats.reading import Complain, refuse
from pcan_model.data.video import VIDEOS, VideoClip, read_folder

Names = Sequence[str]
BAGS = (".mcap", ".db3")


@dataclass(frozen=True, slots=True)
class Layout:
    """How one kind of data set lies on disk."""

    name: str
    expected: str  # its files, for people
    found: Callable[[Path], bool]
    read: Callable[[Path, str | None, Names, Complain], list[Clip]]  # folder, split, classes
    splits: bool = True  # whether it has any


def _bdd100k(name: str, task: bdd100k.Task) -> Layout:
    return Layout(name, task.layout(), task.found, partial(bdd100k.read_clips, task=task))


def _whole(
    read: Callable[[Path, Names, Complain], list[Clip]],
) -> Callable[[Path, str | None, Names, Complain], list[Clip]]:
    """Refuse splits."""

    def read_all(root: Path, split: str | None, names: Names, complain: Complain) -> list[Clip]:
        if split is not None:
            raise DataError(root, "split", "none: this kind of data set has no splits", split)
        return read(root, names, complain)

    return read_all


def _has_pictures(folder: Path) -> bool:
    return folder.is_dir() and any(p.suffix.lower() in PICTURES for p in folder.iterdir())


def _is_bag(path: Path) -> bool:
    return path.suffix in BAGS if path.is_file() else any(p.suffix in BAGS for p in path.iterdir())


def _read_bag(path: Path, names: Names, _: Complain) -> list[Clip]:
    """Open a bag; rosbags is imported only now, so that it need not be there."""
    from pcan_model.data.bags.clip import BagClip

    return [BagClip(path, names=names)]


LAYOUTS = (  # of two that fit, the first
    Layout("kitti_mots", kitti_mots.LAYOUT, kitti_mots.found, kitti_mots.read_clips),
    _bdd100k("bdd100k_seg_track", bdd100k.SEG_TRACK),
    _bdd100k("bdd100k_ins_seg", bdd100k.INS_SEG),
    _bdd100k("bdd100k_box_track", bdd100k.BOX_TRACK),
    _bdd100k("bdd100k_det", bdd100k.DET),
    Layout("youtube_vis", youtube_vis.LAYOUT, youtube_vis.found, youtube_vis.read_clips),
    Layout("scalabel", scalabel.LAYOUT, scalabel.found, _whole(scalabel.read_all), splits=False),
    Layout(
        "bag", "a rosbag2 with images, /ground_truth for labels", _is_bag, _whole(_read_bag), splits=False
    ),
    Layout(
        "video",
        f"a file ({', '.join(VIDEOS)})",
        lambda path: path.is_file() and path.suffix.lower() in VIDEOS,
        _whole(lambda path, *_: [VideoClip(path)]),
        splits=False,
    ),
    Layout(
        "folder",
        "pictures, without labels",
        _has_pictures,
        _whole(lambda path, *_: [read_folder(path)]),
        splits=False,
    ),
)
FORMATS = tuple(layout.name for layout in LAYOUTS)


def recognise(path: Path, format: str = "auto") -> Layout:
    """Return what kind of data set is at a path.

    format  a name of FORMATS, or auto

    Raises DataError, which says what was expected, where it is none.
    """
    if not path.exists():
        raise DataError(path, "path", "a data set, a folder of pictures or a video", "nothing there")
    if format != "auto" and format not in FORMATS:
        raise DataError(path, "format", f"auto or one of {', '.join(FORMATS)}", format)
    asked = [layout for layout in LAYOUTS if format in ("auto", layout.name)]
    if layout := next((layout for layout in asked if layout.found(path)), None):
        return layout
    all_names = f"one of {', '.join(FORMATS)}, whose files `pcan-data --help` names"
    expected = all_names if len(asked) > 1 else f"{asked[0].name}: {asked[0].expected}"
    here = sorted(p.name for p in path.iterdir())[:12] if path.is_dir() else path.name
    raise DataError(path, "layout", expected, here)


def open_clips(
    path: Path | str,
    format: str = "auto",
    *,
    split: str | None = None,
    videos: Sequence[str] | None = None,
    names: Names = CLASSES,
    complain: Complain = refuse,
) -> list[Clip]:
    """Open a data set, recognised by its files, as clips in order of name.

    format  a name of FORMATS, or auto
    split   of the data set's own, such as train and val; None: all that have labels
    videos  only the clips of these names
    names   of the classes that labels count; what else a data set labels is ignored
    complain  takes the error of each file, frame or object that is left out; without it the first is raised

    Labels in JSON are read and checked now; all others, and pictures, when a frame is asked for.
    Raises DataError where the files are not as expected.
    """
    root = Path(path)
    clips = recognise(root, format).read(root, split, names, complain)
    if videos is None:
        return clips
    known = {clip.name: clip for clip in clips}
    if missing := [name for name in videos if name not in known]:
        raise DataError(root, "videos", f"some of {sorted(known)}", missing)
    return [known[name] for name in sorted(set(videos))]
