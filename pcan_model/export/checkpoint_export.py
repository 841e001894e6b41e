"""Export of a checkpoint or a configuration, and comparison with torch."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from pcan_model.core.config import Config, ConfigError, load_config
from pcan_model.core.geometry import fit_image
from pcan_model.data.clips import Clip
from pcan_model.export.agreement import agreement, clip_agreement
from pcan_model.export.calibration import calibration_clips
from pcan_model.export.model_folder import export
from pcan_model.export.options import ExportOptions
from pcan_model.export.quantise import LAYERS
from pcan_model.export.track_agreement import TrackAgreement
from pcan_model.factory import make_net
from pcan_model.model import checkpoint
from pcan_model.model.pcan import PCAN
from pcan_model.model.roi_pooling import SAMPLES
from pcan_model.released.network import ReleasedPCAN
from pcan_model.synthetic.drive import SyntheticDrive

COMPARED = 8  # calibration clips tracked by both
LEAST_COMMON = 0.5  # share of the objects that torch tracks, to accept a graph
CAMERA = (720, 1280)  # (height, width) of BDD100K images


def export_checkpoint(
    out: Path,
    options: ExportOptions,
    *,
    config: str | None = None,
    weights: Path | None = None,
    calibration: Sequence[str] = (),
) -> Iterator[str]:
    """Write the model folder; yields lines that report its agreement with torch.

    config       preset or YAML file; None for that of the checkpoint
    weights      checkpoint of pcan-train; None for random weights
    calibration  images for int8 and fp8: data sets, bags, videos or folders
    """
    clips = calibration_clips(calibration, options.camera_format)
    net, metrics = _network(config, weights, options)
    folder = export(net, out, options, metrics=metrics, calibration=clips)
    yield from _compared(net, folder, options, clips)


def _network(
    name: str | None, weights: Path | None, options: ExportOptions
) -> tuple[PCAN | ReleasedPCAN, dict[str, object]]:
    if not weights and not name:
        raise ConfigError("expected a CONFIG or --weights, got neither")
    stored, metrics = checkpoint.load_header(weights) if weights else (None, {})
    config = load_config(name) if name else stored
    assert config is not None
    net = make_net(_exported(config, options)).eval()
    if weights:
        checkpoint.load_weights(weights, net)
    return net, metrics


def _exported(config: Config, options: ExportOptions) -> Config:
    """Return the configuration with the image size and the RoI samples of the graphs."""
    height, width = options.size or fit_image(CAMERA, config.input).target
    if config.input.fit == "letterbox" and any(side <= 0 or side % 32 for side in (height, width)):
        raise ConfigError(f"--size: expected multiples of 32, got {height} {width}")
    samples = SAMPLES if options.roi == "gridsample" else config.heads.cell_samples
    return replace(
        config,
        input=replace(config.input, height=height, width=width),
        heads=replace(config.heads, cell_samples=samples),
    )


def _compared(
    net: PCAN | ReleasedPCAN, folder: Path, options: ExportOptions, clips: Sequence[Clip]
) -> Iterator[str]:
    camera = options.camera_format
    if options.precision not in LAYERS:
        for name, difference in agreement(net, folder, camera=camera).items():
            yield f"{name:14} largest difference from torch {difference:.2e}"
    size = camera or net.config.input
    compared = list(clips[:COMPARED]) or [SyntheticDrive(0, 6, size.height, size.width)]
    each = [clip_agreement(net, folder, clip) for clip in compared]
    total = sum(each, TrackAgreement(0, 0, (), ()))
    names = ", ".join(clip.name for clip in compared)
    if len(total.box_ious) < LEAST_COMMON * total.objects:
        shutil.rmtree(folder)
        raise ConfigError(
            f"--precision {options.precision}: expected at least {LEAST_COMMON:.0%} of the objects that "
            f"torch tracks in {names}, got {total}; nothing was written"
        )
    yield f"tracked as by torch in {names}: {total}"
