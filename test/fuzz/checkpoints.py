"""Fuzz target: checkpoints. Any file has a valid header, or raises CheckpointError."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path

from pcan_model.core.config import Config, config_to_dict
from pcan_model.inference.errors import ModelError
from pcan_model.inference.manifest import classes_of
from pcan_model.model.checkpoint import CheckpointError, load_header

EXPECTED = (CheckpointError,)


def seeds() -> Iterator[bytes]:
    """Yield a checkpoint with one tensor, and headers only."""
    metadata = {"config": json.dumps(config_to_dict(Config())), "metrics": '{"sMOTSA": 0.5}'}
    tensor = {"weight": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}}
    for header in ({"__metadata__": metadata} | tensor, {"__metadata__": {"config": "{}"}}, {}):
        text = json.dumps(header).encode()
        yield len(text).to_bytes(8, "little") + text + bytes(8 * ("weight" in header))


def check(data: bytes, folder: Path) -> None:
    """Read the header with the library, and without it, as a robot does."""
    path = folder / "weights.safetensors"
    path.write_bytes(data)
    with contextlib.suppress(ModelError):
        assert classes_of(path) >= 0
    config, _ = load_header(path)
    assert isinstance(config, Config)
