"""Fuzz target: model folders. Any manifest and any graph is read, or raises ModelError."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from support.squares import export_squares

from pcan_model.inference.errors import ModelError
from pcan_model.inference.manifest import MANIFEST, ModelFiles

EXPECTED = (ModelError,)
FILES = (MANIFEST, "frame.onnx")


@cache
def _model() -> dict[str, bytes]:
    """Return the files of the model of `squares`, without hashes so that a graph may differ."""
    with tempfile.TemporaryDirectory() as folder:
        files = {path.name: path.read_bytes() for path in export_squares(Path(folder) / "model").iterdir()}
    camera = {"height": 9, "width": 9, "order": "rgb"}
    manifest = json.loads(files[MANIFEST]) | {"sha256": {}, "camera": camera}
    return files | {MANIFEST: json.dumps(manifest).encode()}


def seeds() -> Iterator[bytes]:
    """Yield the index of the file, then its bytes."""
    for number, name in enumerate(FILES):
        yield bytes([number]) + _model()[name]


def check(data: bytes, folder: Path) -> None:
    """Open a valid model with one file replaced by these bytes."""
    name = FILES[(data[0] if data else 0) % len(FILES)]
    for file, content in (_model() | {name: data[1:]}).items():
        (folder / file).write_bytes(content)
    files = ModelFiles(folder)
    assert len(files.manifest.image_shape) == 3
