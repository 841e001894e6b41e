"""Fuzz target: YAML. Any text is a valid configuration or calibration, or a one-line error."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from pcan_model.core.config import PRESETS, Config, ConfigError, load_config

EXPECTED = (ConfigError,)


def seeds() -> Iterator[bytes]:
    """Yield the presets, and other features of YAML."""
    for path in sorted(PRESETS.glob("*.yaml")):
        yield path.read_bytes()
    yield b"name: &a mine\nclasses: [*a, *a]\n"
    yield b"name: !!str 5\ninput: {height: 0x40, width: 1_28}\ntrain: {learning_rate: .5e-1}\n"
    yield b"name: 2001-12-14t21:59:43.10-05:00\n? [a, b]\n: !!set {x}\n<<: {a: 1}\n"


def check(data: bytes, folder: Path) -> None:
    """Read the text as a configuration."""
    path = folder / "mine.yaml"
    path.write_bytes(data)
    assert isinstance(load_config(path), Config)
