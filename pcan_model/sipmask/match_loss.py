"""Match loss: classify each positive as an object of the reference image, or as new."""

from __future__ import annotations

import torch
from torch import Tensor

from pcan_model.sipmask.embeddings import embeddings

NEW = 0  # the column of an object that the reference image does not show


def reference_columns(ids: Tensor, reference_ids: Tensor) -> Tensor:
    """Return where each object is among the reference's, from 1, or NEW.

    ids            (G,) identities in the key image
    reference_ids  (R,) in the reference image
    """
    same = ids[:, None] == reference_ids
    if not same.shape[1]:
        return torch.zeros_like(ids)
    return torch.where(same.any(1), same.int().argmax(1) + 1, NEW)


def move(boxes: Tensor, jitter: Tensor) -> Tensor:
    """Move centres of boxes (R, 4) by shares of their size and scale their sides: jitter (R, 4)."""
    size = boxes[:, 2:] - boxes[:, :2]
    centre = (boxes[:, :2] + boxes[:, 2:]) / 2 + size * jitter[:, :2]
    half = size * (1 + jitter[:, 2:]) / 2
    return torch.cat([centre - half, centre + half], 1)


def match_logits(
    track: Tensor, reference: Tensor, boxes: Tensor, reference_boxes: Tensor, *, as_reference: bool = False
) -> Tensor:
    """Compare positives with the reference image's objects.

    track            (E, h, w) tracking map of the key image
    reference        (E, h, w) of the reference image
    boxes            (R, 4) predicted, of the key image, pixels
    reference_boxes  (G, 4) of the reference image
    as_reference     clamp no centre to the map, as the public code
    returns          (R, 1 + G) 0 for a new object, then dot products
    """
    rows = embeddings(track, boxes, reference=as_reference)
    columns = embeddings(reference, reference_boxes, reference=as_reference)
    return torch.cat([rows.new_zeros(len(rows), 1), rows @ columns.T], 1)
