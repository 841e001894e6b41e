"""Conversion of the fp32 graphs in a model folder to 16 or 8 bits."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import onnx
from tqdm import tqdm

from pcan_model.core.config import ConfigError
from pcan_model.data.clips import Clip
from pcan_model.export.calibration import record
from pcan_model.export.fp16 import to_half
from pcan_model.export.onnx_graph import embed_weights
from pcan_model.export.quantise import quantise
from pcan_model.export.samples import for_cameras
from pcan_model.inference.torch_engine import TorchEngine
from pcan_model.model.pass_signature import PassSignature
from pcan_model.model.pcan import PCAN
from pcan_model.released.network import ReleasedPCAN

CALIBRATION_FRAMES = 48
STEM = {"yolox": 3}  # first layers of the frame pass in full precision, by detector: YOLOX's first outputs
# reach 125 in a few channels and 1 in others, which one scale for all channels cannot represent


def narrow(folder: Path) -> None:
    """Convert the heavy, unquantised layers of all graphs in a folder to fp16."""
    for path in sorted(folder.glob("*.onnx")):
        model = onnx.load(path, load_external_data=False)
        to_half(model)
        onnx.save(model, path)


def round_to_8_bits(
    net: PCAN | ReleasedPCAN,
    folder: Path,
    signatures: Mapping[str, PassSignature],
    *,
    precision: str,
    calibration: Sequence[Clip],
) -> None:
    """Quantise the heavy layers of all graphs in a folder to 8 bits; the graphs then contain their weights.

    signatures   of the graphs, by prefix of the file names; "" for one camera
    calibration  clips of the image size that the signatures take
    """
    engine = TorchEngine(net, lambda _: signatures[""])
    with tempfile.TemporaryDirectory(dir=folder.parent) as name:
        with tqdm(total=CALIBRATION_FRAMES, unit="frame", desc="track for calibration") as bar:
            samples = record(engine, calibration, Path(name), frames=CALIBRATION_FRAMES, progress=bar.update)
        if not samples.instance:
            raise ConfigError("--calibration: expected images with objects, but the network tracks none")
        stem = STEM.get(net.config.detector, 0)
        graphs = [(prefix, graph) for prefix in signatures for graph in ("frame", "instance")]
        for prefix, graph in graphs:
            given = for_cameras(getattr(samples, graph), signatures[prefix].cameras)
            with tqdm(total=len(given), unit="frame", desc=f"calibrate {prefix}{graph}") as bar:
                embed_weights(path := folder / f"{prefix}{graph}.onnx")
                quantise(path, precision, given, bar.update, stem=stem if graph == "frame" else 0)
