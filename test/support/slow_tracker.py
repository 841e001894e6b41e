"""Reference implementation of the released tracker with scalar loops."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from pcan_model.core.tracker_config import TrackerConfig


@dataclass
class Known:
    """A track, or a backdrop."""

    label: int
    embed: Any  # (E,)
    seen: int = 0


@dataclass
class SlowTracker:
    """A tracker with plain loops; `step` returns the kept rows by falling score, with their ids."""

    config: TrackerConfig
    tracks: dict[int, Known] = field(default_factory=dict)
    backdrops: list[list[Known]] = field(default_factory=list)  # newest frame first
    next_id: int = 0

    def step(
        self, boxes: Any, scores: Any, labels: Any, embeds: Any, frame: int
    ) -> tuple[list[int], list[int]]:
        order = sorted(range(len(scores)), key=lambda i: -scores[i])
        kept = [
            row for place, row in enumerate(order) if not self._duplicate(row, order[:place], boxes, scores)
        ]
        score = self._similarities([Known(labels[r], embeds[r]) for r in kept])
        known = [*self.tracks, *(-1 for group in self.backdrops for _ in group)]
        ids = []
        for place, row in enumerate(kept):
            ids.append(self._match(score, place, known, scores[row]))
        for place, row in enumerate(kept):
            if ids[place] == -1 and scores[row] > self.config.init_score:
                ids[place], self.next_id = self.next_id, self.next_id + 1
        self._remember(kept, ids, boxes, labels, embeds, frame)
        return kept, ids

    def _duplicate(self, row: int, better: list[int], boxes: Any, scores: Any) -> bool:
        weak = scores[row] < self.config.track_score
        limit = self.config.backdrop_iou if weak else self.config.duplicate_iou
        return any(iou(boxes[row], boxes[other]) > limit for other in better)

    def _similarities(self, found: list[Known]) -> list[list[float]]:
        known = [*self.tracks.values(), *(b for group in self.backdrops for b in group)]
        dots = [[float(np.dot(a.embed, b.embed)) for b in known] for a in found]
        table = [[0.0] * len(known) for _ in found]
        for i, a in enumerate(found):
            for j, b in enumerate(known):
                along = np.exp(dots[i][j]) / sum(np.exp(d) for d in dots[i])
                down = np.exp(dots[i][j]) / sum(np.exp(row[j]) for row in dots)
                angle = dots[i][j] / (np.linalg.norm(a.embed) * np.linalg.norm(b.embed))
                kinds = {"softmax": along, "bisoftmax": (along + down) / 2, "cosine": angle}
                if self.config.match_classes == "any" or a.label == b.label:
                    table[i][j] = float(kinds[self.config.similarity])
        return table

    def _match(self, score: list[list[float]], place: int, known: list[int], confidence: float) -> int:
        if not self.tracks:
            return -1
        best = max(range(len(known)), key=lambda j: score[place][j])
        if score[place][best] <= self.config.match_score or known[best] < 0:
            return -1
        if confidence > self.config.track_score:
            for row in score:
                row[best] = 0.0
            return known[best]
        return -2 if score[place][best] > self.config.suppress_score else -1

    def _remember(
        self, kept: list[int], ids: list[int], boxes: Any, labels: Any, embeds: Any, frame: int
    ) -> None:
        share, backdrops = self.config.momentum, []
        for place, (row, track) in enumerate(zip(kept, ids, strict=True)):
            if track in self.tracks:
                embed = (1 - share) * self.tracks[track].embed + share * embeds[row]
                self.tracks[track] = Known(labels[row], embed, frame)
            elif track >= 0:
                self.tracks[track] = Known(labels[row], embeds[row], frame)
            elif track == -1:
                covered = any(iou(boxes[row], boxes[o]) > self.config.backdrop_iou for o in kept[:place])
                backdrops += [] if covered else [Known(labels[row], embeds[row])]
        self.backdrops = [backdrops, *self.backdrops][: self.config.keep_backdrops]
        for track in [t for t, k in self.tracks.items() if frame - k.seen >= self.config.lost_frames]:
            del self.tracks[track]


def iou(a: Any, b: Any) -> float:
    """Return intersection over union of two boxes."""
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    shared = max(width, 0) * max(height, 0)
    areas = sum((c[2] - c[0]) * (c[3] - c[1]) for c in (a, b))
    return float(shared / max(areas - shared, 1e-9))
