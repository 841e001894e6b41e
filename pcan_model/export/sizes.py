"""Graphs of one network for several sizes of input, which share one file of weights."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from pcan_model.core.config import Config, ConfigError
from pcan_model.export.options import ExportOptions
from pcan_model.export.quantise import LAYERS
from pcan_model.factory import make_net
from pcan_model.inference.input_size import parse_size, size_text
from pcan_model.model import checkpoint
from pcan_model.model.pcan import PCAN
from pcan_model.released.network import ReleasedPCAN


def other_sizes(config: Config, options: ExportOptions) -> dict[str, Config]:
    """Return the configuration for each of `more_sizes` that is not the configuration's own.

    Raises ConfigError for a malformed size, or if the export cannot have several.
    """
    sizes = options.more_sizes
    if sizes and (options.precision in LAYERS or options.cameras > 1 or options.camera):
        raise ConfigError("--more-sizes: expected one camera, no --camera, and fp32 or fp16")
    if sizes and config.input.fit != "letterbox":
        raise ConfigError(f"--more-sizes: expected input.fit letterbox, got {config.input.fit}")
    found = {}
    for text in sizes:
        try:
            height, width = parse_size(text)
        except ValueError as error:
            raise ConfigError(f"--more-sizes: {error}") from error
        found[text] = replace(config, input=replace(config.input, height=height, width=width))
    found.pop(size_text(config.input.height, config.input.width), None)
    return found


def same_weights(config: Config, weights: Path) -> PCAN | ReleasedPCAN:
    """Return the network of a configuration with the weights of a checkpoint, for inference."""
    net = make_net(config).eval()
    checkpoint.load_weights(weights, net)
    return net
