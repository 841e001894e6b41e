"""Camera images in GPU memory, which an engine reads there instead of from the host."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np

from pcan_model.core.structures import CameraPlace

INTERFACE = "__cuda_array_interface__"


@dataclass(frozen=True, slots=True, eq=False)
class DeviceImage:
    """An image on device 0, read through its CUDA array interface (arrays of CuPy, torch, Numba).

    The array is referenced until the engine has copied it, and must not change until then. Work on the
    interface's `stream` is waited for on the device; without one the array must already be complete.
    Raises ValueError for anything but a contiguous (H, W, 3) uint8 array.
    """

    array: Any
    order: str = "rgb"  # of the channels, rgb | bgr
    shape: tuple[int, int, int] = field(init=False)
    address: int = field(init=False)  # of the first pixel, in device memory
    stream: int | None = field(init=False)  # CUDA stream that writes the image; None: it is complete

    dtype: ClassVar[np.dtype[np.uint8]] = np.dtype(np.uint8)

    def __post_init__(self) -> None:
        about = getattr(self.array, INTERFACE, None)
        if about is None:
            raise ValueError(f"DeviceImage: expected an array with {INTERFACE}, got {type(self.array)}")
        shape, kind, strides = tuple(about["shape"]), about["typestr"], about.get("strides")
        if len(shape) != 3 or shape[2] != 3 or 0 in shape or kind != "|u1" or about.get("mask") is not None:
            raise ValueError(f"DeviceImage: expected (H, W, 3) uint8 with H, W > 0, got {shape} {kind}")
        if strides is not None and tuple(strides) != (dense := (3 * shape[1], 3, 1)):
            raise ValueError(f"DeviceImage: strides: expected {dense}, a contiguous array, got {strides}")
        for name, value in (("shape", shape), ("address", about["data"][0]), ("stream", about.get("stream"))):
            object.__setattr__(self, name, value)


@dataclass(frozen=True, slots=True, eq=False)
class DeviceFrame:
    """One image of one camera on the device; like `Frame`, for `Tracker.prepare`."""

    image: DeviceImage
    stamp: float  # capture time in seconds
    place: CameraPlace | None = None  # of the camera; None: unknown
