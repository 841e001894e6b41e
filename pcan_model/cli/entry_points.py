"""The commands of training, which say what to install where torch and its company are missing."""

from __future__ import annotations

import sys
from importlib import import_module


def train() -> int:
    """Run `pcan-train`."""
    return _run("train")


def export() -> int:
    """Run `pcan-export`."""
    return _run("export", "export.command")


def ablate() -> int:
    """Run `pcan-ablate`."""
    return _run("ablate", "ablations.ablate")


def attention() -> int:
    """Run `pcan-attention`."""
    return _run("attention", "attention_maps.command")


def convert() -> int:
    """Run `pcan-convert`."""
    return _run("convert", "released.convert")


def _run(command: str, room: str = "") -> int:
    """Import a command's room only now, and run it."""
    try:
        module = import_module(f"pcan_model.{room or command}")
    except ModuleNotFoundError as error:
        print(
            f"pcan-{command}: needs {error.name}, which the robot does not: pip install 'pcan_ros[train]', "
            "or `make train-env` in a checkout",
            file=sys.stderr,
        )
        return 2
    code: int = module.main()
    return code
