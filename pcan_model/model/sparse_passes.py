"""The two passes with heads only on real detections and tracks: for processors, whose shapes may vary.

Of 32 padded detections of `pcan_street_tiny` a street holds 15, and about five of them are tracked. Here
only what was detected gets an embedding, and only what is tracked gets a mask, so both are in the
instance pass, behind the association. Inputs and outputs keep their padded shapes; rows that count are
those of `passes`, the others are zeros.
"""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor, nn

from pcan_model.model.pass_names import DETECTIONS
from pcan_model.model.passes import FramePass
from pcan_model.model.pcan import PCAN
from pcan_model.model.roi_pooling import pool_packed


class SparseFramePass(FramePass):
    """One image and the frame memory to detections, the packed pyramid, and the next frame memory."""

    def forward(
        self, image: Tensor, memory_keys: Tensor, memory_values: Tensor, valid: Tensor
    ) -> tuple[Tensor, ...]:
        """Detect objects; inputs as of `FramePass`.

        returns  boxes (D, 4) px, scores (D,) falling, 0 for padding, labels (D,), embeds (D, E),
                 the packed pyramid (1, C, height, width), what initial masks are made of unless labels,
                 () bool: suppression settled, next memory keys, values and validity
        """
        levels = self.net.features(image)
        levels, keys, values = self._remember(levels, memory_keys, memory_values, valid)
        packed = self._pack(levels)
        found = self._detect(levels, packed)
        scores = found.scores
        first = torch.ones_like(scores[:1])  # always, since runtimes differ in what they do with no rows
        rows = torch.cat([first, scores[1:]]).nonzero()[:, 0]
        own = self.net.embed(found.take(rows), partial(self._pool, packed))
        embeds = own.new_zeros(len(scores), own.shape[1]).index_copy(0, rows, own)
        following = torch.cat([torch.ones_like(valid[:1]), valid[:-1]])
        handed = () if self.net.mask_source in DETECTIONS else (found.mask_source,)
        boxes, labels, settled = found.boxes, found.labels, found.settled
        return boxes, scores, labels, embeds, packed, *handed, settled, keys, values, following


class SparseInstancePass(nn.Module):
    """The packed pyramid and the bank of per-track prototypes to the masks of tracks and the next bank."""

    def __init__(self, net: PCAN) -> None:
        super().__init__()
        self.net = net

    def forward(
        self,
        packed: Tensor,
        boxes: Tensor,
        source: Tensor,
        bank: Tensor,
        slot: Tensor,
        fresh: Tensor,
        owner: Tensor,
        has: Tensor,
    ) -> tuple[Tensor, Tensor]:
        """Make the masks of all tracked detections, at least one, and refine them.

        packed, boxes (D, 4), source (D, ...) of initial masks  of the frame pass; bank (M, K, Dk)
        slot (D,), fresh (D,), owner (M,), has (M,)  as in structures.Slots
        returns  (D, 2S, 2S) logits and the next bank (M, K, Dk)
        """
        tracks = has.nonzero()[:, 0]
        rows = owner[tracks]
        regions = self.pool(packed, boxes[rows])
        masks = self.net.initial_masks(regions, source[rows])
        masks, prototypes = self.net.instance_attention(regions, masks, bank[slot[rows]], fresh[rows])
        padded = masks.new_zeros(len(boxes), *masks.shape[1:])
        return padded.index_copy(0, rows, masks), bank.index_copy(0, tracks, prototypes)

    def pool(self, packed: Tensor, boxes: Tensor) -> Tensor:
        """Read the RoI features of boxes (R, 4) for masks, (R, C, S, S)."""
        heads, image = self.net.config.heads, torch.zeros_like(boxes[:, 0])
        sizes, cells = self.net.level_sizes(), heads.mask_size
        boxes = self.net.region_boxes(boxes)
        return pool_packed(packed, sizes, boxes, image, cells, samples=heads.cell_samples)
