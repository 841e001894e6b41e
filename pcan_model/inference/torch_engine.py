"""The network run by torch: the reference that every other engine agrees with."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pcan_model.core.engine import Engine, EngineFacts, Image
from pcan_model.core.structures import Detections, Slots
from pcan_model.model.detector import Detector
from pcan_model.model.pass_names import DETECTIONS, SLOTS, following
from pcan_model.model.pass_signature import MakeSignature, PassSignature, sparse


@dataclass(frozen=True, slots=True, eq=False)
class TorchMemory:
    """One camera's past, in the shapes of the passes' signature; float32."""

    frames: tuple[Tensor, ...]  # PassSignature.memory
    bank: tuple[Tensor, ...]  # PassSignature.bank


@dataclass(frozen=True, slots=True, eq=False)
class TorchFeatures:
    """What one frame leaves for the instance pass."""

    handed: tuple[Tensor, ...]  # PassSignature.features: what the instance pass takes
    memory: TorchMemory  # with this frame added to the frame memory


def empty_memory(signature: PassSignature) -> TorchMemory:
    """Return the memory of a camera that has seen nothing."""
    return TorchMemory(
        *(tuple(map(torch.zeros, part.values())) for part in (signature.memory, signature.bank))
    )


class TorchEngine(Engine):
    """Engine over a network in memory."""

    def __init__(self, net: Detector, signature: MakeSignature = sparse) -> None:
        """Take a network.

        signature  makes the passes of the network's form
        """
        self.config = net.config
        self.signature = signature(net)
        self.camera_format = self.signature.camera_format

    @property
    def facts(self) -> EngineFacts:
        """Return the version of torch."""
        return EngineFacts("torch", f"torch {torch.__version__}, CPU", "fp32")

    def start(self, camera: int = 0) -> TorchMemory:
        """Return the empty memory of one camera."""
        return empty_memory(self.signature)

    @torch.inference_mode()
    def detect(self, image: Image, memory: TorchMemory) -> tuple[Detections, TorchFeatures]:
        """Find the objects of one image (height, width, 3) uint8; see `pcan_model.core.engine`."""
        size = self.camera_format or self.config.input
        expected = (size.height, size.width, 3)
        if image.shape != expected:
            raise ValueError(f"image: expected {expected}, got {image.shape}")
        batch = torch.from_numpy(np.ascontiguousarray(image))[None]
        values = self.signature.frame(batch, *memory.frames)
        out = dict(zip(self.signature.outputs["frame"], values, strict=True))
        frames = tuple(out[name] for name in following(self.signature.memory))
        rows = out["scores"].nonzero()[:, 0]
        boxes, scores, labels, embeds = (out[name][rows].numpy() for name in DETECTIONS)
        handed = tuple(out[name] for name in self.signature.features)
        features = TorchFeatures(handed, replace(memory, frames=frames))
        return Detections(boxes, scores, labels, embeds, rows.numpy()), features

    @torch.inference_mode()
    def segment(
        self, features: TorchFeatures, slots: Slots, memory: TorchMemory, *, remember: bool
    ) -> tuple[NDArray[np.float32], TorchMemory]:
        """Make the tracks' masks (D, 2S, 2S) by their prototypes; return logits and the next memory."""
        frames = features.memory.frames if remember else memory.frames
        if not slots.has.any():  # nothing is tracked: no mask is asked for
            heads = self.config.heads
            side = 2 * heads.mask_size
            return np.zeros((heads.detections, side, side), np.float32), TorchMemory(frames, memory.bank)
        choice = (torch.from_numpy(getattr(slots, name)) for name in SLOTS)
        refined, *bank = self.signature.instance(*features.handed, *memory.bank, *choice)
        return refined.numpy(), TorchMemory(frames, tuple(bank))
