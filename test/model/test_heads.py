"""RoI pooling and the heads on RoI features."""

from __future__ import annotations

import torch
from support.parity import recorded
from torch import Tensor, nn
from torchvision.ops import roi_align

from pcan_model.core.config import HeadConfig
from pcan_model.model.heads import BoxHead, EmbeddingHead, MaskHead, aligned, choose, upsampled_masks
from pcan_model.model.roi_pooling import pool_by_level, pool_regions

CONFIG = HeadConfig(box_channels=24, mask_layers=1, embed_layers=1, embed_channels=10)


def levels() -> list[Tensor]:
    g = torch.Generator().manual_seed(0)
    return [torch.randn(2, 4, 512 // s, 768 // s, generator=g) for s in (4, 8, 16, 32)]


def regions() -> tuple[Tensor, Tensor, list[int]]:
    """Return boxes, the image of each, and the pyramid level that suits its side."""
    sides = [(10, 0), (111, 0), (112, 1), (223, 1), (224, 2), (447, 2), (448, 3), (500, 3), (0, 0)]
    boxes = torch.tensor(
        [[3.0 * i, 2.0 * i, 3.0 * i + side, 2.0 * i + side] for i, (side, _) in enumerate(sides)]
    )
    return boxes, torch.arange(len(sides)) % 2, [level for _, level in sides]


def test_each_box_is_pooled_from_the_level_that_suits_it() -> None:
    pyramid, (boxes, pixels, own) = levels(), regions()
    expected = torch.cat([
        roi_align(pyramid[level], torch.cat([p[None].float(), box])[None], 7, 1 / (4 * 2**level), 2, True)
        for box, p, level in zip(boxes, pixels, own, strict=True)
    ])  # fmt: skip
    static = pool_regions(
        pyramid, boxes, pixels, 7
    )  # boxes moved on the packed pyramid round at its coordinates
    torch.testing.assert_close(static, expected, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(pool_by_level(pyramid, boxes, pixels, 7), expected)


def test_boxes_at_the_edge_see_nothing_of_the_neighbouring_levels() -> None:
    pyramid = [torch.full((1, 1, 512 // s, 768 // s), float(s)) for s in (4, 8, 16, 32)]
    corners = [[0, 0], [768 - 60, 0], [0, 512 - 60], [768 - 60, 512 - 60]]
    small = torch.tensor([[x, y, x + 60, y + 60] for x, y in corners], dtype=torch.float32)
    large = torch.tensor([[0, 0, 768, 512], [0, 0, 240, 240], [528, 272, 768, 512], [0, 0, 120, 120]]).float()
    pooled = pool_regions(pyramid, torch.cat([small, large]), torch.zeros(8), 7)
    expected = torch.tensor([4.0] * 4 + [32, 16, 16, 8])
    torch.testing.assert_close(pooled, expected.view(8, 1, 1, 1).expand(-1, 1, 7, 7))


def test_the_levels_are_the_released_ones() -> None:
    arrays = recorded("blocks")
    one_hot = [torch.full((1, 1, 64 // 2**i, 64 // 2**i), float(i)) for i in range(4)]
    boxes = arrays["rois"][:, 1:]
    inside = boxes - boxes.min(1, keepdim=True).values.clamp_max(0)  # the value tells the level anywhere
    pooled = pool_regions(one_hot, inside.clamp_max(255), torch.zeros(len(boxes)), 1).flatten()
    small = (inside < 255).all(1)
    assert small.sum() > 20
    assert pooled[small].round().long().tolist() == arrays["roi_levels"][small].tolist()


def test_features_of_16_bits_do_not_round_the_boxes() -> None:
    pyramid, (boxes, pixels, _) = levels(), regions()
    boxes = (boxes + 250.3).clamp_max(511)  # between 256 and 512 a bfloat16 is even
    half = [level.bfloat16() for level in pyramid]
    exact = pool_by_level([level.float() for level in half], boxes, pixels, 7)
    for pool in (pool_regions, pool_by_level):
        pooled = pool(half, boxes, pixels, 7)
        assert pooled.dtype == torch.bfloat16
        torch.testing.assert_close(pooled.float(), exact, atol=0.02, rtol=0.01)


def test_zero_regions_are_supported() -> None:
    for pool in (pool_regions, pool_by_level):
        assert pool(levels(), torch.zeros(0, 4), torch.zeros(0), 7).shape == (0, 4, 7, 7)


def test_heads_predict_per_class_or_class_agnostic() -> None:
    x7, x14 = torch.randn(5, 16, 7, 7), torch.randn(5, 16, 14, 14)
    logits, offsets = BoxHead(16, 8, CONFIG)(x7)
    assert logits.shape == (5, 9) and offsets.shape == (5, 8, 4)
    assert MaskHead(16, 8, CONFIG)(x14).shape == (5, 8, 28, 28)
    agnostic = HeadConfig(box_channels=24, mask_layers=1, class_agnostic=True)
    assert BoxHead(16, 8, agnostic)(x7)[1].shape == (5, 1, 4)
    assert MaskHead(16, 8, agnostic)(x14).shape == (5, 1, 28, 28)
    assert EmbeddingHead(16, CONFIG)(x7).shape == (5, 10)


def test_choosing_takes_each_regions_own_class() -> None:
    per_class = torch.arange(24.0).reshape(2, 3, 4)
    assert torch.equal(
        choose(per_class, torch.tensor([2, 0])), torch.stack([per_class[0, 2], per_class[1, 0]])
    )
    masks = torch.randn(2, 3, 5, 5)
    assert torch.equal(choose(masks, torch.tensor([1, 1])), masks[:, 1])
    assert torch.equal(choose(per_class[:, :1], torch.tensor([2, 0])), per_class[:, 0])


def test_channels_added_for_the_runtime_change_nothing() -> None:
    for channels in (16, 29):
        layer, x = nn.Conv2d(channels, 5, 3, padding=1), torch.randn(2, channels, 6, 7)
        torch.testing.assert_close(aligned(layer, x), layer(x))


def test_upsampling_as_channels_gives_the_masks_of_the_upsampled_features() -> None:
    up, mask, x = nn.ConvTranspose2d(6, 4, 2, stride=2), nn.Conv2d(4, 3, 1), torch.randn(2, 6, 5, 5)
    torch.testing.assert_close(upsampled_masks(up, mask, x), mask(up(x).relu()))
