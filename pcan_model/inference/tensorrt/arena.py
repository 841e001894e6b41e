"""Device and pinned memory of one camera, freed together."""

from __future__ import annotations

import ctypes
from contextlib import suppress
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pcan_model.inference.errors import EngineLost
from pcan_model.inference.tensorrt.cuda import Address, Cuda


class Arena:
    """Hands out memory and takes it all back."""

    def __init__(self, cuda: Cuda) -> None:
        self._cuda = cuda
        self._device: list[Address] = []
        self._pinned: list[Address] = []
        self.device_bytes = 0

    def device(self, size: int) -> Address:
        """Return device memory of some bytes."""
        address = self._cuda.allocate(size)
        self._device.append(address)
        self.device_bytes += size
        return address

    def pinned(self, shape: tuple[int, ...], dtype: Any) -> NDArray[Any]:
        """Return an array in pinned memory of the host, which is only as good as this arena lives."""
        size = int(np.prod(shape, dtype=np.int64)) * np.dtype(dtype).itemsize
        address = self._cuda.pin(size)
        self._pinned.append(address)
        memory = (ctypes.c_byte * size).from_address(address)
        return np.frombuffer(memory, dtype).reshape(shape)

    def close(self) -> None:
        """Free everything; after a lost context there is nothing left to free, and no error."""
        for give_back, addresses in (
            (self._cuda.free, self._device),
            (self._cuda.unpin, self._pinned),
        ):
            while addresses:
                with suppress(EngineLost):
                    give_back(addresses.pop())
        self.device_bytes = 0
