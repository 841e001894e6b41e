"""The two passes of a frame, with static shapes (Figures 2 and 3)."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from pcan_model.model.pcan import PCAN
from pcan_model.model.static_detection import StaticDetection


def with_rows(memory: Tensor, rows: int) -> Tensor:
    """Truncate or zero-pad a level's memory (..., N, D) to a number of rows."""
    spare = rows - memory.shape[-2]
    return functional.pad(memory, (0, 0, 0, spare)) if spare else memory


class FramePass(StaticDetection):
    """Maps an image and the frame memory to detections, their features and the next frame memory."""

    net: PCAN

    def forward(
        self, image: Tensor, memory_keys: Tensor, memory_values: Tensor, valid: Tensor
    ) -> tuple[Tensor, ...]:
        """Detect objects; all shapes are fixed by the configuration.

        image         (1, H, W, 3) uint8 RGB, letterboxed
        memory_keys   (L, T, N, D)   N rows per level and memory frame, newest first; see memory_shapes
        memory_values (L, T, N, Cv)
        valid         (T,)           1 where the memory frame exists
        returns  boxes (D, 4) px, scores (D,) descending, 0 for padding, labels (D,), embeds (D, E),
                 RoI features (D, C, S, S), initial mask logits (D, 2S, 2S),
                 () bool: NMS converged, next memory keys, values and validity
        """
        levels = self.net.features(image)
        levels, keys, values = self._remember(levels, memory_keys, memory_values, valid)
        source = self._pack(levels)
        found = self._detect(levels, source)
        described = self._describe(source, found)
        following = torch.cat([torch.ones_like(valid[:1]), valid[:-1]])
        return found.boxes, found.scores, found.labels, *described, found.converged, keys, values, following

    def _remember(
        self, levels: list[Tensor], memory_keys: Tensor, memory_values: Tensor, valid: Tensor
    ) -> tuple[list[Tensor], Tensor, Tensor]:
        """Fuse each attended level with the memory, and condense this frame for the next."""
        if not self.net.attended():
            return self.net.complete(levels), memory_keys.clone(), memory_values.clone()
        new_keys, new_values = [], []
        for i, (level, module) in enumerate(self.net.attended()):
            keys, values = module.encode(levels[level])
            old_k, old_v = memory_keys[i][None], memory_values[i][None]
            new_k, new_v = module.condense(keys, values, module.begin(old_k[:, 0], valid[0]))
            used = [with_rows(old, new_k.shape[1]) for old in (old_k, old_v)]
            levels[level] = module(levels[level], keys, values, *used, valid[None])
            new_k, new_v = (with_rows(new, old_k.shape[2]) for new in (new_k, new_v))
            new_keys.append(torch.cat([new_k, old_k[0, :-1]]))
            new_values.append(torch.cat([new_v, old_v[0, :-1]]))
        return self.net.complete(levels), torch.stack(new_keys), torch.stack(new_values)


class InstancePass(nn.Module):
    """Maps initial masks and the bank of per-track prototypes to final masks and the next bank."""

    def __init__(self, net: PCAN) -> None:
        super().__init__()
        self.attention = net.instance_attention

    def forward(
        self,
        features: Tensor,
        masks: Tensor,
        bank: Tensor,
        slot: Tensor,
        fresh: Tensor,
        owner: Tensor,
        has: Tensor,
    ) -> tuple[Tensor, Tensor]:
        """Refine the masks of D padded detections against a bank of M tracks.

        features (D, C, S, S), masks (D, 2S, 2S) logits, bank (M, K, Dk)
        slot (D,), fresh (D,), owner (M,), has (M,)  as in structures.Slots
        returns  (D, 2S, 2S) logits and the next bank (M, K, Dk)
        """
        refined, prototypes = self.attention(features, masks, bank[slot], fresh)
        return refined, torch.where(has[:, None, None] > 0, prototypes[owner], bank)
