"""PCAN, whole: the two passes that a frame goes through, with static shapes (Figures 2 and 3)."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from pcan_model.atlas import sample_regions
from pcan_model.boxes import decode, suppress
from pcan_model.config import Config
from pcan_model.detector import Detector, with_p6
from pcan_model.frame_attention.kinds import make_frame_attention
from pcan_model.frame_attention.seam import FrameAttention
from pcan_model.heads import STD, choose, lay_out, levels_of, pool_sheet
from pcan_model.instance_attention import make_instance_attention
from pcan_model.proposals import STRIDES


class PCAN(Detector):
    """The paper's form: a detector and both attentions; how they work together is in the passes below."""

    def __init__(self, config: Config) -> None:
        super().__init__(config)
        channels = config.backbone.channels
        self.frame_attention = nn.ModuleList(
            make_frame_attention(channels, config.frame_attention) for _ in config.frame_attention.levels
        )
        levels = config.frame_attention.levels if config.frame_attention.enabled else ()
        self._attended = [level - 2 for level in levels]
        self.instance_attention = make_instance_attention(channels, config.instance_attention)

    def attended(self) -> list[tuple[int, FrameAttention]]:
        """Return the frame attention modules at work, with the index of the level of each, P2 = 0."""
        return list(zip(self._attended, self.frame_attention))  # type: ignore[arg-type]  # noqa: B905, maybe none

    def level_sizes(self) -> list[tuple[int, int]]:
        """Return height and width of P2..P5."""
        size = self.config.input
        return [(size.height // stride, size.width // stride) for stride in STRIDES[:4]]


def with_rows(memory: Tensor, rows: int) -> Tensor:
    """Cut a level's memory (..., N, D) to the rows that it uses, or fill it up with zeros."""
    spare = rows - memory.shape[-2]
    return functional.pad(memory, (0, 0, 0, spare)) if spare else memory


class FramePass(nn.Module):
    """One picture and the frame memory to detections, their features, and the next frame memory."""

    def __init__(self, net: PCAN, *, sampled: bool = False) -> None:
        """Take a network.

        sampled  read regions by sampling (atlas.py) instead of RoIAlign: the same, without a plugin
        """
        super().__init__()
        self.net, self.sampled = net, sampled

    def forward(
        self, image: Tensor, memory_keys: Tensor, memory_values: Tensor, valid: Tensor
    ) -> tuple[Tensor, ...]:
        """Detect objects; all shapes are fixed by the configuration.

        image         (1, H, W, 3) uint8 RGB, letterboxed
        memory_keys   (L, T, N, D)   rows per level and memory frame, newest first; see memory_shapes
        memory_values (L, T, N, Cv)
        valid         (T,)           1 where the memory frame exists
        returns  boxes (D, 4) px, scores (D,) falling, 0 for padding, labels (D,), embeds (D, E),
                 RoI features (D, C, S, S), initial mask logits (D, 2S, 2S),
                 () bool: suppression settled, next memory keys, values and validity
        """
        levels = self.net.features(image)
        levels, keys, values = self._remember(levels, memory_keys, memory_values, valid)
        source = self._lay_out(levels)
        boxes, scores, labels, ok = self._detect(levels, source)
        heads = self.net.config.heads
        embeds = self.net.embedding_head(self._pool(source, boxes, heads.box_size))
        regions = self._pool(source, boxes, heads.mask_size)
        masks = choose(self.net.mask_head(regions), labels)
        following = torch.cat([torch.ones_like(valid[:1]), valid[:-1]])
        return boxes, scores, labels, embeds, regions, masks, ok, keys, values, following

    def _lay_out(self, levels: list[Tensor]) -> Tensor | list[Tensor]:
        """Return what regions are read off: the pyramid's sheet, or for sampling its levels."""
        return levels if self.sampled else lay_out(levels)

    def _pool(self, source: Tensor | list[Tensor], boxes: Tensor, cells: int) -> Tensor:
        """Read regions (R, C, cells, cells) of the one picture."""
        if isinstance(source, list):
            return sample_regions(source, boxes, levels_of(boxes), cells)
        return pool_sheet(source, self.net.level_sizes(), boxes, torch.zeros_like(boxes[:, 0]), cells)

    def _remember(
        self, levels: list[Tensor], memory_keys: Tensor, memory_values: Tensor, valid: Tensor
    ) -> tuple[list[Tensor], Tensor, Tensor]:
        """Read the memory into each attended level, and condense this frame for the next."""
        if not self.net.attended():
            return levels, memory_keys.clone(), memory_values.clone()
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
        return levels, torch.stack(new_keys), torch.stack(new_values)

    def _detect(
        self, levels: list[Tensor], source: Tensor | list[Tensor]
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Return the best D boxes, their scores and labels, and whether suppression settled."""
        head, config = self.net.proposals, self.net.config.heads
        size = self.net.config.input.height, self.net.config.input.width
        pyramid = with_p6(levels)
        logits, offsets = head(pyramid)
        count = head.config.count
        proposals, proposals_ok = head.propose(logits, offsets, head.anchors(pyramid), size, count)
        regions = self._pool(source, proposals[0], config.box_size)
        logits, offsets = self.net.box_head(regions)
        boxes = decode(offsets, proposals[0][:, None], STD, size)
        classes = logits.shape[1] - 1
        scores = logits.softmax(1)[:, :classes]
        boxes = boxes.expand(-1, classes, -1).flatten(0, 1)
        best, order = scores.flatten().topk(min(4 * config.detections, scores.numel()))
        boxes, labels = boxes[order], order % classes
        keep, ok = suppress(boxes[None], labels[None], config.nms_iou, self.net.config.proposals.nms_steps)
        best, order = (best * keep[0]).topk(config.detections)
        best = best * (best > config.score_threshold)
        return boxes[order], best, labels[order], ok & proposals_ok


class InstancePass(nn.Module):
    """Masks and the bank of per-track prototypes to final masks and the next bank."""

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
