"""Every constant of SipMask-VIS as a field with its unit and meaning."""

from __future__ import annotations

from dataclasses import dataclass, field

from pcan_model.core.config import BackboneConfig

STRIDES = (8, 16, 32, 64, 128)  # pixels per cell of P3 to P7
MULTIPLE = 32  # the padded image is a multiple of it, pixels


@dataclass(frozen=True, slots=True)
class ImageConfig:
    """The image that the network sees: resized within a size, then padded to a multiple of 32."""

    height: int = 360  # limit of the short side, pixels
    width: int = 640  # limit of the long side
    mean: tuple[float, ...] = (122.7717, 115.9465, 102.9801)  # RGB, subtracted; nothing is divided


@dataclass(frozen=True, slots=True)
class SipMaskHeadConfig:
    """The head that all five levels share."""

    class_layers: int = 2  # blocks of the class tower
    box_layers: int = 3  # blocks of the box tower
    track_layers: int = 2  # blocks of the tracking tower
    norm_groups: int = 32  # of group normalisation
    alignment_groups: int = 4  # offset groups of the deformable convolution; 0: a plain one
    box_bias: float = 3.0  # distances that training starts from, strides; 0 in the public code: no area
    basis: int = 32  # maps that masks are combined from; a detection has four times as many coefficients
    hidden: int = 512  # channels before the basis
    embedding: int = 512  # channels of the tracking map


@dataclass(frozen=True, slots=True)
class DetectionConfig:
    """From maps to detections."""

    per_level: int = 200  # cells of a level that stay
    per_class: int = 200  # boxes of a class that enter suppression
    iou: float = 0.5  # a box goes when it overlaps a higher ranked one by more
    score: float = 0.03  # detections are above it
    count: int = 10  # detections of a frame


@dataclass(frozen=True, slots=True)
class AssociationConfig:
    """Weights of the cues that a detection's match with a remembered object is scored by."""

    score_weight: float = 1.0  # of the logarithm of the detection's score
    iou_weight: float = 2.0  # of the overlap of the boxes
    label_weight: float = 10.0  # of equal labels


@dataclass(frozen=True, slots=True)
class TargetConfig:
    """Which cells an object is learnt at, and how."""

    radius: float = 1.5  # half side of the square around an object's centre, strides
    ranges: tuple[float, ...] = (64, 128, 256, 512)  # largest distance to a side at P3 to P6, pixels
    focal_gamma: float = 2.0
    focal_alpha: float = 0.25  # weight of positives in the focal loss
    jitter: float = 0.05  # largest move of a reference box, share of its size


@dataclass(frozen=True, slots=True)
class SipMaskConfig:
    """Everything that decides what SipMask computes."""

    classes: int = 40  # of YouTube-VIS
    image: ImageConfig = field(default_factory=ImageConfig)
    backbone: BackboneConfig = field(default_factory=BackboneConfig)
    caffe: bool = True  # ResNet: the stride sits in the first 1x1 convolution of a stage
    head: SipMaskHeadConfig = field(default_factory=SipMaskHeadConfig)
    detection: DetectionConfig = field(default_factory=DetectionConfig)
    association: AssociationConfig = field(default_factory=AssociationConfig)
    targets: TargetConfig = field(default_factory=TargetConfig)
    reference: bool = False  # behave as the public code where that is at fault (docs/sipmask.md)
