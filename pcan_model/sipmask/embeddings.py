"""Embeddings of boxes: the tracking map at the cell of a box's centre."""

from __future__ import annotations

import torch
from torch import Tensor

STRIDE = 8  # network pixels per cell of the tracking map


def centre_cells(boxes: Tensor, size: tuple[int, int], *, reference: bool = False) -> Tensor:
    """Return the cells (N, 2) row, column of box centres.

    boxes      (N, 4) in network pixels
    size       (height, width) of the tracking map; a centre beyond it reads the cell at the border
    reference  as the public code, which clamps nothing
    """
    x = ((boxes[:, 0] + boxes[:, 2]) / 2 / STRIDE).floor().long()
    y = ((boxes[:, 1] + boxes[:, 3]) / 2 / STRIDE).floor().long()
    if not reference:
        y, x = y.clamp(0, size[0] - 1), x.clamp(0, size[1] - 1)
    return torch.stack([y, x], 1)


def embeddings(track: Tensor, boxes: Tensor, *, reference: bool = False) -> Tensor:
    """Return embeddings (N, E) off the tracking map (E, h, w) of boxes (N, 4) in network pixels.

    With `reference` negative cells count from the far end and those beyond it raise IndexError.
    """
    cells = centre_cells(boxes, (track.shape[1], track.shape[2]), reference=reference)
    return track[:, cells[:, 0], cells[:, 1]].T
