"""Clips of drawn frames."""

from __future__ import annotations

from abc import abstractmethod

from pcan_model.data.clips import Clip, ClipFrame, LabeledFrame, without_image


class DrawnClip(Clip):
    """A labelled clip whose frames are drawn with a mask for every object."""

    rate = 10.0
    labelled = True

    @abstractmethod
    def draw(self, index: int) -> LabeledFrame:
        """Draw one frame."""

    def read(self, index: int) -> ClipFrame:
        """Return one frame."""
        self._check_index(index, len(self))
        drawn = self.draw(index)
        return self._frame(index, drawn.image, without_image(drawn) if self.labelled else None)
