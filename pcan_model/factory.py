"""The two variants of PCAN and the ways to train them, chosen by the configuration once and nowhere else."""

from __future__ import annotations

from pathlib import Path

from torch import nn

from pcan_model.core.config import Config, ConfigError
from pcan_model.core.engine import Engine
from pcan_model.inference.torch_engine import TorchEngine
from pcan_model.model import pass_signature as paper
from pcan_model.model.detector import Detector
from pcan_model.model.pass_signature import MakeSignature
from pcan_model.model.pcan import PCAN
from pcan_model.one_stage.network import OneStagePCAN, make_pcan
from pcan_model.released import static as released
from pcan_model.released.engine import ReleasedEngine
from pcan_model.released.network import ReleasedPCAN
from pcan_model.released.stages import STAGES as RELEASED
from pcan_model.training.one_stage.stages import STAGES as ONE_STAGE
from pcan_model.training.pretrained import load_pretrained
from pcan_model.training.stages import STAGES as PAPER

SIGNATURES: dict[str, dict[str, MakeSignature]] = {  # exported, by variant and by how regions are read
    "paper": {"roialign": paper.sparse, "gridsample": paper.grid_sample},
    "released": {"roialign": released.static, "gridsample": released.grid_sample},
}
REFERENCES: dict[str, dict[str, MakeSignature]] = {  # what agrees with these, and reads by the operator
    "paper": {"roialign": paper.sparse, "gridsample": paper.static},
    "released": {"roialign": released.static, "gridsample": released.static},
}


def make_net(config: Config) -> PCAN | ReleasedPCAN:
    """Return the network with random weights."""
    return ReleasedPCAN(config) if config.variant == "released" else make_pcan(config)


def make_training(config: Config, backbone: Path | None = None) -> tuple[Detector, nn.Module]:
    """Return the network as a training begins, and the pass that turns pairs into losses.

    backbone  file of the backbone's weights, see `training.pretrained.initialise`
    """
    net = load_pretrained(make_net(config), backbone)
    return net, make_pass(net)


def make_engine(net: PCAN | ReleasedPCAN) -> Engine:
    """Return what runs a network by torch."""
    return ReleasedEngine(net.config, net) if isinstance(net, ReleasedPCAN) else TorchEngine(net.config, net)


def load_engine(config: Config, weights: Path) -> Engine:
    """Return what runs the trained weights of a configuration by torch."""
    return (ReleasedEngine if config.variant == "released" else TorchEngine)(config, weights)


def make_pass(net: Detector) -> nn.Module:
    """Return what turns pairs into losses, and freeze what `train.stage` leaves alone.

    Raises ConfigError for a stage that the network's variant does not have.
    """
    config, stage = net.config, net.config.train.stage
    if isinstance(net, ReleasedPCAN) and stage in RELEASED:
        return RELEASED[stage](net)
    if isinstance(net, OneStagePCAN) and stage in ONE_STAGE:
        return ONE_STAGE[stage](net)
    if isinstance(net, PCAN) and not isinstance(net, OneStagePCAN) and stage in PAPER:
        return PAPER[stage](net)
    known = (
        RELEASED if config.variant == "released" else PAPER if config.detector == "mask_rcnn" else ONE_STAGE
    )
    of = config.variant if config.detector == "mask_rcnn" else f"{config.variant} with {config.detector}"
    raise ConfigError(
        f"{config.name}: train.stage: expected {' or '.join(known)} for variant {of}, got {stage!r}"
    )
