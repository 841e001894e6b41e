"""What the commands over bags are told; no ROS."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from pcan_model.core.fields import about, setting
from pcan_model.data.registry import FORMATS
from pcan_model.inference.backends import BACKENDS
from pcan_model.inference.input_size import DESCRIPTION, LARGEST

Storage = Literal["mcap", "sqlite3"]


@dataclass(frozen=True, slots=True)
class MakeOptions:
    """A bag made of a data set, a video or images."""

    source: Path = field(metadata=about("data set, video, or folder of images"))
    out: Path = field(metadata=about("bag to write; a folder of bags for several clips"))
    format: str = setting("auto", "of the data set; auto goes by its files", choices=("auto", *FORMATS))
    split: str | None = setting(None, "of the data set's own, such as val; all that is labelled without it")
    videos: tuple[str, ...] | None = setting(None, "only these clips of a data set; all without it")
    storage: Storage = setting("mcap", "plugin of rosbag2")
    compressed: Literal["jpeg", "png"] | None = setting(None, "as CompressedImage (jpeg if not said)")
    rate: float = setting(0.0, "images a second; 0 for the source's, else 10", low=0.0)
    topic: str = setting("/camera/image", "of the images")
    frame: str = setting("camera", "frame_id")
    calibration: Path | None = setting(None, "camera_calibration YAML or KITTI calib file for CameraInfo")


@dataclass(frozen=True, slots=True)
class ShowOptions:
    """A bag looked through."""

    bag: Path = field(metadata=about("rosbag2 folder, or one of its files; need not be whole"))
    json: Path | None = setting(None, "write the report as JSON, too")
    sheet: Path | None = setting(None, "page of images with their tracks")
    topic: str = setting("", "images of the page; the topic with most without it")
    tracks: str = setting("", "tracks of the page; the topic that fits most images without it")


@dataclass(frozen=True, slots=True)
class LabelOptions:
    """A copy of a bag with tracks."""

    bag: Path = field(metadata=about("rosbag2 with images; need not be whole"))
    out: Path = field(metadata=about("bag to write"))
    topics: tuple[str, ...] = setting((), "image topics; the one with most images without it")
    model: Path | None = setting(None, "folder of an exported model; pcan_street without it")
    size: str = setting(LARGEST, DESCRIPTION)
    backend: str = setting("auto", "what runs the network", choices=BACKENDS)
    threads: int = setting(0, "CPU threads, 0 for one per core", low=0)
    storage: Storage = setting("mcap", "plugin of rosbag2")
    prefix: str = setting("/pcan_tracker", "of the new topics")
    raw: bool = setting(False, "overlay and label image as Image instead of CompressedImage, jpeg and png")
    no_images: bool = setting(False, "tracks only")
