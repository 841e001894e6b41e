"""Whether the exported graphs compute what torch computes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch

from pcan_model.export.passes import FRAME_INPUTS, FRAME_OUTPUTS, example_inputs
from pcan_model.network import PCAN, FramePass


def agreement(net: PCAN, folder: Path, frames: int = 3) -> dict[str, float]:
    """Run both on moving noise with memory carried along; return the largest difference per output."""
    import onnxruntime

    session = onnxruntime.InferenceSession(str(folder / "frame.onnx"), providers=["CPUExecutionProvider"])
    generator = np.random.default_rng(0)
    (image, *memory), _ = example_inputs(net.config)
    ours: list[Any] = list(memory)
    theirs: list[Any] = [m.numpy() for m in memory]
    worst: dict[str, float] = {}
    for _ in range(frames):
        picture = generator.integers(0, 255, image.shape, dtype=np.uint8)
        with torch.inference_mode():
            a = FramePass(net).eval()(torch.from_numpy(picture), *ours)
        b = session.run(None, dict(zip(FRAME_INPUTS, [picture, *theirs], strict=True)))
        for name, x, y in zip(FRAME_OUTPUTS, a, b, strict=True):
            difference = float(np.abs(x.numpy().astype(np.float64) - y).max(initial=0))
            worst[name] = max(worst.get(name, 0.0), difference)
        ours, theirs = list(a[-3:]), list(b[-3:])
    return worst
