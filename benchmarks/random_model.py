"""Export an untrained network with a realistic number of detections, for measuring speed.

    python benchmarks/random_model.py pcan_r50_bdd100k --size 736 1280 --out /tmp/r50

Of random scores every padded row would count, or none. So the class logits are given a spread of 2, and
the thresholds are set where an image of noise has 20 detections, all of them tracked.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import cv2
import torch
from torch import Tensor, nn

from pcan_model.core.config import Config, load_config
from pcan_model.export.model_folder import export
from pcan_model.export.options import ExportOptions
from pcan_model.inference.manifest import ROI
from pcan_model.inference.torch_engine import empty_memory
from pcan_model.model.detector import with_p6
from pcan_model.model.pass_signature import sparse
from pcan_model.model.pcan import PCAN
from pcan_model.model.roi_pooling import pool_regions

IMAGE = "image.png"  # in the folder of a random model: where it finds its objects
SPREAD = 2.0  # standard deviation of the class logits


def noise(config: Config, seed: int = 0) -> Tensor:
    """Return an image of soft noise, (1, H, W, 3) uint8."""
    generator = torch.Generator().manual_seed(seed)
    size = config.input.height, config.input.width
    small = torch.rand(1, 3, size[0] // 16, size[1] // 16, generator=generator)
    large = nn.functional.interpolate(small, size, mode="bilinear")
    return (255 * large).byte().permute(0, 2, 3, 1).contiguous()


@torch.inference_mode()
def spread_scores(net: PCAN, image: Tensor) -> None:
    """Scale the class logits of an image's regions to mean 0 and standard deviation SPREAD."""
    levels, head, heads = net.features(image), net.proposals, net.config.heads
    pyramid, size = with_p6(levels), (image.shape[1], image.shape[2])
    found = head.propose(*head(pyramid), head.anchors(pyramid), size, head.config.count)[0][0]
    regions = pool_regions(levels, found, torch.zeros_like(found[:, 0]), heads.box_size)
    logits, layer = net.box_head(regions)[0], net.box_head.logits
    scale = SPREAD / logits.std(0)
    layer.weight *= scale[:, None]
    layer.bias.copy_((layer.bias - logits.mean(0)) * scale)


@torch.inference_mode()
def with_objects(net: PCAN, image: Tensor, objects: int) -> Config:
    """Return the configuration with thresholds that keep a number of detections in an image."""
    signature = sparse(net)
    scores = signature.frame(image, *empty_memory(signature).frames)[1]
    threshold = float(scores[objects - 1 : objects + 1].mean())
    tracker = replace(net.config.tracker, init_score=threshold, track_score=threshold)
    heads = replace(net.config.heads, score_threshold=threshold)
    return replace(net.config, heads=heads, tracker=tracker)


def random_net(config: Config, objects: int) -> PCAN:
    """Return a network with random weights that detects a number of objects in noise."""
    torch.manual_seed(0)
    net = PCAN(replace(config, heads=replace(config.heads, score_threshold=0.0))).eval()
    image = noise(config)
    spread_scores(net, image)
    net.config = with_objects(net, image, objects)
    return net


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("config", help="preset or YAML file")
    parser.add_argument("--size", type=int, nargs=2, help="height and width (default: the configuration's)")
    parser.add_argument("--objects", type=int, default=20, help="detections of a frame (default: 20)")
    parser.add_argument("--roi", choices=ROI, default="roialign", help="as of pcan-export")
    parser.add_argument("--out", type=Path, required=True, help="folder of the model")
    options = parser.parse_args()
    config = load_config(options.config)
    if options.size:
        height, width = options.size
        config = replace(config, input=replace(config.input, height=height, width=width))
    folder = export(random_net(config, options.objects), options.out, ExportOptions(roi=options.roi))
    cv2.imwrite(str(folder / IMAGE), cv2.cvtColor(noise(config)[0].numpy(), cv2.COLOR_RGB2BGR))
    print(f"exported: {folder}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
