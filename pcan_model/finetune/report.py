"""Report of a fine-tuning: accuracy on the held-out frames before and after, as Markdown and as JSON."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pcan_model.core.config import Config
from pcan_model.evaluation.metrics.scores import HEADS, Report, Score, to_plain

DECIDING = ("hota", "smotsa")  # rates of all classes together that must not fall
LOST = 0.1  # share of a class's objects that may be found no more, beyond a single one
SHOWN = ("hota", "smotsa", "motsa", "idf1")
COUNTED = ("objects", "true_positives", "false_positives", "false_negatives", "id_switches")


@dataclass(frozen=True, slots=True)
class Comparison:
    """A fine-tuning and its effect on frames that it was not trained on."""

    command: str
    base: str  # model that it started from
    base_sha256: str  # of its weights
    config: Config  # of the new model
    new: tuple[str, ...]  # classes that the base does not have
    trained_on: Mapping[str, int]  # objects by class
    frames: int  # trained on
    held_out: tuple[str, ...]  # videos, or parts of them
    stages: Sequence[tuple[str, int, float]]  # stage, optimiser steps, CPU seconds
    before: Report
    after: Report

    @property
    def worse(self) -> str | None:
        """Return why the new model is worse; None if it is not."""
        reasons = [*self._fallen_rates(), *self._lost_objects()]
        return f"{', '.join(reasons)} on the {self.after.frames} held-out frames" if reasons else None

    def _fallen_rates(self) -> Iterator[str]:
        for key in DECIDING:
            before, after = (getattr(report.sum, key) or 0.0 for report in (self.before, self.after))
            if after < before:
                yield f"{HEADS[key]} {100 * after:.1f} instead of {100 * before:.1f}"

    def _lost_objects(self) -> Iterator[str]:
        for before, after in self._pairs()[:-1]:
            found, left = before.true_positives, after.true_positives
            if found - left > max(1, LOST * before.objects):
                yield f"{left} instead of {found} of {before.objects} {after.name} found"

    def plain(self) -> dict[str, Any]:
        """Return the report as nested plain values for JSON."""
        return {
            "command": self.command,
            "base": self.base,
            "base_sha256": self.base_sha256,
            "classes": list(self.config.classes),
            "new_classes": list(self.new),
            "trained_on": {"frames": self.frames, "objects": dict(self.trained_on)},
            "held_out": list(self.held_out),
            "stages": [
                {"stage": stage, "steps": steps, "cpu_seconds": round(seconds, 1)}
                for stage, steps, seconds in self.stages
            ],
            "before": to_plain(self.before),
            "after": to_plain(self.after),
            "worse": self.worse,
        }

    def markdown(self) -> str:
        """Return the report as a page."""
        verdict = f"**Worse than before: {self.worse}.**" if self.worse else "Not worse than before."
        objects = ", ".join(f"{count} {name}" for name, count in self.trained_on.items() if count)
        stages = ", ".join(f"{name} ({n} steps, {cpu:.0f} CPU s)" for name, n, cpu in self.stages)
        facts = [
            f"Started from `{self.base}` (weights {self.base_sha256[:12]}), trained on {self.frames} frames "
            f"({objects}).",
            f"Stages: {stages}.",
            f"Held out: {self.after.frames} frames of {', '.join(self.held_out)}.",
            *([f"New classes: {', '.join(self.new)}."] if self.new else []),
        ]
        lines = [
            f"# {self.config.name}: fine-tuned",
            f"```bash\n{self.command}\n```",
            "\n".join(f"- {fact}" for fact in facts),
            f"## Held-out frames, before → after\n\n{verdict}",
            self._table(),
            "Rates in per cent. " + self.after.method,
        ]
        return "\n\n".join(lines) + "\n"

    def _table(self) -> str:
        rows = [["class", *(HEADS[key] for key in (*SHOWN, *COUNTED[1:])), HEADS[COUNTED[0]]]]
        rows.append(["---", *["---:"] * (len(rows[0]) - 1)])
        for before, after in self._pairs():
            rates = [_both(*(_percent(getattr(s, key)) for s in (before, after))) for key in SHOWN]
            counts = [_both(*(str(getattr(s, key)) for s in (before, after))) for key in COUNTED[1:]]
            rows.append([after.name, *rates, *counts, str(after.objects)])
        return "\n".join(f"| {' | '.join(row)} |" for row in rows)

    def _pairs(self) -> list[tuple[Score, Score]]:
        """Return the scores of each class before and after, then of all together."""
        known = [{score.name: score for score in r.classes} for r in (self.before, self.after)]
        names = [name for name in self.config.classes if name in known[0] or name in known[1]]
        pairs = [tuple(scores.get(name) or _nothing(name) for scores in known) for name in names]
        return [*pairs, (self.before.sum, self.after.sum)]  # type: ignore[list-item]


def _nothing(name: str) -> Score:
    """Return the row of a class without objects and predictions."""
    from pcan_model.evaluation.metrics.scores import COUNTS, RATES, Recall

    recall = Recall(0, 0)
    values: dict[str, Any] = dict.fromkeys(RATES) | dict.fromkeys(COUNTS, 0)
    return Score(name, **values, small=recall, medium=recall, large=recall)


def _percent(value: float | None) -> str:
    return "–" if value is None else f"{100 * value:.1f}"


def _both(before: str, after: str) -> str:
    return f"{before} → {after}" if before != after else after
