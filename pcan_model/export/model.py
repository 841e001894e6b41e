"""The folder of an exported model: two graphs, the weights, and a manifest that says what they are."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import onnx
from tqdm import tqdm

from pcan_model import checkpoint
from pcan_model.config import Config, ConfigError, config_to_dict
from pcan_model.data.clips import Clip
from pcan_model.export.calibration import record
from pcan_model.export.half import to_half
from pcan_model.export.passes import OPSET, example_inputs, write_pass
from pcan_model.export.quantise import LAYERS, check_quantiser, quantise
from pcan_model.export.weights import WEIGHTS
from pcan_model.layout import Layout, MakeLayout, lean, sampled
from pcan_model.network import PCAN
from pcan_model.torch_engine import TorchEngine

ROI = {"roialign": lean, "gridsample": sampled}  # the operator; sampling, which TensorRT builds anywhere
PRECISIONS = ("fp32", "fp16", *LAYERS)
CALIBRATION_FRAMES = 48


def export(
    net: PCAN,
    folder: Path,
    metrics: dict[str, Any] | None = None,
    *,
    roi: str = "roialign",
    precision: str = PRECISIONS[0],
    calibration: Sequence[Clip] = (),
) -> Path:
    """Write frame.onnx, instance.onnx, the weights and manifest.json; a folder whole or not at all.

    roi          how regions are read, one of ROI
    precision    of the heavy layers, one of PRECISIONS
    calibration  what int8 and fp8 choose their scales by: pictures as the robot will see
    The network's own weights are rounded to what was written. Raises ConfigError rather than
    replace a folder that holds something else than an exported model.
    """
    _check(net.config, folder, precision, calibration)
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent) as name:
        partial = Path(name) / "model"
        partial.mkdir()
        checkpoint.save(partial / WEIGHTS, net, net.config, metrics or {}, half=True)
        checkpoint.load_weights(partial / WEIGHTS, net)  # torch and ONNX then round alike
        layout = ROI[roi](net)
        _write_passes(net, partial, layout, own_weights=precision in LAYERS)
        if precision == "fp16":
            narrow(partial)
        if precision in LAYERS:
            round_to_8_bits(net, partial, ROI[roi], precision=precision, calibration=calibration)
        _manifest(net.config, layout, partial, roi=roi, precision=precision)
        if folder.exists():
            _keep_others(folder, partial)
            shutil.rmtree(folder)
        os.replace(partial, folder)
    return folder


def _check(config: Config, folder: Path, precision: str, calibration: Sequence[Clip]) -> None:
    if (kind := config.frame_attention.kind) != "prototypical":
        raise ConfigError(
            f"frame_attention.kind: expected prototypical (a baseline runs in torch), got {kind}"
        )
    if folder.exists() and not (folder / "manifest.json").is_file() and list(folder.glob("*")):
        raise ConfigError(f"{folder}: expected a new folder or an exported model, got other files")
    if precision in LAYERS:
        if not calibration:
            raise ConfigError(
                f"--precision {precision}: expected --calibration PATH, pictures as the robot will see them "
                "(a data set, bag, video or folder), got none"
            )
        check_quantiser()


def _write_passes(net: PCAN, folder: Path, layout: Layout, *, own_weights: bool) -> None:
    frame, instance = example_inputs(net.config, layout)
    for name, module, inputs in (("frame", layout.frame, frame), ("instance", layout.instance, instance)):
        path = folder / f"{name}.onnx"
        names = layout.inputs[name], layout.outputs[name]
        write_pass(module, inputs, path, *names, own_weights=own_weights)


def _keep_others(folder: Path, partial: Path) -> None:
    """Take along what else lies beside a model, such as its card."""
    for path in folder.iterdir():
        if path.is_file() and not (partial / path.name).exists():
            shutil.copy2(path, partial)


def narrow(folder: Path) -> None:
    """Let the heavy layers of both graphs in a folder compute in 16 bits; their weights are stored so."""
    for name in ("frame", "instance"):
        path = folder / f"{name}.onnx"
        model = onnx.load(path, load_external_data=False)
        to_half(model)
        onnx.save(model, path)


def round_to_8_bits(
    net: PCAN, folder: Path, layout: MakeLayout, *, precision: str, calibration: Sequence[Clip]
) -> None:
    """Let the heavy layers of both graphs in a folder, which hold their own weights, compute in 8 bits."""
    engine = TorchEngine(net.config, net, layout)
    with tempfile.TemporaryDirectory(dir=folder.parent) as name:
        with tqdm(total=CALIBRATION_FRAMES, unit="frame", desc="track for calibration") as bar:
            samples = record(engine, calibration, Path(name), frames=CALIBRATION_FRAMES, progress=bar.update)
        for graph in ("frame", "instance"):
            files = getattr(samples, graph)
            with tqdm(total=len(files), unit="frame", desc=f"calibrate {graph} pass") as bar:
                quantise(folder / f"{graph}.onnx", precision, files, bar.update)


def _manifest(config: Config, layout: Layout, folder: Path, *, roi: str, precision: str) -> None:
    """Say what the model is, so that a runtime needs neither torch nor the checkpoint's header."""
    files = ("frame.onnx", "instance.onnx", WEIGHTS)
    content = {
        "config": config_to_dict(config),
        "precision": precision,
        "opset": OPSET,
        "roi": roi,
        "weights": WEIGHTS,
        "inputs": layout.inputs,
        "outputs": layout.outputs,
        "sha256": {name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in files},
    }
    (folder / "manifest.json").write_text(json.dumps(content, indent=1) + "\n")
