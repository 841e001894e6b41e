"""The letterbox inside the frame graph, which then takes camera images without preprocessing."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor, nn
from torch.nn import functional

from pcan_model.core.config import Config, ConfigError, InputConfig
from pcan_model.core.engine import CameraFormat
from pcan_model.core.geometry import fit_image
from pcan_model.model.pass_signature import PassSignature


class CameraPass(nn.Module):
    """A frame pass preceded by the letterbox for one camera format.

    Equivalent to `geometry.Letterbox` with `cv2.resize`: bilinear between pixel centres, rounded half up to
    integers. OpenCV rounds its weights to 1/2048 first, so a value may differ by one.
    """

    def __init__(self, frame_pass: nn.Module, camera: CameraFormat, config: InputConfig) -> None:
        super().__init__()
        self.frame_pass, self.camera = frame_pass, camera
        self.letterbox = fit_image((camera.height, camera.width), config)

    def forward(self, image: Tensor, *memory: Tensor) -> tuple[Tensor, ...]:
        """See `FramePass`; image (N, camera height, camera width, 3) uint8 in the camera's channel order."""
        outputs: tuple[Tensor, ...] = self.frame_pass(self.fit(image), *memory)
        return outputs

    def fit(self, image: Tensor) -> Tensor:
        """Letterbox images to the network input (N, H, W, 3) float32 RGB in 0..255.

        The cast comes first: TensorRT supports no other operation on uint8.
        """
        pixels = image.float()
        if self.camera.order == "bgr":
            pixels = pixels.flip(-1)
        pixels = pixels.permute(0, 3, 1, 2)
        (height, width), (full_height, full_width) = self.letterbox.size, self.letterbox.target
        if self.letterbox.size != self.letterbox.source:
            pixels = (functional.interpolate(pixels, (height, width), mode="bilinear") + 0.5).floor()
        fill = torch.tensor(self.letterbox.fill, dtype=torch.float32).reshape(3, 1, 1)
        pixels = functional.pad(pixels - fill, (0, full_width - width, 0, full_height - height)) + fill
        return pixels.permute(0, 2, 3, 1)


def with_camera_format(signature: PassSignature, config: Config, camera: CameraFormat) -> PassSignature:
    """Return the passes with a frame pass that takes camera images."""
    return replace(
        signature, frame=CameraPass(signature.frame, camera, config.input).eval(), camera_format=camera
    )


def check_camera(config: Config, camera: CameraFormat) -> None:
    """Raise ConfigError for a camera format that the graph cannot letterbox."""
    if config.input.fit != "letterbox":
        raise ConfigError(f"--camera: input.fit: expected letterbox, got {config.input.fit}")
    if min(camera.height, camera.width) < 1:
        raise ConfigError(f"--camera: expected HEIGHT and WIDTH > 0, got {camera.height} {camera.width}")
