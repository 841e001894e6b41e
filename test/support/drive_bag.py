"""A short drive with geometry, and its bag with all topics."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.once import once

from pcan_model.synthetic.drive import write_drives

NAME, FRAME = "synthetic_000001", "front_optical"


def drive_with_bag(factory: pytest.TempPathFactory) -> Path:
    """Return a data set of two images, 160 x 96, with the bag `bag` in its folder."""
    return once(factory, "drive_bag", _make)


def _make(root: Path) -> None:
    from pcan_ros.bag.command import main

    write_drives(root, range(1, 2), length=2, height=96, width=160, rate=10, swing=0.3, geometry=True)
    assert main(["make", str(root), "--out", str(root / "bag"), "--frame", FRAME]) == 0
