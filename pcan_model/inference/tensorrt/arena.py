"""Allocations of device and pinned memory, freed together."""

from __future__ import annotations

import ctypes
from contextlib import suppress
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pcan_model.inference.errors import EngineLost
from pcan_model.inference.tensorrt.cuda import Address, Cuda


class Arena:
    """Allocates device and pinned memory, and frees all of it on close."""

    def __init__(self, cuda: Cuda) -> None:
        self._cuda = cuda
        self._device: list[Address] = []
        self._pinned: list[Address] = []
        self.device_bytes = 0

    def device(self, size: int) -> Address:
        """Allocate device memory of a size in bytes."""
        address = self._cuda.allocate(size)
        self._device.append(address)
        self.device_bytes += size
        return address

    def pinned(self, shape: tuple[int, ...], dtype: Any) -> NDArray[Any]:
        """Allocate an array in pinned host memory, valid until the arena is closed."""
        size = int(np.prod(shape, dtype=np.int64)) * np.dtype(dtype).itemsize
        address = self._cuda.pin(size)
        self._pinned.append(address)
        memory = (ctypes.c_byte * size).from_address(address)
        return np.frombuffer(memory, dtype).reshape(shape)

    def close(self) -> None:
        """Free everything; does nothing after a lost context."""
        for free, addresses in (
            (self._cuda.free, self._device),
            (self._cuda.unpin, self._pinned),
        ):
            while addresses:
                with suppress(EngineLost):
                    free(addresses.pop())
        self.device_bytes = 0
