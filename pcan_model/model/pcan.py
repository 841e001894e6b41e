"""PCAN's network: the detector with both attention modules (Figures 2 and 3)."""

from __future__ import annotations

from torch import nn

from pcan_model.core.config import Config
from pcan_model.model.detector import Detector
from pcan_model.model.frame_attention.base import FrameAttention
from pcan_model.model.frame_attention.factory import make_frame_attention
from pcan_model.model.instance_attention import make_instance_attention


class PCAN(Detector):
    """The paper's variant: a detector and both attention modules; `passes` and `sparse_passes` run them."""

    def __init__(self, config: Config) -> None:
        super().__init__(config)
        channels = config.backbone.channels
        self.frame_attention = nn.ModuleList(
            make_frame_attention(channels, config.frame_attention) for _ in config.frame_attention.levels
        )
        levels = config.frame_attention.levels if config.frame_attention.enabled else ()
        self._attended = [level - self.finest for level in levels]
        self.instance_attention = make_instance_attention(channels, config.instance_attention)

    def attended(self) -> list[tuple[int, FrameAttention]]:
        """Return each enabled frame attention module with the index of its level in `features`."""
        return list(zip(self._attended, self.frame_attention))  # type: ignore[arg-type]  # noqa: B905, empty if disabled
