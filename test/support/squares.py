"""A stand-in for an exported network that finds coloured squares: exact, tiny, needs no torch."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import numpy_helper, parser

HEIGHT, WIDTH = 64, 96
COLOURS = {2: (255, 0, 0), 0: (0, 255, 0), 4: (0, 0, 255), 7: (255, 255, 0)}  # class: RGB
GREY = 60  # of the ground

FRAME = """
<ir_version: 8, opset_import: ["" : 17]>
frame (uint8[1,64,96,3] image, float[1,2,3,4] mem_k, float[1,2,3,5] mem_v, float[2] valid)
  => (float[4,4] boxes, float[4] scores, int64[4] labels, float[4,4] embeds, float[4,2,14,14] roi_features,
      float[4,28,28] mask_logits, bool nms_ok, float[1,2,3,4] mem_k_next, float[1,2,3,5] mem_v_next,
      float[2] valid_next)
{
  pixels = Cast<to = 1>(image)
  distance = Sub(pixels, colours)
  absolute = Abs(distance)
  worst = ReduceMax<axes = [3], keepdims = 0>(absolute)
  near = Less(worst, tolerance)
  on = Cast<to = 1>(near)
  in_column = ReduceMax<axes = [1], keepdims = 0>(on)
  in_row = ReduceMax<axes = [2], keepdims = 0>(on)
  x_low = Mul(in_column, columns_left)
  x_high = Mul(in_column, columns_right)
  y_low = Mul(in_row, rows_above)
  y_high = Mul(in_row, rows_below)
  x_first = ReduceMax<axes = [1], keepdims = 1>(x_low)
  y_first = ReduceMax<axes = [1], keepdims = 1>(y_low)
  x1 = Sub(width, x_first)
  y1 = Sub(height, y_first)
  x2 = ReduceMax<axes = [1], keepdims = 1>(x_high)
  y2 = ReduceMax<axes = [1], keepdims = 1>(y_high)
  found_boxes = Concat<axis = 1>(x1, y1, x2, y2)
  area = ReduceSum<keepdims = 0>(on, plane)
  large = Greater(area, least)
  there = Cast<to = 1>(large)
  found_scores = Mul(there, certainty)
  scores, order = TopK<axis = 0>(found_scores, four)
  boxes = Gather<axis = 0>(found_boxes, order)
  labels = Gather<axis = 0>(classes, order)
  embeds = Gather<axis = 0>(looks, order)
  roi_features = Identity(features)
  mask_logits = Identity(logits)
  nms_ok = Identity(yes)
  mem_k_next = Add(mem_k, one)
  mem_v_next = Add(mem_v, one)
  valid_next = Max(valid, one)
}
"""
INSTANCE = """
<ir_version: 8, opset_import: ["" : 17]>
instance (float[4,2,14,14] roi_features, float[4,28,28] mask_logits, float[8,3,4] bank, int64[4] slot,
          float[4] fresh, int64[8] owner, float[8] has)
  => (float[4,28,28] refined, float[8,3,4] bank_next)
{
  refined = Identity(mask_logits)
  written = Reshape(has, rows)
  bank_next = Add(bank, written)
}
"""


def export_squares(folder: Path, **tracker: object) -> Path:
    """Write the stand-in as an exported model, with these settings of its tracker, and return its folder."""
    return export_graphs(folder, FRAME, INSTANCE, **tracker)


SMALL = ("boxes", "scores", "labels", "embeds")
FEATURES = ("roi_features", "mask_logits")
MEMORY = ("mem_k", "mem_v", "valid")
NEXT = tuple(f"{name}_next" for name in MEMORY)
INPUTS = {
    "frame": ("image", *MEMORY),
    "instance": (*FEATURES, "bank", "slot", "fresh", "owner", "has"),
}
OUTPUTS = {"frame": (*SMALL, *FEATURES, "nms_ok", *NEXT), "instance": ("refined", "bank_next")}


def export_graphs(folder: Path, frame: str, instance: str, **tracker: object) -> Path:
    """Write two networks that use the squares' constants as an exported model and return its folder."""
    folder.mkdir(parents=True, exist_ok=True)
    half = np.array(0.5, np.float32)
    _save(frame, {**_frame_constants(), "half": half}, folder / "frame.onnx")
    _save(instance, {"rows": np.array([8, 1, 1]), "half": half}, folder / "instance.onnx")
    hashes = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.glob("*.onnx")}
    manifest = {"config": _config(**tracker), "sha256": hashes, "precision": "fp32", "roi": "gridsample"}
    manifest |= {"inputs": INPUTS, "outputs": OUTPUTS}
    (folder / "manifest.json").write_text(json.dumps(manifest))
    return folder


def pixels(
    squares: dict[int, tuple[int, int]], *, size: int = 16, height: int = HEIGHT, width: int = WIDTH
) -> NDArray[np.uint8]:
    """Return an RGB image with squares, class to upper left corner (x, y)."""
    image = np.full((height, width, 3), GREY, np.uint8)
    for label, (x, y) in squares.items():
        image[y : y + size, x : x + size] = COLOURS[label]
    return image


def _config(**tracker: object) -> dict[str, object]:
    return {
        "name": "squares",
        "input": {"height": HEIGHT, "width": WIDTH},
        "heads": {"detections": 4},
        "tracker": {"capacity": 8, "lost_frames": 2, **tracker},
    }


def _frame_constants() -> dict[str, NDArray[np.generic]]:
    single, columns, rows = np.float32, np.arange(WIDTH), np.arange(HEIGHT)
    return {
        "colours": np.array(list(COLOURS.values()), single)[:, None, None],
        "tolerance": np.array(60, single),
        "columns_left": (WIDTH - columns).astype(single),
        "columns_right": (columns + 1).astype(single),
        "rows_above": (HEIGHT - rows).astype(single),
        "rows_below": (rows + 1).astype(single),
        "width": np.array(WIDTH, single),
        "height": np.array(HEIGHT, single),
        "plane": np.array([1, 2]),
        "least": np.array(30, single),
        "certainty": np.array([0.95, 0.9, 0.85, 0.8], single),
        "four": np.array([4]),
        "classes": np.array(list(COLOURS)),
        "looks": np.eye(4, dtype=single) * 8,
        "features": np.zeros((4, 2, 14, 14), single),
        "logits": np.full((4, 28, 28), 6, single),
        "yes": np.array(True),
        "one": np.array(1, single),
    }


def _save(text: str, constants: dict[str, NDArray[np.generic]], path: Path) -> None:
    model = parser.parse_model(text)
    model.graph.initializer.extend(numpy_helper.from_array(value, name) for name, value in constants.items())
    onnx.checker.check_model(model)
    onnx.save(model, path)
