"""Weights of a network for other classes: the rows of its class layers are reordered or begun anew."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from pcan_model.core.config import ConfigError
from pcan_model.model.detector import Detector

ASLEEP = -20.0  # added to the bias of a new class: it never wins before it is trained


def renew_classes(
    net: Detector,
    state: Mapping[str, Tensor],
    known: Sequence[str],
    like: Mapping[str, str],
    *,
    shift: float = ASLEEP,
) -> None:
    """Load the weights of a network with other classes.

    net    with the new classes; filled in place
    state  weights of a network that is the same but for its classes
    known  its class names, in order
    like   known class that a new one starts as a copy of; else it starts as the mean of all
    shift  added to the bias of new classes

    Raises ConfigError for a network whose classes are not only in its class layers.
    """
    if not net.config.heads.class_agnostic:
        raise ConfigError(f"{net.config.name}: heads.class_agnostic: expected true for other classes")
    names, layers = net.config.classes, net.class_layers()
    if any(other not in known for other in like.values()):
        raise ConfigError(f"classes: expected copies of {', '.join(known)}; got {sorted(set(like.values()))}")
    own = {}
    for name, tensor in state.items():
        layer, _, kind = name.rpartition(".")
        own[name] = tensor
        if layer in layers:
            rows = [_row(tensor, each, known, like, shift * (kind == "bias")) for each in names]
            own[name] = torch.stack([*rows, *tensor[len(known) :]])  # behind the classes: background
    missing, unexpected = net.load_state_dict(own, strict=False)
    wrong = [*unexpected, *(name for name in missing if not name.endswith("num_batches_tracked"))]
    if wrong:
        raise ConfigError(f"{net.config.name}: {wrong[0]}: expected the same network but for its classes")


def _row(tensor: Tensor, name: str, known: Sequence[str], like: Mapping[str, str], shift: float) -> Tensor:
    source = like.get(name, name)
    row = tensor[known.index(source)] if source in known else tensor[: len(known)].mean(0)
    return row if name in known else row + shift
