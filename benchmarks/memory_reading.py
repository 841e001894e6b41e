"""Report what frame attention reads from past frames, and what that changes, on each pyramid level.

Takes the options of pcan-evaluate; only `--engine torch` and prototypical attention.

  python benchmarks/memory_reading.py pcan_street --weights models/pcan_street/weights.safetensors \
    --engine torch --data street_val --out reading

past     weight of past frames in the blend of Eq. 7; the rest is the frame's own value
entropy  of the assignment of a position to a memory frame's prototypes (Eq. 3), as a share of the largest:
         0: one prototype is read, 1: the mean of all
copy     share of the variance of a frame's own values that the reading of its past explains
change   of the features by what is read, as a share of their change by the whole module
"""

from __future__ import annotations

import math
import sys
from collections import defaultdict
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
import torch
from torch import Tensor

from pcan_model.cli.evaluate import main
from pcan_model.model.frame_attention.prototypical import PrototypicalAttention
from pcan_model.model.prototypes import assign

NAMES = ("past", "entropy", "copy", "change")
forward = PrototypicalAttention.forward
read: dict[tuple[int, int], list[tuple[float, ...]]] = defaultdict(list)  # by size of the level


def figures(module: PrototypicalAttention, x: Tensor, out: Tensor, *inputs: Tensor) -> tuple[float, ...]:
    """Return the figures of one image and level, in the order of NAMES.

    x, out  (1, C, H, W)  features before and after the module
    inputs  keys, values, memory_keys, memory_values and valid, see FrameAttention.forward
    """
    keys, values, memory_keys, memory_values, valid = inputs
    frames = [(memory_keys[:, t], memory_values[:, t]) for t in range(valid.shape[1]) if valid[0, t]]
    z = torch.stack([assign(keys, mu, module.sigma2) for mu, _ in frames], 2)  # (1, N, T, K)
    readings = torch.stack([z[:, :, t] @ v for t, (_, v) in enumerate(frames)], 2)  # (1, N, T, C)
    similar = torch.cat([(values * values).sum(-1, keepdim=True), (readings @ values[..., None])[..., 0]], -1)
    weights = torch.softmax(similar * module.scale, -1)  # (1, N, 1 + T)
    entropy = -(z * z.clamp_min(1e-12).log()).sum(-1).mean() / math.log(z.shape[-1])
    error = (readings[:, :, 0] - values).square().sum()
    spread = (values - values.mean(1, keepdim=True)).square().sum()
    without = forward(module, x, keys, values, memory_keys, memory_values, torch.zeros_like(valid))
    change = (out - without).norm() / (out - x).norm()
    return (
        1 - float(weights[..., 0].mean()),
        float(entropy),
        1 - float(error / spread),
        float(change),
    )


def watched(module: PrototypicalAttention, x: Tensor, *inputs: Tensor) -> Tensor:
    """Fuse features with the memory, and record the figures where there is one."""
    out = forward(module, x, *inputs)
    if bool(inputs[-1].any()):
        read[x.shape[2], x.shape[3]].append(figures(module, x, out, *inputs))
    return out


def report(arguments: list[str] | None = None) -> Any:
    """Evaluate, then print a table."""
    code = main(arguments)
    print(f"| level | images | {' | '.join(NAMES)} |\n|{'---|' * (2 + len(NAMES))}")
    for (height, width), rows in sorted(read.items(), reverse=True):
        means = (sum(column) / len(rows) for column in zip(*rows, strict=True))
        print(f"| {height} x {width} | {len(rows)} | {' | '.join(f'{mean:.2f}' for mean in means)} |")
    return code


if __name__ == "__main__":
    PrototypicalAttention.forward = watched  # type: ignore[method-assign, assignment]
    sys.exit(report())
