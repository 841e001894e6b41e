"""The ways to lay out the passes of a frame: what goes in and out, by name, and passes between them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from torch import nn

from pcan_model.core.config import Config
from pcan_model.core.engine import CameraPicture
from pcan_model.model.frame_attention.factory import memory_shapes
from pcan_model.model.pcan import PCAN, FramePass, InstancePass
from pcan_model.model.sparse_passes import LeanFramePass, LeanInstancePass

SMALL = ("boxes", "scores", "labels", "embeds")  # what the association reads
SLOTS = ("slot", "fresh", "owner", "has")

Shapes = Mapping[str, tuple[int, ...]]


@dataclass(frozen=True, slots=True, eq=False)
class Layout:
    """Both passes of a network.

    What a pass is given as `name` of the past it gives for the next frame as `name_next`.
    """

    frame: nn.Module
    instance: nn.Module
    features: tuple[str, ...]  # outputs of the frame pass that the instance pass takes
    memory: Shapes  # what the frame pass remembers of a camera, float32; all 0: nothing yet
    bank: Shapes  # what the instance pass remembers of its tracks, float32
    cameras: int = 1  # that are looked through at once; of more than one everything has N times the rows
    camera: CameraPicture | None = None  # pictures that the frame pass fits into the network's input itself

    @property
    def inputs(self) -> dict[str, tuple[str, ...]]:
        """Return the names of the inputs of both passes."""
        chosen = ("remember",) if self.cameras > 1 else ()
        return {
            "frame": ("image", *self.memory, *chosen),
            "instance": (*self.features, *self.bank, *SLOTS),
        }

    @property
    def outputs(self) -> dict[str, tuple[str, ...]]:
        """Return the names of the outputs of both passes."""
        new = tuple(name for name in self.features if name not in SMALL)
        return {
            "frame": (*SMALL, *new, "nms_ok", *following(self.memory)),
            "instance": ("refined", *following(self.bank)),
        }


MakeLayout = Callable[[Any], Layout]  # of a network of the form that it is for


def following(names: Iterable[str]) -> tuple[str, ...]:
    """Return the names of the outputs that are the next frame's inputs of these names."""
    return tuple(f"{name}_next" for name in names)


def lean(net: PCAN) -> Layout:
    """Heads run only where something was found, masks after the association: for processors."""
    passes = LeanFramePass(net).eval(), LeanInstancePass(net).eval()
    return Layout(*passes, ("sheet", "boxes", "labels"), *remembered(net.config))


def static(net: PCAN) -> Layout:
    """Every shape is fixed; regions are read by RoIAlign."""
    return _static(net, sampled=False)


def sampled(net: PCAN) -> Layout:
    """Every shape is fixed; regions are read by sampling: for TensorRT."""
    return _static(net, sampled=True)


def _static(net: PCAN, *, sampled: bool) -> Layout:
    passes = FramePass(net, sampled=sampled).eval(), InstancePass(net).eval()
    return Layout(*passes, ("roi_features", "mask_logits"), *remembered(net.config))


def remembered(config: Config) -> tuple[Shapes, Shapes]:
    """Return the shapes of the frame memory and of the prototype bank."""
    instance, (keys, values) = config.instance_attention, memory_shapes(config)
    memory = {"mem_k": keys, "mem_v": values, "valid": (config.frame_attention.memory_frames,)}
    prototypes = instance.foreground + instance.background
    return memory, {"bank": (config.tracker.capacity, prototypes, instance.key_channels)}
