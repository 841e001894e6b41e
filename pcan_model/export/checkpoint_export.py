"""A checkpoint or a configuration exported as the options say, and compared with torch."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from pcan_model.core.config import Config, ConfigError, load_config
from pcan_model.core.geometry import fit_image
from pcan_model.data.clips import Clip
from pcan_model.export.agreement import agreement, over_a_clip
from pcan_model.export.calibration import calibration_clips
from pcan_model.export.model_folder import export
from pcan_model.export.options import ExportOptions
from pcan_model.export.quantise import LAYERS
from pcan_model.factory import make_net
from pcan_model.model import checkpoint
from pcan_model.model.pcan import PCAN
from pcan_model.model.roi_pooling import SAMPLES
from pcan_model.released.network import ReleasedPCAN
from pcan_model.synthetic.drive import SyntheticDrive

CAMERA = (720, 1280)  # height and width of the images that BDD100K has


def export_checkpoint(
    out: Path,
    options: ExportOptions,
    *,
    config: str | None = None,
    weights: Path | None = None,
    calibration: Sequence[str] = (),
) -> Iterator[str]:
    """Write the model folder; yields line by line how far it is from torch.

    config       preset or YAML file; None for the checkpoint's own
    weights      checkpoint of pcan-train; None for random weights
    calibration  what int8 and fp8 are fitted to: data sets, bags, videos or folders of images
    """
    clips = calibration_clips(calibration, options.image)
    net, metrics = _network(config, weights, options)
    folder = export(
        net,
        out,
        metrics,
        roi=options.roi,
        precision=options.precision,
        rest=options.rest,
        calibration=clips,
        cameras=options.cameras,
        camera=options.image,
        more_sizes=options.more_sizes,
    )
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
    """Return the configuration with the size of images and the samples of the graphs."""
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
    camera = options.image
    if options.precision not in LAYERS:
        for name, difference in agreement(net, folder, camera=camera).items():
            yield f"{name:14} largest difference to torch {difference:.2e}"
    size = camera or net.config.input
    clip = clips[0] if clips else SyntheticDrive(0, 6, size.height, size.width)
    yield f"tracked as by torch in {clip.name}: {over_a_clip(net, folder, clip)}"
