"""Weights generated from the names of the tensors, as in the recorded runs of the released code.

Each tensor has its own generator, seeded with the crc32 of its name in the released checkpoint; the
factors keep a random network's features and scores apart (the rule and why: ../shared/parity/README.md).
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Mapping

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

FACTORS = {
    r"backbone\..*\.bn3\.weight": 0.35,
    r"neck\.fpn_convs\.[01]\..*": 0.12,
    r"neck\.fpn_convs\.2\..*": 0.16,
    r"neck\.fpn_convs\.3\..*": 0.25,
    r"rpn_head\.rpn_cls\..*": 0.8,
    r"rpn_head\.rpn_reg\..*": 0.12,
    r"roi_head\.bbox_head\.fc_cls\..*": 2.5,
    r"roi_head\.bbox_head\.fc_reg\..*": 0.5,
    r"roi_head\.track_head\.fc_embed\..*": 1.2,
}
SHIFTS: dict[str, float | list[float]] = {
    "roi_head.mask_head.conv_logits.bias": 0.195,
    "rpn_head.rpn_cls.bias": [0.0, -1.0, -3.2],
    "roi_head.bbox_head.fc_cls.bias": [1.3, -3.8, 0.3, 5.2, 5.0, 1.3, 4.5, -1.4, 5.3],
}


def seeded_state(shapes: Mapping[str, tuple[int, ...]]) -> dict[str, Tensor]:
    """Return a tensor for every name."""
    norms = {name.removesuffix(".running_mean") for name in shapes if name.endswith(".running_mean")}
    norms |= {name.rpartition(".")[0] for name in shapes if ".gn." in name}
    return {name: seeded(name, shape, norms) for name, shape in shapes.items()}


def seeded(name: str, shape: tuple[int, ...], norms: set[str]) -> Tensor:
    """Return one tensor; `norms` are the normalisation layers."""
    layer, _, kind = name.rpartition(".")
    if kind == "num_batches_tracked":
        return torch.zeros(shape, dtype=torch.int64)
    noise = np.random.RandomState(zlib.crc32(name.encode())).standard_normal(shape)
    return torch.from_numpy(_scaled(noise, name, kind, layer in norms).astype(np.float32))


def _scaled(noise: NDArray[np.float64], name: str, kind: str, is_norm: bool) -> NDArray[np.float64]:
    factor = next((f for pattern, f in FACTORS.items() if re.fullmatch(pattern, name)), 1.0)
    if re.search(r"mu\d?$", kind):
        return noise / (1e-6 + np.linalg.norm(noise, axis=1, keepdims=True))
    if kind == "running_var":
        return 1 + 0.1 * np.abs(noise)
    if is_norm:
        return factor * (1 + 0.1 * noise) if kind == "weight" else 0.1 * noise
    if kind == "bias":
        return 0.01 * noise + np.asarray(SHIFTS.get(name, 0.0))
    inputs = noise.shape[0] if name.endswith("upsample.weight") else noise[0].size
    return factor * noise * np.sqrt(2 / inputs)


def checksum(state: Mapping[str, Tensor]) -> int:
    """Return the crc32 over all tensors, by name."""
    total = 0
    for name in sorted(state):
        total = zlib.crc32(state[name].numpy().tobytes(), total)
    return total
