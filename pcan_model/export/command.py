"""`pcan-export`: a trained network as two ONNX graphs of static shape, checked against torch."""

from __future__ import annotations

import argparse
from pathlib import Path

from pcan_model import checkpoint
from pcan_model.config import ConfigError, load_config
from pcan_model.export.agreement import agreement
from pcan_model.export.model import PRECISIONS, ROI, export
from pcan_model.network import PCAN

EXPLANATION = """\
Turn a checkpoint into the model that the node runs: frame.onnx, instance.onnx, weights.safetensors
(16 bits, the graphs point into it) and manifest.json; then compare it with torch.

  pcan-export --weights runs/street/weights.safetensors --out models/pcan_street_tiny
"""


def main(argv: list[str] | None = None) -> int:
    """Run `pcan-export`; errors of the user's making are one line."""
    p = argparse.ArgumentParser(
        prog="pcan-export", description=EXPLANATION, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    p.add_argument("config", nargs="?", help="preset or YAML file (default: the one in the checkpoint)")
    p.add_argument("--weights", type=Path, help="checkpoint of pcan-train; without it the weights are random")
    p.add_argument("--out", type=Path, required=True, help="folder to write, or an exported model to replace")
    p.add_argument(
        "--roi",
        choices=ROI,
        default="roialign",
        help="how regions are read: by the operator, heads only where something was found, for processors; "
        "or by sampling, in static shapes, for TensorRT (default: %(default)s)",
    )
    p.add_argument(
        "--precision",
        choices=PRECISIONS,
        default=PRECISIONS[0],
        help="of the heavy layers; boxes and attention stay fp32 (default: %(default)s)",
    )
    args = p.parse_args(argv)
    try:
        if not args.weights and not args.config:
            raise ConfigError("expected a CONFIG or --weights, got neither")
        stored, metrics = checkpoint.load_header(args.weights) if args.weights else (None, {})
        config = load_config(args.config) if args.config else stored
        assert config is not None
        net = PCAN(config).eval()
        if args.weights:
            checkpoint.load_weights(args.weights, net)
        folder = export(net, args.out, metrics, roi=args.roi, precision=args.precision)
    except (ValueError, OSError) as error:
        raise SystemExit(f"pcan-export: {error}") from error
    for name, difference in agreement(net, folder).items():
        print(f"{name:14} largest difference to torch {difference:.2e}")
    print(f"exported: {folder}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
