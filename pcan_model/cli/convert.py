"""`pcan-convert`: the checkpoint that PCAN's authors publish, as ours."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from pcan_model.core.config import Config, ConfigError, load_config
from pcan_model.model import checkpoint
from pcan_model.model.checkpoint import CheckpointError
from pcan_model.released.checkpoint_names import released_name
from pcan_model.released.network import ReleasedPCAN

PRESET = "pcan_released_bdd100k"
PROTOTYPES = ("mu0", "mu1", "mu2", "mu3", "mu4", "roi_head.refine_head.pos_mu", "roi_head.refine_head.neg_mu")
COUNTER = "num_batches_tracked"

EXPLANATION = """\
Turn the checkpoint of the released PCAN (BDD100K, ResNet-50; its authors publish it in the model
zoo of github.com/SysCV/pcan) into weights of the preset pcan_released_bdd100k.

  pcan-convert pcan_pretrained_model.pth --out weights.safetensors
  pcan-evaluate pcan_released_bdd100k --weights weights.safetensors --data bdd100k/val
"""


def convert(state: dict[str, Tensor], config: Config, where: str) -> ReleasedPCAN:
    """Build the released form from a state of the released implementation.

    state    its tensors by its names, perhaps with `module.` before each
    where    names the state in errors
    Raises CheckpointError naming the first tensor that is missing, unknown, of another shape or not finite.
    """
    found = {name.removeprefix("module."): tensor for name, tensor in state.items()}
    net = ReleasedPCAN(config)
    _check(found, expected_shapes(net), where)
    ours = {name: _ours(found, released_name(name)) for name in net.state_dict()}
    net.load_state_dict(ours)
    return net.eval()


def expected_shapes(net: ReleasedPCAN) -> dict[str, tuple[int, ...]]:
    """Return the shape of every tensor of the released checkpoint by its name: 397 for the preset."""
    shapes = {released_name(name): tuple(tensor.shape) for name, tensor in net.state_dict().items()}
    frame, channels = net.config.frame_attention, net.config.backbone.channels
    shapes |= {name: (frame.prototypes, channels) for name in PROTOTYPES if name not in shapes}
    turned = {name: (1, *reversed(shapes[name])) for name in PROTOTYPES}  # they keep (1, C, K)
    return shapes | turned


def _check(found: dict[str, Tensor], expected: dict[str, tuple[int, ...]], where: str) -> None:
    for name in sorted(found.keys() | expected.keys()):
        if name not in found:
            raise CheckpointError(f"{where}: {name}: missing")
        if name not in expected:
            raise CheckpointError(f"{where}: {name}: expected no such key in the released PCAN")
        shape = tuple(found[name].shape)
        if shape != expected[name]:
            raise CheckpointError(f"{where}: {name}: expected {expected[name]}, got {shape}")
        if not torch.isfinite(found[name]).all():
            raise CheckpointError(f"{where}: {name}: expected finite numbers, got infinity or NaN")


def _ours(found: dict[str, Tensor], name: str) -> Tensor:
    return found[name][0].T.contiguous() if name in PROTOTYPES else found[name]


def read_state(path: Path) -> dict[str, Tensor]:
    """Read the tensors of a torch file: a state, or a dict that has one as `state_dict`."""
    value: Any = checkpoint.load_torch(path)
    state = value.get("state_dict", value) if isinstance(value, dict) else value
    if not isinstance(state, dict) or not state:
        raise CheckpointError(f"{path}: expected a state_dict, got {type(state).__name__}")
    for name, tensor in state.items():
        if not isinstance(tensor, Tensor):
            raise CheckpointError(f"{path}: {name}: expected a tensor, got {type(tensor).__name__}")
    return state


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns 0, or 2 after an error that the user can mend."""
    options = _parser().parse_args(arguments)
    try:
        config = load_config(options.config)
        net = convert(read_state(options.checkpoint), config, str(options.checkpoint))
        checkpoint.save(options.out, net, config, {"source": options.checkpoint.name})
    except (CheckpointError, ConfigError, OSError) as error:
        print(f"pcan-convert: {error}", file=sys.stderr)
        return 2
    count = sum(parameter.numel() for parameter in net.parameters())
    print(f"written: {options.out} ({count:,} parameters)")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        "pcan-convert", description=EXPLANATION, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("checkpoint", type=Path, help="the released .pth file")
    parser.add_argument("--out", type=Path, default=Path("weights.safetensors"), help="file to write")
    parser.add_argument("--config", default=PRESET, help=f"preset or YAML file (default: {PRESET})")
    return parser


if __name__ == "__main__":
    torch.set_num_threads(1)
    sys.exit(main())
