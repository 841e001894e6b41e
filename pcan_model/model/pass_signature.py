"""The signature of a frame's two passes: inputs and outputs by name, and what passes between them."""

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
    PACKED_PYRAMID,
    REFINED,
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
    """Both passes of a network, and the names and shapes of what goes in and out.

    An input `name` that is of the past has an output `name_next` for the next frame.
    """

    frame: nn.Module
    instance: nn.Module
    features: tuple[str, ...]  # outputs of the frame pass that the instance pass takes
    memory: Shapes  # what the frame pass remembers of a camera, float32; all 0: nothing yet
    bank: Shapes  # what the instance pass remembers of its tracks, float32
    cameras: int = 1  # that are run at once; of more than one everything has N times the rows
    camera_format: CameraFormat | None = None  # images that the frame pass fits into the input itself

    @property
    def inputs(self) -> dict[str, tuple[str, ...]]:
        """Return the names of the inputs of both passes."""
        chosen = (REMEMBER,) if self.cameras > 1 else ()
        return {
            "frame": ("image", *self.memory, *chosen),
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


MakeSignature = Callable[[Any], PassSignature]  # of a network of the form that it is for


def sparse(net: PCAN) -> PassSignature:
    """Return the sparse passes: heads only on real detections, masks only of tracks; for processors."""
    passes = SparseFramePass(net).eval(), SparseInstancePass(net).eval()
    return PassSignature(*passes, (PACKED_PYRAMID, "boxes", net.mask_source), *remembered(net.config))


def static(net: PCAN) -> PassSignature:
    """Return the passes of static shapes; regions are read by RoIAlign."""
    return _static(net, grid_sample=False)


def grid_sample(net: PCAN) -> PassSignature:
    """Return the passes of static shapes; regions are read by grid sampling: for TensorRT."""
    return _static(net, grid_sample=True)


def _static(net: PCAN, *, grid_sample: bool) -> PassSignature:
    passes = FramePass(net, grid_sample=grid_sample).eval(), InstancePass(net).eval()
    return PassSignature(*passes, ("roi_features", "mask_logits"), *remembered(net.config))


def remembered(config: Config) -> tuple[Shapes, Shapes]:
    """Return the shapes of the frame memory and of the prototype bank."""
    instance, (keys, values) = config.instance_attention, memory_shapes(config)
    memory = {"mem_k": keys, "mem_v": values, "valid": (config.frame_attention.memory_frames,)}
    prototypes = instance.foreground + instance.background
    return memory, {"bank": (config.tracker.capacity, prototypes, instance.key_channels)}
