"""Weights with the configuration and metrics they belong to, in one safetensors file."""

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
    """A checkpoint that does not fit: names file, key, expected and got."""


def save(path: Path, net: nn.Module, config: Config, metrics: dict[str, Any], *, fp16: bool = False) -> None:
    """Write weights atomically; fp16 stores floating point in 16 bits.

    Raises CheckpointError that names a tensor which is not finite (in 16 bits).
    """
    state = {name: t.detach().cpu().contiguous() for name, t in net.state_dict().items()}
    state = {name: t for name, t in state.items() if not name.endswith("num_batches_tracked")}
    if fp16:
        state = {name: t.half() if t.is_floating_point() else t for name, t in state.items()}
    for name, tensor in state.items():
        if not torch.isfinite(tensor).all():
            raise CheckpointError(f"{path}: {name}: expected finite {tensor.dtype}, got infinity or NaN")
    metadata = {"config": json.dumps(config_to_dict(config)), "metrics": json.dumps(metrics)}
    with _written(path) as partial:
        save_file(state, partial, metadata)


@contextmanager
def _written(path: Path) -> Iterator[Path]:
    """Yield a name to write to, see `atomic_file`; CheckpointError with what the writing library says."""
    try:
        with atomic_file(path, durable=True) as partial:
            yield partial
            partial.chmod(0o644)  # safetensors lets only the owner read
    except (SafetensorError, RuntimeError) as error:  # the latter is torch's
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
    """Fill a network in place; raises CheckpointError naming the first key that does not fit.

    fresh  parts by their leading names that stay as they are, whether the file has them or not
    """
    load_header(path)
    apart = tuple(f"{part}." for part in fresh)
    with safe_open(path, "pt") as file:
        names = [name for name in file.keys() if not name.startswith(apart)]  # noqa: SIM118, not a dict
        found = {name: file.get_tensor(name) for name in names}
    own = {name: tensor for name, tensor in net.state_dict().items() if not name.startswith(apart)}
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
    """Read what `save_torch` wrote (optimiser state and counters); raises CheckpointError."""
    if not path.is_file():
        raise CheckpointError(f"{path}: expected a file of torch, got no such file")
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # the unpickler raises whatever it trips over
        raise CheckpointError(f"{path}: expected a file of torch, got another or a part of one") from error


def save_torch(path: Path, value: Any) -> None:
    """Write any tensors atomically."""
    with _written(path) as partial:
        torch.save(value, partial)
