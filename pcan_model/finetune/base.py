"""The model to start from, and its weights for other classes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from safetensors.torch import load_file

from pcan_model.core.config import Config, ConfigError
from pcan_model.factory import make_net
from pcan_model.inference.manifest import ModelFiles
from pcan_model.inference.model_names import find_model
from pcan_model.model import checkpoint
from pcan_model.model.class_rows import ASLEEP, renew_classes
from pcan_model.model.pcan import PCAN
from pcan_model.released.network import ReleasedPCAN

FAINT = -1.0  # bias of a new class of the two-stage detector before training, whose classes compete


@dataclass(frozen=True, slots=True)
class Base:
    """A trained model."""

    name: str  # as given
    weights: Path
    config: Config
    sizes: tuple[str, ...] = ()  # further input sizes of its graphs


def find_base(name: str) -> Base:
    """Return a model by a shipped name, its folder, a name on the hub, or a checkpoint."""
    if name.endswith(".safetensors"):
        config, _ = checkpoint.load_header(Path(name))
        return Base(name, Path(name), config)
    files = ModelFiles(find_model(name))  # its configuration wins over the checkpoint's, which may be older
    return Base(name, files.weights, files.config, files.manifest.sizes)


def read_classes(texts: Sequence[str], known: Sequence[str]) -> tuple[tuple[str, ...], dict[str, str]]:
    """Read NAME or NEW=OLD; returns the class names, and the known class that each NEW starts as.

    Raises ConfigError for a name given twice, or an unknown OLD.
    """
    pairs = [text.partition("=") for text in texts]
    names = tuple(name for name, _, _ in pairs) or tuple(known)
    like = {name: old for name, equals, old in pairs if equals}
    if len(set(names)) < len(names) or "" in names:
        raise ConfigError(f"--classes: expected different names, got {' '.join(texts)}")
    for name, old in like.items():
        if name in known or old not in known:
            expected = f"NEW=OLD with a new name and one of {', '.join(known)}"
            raise ConfigError(f"--classes: expected {expected}; got {name}={old}")
    return names, like


def with_classes(
    base: Base, names: Sequence[str], like: Mapping[str, str], *, awake: bool = False
) -> PCAN | ReleasedPCAN:
    """Return the network of a model with other classes; new ones are never found before training.

    awake  let new classes of the two-stage detector begin just below the class that they are copies of;
           those of the one-stage detector are woken by its stages
    """
    net = make_net(replace(base.config, classes=tuple(names)))
    if tuple(names) == base.config.classes:
        checkpoint.load_weights(base.weights, net)
        return net
    shift = FAINT if awake and base.config.detector == "mask_rcnn" else ASLEEP
    renew_classes(net, load_file(base.weights), base.config.classes, like, shift=shift)
    return net
