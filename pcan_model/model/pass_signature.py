"""Signatures of the two passes: inputs and outputs by name, and the tensors passed between them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from torch import nn

from pcan_model.core.config import Config
from pcan_model.core.engine import CameraFormat
from pcan_model.model.frame_attention.factory import memory_shapes
from pcan_model.model.pass_names import (
    DETECTIONS,
    NMS_OK,
    REFINED,
    REGION_LEVELS,
    REMEMBER,
    SLOTS,
    following,
)
from pcan_model.model.passes import FramePass, InstancePass
from pcan_model.model.pcan import PCAN
from pcan_model.model.sparse_passes import SparseFramePass, SparseInstancePass

Shapes = Mapping[str, tuple[int, ...]]


@dataclass(frozen=True, slots=True, eq=False)
class PassSignature:
    """Both passes of a network, with the names and shapes of their inputs and outputs.

    A state input `name` has an output `name_next`, which is that input of the next frame.
    """

    frame: nn.Module
    instance: nn.Module
    features: tuple[str, ...]  # outputs of the frame pass that the instance pass takes
    memory: Shapes  # state of the frame pass for one camera, float32; all 0 when empty
    bank: Shapes  # state of the instance pass for one camera's tracks, float32
    cameras: int = 1  # cameras per run; with N > 1 all tensors have N times the rows
    camera_format: CameraFormat | None = None  # camera images that the frame pass resizes itself

    @property
    def inputs(self) -> dict[str, tuple[str, ...]]:
        """Return the names of the inputs of both passes."""
        remember = (REMEMBER,) if self.cameras > 1 else ()
        return {
            "frame": ("image", *self.memory, *remember),
            "instance": (*self.features, *self.bank, *SLOTS),
        }

    @property
    def outputs(self) -> dict[str, tuple[str, ...]]:
        """Return the names of the outputs of both passes."""
        new = tuple(name for name in self.features if name not in DETECTIONS)
        return {
            "frame": (*DETECTIONS, *new, NMS_OK, *following(self.memory)),
            "instance": (REFINED, *following(self.bank)),
        }


MakeSignature = Callable[[Any], PassSignature]  # takes a network of the variant it belongs to


def sparse(net: PCAN) -> PassSignature:
    """Return the sparse passes, for CPUs: heads on real detections only, masks of tracks only."""
    passes = SparseFramePass(net).eval(), SparseInstancePass(net).eval()
    return PassSignature(*passes, (*REGION_LEVELS, "boxes", net.mask_source), *state_shapes(net.config))


def static(net: PCAN) -> PassSignature:
    """Return the passes with static shapes; RoI features by RoIAlign."""
    return _static(net, grid_sample=False)


def grid_sample(net: PCAN) -> PassSignature:
    """Return the passes with static shapes, for TensorRT; RoI features by grid sampling."""
    return _static(net, grid_sample=True)


def _static(net: PCAN, *, grid_sample: bool) -> PassSignature:
    passes = FramePass(net, grid_sample=grid_sample).eval(), InstancePass(net).eval()
    return PassSignature(*passes, ("roi_features", "mask_logits"), *state_shapes(net.config))


def state_shapes(config: Config) -> tuple[Shapes, Shapes]:
    """Return the shapes of the frame memory and of the prototype bank."""
    instance, (keys, values) = config.instance_attention, memory_shapes(config)
    memory = {"mem_k": keys, "mem_v": values, "valid": (config.frame_attention.memory_frames,)}
    prototypes = instance.foreground + instance.background
    return memory, {"bank": (config.tracker.capacity, prototypes, instance.key_channels)}
