"""The frame pass for a batch of cameras; the instance pass is that of one camera with N times the rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial

import torch
from torch import Tensor

from pcan_model.model.found import Found, join
from pcan_model.model.pass_signature import PassSignature, grid_sample
from pcan_model.model.passes import FramePass
from pcan_model.model.pcan import PCAN

Source = Tensor | list[Tensor]  # what regions are read from, of one camera


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
        sources, parts, keys, values, following = zip(*outputs, strict=True)
        every = join(list(parts))
        regions = self._pool_all(sources, parts, every.boxes, self.net.config.heads.mask_size)
        embeds = self.net.embed(every, partial(self._pool_all, sources, parts))
        masks = self.net.initial_masks(regions, every.mask_source)
        olds, news = (memory_keys, memory_values, valid), (keys, values, following)
        memory = (_where(remember, torch.stack(new), old) for new, old in zip(news, olds, strict=True))
        return every.boxes, every.scores, every.labels, embeds, regions, masks, every.converged, *memory

    def _detect_camera(
        self, levels: list[Tensor], memory_keys: Tensor, memory_values: Tensor, valid: Tensor
    ) -> tuple[Source, Found, Tensor, Tensor, Tensor]:
        """Return one camera's source of RoI features, its detections and next memory."""
        levels, keys, values = self._remember(levels, memory_keys, memory_values, valid)
        source = self._pack(levels)
        following = torch.cat([torch.ones_like(valid[:1]), valid[:-1]])
        return source, self._detect(levels, source), keys, values, following

    def _pool_all(
        self, sources: Sequence[Source], parts: Sequence[Found], boxes: Tensor, cells: int
    ) -> Tensor:
        """Return the RoI features of all cameras' boxes, each from its own pyramid."""
        own = boxes.split([len(part.boxes) for part in parts])
        return torch.cat([self._pool(*pair, cells) for pair in zip(sources, own, strict=True)])


def _where(remember: Tensor, new: Tensor, old: Tensor) -> Tensor:
    """Return the new memory of cameras where `remember` is 1, and the old one of the others."""
    return torch.where(remember.reshape(-1, *[1] * (new.dim() - 1)) > 0, new, old)


def several(net: PCAN, cameras: int) -> PassSignature:
    """Return the passes for a batch of cameras, for TensorRT; RoI features by grid sampling."""
    return replace(grid_sample(net), frame=BatchFramePass(net, grid_sample=True).eval(), cameras=cameras)
