"""Writes the folder of an exported model: two graphs, the weights, and a manifest."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from pcan_model.core.atomic_write import atomic_folder
from pcan_model.core.config import Config, ConfigError
from pcan_model.data.clips import Clip
from pcan_model.export.camera_pass import check_camera, with_camera_format
from pcan_model.export.cameras import several
from pcan_model.export.onnx_graph import OPSET, example_inputs, write_pass
from pcan_model.export.options import ExportOptions, Rest
from pcan_model.export.precision import narrow, round_to_8_bits
from pcan_model.export.quantise import LAYERS, check_quantiser
from pcan_model.export.sizes import other_sizes, same_weights
from pcan_model.factory import SIGNATURES
from pcan_model.inference.manifest import BATCH, WEIGHTS, ModelManifest, is_model
from pcan_model.model import checkpoint
from pcan_model.model.pass_signature import PassSignature
from pcan_model.model.pcan import PCAN
from pcan_model.model.roi_pooling import SAMPLES
from pcan_model.released.network import ReleasedPCAN

REST: dict[str, Rest] = {"roialign": "fp32", "gridsample": "fp16"}  # default: CPUs have no use for fp16
DEFAULT = ExportOptions()


def export(
    net: PCAN | ReleasedPCAN,
    folder: Path,
    options: ExportOptions = DEFAULT,
    *,
    metrics: dict[str, Any] | None = None,
    calibration: Sequence[Clip] = (),
) -> Path:
    """Write frame.onnx, instance.onnx, the weights and manifest.json, atomically.

    options      with cameras > 1, batch_frame.onnx and batch_instance.onnx are written, too;
                 with more_sizes, graphs for further input sizes
    metrics      stored with the weights
    calibration  images from the robot's environment, for int8 and fp8
    The weights of `net` are rounded to those written. Raises ConfigError instead of replacing a folder
    that holds anything but an exported model.
    """
    _check(net.config, folder, options, calibration)
    _check_variant(net.config, options)
    _check_cameras(net.config, options)
    options = replace(options, rest=_rest(options))
    sized = other_sizes(net.config, options)
    with atomic_folder(folder, durable=True) as partial:
        checkpoint.save(partial / WEIGHTS, net, net.config, metrics or {}, fp16=True)
        checkpoint.load_weights(partial / WEIGHTS, net)  # so that torch and ONNX have the same weights
        signatures = _signatures(net, options)
        for prefix, signature in signatures.items():
            _write_passes(net, partial, signature, prefix)
        for size, config in sized.items():
            other = same_weights(config, partial / WEIGHTS)
            _write_passes(other, partial, _signatures(other, options)[""], suffix=f"_{size}")
        if options.precision in LAYERS:
            round_to_8_bits(net, partial, signatures, precision=options.precision, calibration=calibration)
        if "fp16" in (options.precision, options.rest):
            narrow(partial)
        _write_manifest(net.config, signatures, partial, options, tuple(sized))
        if folder.exists():
            _keep_others(folder, partial)
    return folder


def _check(config: Config, folder: Path, options: ExportOptions, calibration: Sequence[Clip]) -> None:
    if (kind := config.frame_attention.kind) != "prototypical":
        raise ConfigError(
            f"frame_attention.kind: expected prototypical (baselines run in torch only), got {kind}"
        )
    size = config.input.height, config.input.width
    if options.size not in (None, size):
        raise ConfigError(f"--size: expected {size} as in the configuration, got {options.size}")
    if folder.is_file() or (not is_model(folder) and list(folder.glob("*"))):
        raise ConfigError(f"{folder}: expected a new folder or an exported model, got other files")
    if options.precision in LAYERS:
        if not calibration:
            raise ConfigError(
                f"--precision {options.precision}: expected --calibration PATH, images from the robot's "
                "environment (a data set, bag, video or folder), got none"
            )
        check_quantiser()


def _check_variant(config: Config, options: ExportOptions) -> None:
    """Raise ConfigError for what graphs of static shape do not support."""
    if options.roi == "gridsample" and config.heads.cell_samples != SAMPLES:
        raise ConfigError(
            f"heads.cell_samples: expected {SAMPLES} with --roi gridsample, got {config.heads.cell_samples}"
        )
    if config.variant == "paper":
        return
    if config.released.drift:
        raise ConfigError("released.drift: expected false: the initial means of an exported graph are fixed")
    if not config.instance_attention.enabled:
        raise ConfigError("instance_attention.enabled: expected true to export the released variant")
    if options.cameras > 1:
        raise ConfigError(f"--cameras {options.cameras}: expected 1 for the released variant")


def _check_cameras(config: Config, options: ExportOptions) -> None:
    if options.cameras > 1 and options.roi != "gridsample":
        raise ConfigError(
            f"--cameras {options.cameras}: expected --roi gridsample, for TensorRT, got {options.roi}"
        )
    if options.camera_format is not None:
        check_camera(config, options.camera_format)


def _rest(options: ExportOptions) -> Rest | None:
    """Return the precision of the unquantised layers of an 8-bit model, else None."""
    if options.precision in LAYERS:
        return options.rest or REST[options.roi]
    if options.rest is not None:
        expected = f"--precision {' or '.join(LAYERS)}"
        raise ConfigError(f"--rest {options.rest}: expected {expected}, got {options.precision}")
    return None


def _signatures(net: PCAN | ReleasedPCAN, options: ExportOptions) -> dict[str, PassSignature]:
    """Return the passes to write by prefix of the file names: for one camera, and for a batch of cameras."""
    signatures = {"": SIGNATURES[net.config.variant][options.roi](net)}
    if options.cameras > 1:
        assert isinstance(net, PCAN), "checked before"
        signatures[BATCH] = several(net, options.cameras)
    if (camera := options.camera_format) is None:
        return signatures
    return {prefix: with_camera_format(each, net.config, camera) for prefix, each in signatures.items()}


def _write_passes(
    net: PCAN | ReleasedPCAN,
    folder: Path,
    signature: PassSignature,
    prefix: str = "",
    suffix: str = "",
) -> None:
    frame, instance = example_inputs(net.config, signature)
    for name, module, inputs in (
        ("frame", signature.frame, frame),
        ("instance", signature.instance, instance),
    ):
        path = folder / f"{prefix}{name}{suffix}.onnx"
        names = signature.inputs[name], signature.outputs[name]
        write_pass(module, inputs, path, *names)


def _keep_others(folder: Path, partial: Path) -> None:
    """Copy other files of an existing model folder, such as a model card."""
    for path in folder.iterdir():
        if path.is_file() and not (partial / path.name).exists():
            shutil.copy2(path, partial)


def _write_manifest(
    config: Config,
    signatures: dict[str, PassSignature],
    folder: Path,
    options: ExportOptions,
    sizes: tuple[str, ...],
) -> None:
    single = signatures[""]
    manifest = ModelManifest(
        config=config,
        inputs=single.inputs,
        outputs=single.outputs,
        precision=options.precision,
        rest=options.rest,
        opset=OPSET,
        roi=options.roi,
        cameras=options.cameras,
        camera_format=single.camera_format,
        weights=WEIGHTS,
        sizes=sizes,
    )
    manifest.write(folder)
