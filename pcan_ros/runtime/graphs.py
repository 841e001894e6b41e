"""The two networks of an exported model: what goes in, what comes out, and whether they fit together."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pcan_model.config import Config
from pcan_model.structures import Detections
from pcan_ros.runtime.engine_facts import WrongCamera
from pcan_ros.runtime.model_files import ModelError, ModelFiles

SMALL = ("boxes", "scores", "labels", "embeds")  # of the frame network, read on the host
FEATURES = ("roi_features", "mask_logits")  # handed from network to network
LEAN = ("sheet", "boxes", "labels")  # the same where masks are made of what is tracked only
NEXT = ("mem_k_next", "mem_v_next", "valid_next")  # the frame memory with this frame
MEMORY = ("mem_k", "mem_v", "valid")  # the frame memory
SLOTS = ("slot", "fresh", "owner", "has")  # fields of structures.Slots
FRAME_INPUTS = ("image", *MEMORY)
INSTANCE_OUTPUTS = ("refined", "bank_next")
RESIDENT = (*FEATURES, "sheet", *NEXT, "bank_next")  # outputs that never leave the device
TINY = np.finfo(np.float32).tiny  # a score of 0 is padding whatever the threshold

Shape = tuple[int, ...]
ShapeOf = Callable[[str], Shape]
Pair = tuple[str, Shape, str, Shape]  # where and what is expected, where and what is


@dataclass(frozen=True, slots=True)
class Ports:
    """The names of one network's inputs and outputs."""

    inputs: tuple[str, ...]
    outputs: tuple[str, ...]

    def check(self, path: object, inputs: list[str], outputs: list[str]) -> None:
        """Raise ModelError unless a graph has these very names."""
        for kind, wanted, got in (("inputs", self.inputs, inputs), ("outputs", self.outputs, outputs)):
            if sorted(got) != sorted(wanted):
                raise ModelError(f"{path}: {kind}: expected {sorted(wanted)}, got {sorted(got)}")


def ports(features: tuple[str, ...] = FEATURES) -> dict[str, Ports]:
    """Return the ports of both networks, between which these features pass."""
    new = tuple(name for name in features if name not in SMALL)
    return {
        "frame": Ports(FRAME_INPUTS, (*SMALL, *new, "nms_ok", *NEXT)),
        "instance": Ports((*features, "bank", *SLOTS), INSTANCE_OUTPUTS),
    }


PORTS = ports()  # of a model with static shapes throughout
BATCH_PORTS = {  # of the networks for several cameras at once
    "batch_frame": Ports((*FRAME_INPUTS, "remember"), PORTS["frame"].outputs),
    "batch_instance": PORTS["instance"],
}


def features_of(files: ModelFiles) -> tuple[str, ...]:
    """Return what the frame network of a model hands to its instance network: FEATURES or LEAN."""
    inputs = files.manifest.get("inputs", {}).get("instance", FEATURES)
    return LEAN if LEAN[0] in inputs else FEATURES


def check_fit(files: ModelFiles, frame: ShapeOf, instance: ShapeOf, cameras: int = 1) -> None:
    """Raise ModelError where the two networks and the manifest do not fit each other."""
    size = (cameras, *files.picture)
    pairs: list[Pair] = [("manifest.json", size, "frame.onnx: image", frame("image"))]
    for name in features_of(files):
        pairs.append((f"frame.onnx: {name}", frame(name), f"instance.onnx: {name}", instance(name)))
    for name, following in zip(MEMORY, NEXT, strict=True):
        pairs.append((f"frame.onnx: {name}", frame(name), f"frame.onnx: {following}", frame(following)))
    pairs.append(("instance.onnx: bank", instance("bank"), "instance.onnx: bank_next", instance("bank_next")))
    found, rows = (cameras * files.config.heads.detections,), (cameras * files.config.tracker.capacity,)
    pairs.append(("manifest.json: heads.detections", found, "frame.onnx: scores", frame("scores")))
    pairs.append(("manifest.json: tracker.capacity", rows, "instance.onnx: owner", instance("owner")))
    for where, expected, what, got in pairs:
        if expected != got:
            raise ModelError(f"{what}: expected {expected} as in {where}, got {got}; export the model anew")


def check_picture(image: NDArray[Any], files: ModelFiles) -> None:
    """Raise ValueError for what the frame network does not take, WrongCamera for another camera's picture."""
    wanted = files.picture
    if files.camera is not None and image.shape != wanted:
        expected, got = (" x ".join(map(str, shape[:2])) for shape in (wanted, image.shape))
        raise WrongCamera(
            f"image: expected {expected} as the model was exported for, got {got}: "
            f"pcan-export --camera {got.replace(' x ', ' ')}, or without --camera for any size"
        )
    if image.shape != wanted or image.dtype != np.uint8:
        raise ValueError(f"image: expected {wanted} uint8, got {image.shape} {image.dtype}")


def detections(out: Mapping[str, NDArray[Any]], config: Config) -> Detections:
    """Return the rows of the padded outputs `SMALL` that hold an object.

    Raises ArithmeticError where the network computed no numbers: no result is better than a wrong one.
    """
    for name in ("boxes", "scores"):
        if not np.isfinite(out[name]).all():
            raise ArithmeticError(f"network: {name}: expected finite numbers, got {out[name].ravel()[:4]} …")
    rows = np.flatnonzero(out["scores"] >= max(config.heads.score_threshold, TINY))
    boxes, scores, labels, embeds = (out[name][rows] for name in SMALL)
    return Detections(single(boxes), single(scores), labels, single(embeds), rows)


def masks(logits: NDArray[Any], rows: int) -> NDArray[np.float32]:
    """Return the output `refined` as float32; raises ArithmeticError where one of its first rows is none.

    Infinite logits are only sure ones; but what is no number would be drawn as an object without a pixel.
    """
    if np.isnan(logits[:rows]).any():
        raise ArithmeticError("network: refined: expected numbers, got nan")
    return single(logits)


def single(values: NDArray[Any]) -> NDArray[np.float32]:
    """Return values as float32, whatever precision a graph puts out."""
    return np.asarray(values, np.float32)
