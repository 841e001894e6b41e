"""Exported models in 8 bits, made of graphs that were exported before: to trace a network takes long."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file
from support.moving import moving_blocks

from pcan_model.data.clips import Clip, ClipFrame
from pcan_model.export import model_folder as room
from pcan_model.export import precision
from pcan_model.export.options import ExportOptions
from pcan_model.export.quantise import LAYERS
from pcan_model.inference.manifest import WEIGHTS, Precision
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
    exported: Path,
    root: Path,
    clips: Sequence[Clip],
    options: ExportOptions = STATIC,
    *,
    frames: int = 8,
    precisions: Iterable[Precision] = LAYERS,
) -> dict[str, Path]:
    """Export a network in precisions of 8 bits; returns the folder of each.

    exported  folder with the same network, exported with the same options in fp32
    """

    def take(net: PCAN | ReleasedPCAN, folder: Path, signature: PassSignature, prefix: str = "") -> None:
        ours, theirs = load_file(folder / WEIGHTS), load_file(exported / WEIGHTS)
        assert ours.keys() == theirs.keys() and all(torch.equal(ours[n], theirs[n]) for n in ours)
        for name in (WEIGHTS, f"{prefix}frame.onnx", f"{prefix}instance.onnx"):
            shutil.copy(exported / name, folder)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(room, "_write_passes", take)
        patch.setattr(precision, "CALIBRATION_FRAMES", frames)
        each = {name: replace(options, precision=name) for name in precisions}
        return {name: room.export(net, root / name, own, calibration=clips) for name, own in each.items()}
