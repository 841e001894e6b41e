"""Exported models in 8 bits, without another export of the graphs for each precision."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from support.moving import moving_blocks

from pcan_model.data.clips import Clip, ClipFrame
from pcan_model.export import model_folder as room
from pcan_model.export import precision
from pcan_model.export.options import ExportOptions
from pcan_model.export.quantise import LAYERS
from pcan_model.model.pass_signature import PassSignature
from pcan_model.model.pcan import PCAN
from pcan_model.released.network import ReleasedPCAN

STATIC = ExportOptions(roi="gridsample")


@dataclass(frozen=True)
class BlockClip(Clip):
    """A clip of drifting blocks, without labels."""

    length: int
    seed: int
    height: int = 128
    width: int = 192
    name: str = "blocks"
    rate: float = 10.0
    labelled: bool = False
    images: list[NDArray[np.uint8]] = field(init=False, default_factory=list)

    def __post_init__(self) -> None:
        frames = moving_blocks(self.length, self.height, self.width, self.seed)
        self.images.extend(frame.image for frame in frames)

    def __len__(self) -> int:
        return self.length

    def read(self, index: int) -> ClipFrame:
        self._check_index(index, self.length)
        return self._frame(index, self.images[index])


def round_all(
    net: PCAN | ReleasedPCAN,
    root: Path,
    clips: Sequence[Clip],
    options: ExportOptions = STATIC,
    *,
    frames: int = 8,
) -> dict[str, Path]:
    """Export a network in every precision of 8 bits; returns the folder of each."""
    whole = root / "whole"
    whole.mkdir()
    for prefix, signature in room._signatures(net, options).items():
        room._write_passes(net, whole, signature, prefix, own_weights=True)

    def take(
        net: PCAN | ReleasedPCAN, folder: Path, signature: PassSignature, prefix: str, *, own_weights: bool
    ) -> None:
        assert own_weights
        shutil.copytree(whole, folder, dirs_exist_ok=True)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(room, "_write_passes", take)
        patch.setattr(precision, "CALIBRATION_FRAMES", frames)
        each = {name: replace(options, precision=name) for name in LAYERS}
        return {name: room.export(net, root / name, own, calibration=clips) for name, own in each.items()}
