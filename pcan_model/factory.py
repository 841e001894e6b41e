"""Networks, engines, training stages and exported passes by configuration."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from torch import nn

from pcan_model.core.config import Config, ConfigError
from pcan_model.core.engine import Engine
from pcan_model.inference.torch_engine import TorchEngine
from pcan_model.model import checkpoint
from pcan_model.model import pass_signature as paper
from pcan_model.model.detector import Detector
from pcan_model.model.pass_signature import MakeSignature
from pcan_model.model.pcan import PCAN
from pcan_model.one_stage.pcan import YoloxPCAN
from pcan_model.released import static as released
from pcan_model.released.engine import ReleasedEngine
from pcan_model.released.network import ReleasedPCAN
from pcan_model.released.stages import STAGES as RELEASED
from pcan_model.sipmask.pcan import SipMaskPCAN
from pcan_model.sipmask.stages import STAGES as SIPMASK
from pcan_model.training.one_stage.stages import STAGES as YOLOX
from pcan_model.training.pretrained import load_pretrained
from pcan_model.training.stages import STAGES as PAPER

NETS: dict[str, Callable[[Config], PCAN | ReleasedPCAN]] = {  # by form: the detector, or the released variant
    "mask_rcnn": PCAN,
    "yolox": YoloxPCAN,
    "sipmask": SipMaskPCAN,
    "released": ReleasedPCAN,
}
STAGES: dict[str, dict[str, Any]] = {  # of the training, by form
    "mask_rcnn": PAPER,
    "yolox": YOLOX,
    "sipmask": SIPMASK,
    "released": RELEASED,
}
SIGNATURES: dict[str, dict[str, MakeSignature]] = {  # exported, by variant and by how regions are read
    "paper": {"roialign": paper.sparse, "gridsample": paper.grid_sample},
    "released": {"roialign": released.static, "gridsample": released.grid_sample},
}
REFERENCES: dict[str, dict[str, MakeSignature]] = {  # what agrees with these, and reads by the operator
    "paper": {"roialign": paper.sparse, "gridsample": paper.static},
    "released": {"roialign": released.static, "gridsample": released.static},
}


def form_of(config: Config) -> str:
    """Return the form of a configuration: its detector, or released."""
    return "released" if config.variant == "released" else config.detector


def make_net(config: Config) -> PCAN | ReleasedPCAN:
    """Return the network with random weights."""
    return NETS[form_of(config)](config)


def make_training(config: Config, backbone: Path | None = None) -> tuple[Detector, nn.Module]:
    """Return the initial network and the pass that computes its losses.

    backbone  file of the backbone's weights, see `training.pretrained.initialise`
    """
    net = load_pretrained(make_net(config), backbone)
    return net, make_pass(net)


def make_engine(net: PCAN | ReleasedPCAN) -> Engine:
    """Return the torch engine of a network."""
    return ReleasedEngine(net.config, net) if isinstance(net, ReleasedPCAN) else TorchEngine(net)


def load_net(config: Config, weights: Path) -> PCAN | ReleasedPCAN:
    """Return the network with trained weights."""
    net = make_net(config)
    checkpoint.load_weights(weights, net)
    return net


def load_engine(config: Config, weights: Path) -> Engine:
    """Return the torch engine of trained weights."""
    return make_engine(load_net(config, weights))


def make_pass(net: Detector) -> nn.Module:
    """Return the pass that computes losses, and freeze what `train.stage` does not train.

    Raises ConfigError for a stage that the network's variant does not have.
    """
    config, form = net.config, form_of(net.config)
    stages, stage = STAGES[form], config.train.stage
    if stage not in stages:
        what = "variant released" if form == "released" else f"detector {form}"
        expected = f"{' or '.join(stages)} for {what}"
        raise ConfigError(f"{config.name}: train.stage: expected {expected}, got {stage!r}")
    made: nn.Module = stages[stage](net)
    return made
