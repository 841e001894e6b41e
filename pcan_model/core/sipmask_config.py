"""Constants of SipMask-VIS: head, association and training."""

from __future__ import annotations

from dataclasses import dataclass

from pcan_model.core.fields import setting, share


@dataclass(frozen=True, slots=True)
class SipMaskConfig:
    """SipMask's head, association and training (docs/sipmask.md); used with detector sipmask."""

    class_layers: int = setting(2, "blocks of the class tower", low=0)
    box_layers: int = setting(3, "blocks of the box tower", low=0)
    track_layers: int = setting(2, "blocks of the tracking tower", low=0)
    norm_groups: int = setting(32, "of group normalisation; divides backbone.channels", low=1)
    alignment_groups: int = setting(
        4, "offset groups of the deformable convolution; 0: a plain one, nothing is aligned", low=0
    )
    box_bias: float = setting(3.0, "distances that training starts from; the public code: 0", unit="strides")
    basis: int = setting(32, "basis masks; a detection has four times as many coefficients", low=1)
    hidden: int = setting(512, "channels before the basis", low=1)
    embedding: int = setting(512, "channels of the tracking map", low=1)
    per_level: int = setting(200, "cells of a level that may become detections", low=1)
    per_class: int = setting(200, "boxes of a class that enter suppression", low=1)
    score_weight: float = setting(1.0, "of the logarithm of the detection's score in SipMask's association")
    iou_weight: float = setting(2.0, "of the overlap of the boxes there")
    label_weight: float = setting(10.0, "of equal labels there")
    radius: float = setting(
        1.5, "half side of the square around an object's centre whose cells learn it", unit="strides", low=0.0
    )
    ranges: tuple[float, ...] = setting(
        (64.0, 128.0, 256.0, 512.0), "largest distance to a side learnt at P3 to P6", unit="pixels", low=0.0
    )
    focal_gamma: float = setting(2.0, "exponent of the focal loss", low=0.0)
    focal_alpha: float = share(0.25, "weight of positives in the focal loss")
    jitter: float = share(0.05, "largest move of a reference box in the match loss, share of its size")
    reference: bool = setting(False, "behave as the public code where that is at fault")
