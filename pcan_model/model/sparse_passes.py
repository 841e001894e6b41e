"""The two passes with heads on real detections and tracks only, for CPUs, where shapes may vary.

`pcan_street_tiny` pads to 32 detections; a street scene has about 15, and about five are tracked. These
passes compute embeddings of real detections only, and masks of tracks only, so the mask head moves to the
instance pass, after association. Inputs and outputs keep their padded shapes; valid rows equal those of
`passes`, the others are zeros.
"""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor, nn

from pcan_model.model.pass_names import DETECTIONS
from pcan_model.model.passes import FramePass
from pcan_model.model.pcan import PCAN


class SparseFramePass(FramePass):
    """Maps an image and the frame memory to detections, the levels of regions and the next frame memory."""

    def forward(
        self, image: Tensor, memory_keys: Tensor, memory_values: Tensor, valid: Tensor
    ) -> tuple[Tensor, ...]:
        """Detect objects; inputs as for `FramePass`.

        returns  boxes (D, 4) px, scores (D,) descending, 0 for padding, labels (D,), embeds (D, E),
                 the four levels that regions are pooled from, Found.mask_source unless labels,
                 () bool: NMS converged, next memory keys, values and validity
        """
        levels = self.net.features(image)
        levels, keys, values = self._remember(levels, memory_keys, memory_values, valid)
        source = self.net.region_levels(levels)
        pool = partial(pool_sparse, self.net, source)
        found = self.net.detect(levels, pool)
        scores = found.scores
        first = torch.ones_like(scores[:1])  # at least one row: runtimes differ on empty tensors
        rows = torch.cat([first, scores[1:]]).nonzero()[:, 0]
        own = self.net.embed(found.take(rows), pool)
        embeds = own.new_zeros(len(scores), own.shape[1]).index_copy(0, rows, own)
        following = torch.cat([torch.ones_like(valid[:1]), valid[:-1]])
        handed = () if self.net.mask_source in DETECTIONS else (found.mask_source,)
        boxes, labels, converged = found.boxes, found.labels, found.converged
        return boxes, scores, labels, embeds, *source, *handed, converged, keys, values, following


class SparseInstancePass(nn.Module):
    """Maps the levels of regions and the bank of the tracks' prototypes to masks and the next bank."""

    def __init__(self, net: PCAN) -> None:
        super().__init__()
        self.net = net

    def forward(self, *inputs: Tensor) -> tuple[Tensor, Tensor]:
        """Predict and refine the masks of all tracked detections, of which there is at least one.

        inputs   four levels, boxes (D, 4) and source (D, ...), see Found.mask_source, of the frame pass;
                 bank (M, K, Dk);
                 slot (D,), fresh (D,), owner (M,), has (M,)  as in structures.Slots
        returns  (D, 2S, 2S) logits and the next bank (M, K, Dk)
        """
        *levels, boxes, source, bank, slot, fresh, owner, has = inputs
        tracks = has.nonzero()[:, 0]
        rows = owner[tracks]
        regions = pool_sparse(self.net, levels, boxes[rows], self.net.config.heads.mask_size)
        masks = self.net.initial_masks(regions, source[rows])
        masks, prototypes = self.net.instance_attention(regions, masks, bank[slot[rows]], fresh[rows])
        padded = masks.new_zeros(len(boxes), *masks.shape[1:])
        return padded.index_copy(0, rows, masks), bank.index_copy(0, tracks, prototypes)


def pool_sparse(net: PCAN, levels: list[Tensor], boxes: Tensor, cells: int) -> Tensor:
    """Return the RoI features (R, C, cells, cells) of boxes (R, 4) in one image, each from its own level."""
    return net.pool(levels, net.region_boxes(boxes), torch.zeros_like(boxes[:, 0]), cells)
