"""PCAN on SipMask: the existing attention modules, and where the detector gives what they need.

Frame attention works on P3 to P5 behind the pyramid, and all towers see what it makes of them. P6 and P7
come of P5 as it was before. Instance attention reads regions of the fused levels and starts from the
basis' masks on them. Both begin as zeros, so that an untrained PCAN is SipMask bit for bit.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from pcan_model.core.config import Config
from pcan_model.model.boxes import suppress
from pcan_model.model.frame_attention.base import FrameAttention
from pcan_model.model.frame_attention.factory import make_frame_attention
from pcan_model.model.instance_attention import make_instance_attention
from pcan_model.model.pass_signature import PassSignature, state_shapes
from pcan_model.model.passes import FramePass, InstancePass
from pcan_model.sipmask.boxes import cell_points
from pcan_model.sipmask.config import STRIDES, SipMaskConfig
from pcan_model.sipmask.decode import cut
from pcan_model.sipmask.embeddings import embeddings
from pcan_model.sipmask.flat_maps import flatten
from pcan_model.sipmask.head import HeadMaps
from pcan_model.sipmask.network import SipMask
from pcan_model.sipmask.region_masks import region_masks

CANDIDATES = 400  # pairs of cell and class that compete in the suppression
FINEST = 3  # level of the first map; two-stage PCAN counts from 2
POOLED = 4  # levels that regions are read from: P3 to P6


class SipMaskPCAN(nn.Module):
    """SipMask with frame and instance attention; how they work together is in the passes below."""

    mean: Tensor  # (3, 1, 1) RGB

    def __init__(self, config: Config, sipmask: SipMaskConfig) -> None:
        super().__init__()
        self.config = config
        self.detector = SipMask(sipmask)
        channels, attention = sipmask.backbone.channels, config.frame_attention
        self.frame_attention = nn.ModuleList(
            make_frame_attention(channels, attention) for _ in attention.levels
        )
        self._attended = [level - FINEST for level in attention.levels if attention.enabled]
        self.instance_attention = make_instance_attention(channels, config.instance_attention)
        mean = torch.tensor(sipmask.image.mean).view(3, 1, 1)
        self.register_buffer("mean", mean, persistent=False)

    def attended(self) -> list[tuple[int, FrameAttention]]:
        """Return the frame attention modules at work, with the index of the level of each, P3 = 0."""
        return list(zip(self._attended, self.frame_attention))  # type: ignore[arg-type]  # noqa: B905, maybe none

    def features(self, images: Tensor) -> list[Tensor]:
        """Return P3 to P7 of images (B, H, W, 3) uint8 RGB, before any memory is read."""
        pixels = (images.float().permute(0, 3, 1, 2) - self.mean).flip(1)  # BGR
        fine, coarse = self.detector.levels(pixels)
        return fine + coarse

    def complete(self, levels: list[Tensor]) -> list[Tensor]:
        """Return what heads read once memories are read into P3 to P5: the levels as they are."""
        return levels

    def level_sizes(self) -> list[tuple[int, int]]:
        """Return height and width of the levels that regions are read from."""
        size = self.config.input
        return [(-(-size.height // stride), -(-size.width // stride)) for stride in STRIDES[:POOLED]]


class SipMaskFramePass(FramePass):
    """One image and the frame memory to detections, their features, and the next frame memory."""

    net: SipMaskPCAN  # type: ignore[assignment]

    def __init__(self, net: SipMaskPCAN, *, grid_sample: bool = False) -> None:
        super().__init__(net, grid_sample=grid_sample)  # type: ignore[arg-type]

    def forward(
        self, image: Tensor, memory_keys: Tensor, memory_values: Tensor, valid: Tensor
    ) -> tuple[Tensor, ...]:
        """Detect objects; inputs and outputs are those of the two-stage `FramePass`, all of fixed shape."""
        levels = self.net.features(image)
        levels, keys, values = self._remember(levels, memory_keys, memory_values, valid)
        maps: HeadMaps = self.net.detector.head(levels)
        boxes, scores, labels, cells, ok = self._choose(maps)
        embeds = embeddings(maps.track[0], boxes)
        heads = self.net.config.heads
        regions = self._pool(self._pack(levels[:POOLED]), boxes / 2, heads.mask_size)  # as if P3 were P2
        coefficients = flatten(maps).coefficients[0, cells]
        masks = region_masks(maps.basis[0], coefficients, boxes, 2 * heads.mask_size)
        following = torch.cat([torch.ones_like(valid[:1]), valid[:-1]])
        return boxes, scores, labels, embeds, regions, masks, ok, keys, values, following

    def _choose(self, maps: HeadMaps) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
        """Return the best D boxes, their scores, labels and cells, and whether suppression settled.

        One step of the suppression is fast NMS, which is always settled; more approach the greedy one.
        """
        config, rows = self.net.config, flatten(maps)
        scores = rows.logits[0].sigmoid() * rows.centres[0].sigmoid()[:, None]  # (P, classes)
        best, order = scores.flatten().topk(min(CANDIDATES, scores.numel()))
        cells, labels = order // scores.shape[1], order % scores.shape[1]
        sizes = [(x.shape[2], x.shape[3]) for x in maps.logits]
        points = torch.cat([cell_points(h, w, stride) for (h, w), stride in zip(sizes, STRIDES, strict=True)])
        boxes = rows.boxes(points.to(best.device))[0, cells]
        boxes = cut(boxes, (config.input.height, config.input.width))
        steps = config.proposals.nms_steps
        keep, settled = suppress(boxes[None], labels[None], config.heads.nms_iou, steps)
        best, chosen = (best * keep[0]).topk(config.heads.detections)
        best = best * (best > config.heads.score_threshold)
        ok = settled | torch.tensor(steps == 1)
        return boxes[chosen], best, labels[chosen], cells[chosen], ok


def static(net: SipMaskPCAN) -> PassSignature:
    """Both passes in fixed shapes; regions are read by RoIAlign."""
    return _passes(net, grid_sample=False)


def grid_sample(net: SipMaskPCAN) -> PassSignature:
    """The same; regions are read by sampling."""
    return _passes(net, grid_sample=True)


def _passes(net: SipMaskPCAN, *, grid_sample: bool) -> PassSignature:
    passes = SipMaskFramePass(net, grid_sample=grid_sample).eval(), InstancePass(net).eval()  # type: ignore[arg-type]
    return PassSignature(*passes, ("roi_features", "mask_logits"), *state_shapes(net.config))
