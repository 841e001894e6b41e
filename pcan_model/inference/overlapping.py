"""What an engine on a device offers beyond the seam: the host may work on while it does."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray


@runtime_checkable
class Overlapping(Protocol):
    """An engine whose device works while the host, in the same thread, gets the next picture ready."""

    meanwhile: Callable[[], None] | None  # called in every pass, once the device is at work

    def stage(self, image: NDArray[np.uint8], memory: Any) -> None:
        """Begin to copy up a picture for the next `detect` of a camera.

        image   as `detect` takes it; only the very same array is recognised there
        memory  any of the camera's, also an old one
        """
