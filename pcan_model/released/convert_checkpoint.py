"""Conversion of the checkpoint published by PCAN's authors."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from pcan_model.core.config import Config
from pcan_model.model import checkpoint
from pcan_model.model.checkpoint import CheckpointError
from pcan_model.released.checkpoint_names import released_name
from pcan_model.released.network import ReleasedPCAN

PROTOTYPES = ("mu0", "mu1", "mu2", "mu3", "mu4", "roi_head.refine_head.pos_mu", "roi_head.refine_head.neg_mu")


def convert(state: dict[str, Tensor], config: Config, where: str) -> ReleasedPCAN:
    """Build the released variant from a state_dict of the released code.

    state    tensors by released name, optionally with the prefix `module.`
    where    name of the state in errors
    Raises CheckpointError naming the first tensor that is missing, unknown, of another shape or not finite.
    """
    found = {name.removeprefix("module."): tensor for name, tensor in state.items()}
    net = ReleasedPCAN(config)
    _check(found, expected_shapes(net), where)
    ours = {name: _ours(found, released_name(name)) for name in net.state_dict()}
    net.load_state_dict(ours)
    return net.eval()


def expected_shapes(net: ReleasedPCAN) -> dict[str, tuple[int, ...]]:
    """Return the shapes of the released checkpoint's tensors by name, 397 for the preset."""
    shapes = {released_name(name): tuple(tensor.shape) for name, tensor in net.state_dict().items()}
    frame, channels = net.config.frame_attention, net.config.backbone.channels
    shapes |= {name: (frame.prototypes, channels) for name in PROTOTYPES if name not in shapes}
    transposed = {name: (1, *reversed(shapes[name])) for name in PROTOTYPES}  # stored as (1, C, K)
    return shapes | transposed


def _check(found: dict[str, Tensor], expected: dict[str, tuple[int, ...]], where: str) -> None:
    for name in sorted(found.keys() | expected.keys()):
        if name not in found:
            raise CheckpointError(f"{where}: {name}: missing")
        if name not in expected:
            raise CheckpointError(f"{where}: {name}: expected no such key in the released PCAN")
        shape = tuple(found[name].shape)
        if shape != expected[name]:
            raise CheckpointError(f"{where}: {name}: expected {expected[name]}, got {shape}")
        if not torch.isfinite(found[name]).all():
            raise CheckpointError(f"{where}: {name}: expected finite numbers, got infinity or NaN")


def _ours(found: dict[str, Tensor], name: str) -> Tensor:
    return found[name][0].T.contiguous() if name in PROTOTYPES else found[name]


def read_state(path: Path) -> dict[str, Tensor]:
    """Read the tensors of a torch file: a state_dict, or a dict with the key `state_dict`."""
    value: Any = checkpoint.load_torch(path)
    state = value.get("state_dict", value) if isinstance(value, dict) else value
    if not isinstance(state, dict) or not state:
        raise CheckpointError(f"{path}: expected a state_dict, got {type(state).__name__}")
    for name, tensor in state.items():
        if not isinstance(tensor, Tensor):
            raise CheckpointError(f"{path}: {name}: expected a tensor, got {type(tensor).__name__}")
    return state


def convert_file(source: Path, out: Path, config: Config) -> int:
    """Convert a published checkpoint file; returns the number of parameters."""
    net = convert(read_state(source), config, str(source))
    checkpoint.save(out, net, config, {"source": source.name})
    return sum(parameter.numel() for parameter in net.parameters())
