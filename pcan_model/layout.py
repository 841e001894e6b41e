"""The ways to lay out the passes of a frame: what goes in and out, by name, and passes between them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from torch import nn

from pcan_model.engine import CameraPicture
from pcan_model.lean import LeanFramePass, LeanInstancePass
from pcan_model.network import PCAN, FramePass, InstancePass

FRAME_INPUTS = ("image", "mem_k", "mem_v", "valid")
SMALL = ("boxes", "scores", "labels", "embeds")  # what the association reads
NEXT = ("mem_k_next", "mem_v_next", "valid_next")
SLOTS = ("slot", "fresh", "owner", "has")
INSTANCE_OUTPUTS = ("refined", "bank_next")


@dataclass(frozen=True, slots=True, eq=False)
class Layout:
    """Both passes of a network."""

    frame: nn.Module
    instance: nn.Module
    features: tuple[str, ...]  # outputs of the frame pass that the instance pass takes
    cameras: int = 1  # that are looked through at once; of more than one everything has N times the rows
    camera: CameraPicture | None = None  # pictures that the frame pass fits into the network's input itself

    @property
    def inputs(self) -> dict[str, tuple[str, ...]]:
        """Return the names of the inputs of both passes."""
        chosen = ("remember",) if self.cameras > 1 else ()
        return {"frame": (*FRAME_INPUTS, *chosen), "instance": (*self.features, "bank", *SLOTS)}

    @property
    def outputs(self) -> dict[str, tuple[str, ...]]:
        """Return the names of the outputs of both passes."""
        new = tuple(name for name in self.features if name not in SMALL)
        return {"frame": (*SMALL, *new, "nms_ok", *NEXT), "instance": INSTANCE_OUTPUTS}


MakeLayout = Callable[[PCAN], Layout]


def lean(net: PCAN) -> Layout:
    """Heads run only where something was found, masks after the association: for processors."""
    passes = LeanFramePass(net).eval(), LeanInstancePass(net).eval()
    return Layout(*passes, ("sheet", "boxes", "labels"))


def static(net: PCAN) -> Layout:
    """Every shape is fixed; regions are read by RoIAlign."""
    return Layout(FramePass(net).eval(), InstancePass(net).eval(), ("roi_features", "mask_logits"))


def sampled(net: PCAN) -> Layout:
    """Every shape is fixed; regions are read by sampling: for TensorRT."""
    passes = FramePass(net, sampled=True).eval(), InstancePass(net).eval()
    return Layout(*passes, ("roi_features", "mask_logits"))
