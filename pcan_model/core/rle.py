"""COCO run-length encoding of masks, validated before decoding."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as coco

from pcan_model.core.errors import DataError
from pcan_model.core.numbers import whole

Rle = dict[str, Any]  # size: [H, W]; counts: compressed (str, bytes) or a list of runs
MOST_PIXELS = 1 << 28  # per image, to protect against exhausting the memory
MOST_BITS = 35  # per run length


def encode(mask: NDArray[np.generic]) -> Rle:
    """Return the run lengths of a mask (H, W) for JSON: counts as text."""
    rle = coco.encode(np.asfortranarray(mask, np.uint8))
    return {"size": [int(side) for side in rle["size"]], "counts": rle["counts"].decode("ascii")}


def encode_objects(index: NDArray[np.int16], count: int) -> list[Rle]:
    """Return the run lengths of every object of an index map.

    index    (H, W)  k + 1 where object k is visible
    returns  one per object, `count` in all
    """
    if not count:
        return []
    numbers = np.arange(1, count + 1, dtype=np.int16)
    # Column-major, as pycocotools expects, which avoids a copy.
    stack = np.asfortranarray(index)[..., None] == numbers
    rles = coco.encode(np.asfortranarray(stack, np.uint8))
    return [{"size": [int(s) for s in r["size"]], "counts": r["counts"].decode("ascii")} for r in rles]


def paint(index: NDArray[np.int16], rle: object, value: int, *, file: Path | str, key: str) -> None:
    """Write `value` into an index image, in place, at the pixels of a mask.

    Raises DataError for invalid run lengths, or ones of another size than the image.
    """
    checked = check(rle, file=file, key=key, size=(index.shape[0], index.shape[1]))
    x, y, w, h = (int(side) for side in coco.toBbox(checked))
    box = (slice(y, y + h), slice(x, x + w))
    np.copyto(index[box], np.int16(value), where=coco.decode(checked)[box].astype(bool))


def check(
    rle: object,
    *,
    file: Path | str,
    key: str,
    size: tuple[int, int] | None = None,
    whose: str = "the image",
) -> Rle:
    """Return run lengths in compressed form; raises DataError unless they cover their size exactly.

    size   expected (H, W), that of `whose`; None: any
    """
    if not isinstance(rle, dict) or "size" not in rle or "counts" not in rle:
        raise DataError(file, key, "COCO run lengths (size, counts)", _short(rle))
    own = size_of(rle)
    if own is None:
        raise DataError(
            file, f"{key}.size", f"[height, width], at most {MOST_PIXELS} pixels", _short(rle["size"])
        )
    if size is not None and own != tuple(size):
        raise DataError(file, f"{key}.size", f"that of {whose} {tuple(size)}", rle["size"])
    counts = rle["counts"]
    try:
        runs = _runs(counts) if isinstance(counts, list) else run_lengths(_bytes(counts))
        valid = bool(runs) and min(runs) >= 0 and sum(runs) == own[0] * own[1]
    except (TypeError, ValueError, IndexError):
        valid = False
    if not valid:  # pycocotools reads past its buffer on counts that do not add up
        expected = f"run lengths that cover {own}"
        if str(counts).startswith(("b'", 'b"')):
            expected += ", decoded to text and not Python's print of bytes"
        raise DataError(file, f"{key}.counts", expected, _short(counts))
    if isinstance(counts, list):
        compressed: Rle = coco.frPyObjects({"size": list(own), "counts": counts}, own[0], own[1])
        return compressed
    return {"size": list(own), "counts": _bytes(counts)}


def size_of(rle: object) -> tuple[int, int] | None:
    """Return the (H, W) of run lengths; None if missing or invalid."""
    size = rle.get("size") if isinstance(rle, dict) else None
    return size_from(*size) if isinstance(size, (list, tuple)) and len(size) == 2 else None


def size_from(height: object, width: object) -> tuple[int, int] | None:
    """Return (H, W) as integers; None unless valid for an image."""
    sides = whole(height), whole(width)
    if sides[0] is None or sides[1] is None or min(sides[0], sides[1]) < 1:
        return None
    return (sides[0], sides[1]) if sides[0] * sides[1] <= MOST_PIXELS else None


def _runs(counts: list[Any]) -> list[int]:
    if not all(type(run) is int for run in counts):
        raise TypeError("expected whole numbers")
    return counts


def run_lengths(counts: bytes) -> list[int]:
    """Decode COCO's compressed string: 5 bits per byte, from the third run on as differences.

    Raises ValueError for an invalid string.
    """
    runs: list[int] = []
    value = shift = 0
    for byte in counts:
        byte -= 48
        if not 0 <= byte < 64 or shift > MOST_BITS:
            raise ValueError("expected bytes of COCO's run lengths")
        value |= (byte & 0x1F) << shift
        shift += 5
        if byte & 0x20:
            continue
        if byte & 0x10:
            value |= -1 << shift
        runs.append(value + (runs[-2] if len(runs) > 2 else 0))
        value = shift = 0
    if shift:
        raise ValueError("expected the end of a run length")
    return runs


def _bytes(counts: object) -> bytes:
    if not isinstance(counts, (str, bytes)):
        raise TypeError("expected text or bytes")
    return counts.encode("ascii") if isinstance(counts, str) else counts


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) < 60 else f"{text[:57]}..."
