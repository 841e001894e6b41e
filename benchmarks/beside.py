"""Rows of benchmarks/engines.py for other detectors: their bare networks in ONNX Runtime, in the same run.

A network takes one image (1, 3, H, W). `FILE.onnx@384x640` changes a file of fixed shapes to another size,
which works if all of its layers are convolutions. Of YOLOX, whose output is (1, cells, 5 + classes), boxes
are decoded and suppressed, too; of others only the network runs, without masks.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import onnx
import onnxruntime as ort
from numpy.typing import NDArray
from onnx import numpy_helper

from benchmarks.cost import Cost, least, timed
from pcan_model.core.geometry import Letterbox
from pcan_model.inference.input_size import parse_size

GREY = (114, 114, 114)
SCORE, OVERLAP = 0.3, 0.6  # of the suppression
STRIDES = (8, 16, 32)


class Beside:
    """A network and the times of its frames."""

    def __init__(self, text: str, threads: int) -> None:
        """Open `FILE.onnx` or `FILE.onnx@HEIGHTxWIDTH`."""
        path, _, size = text.partition("@")
        model = onnx.load(path)
        if size:
            free(model, *parse_size(size))
        options = ort.SessionOptions()
        options.intra_op_num_threads = threads
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        data = model.SerializeToString()
        self._session, self.loading = timed(
            lambda: ort.InferenceSession(data, options, providers=["CPUExecutionProvider"])
        )
        (image,) = self._session.get_inputs()
        self._input, self._size = image.name, (int(image.shape[2]), int(image.shape[3]))
        self._cells = cells(*self._size)
        self.name, self.frame, self.whole, self.objects = Path(path).stem, list[Cost](), list[Cost](), 0

    def step(self, jpeg: NDArray[np.uint8]) -> None:
        """Decode an image and run the network on it."""
        self.whole.append(timed(lambda: self._detect(jpeg))[1])

    def line(self, rounds: int) -> str:
        """Return a row of the table: minimum times of the last rounds, in milliseconds."""
        size = "x".join(map(str, self._size))
        costs = str(least(self.frame[-rounds:])), "- | -", str(least(self.whole[-rounds:]))
        cells = (f"{self.name} | onnxruntime", "fp32", size, self.objects or "-", *costs)
        return f"| {' | '.join(map(str, cells))} | {self.loading.cpu:.1f} |"

    def _detect(self, jpeg: NDArray[np.uint8]) -> None:
        image = np.asarray(cv2.imdecode(jpeg, cv2.IMREAD_COLOR), np.uint8)
        image = Letterbox(image.shape[:2], self._size, GREY).apply(image)
        pixels = np.ascontiguousarray(image.transpose(2, 0, 1)[None], np.float32)
        outputs, cost = timed(lambda: self._session.run(None, {self._input: pixels}))
        self.frame.append(cost)
        if outputs[0].shape[1] == len(self._cells):  # YOLOX
            self.objects = len(suppress(outputs[0][0], self._cells))


def free(model: onnx.ModelProto, height: int, width: int) -> None:
    """Change a network of convolutions to an input of another size, in place."""
    for dim, side in zip(model.graph.input[0].type.tensor_type.shape.dim[2:], (height, width), strict=True):
        dim.dim_value = side
    shapes = {node.input[1] for node in model.graph.node if node.op_type == "Reshape"}
    constants: list[Any] = [t for t in model.graph.initializer if t.name in shapes]
    constants += [
        n.attribute[0].t for n in model.graph.node if n.op_type == "Constant" and n.output[0] in shapes
    ]
    for tensor in constants:
        target = numpy_helper.to_array(tensor).copy()
        target[-1] = -1
        tensor.CopyFrom(numpy_helper.from_array(target, tensor.name))
    for value in (*model.graph.output, *model.graph.value_info):
        value.type.tensor_type.ClearField("shape")


def cells(height: int, width: int) -> NDArray[np.float32]:
    """Return column, row and stride of the cells of YOLOX, (A, 3)."""
    grids = [np.indices((height // stride, width // stride)).reshape(2, -1)[::-1] for stride in STRIDES]
    parts = [np.vstack([grid, np.full_like(grid[:1], s)]) for grid, s in zip(grids, STRIDES, strict=True)]
    return np.concatenate(parts, 1).T.astype(np.float32)


def suppress(rows: NDArray[np.float32], at: NDArray[np.float32]) -> NDArray[np.intp]:
    """Return which rows (A, 5 + K) of YOLOX's output are detections, of its cells (A, 3)."""
    likely = rows[:, 4] > SCORE
    rows, at = rows[likely], at[likely]
    scores, labels = (rows[:, 4:5] * rows[:, 5:]).max(1), rows[:, 5:].argmax(1)
    extent = np.exp(rows[:, 2:4]) * at[:, 2:]
    corner = (rows[:, :2] + at[:, :2]) * at[:, 2:] - extent / 2
    boxes = np.concatenate([corner, extent], 1)
    kept = cv2.dnn.NMSBoxesBatched(boxes.tolist(), scores.tolist(), labels.tolist(), SCORE, OVERLAP)
    return np.flatnonzero(likely)[np.asarray(kept, int)]
