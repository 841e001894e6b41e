"""Weights and random inputs that follow from names alone, as the recorded runs had them (NumPy only).

Every array has a generator of its own, seeded with the crc32 of its public name; the factors keep a random
network's features and scores apart. ../shared/parity/sipmask/README.md gives the rule.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Mapping
from functools import cache

import numpy as np
import torch
from numpy.typing import NDArray

from pcan_model.sipmask.names import load_public, public_names
from pcan_model.sipmask.network import SipMask
from pcan_model.sipmask.parity.public import PUBLIC

KINDS = ("gen", "init", "open")  # far apart | a fresh training's | that with larger boxes
FACTORS = (
    (r"backbone\.bn1\.weight", 0.02),
    (r"backbone\..*\.bn3\.weight", 0.35),
    (r"bbox_head\.feat_align\.conv_offset\..*", 0.4),
    (r"bbox_head\.fcos_cls\..*", 2.0),
    (r"bbox_head\.fcos_reg\..*", 0.8),
    (r"bbox_head\.fcos_centerness\..*", 0.7),
    (r"bbox_head\.sip_cof\..*", 0.5),
    (r"bbox_head\.sipmask_track\..*", 0.1),
)
CLASS_BIAS = (
    -4.2, -7.0, -7.7, -7.2, -6.5, -7.7, -7.3, -4.8, -6.9, -5.9,
    -4.3, -5.2, -4.9, -4.3, -5.5, -5.6, -8.1, -5.3, -8.1, -4.2,
    -4.6, -6.1, -7.2, -8.5, -7.4, -8.5, -7.5, -7.5, -5.4, -6.6,
    -8.4, -4.6, -3.9, -5.9, -7.0, -6.8, -6.6, -7.2, -9.8, -4.9,
)  # fmt: skip
SHIFTS: dict[str, object] = {
    "bbox_head.fcos_cls.bias": CLASS_BIAS,
    "bbox_head.fcos_reg.bias": 1.6,
    "bbox_head.fcos_centerness.bias": 0.8,
}
OPEN = 3.0  # regression bias of 'open'

Floats = NDArray[np.float64]


def generator(name: str) -> np.random.RandomState:
    """Return the random numbers of a name."""
    return np.random.RandomState(zlib.crc32(name.encode()))


def random_maps(name: str, shape: tuple[int, ...], scale: float = 1.0) -> NDArray[np.float32]:
    """Return the random input of a name."""
    return (scale * generator(name).standard_normal(shape)).astype(np.float32)


def generated(shapes: Mapping[str, tuple[int, ...]], kind: str) -> dict[str, NDArray[np.float32 | np.int64]]:
    """Return an array for every public name."""
    norms = {name.removesuffix(".running_mean") for name in shapes if name.endswith(".running_mean")}
    norms |= {name.rpartition(".")[0] for name in shapes if ".gn." in name or "feat_align.norm" in name}
    made: dict[str, NDArray[np.float32 | np.int64]] = {}
    for name, shape in shapes.items():
        leaf = name.rpartition(".")[2]
        if leaf == "num_batches_tracked":
            made[name] = np.zeros(shape, np.int64)
        elif kind != "gen" and name.startswith("bbox_head."):
            made[name] = initial(name, shape, kind, norms).astype(np.float32)
        else:
            made[name] = spread(name, shape, norms).astype(np.float32)
    return made


def spread(name: str, shape: tuple[int, ...], norms: set[str]) -> Floats:
    """Return weights that keep features apart."""
    layer, _, leaf = name.rpartition(".")
    noise = np.asarray(generator(name).standard_normal(shape))
    factor = next((f for pattern, f in FACTORS if re.fullmatch(pattern, name)), 1.0)
    if leaf == "running_var":
        return np.asarray(1 + 0.1 * np.abs(noise))
    if leaf == "scale" or (leaf == "weight" and layer in norms):
        return np.asarray(factor * (1 + 0.1 * noise))
    if leaf == "running_mean" or layer in norms:
        return np.asarray(0.1 * noise)
    if leaf == "bias":
        return np.asarray(0.01 * noise + np.asarray(SHIFTS.get(name, 0.0)))
    return np.asarray(factor * noise * np.sqrt(2 / np.prod(shape[1:])))


def initial(name: str, shape: tuple[int, ...], kind: str, norms: set[str]) -> Floats:
    """Return weights of the head such as a training starts from."""
    layer, _, leaf = name.rpartition(".")
    if leaf == "scale" or (leaf == "weight" and layer in norms):
        return np.ones(shape)
    if "conv_offset" in name or (leaf == "bias" and layer in norms):
        return np.zeros(shape)
    if "sipmask_track" in name:
        return generator(name).uniform(-1, 1, shape) / np.sqrt(3 * 256)
    if leaf == "weight":
        return np.asarray(0.01 * generator(name).standard_normal(shape))
    rare = -np.log(99.0) if layer.endswith("fcos_cls") else 0.0
    return np.full(shape, rare + (OPEN if kind == "open" and layer.endswith("fcos_reg") else 0.0))


@cache
def generated_network(kind: str = "gen") -> SipMask:
    """Return the whole network with generated weights, shared by all who ask: leave it as it is."""
    with torch.inference_mode(False):
        return _generate(kind)


def _generate(kind: str) -> SipMask:
    net = SipMask(PUBLIC)
    shapes = {public: tuple(net.state_dict()[own].shape) for public, own in public_names(net).items()}
    load_public(net, {name: torch.from_numpy(array) for name, array in generated(shapes, kind).items()})
    return net.eval()
