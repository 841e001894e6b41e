"""Tables and plot of docs/complexity.md: Table 5 as measured and as in the paper."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

KINDS = ("prototypical", "non_local", "transformer")
LENGTHS = (2, 4, 8)
PAPER = {  # Table 5: FLOPs in units of 1e9, memory in MB, at lengths 2, 4, 8
    "prototypical": ((5.8, 12.0, 23.7), (323, 652, 1419)),
    "non_local": ((24.3, 49.1, 99.6), (2497, 4763, 9631)),
    "transformer": ((103.8, 387.2, 1413.3), (5321, 9844, 18762)),
}
MB = 1e6


@dataclass(frozen=True, slots=True)
class Work:
    """Cost of a tube over all levels, in bytes and floating-point operations."""

    kind: str
    length: int  # T, frames of the tube
    whole: int  # F, all frames of the tube encoded and condensed, then the newest fused
    step: int  # F, one frame of a running video: the past is in the memory already
    wide: int  # F of the whole tube with keys of 256 channels
    fusion: int  # F of both, the convolution behind the attention, the same for every kind
    matrix: int  # B, the largest matrix of weights between positions and what they read
    kept: int  # B, what a camera's memory holds from frame to frame
    inference: float | None = None  # B, measured peak of the whole tube without gradients
    training: float | None = None  # B, the same with the backward pass


def tables(cells: list[Work]) -> str:
    """Return the tables of docs/complexity.md: ours, the paper's, and the ratios between the kinds."""
    head = "| kind | T | GFLOPs, tube | keys of 256 | paper | GFLOPs, step | MB, inference | MB, training | "
    head += "paper | largest matrix, MB | kept, MB |"
    lines = [head, "|" + "---|" * head.count(" |")]
    for c in cells:
        flops, memory = (figures[LENGTHS.index(c.length)] for figures in PAPER[c.kind])
        measured = [f"{m / MB:.0f}" if m else "-" for m in (c.inference, c.training)]
        row = [
            c.kind,
            c.length,
            f"{c.whole / 1e9:.1f}",
            f"{c.wide / 1e9:.1f}",
            flops,
            f"{c.step / 1e9:.1f}",
            *measured,
            memory,
        ]
        row += [f"{c.matrix / MB:.1f}", f"{c.kept / MB:.1f}"]
        lines.append("| " + " | ".join(str(cell) for cell in row) + " |")
    return "\n".join([*lines, "", *_factors(cells)])


def _factors(cells: list[Work]) -> list[str]:
    head = (
        "| over prototypical | T | FLOPs, tube | without fusion | paper | FLOPs, step "
        "| memory, inference | training | paper |"
    )
    lines = [head, "|" + "---|" * head.count(" |")]
    ours = {c.length: c for c in cells if c.kind == KINDS[0]}
    for c in (c for c in cells if c.kind != KINDS[0]):
        own, i = ours[c.length], LENGTHS.index(c.length)
        paper = [f"{PAPER[c.kind][k][i] / PAPER[KINDS[0]][k][i]:.1f}" for k in range(2)]
        measured = [
            f"{a / b:.1f}" if a and b else "-"
            for a, b in ((c.inference, own.inference), (c.training, own.training))
        ]
        attention = (c.whole - c.fusion) / (own.whole - own.fusion)
        row = [c.kind, c.length, f"{c.whole / own.whole:.1f}", f"{attention:.1f}", paper[0]]
        row.append(f"{c.step / own.step:.1f}")
        lines.append("| " + " | ".join(str(cell) for cell in [*row, *measured, paper[1]]) + " |")
    return lines


def plot(cells: list[Work], path: Path) -> None:
    """Plot computation and memory by length of the tube, ours solid and the paper's dashed."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(1, 2, figsize=(9.5, 3.4), layout="constrained")
    for kind, colour in zip(KINDS, ("tab:green", "tab:orange", "tab:red"), strict=True):
        own = [c for c in cells if c.kind == kind]
        lengths = [c.length for c in own]
        axes[0].loglog(lengths, [c.whole / 1e9 for c in own], "o-", color=colour, label=kind)
        for which, style in (("training", "s--"), ("inference", "o-")):
            peaks = [(getattr(c, which) or float("nan")) / MB for c in own]
            axes[1].loglog(lengths, peaks, style, color=colour)
        for axis, paper in zip(axes, PAPER[kind], strict=True):
            axis.loglog(LENGTHS, paper, ":", color=colour)
    for style, name in (("o-", "here"), ("s--", "here, training"), (":", "the paper")):
        axes[0].plot([], [], style, color="black", label=name)
    for axis, name in zip(axes, ("GFLOPs of a tube", "peak memory, MB"), strict=True):
        axis.set(xlabel="frames of the tube", ylabel=name, xticks=LENGTHS, xticklabels=LENGTHS)
        axis.minorticks_off()
    figure.legend(loc="outside right center", fontsize=8)
    figure.savefig(path, dpi=80)
