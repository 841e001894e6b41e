"""Whether the exported graphs compute what torch computes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch

from pcan_model.export.passes import example_inputs
from pcan_model.layout import lean, static
from pcan_model.network import PCAN


def agreement(net: PCAN, folder: Path, frames: int = 3) -> dict[str, float]:
    """Run both on moving noise with memory carried along; return the largest difference per output."""
    import onnxruntime

    session = onnxruntime.InferenceSession(str(folder / "frame.onnx"), providers=["CPUExecutionProvider"])
    generator = np.random.default_rng(0)
    outputs = [value.name for value in session.get_outputs()]
    layout = lean(net) if "sheet" in outputs else static(net)
    (image, *memory), _ = example_inputs(net.config, layout)
    ours: list[Any] = list(memory)
    theirs: list[Any] = [m.numpy() for m in memory]
    worst: dict[str, float] = {}
    for _ in range(frames):
        picture = generator.integers(0, 255, image.shape, dtype=np.uint8)
        with torch.inference_mode():
            a = layout.frame(torch.from_numpy(picture), *ours)
        b = session.run(None, dict(zip(layout.inputs["frame"], [picture, *theirs], strict=True)))
        for name, x, y in zip(layout.outputs["frame"], a, b, strict=True):
            difference = float(np.abs(x.numpy().astype(np.float64) - y).max(initial=0))
            worst[name] = max(worst.get(name, 0.0), difference)
        ours, theirs = list(a[-3:]), list(b[-3:])
    return worst
