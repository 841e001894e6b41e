"""Backbone, pyramid, head and alignment beside the recorded ones."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from pcan_model.sipmask.alignment import FeatureAlignment
from pcan_model.sipmask.head import HeadMaps, SipMaskHead
from pcan_model.sipmask.parity import tolerances
from pcan_model.sipmask.parity.recording import Recording, stats
from pcan_model.sipmask.parity.weights import generated_network, random_maps
from pcan_model.sipmask.strides import STRIDES


def maps(name: str, shape: tuple[int, ...], scale: float = 1.0) -> Tensor:
    """Return a random input as a tensor."""
    return torch.from_numpy(random_maps(name, shape, scale))


def level_sizes(height: int, width: int) -> list[tuple[int, int]]:
    """Return the sizes of P3 to P7 of a padded input."""
    return [(-(-height // stride), -(-width // stride)) for stride in STRIDES]


@torch.inference_mode()
def compare_backbone(recording: Recording) -> None:
    """Compare C2 to C5, the stem and the first blocks."""
    backbone = generated_network().backbone
    parts = dict(backbone.named_modules())
    blocks = [parts[name] for name in ("stages.0.3", "stages.0.4.0", "stages.1.0")]
    for case in "ab":
        height, width = recording.given(f"{case}_hw").tolist()
        with outputs(*blocks) as seen:
            stages = backbone(maps(f"backbone/x_{case}", (1, 3, height, width), 60.0))
        for name, x in zip(("stem", "layer1_0", "layer2_0"), seen, strict=True):
            recording.check_thinned(f"{case}_{name}", x, tolerances.STAGES)
        for level, x in enumerate(stages, 2):
            recording.check_thinned(f"{case}_c{level}", x, tolerances.STAGES)
            recording.check(f"{case}_c{level}_stats", stats(x), tolerances.STAGES)
        recording.check(f"{case}_c5_full", stages[-1], tolerances.STAGES)


@torch.inference_mode()
def compare_pyramid(recording: Recording) -> None:
    """Compare P3 to P7."""
    pyramid = generated_network().pyramid
    for case in "ab":
        height, width = recording.given(f"{case}_hw").tolist()
        stages = [
            maps(f"fpn/c{i + 2}_{case}", (1, 256 * 2**i, height >> i + 2, width >> i + 2)).relu()
            for i in range(1, 4)
        ]
        fine = pyramid(stages)
        for level, x in enumerate(fine + pyramid.coarse(fine[-1]), 3):
            recording.check(f"{case}_p{level}", x, tolerances.PYRAMID_UNIT)


@torch.inference_mode()
def compare_head(recording: Recording) -> None:
    """Compare everything the head gives, and the alignment's steps."""
    case, head = recording.path.stem, generated_network().head
    assert head.align.offset is not None
    sizes = level_sizes(*recording.given("input_hw").tolist())
    levels = [maps(f"{case}/p{i}", (1, 256, h, w)) for i, (h, w) in enumerate(sizes, 3)]
    references = [maps(f"{case}/r{i}", (1, 256, h, w)) for i, (h, w) in enumerate(sizes, 3)]
    recording.check("crc", [zlib.crc32(x.numpy().tobytes()) for x in levels])
    with calls(head.align) as aligned, outputs(head.align.offset) as offsets:
        found: HeadMaps = head(levels)
    for level, ((x, shape), out) in enumerate(aligned):
        steps = {"x": x, "shape": shape, "offset": offsets[level], "out": out}
        for name, value in steps.items():
            recording.check_thinned(f"align_{name}{level}", value, tolerances.HEAD)
    check_maps(recording, found, slice(None))
    recording.check_thinned("track", found.track, tolerances.TRACK)
    recording.check_thinned("track_ref", head.track_map(references), tolerances.TRACK)


def check_maps(recording: Recording, found: HeadMaps, image: int | slice) -> None:
    """Compare the head's outputs of one image, or of the batch."""
    for level in range(len(STRIDES)):
        recording.check(f"cls{level}", found.logits[level][image], tolerances.CLASSES)
        recording.check(f"reg{level}", found.distances[level][image], tolerances.DISTANCES)
        recording.check(f"ctr{level}", found.centres[level][image], tolerances.HEAD)
        recording.check(f"cof{level}", found.coefficients[level][image], tolerances.HEAD)
    recording.check("basis", found.basis[image], tolerances.HEAD)


def compare_alignment(recording: Recording) -> None:
    """Compare the alignment alone with its gradients."""
    align = generated_network().head.align
    assert align.offset is not None
    for case, scale in (("small", 1.0), ("far", 6.0)):
        batch, _, height, width = recording.shape(f"{case}_shape")
        x = maps(f"align/x_{case}", (batch, 256, height, width)).relu().requires_grad_()
        shape = maps(f"align/s_{case}", (batch, 4, height, width), scale)
        recording.check(f"{case}_shape", shape)
        offsets = align.offset(shape)
        recording.check(f"{case}_offset", offsets, tolerances.HEAD)
        convolved = align.convolve(x, offsets)
        recording.check(f"{case}_conv", convolved[:, ::2], tolerances.HEAD)
        out = align(x, shape)
        recording.check(f"{case}_out", out[:, ::2], tolerances.HEAD)
        loss = (out * maps(f"align/g_{case}", tuple(out.shape))).sum()
        _check_gradients(recording, case, align, x, loss)
    _compare_unmoved(recording, align)


def _check_gradients(
    recording: Recording, case: str, align: FeatureAlignment, x: Tensor, loss: Tensor
) -> None:
    assert align.offset is not None
    to_x, to_offset, to_conv = torch.autograd.grad(loss, [x, align.offset.weight, align.conv.weight])
    gradients = {
        "grad_x": to_x[:, ::8],
        "grad_offset_w": to_offset[..., 0, 0],
        "grad_adaption_norm": to_conv.norm(),
        "grad_adaption_sub": to_conv[::32, ::32],
    }
    for name, value in gradients.items():
        scale = float(value.abs().max())
        recording.check(f"{case}_{name}", value, tolerances.ALIGN_GRADIENTS, scale=scale)


def _compare_unmoved(recording: Recording, align: FeatureAlignment) -> None:
    """Compare the gradient where taps lie at exactly -1."""
    batch, _, height, width = recording.shape("zero_grad_offset")
    offsets = torch.zeros(recording.shape("zero_grad_offset"), requires_grad=True)
    convolved = align.convolve(maps("align/x_zero", (batch, 256, height, width)).relu(), offsets)
    recording.check("zero_conv", convolved, tolerances.HEAD)
    loss = (convolved * maps("align/g_zero", tuple(convolved.shape))).sum()
    (gradient,) = torch.autograd.grad(loss, [offsets])
    scale = float(gradient.abs().max())
    recording.check("zero_grad_offset", gradient, tolerances.ALIGN_GRADIENTS, scale=scale)


@contextmanager
def calls(module: nn.Module) -> Iterator[list[tuple[tuple[Any, ...], Any]]]:
    """Collect inputs and output of each call of a module."""
    seen: list[tuple[tuple[Any, ...], Any]] = []
    handle = module.register_forward_hook(lambda _, inputs, output: seen.append((inputs, output)))
    try:
        yield seen
    finally:
        handle.remove()


@contextmanager
def outputs(*modules: nn.Module) -> Iterator[list[Tensor]]:
    """Collect the outputs of modules, in the order in which they run."""
    seen: list[Tensor] = []
    handles = [m.register_forward_hook(lambda _, __, output: seen.append(output)) for m in modules]
    try:
        yield seen
    finally:
        for handle in handles:
            handle.remove()


def fresh_head(kind: str) -> SipMaskHead:
    """Return a head of its own with generated weights."""
    net = generated_network()
    head = SipMaskHead(len(net.config.classes), net.config.backbone.channels, net.config.sipmask)
    head.load_state_dict(generated_network(kind).head.state_dict())
    return head
