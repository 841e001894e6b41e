"""Checkpoints: weights with their configuration and metrics in one safetensors file."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import nn

from pcan_model.core.atomic_write import atomic_file
from pcan_model.core.config import Config, ConfigError, config_from_dict, config_to_dict
from pcan_model.core.errors import UserError


class CheckpointError(UserError, ValueError):
    """Invalid or incompatible checkpoint; names the file, the key, what was expected and what was found."""


def save(path: Path, net: nn.Module, config: Config, metrics: dict[str, Any], *, fp16: bool = False) -> None:
    """Write a checkpoint atomically.

    fp16  store floating-point tensors in half precision
    Raises CheckpointError naming a tensor with values that are not finite, in half precision if so stored.
    """
    state = {name: t.detach().cpu().contiguous() for name, t in net.state_dict().items()}
    state = {name: t for name, t in state.items() if not name.endswith("num_batches_tracked")}
    if fp16:
        state = {name: t.half() if t.is_floating_point() else t for name, t in state.items()}
    for name, tensor in state.items():
        if not torch.isfinite(tensor).all():
            raise CheckpointError(f"{path}: {name}: expected finite {tensor.dtype}, got infinity or NaN")
    metadata = {"config": json.dumps(config_to_dict(config)), "metrics": json.dumps(metrics)}
    with _checkpoint_file(path) as partial:
        save_file(state, partial, metadata)


@contextmanager
def _checkpoint_file(path: Path) -> Iterator[Path]:
    """Yield a temporary path as `atomic_file` does; errors of the writing library become CheckpointError."""
    try:
        with atomic_file(path, durable=True) as partial:
            yield partial
            partial.chmod(0o644)  # safetensors makes files readable by their owner only
    except (SafetensorError, RuntimeError) as error:  # RuntimeError is raised by torch.save
        raise CheckpointError(f"{path}: cannot be written: {' '.join(str(error).split())}") from error


def load_header(path: Path) -> tuple[Config, dict[str, Any]]:
    """Read the configuration and metrics of a checkpoint; raises CheckpointError."""
    try:
        with safe_open(path, "pt") as file:
            metadata = file.metadata() or {}
    except (OSError, SafetensorError) as error:
        raise CheckpointError(f"{path}: expected a safetensors checkpoint, got: {error}") from error
    if "config" not in metadata:
        raise CheckpointError(f"{path}: metadata: expected a key 'config', got {sorted(metadata)}")
    try:
        config = config_from_dict(json.loads(metadata["config"]))
        return config, json.loads(metadata.get("metrics", "{}"))
    except (json.JSONDecodeError, ConfigError) as error:
        raise CheckpointError(f"{path}: metadata: {error}") from error


def load_weights(path: Path, net: nn.Module, *, fresh: Sequence[str] = ()) -> None:
    """Load weights into a network in place; raises CheckpointError naming the first mismatching key.

    fresh  names of submodules to leave as they are, whether or not the file has them
    """
    load_header(path)
    skipped = tuple(f"{part}." for part in fresh)
    with safe_open(path, "pt") as file:
        names = [name for name in file.keys() if not name.startswith(skipped)]  # noqa: SIM118, not a dict
        found = {name: file.get_tensor(name) for name in names}
    own = {name: tensor for name, tensor in net.state_dict().items() if not name.startswith(skipped)}
    expected = {name: tensor for name, tensor in own.items() if not name.endswith("num_batches_tracked")}
    for name in sorted(expected.keys() ^ found.keys()):
        what = "missing" if name in expected else "not a part of the network"
        raise CheckpointError(f"{path}: {name}: {what}")
    for name, tensor in found.items():
        if tensor.shape != expected[name].shape:
            raise CheckpointError(
                f"{path}: {name}: expected {tuple(expected[name].shape)}, got {tuple(tensor.shape)}"
            )
    net.load_state_dict(
        {name: tensor.to(expected[name].dtype) for name, tensor in found.items()}, strict=False
    )


def load_torch(path: Path) -> Any:
    """Load a file written by `save_torch` (optimiser state and counters); raises CheckpointError."""
    if not path.is_file():
        raise CheckpointError(f"{path}: expected a file saved by torch, got no such file")
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # the unpickler raises many types
        raise CheckpointError(f"{path}: expected a file saved by torch, got damaged data") from error


def save_torch(path: Path, value: Any) -> None:
    """Write a value that holds tensors with `torch.save`, atomically."""
    with _checkpoint_file(path) as partial:
        torch.save(value, partial)
