"""A recorded file whose every array is either read as an input or compared."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from torch import Tensor


@dataclass(frozen=True, slots=True)
class Comparison:
    """One quantity beside the recorded one."""

    name: str  # of the recorded array
    difference: float  # largest, in the unit of the tolerance; infinite where shapes differ
    tolerance: float  # 0: equal
    remark: str = ""

    @property
    def agrees(self) -> bool:
        """Say whether the difference is within the tolerance; one that is not a number is not."""
        return self.difference <= self.tolerance

    def __str__(self) -> str:
        allowed = f"{self.tolerance:7.0e}" if self.tolerance else "  equal"
        verdict = "" if self.agrees else "  DISAGREES"
        remark = f"  ({self.remark})" if self.remark else ""
        return f"{self.name:36} {allowed} {self.difference:9.1e}{verdict}{remark}"


class Recording:
    """The arrays of one file, and what became of them."""

    def __init__(self, path: Path) -> None:
        with np.load(path) as arrays:
            self.arrays: dict[str, NDArray[Any]] = dict(arrays)
        self.path = path
        self.inputs: set[str] = set()
        self.comparisons: list[Comparison] = []

    def __contains__(self, name: str) -> bool:
        return name in self.arrays

    def given(self, name: str) -> NDArray[Any]:
        """Return an array as an input."""
        self.inputs.add(name)
        return self.arrays[name]

    def shape(self, name: str) -> tuple[int, ...]:
        """Return the shape of an array, which need not have been recorded whole."""
        return self.arrays[name].shape

    def check(self, name: str, ours: ArrayLike | Tensor, tolerance: float = 0, *, scale: Any = 1) -> None:
        """Compare an array; the difference is divided by `scale`. An array not in the file is passed by."""
        if name not in self.arrays:
            return
        expected, got = self.arrays[name], to_numpy(ours)
        if got.shape != expected.shape:
            remark = f"expected {expected.shape}, got {got.shape}"
            self.comparisons.append(Comparison(name, float("inf"), tolerance, remark))
            return
        if expected.dtype.kind in "US":
            difference = float((got != expected).any())
        else:
            difference = largest_difference(got, expected, scale)
        self.comparisons.append(Comparison(name, difference, tolerance))

    def check_thinned(self, name: str, ours: ArrayLike | Tensor, tolerance: float = 0) -> None:
        """Compare an array of which only every n-th element along some axes was recorded."""
        if name in self.arrays:
            self.check(name, thin(ours, self.arrays[name].shape), tolerance)

    def check_absent(self, *names: str) -> None:
        """Disagree for each of these that was recorded: there is nothing of ours to compare it with."""
        for name in names:
            if name in self.arrays:
                self.comparisons.append(Comparison(name, float("inf"), 0, "recorded, but we have none"))

    def check_pixels(self, name: str, ours: Tensor, doubtful: Tensor) -> None:
        """Compare masks (N, H, W) bool, packed along x in the file; `doubtful` pixels may differ."""
        if name not in self.arrays:
            return
        expected, got = self.arrays[name], np.packbits(to_numpy(ours), axis=-1)
        if got.shape != expected.shape:
            self.check(name, got)
            return
        apart = np.unpackbits(got ^ expected, axis=-1)[..., : ours.shape[-1]].astype(bool)
        excused = int((apart & to_numpy(doubtful)).sum())
        remark = f"{excused} pixels differ where the value is within rounding of 0.5" if excused else ""
        self.comparisons.append(Comparison(name, float(apart.sum() - excused), 0, remark))

    @contextmanager
    def expected_error(self, name: str) -> Iterator[None]:
        """Compare the kind of error that a block raises with the recorded one, `Kind: message`."""
        kind, raised = str(self.arrays[name]).partition(":")[0], "nothing"
        try:
            yield
        except (ValueError, ZeroDivisionError, IndexError) as error:
            raised = type(error).__name__
        remark = f"expected {kind}, got {raised}"
        self.comparisons.append(Comparison(name, float(raised != kind), 0, remark))

    @property
    def compared(self) -> set[str]:
        """Return the names of all arrays that were compared."""
        return {comparison.name for comparison in self.comparisons}

    @property
    def untouched(self) -> set[str]:
        """Return the names of arrays that were neither read nor compared."""
        return set(self.arrays) - self.inputs - self.compared

    @property
    def agrees(self) -> bool:
        """Say whether everything was looked at and agrees."""
        return not self.untouched and all(comparison.agrees for comparison in self.comparisons)


def to_numpy(values: ArrayLike | Tensor) -> NDArray[Any]:
    """Return an array of anything like one."""
    return values.detach().cpu().numpy() if isinstance(values, Tensor) else np.asarray(values)


def largest_difference(ours: NDArray[Any], expected: NDArray[Any], scale: Any = 1) -> float:
    """Return the largest absolute difference of arrays of one shape, NaN where one is not a number.

    scale  what differences are divided by, a number or an array that broadcasts
    """
    a, b = ours.astype(np.float64), expected.astype(np.float64)
    with np.errstate(invalid="ignore"):
        difference = np.where((a == b) | (np.isnan(a) & np.isnan(b)), 0, np.abs(a - b))
    return float((difference / scale).max(initial=0))


def stats(x: Tensor) -> NDArray[np.float64]:
    """Return mean, unbiased standard deviation and largest absolute value."""
    x = x.double()
    return np.array([x.mean().item(), x.std().item(), x.abs().max().item()])


def thin(x: ArrayLike | Tensor, shape: tuple[int, ...]) -> NDArray[Any]:
    """Take every n-th element along each axis, n the smallest that gives the recorded shape."""
    array = to_numpy(x)
    if array.ndim != len(shape):
        return array
    steps = [
        next((s for s in range(1, n + 1) if -(-n // s) == m), 1)
        for n, m in zip(array.shape, shape, strict=True)
    ]
    return array[tuple(slice(None, None, step) for step in steps)]
