"""Feature alignment: a deformable convolution of the class features, offset by the predicted box."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional
from torchvision.ops import deform_conv2d

from pcan_model.model.prototypes import at_least_float32, full_precision

KERNEL = 3


class FeatureAlignment(nn.Module):
    """A deformable 3x3 convolution whose offsets are a linear function of the box, normalised."""

    def __init__(self, channels: int, *, offset_groups: int, norm_groups: int) -> None:
        """Build the layers.

        offset_groups  of channels that share their offsets; 0: a plain convolution, nothing is aligned
        """
        super().__init__()
        count = 2 * KERNEL**2 * offset_groups
        self.offset = nn.Conv2d(4, count, 1, bias=False) if offset_groups else None
        self.conv = nn.Conv2d(channels, channels, KERNEL, padding=KERNEL // 2, bias=False)
        self.norm = nn.GroupNorm(norm_groups, channels)

    def forward(self, features: Tensor, distances: Tensor, *, sampled: bool = False) -> Tensor:
        """Align features with boxes.

        features  (B, C, h, w)
        distances (B, 4, h, w)  to the sides left, top, right, bottom, in strides; no gradient goes back
        sampled   convolve by bilinear sampling instead of the operator: for runtimes without it
        returns   (B, C, h, w)
        """
        if self.offset is None:
            return torch.relu(self.norm(self.conv(features)))
        return torch.relu(
            self.norm(self.convolve(features, self.offset(distances.detach()), sampled=sampled))
        )

    @full_precision  # places in 16 bits would be whole cells off, and the operator takes no bfloat16
    def convolve(self, features: Tensor, offsets: Tensor, *, sampled: bool = False) -> Tensor:
        """Convolve features (B, C, h, w) at taps moved by offsets (B, 18 groups, h, w), (y, x) per tap."""
        features, offsets = at_least_float32(features), at_least_float32(offsets)
        if sampled:
            return sampled_convolution(features, offsets, self.conv.weight)
        padding = KERNEL // 2
        return deform_conv2d(features, stop_outside(offsets), self.conv.weight, padding=padding)


def stop_outside(offsets: Tensor) -> Tensor:
    """Stop the gradient of offsets of taps at or beyond -1, the height or the width.

    Such taps read 0 whichever way they move by a little, as the original CUDA kernel has it; the operator
    of torchvision gives those at exactly -1 the derivative towards the inside.
    """
    if not offsets.requires_grad:
        return offsets
    height, width = offsets.shape[-2:]
    y, x = taps(offsets).unbind(-3)
    inside = (y > -1) & (x > -1) & (y < height) & (x < width)
    split = offsets.unflatten(1, (-1, KERNEL**2, 2))
    return torch.where(inside[..., None, :, :], split, split.detach()).flatten(1, 3)


def taps(offsets: Tensor) -> Tensor:
    """Return where taps read, (B, groups, 9, 2, h, w) row and column, of offsets (B, 18 groups, h, w)."""
    height, width = offsets.shape[-2:]
    places = [torch.arange(n, device=offsets.device, dtype=offsets.dtype) for n in (KERNEL, height, width)]
    move = places[0] - KERNEL // 2
    y = move.repeat_interleave(KERNEL)[:, None, None] + places[1][:, None]  # (9, h, 1)
    x = move.repeat(KERNEL)[:, None, None] + places[2]  # (9, 1, w)
    start = torch.stack([y.expand(-1, -1, width), x.expand(-1, height, -1)], 1)
    return offsets.unflatten(1, (-1, KERNEL**2, 2)) + start


def sampled_convolution(features: Tensor, offsets: Tensor, weight: Tensor) -> Tensor:
    """Deformable convolution as one bilinear sampling per group and one 1x1 convolution.

    features  (B, C, h, w)
    offsets   (B, 18 groups, h, w)
    weight    (C', C, 3, 3)
    """
    batch, channels, height, width = features.shape
    extent = offsets.new_tensor([height, width])[:, None, None]
    y, x = ((2 * taps(offsets) + 1) / extent - 1).unbind(-3)  # (B, groups, 9, h, w) in [-1, 1]
    groups = y.shape[1]
    grid = torch.stack([x, y], -1).reshape(batch * groups, KERNEL**2 * height, width, 2)
    split = features.reshape(batch * groups, channels // groups, height, width)
    read = functional.grid_sample(split, grid, padding_mode="zeros", align_corners=False)
    columns = read.reshape(batch, channels * KERNEL**2, height, width)  # by channel, then tap, as the weight
    return functional.conv2d(columns, weight.reshape(len(weight), -1, 1, 1))
