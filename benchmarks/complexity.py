"""Measure Table 5: computation and memory of the three kinds of frame attention by length of the tube.

    python benchmarks/complexity.py --out docs

The features are the paper's (input 360 x 640, P3 to P5, 256 channels). FLOPs are counted by
torch.utils.flop_counter (two per multiplication with its addition), memory is the peak of resident
memory of a process of its own, less what was there before. Writes complexity.json, the raw
figures, and complexity.png; prints the tables of docs/complexity.md.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from dataclasses import asdict, replace
from itertools import product
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import torch
from torch import Tensor
from torch._subclasses import FakeTensorMode  # shapes without numbers: counting needs no time
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.complexity_report import KINDS, LENGTHS, Work, plot, tables
from pcan_model.core.atomic_write import write_bytes
from pcan_model.core.config import FrameAttentionConfig
from pcan_model.model.frame_attention.base import FrameAttention
from pcan_model.model.frame_attention.factory import make_frame_attention

CHANNELS = 256
KEYS = FrameAttentionConfig().key_channels
WIDE = 256  # channels of keys, as many as features have, as the paper seems to have counted
SIZES = ((45, 80), (23, 40), (12, 20))  # P3, P4, P5 of 360 x 640
FREED = {"MALLOC_MMAP_THRESHOLD_": "65536", "MALLOC_ARENA_MAX": "1"}  # what is freed leaves the process


def past_frames(kind: str, length: int) -> int:
    """Return the number of memory frames in a tube; for self-attention it includes the current frame."""
    return length - 1 if kind == "transformer" else length


def levels(config: FrameAttentionConfig) -> list[FrameAttention]:
    """Return the modules of P3 to P5, with nonzero fusion weights."""
    modules = [make_frame_attention(CHANNELS, config) for _ in SIZES]
    for module in modules:
        torch.nn.init.normal_(module.fuse.weight, std=0.01)
    return modules


def remember(module: FrameAttention, past: Tensor) -> tuple[Tensor, Tensor]:
    """Return the memory (1, T, N, D) and (1, T, N, Cv) of frames (T, C, H, W)."""
    rows = [module.remember(frame[None]) for frame in past]
    keys, values = (torch.stack(parts, 1) for parts in zip(*rows, strict=True))
    return keys, values


def step(module: FrameAttention, now: Tensor, memory: tuple[Tensor, Tensor]) -> Tensor:
    """Condense the current frame and fuse it with the memory."""
    keys, values = module.encode(now)
    module.condense(keys, values)
    return module(now, keys, values, *memory, torch.ones(1, memory[0].shape[1]))


def fuse(module: FrameAttention, now: Tensor, memory: tuple[Tensor, Tensor]) -> Tensor:
    """Fuse the current frame with the memory."""
    return module(now, *module.encode(now), *memory, torch.ones(1, memory[0].shape[1]))


def count(
    kind: str, length: int, sizes: tuple[tuple[int, int], ...] = SIZES, *, keys: int = KEYS
) -> tuple[int, int]:
    """Return FLOPs of a whole tube and of one step of a running video, with keys of so many channels."""
    total = []
    for what in ("whole", "step"):
        with FakeTensorMode(), torch.no_grad(), sdpa_kernel(SDPBackend.MATH):
            modules = levels(FrameAttentionConfig(kind=kind, key_channels=keys))
            for_step = [
                _memory(module, kind, length, size) for module, size in zip(modules, sizes, strict=False)
            ]
            with FlopCounterMode(display=False) as counter:
                for module, (h, w), memory in zip(modules, sizes, for_step, strict=False):
                    now, past = torch.randn(1, CHANNELS, h, w), past_frames(kind, length)
                    if what == "whole":
                        fuse(module, now, remember(module, torch.randn(past, CHANNELS, h, w)))
                    else:
                        step(module, now, memory)
        total.append(counter.get_total_flops())
    return total[0], total[1]


def _memory(module: FrameAttention, kind: str, length: int, size: tuple[int, int]) -> tuple[Tensor, Tensor]:
    return remember(module, torch.randn(past_frames(kind, length), CHANNELS, *size))


def closed_form(
    kind: str, length: int, sizes: tuple[tuple[int, int], ...] = SIZES, *, keys: int = KEYS
) -> int:
    """Return the FLOPs of a whole tube by formula: 2 per multiply-add."""
    config = FrameAttentionConfig(kind=kind, key_channels=keys)
    d, v, k, total = config.key_channels, config.value_channels, config.prototypes, 0
    for height, width in sizes:
        n = height * width
        encode = n * CHANNELS * (d + v)
        if kind == "prototypical":
            condense = n * (CHANNELS + 1) * d  # keys and their lengths
            condense += n * k * ((2 * d + 1) * config.em_steps + d + 1)  # E and M steps, totals
            condense += (n + v) * k * (CHANNELS + 1)  # Eq. 4 of the features and a 1, then the values
            total += encode + n * (d + v) + length * (condense + n * k * (d + 2 * v))
        elif kind == "non_local":
            total += (length + 1) * encode + n * n * length * (d + v)
        else:
            s = length * n
            layer = 4 * s * v * v + 2 * s * s * v + 16 * s * v * v
            total += s * CHANNELS * v + config.layers * layer
    return 2 * total + fusion(sizes)


def published(length: int) -> int:
    """Return the FLOPs that give the paper's figures of prototypical attention.

    Every frame of the tube: one 1 x 1 convolution of 256 to 256 channels, six EM steps on keys of 256,
    Eq. 4, and the reading.
    """
    config, positions = FrameAttentionConfig(key_channels=WIDE), sum(h * w for h, w in SIZES)
    products = 2 * WIDE * config.em_steps + WIDE + 2 * config.value_channels
    return 2 * length * positions * (CHANNELS * CHANNELS + config.prototypes * products)


def fusion(sizes: tuple[tuple[int, int], ...] = SIZES) -> int:
    """Return the FLOPs of the fusion convolution."""
    return 4 * sum(h * w for h, w in sizes) * FrameAttentionConfig().value_channels * CHANNELS


def matrix(kind: str, length: int) -> int:
    """Return the bytes of the largest attention matrix in fp32, if materialised."""
    config, n = FrameAttentionConfig(kind=kind), SIZES[0][0] * SIZES[0][1]
    entries = {
        "prototypical": n * config.prototypes,
        "non_local": n * n * length,
        "transformer": (n * length) ** 2 * config.heads,
    }
    return 4 * entries[kind]


def kept(kind: str, length: int) -> int:
    """Return the bytes of the memory of a running video, in 32 bits."""
    config, total = FrameAttentionConfig(kind=kind), 0
    for (height, width), module in zip(SIZES, levels(config), strict=True):
        rows, channels = module.row_shape(config, height * width)
        total += past_frames(kind, length) * rows * (channels + config.value_channels)
    return 4 * total


def measure(kind: str, length: int, mode: str) -> float:
    """Run one tube in this process and return the peak of its resident memory, bytes."""
    torch.manual_seed(0)
    torch.set_num_threads(1)
    modules = levels(FrameAttentionConfig(kind=kind))
    frames = [(torch.randn(past_frames(kind, length) + 1, CHANNELS, h, w)) for h, w in SIZES]
    tiny = torch.randn(2, CHANNELS, 4, 4)
    with torch.set_grad_enabled(mode == "training"):
        _run(modules, [tiny] * 3, mode)  # one-time initialisation of libraries
        Path("/proc/self/clear_refs").write_text("5")  # the peak counts from here
        before = _resident("VmRSS")
        _run(modules, frames, mode)
    return _resident("VmHWM") - before


def _run(modules: list[FrameAttention], frames: list[Tensor], mode: str) -> None:
    outputs = [fuse(m, x[-1:], remember(m, x[:-1])).mean() for m, x in zip(modules, frames, strict=True)]
    if mode == "training":
        torch.stack(outputs).sum().backward()


def _resident(field: str) -> float:
    lines = Path("/proc/self/status").read_text().splitlines()
    return 1024 * float(next(line for line in lines if line.startswith(field)).split()[1])


def work(kind: str, length: int, limits: tuple[float, float], known: dict[str, float | None]) -> Work:
    """Compute and measure one cell of the table, except for known memory peaks.

    What would take too many bytes or FLOPs is left out.
    """
    whole, one = count(kind, length)
    wide, _ = count(kind, length, keys=WIDE)
    cell = Work(kind, length, whole, one, wide, fusion(), matrix(kind, length), kept(kind, length))
    peaks = {mode: known.get(mode) for mode in ("inference", "training")}
    for mode, passes in (("inference", 1), ("training", 3)):
        if peaks[mode] is None and _expected(kind, length, mode) < limits[0] and passes * whole < limits[1]:
            command = [sys.executable, __file__, "--measure", kind, str(length), mode]
            done = subprocess.run(command, capture_output=True, text=True, check=True, env=os.environ | FREED)
            peaks[mode] = float(done.stdout)
    return replace(cell, **peaks)


def _expected(kind: str, length: int, mode: str) -> float:
    """Estimate a peak from the matrices that are allocated at once; a transformer's are not materialised."""
    if kind == "transformer":
        return 0.3e9 * length
    return matrix(kind, length) * (4 if mode == "training" else 2.2) + 0.1e9


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, help="folder for complexity.json and complexity.png")
    parser.add_argument("--again", nargs="+", default=[], choices=KINDS, help="kinds to measure again; peaks "
                        "of others that complexity.json has are kept")  # fmt: skip
    parser.add_argument("--bytes", type=float, default=6e9, help="above these no memory is measured")
    parser.add_argument("--flops", type=float, default=3e11, help="above these no memory is measured")
    parser.add_argument("--measure", nargs=3, metavar=("KIND", "T", "MODE"), help="one peak, in this process")
    options = parser.parse_args()
    if options.measure:
        kind, length, mode = options.measure
        print(measure(kind, int(length), mode))
        return 0
    file = options.out / "complexity.json" if options.out else None
    known = peaks_of(file, options.again) if file and file.is_file() else {}
    limits = options.bytes, options.flops
    cells = [work(*cell, limits, known.get(cell, {})) for cell in product(KINDS, LENGTHS)]
    print(tables(cells))
    print("as published:", ", ".join(f"{published(length) / 1e9:.2f}" for length in LENGTHS))
    if file:
        write_bytes(file, (json.dumps([asdict(c) for c in cells], indent=1) + "\n").encode())
        plot(cells, file.with_suffix(".png"))
    return 0


def peaks_of(file: Path, again: list[str]) -> dict[tuple[str, int], dict[str, float | None]]:
    """Read the peaks of an earlier run, except for the kinds to measure again."""
    cells = json.loads(file.read_text())
    return {(c["kind"], c["length"]): c for c in cells if c["kind"] not in again}


if __name__ == "__main__":
    sys.exit(main())
