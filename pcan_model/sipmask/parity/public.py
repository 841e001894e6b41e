"""The configuration of the public SipMask-VIS code, whose images are padded at the right and below only."""

from __future__ import annotations

from dataclasses import replace

from pcan_model.core.config import load_config
from pcan_model.sipmask.suppression import detection_limits

_PRESET = load_config("sipmask_r50_youtube_vis")
PUBLIC = replace(_PRESET, input=replace(_PRESET.input, fit="resize", height=360, width=640))
LIMITS = detection_limits(PUBLIC)
