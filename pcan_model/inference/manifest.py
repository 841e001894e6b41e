"""A folder with an exported model: what must be in it, and that its files belong together."""

from __future__ import annotations

import hashlib
import json
from functools import cached_property
from pathlib import Path
from typing import Any

from pcan_model.core.config import Config, ConfigError, config_from_dict
from pcan_model.core.engine import CameraPicture

GRAPHS = ("frame", "instance")
BATCH = "batch_"  # before the names of those for several cameras at once


class ModelError(ValueError):
    """A model folder that cannot be used: says file, expected and got."""


class ModelFiles:
    """Read-only view of `frame.onnx`, `instance.onnx`, `weights.safetensors` and `manifest.json`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        if not folder.is_dir():
            raise ModelError(f"{folder}: no such folder; expected an exported model (see pcan-export)")
        names = ("manifest.json", *(f"{name}.onnx" for name in GRAPHS))
        missing = [name for name in names if not (folder / name).is_file()]
        if missing:
            raise ModelError(f"{folder}: expected {', '.join(names)}, missing {', '.join(missing)}")
        self._check_hashes()

    @cached_property
    def manifest(self) -> dict[str, Any]:
        """Return the manifest as written by the export."""
        path = self.folder / "manifest.json"
        try:
            values = json.loads(path.read_text())
        except ValueError as error:
            raise ModelError(f"{path}: expected JSON, got: {error}") from error
        if not isinstance(values, dict) or "config" not in values:
            raise ModelError(f"{path}: expected an object with the key 'config'")
        return values

    @cached_property
    def config(self) -> Config:
        """Return the configuration the networks were exported with."""
        where = f"{self.folder / 'manifest.json'}: config"
        try:
            config = config_from_dict(self.manifest["config"], where)
        except ConfigError as error:
            raise ModelError(str(error)) from error
        known, path = len(config.classes), self.folder / str(self.manifest.get("weights"))
        trained = classes_of(path) if path.is_file() else known
        if known != trained:
            raise ModelError(f"{where}: classes: expected {trained} as in {path.name}, got {known}")
        return config

    @property
    def precision(self) -> str:
        """Return the precision that the graphs compute in: fp32, fp16, …"""
        return str(self.manifest.get("precision", "fp32"))

    @property
    def sampled(self) -> bool:
        """Return whether regions are read by sampling: TensorRT has RoIAlign as a plugin only."""
        return self.manifest.get("roi") == "gridsample"

    @cached_property
    def camera(self) -> CameraPicture | None:
        """Return the pictures that the graphs fit into the network's input themselves, if they do."""
        values = self.manifest.get("camera")
        if values is None:
            return None
        try:
            return CameraPicture(int(values["height"]), int(values["width"]), str(values["order"]))
        except (KeyError, TypeError, ValueError) as error:
            where = f"{self.folder / 'manifest.json'}: camera"
            raise ModelError(f"{where}: expected height, width and order, got {values!r}") from error

    @property
    def cameras(self) -> int:
        """Return how many cameras the batch graphs look through at once; 1: there are none."""
        count = self.manifest.get("cameras", 1)
        if not isinstance(count, int) or count < 1:
            where = f"{self.folder / 'manifest.json'}: cameras"
            raise ModelError(f"{where}: expected a number from 1 up, got {count!r}")
        return count

    @property
    def picture(self) -> tuple[int, int, int]:
        """Return the shape of a picture as the frame network takes it, (height, width, 3)."""
        size = self.camera or self.config.input
        return size.height, size.width, 3

    def names(self, kind: str, graph: str) -> tuple[str, ...]:
        """Return the names of a network's `inputs` or `outputs`, in their order."""
        every = self.manifest.get(kind)
        own = every.get(graph) if isinstance(every, dict) else None
        if not isinstance(own, list) or not all(isinstance(name, str) for name in own):
            where = f"{self.folder / 'manifest.json'}: {kind}: {graph}"
            raise ModelError(f"{where}: expected a list of names, got {own!r}; export the model anew")
        return tuple(own)

    def graph(self, name: str) -> Path:
        """Return the path of a network."""
        return self.folder / f"{name}.onnx"

    def digest(self, name: str) -> str:
        """Return the sha256 of a network and of every file of weights beside it."""
        hashes = self.manifest.get("sha256", {})
        weights = sorted(f"{file} {digest}" for file, digest in hashes.items() if not file.endswith(".onnx"))
        own = hashlib.sha256(self.graph(name).read_bytes()).hexdigest()
        return hashlib.sha256("\n".join([own, *weights]).encode()).hexdigest()

    def _check_hashes(self) -> None:
        hashes = self.manifest.get("sha256", {})
        if not isinstance(hashes, dict) or not all(isinstance(value, str) for value in hashes.values()):
            raise ModelError(
                f"{self.folder / 'manifest.json'}: sha256: expected file: digest, got {hashes!r}"
            )
        for name, expected in hashes.items():
            path = self.folder / name
            if not path.is_file():
                raise ModelError(f"{path}: named in manifest.json and missing")
            got = hashlib.sha256(path.read_bytes()).hexdigest()
            if got != expected:
                raise ModelError(
                    f"{path}: expected sha256 {expected[:12]}… of manifest.json, got {got[:12]}…"
                )


def classes_of(weights: Path) -> int:
    """Return how many classes the network of a safetensors checkpoint was trained for."""
    size = weights.stat().st_size
    with weights.open("rb") as file:
        try:
            header = json.loads(file.read(min(size, int.from_bytes(file.read(8), "little"))))
            return len(json.loads(header["__metadata__"]["config"])["classes"])
        except (ValueError, KeyError, TypeError) as error:
            raise ModelError(f"{weights}: expected a checkpoint of pcan-train, got another file") from error
