"""Which part compares which recorded file."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path

from pcan_model.sipmask.parity.clip import compare_clip
from pcan_model.sipmask.parity.detection import compare_decoding, compare_masks, compare_suppression
from pcan_model.sipmask.parity.network import (
    compare_alignment,
    compare_backbone,
    compare_head,
    compare_pyramid,
)
from pcan_model.sipmask.parity.recording import Recording
from pcan_model.sipmask.parity.tracking import compare_centres, compare_tracking
from pcan_model.sipmask.parity.training import compare_losses, compare_targets

PARTS: dict[str, Callable[[Recording], None]] = {  # the first whose pattern is a file's whole name
    r"backbone": compare_backbone,
    r"fpn": compare_pyramid,
    r"head_\w+": compare_head,
    r"align": compare_alignment,
    r"decode_\w+": compare_decoding,
    r"nms": compare_suppression,
    r"masks_\w+": compare_masks,
    r"track_centres": compare_centres,
    r"track_\w+": compare_tracking,
    r"targets": compare_targets,
    r"losses_\w+": compare_losses,
}


def compare_file(path: Path) -> Recording:
    """Compare one unit file; raises ValueError for a file that no part compares."""
    for pattern, compare in PARTS.items():
        if re.fullmatch(pattern, path.stem):
            recording = Recording(path)
            compare(recording)
            return recording
    raise ValueError(f"{path}: expected a recorded part of SipMask, got no known one")


def compare_place(place: Path, *, scale: tuple[int, int] | None = None) -> Iterator[Recording]:
    """Compare a unit file, a clip's folder, or every one of them below a folder."""
    if place.is_file():
        yield compare_file(place)
        return
    for path in sorted(place.rglob("*.npz")):
        if path.name == "frame0.npz":
            yield from compare_clip(path.parent, scale=scale)
        elif not re.fullmatch(r"frame\d+", path.stem):
            yield compare_file(path)
