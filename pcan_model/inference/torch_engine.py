"""PCAN on torch, the reference for all other engines."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

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
    """One camera's memory, in the shapes of the pass signature; float32."""

    frames: tuple[Tensor, ...]  # PassSignature.memory
    bank: tuple[Tensor, ...]  # PassSignature.bank


@dataclass(frozen=True, slots=True, eq=False)
class TorchFeatures:
    """Inputs of the instance pass for one frame."""

    features: tuple[Tensor, ...]  # PassSignature.features
    memory: TorchMemory  # with this frame added to the frame memory


def empty_memory(signature: PassSignature) -> TorchMemory:
    """Return the memory of a camera before its first frame."""
    return TorchMemory(
        *(tuple(map(torch.zeros, part.values())) for part in (signature.memory, signature.bank))
    )


class TorchEngine(Engine):
    """Engine for a network in memory."""

    def __init__(self, net: Detector, signature: MakeSignature = sparse) -> None:
        """Wrap a network.

        signature  makes the passes of the network's variant
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
        """Detect the objects in one image (height, width, 3) uint8; see `pcan_model.core.engine`."""
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
        passed = tuple(out[name] for name in self.signature.features)
        features = TorchFeatures(passed, replace(memory, frames=frames))
        return Detections(boxes, scores, labels, embeds, rows.numpy()), features

    @torch.inference_mode()
    def segment(
        self, features: TorchFeatures, slots: Slots, memory: TorchMemory, *, remember: bool
    ) -> tuple[NDArray[np.float32], TorchMemory]:
        """Refine the masks by their tracks' prototypes; returns logits (D, 2S, 2S) and the next memory."""
        frames = features.memory.frames if remember else memory.frames
        if not slots.has.any():  # no tracks, no masks
            heads = self.config.heads
            side = 2 * heads.mask_size
            return np.zeros((heads.detections, side, side), np.float32), TorchMemory(frames, memory.bank)
        bookkeeping = (torch.from_numpy(getattr(slots, name)) for name in SLOTS)
        refined, *bank = self.signature.instance(*features.features, *memory.bank, *bookkeeping)
        return refined.numpy(), TorchMemory(frames, tuple(bank))

    def state_arrays(self, memory: TorchMemory) -> dict[str, NDArray[Any]]:
        """Return the values of a camera's memory by name."""
        names = (*self.signature.memory, *self.signature.bank)
        values = (*memory.frames, *memory.bank)
        return {name: value.numpy() for name, value in zip(names, values, strict=True)}
