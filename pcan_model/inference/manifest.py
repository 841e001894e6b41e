"""The folder of an exported model: reading, writing and validation of its manifest and files."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Literal, get_args

from pcan_model.core.config import Config, config_to_dict
from pcan_model.core.engine import CameraFormat
from pcan_model.inference.errors import ModelError
from pcan_model.inference.input_size import LARGEST, parse_size, size_text
from pcan_model.inference.manifest_reader import ManifestReader, Names, read_json
from pcan_model.inference.onnx_file import MalformedOnnx, read_onnx
from pcan_model.model.pass_names import GRAPHS

MANIFEST = "manifest.json"
WEIGHTS = "weights.safetensors"
BATCH = "batch_"  # prefix of the graphs for a batch of cameras
Precision = Literal["fp32", "fp16", "int8", "fp8"]
Roi = Literal["roialign", "gridsample"]  # RoI pooling by operator, or by grid sampling for TensorRT
PRECISIONS: tuple[Precision, ...] = get_args(Precision)
ROI: tuple[Roi, ...] = get_args(Roi)
NAME_BYTES = 255  # longest file name of common file systems
GRAPH_BYTES = 2 << 30  # size limit of a graph, which is that of a protocol buffer
HEADER_BYTES = 100 << 20  # size limit of a safetensors header, as in the library
TENSOR_VALUES = 1 << 28  # size limit of a tensor, 1 GiB in fp32


@dataclass(frozen=True, slots=True)
class ModelManifest:
    """Description of an exported model; a runtime needs neither torch nor the checkpoint's header."""

    config: Config  # of the network
    inputs: Names
    outputs: Names
    precision: str = "fp32"  # of the heavy layers, one of PRECISIONS
    rest: str | None = None  # precision of unquantised layers in an 8-bit model
    opset: int = 0  # of the graphs, 0 if unknown
    roi: str = "roialign"  # RoI pooling, one of ROI
    cameras: int = 1  # batch size of the batch graphs; 1: there are none
    camera_format: CameraFormat | None = None  # images that the graphs letterbox themselves
    weights: str | None = None  # name of the checkpoint file that the graphs refer to
    sizes: tuple[str, ...] = ()  # further input sizes, each with graphs of its own
    sha256: Mapping[str, str] = field(default_factory=dict)  # by file name

    @property
    def grid_sample(self) -> bool:
        """Return whether RoI pooling is by grid sampling; TensorRT has RoIAlign as a plugin only."""
        return self.roi == "gridsample"

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """Return the shape (height, width, 3) of the frame network's input image."""
        size = self.camera_format or self.config.input
        return size.height, size.width, 3

    @property
    def size(self) -> str:
        """Return the size of the network's input, such as `576x1024`."""
        return size_text(self.config.input.height, self.config.input.width)

    def at(self, size: str) -> ModelManifest:
        """Return the manifest for one of the model's sizes; raises ValueError naming them.

        size  such as `384x640`, `largest`, or empty for the default
        """
        if size == LARGEST:
            size = max((self.size, *self.sizes), key=lambda text: math.prod(parse_size(text)))
        if size in ("", self.size):
            return self
        if size not in self.sizes:
            raise ValueError(f"size: expected one of {', '.join((self.size, *self.sizes))}; got {size!r}")
        height, width = parse_size(size)
        own = replace(self.config.input, height=height, width=width)
        return replace(self, config=replace(self.config, input=own))

    @classmethod
    def read(cls, folder: Path) -> ModelManifest:
        """Read the manifest in a model folder; raises ModelError naming the key."""
        path = folder / MANIFEST
        reader = ManifestReader(path, read_json(path))
        return cls(
            config=reader.config(),
            precision=reader.choice("precision", PRECISIONS),
            rest=reader.text_or_none("rest"),
            opset=reader.number("opset", least=0, default=0),
            roi=reader.choice("roi", ROI),
            cameras=reader.number("cameras", least=1, default=1),
            camera_format=reader.camera_format(),
            weights=reader.text_or_none("weights"),
            sizes=reader.sizes(),
            sha256=reader.hashes(),
            inputs=reader.names("inputs"),
            outputs=reader.names("outputs"),
        )

    def write(self, folder: Path) -> None:
        """Write the manifest into a model folder, with the hashes of the files there as `sha256`."""
        files = (*sorted(path.name for path in folder.glob("*.onnx")), *filter(None, (self.weights,)))
        content = {
            "config": config_to_dict(self.config),
            "precision": self.precision,
            "rest": self.rest,
            "opset": self.opset,
            "roi": self.roi,
            "cameras": self.cameras,
            "camera": asdict(self.camera_format) if self.camera_format else None,
            "weights": self.weights,
            "sizes": list(self.sizes),
            "inputs": dict(self.inputs),
            "outputs": dict(self.outputs),
            "sha256": {name: sha256_of(folder / name) for name in files},
        }
        (folder / MANIFEST).write_text(json.dumps(content, indent=1) + "\n")


class ModelFiles:
    """Read-only view of `frame.onnx`, `instance.onnx`, `weights.safetensors` and `manifest.json`.

    All files must be in the folder itself, or be links into the folder that the manifest links to; no file
    that the manifest or a graph names is read from elsewhere. Raises ModelError otherwise.

    size  of the input, such as `384x640`, of a model with several, or `largest`; empty: the default
    """

    def __init__(self, folder: Path, size: str = "") -> None:
        self.folder = folder
        if not folder.is_dir():
            raise ModelError(f"{folder}: no such folder; expected an exported model (see pcan-export)")
        self._require(MANIFEST, *(f"{name}.onnx" for name in GRAPHS))
        self._roots = {folder.resolve(), self.manifest_path.resolve().parent}
        self.manifest = ModelManifest.read(folder)
        self._suffix = ""  # of the graphs' names
        self._choose(size)
        if self.manifest.cameras > 1:
            self._require(*(f"{BATCH}{name}.onnx" for name in GRAPHS))
        self._check_hashes()
        self._check_graphs()
        self._check_classes()

    @property
    def config(self) -> Config:
        """Return the configuration that the networks were exported with."""
        return self.manifest.config

    @property
    def manifest_path(self) -> Path:
        """Return the path of the manifest."""
        return self.folder / MANIFEST

    @property
    def weights(self) -> Path:
        """Return the path of the checkpoint that the graphs refer to, whether it exists or not."""
        return self._inside(self.manifest.weights or WEIGHTS, "weights")

    def graph(self, name: str) -> Path:
        """Return the path of a graph."""
        return self._inside(f"{name}{self._suffix}.onnx", "graph")

    def digest(self, name: str) -> str:
        """Return the SHA-256 of a graph together with all files of weights."""
        hashes = self.manifest.sha256
        weights = sorted(f"{file} {digest}" for file, digest in hashes.items() if not file.endswith(".onnx"))
        return hashlib.sha256("\n".join([sha256_of(self.graph(name)), *weights]).encode()).hexdigest()

    def _choose(self, size: str) -> None:
        """Select the graphs of an input size."""
        try:
            chosen = self.manifest.at(size)
        except ValueError as error:
            raise ModelError(f"{self.manifest_path}: {error}") from error
        if chosen.size == self.manifest.size:
            return
        self.manifest, self._suffix = chosen, f"_{chosen.size}"
        self._require(*(self.graph(name).name for name in GRAPHS))

    def _require(self, *names: str) -> None:
        missing = [name for name in names if not (self.folder / name).is_file()]
        if missing:
            raise ModelError(f"{self.folder}: expected {', '.join(names)}, missing {', '.join(missing)}")

    def _inside(self, name: str, what: str) -> Path:
        """Return the path of a file of the model; raises ModelError for a name or link outside the folder.

        what  source of the name, for the message
        """
        if not _is_file_name(name):
            raise ModelError(
                f"{self.manifest_path}: {what}: expected the name of a file beside it, got {name!r}"
            )
        path = self.folder / name
        try:
            real = path.resolve()
        except (OSError, RuntimeError) as error:  # a loop of links
            raise ModelError(f"{path}: {what}: expected a file, got: {error}") from error
        if real.parent not in self._roots:
            raise ModelError(f"{path}: {what}: expected a file in the model folder, got a link to {real}")
        return path

    def _check_hashes(self) -> None:
        for name, expected in self.manifest.sha256.items():
            path = self._inside(name, "sha256")
            if not path.is_file():
                raise ModelError(f"{path}: named in {MANIFEST} and missing")
            got = sha256_of(path)
            if got != expected:
                raise ModelError(f"{path}: expected sha256 {expected[:12]}… of {MANIFEST}, got {got[:12]}…")

    def _check_graphs(self) -> None:
        """Raise ModelError for a graph that refers to files elsewhere or declares oversized tensors."""
        prefixes = ("", BATCH) if self.manifest.cameras > 1 else ("",)
        for path in (self.graph(f"{prefix}{name}") for prefix in prefixes for name in GRAPHS):
            try:
                if path.stat().st_size > GRAPH_BYTES:
                    raise MalformedOnnx(f"{path.stat().st_size} bytes, where at most {GRAPH_BYTES} are read")
                graph = read_onnx(path)
            except MalformedOnnx as error:
                raise ModelError(f"{path}: expected an ONNX graph, got: {error}") from error
            for tensor, values in graph.sizes.items():
                if values > TENSOR_VALUES:
                    raise ModelError(
                        f"{path}: {tensor}: expected at most {TENSOR_VALUES} values, got {values}"
                    )
            for location in sorted(graph.locations):
                if not self._inside(location, f"{path.name}: external data").is_file():
                    raise ModelError(f"{path}: external data: {location}: no such file")

    def _check_classes(self) -> None:
        """Raise ModelError unless weights and manifest have the same number of classes."""
        known = len(self.config.classes)
        trained = classes_of(self.weights) if self.manifest.weights and self.weights.is_file() else known
        if known != trained:
            where = f"{self.manifest_path}: config: classes"
            raise ModelError(f"{where}: expected {trained} as in {self.weights.name}, got {known}")


def _is_file_name(name: str) -> bool:
    """Return whether a name is a plain file name, without a path."""
    valid = len(name.encode(errors="replace")) <= NAME_BYTES and name.isprintable()
    return valid and name not in ("", ".", "..") and Path(name).name == name


def is_model(folder: Path) -> bool:
    """Return whether a folder holds an exported model, valid or not."""
    return (folder / MANIFEST).is_file()


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while piece := file.read(1 << 20):
            digest.update(piece)
    return digest.hexdigest()


def classes_of(weights: Path) -> int:
    """Return the number of classes of a safetensors checkpoint."""
    size = weights.stat().st_size
    with weights.open("rb") as file:
        try:
            length = min(size, HEADER_BYTES, int.from_bytes(file.read(8), "little"))
            header = json.loads(file.read(length))
            return len(json.loads(header["__metadata__"]["config"])["classes"])
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise ModelError(f"{weights}: expected a checkpoint of pcan-train, got another file") from error
