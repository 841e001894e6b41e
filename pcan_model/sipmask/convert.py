"""Convert a public SipMask-VIS checkpoint to PCAN on SipMask."""

from __future__ import annotations

from pathlib import Path

import torch

from pcan_model.core.config import RESNETS, Config, ConfigError
from pcan_model.model import checkpoint
from pcan_model.model.checkpoint import CheckpointError, load_torch
from pcan_model.sipmask.names import load_public, public_names
from pcan_model.sipmask.pcan import SipMaskPCAN

COUNTER = "num_batches_tracked"  # of batch normalisation, which old checkpoints lack


def convert_sipmask_file(source: Path, out: Path, config: Config) -> int:
    """Write the weights of PCAN on a public SipMask-VIS; returns the number of parameters.

    Both attentions have their start, which changes nothing. Raises ConfigError for a backbone that the public
    code does not have, and CheckpointError for the first tensor that does not fit.
    """
    if config.backbone.kind not in RESNETS:
        raise ConfigError(f"{config.name}: backbone.kind: expected a ResNet, got {config.backbone.kind!r}")
    torch.manual_seed(0)
    net = SipMaskPCAN(config)
    state = load_torch(source)
    state = state.get("state_dict", state) if isinstance(state, dict) else state
    if not isinstance(state, dict):
        raise CheckpointError(f"{source}: expected a state_dict, got {type(state).__name__}")
    own = net.detector.state_dict()
    counters = {public: own[ours] for public, ours in public_names(net.detector).items() if COUNTER in public}
    given = {name.removeprefix("module."): tensor for name, tensor in state.items()}
    try:
        load_public(net.detector, {**counters, **given})
    except ValueError as error:
        raise CheckpointError(f"{source}: {error}") from error
    checkpoint.save(out, net, config, {"source": source.name})
    return sum(parameter.numel() for parameter in net.parameters())
