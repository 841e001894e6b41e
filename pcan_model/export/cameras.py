"""The frame pass of several cameras at once; their instance pass is that of one with as many more rows."""

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
        sources, parts, keys, values, following = zip(*found, strict=True)
        every = join(list(parts))
        regions = self._pool_all(sources, parts, every.boxes, self.net.config.heads.mask_size)
        embeds = self.net.embed(every, partial(self._pool_all, sources, parts))
        masks = self.net.initial_masks(regions, every.mask_source)
        olds, news = (memory_keys, memory_values, valid), (keys, values, following)
        kept = (_where(remember, torch.stack(new), old) for new, old in zip(news, olds, strict=True))
        return every.boxes, every.scores, every.labels, embeds, regions, masks, every.settled, *kept

    def _look(
        self, levels: list[Tensor], memory_keys: Tensor, memory_values: Tensor, valid: Tensor
    ) -> tuple[Source, Found, Tensor, Tensor, Tensor]:
        """Look at one camera's pyramid: what regions are read from, detections, next memory."""
        levels, keys, values = self._remember(levels, memory_keys, memory_values, valid)
        source = self._pack(levels)
        following = torch.cat([torch.ones_like(valid[:1]), valid[:-1]])
        return source, self._detect(levels, source), keys, values, following

    def _pool_all(
        self, sources: Sequence[Source], parts: Sequence[Found], boxes: Tensor, cells: int
    ) -> Tensor:
        """Read the regions of all cameras' boxes, each from its own pyramid."""
        own = boxes.split([len(part.boxes) for part in parts])
        return torch.cat([self._pool(*pair, cells) for pair in zip(sources, own, strict=True)])


def _where(remember: Tensor, new: Tensor, old: Tensor) -> Tensor:
    """Return the new memory of the cameras that remember, the old one of the others."""
    return torch.where(remember.reshape(-1, *[1] * (new.dim() - 1)) > 0, new, old)


def several(net: PCAN, cameras: int) -> PassSignature:
    """Return the passes for several cameras at once; regions are read by sampling, for TensorRT."""
    return replace(grid_sample(net), frame=BatchFramePass(net, grid_sample=True).eval(), cameras=cameras)
