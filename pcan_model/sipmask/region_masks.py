"""Initial masks for the instance attention: logits on a grid over each box."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from pcan_model.sipmask.masks import STRIDE


def region_masks(basis: Tensor, coefficients: Tensor, boxes: Tensor, cells: int) -> Tensor:
    """Combine the basis, read bilinearly at the cells' middles, with the quadrants' coefficients.

    basis        (M, h, w)
    coefficients (R, 4 M)  upper left, upper right, lower left, lower right
    boxes        (R, 4)    in pixels of the network input
    cells        along each side of the grid, an even number
    returns      (R, cells, cells) logits
    """
    half = cells // 2
    along = (torch.arange(cells, device=boxes.device, dtype=boxes.dtype) + 0.5) / cells
    places = boxes[:, None, :2] + along[:, None] * (boxes[:, None, 2:] - boxes[:, None, :2])
    extent = boxes.new_tensor([basis.shape[2] * STRIDE, basis.shape[1] * STRIDE])
    x, y = (2 * places / extent - 1).unbind(-1)  # (R, cells) each, in [-1, 1] over the basis
    shape = (len(boxes), cells, cells)
    grid = torch.stack([x[:, None].expand(shape), y[..., None].expand(shape)], -1)
    read = functional.grid_sample(
        basis[None], grid.reshape(1, -1, cells, 2), padding_mode="border", align_corners=False
    )[0]
    read = read.reshape(len(basis), len(boxes), 2, half, 2, half)
    own = coefficients.reshape(len(boxes), 2, 2, len(basis))
    return torch.einsum("mrisjt,rijm->risjt", read, own).reshape(shape)
