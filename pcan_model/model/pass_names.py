"""The names of the passes' inputs and outputs, as they are in every exported graph; no torch."""

from __future__ import annotations

from collections.abc import Iterable

GRAPHS = ("frame", "instance")  # the two passes
DETECTIONS = ("boxes", "scores", "labels", "embeds")  # outputs of the frame pass that the association reads
SLOTS = ("slot", "fresh", "owner", "has")  # inputs of the instance pass: fields of structures.Slots
REMEMBER = "remember"  # input of a frame pass for several cameras
PACKED_PYRAMID = "sheet"  # what sparse passes hand on: they make the masks of tracked detections only
NMS_OK = "nms_ok"  # output of the frame pass
REFINED = "refined"  # output of the instance pass: mask logits


def following(names: Iterable[str]) -> tuple[str, ...]:
    """Return the names of the outputs that are the next frame's inputs of these names."""
    return tuple(f"{name}_next" for name in names)
