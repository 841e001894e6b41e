"""Agreement of the exported graphs with torch."""

from __future__ import annotations

from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch

from pcan_model.core.engine import CameraFormat
from pcan_model.data.clips import Clip
from pcan_model.evaluation.predict import predict_clip
from pcan_model.evaluation.setup import Setup
from pcan_model.export.camera_pass import with_camera_format
from pcan_model.export.onnx_graph import example_inputs
from pcan_model.export.track_agreement import TrackAgreement, track_agreement
from pcan_model.factory import REFERENCES, make_engine
from pcan_model.inference.manifest import ModelManifest
from pcan_model.model.pcan import PCAN
from pcan_model.released.network import ReleasedPCAN
from pcan_model.tracking.tracker import Tracker


def agreement(
    net: PCAN | ReleasedPCAN, folder: Path, frames: int = 3, camera: CameraFormat | None = None
) -> dict[str, float]:
    """Run both on noise, carrying the memory along; return the largest difference per output.

    camera  camera images that the graph resizes itself
    """
    import onnxruntime

    session = onnxruntime.InferenceSession(str(folder / "frame.onnx"), providers=["CPUExecutionProvider"])
    generator = np.random.default_rng(0)
    roi = ModelManifest.read(folder).roi
    signature = REFERENCES[net.config.variant][roi](net)
    if camera is not None:
        signature = with_camera_format(signature, net.config, camera)
    (image, *memory), _ = example_inputs(net.config, signature)
    torch_memory: list[Any] = list(memory)
    onnx_memory: list[Any] = [m.numpy() for m in memory]
    differences: dict[str, float] = {}
    for _ in range(frames):
        pixels = generator.integers(0, 255, image.shape, dtype=np.uint8)
        with torch.inference_mode():
            a = signature.frame(torch.from_numpy(pixels), *torch_memory)
        b = session.run(None, dict(zip(signature.inputs["frame"], [pixels, *onnx_memory], strict=True)))
        for name, x, y in zip(signature.outputs["frame"], a, b, strict=True):
            difference = float(np.abs(x.numpy().astype(np.float64) - y).max(initial=0))
            differences[name] = max(differences.get(name, 0.0), difference)
        torch_memory, onnx_memory = list(a[-len(memory) :]), list(b[-len(memory) :])
    return differences


def clip_agreement(net: PCAN | ReleasedPCAN, folder: Path, clip: Clip, frames: int = 6) -> TrackAgreement:
    """Compare the tracks of the exported graphs with those of torch on the first frames of a clip."""
    engines = Setup(str(folder), "onnx", size="").make_engine(), make_engine(net)
    predicted, reference = (
        [prediction.tracks for prediction in islice(predict_clip(Tracker(engine), clip), frames)]
        for engine in engines
    )
    return track_agreement(predicted, reference)
