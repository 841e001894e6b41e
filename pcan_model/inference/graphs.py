"""The two graphs of an exported model: signatures, compatibility checks, and conversion of outputs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pcan_model.core.config import Config
from pcan_model.core.device_image import DeviceImage
from pcan_model.core.structures import Detections
from pcan_model.inference.errors import ModelError, WrongCamera
from pcan_model.inference.manifest import BATCH, MANIFEST, ModelFiles
from pcan_model.model.pass_names import DETECTIONS, NMS_OK, REFINED, REMEMBER, SLOTS, following

ON_HOST = (*DETECTIONS, NMS_OK, REFINED)  # outputs copied to the host; all others stay on the device
TINY = np.finfo(np.float32).tiny  # a score of 0 is padding, whatever the threshold

Shape = tuple[int, ...]
ShapeOf = Callable[[str], Shape]
Pair = tuple[str, Shape, str, Shape]  # name and shape expected, name and shape found


@dataclass(frozen=True, slots=True)
class GraphSignature:
    """The names of one graph's inputs and outputs."""

    inputs: tuple[str, ...]
    outputs: tuple[str, ...]

    @property
    def state(self) -> dict[str, str]:
        """Return the state inputs, each with the output that holds its next value."""
        pairs = zip(self.inputs, following(self.inputs), strict=True)
        return {name: new for name, new in pairs if new in self.outputs}

    def check(self, path: object, inputs: list[str], outputs: list[str]) -> None:
        """Raise ModelError unless a graph has exactly these names."""
        for kind, wanted, got in (("inputs", self.inputs, inputs), ("outputs", self.outputs, outputs)):
            if sorted(got) != sorted(wanted):
                raise ModelError(f"{path}: {kind}: expected {sorted(wanted)}, got {sorted(got)}")


def signature_of(files: ModelFiles, graph: str) -> GraphSignature:
    """Return the signature of a graph from the manifest, for one camera or (`batch_…`) for several."""
    name, extra = graph.removeprefix(BATCH), (REMEMBER,) if graph == f"{BATCH}frame" else ()
    manifest = files.manifest
    return GraphSignature((*manifest.inputs[name], *extra), manifest.outputs[name])


def features_of(files: ModelFiles) -> tuple[str, ...]:
    """Return the names of the tensors passed from the frame graph to the instance graph."""
    signature = signature_of(files, "instance")
    return tuple(name for name in signature.inputs if name not in (*signature.state, *SLOTS))


def check_fit(files: ModelFiles, frame: ShapeOf, instance: ShapeOf, cameras: int = 1) -> None:
    """Raise ModelError unless the two graphs and the manifest are compatible."""
    size = (cameras, *files.manifest.image_shape)
    pairs: list[Pair] = [(MANIFEST, size, "frame.onnx: image", frame("image"))]
    for name in features_of(files):
        pairs.append((f"frame.onnx: {name}", frame(name), f"instance.onnx: {name}", instance(name)))
    for graph, shape in (("frame", frame), ("instance", instance)):
        for name, new in signature_of(files, graph).state.items():
            pairs.append((f"{graph}.onnx: {name}", shape(name), f"{graph}.onnx: {new}", shape(new)))
    found, rows = (cameras * files.config.heads.detections,), (cameras * files.config.tracker.capacity,)
    pairs.append((f"{MANIFEST}: heads.detections", found, "frame.onnx: scores", frame("scores")))
    pairs.append((f"{MANIFEST}: tracker.capacity", rows, "instance.onnx: owner", instance("owner")))
    for where, expected, what, got in pairs:
        if expected != got:
            raise ModelError(f"{what}: expected {expected} as in {where}, got {got}; export the model anew")


def check_image(image: NDArray[Any] | DeviceImage, files: ModelFiles) -> None:
    """Raise ValueError for an invalid image, or WrongCamera for a camera image of the wrong size."""
    wanted = files.manifest.image_shape
    if image.shape != wanted and (remedy := _remedy(files)):
        expected, got = (" x ".join(map(str, shape[:2])) for shape in (wanted, image.shape))
        raise WrongCamera(
            f"image: expected {expected} as the model was exported for, got {got}: "
            f"pcan-export {remedy.format(got.replace(' x ', ' '))}"
        )
    if image.shape != wanted or image.dtype != np.uint8:
        raise ValueError(f"image: expected {wanted} uint8, got {image.shape} {image.dtype}")


def _remedy(files: ModelFiles) -> str:
    """Return the export options for another image size {}, if the camera determines the size."""
    if files.manifest.camera_format is not None:
        return "--camera {}, or without --camera for any size"
    return "--size {}" if files.config.input.fit == "resize" else ""


def detections(out: Mapping[str, NDArray[Any]], config: Config) -> Detections:
    """Return the detections without the padding of the outputs `DETECTIONS`.

    Raises ArithmeticError for boxes or scores that are not finite.
    """
    for name in ("boxes", "scores"):
        if not np.isfinite(out[name]).all():
            raise ArithmeticError(f"network: {name}: expected finite numbers, got {out[name].ravel()[:4]} …")
    rows = np.flatnonzero(out["scores"] >= max(config.heads.score_threshold, TINY))
    boxes, scores, labels, embeds = (out[name][rows] for name in DETECTIONS)
    return Detections(single(boxes), single(scores), labels, single(embeds), rows)


def masks(logits: NDArray[Any], rows: int) -> NDArray[np.float32]:
    """Return the output `refined` as float32; raises ArithmeticError for NaN in the first `rows` rows.

    Infinite logits are valid, but NaN would yield an object without pixels.
    """
    if np.isnan(logits[:rows]).any():
        raise ArithmeticError("network: refined: expected numbers, got nan")
    return single(logits)


def single(values: NDArray[Any]) -> NDArray[np.float32]:
    """Return values as float32, whatever the precision of the graph's outputs."""
    return np.asarray(values, np.float32)
