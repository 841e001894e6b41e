"""Evaluate with the frame memory emptied before every frame: what do past frames contribute to detection?

Takes the options of pcan-evaluate; only `--engine torch`. The module's own layers and the bank of the tracks
stay, so that the difference to pcan-evaluate is what frame attention reads from past frames.

  python benchmarks/without_memory.py pcan_street --weights models/pcan_street/weights.safetensors \
    --engine torch --data street_val --out without
"""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from pcan_model.cli.evaluate import main
from pcan_model.inference.torch_engine import TorchEngine

detect = TorchEngine.detect


def detect_without(self: TorchEngine, image: Any, memory: Any) -> Any:
    """Detect objects with the memory of a first frame."""
    return detect(self, image, replace(memory, frames=self.start().frames))


if __name__ == "__main__":
    TorchEngine.detect = detect_without  # type: ignore[method-assign]
    sys.exit(main())
