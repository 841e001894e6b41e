"""The folder of an exported model: two graphs, the weights, and a manifest that describes them."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pcan_model.core.atomic_write import atomic_folder
from pcan_model.core.config import Config, ConfigError
from pcan_model.core.engine import CameraFormat
from pcan_model.data.clips import Clip
from pcan_model.export.camera_pass import check_camera, fitted
from pcan_model.export.cameras import several
from pcan_model.export.onnx_graph import OPSET, example_inputs, write_pass
from pcan_model.export.precision import narrow, round_to_8_bits
from pcan_model.export.quantise import LAYERS, check_quantiser
from pcan_model.export.sizes import other_sizes, same_weights
from pcan_model.factory import SIGNATURES
from pcan_model.inference.manifest import BATCH, PRECISIONS, WEIGHTS, ModelManifest, is_model
from pcan_model.model import checkpoint
from pcan_model.model.pass_signature import PassSignature
from pcan_model.model.pcan import PCAN
from pcan_model.model.roi_pooling import SAMPLES
from pcan_model.released.network import ReleasedPCAN

REST = {"roialign": "fp32", "gridsample": "fp16"}  # beside 8 bits: processors have no use for 16, GPUs do


def export(
    net: PCAN | ReleasedPCAN,
    folder: Path,
    metrics: dict[str, Any] | None = None,
    *,
    roi: str = "roialign",
    precision: str = PRECISIONS[0],
    rest: str | None = None,
    calibration: Sequence[Clip] = (),
    cameras: int = 1,
    camera: CameraFormat | None = None,
    more_sizes: Sequence[str] = (),
) -> Path:
    """Write frame.onnx, instance.onnx, the weights and manifest.json; atomically.

    roi          how regions are read, one of manifest.ROI
    precision    of the heavy layers, one of manifest.PRECISIONS
    rest         of what int8 and fp8 do not round, fp32 or fp16; None: one of REST, by `roi`
    calibration  what int8 and fp8 choose their scales by: images as the robot will see
    cameras      more than 1: also batch_frame.onnx and batch_instance.onnx, for so many at once
    camera       images that the frame graphs fit into the network's input themselves
    more_sizes   of the input, such as `384x640`: graphs of their own, which share the weights
    The network's own weights are rounded to what was written. Raises ConfigError rather than
    replace a folder that holds something else than an exported model.
    """
    _check(net.config, folder, precision, calibration)
    _check_form(net.config, roi, cameras)
    _check_cameras(net.config, roi, cameras=cameras, camera=camera)
    rest = _rest(roi, precision, rest)
    sized = other_sizes(net.config, more_sizes, plain=precision not in LAYERS and cameras == 1 and not camera)
    with atomic_folder(folder, durable=True) as partial:
        checkpoint.save(partial / WEIGHTS, net, net.config, metrics or {}, fp16=True)
        checkpoint.load_weights(partial / WEIGHTS, net)  # torch and ONNX then round alike
        signatures = _signatures(net, roi, cameras, camera)
        for prefix, signature in signatures.items():
            _write_passes(net, partial, signature, prefix, own_weights=precision in LAYERS)
        for size, config in sized.items():
            other = same_weights(config, partial / WEIGHTS)
            _write_passes(
                other, partial, _signatures(other, roi, 1, None)[""], suffix=f"_{size}", own_weights=False
            )
        if precision in LAYERS:
            round_to_8_bits(net, partial, signatures, precision=precision, calibration=calibration)
        if "fp16" in (precision, rest):
            narrow(partial)
        _write_manifest(
            net.config, signatures, partial, roi=roi, precision=precision, rest=rest, sizes=tuple(sized)
        )
        if folder.exists():
            _keep_others(folder, partial)
    return folder


def _check(config: Config, folder: Path, precision: str, calibration: Sequence[Clip]) -> None:
    if (kind := config.frame_attention.kind) != "prototypical":
        raise ConfigError(
            f"frame_attention.kind: expected prototypical (a baseline runs in torch), got {kind}"
        )
    if folder.is_file() or (not is_model(folder) and list(folder.glob("*"))):
        raise ConfigError(f"{folder}: expected a new folder or an exported model, got other files")
    if precision in LAYERS:
        if not calibration:
            raise ConfigError(
                f"--precision {precision}: expected --calibration PATH, images as the robot will see them "
                "(a data set, bag, video or folder), got none"
            )
        check_quantiser()


def _check_form(config: Config, roi: str, cameras: int) -> None:
    """Raise ConfigError for what graphs of static shape do not do."""
    if roi == "gridsample" and config.heads.cell_samples != SAMPLES:
        raise ConfigError(
            f"heads.cell_samples: expected {SAMPLES} with --roi gridsample, got {config.heads.cell_samples}"
        )
    if config.variant == "paper":
        return
    if config.released.drift:
        raise ConfigError("released.drift: expected false: an exported graph's starts of EM stand still")
    if not config.instance_attention.enabled:
        raise ConfigError("instance_attention.enabled: expected true for an export of the released form")
    if cameras > 1:
        raise ConfigError(f"--cameras {cameras}: expected 1 for the released form: its cameras take turns")


def _check_cameras(config: Config, roi: str, *, cameras: int, camera: CameraFormat | None) -> None:
    if cameras > 1 and roi != "gridsample":
        raise ConfigError(f"--cameras {cameras}: expected --roi gridsample, got {roi}: TensorRT runs it")
    if camera is not None:
        check_camera(config, camera)


def _rest(roi: str, precision: str, rest: str | None) -> str | None:
    """Return the precision of what 8 bits leave; None where there is no such thing."""
    if precision in LAYERS:
        return rest or REST[roi]
    if rest is not None:
        raise ConfigError(f"--rest {rest}: expected --precision {' or '.join(LAYERS)}, got {precision}")
    return None


def _signatures(
    net: PCAN | ReleasedPCAN, roi: str, cameras: int, camera: CameraFormat | None
) -> dict[str, PassSignature]:
    """Return the passes to write by the prefix of the graphs' names: for one camera, and for several."""
    signatures = {"": SIGNATURES[net.config.variant][roi](net)}
    if cameras > 1:
        assert isinstance(net, PCAN), "refused before"
        signatures[BATCH] = several(net, cameras)
    if camera is not None:
        signatures = {
            prefix: fitted(signature, net.config, camera) for prefix, signature in signatures.items()
        }
    return signatures


def _write_passes(
    net: PCAN | ReleasedPCAN,
    folder: Path,
    signature: PassSignature,
    prefix: str = "",
    suffix: str = "",
    *,
    own_weights: bool,
) -> None:
    frame, instance = example_inputs(net.config, signature)
    for name, module, inputs in (
        ("frame", signature.frame, frame),
        ("instance", signature.instance, instance),
    ):
        path = folder / f"{prefix}{name}{suffix}.onnx"
        names = signature.inputs[name], signature.outputs[name]
        write_pass(module, inputs, path, *names, own_weights=own_weights)


def _keep_others(folder: Path, partial: Path) -> None:
    """Take along what else lies beside a model, such as its card."""
    for path in folder.iterdir():
        if path.is_file() and not (partial / path.name).exists():
            shutil.copy2(path, partial)


def _write_manifest(
    config: Config,
    signatures: dict[str, PassSignature],
    folder: Path,
    *,
    roi: str,
    precision: str,
    rest: str | None,
    sizes: tuple[str, ...],
) -> None:
    single = signatures[""]
    manifest = ModelManifest(
        config=config,
        inputs=single.inputs,
        outputs=single.outputs,
        precision=precision,
        rest=rest,
        opset=OPSET,
        roi=roi,
        cameras=max(each.cameras for each in signatures.values()),
        camera_format=single.camera_format,
        weights=WEIGHTS,
        sizes=sizes,
    )
    manifest.write(folder)
