"""Mapping of tensor names to those of the released checkpoint."""

from __future__ import annotations

import re

RULES = (  # our name to theirs; the first matching rule applies
    (r"backbone\.stages\.0\.0\.", "backbone.conv1."),
    (r"backbone\.stages\.0\.1\.", "backbone.bn1."),
    (r"backbone\.stages\.0\.4\.", "backbone.layer1."),
    (r"backbone\.stages\.1\.", "backbone.layer2."),
    (r"backbone\.stages\.2\.", "backbone.layer3."),
    (r"backbone\.stages\.3\.", "backbone.layer4."),
    (r"pyramid\.lateral\.(\d)\.", r"neck.lateral_convs.\1.conv."),
    (r"pyramid\.output\.(\d)\.", r"neck.fpn_convs.\1.conv."),
    (r"proposals\.layer\.", "rpn_head.rpn_conv."),
    (r"proposals\.objectness\.", "rpn_head.rpn_cls."),
    (r"proposals\.offsets\.", "rpn_head.rpn_reg."),
    (r"box_head\.hidden\.0\.", "roi_head.bbox_head.shared_fcs.0."),
    (r"box_head\.hidden\.2\.", "roi_head.bbox_head.shared_fcs.1."),
    (r"box_head\.logits\.", "roi_head.bbox_head.fc_cls."),
    (r"box_head\.offsets\.", "roi_head.bbox_head.fc_reg."),
    (r"mask_head\.layers\.(\d)\.", r"roi_head.mask_head.convs.\1.conv."),
    (r"mask_head\.upsample\.", "roi_head.mask_head.upsample."),
    (r"mask_head\.mask\.", "roi_head.mask_head.conv_logits."),
    (r"embedding_head\.hidden\.", "roi_head.track_head.fcs.0."),
    (r"embedding_head\.embed\.", "roi_head.track_head.fc_embed."),
    (r"refine\.prototypes\.", "roi_head.refine_head."),
    (r"refine\.mix\.", "roi_head.refine_head.conv1.conv."),
    (r"refine\.reference\.", "roi_head.refine_head.conv2.conv."),
    (r"refine\.head\.layers\.(\d)\.", r"roi_head.refine_head.convs.\1.conv."),
    (r"refine\.head\.upsample\.", "roi_head.refine_head.upsample."),
    (r"refine\.head\.mask\.", "roi_head.refine_head.conv_logits."),
    (r"frame_memory\.", ""),
)
EMBEDDING = re.compile(r"embedding_head\.layers\.(\d+)\.(.*)")  # convolution, norm and ReLU in turn


def released_name(name: str) -> str:
    """Return the released checkpoint's name of one of our tensors."""
    if layer := EMBEDDING.fullmatch(name):
        number, kind = divmod(int(layer[1]), 3)
        return f"roi_head.track_head.convs.{number}.{('conv', 'gn')[kind]}.{layer[2]}"
    for pattern, theirs in RULES:
        renamed, count = re.subn(f"^{pattern}", theirs, name)
        if count:
            return renamed
    raise KeyError(name)
