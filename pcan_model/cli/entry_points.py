"""The commands of training, which say what to install where torch and its company are missing."""

from __future__ import annotations

import sys
from importlib import import_module


def train() -> int:
    """Run `pcan-train`."""
    return _run("train")


def export() -> int:
    """Run `pcan-export`."""
    return _run("export")


def ablate() -> int:
    """Run `pcan-ablate`."""
    return _run("ablate")


def attention() -> int:
    """Run `pcan-attention`."""
    return _run("attention")


def convert() -> int:
    """Run `pcan-convert`."""
    return _run("convert")


def _run(command: str) -> int:
    """Import a command only now, and run it."""
    try:
        module = import_module(
            "pcan_model.training.trainer" if command == "train" else f"pcan_model.cli.{command}"
        )
    except ModuleNotFoundError as error:
        print(
            f"pcan-{command}: needs {error.name}, which the robot does not: pip install 'pcan_ros[train]', "
            "or `make train-env` in a checkout",
            file=sys.stderr,
        )
        return 2
    code: int = module.main()
    return code
