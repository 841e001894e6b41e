"""`pcan-export`: a trained network as two ONNX graphs of static shape, checked against torch."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from pcan_model.cli.arguments import at_least
from pcan_model.core.config import Config, ConfigError, load_config
from pcan_model.core.engine import CameraFormat
from pcan_model.core.geometry import fit_picture
from pcan_model.data.clips import Clip
from pcan_model.export.agreement import agreement, over_a_clip
from pcan_model.export.calibration import calibration_clips
from pcan_model.export.model_folder import REST, export
from pcan_model.export.quantise import LAYERS
from pcan_model.factory import make_net
from pcan_model.inference.manifest import PRECISIONS, ROI
from pcan_model.model import checkpoint
from pcan_model.model.pcan import PCAN
from pcan_model.model.roi_pooling import SAMPLES
from pcan_model.released.network import ReleasedPCAN
from pcan_model.synthetic.drive import SyntheticDrive

CAMERA = (720, 1280)  # height and width of the pictures that BDD100K has
ORDERS = ("rgb", "bgr")
EXPLANATION = """\
Turn a checkpoint into the model that the node runs: frame.onnx, instance.onnx, weights.safetensors
(16 bits, the graphs point into it) and manifest.json; then compare it with torch.

  pcan-export --weights runs/street/weights.safetensors --out models/pcan_street_tiny
  pcan-export --weights runs/street/weights.safetensors --roi gridsample --precision int8 \\
    --calibration data/street#plaza,kitti_0926 data/drives --out models/tiny_int8

For TensorRT, with three cameras of 720 x 1280 that send bgr8:

  pcan-export --weights runs/street/weights.safetensors --out models/robot --roi gridsample \\
    --precision fp16 --cameras 3 --camera 720 1280 --order bgr

The released form (docs/released.md) for TensorRT; regions are then sampled twice along each side of a
cell, and the graphs take pictures of one size:

  pcan-export --weights converted.safetensors --roi gridsample --out models/released

int8 and fp8 need some fifty pictures as the robot will see them, never those that you measure by;
such graphs hold their own weights.
"""


def main(argv: list[str] | None = None) -> int:
    """Run the command; returns 0, or 2 after an error that the user can mend."""
    options = _parser().parse_args(argv)
    try:
        camera = _camera(options)
        clips = calibration_clips(options.calibration, camera)
        net, metrics = _network(options)
        folder = export(
            net,
            options.out,
            metrics,
            roi=options.roi,
            precision=options.precision,
            rest=options.rest,
            calibration=clips,
            cameras=options.cameras,
            camera=camera,
        )
    except (ValueError, OSError) as error:
        print(f"pcan-export: {error}", file=sys.stderr)
        return 2
    _report(net, folder, options.precision, clips, camera)
    return 0


def _camera(options: argparse.Namespace) -> CameraFormat | None:
    if not options.camera:
        return None
    height, width = options.camera
    return CameraFormat(height, width, options.order)


def _network(options: argparse.Namespace) -> tuple[PCAN | ReleasedPCAN, dict[str, object]]:
    if not options.weights and not options.config:
        raise ConfigError("expected a CONFIG or --weights, got neither")
    stored, metrics = checkpoint.load_header(options.weights) if options.weights else (None, {})
    config = load_config(options.config) if options.config else stored
    assert config is not None
    net = make_net(_exported(config, options.size, options.roi)).eval()
    if options.weights:
        checkpoint.load_weights(options.weights, net)
    return net, metrics


def _exported(config: Config, size: Sequence[int] | None, roi: str) -> Config:
    """Return the configuration with the size (height, width) of pictures and samples of the graphs."""
    height, width = size or fit_picture(CAMERA, config.input).target
    if config.input.fit == "letterbox" and any(side <= 0 or side % 32 for side in (height, width)):
        raise ConfigError(f"--size: expected multiples of 32, got {height} {width}")
    samples = SAMPLES if roi == "gridsample" else config.heads.cell_samples
    return replace(
        config,
        input=replace(config.input, height=height, width=width),
        heads=replace(config.heads, cell_samples=samples),
    )


def _report(
    net: PCAN | ReleasedPCAN,
    folder: Path,
    precision: str,
    clips: Sequence[Clip],
    camera: CameraFormat | None,
) -> None:
    if precision not in LAYERS:
        for name, difference in agreement(net, folder, camera=camera).items():
            print(f"{name:14} largest difference to torch {difference:.2e}")
    size = camera or net.config.input
    clip = clips[0] if clips else SyntheticDrive(0, 6, size.height, size.width)
    print(f"tracked as by torch in {clip.name}: {over_a_clip(net, folder, clip)}")
    print(f"exported: {folder}")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="pcan-export", description=EXPLANATION, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("config", nargs="?", help="preset or YAML file (default: the one in the checkpoint)")
    add("--weights", type=Path, help="checkpoint of pcan-train; without it the weights are random")
    add("--out", type=Path, required=True, help="folder to write, or an exported model to replace")
    add(
        "--roi",
        choices=ROI,
        default="roialign",
        help="how regions are read: by the operator, heads only where something was found, for processors; "
        "or by sampling, in static shapes, for TensorRT (default: %(default)s)",
    )
    add(
        "--precision",
        choices=PRECISIONS,
        default=PRECISIONS[0],
        help="of the heavy layers; boxes and attention stay fp32 (default: %(default)s)",
    )
    add(
        "--rest",
        choices=sorted(set(REST.values())),
        help="of int8 and fp8: what their layers put out, and heavy layers that cannot be rounded (default: "
        "fp16 with --roi gridsample, for TensorRT; fp32 with roialign, as processors widen fp16 anyway)",
    )
    _add_pictures(parser)
    return parser


def _add_pictures(parser: argparse.ArgumentParser) -> None:
    """Add what is said of the pictures that the graphs take."""
    add = parser.add_argument
    size = "of the network's input (default: the configuration's; of the released form the picture's once "
    size += "resized, 720 1280 of a camera of 16:9)"
    add("--size", type=int, nargs=2, metavar=("H", "W"), help=size)
    add(
        "--calibration",
        nargs="+",
        default=[],
        metavar="PATH[@SPLIT][#VIDEO,…]",
        help="what int8 and fp8 are fitted to: data sets, bags, videos or folders of pictures",
    )
    add(
        "--cameras",
        type=at_least(1),
        default=1,
        metavar="N",
        help="also write graphs for N cameras in one launch, for TensorRT (default: %(default)s)",
    )
    add(
        "--camera",
        type=at_least(1),
        nargs=2,
        metavar=("HEIGHT", "WIDTH"),
        help="put the letterbox into the graph, for cameras of this very size (default: the host does it)",
    )
    add("--order", choices=ORDERS, default=ORDERS[0], help="with --camera: of the channels (default: rgb)")


if __name__ == "__main__":
    raise SystemExit(main())
