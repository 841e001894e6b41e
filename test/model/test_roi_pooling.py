"""Regions by sampling: RoIAlign's numbers without its operator."""

from __future__ import annotations

import pytest
import torch
from torchvision.ops import roi_align

from pcan_model.model.roi_pooling import levels_of, pack, pool_regions, sample_regions

HEIGHT, WIDTH = 384, 640


def pyramid() -> list[torch.Tensor]:
    g = torch.Generator().manual_seed(0)
    return [torch.randn(1, 8, HEIGHT // s, WIDTH // s, generator=g) for s in (4, 8, 16, 32)]


def regions(count: int = 200) -> torch.Tensor:
    """Return boxes of all sizes, among them the whole image, empty ones and ones at the borders."""
    g = torch.Generator().manual_seed(1)
    size = torch.tensor([WIDTH, HEIGHT])
    first = torch.rand(count, 2, generator=g) * size
    last = torch.minimum(first + torch.rand(count, 2, generator=g) ** 2 * size, size)
    corners = [[0, 0, WIDTH, HEIGHT], [0, 0, 0, 0], [WIDTH, HEIGHT, WIDTH, HEIGHT], [WIDTH - 1, 0, WIDTH, 1]]
    return torch.cat([torch.cat([first, last], 1), torch.tensor(corners).float()])


@pytest.mark.parametrize("cells", [7, 14])
def test_sampling_gives_what_roi_align_gives(cells: int) -> None:
    levels, boxes = pyramid(), regions()
    own = levels_of(boxes)
    assert len(own.unique()) == 4, "a level is never read"
    expected = torch.stack([
        roi_align(levels[i], [box[None]], cells, 1 / 2 ** (i + 2), 2, True)[0]
        for box, i in zip(boxes, own.tolist(), strict=True)
    ])  # fmt: skip
    sampled = sample_regions(levels, boxes, own, cells)
    torch.testing.assert_close(sampled, expected, atol=2e-4, rtol=0)
    torch.testing.assert_close(
        sampled, pool_regions(levels, boxes, torch.zeros(len(boxes)), cells), atol=2e-4, rtol=0
    )


def test_a_level_reads_nothing_of_its_neighbours_in_the_packed_pyramid() -> None:
    levels = [torch.full((1, 1, HEIGHT // s, WIDTH // s), float(s)) for s in (4, 8, 16, 32)]
    boxes = regions()
    own = levels_of(boxes)
    values = sample_regions(levels, boxes, own, 7)
    assert torch.equal(values, (4.0 * 2**own)[:, None, None, None].expand_as(values))


def test_every_level_lies_whole_in_the_packed_pyramid() -> None:
    levels = pyramid()
    packed, corners = pack(levels)
    for level, (x, y) in zip(levels, corners.long().tolist(), strict=True):
        height, width = level.shape[2:]
        assert torch.equal(packed[:, :, y : y + height, x : x + width], level)
    assert packed.shape[2:] == (HEIGHT // 4 + HEIGHT // 8, WIDTH // 4)
