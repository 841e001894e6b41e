"""The frame pass of several cameras at once; their instance pass is that of one with as many more rows."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from pcan_model.model.heads import choose
from pcan_model.model.pass_signature import PassSignature, grid_sample
from pcan_model.model.passes import FramePass
from pcan_model.model.pcan import PCAN


class BatchFramePass(FramePass):
    """Images of N cameras, each with a frame memory of its own, in one graph.

    Backbone, pyramid and the heads on detections run on all images together; memory, proposals and
    suppression are laid out camera by camera. Outputs per detection are one camera after the other.
    """

    def forward(  # type: ignore[override]
        self, image: Tensor, memory_keys: Tensor, memory_values: Tensor, valid: Tensor, remember: Tensor
    ) -> tuple[Tensor, ...]:
        """Detect objects; see `FramePass`.

        image         (N, H, W, 3)
        memory_keys   (N, L, T, P, D), memory_values (N, L, T, P, Cv), valid (N, T)
        remember      (N,)  1 where the image enters the camera's memory, which stays as it is where 0
        returns  as FramePass, (N * D, ...) of all cameras' detections; () bool: suppression settled for
                 all; next memories (N, ...)
        """
        pyramid = self.net.features(image)
        memories = zip(memory_keys, memory_values, valid, strict=True)
        found = [
            self._look([level[n : n + 1] for level in pyramid], *memory) for n, memory in enumerate(memories)
        ]
        cells, masked, boxes, scores, labels, settled, keys, values, following = zip(*found, strict=True)
        regions, labels_of_all = torch.cat(masked), torch.cat(labels)
        embeds = self.net.embedding_head(torch.cat(cells))
        masks = choose(self.net.mask_head(regions), labels_of_all)
        olds, news = (memory_keys, memory_values, valid), (keys, values, following)
        kept = (_where(remember, torch.stack(new), old) for new, old in zip(news, olds, strict=True))
        settled_all = torch.stack(settled).all()
        return torch.cat(boxes), torch.cat(scores), labels_of_all, embeds, regions, masks, settled_all, *kept

    def _look(
        self, levels: list[Tensor], memory_keys: Tensor, memory_values: Tensor, valid: Tensor
    ) -> tuple[Tensor, ...]:
        """Look at one camera's pyramid: regions for embeddings and masks, detections, next memory."""
        heads = self.net.config.heads
        levels, keys, values = self._remember(levels, memory_keys, memory_values, valid)
        source = self._pack(levels)
        boxes, scores, labels, ok = self._detect(levels, source)
        cells = self._pool(source, boxes, heads.box_size)
        masked = self._pool(source, boxes, heads.mask_size)
        following = torch.cat([torch.ones_like(valid[:1]), valid[:-1]])
        return cells, masked, boxes, scores, labels, ok, keys, values, following


def _where(remember: Tensor, new: Tensor, old: Tensor) -> Tensor:
    """Return the new memory of the cameras that remember, the old one of the others."""
    return torch.where(remember.reshape(-1, *[1] * (new.dim() - 1)) > 0, new, old)


def several(net: PCAN, cameras: int) -> PassSignature:
    """Return the passes for several cameras at once; regions are read by sampling, for TensorRT."""
    return replace(grid_sample(net), frame=BatchFramePass(net, grid_sample=True).eval(), cameras=cameras)
