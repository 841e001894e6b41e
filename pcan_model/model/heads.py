"""What is read off a region of interest: class and box, mask, appearance."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional
from torchvision.ops import roi_align

from pcan_model.core.config import HeadConfig
from pcan_model.model.roi_pooling import corners, pack

STD = (0.1, 0.2)  # of the box head's offsets
FINEST = 56.0  # pixels; regions of up to twice this side are read from P2, each doubling from one level up


def pool_regions(levels: list[Tensor], boxes: Tensor, picture: Tensor, cells: int) -> Tensor:
    """RoIAlign (aligned, 2 x 2 samples a cell), each box from the level that suits its size.

    levels  P2..P5, (B, C, H / stride, W / stride)
    boxes   (R, 4) pixels of the network input, inside the picture
    picture (R,)   which of the B pictures each box lies in
    returns (R, C, cells, cells)

    All levels lie side by side on one sheet, so that each box is pooled once and shapes are static.
    """
    sizes = [(level.shape[2], level.shape[3]) for level in levels]
    return pool_sheet(lay_out(levels), sizes, boxes, picture, cells).to(levels[0].dtype)


def lay_out(levels: list[Tensor]) -> Tensor:
    """Lay the levels (B, C, H, W) on one sheet, with the edges around each that RoIAlign repeats."""
    return pack([functional.pad(level.float(), (1, 1, 1, 1), mode="replicate") for level in levels])[0]


def pool_sheet(
    sheet: Tensor,
    sizes: list[tuple[int, int]],
    boxes: Tensor,
    picture: Tensor,
    cells: int,
    *,
    samples: int = 2,
) -> Tensor:
    """Pool regions as `pool_regions` does, off the sheet of levels of these heights and widths.

    samples  of a cell along each axis; 0: one per pixel of the level
    """
    level = levels_of(boxes)
    scale = boxes.new_tensor([2.0 ** -(i + 2) for i in range(len(sizes))], dtype=torch.float32)[level]
    first = corners([(height + 2, width + 2) for height, width in sizes]).to(boxes.device) + 1
    rois = _rois(boxes.float() * scale[:, None] + first[level].repeat(1, 2), picture)
    return roi_align(sheet, rois, cells, 1.0, samples, True)


def pool_regions_once(
    levels: list[Tensor], boxes: Tensor, picture: Tensor, cells: int, *, samples: int = 2
) -> Tensor:
    """The same as `pool_regions`, each box on its own level only: where shapes may vary.

    samples  of a cell along each axis; 0: one per pixel of the level
    """
    level, rois = levels_of(boxes), _rois(boxes, picture)
    own = [(level == i).nonzero()[:, 0] for i in range(len(levels))]
    pooled = torch.cat([_align(levels, i, rois[index], cells, samples) for i, index in enumerate(own)])
    return pooled[torch.cat(own).argsort()]


def levels_of(boxes: Tensor) -> Tensor:
    """Index of the level of each box: P2 = 0 below twice FINEST, one more for each doubling."""
    side = (boxes[:, 2:] - boxes[:, :2]).prod(-1).clamp_min(0).sqrt()
    return (side >= FINEST * 2).long() + (side >= FINEST * 4).long() + (side >= FINEST * 8).long()


def _rois(boxes: Tensor, picture: Tensor) -> Tensor:
    return torch.cat([picture.to(boxes.dtype)[:, None], boxes], 1)


def _align(levels: list[Tensor], i: int, rois: Tensor, cells: int, samples: int = 2) -> Tensor:
    """Pool one level; in 32 bits at least, since bfloat16 would move a box at column 500 by up to a pixel."""
    wide = torch.promote_types(levels[i].dtype, torch.float32)
    pooled = roi_align(levels[i].to(wide), rois.to(wide), cells, 2.0 ** -(i + 2), samples, True)
    return pooled.to(levels[i].dtype)


class BoxHead(nn.Module):
    """Two hidden layers; class logits (the last is background) and box offsets."""

    def __init__(self, channels: int, classes: int, config: HeadConfig) -> None:
        super().__init__()
        self.agnostic = config.class_agnostic
        hidden = config.box_channels
        self.hidden = nn.Sequential(
            nn.Linear(channels * config.box_size**2, hidden), nn.ReLU(), nn.Linear(hidden, hidden), nn.ReLU()
        )
        self.logits = nn.Linear(hidden, classes + 1)
        self.offsets = nn.Linear(hidden, 4 if config.class_agnostic else 4 * classes)
        nn.init.normal_(self.logits.weight, std=0.01)
        nn.init.normal_(self.offsets.weight, std=0.001)

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """Return (R, K + 1) logits and (R, K or 1, 4) offsets of RoI features (R, C, 7, 7)."""
        x = self.hidden(features.flatten(1))
        return self.logits(x), self.offsets(x).unflatten(1, (-1, 4))


class MaskHead(nn.Module):
    """The initial mask of each region: (R, C, S, S) -> (R, K or 1, 2S, 2S) logits."""

    def __init__(self, channels: int, classes: int, config: HeadConfig) -> None:
        super().__init__()
        self.layers = nn.ModuleList(
            nn.Conv2d(channels, channels, 3, padding=1) for _ in range(config.mask_layers)
        )
        self.upsample = nn.ConvTranspose2d(channels, channels, 2, stride=2)
        self.mask = nn.Conv2d(channels, 1 if config.class_agnostic else classes, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Return one map of logits per class."""
        for layer in self.layers:
            x = layer(x).relu()
        logits: Tensor = self.mask(self.upsample(x).relu())
        return logits


class EmbeddingHead(nn.Module):
    """The appearance of each region, for quasi-dense matching: (R, C, 7, 7) -> (R, E)."""

    def __init__(self, channels: int, config: HeadConfig) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for _ in range(config.embed_layers):
            norm = nn.GroupNorm(min(32, channels // 4), channels)
            layers += [nn.Conv2d(channels, channels, 3, padding=1, bias=False), norm, nn.ReLU()]
        self.layers = nn.Sequential(*layers)
        width = max(config.box_channels, config.embed_channels)
        self.hidden = nn.Linear(channels * config.box_size**2, width)
        self.embed = nn.Linear(width, config.embed_channels)

    def forward(self, x: Tensor) -> Tensor:
        """Return embeddings, not normalised."""
        embeds: Tensor = self.embed(self.hidden(self.layers(x).flatten(1)).relu())
        return embeds


def choose(per_class: Tensor, labels: Tensor) -> Tensor:
    """Of (R, K or 1, ...) take each region's own class: (R, ...), by products, which export."""
    if per_class.shape[1] == 1:
        return per_class[:, 0]
    chosen = labels[:, None] == torch.arange(per_class.shape[1], device=labels.device)
    chosen = chosen.unflatten(1, (per_class.shape[1],) + (1,) * (per_class.dim() - 2))
    return (per_class * chosen).sum(1)
