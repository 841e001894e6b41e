"""PCAN on ONNX Runtime: prototypes and features stay in the runtime, small results come out."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from pcan_model.structures import Detections, Slots
from pcan_ros.runtime.model_files import ModelError, ModelFiles

SMALL = ("boxes", "scores", "labels", "embeds")  # of the frame network, read on the host
FEATURES = ("roi_features", "mask_logits")  # handed from network to network
NEXT = ("mem_k_next", "mem_v_next", "valid_next")  # the frame memory with this frame
FRAME_INPUTS = ("image", "mem_k", "mem_v", "valid")
FRAME_OUTPUTS = (*SMALL, *FEATURES, "nms_ok", *NEXT)
INSTANCE_INPUTS = (*FEATURES, "bank", "slot", "fresh", "owner", "has")
INSTANCE_OUTPUTS = ("refined", "bank_next")


@dataclass(frozen=True, slots=True, eq=False)
class Memory:
    """The prototypes of one camera, as values of the runtime."""

    frames: tuple[Any, ...]  # keys (L, T, N, Dk), values (L, T, N, Dv), valid (T,)
    bank: Any  # (M, K, Dk) foreground and background prototypes of every track


@dataclass(frozen=True, slots=True, eq=False)
class Features:
    """What `segment` needs of one picture."""

    rois: tuple[Any, ...]  # RoI features (D, C, 14, 14), mask logits (D, 28, 28)
    frames: tuple[Any, ...]  # the frame memory with this picture in it
    count: int  # detections that are not padding


Pair = tuple[str, tuple[int, ...], str, tuple[int, ...]]  # where and what is expected, where and what is


class OnnxEngine:
    """Implements `pcan_model.engine.Engine`."""

    name = "onnxruntime"

    def __init__(self, model_dir: Path, threads: int | None = None) -> None:
        files = ModelFiles(model_dir)
        self.config = files.config
        self._frame = Network(files.graph("frame"), FRAME_INPUTS, FRAME_OUTPUTS, threads)
        self._instance = Network(files.graph("instance"), INSTANCE_INPUTS, INSTANCE_OUTPUTS, threads)
        self._check()
        self.nms_ok = True  # whether the last picture's non-maximum suppression had converged

    @property
    def device(self) -> str:
        """Return what the networks run on, for people."""
        return f"ONNX Runtime {ort.__version__}, {self._frame.provider}"

    def start(self) -> Memory:
        """Return the empty prototype memory of one camera."""
        return Memory(
            tuple(self._frame.zeros(name) for name in FRAME_INPUTS[1:]), self._instance.zeros("bank")
        )

    def detect(self, image: NDArray[np.uint8], memory: Memory) -> tuple[Detections, Features]:
        """Find the objects of one picture; see `pcan_model.engine`."""
        if image.shape != self._picture or image.dtype != np.uint8:
            raise ValueError(f"image: expected {self._picture} uint8, got {image.shape} {image.dtype}")
        out = self._frame.run(image[None], *memory.frames)
        boxes, scores, labels, embeds = (out[name].numpy() for name in SMALL)
        self.nms_ok = bool(out["nms_ok"].numpy())
        rows = np.flatnonzero(scores >= max(self.config.heads.score_threshold, TINY))
        found = Detections(boxes[rows], scores[rows], labels[rows], embeds[rows], rows)
        rois, frames = (tuple(out[name] for name in names) for names in (FEATURES, NEXT))
        return found, Features(rois, frames, len(rows))

    def segment(
        self, features: Features, slots: Slots, memory: Memory, *, remember: bool
    ) -> tuple[NDArray[np.float32], Memory]:
        """Refine the masks by their tracks' prototypes; see `pcan_model.engine`."""
        frames = features.frames if remember else memory.frames
        if features.count == 0:
            return features.rois[1].numpy(), Memory(frames, memory.bank)
        bookkeeping = (slots.slot, slots.fresh, slots.owner, slots.has)
        out = self._instance.run(*features.rois, memory.bank, *bookkeeping)
        return out["refined"].numpy(), Memory(frames, out["bank_next"])

    @cached_property
    def _picture(self) -> tuple[int, ...]:
        return self._frame.shape("image")[1:]

    def _check(self) -> None:
        """Raise ModelError where the two networks and the manifest do not fit each other."""
        size = self.config.input
        pairs: list[Pair] = [
            ("manifest.json: config.input", (size.height, size.width, 3), "frame.onnx: image", self._picture)
        ]
        for name in FEATURES:
            shapes = self._frame.shape(name), self._instance.shape(name)
            pairs.append((f"frame.onnx: {name}", shapes[0], f"instance.onnx: {name}", shapes[1]))
        for name, following in zip(FRAME_INPUTS[1:], NEXT, strict=True):
            shapes = self._frame.shape(name), self._frame.shape(following)
            pairs.append((f"frame.onnx: {name}", shapes[0], f"frame.onnx: {following}", shapes[1]))
        for where, expected, what, got in pairs:
            if expected != got:
                raise ModelError(
                    f"{what}: expected {expected} as in {where}, got {got}; export the model anew"
                )


TINY = np.finfo(np.float32).tiny  # a score of 0 is padding whatever the threshold


class Network:
    """One ONNX graph of static shapes; inputs and outputs are bound, not copied."""

    def __init__(
        self, path: Path, inputs: tuple[str, ...], outputs: tuple[str, ...], threads: int | None
    ) -> None:
        self._session = _session(path, threads)
        self._inputs, self._outputs = inputs, outputs
        self._shapes: dict[str, tuple[int, ...]] = {}
        self._dtypes: dict[str, Any] = {}
        for kind, wanted, nodes in (
            ("inputs", inputs, self._session.get_inputs()),
            ("outputs", outputs, self._session.get_outputs()),
        ):
            names = [node.name for node in nodes]
            if sorted(names) != sorted(wanted):
                raise ModelError(f"{path}: {kind}: expected {sorted(wanted)}, got {sorted(names)}")
            for node in nodes:
                self._shapes[node.name] = _static_shape(path, node)
                self._dtypes[node.name] = DTYPES[node.type]

    @property
    def provider(self) -> str:
        """Return the execution provider that runs the graph."""
        return str(self._session.get_providers()[0])

    def shape(self, name: str) -> tuple[int, ...]:
        """Return the shape of an input or output."""
        return self._shapes[name]

    def zeros(self, name: str) -> Any:
        """Return an input of zeros that lives in the runtime."""
        return ort.OrtValue.ortvalue_from_numpy(np.zeros(self._shapes[name], self._dtypes[name]))

    def run(self, *values: Any) -> dict[str, Any]:
        """Run the graph on arrays or runtime values, in the order of the inputs."""
        binding = self._session.io_binding()
        for name, value in zip(self._inputs, values, strict=True):
            if isinstance(value, np.ndarray):
                value = ort.OrtValue.ortvalue_from_numpy(np.ascontiguousarray(value, self._dtypes[name]))
            binding.bind_ortvalue_input(name, value)
        for name in self._outputs:
            binding.bind_output(name)
        self._session.run_with_iobinding(binding)
        return dict(zip(self._outputs, binding.get_outputs(), strict=True))


DTYPES = {
    "tensor(float)": np.float32,
    "tensor(int64)": np.int64,
    "tensor(uint8)": np.uint8,
    "tensor(bool)": np.bool_,
}


def _session(path: Path, threads: int | None) -> Any:
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads or 0
    options.log_severity_level = 3
    # A robot's cores are shared: threads that spin while they wait cost twice the CPU time, and on two
    # cores with other work also half as much time again per frame.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    try:
        return ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # the runtime raises a dozen unrelated types
        raise ModelError(f"{path}: ONNX Runtime cannot load it: {error}") from error


def _static_shape(path: Path, node: Any) -> tuple[int, ...]:
    if not all(isinstance(side, int) for side in node.shape):
        raise ModelError(f"{path}: {node.name}: expected a static shape, got {node.shape}")
    if node.type not in DTYPES:
        raise ModelError(f"{path}: {node.name}: expected one of {sorted(DTYPES)}, got {node.type}")
    return tuple(node.shape)
