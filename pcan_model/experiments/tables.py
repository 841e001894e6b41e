"""The paper's ablation tables as changes to a configuration."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from pcan_model.core.config import Config

Changes = dict[str, dict[str, Any]]  # part of the configuration -> field -> value


@dataclass(frozen=True, slots=True)
class Variation:
    """One row of a table."""

    name: str
    changes: Changes
    paper: float | None = None  # AP on YouTube-VIS; Table 10: MOTSA of cars on KITTI-MOTS; per cent

    def apply(self, base: Config) -> Config:
        """Return the base with this row's changes."""
        return vary(base, self.changes)


@dataclass(frozen=True, slots=True)
class Table:
    """One table of the paper."""

    number: int
    title: str
    variations: tuple[Variation, ...]


def vary(config: Config, changes: Changes) -> Config:
    """Return a configuration with some fields changed."""
    parts = {part: replace(getattr(config, part), **values) for part, values in changes.items()}
    return replace(config, **parts)


def frame(**values: Any) -> Changes:
    """Return changes to the frame attention."""
    return {"frame_attention": values}


def instance(**values: Any) -> Changes:
    """Return changes to the instance attention."""
    return {"instance_attention": values}


def of_length(frames: int) -> dict[str, Any]:
    """Return the settings for a tube of this length including the current frame; 1: no memory."""
    return {"memory_frames": frames - 1} if frames > 1 else {"enabled": False}


def practised(frames: int) -> Changes:
    """Return changes to a tube of so many frames that training has seen at full length."""
    return frame(**of_length(frames)) | {"train": {"clip_frames": frames, "reference_range": 1}}


def _levels(names: str, levels: tuple[int, ...], paper: float) -> Variation:
    return Variation(names, frame(levels=levels, **of_length(4)), paper)


def _kinds() -> Sequence[Variation]:
    paper = {
        "prototypical": (33.7, 33.9, 34.2),
        "non_local": (33.2, 33.3, 33.6),
        "transformer": (24.6, 25.8, 28.3),
    }
    return [
        Variation(f"{kind}, {length} frames", frame(kind=kind, **of_length(length)), score)
        for kind, scores in paper.items()
        for length, score in zip((2, 4, 8), scores, strict=True)
    ]


def _prototypes(foreground: int, background: int, paper: float) -> Variation:
    changes = instance(foreground=foreground, background=background)
    return Variation(f"{foreground} + {background}", changes, paper)


def _em(steps: int, paper: float) -> Variation:
    changes = frame(em_steps=steps, **of_length(4)) | instance(em_steps=steps)
    return Variation(f"{steps} iterations", changes, paper)


OFF = {"enabled": False}
TABLES = {
    table.number: table
    for table in (
        Table(3, "length of the temporal memory", tuple(
            Variation(f"{n} frame{'s'[: n - 1]}", frame(**of_length(n)), paper)
            for n, paper in ((1, 32.5), (2, 33.7), (4, 33.9), (8, 34.2), (16, 34.6), (32, 35.4))
        )),
        Table(4, "pyramid levels of the frame attention, tubes of 4 frames", (
            _levels("P3", (3,), 30.8),
            _levels("P4", (4,), 32.0),
            _levels("P5", (5,), 32.9),
            _levels("P3 to P4", (3, 4), 33.1),
            _levels("P3 to P5", (3, 4, 5), 33.9),
        )),
        Table(5, "kinds of frame attention", tuple(_kinds())),
        Table(6, "instance prototypes, foreground + background", (
            Variation("no module", instance(**OFF), 32.5),
            _prototypes(0, 0, 32.5),
            _prototypes(1, 0, 32.4),
            _prototypes(0, 1, 32.1),
            _prototypes(1, 1, 32.7),
            _prototypes(5, 5, 33.1),
            _prototypes(30, 30, 33.9),
            _prototypes(50, 50, 33.6),
        )),
        Table(7, "propagation of the instance prototypes", (
            Variation("none", instance(propagation="none"), 33.5),
            Variation("initial", instance(propagation="initial"), 33.0),
            Variation("momentum 0.2", instance(propagation="momentum", update_rate=0.2), 34.3),
            Variation("momentum 0.5", instance(propagation="momentum", update_rate=0.5), 34.0),
        )),
        Table(8, "frame prototypes", tuple(
            Variation(f"{n} prototypes", frame(prototypes=n), paper)
            for n, paper in ((8, 32.6), (16, 33.1), (32, 33.9), (64, 34.2), (128, 34.1))
        )),
        Table(9, "EM iterations, tubes of 4 frames", (
            _em(1, 33.3), _em(2, 33.7), _em(4, 33.7), _em(6, 33.9), _em(8, 33.6),
        )),
        Table(10, "without the modules", (
            Variation("neither, by overlap (SortIoU)",
                      frame(**OFF) | instance(**OFF) | {"tracker": {"association": "sort_iou"}}),
            Variation("neither (QDTrack-mots)", frame(**OFF) | instance(**OFF)),
            Variation("without frame module", frame(**OFF), 87.3),
            Variation("without instance module", instance(**OFF), 87.8),
            Variation("both", {}, 89.6),
        )),
        Table(11, "length of the temporal memory, trained on clips as long (no table of the paper)", tuple(
            Variation(f"{n} frames", practised(n), paper) for n, paper in ((2, 33.7), (4, 33.9), (8, 34.2))
        )),
        Table(12, "instance prototypes, trained on clips of 4 frames (no table of the paper)", tuple(
            Variation(row.name, row.changes | practised(4), row.paper)
            for row in (_prototypes(0, 0, 32.5), _prototypes(30, 30, 33.9))
        )),
    )
}  # fmt: skip
