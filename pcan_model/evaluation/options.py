"""What is evaluated on which clips, and what is written."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from pcan_model.core.fields import about, setting
from pcan_model.data.registry import FORMATS
from pcan_model.evaluation.report.published import PUBLISHED
from pcan_model.evaluation.run import Shard
from pcan_model.evaluation.submission import SUBMISSIONS


@dataclass(frozen=True, slots=True)
class EvaluateOptions:
    """One evaluation, beside the setup that answers."""

    data: Path = field(metadata=about("folder of a data set"))
    format: str = setting("auto", "of the data set; auto goes by its files", choices=("auto", *FORMATS))
    split: str | None = setting(None, "of the data set's own, such as val; all that is labelled without it")
    videos: tuple[str, ...] | None = setting(None, "only these clips; all without it")
    published: str | None = setting(
        None, "set the paper's figures beside ours; by the data without it", choices=tuple(sorted(PUBLISHED))
    )
    jobs: int = setting(1, "processes, each with a network of its own", low=1)
    shard: Shard = field(default_factory=Shard)  # which part of the clips
    merge: tuple[Path, ...] = setting((), "use the answers of these runs too")
    out: Path | None = setting(None, "folder for report.html, report.json and the answers")
    submit: str | None = setting(None, "also write OUT/<format>: official result files", choices=SUBMISSIONS)
    annotations: Path | None = setting(
        None, "--submit youtube_vis: file with the videos' and categories' ids"
    )
