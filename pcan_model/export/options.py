"""Options of an export; no torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from pcan_model.core.engine import CameraFormat
from pcan_model.core.fields import setting
from pcan_model.inference.manifest import Precision, Roi

Rest = Literal["fp16", "fp32"]


@dataclass(frozen=True, slots=True)
class ExportOptions:
    """Options of an export, apart from the calibration images."""

    roi: Roi = setting(
        "roialign",
        "RoI pooling: roialign for CPUs, with heads on real detections only; gridsample for TensorRT, with "
        "static shapes",
    )
    precision: Precision = setting(
        "fp32", "of convolutions and fully connected layers; boxes and attention stay fp32"
    )
    rest: Rest | None = setting(
        None,
        "for int8 and fp8: precision of outputs and of layers that cannot be quantised (default: fp16 with "
        "--roi gridsample, fp32 with roialign, since CPUs compute in fp32 anyway)",
    )
    size: tuple[int, int] | None = setting(
        None,
        "height and width of the network input (default: the configuration's; for the released variant that "
        "of a resized 16:9 image, 720 1280)",
    )
    more_sizes: tuple[str, ...] = setting(
        (), "also write graphs for these input sizes, such as 384x640, with the same weights"
    )
    cameras: int = setting(1, "also write graphs for a batch of N cameras, for TensorRT", low=1)
    camera: tuple[int, int] | None = setting(
        None,
        "include the letterbox in the graph, for camera images of this size (default: done on the host)",
        low=1,
    )
    order: Literal["rgb", "bgr"] = setting("rgb", "channel order of the camera images, with --camera")

    @property
    def camera_format(self) -> CameraFormat | None:
        """Return the format of the images that the frame graphs letterbox themselves, if they do."""
        return CameraFormat(*self.camera, self.order) if self.camera else None
