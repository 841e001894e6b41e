"""Graphs of several input sizes in one model folder, which share the weights."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from support.small import blocks, small_config
from torch import Tensor, nn

from pcan_model.core.config import ConfigError
from pcan_model.export import model_folder as room
from pcan_model.export.options import ExportOptions
from pcan_model.export.sizes import other_sizes, same_weights
from pcan_model.inference.manifest import WEIGHTS
from pcan_model.inference.onnx_engine import OnnxEngine
from pcan_model.inference.torch_engine import TorchEngine
from pcan_model.model.pcan import PCAN


def test_graphs_of_another_size_compute_what_the_network_of_that_size_does(
    sparse_net: PCAN, sparse_exported: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = room.write_pass

    def take(module: nn.Module, inputs: tuple[Tensor, ...], path: Path, *names: tuple[str, ...]) -> None:
        known = sparse_exported / path.name  # exporting those anew takes long
        shutil.copy(known, path) if known.exists() else write(module, inputs, path, *names)

    monkeypatch.setattr(room, "write_pass", take)
    folder = room.export(sparse_net, tmp_path / "several", ExportOptions(more_sizes=("64x96",)))
    assert sorted(path.name for path in folder.glob("*.onnx")) == [
        "frame.onnx", "frame_64x96.onnx", "instance.onnx", "instance_64x96.onnx",
    ]  # fmt: skip
    engine = OnnxEngine(folder, 1, size="64x96")
    other = same_weights(engine.config, folder / WEIGHTS)
    image = blocks(64, 96, seed=3)[0].numpy()
    (found, _), (expected, _) = (each.detect(image, each.start()) for each in (engine, TorchEngine(other)))
    assert len(found.scores) and np.allclose(found.scores, expected.scores, atol=1e-4)
    assert np.allclose(found.boxes, expected.boxes, atol=1e-2)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (ExportOptions(more_sizes=("100x64",)), "expected HEIGHTxWIDTH in multiples of 32"),
        (ExportOptions(more_sizes=("64x96",), cameras=2), "expected one camera, no --camera, and fp32 or"),
        (ExportOptions(more_sizes=("64x96",), precision="int8"), "expected one camera"),
    ],
)
def test_sizes_that_cannot_be_exported_are_refused(options: ExportOptions, message: str) -> None:
    with pytest.raises(ConfigError, match=f"--more-sizes: .*{message}"):
        other_sizes(small_config(), options)
