"""What an exported model is made for; no torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from pcan_model.core.engine import CameraFormat
from pcan_model.core.fields import setting
from pcan_model.inference.manifest import Precision, Roi

Rest = Literal["fp16", "fp32"]


@dataclass(frozen=True, slots=True)
class ExportOptions:
    """The choices of one export; what 8 bits are fitted to comes beside them."""

    roi: Roi = setting(
        "roialign",
        "how regions are read: by the operator, heads only where something was found, for processors; "
        "or by sampling, in static shapes, for TensorRT",
    )
    precision: Precision = setting("fp32", "of the heavy layers; boxes and attention stay fp32")
    rest: Rest | None = setting(
        None,
        "of int8 and fp8: what their layers put out, and heavy layers that cannot be rounded; without it "
        "fp16 with --roi gridsample, for TensorRT, and fp32 with roialign, as processors widen fp16 anyway",
    )
    size: tuple[int, int] | None = setting(
        None,
        "height and width of the network's input; without it the configuration's, or of the released variant "
        "the image's once resized, 720 1280 of a camera of 16:9",
    )
    more_sizes: tuple[str, ...] = setting(
        (), "also write graphs for these sizes of input, such as 384x640; all share the weights"
    )
    cameras: int = setting(1, "also write graphs for N cameras in one launch, for TensorRT", low=1)
    camera: tuple[int, int] | None = setting(
        None,
        "put the letterbox into the graph, for cameras of this very size; without it the host does it",
        low=1,
    )
    order: Literal["rgb", "bgr"] = setting("rgb", "with --camera: of the channels")

    @property
    def image(self) -> CameraFormat | None:
        """Return the images that the frame graphs fit into the network's input themselves, if they do."""
        return CameraFormat(*self.camera, self.order) if self.camera else None
