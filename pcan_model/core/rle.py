"""COCO run lengths: a mask as text, checked before it is decoded."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as coco

from pcan_model.core.errors import DataError

Rle = dict[str, Any]  # size: [H, W]; counts: compressed (str, bytes) or a list of runs


def encode(mask: NDArray[np.generic]) -> Rle:
    """Return the run lengths of a mask (H, W) as JSON holds them: counts as text."""
    rle = coco.encode(np.asfortranarray(mask, np.uint8))
    return {"size": [int(side) for side in rle["size"]], "counts": rle["counts"].decode("ascii")}


def encode_objects(index: NDArray[np.int16], count: int) -> list[Rle]:
    """Return the run lengths of every object of an index map.

    index    (H, W)  k + 1 where object k is visible
    returns  one for each of the `count` objects
    """
    if not count:
        return []
    numbers = np.arange(1, count + 1, dtype=np.int16)
    # Columns first, as the library reads them: no copy is turned round.
    stack = np.asfortranarray(index)[..., None] == numbers
    rles = coco.encode(np.asfortranarray(stack, np.uint8))
    return [{"size": [int(s) for s in r["size"]], "counts": r["counts"].decode("ascii")} for r in rles]


def paint(index: NDArray[np.int16], rle: object, value: int, *, file: Path | str, key: str) -> None:
    """Write `value` into an index picture, in place, wherever a mask is.

    Raises DataError when the run lengths are none, or of another size than the picture.
    """
    size = rle.get("size") if isinstance(rle, dict) else None
    if size is not None and tuple(size) != index.shape:
        raise DataError(file, f"{key}.size", f"that of the picture {index.shape}", size)
    checked = check(rle, file=file, key=key)
    x, y, w, h = (int(side) for side in coco.toBbox(checked))
    box = (slice(y, y + h), slice(x, x + w))
    np.copyto(index[box], np.int16(value), where=coco.decode(checked)[box].astype(bool))


def check(rle: object, *, file: Path | str, key: str) -> Rle:
    """Return run lengths in compressed form; DataError unless they cover their size exactly."""
    if not isinstance(rle, dict) or "size" not in rle or "counts" not in rle:
        raise DataError(file, key, "COCO run lengths (size, counts)", _short(rle))
    size, counts = rle["size"], rle["counts"]
    if len(size) != 2 or not all(isinstance(side, int) and side > 0 for side in size):
        raise DataError(file, f"{key}.size", "[height, width]", size)
    try:
        runs = counts if isinstance(counts, list) else run_lengths(_bytes(counts))
        whole = bool(runs) and min(runs) >= 0 and sum(runs) == size[0] * size[1]
    except (TypeError, ValueError, IndexError):
        whole = False
    if not whole:  # the library reads past its buffer on counts that do not add up
        raise DataError(file, f"{key}.counts", f"run lengths that cover {tuple(size)}", _short(counts))
    if isinstance(counts, list):
        compressed: Rle = coco.frPyObjects({"size": size, "counts": counts}, size[0], size[1])
        return compressed
    return {"size": size, "counts": _bytes(counts)}


def run_lengths(counts: bytes) -> list[int]:
    """Return the run lengths of COCO's compressed string: 5 bits a byte, from the third on as differences."""
    runs: list[int] = []
    value = shift = 0
    for byte in counts:
        byte -= 48
        value |= (byte & 0x1F) << shift
        shift += 5
        if byte & 0x20:
            continue
        if byte & 0x10:
            value |= -1 << shift
        runs.append(value + (runs[-2] if len(runs) > 2 else 0))
        value = shift = 0
    return runs


def _bytes(counts: str | bytes) -> bytes:
    return counts.encode("ascii") if isinstance(counts, str) else bytes(counts)


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) < 60 else f"{text[:57]}..."
