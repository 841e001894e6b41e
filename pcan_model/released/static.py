"""The two passes of the released variant with static shapes, for export.

Differences from `ReleasedFramePass` and `ReleasedEngine`: detections are padded to a fixed number, NMS is a
fixed-point iteration (boxes.py), RoI features may be grid-sampled, and of a track's last matched region only
the inputs of its next refinement are stored: prototypes, mean feature and mask, a tenth of its features. The
initial prototypes of EM are therefore fixed.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from pcan_model.model.pass_signature import PassSignature, Shapes
from pcan_model.model.static_detection import StaticDetection
from pcan_model.released.frame_memory import Bank
from pcan_model.released.network import ReleasedPCAN
from pcan_model.released.refinement import Contrast, MaskedRegions, Reference


class StaticFramePass(StaticDetection):
    """Maps an image and the running means to detections, their features and the next running means."""

    net: ReleasedPCAN

    def forward(self, image: Tensor, *memory: Tensor) -> tuple[Tensor, ...]:
        """Detect objects; all shapes are fixed by the configuration.

        image    (1, H, W, 3) uint8 RGB, resized
        memory   per attended level the running mean (1, C, H / stride, W / stride), then per level the
                 initial prototypes (1, K, C), then (1,) 1 if there is a past frame
        returns  boxes (D, 4) px, scores (D,) descending, 0 for padding, labels (D,), embeds (D, E),
                 RoI features (D, C, S, S), initial mask logits (D, 2S, 2S),
                 () bool: NMS converged, next memory
        """
        levels = self.net.features(image)
        levels, bank = self.net.frame_memory(levels, self._bank(levels, memory))
        source = self._pack(levels)
        found = self._detect(levels, source)
        return (
            found.boxes,
            found.scores,
            found.labels,
            *self._describe(source, found),
            found.converged,
            *bank.features,
            *bank.starts,
            torch.ones_like(memory[-1]),
        )

    def _bank(self, levels: list[Tensor], memory: Sequence[Tensor]) -> Bank:
        """Return the bank in the memory, or that for the first frame."""
        *parts, valid = memory
        first, seen = self.net.frame_memory.first(levels), valid[:, None, None] > 0
        split = len(first.features)
        means = zip(parts[:split], first.features, strict=True)
        starts = zip(parts[split:], first.starts, strict=True)
        return Bank(
            tuple(torch.where(seen[..., None], old, new) for old, new in means),
            tuple(torch.where(seen, old, new) for old, new in starts),
        )


class StaticInstancePass(nn.Module):
    """Maps initial masks and the summaries of the tracks' last regions to final masks and next summaries."""

    def __init__(self, net: ReleasedPCAN) -> None:
        super().__init__()
        self.net = net

    def forward(
        self,
        features: Tensor,
        masks: Tensor,
        prototypes: Tensor,
        means: Tensor,
        grids: Tensor,
        slot: Tensor,
        fresh: Tensor,
        owner: Tensor,
        has: Tensor,
    ) -> tuple[Tensor, ...]:
        """Refine the masks of D padded detections by the summaries of M tracks.

        features   (D, C, S, S), masks (D, 2S, 2S) logits
        prototypes (M, K, C) foreground first, means (M, C) of the object, grids (M, S, S) mask logits
        slot (D,), fresh (D,), owner (M,), has (M,)  as in structures.Slots
        returns    (D, 2S, 2S) logits and the next prototypes, means and grids
        """
        refine, current = self.net.refine, MaskedRegions(features, masks)
        start = refine.prototypes.start()
        own = to_rows(refine.encode_reference(current, start))
        bank = prototypes, means, grids
        chosen = (where_rows(fresh, new, old[slot]) for new, old in zip(own, bank, strict=True))
        refined, _ = refine.decode_masks(to_reference(*chosen, split=start.foreground.shape[1]), current)
        following = (where_rows(has, new[owner], old) for new, old in zip(own, bank, strict=True))
        return refined, *following


def to_rows(reference: Reference) -> tuple[Tensor, Tensor, Tensor]:
    """Convert R references to rows: prototypes (R, K, C), means (R, C) and grids (R, S, S)."""
    halves = reference.prototypes
    prototypes = torch.cat([halves.foreground, halves.background], 1)
    return prototypes, reference.mean.flatten(1), reference.mask[:, 0]


def to_reference(prototypes: Tensor, means: Tensor, grids: Tensor, *, split: int) -> Reference:
    """Convert rows to references; the first `split` prototypes are those of the foreground."""
    halves = Contrast(prototypes[:, :split], prototypes[:, split:])
    return Reference(halves, means[..., None, None], grids[:, None])


def where_rows(flags: Tensor, yes: Tensor, no: Tensor) -> Tensor:
    """Select rows (R, ...) from either tensor by flags (R,)."""
    return torch.where(flags.reshape(-1, *[1] * (yes.dim() - 1)) > 0, yes, no)


def static(net: ReleasedPCAN) -> PassSignature:
    """Return the passes, with RoIAlign."""
    return _signature(net, grid_sample=False)


def grid_sample(net: ReleasedPCAN) -> PassSignature:
    """Return the passes for TensorRT, with grid sampling of 2 x 2 samples per RoI cell."""
    return _signature(net, grid_sample=True)


def _signature(net: ReleasedPCAN, *, grid_sample: bool) -> PassSignature:
    passes = StaticFramePass(net, grid_sample=grid_sample).eval(), StaticInstancePass(net).eval()
    return PassSignature(*passes, ("roi_features", "mask_logits"), _memory(net), _bank(net))


def _memory(net: ReleasedPCAN) -> Shapes:
    part, channels, sizes = net.config.frame_attention, net.config.backbone.channels, net.level_sizes()
    means = {f"mean_p{i + 2}": (1, channels, *sizes[i]) for i in net.frame_memory.own}
    starts = {f"start_p{i + 2}": (1, part.prototypes, channels) for i in net.frame_memory.own}
    return means | starts | {"valid": (1,)}


def _bank(net: ReleasedPCAN) -> Shapes:
    part, tracks, cells = (
        net.config.instance_attention,
        net.config.tracker.capacity,
        net.config.heads.mask_size,
    )
    return {
        "bank": (tracks, part.foreground + part.background, net.config.backbone.channels),
        "bank_mean": (tracks, net.config.backbone.channels),
        "bank_mask": (tracks, cells, cells),
    }
