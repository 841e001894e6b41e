"""PCAN on SipMask: zero-initialised it is SipMask, and the tracker runs it as any other."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from support.sipmask import SMALL, random_boxes, small_sipmask_config

torch = pytest.importorskip("torch")

from support.small import small_config  # noqa: E402

from pcan_model.core.geometry import paste_mask  # noqa: E402
from pcan_model.core.structures import Frame  # noqa: E402
from pcan_model.inference.torch_engine import TorchEngine  # noqa: E402
from pcan_model.model.frame_attention.factory import memory_shapes  # noqa: E402
from pcan_model.model.pass_signature import grid_sample, sparse, static  # noqa: E402
from pcan_model.model.passes import FramePass  # noqa: E402
from pcan_model.sipmask.decode import candidates, detect  # noqa: E402
from pcan_model.sipmask.embeddings import embeddings  # noqa: E402
from pcan_model.sipmask.masks import crop_masks, enlarge, paste  # noqa: E402
from pcan_model.sipmask.pcan import SipMaskPCAN  # noqa: E402
from pcan_model.sipmask.region_masks import region_masks  # noqa: E402
from pcan_model.sipmask.suppression import detection_limits  # noqa: E402
from pcan_model.tracking.tracker import Tracker  # noqa: E402

CONFIG = replace(
    small_config(proposals={"nms_steps": 1}, heads={"score_threshold": 0.03, "detections": 10}),
    detector="sipmask",
    backbone=SMALL.backbone,
    sipmask=SMALL.sipmask,
)


def pcan(seed: int = 0, **parts: object) -> SipMaskPCAN:
    """Return a network of random weights whose scores are apart."""
    torch.manual_seed(seed)
    net = SipMaskPCAN(small_sipmask_config(CONFIG, **parts))
    head = net.head
    for layer in (head.classes, head.centre, head.coefficients, head.box, head.track):
        torch.nn.init.normal_(layer.weight, std=0.15)
    torch.nn.init.constant_(head.classes.bias, -2.0)
    return net.eval()


def image(seed: int = 1) -> torch.Tensor:
    coarse = np.random.default_rng(seed).integers(0, 256, (8, 12, 3), dtype=np.uint8)
    return torch.from_numpy(coarse.repeat(16, 0).repeat(16, 1))[None]


def full_memory(net: SipMaskPCAN) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    keys, values = memory_shapes(net.config)
    frames = net.config.frame_attention.memory_frames
    return torch.randn(keys), torch.randn(values), torch.ones(frames)


@torch.inference_mode()
def test_with_a_memory_but_untrained_it_is_sipmask_bit_for_bit() -> None:
    net = pcan()
    out = FramePass(net)(image(), *full_memory(net))
    maps = net.detector(net.normalise(image()))
    limits = detection_limits(net.config)
    plain = detect(maps, 0, candidates(maps, 0, (128, 192), 1.0, limits), limits)
    assert len(plain.boxes) == 10
    assert torch.equal(out[0], plain.boxes) and torch.equal(out[1], plain.scores)
    assert torch.equal(out[2], plain.labels)
    assert torch.equal(out[3], embeddings(maps.track[0], plain.boxes))
    initial = region_masks(maps.basis[0], plain.coefficients, plain.boxes, 28)
    assert torch.equal(out[5], initial)
    fresh = torch.ones(10)
    bank = torch.zeros(10, 9, net.config.instance_attention.key_channels)
    refined, _ = net.instance_attention(out[4], out[5], bank, fresh)
    assert torch.equal(refined, initial)


@torch.inference_mode()
def test_a_trained_memory_changes_the_fine_levels_and_leaves_p6_and_p7_alone() -> None:
    net = pcan()
    frame, memory = FramePass(net), full_memory(net)
    before = frame._remember(net.features(image()), *memory)[0]
    for module in net.frame_attention:
        torch.nn.init.normal_(module.fuse.weight, std=0.1)  # type: ignore[union-attr, arg-type]
    after = frame._remember(net.features(image()), *memory)[0]
    same = [torch.equal(a, b) for a, b in zip(before, after, strict=True)]
    assert same == [False, False, False, True, True]
    assert not torch.equal(frame(image(), *memory)[0], frame(image(), *full_memory(net))[0])


@torch.inference_mode()
def test_regions_read_by_sampling_are_those_of_roialign() -> None:
    net = pcan()
    memory = full_memory(net)
    operator, samples = FramePass(net)(image(), *memory), grid_sample(net).frame(image(), *memory)
    torch.testing.assert_close(operator[4], samples[4], atol=1e-4, rtol=1e-4)


@torch.inference_mode()
@pytest.mark.parametrize("seed", range(3))
def test_masks_on_regions_are_those_of_the_whole_image_but_at_the_border(seed: int) -> None:
    """Smooth shapes, as trained networks give.

    Whole-image masks round the box and its middle to pixels of the basis, regions do not.
    """
    torch.manual_seed(seed)
    basis = torch.nn.functional.interpolate(torch.randn(1, 6, 5, 7), size=(64, 96), mode="bicubic")[0]
    boxes = torch.from_numpy(np.abs(random_boxes(40, seed, size=110)))
    boxes = boxes[((boxes[:, 2:] - boxes[:, :2]) > 24).all(1)]
    coefficients = (2 * torch.randn(len(boxes), 1, 6) + 0.3 * torch.randn(len(boxes), 4, 6)).flatten(1)
    whole = paste(enlarge(crop_masks(basis, coefficients, boxes / 2), 2.0), (128, 192)).numpy()
    assert len(boxes) > 5 and whole.any((1, 2)).sum() > 5
    regions = region_masks(basis, coefficients, boxes, 56).numpy()
    agreement = []
    for logits, box, expected in zip(regions, boxes.numpy(), whole, strict=True):
        ours = paste_mask(logits, box, 128, 192).full(128, 192).astype(bool)
        x1, y1, x2, y2 = (*np.ceil(box[:2] + 2).astype(int), *np.floor(box[2:] - 2).astype(int))
        inner = slice(y1, y2), slice(x1, x2)
        agreement.append((ours[inner] == expected[inner]).mean())
    assert np.mean(agreement) > 0.985 and min(agreement) > 0.9


@pytest.mark.parametrize("signature", [static, grid_sample, sparse])
def test_the_tracker_runs_it_through_the_same_engine(signature: object) -> None:
    net = pcan(tracker={"init_score": 0.05, "track_score": 0.03, "match_score": 0.1})
    tracker = Tracker(TorchEngine(net, signature))  # type: ignore[arg-type]
    state, seen = tracker.start(), []
    for frame in range(4):
        pixels = np.roll(image()[0].numpy(), 2 * frame, 1)
        state, tracks = tracker.step(state, Frame(pixels, frame / 10))
        seen.append({i.track_id for i in tracks.found()})
    assert seen[0] and seen[0] & seen[1] & seen[3]
    assert any(i.mask.area for i in tracks.found())
