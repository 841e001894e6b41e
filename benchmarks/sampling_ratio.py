"""Measure the effect of 2 x 2 RoIAlign samples per cell instead of one per pixel, for static shapes.

    python benchmarks/sampling_ratio.py

prints, for two networks without retraining, by how much the features of 1,000 proposals differ, and
how alike they then track:

  the released form, on the recorded clip A (../shared/parity), with the weights that its recording was made
  with; they follow from names alone and amplify any difference, as trained weights do not
  models/pcan_street_tiny, trained with 2 x 2, on six frames of BDD100K and on synthetic drives that no
  training draws, where labels tell the accuracy too

A recorded clip that is not there is left out with a word.
"""

from __future__ import annotations

import argparse
import runpy
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "test"))

import numpy as np
import torch
from numpy.typing import NDArray
from support.seeded import seeded_state

from benchmarks.precision import FIRST, accuracy, heads
from pcan_model.core.config import Config, load_config
from pcan_model.core.engine import Engine
from pcan_model.core.geometry import fit_image
from pcan_model.core.structures import Frame, Tracks
from pcan_model.export.calibration import calibration_clips
from pcan_model.export.track_agreement import track_agreement
from pcan_model.factory import make_engine
from pcan_model.model import checkpoint
from pcan_model.model.detector import Detector, with_p6
from pcan_model.model.pcan import PCAN
from pcan_model.model.roi_pooling import pool_by_level
from pcan_model.released.convert_checkpoint import convert, expected_shapes
from pcan_model.released.network import ReleasedPCAN
from pcan_model.released.parity.dump import changed
from pcan_model.synthetic.drive import SyntheticDrive
from pcan_model.tracking.tracker import Tracker

ROOT = Path(__file__).resolve().parent.parent
SAMPLES = {"one a pixel": 0, "2 x 2": 2}  # of a cell, as heads.cell_samples
RECORDED = ("input.height=280", "input.width=500", "tracker.init_score=0.6", "tracker.duplicate_iou=0.4")
TRAINED = ROOT / "models/pcan_street_tiny/weights.safetensors"
BDD100K = "data/bdd100k_mots_00091078_6f"
DRIVES, LENGTH = 6, 10  # synthetic drives, and frames of each

RgbImage = NDArray[np.uint8]


def main() -> None:
    shared = _options().shared
    torch.set_num_threads(1)
    for part in (released_form, trained_network):
        for line in part(shared):
            print(line, flush=True)


def released_form(shared: Path) -> Iterator[str]:
    """Yield the effect on the released variant with generated weights on clip A."""
    generator = shared / "parity" / "gen_clip.py"
    yield "released form, generated weights, clip A"
    if not generator.is_file():
        yield f"  left out: no {generator}"
        return
    clip = runpy.run_path(str(generator))["make_clip"]()
    images = [np.ascontiguousarray(image[..., ::-1]) for image in clip]
    preset = changed(load_config("pcan_released_bdd100k"), RECORDED)
    state = seeded_state(expected_shapes(ReleasedPCAN(preset)))
    nets = {name: convert(state, sampling(preset, count), "seeded") for name, count in SAMPLES.items()}
    yield from differences(next(iter(nets.values())), images[0])
    reference, predicted = (track(make_engine(net), images) for net in nets.values())
    yield f"  first frame: {track_agreement(predicted[:1], reference[:1])}"
    yield f"  all {len(images)} frames: {track_agreement(predicted, reference)}"


def trained_network(shared: Path) -> Iterator[str]:
    """Yield the effect on the trained network on labelled frames."""
    yield "pcan_street_tiny, trained with 2 x 2"
    sets = {f"{DRIVES} synthetic drives": [SyntheticDrive(FIRST + i, LENGTH) for i in range(DRIVES)]}
    if (shared / BDD100K).is_dir():
        sets = {"BDD100K 00091078": calibration_clips([str(shared / BDD100K)])} | sets
    else:
        yield f"  left out: no {shared / BDD100K}"
    nets = {name: trained_net(count) for name, count in SAMPLES.items()}
    image = next(iter(sets.values()))[0].frame(0).image
    net = next(iter(nets.values()))
    yield from differences(net, fit_image(image.shape, net.config.input).apply(image))
    yield from heads("samples")
    for name, clips in sets.items():
        yield from accuracy(name, clips, {count: Tracker(make_engine(net)) for count, net in nets.items()})


def trained_net(samples: int) -> PCAN:
    """Return the trained network with a number of samples per cell."""
    net = PCAN(sampling(checkpoint.load_header(TRAINED)[0], samples))
    checkpoint.load_weights(TRAINED, net)
    return net.eval()


def sampling(config: Config, samples: int) -> Config:
    """Return the configuration with a number of samples per cell."""
    return replace(config, heads=replace(config.heads, cell_samples=samples))


@torch.inference_mode()
def differences(net: Detector, image: RgbImage) -> Iterator[str]:
    """Yield the relative RMS difference of the proposals' features in an image."""
    levels, head = net.features(torch.from_numpy(image)[None]), net.proposals
    pyramid, size = with_p6(levels), (image.shape[0], image.shape[1])
    boxes = head.propose(*head(pyramid), head.anchors(pyramid), size, head.config.count)[0][0]
    for cells in (net.config.heads.box_size, net.config.heads.mask_size):
        every, twice = (
            pool_by_level(levels, boxes, boxes.new_zeros(len(boxes)), cells, samples=count).flatten(1)
            for count in SAMPLES.values()
        )
        apart = every - twice
        worst = (apart.norm(dim=1) / every.norm(dim=1)).max()
        mean = apart.norm() / every.norm()
        yield f"  {len(boxes)} regions of {cells} x {cells}: {mean:.2%} apart, the worst {worst:.1%}"


def track(engine: Engine, images: Sequence[RgbImage]) -> list[Tracks]:
    """Return a tracker's result for every image."""
    tracker, predicted = Tracker(engine), []
    state = tracker.start()
    for index, image in enumerate(images):
        state, tracks = tracker.step(state, Frame(image, index / 10))
        predicted.append(tracks)
    return predicted


def _options() -> argparse.Namespace:
    form = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=form)
    parser.add_argument(
        "--shared",
        type=Path,
        default=ROOT.parent / "shared",
        help="folder of parity and data (default: %(default)s)",
    )
    return parser.parse_args()


if __name__ == "__main__":
    main()
