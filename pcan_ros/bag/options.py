"""Options of the bag commands; independent of ROS."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from pcan_model.cli.rank import RankOptions
from pcan_model.core.fields import about, setting
from pcan_model.core.workers import WorkerOptions
from pcan_model.data.bags.scene_messages import DepthEncoding
from pcan_model.data.registry import FORMATS
from pcan_model.inference.backends import BACKENDS
from pcan_model.inference.input_size import DESCRIPTION, LARGEST

Storage = Literal["mcap", "sqlite3"]


@dataclass(frozen=True, slots=True)
class MakeOptions:
    """Options of `pcan-bag make`."""

    source: Path = field(metadata=about("data set, video, or folder of images"))
    out: Path = field(metadata=about("bag to write; for several clips, a folder of bags", writes=True))
    format: str = setting(
        "auto", "format of the data set; auto: recognised by its files", choices=("auto", *FORMATS)
    )
    split: str | None = setting(None, "split of the data set, such as val; default: all labelled splits")
    videos: tuple[str, ...] | None = setting(None, "names of clips of a data set; default: all")
    storage: Storage = setting("mcap", "storage plugin of rosbag2")
    compressed: Literal["jpeg", "png"] | None = setting(
        None, "write CompressedImage in this format (jpeg if none is given)"
    )
    rate: float = setting(
        0.0, "images per second; 0 for the rate of the source, or 10 if it has none", low=0.0
    )
    topic: str = setting("/camera/image", "image topic")
    frame: str = setting("camera", "frame_id of every header")
    calibration: Path | None = setting(None, "camera_calibration YAML or KITTI calib file, for CameraInfo")
    depth: DepthEncoding = setting(
        "16UC1", "encoding of the depth image of a clip with geometry: millimetres, or metres"
    )


@dataclass(frozen=True, slots=True)
class ShowOptions:
    """Options of `pcan-bag show`."""

    bag: Path = field(metadata=about("rosbag2 folder, or one of its files; may be damaged"))
    json: Path | None = setting(None, "also write the report as JSON", writes=True)
    sheet: Path | None = setting(None, "contact sheet to write: images with their tracks", writes=True)
    topic: str = setting("", "image topic of the contact sheet; default: the most likely camera topic")
    tracks: str = setting("", "track topic of the contact sheet; default: the one that matches most images")


@dataclass(frozen=True, slots=True)
class LabelOptions(WorkerOptions):
    """Options of `pcan-bag label`."""

    bags: tuple[Path, ...] = field(metadata=about("rosbag2 with images; may be damaged"))
    out: Path = field(metadata=about("bag to write; for several, a folder of bags", writes=True))
    topics: tuple[str, ...] = setting((), "image topics; default: the most likely camera topic")
    model: Path | None = setting(None, "folder of an exported model; default: models/pcan_street")
    size: str = setting(LARGEST, DESCRIPTION)
    backend: str = setting("auto", "inference backend", choices=BACKENDS)
    threads: int = setting(0, "CPU threads, 0 for one per core, or one in each of several workers", low=0)
    storage: Storage = setting("mcap", "storage plugin of rosbag2")
    prefix: str = setting("/pcan_tracker", "prefix of the new topics")
    raw: bool = setting(False, "write overlay and label image as Image instead of CompressedImage")
    no_images: bool = setting(False, "write tracks only", aliases=("--no-pictures",))


@dataclass(frozen=True, slots=True, kw_only=True)
class RankBagOptions(RankOptions):
    """Options of `pcan-bag rank`."""

    bags: tuple[Path, ...] = field(metadata=about("rosbag2 with images"))
    topic: str = setting("", "image topic; default: the most likely camera topic")
