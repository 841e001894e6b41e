"""The letterbox as part of the frame graph: the camera's bytes go in, and the host touches no pixel."""

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
    """A frame pass behind the letterbox of one camera size.

    It is `geometry.Letterbox` with `cv2.resize`: bilinear between the centres of pixels, rounded to whole
    grey levels, half of one up; OpenCV rounds its weights to 1/2048 first, so a level may differ by one.
    """

    def __init__(self, sees: nn.Module, camera: CameraFormat, config: InputConfig) -> None:
        super().__init__()
        self.sees, self.camera = sees, camera
        self.letterbox = fit_image((camera.height, camera.width), config)

    def forward(self, image: Tensor, *memory: Tensor) -> tuple[Tensor, ...]:
        """See the frame pass; image (N, camera height, camera width, 3) uint8 in the camera's order."""
        detected: tuple[Tensor, ...] = self.sees(self.fit(image), *memory)
        return detected

    def fit(self, image: Tensor) -> Tensor:
        """Return images as the network takes them, (N, H, W, 3) float32 RGB in 0..255.

        Widened first: TensorRT takes uint8 into nothing but a cast.
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


def fitted(signature: PassSignature, config: Config, camera: CameraFormat) -> PassSignature:
    """Return the passes of which the frame pass takes the camera's images."""
    return replace(
        signature, frame=CameraPass(signature.frame, camera, config.input).eval(), camera_format=camera
    )


def check_camera(config: Config, camera: CameraFormat) -> None:
    """Raise ConfigError for a camera whose images no graph can fit."""
    if config.input.fit != "letterbox":
        raise ConfigError(f"--camera: input.fit: expected letterbox, got {config.input.fit}")
    if min(camera.height, camera.width) < 1:
        raise ConfigError(f"--camera: expected HEIGHT and WIDTH > 0, got {camera.height} {camera.width}")
