"""Options of an evaluation."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from pcan_model.core.fields import about, setting
from pcan_model.core.workers import WorkerOptions
from pcan_model.data.registry import FORMATS
from pcan_model.evaluation.report.published import PUBLISHED
from pcan_model.evaluation.run import Shard
from pcan_model.evaluation.submission import SUBMISSIONS


@dataclass(frozen=True, slots=True)
class EvaluateOptions(WorkerOptions):
    """The clips to evaluate on, and the files to write."""

    data: Path = field(metadata=about("folder of a data set"))
    format: str = setting("auto", "format of the data set; auto detects it", choices=("auto", *FORMATS))
    split: str | None = setting(None, "split of the data set, such as val (default: all labelled ones)")
    videos: tuple[str, ...] | None = setting(None, "only these clips (default: all)")
    clip_rate: float = setting(
        0.0,
        "rate of the clips (default: the data set's own)",
        unit="Hz",
        low=0.0,
        high=1000.0,
    )
    published: str | None = setting(
        None,
        "compare with the paper's results on this data set (default: detected)",
        choices=tuple(sorted(PUBLISHED)),
    )
    shard: Shard = field(default_factory=Shard)  # part of the clips
    merge: tuple[Path, ...] = setting((), "also use the predictions of these runs")
    out: Path | None = setting(None, "folder for report.html, report.json and the predictions", writes=True)
    submit: str | None = setting(
        None, "also write result files in this format, to OUT/<format>", choices=SUBMISSIONS
    )
    annotations: Path | None = setting(
        None, "--submit youtube_vis: annotation file with the ids of videos and categories"
    )
