"""The two passes with heads on real detections and tracks only, for CPUs, where shapes may vary.

`pcan_street_tiny` pads to 32 detections; a street scene has about 15, and about five are tracked. These
passes compute embeddings of real detections only, and masks of tracks only, so the mask head moves to the
instance pass, after association. Inputs and outputs keep their padded shapes; valid rows equal those of
`passes`, the others are zeros.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from pcan_model.model.heads import choose
from pcan_model.model.passes import FramePass
from pcan_model.model.pcan import PCAN
from pcan_model.model.roi_pooling import pack_with_edges, pool_packed


class SparseFramePass(FramePass):
    """Maps an image and the frame memory to detections, the packed pyramid and the next frame memory."""

    def forward(
        self, image: Tensor, memory_keys: Tensor, memory_values: Tensor, valid: Tensor
    ) -> tuple[Tensor, ...]:
        """Detect objects; inputs as for `FramePass`.

        returns  boxes (D, 4) px, scores (D,) descending, 0 for padding, labels (D,), embeds (D, E),
                 the packed pyramid of P2..P5 (1, C, height, width),
                 () bool: NMS converged, next memory keys, values and validity
        """
        levels = self.net.features(image)
        levels, keys, values = self._remember(levels, memory_keys, memory_values, valid)
        packed = pack_with_edges(levels)
        boxes, scores, labels, ok = self._detect(levels, packed)
        first = torch.ones_like(scores[:1])  # at least one row: runtimes differ on empty tensors
        rows = torch.cat([first, scores[1:]]).nonzero()[:, 0]
        own = self.net.embedding_head(self._pool(packed, boxes[rows], self.net.config.heads.box_size))
        embeds = own.new_zeros(len(boxes), own.shape[1]).index_copy(0, rows, own)
        following = torch.cat([torch.ones_like(valid[:1]), valid[:-1]])
        return boxes, scores, labels, embeds, packed, ok, keys, values, following


class SparseInstancePass(nn.Module):
    """Maps the packed pyramid and the bank of per-track prototypes to the tracks' masks and the next bank."""

    def __init__(self, net: PCAN) -> None:
        super().__init__()
        self.net = net

    def forward(
        self,
        packed: Tensor,
        boxes: Tensor,
        labels: Tensor,
        bank: Tensor,
        slot: Tensor,
        fresh: Tensor,
        owner: Tensor,
        has: Tensor,
    ) -> tuple[Tensor, Tensor]:
        """Predict and refine the masks of all tracked detections, of which there is at least one.

        packed, boxes (D, 4), labels (D,)  from the frame pass; bank (M, K, Dk)
        slot (D,), fresh (D,), owner (M,), has (M,)  as in structures.Slots
        returns  (D, 2S, 2S) logits and the next bank (M, K, Dk)
        """
        tracks = has.nonzero()[:, 0]
        rows = owner[tracks]
        regions = self.pool(packed, boxes[rows])
        masks = choose(self.net.mask_head(regions), labels[rows])
        masks, prototypes = self.net.instance_attention(regions, masks, bank[slot[rows]], fresh[rows])
        padded = masks.new_zeros(len(boxes), *masks.shape[1:])
        return padded.index_copy(0, rows, masks), bank.index_copy(0, tracks, prototypes)

    def pool(self, packed: Tensor, boxes: Tensor) -> Tensor:
        """Return the RoI features (R, C, S, S) of boxes (R, 4) for the mask head."""
        heads, image = self.net.config.heads, torch.zeros_like(boxes[:, 0])
        sizes, cells = self.net.level_sizes(), heads.mask_size
        return pool_packed(packed, sizes, boxes, image, cells, samples=heads.cell_samples)
