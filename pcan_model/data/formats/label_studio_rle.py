"""Label Studio's run lengths of brush masks: a stream of bits over the RGBA values of all pixels, row by row.

32 bits: number of values; 5: bits of a value, less 1; 4 times 4: bits of a length, less 1. Then runs: a bit
that is 1 for a value repeated and 0 for single values, 2 bits that choose one of the four sizes, the length
less 1, and the value or values.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

VALUE, SIZES = 8, (3, 4, 8, 16)  # bits of a value, and of lengths, as Label Studio writes them
CHANNELS = 4  # red, green, blue, and alpha, which is the mask


def encode_rle(mask: NDArray[np.generic]) -> list[int]:
    """Return the bytes of a mask (H, W), not 0 on the object."""
    values = np.asarray(mask).reshape(-1) != 0
    edges = np.flatnonzero(np.diff(values)) + 1
    starts, ends = (np.concatenate(parts) for parts in (([0], edges), (edges, [values.size])))
    bits = [f"{CHANNELS * values.size:032b}", f"{VALUE - 1:05b}", *(f"{size - 1:04b}" for size in SIZES)]
    for start, end in zip(starts.tolist(), ends.tolist(), strict=True):
        value, left = 255 * int(values[start]), CHANNELS * (end - start)
        while left:
            size = next((k for k, size in enumerate(SIZES) if left <= 1 << size), len(SIZES) - 1)
            part = min(left, 1 << SIZES[size])
            bits.append(f"1{size:02b}{part - 1:0{SIZES[size]}b}{value:0{VALUE}b}")
            left -= part
    text = "".join(bits)
    text += "0" * (-len(text) % 8)
    return list(int(text, 2).to_bytes(len(text) // 8, "big"))


def decode_rle(data: Sequence[int], size: tuple[int, int]) -> NDArray[np.uint8]:
    """Return the mask (H, W) of bytes, 1 on the object; raises ValueError unless they cover the image."""
    count = CHANNELS * size[0] * size[1]
    stream = _Bits(bytes(data))
    if (number := stream.read(32)) != count:
        raise ValueError(f"{count} values, four for each pixel; the run lengths have {number}")
    width = stream.read(5) + 1
    sizes = [stream.read(4) + 1 for _ in range(4)]
    values, place = np.zeros(count, np.uint8), 0
    while place < count:
        repeated = stream.read(1)
        end = place + 1 + stream.read(sizes[stream.read(2)])
        if end > count:
            raise ValueError(f"{count} values; the run lengths have more")
        if repeated:
            values[place:end] = stream.read(width) > 0
        else:
            values[place:end] = [stream.read(width) > 0 for _ in range(place, end)]
        place = end
    return values.reshape(*size, CHANNELS)[..., CHANNELS - 1]


class _Bits:
    """Reads numbers from a string of bits."""

    def __init__(self, data: bytes) -> None:
        self._bits, self._place = "".join(f"{byte:08b}" for byte in data), 0

    def read(self, size: int) -> int:
        """Read a number of `size` bits; raises ValueError at the end."""
        end = self._place + size
        if end > len(self._bits):
            raise ValueError("more bytes; the run lengths are cut off")
        text, self._place = self._bits[self._place : end], end
        return int(text, 2)
