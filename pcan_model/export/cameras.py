"""The frame pass for a batch of cameras; the instance pass is that of one camera with N times the rows."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from pcan_model.model.heads import choose
from pcan_model.model.pass_signature import PassSignature, grid_sample
from pcan_model.model.passes import FramePass
from pcan_model.model.pcan import PCAN


class BatchFramePass(FramePass):
    """The frame pass for images of N cameras, each with its own frame memory.

    Backbone, pyramid and RoI heads are batched over all images; memory, proposals and NMS are unrolled
    camera by camera. Outputs per detection are concatenated over the cameras.
    """

    def forward(  # type: ignore[override]
        self, image: Tensor, memory_keys: Tensor, memory_values: Tensor, valid: Tensor, remember: Tensor
    ) -> tuple[Tensor, ...]:
        """Detect objects; see `FramePass`.

        image         (N, H, W, 3)
        memory_keys   (N, L, T, P, D), memory_values (N, L, T, P, Cv), valid (N, T)
        remember      (N,)  1 to store the image in the camera's memory, 0 to leave the memory unchanged
        returns  as FramePass, (N * D, ...) for all cameras' detections; () bool: NMS converged for all;
                 next memories (N, ...)
        """
        pyramid = self.net.features(image)
        memories = zip(memory_keys, memory_values, valid, strict=True)
        outputs = [
            self._detect_camera([level[n : n + 1] for level in pyramid], *memory)
            for n, memory in enumerate(memories)
        ]
        box_rois, mask_rois, boxes, scores, labels, ok, keys, values, following = zip(*outputs, strict=True)
        regions, all_labels = torch.cat(mask_rois), torch.cat(labels)
        embeds = self.net.embedding_head(torch.cat(box_rois))
        masks = choose(self.net.mask_head(regions), all_labels)
        olds, news = (memory_keys, memory_values, valid), (keys, values, following)
        memory = (_where(remember, torch.stack(new), old) for new, old in zip(news, olds, strict=True))
        all_ok = torch.stack(ok).all()
        return torch.cat(boxes), torch.cat(scores), all_labels, embeds, regions, masks, all_ok, *memory

    def _detect_camera(
        self, levels: list[Tensor], memory_keys: Tensor, memory_values: Tensor, valid: Tensor
    ) -> tuple[Tensor, ...]:
        """Return one camera's RoI features for embeddings and for masks, its detections and next memory."""
        heads = self.net.config.heads
        levels, keys, values = self._remember(levels, memory_keys, memory_values, valid)
        source = self._pack(levels)
        boxes, scores, labels, ok = self._detect(levels, source)
        box_rois = self._pool(source, boxes, heads.box_size)
        mask_rois = self._pool(source, boxes, heads.mask_size)
        following = torch.cat([torch.ones_like(valid[:1]), valid[:-1]])
        return box_rois, mask_rois, boxes, scores, labels, ok, keys, values, following


def _where(remember: Tensor, new: Tensor, old: Tensor) -> Tensor:
    """Return the new memory of cameras where `remember` is 1, and the old one of the others."""
    return torch.where(remember.reshape(-1, *[1] * (new.dim() - 1)) > 0, new, old)


def several(net: PCAN, cameras: int) -> PassSignature:
    """Return the passes for a batch of cameras, for TensorRT; RoI features by grid sampling."""
    return replace(grid_sample(net), frame=BatchFramePass(net, grid_sample=True).eval(), cameras=cameras)
