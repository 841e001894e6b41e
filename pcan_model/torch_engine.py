"""The network run by torch: the reference that every other engine agrees with."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pcan_model import checkpoint
from pcan_model.config import Config
from pcan_model.frame_attention.kinds import memory_shapes
from pcan_model.layout import NEXT, SLOTS, SMALL, MakeLayout, lean
from pcan_model.network import PCAN
from pcan_model.structures import Detections, Slots


@dataclass(frozen=True, slots=True, eq=False)
class Memory:
    """One camera's prototypes: L levels, T frames, N rows per frame; M tracks of K each."""

    keys: Tensor  # (L, T, N, D) newest frame first
    values: Tensor  # (L, T, N, Cv)
    valid: Tensor  # (T,) 1 where a frame is kept
    bank: Tensor  # (M, K, Dk) accumulated prototypes of the tracks


@dataclass(frozen=True, slots=True, eq=False)
class Features:
    """What one frame leaves for the instance pass."""

    handed: tuple[Tensor, ...]  # what the layout hands to the instance pass
    memory: Memory  # with this frame added to the frame prototypes


def empty_memory(config: Config) -> Memory:
    """Return the memory of a camera that has seen nothing."""
    instance = config.instance_attention
    keys, values = memory_shapes(config)
    return Memory(
        torch.zeros(keys),
        torch.zeros(values),
        torch.zeros(config.frame_attention.memory_frames),
        torch.zeros(
            config.tracker.capacity, instance.foreground + instance.background, instance.key_channels
        ),
    )


class TorchEngine:
    """Engine over a network in memory, or over a checkpoint file."""

    def __init__(self, config: Config, weights: Path | PCAN, layout: MakeLayout = lean) -> None:
        self.config = config
        net = weights if isinstance(weights, PCAN) else PCAN(config)
        if isinstance(weights, Path):
            checkpoint.load_weights(weights, net)
        self.layout = layout(net)
        self.camera = self.layout.camera

    def start(self) -> Memory:
        """Return the empty memory of one camera."""
        return empty_memory(self.config)

    @torch.inference_mode()
    def detect(self, image: NDArray[np.uint8], memory: Memory) -> tuple[Detections, Features]:
        """Find the objects of one picture (height, width, 3) uint8; see `pcan_model.engine`."""
        size = self.camera or self.config.input
        expected = (size.height, size.width, 3)
        if image.shape != expected:
            raise ValueError(f"image: expected {expected}, got {image.shape}")
        picture = torch.from_numpy(np.ascontiguousarray(image))[None]
        values = self.layout.frame(picture, memory.keys, memory.values, memory.valid)
        out = dict(zip(self.layout.outputs["frame"], values, strict=True))
        keys, prototypes, valid = (out[name] for name in NEXT)
        following = replace(memory, keys=keys, values=prototypes, valid=valid)
        rows = out["scores"].nonzero()[:, 0]
        boxes, scores, labels, embeds = (out[name][rows].numpy() for name in SMALL)
        handed = tuple(out[name] for name in self.layout.features)
        return Detections(boxes, scores, labels, embeds, rows.numpy()), Features(handed, following)

    @torch.inference_mode()
    def segment(
        self, features: Features, slots: Slots, memory: Memory, *, remember: bool
    ) -> tuple[NDArray[np.float32], Memory]:
        """Make the tracks' masks (D, 2S, 2S) by their prototypes; return logits and the next memory."""
        following = features.memory if remember else memory
        if not slots.has.any():  # nothing is tracked: no mask is asked for
            heads = self.config.heads
            side = 2 * heads.mask_size
            return np.zeros((heads.detections, side, side), np.float32), replace(following, bank=memory.bank)
        choice = (torch.from_numpy(getattr(slots, name)) for name in SLOTS)
        refined, bank = self.layout.instance(*features.handed, memory.bank, *choice)
        return refined.numpy(), replace(following, bank=bank)
