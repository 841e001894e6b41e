"""Frame memory in training: each of the T frames of a clip reads the prototypes of older frames.

Images of B clips lie frame by frame, the newest first: frame `age` of clip b is image `age * B + b`. Age 0
is the key, age 1 the reference.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from pcan_model.model.frame_attention.base import FrameAttention
from pcan_model.model.pcan import PCAN


def clip_features(features: Callable[[Tensor], list[Tensor]], images: Tensor, learned: int) -> list[Tensor]:
    """Return the pyramid of all images, of which the first `learned` pass gradients to the backbone."""
    newest = features(images[:learned])
    if learned >= len(images):
        return newest
    with torch.no_grad():
        older = features(images[learned:])
    return [torch.cat(pair) for pair in zip(newest, older, strict=True)]


def read_past(net: PCAN, levels: list[Tensor], frames: int) -> list[Tensor]:
    """Fuse each frame with the prototypes of older frames, and complete the pyramid.

    levels  of T * B images; the attended ones are replaced in the list
    frames  T
    Of the clips only `train.memory_share` read; the frames of the others are those of a drive's beginning.
    """
    clips = len(levels[0]) // frames
    reads = torch.rand(clips, 1, device=levels[0].device) < net.config.train.memory_share
    ages = torch.arange(frames, device=levels[0].device)
    older = ages[:, None] + ages[:-1] < frames - 1  # (T, T - 1)
    valid = (reads & older[:, None]).flatten(0, 1).float()  # (T * B, T - 1), the newest first
    for level, module in net.attended():
        keys, values = module.encode(levels[level])
        past = prototypes(module, keys, values, frames)
        memory = (windows(part) for part in past)
        levels[level] = module(levels[level], keys, values, *memory, valid)
    return net.complete(levels)


def prototypes(
    module: FrameAttention, keys: Tensor, values: Tensor, frames: int
) -> tuple[list[Tensor], list[Tensor]]:
    """Condense the frames of ages 1 to T - 1, EM starting as in FramePass.

    keys     (T * B, HW, D), values (T * B, HW, Cv)
    returns  keys (B, N, D) and values (B, N, Cv) of each age, age 1 first
    """
    made: list[tuple[Tensor, Tensor]] = []
    own = list(zip(keys.chunk(frames), values.chunk(frames), strict=True))[1:]
    for frame in reversed(own):
        start = module.begin(made[-1][0], keys.new_ones(())) if made else None
        made.append(module.condense(*frame, start))
    new_keys, new_values = zip(*reversed(made), strict=True)
    return list(new_keys), list(new_values)


def windows(past: list[Tensor]) -> Tensor:
    """Return what each frame may read, (T * B, T - 1, N, D): frames of ages age + 1, age + 2, …

    past  (B, N, D) of ages 1 to T - 1; behind the oldest it is repeated, which `valid` hides
    """
    ages = range(len(past) + 1)
    rows = [torch.stack([past[min(age + k, len(past) - 1)] for k in range(len(past))], 1) for age in ages]
    return torch.cat(rows)
