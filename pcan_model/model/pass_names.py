"""Names of the passes' inputs and outputs in every exported graph; no torch."""

from __future__ import annotations

from collections.abc import Iterable

GRAPHS = ("frame", "instance")  # the two passes
DETECTIONS = ("boxes", "scores", "labels", "embeds")  # outputs of the frame pass, for association
SLOTS = ("slot", "fresh", "owner", "has")  # inputs of the instance pass: fields of structures.Slots
REMEMBER = "remember"  # input of a frame pass for several cameras
REGION_LEVELS = ("level0", "level1", "level2", "level3")  # what sparse passes pool regions from, finest first
NMS_OK = "nms_ok"  # output of the frame pass
REFINED = "refined"  # output of the instance pass: mask logits


def following(names: Iterable[str]) -> tuple[str, ...]:
    """Return the names of the outputs that feed these inputs of the next frame."""
    return tuple(f"{name}_next" for name in names)
