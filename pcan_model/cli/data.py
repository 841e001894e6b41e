"""`pcan-data`: check a data set, draw it, convert it, or rank its frames."""

from __future__ import annotations

import pcan_model.inference.blas  # noqa: F401  before anything imports NumPy

# isort: split
import argparse
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tqdm import tqdm

from pcan_model.cli.arguments import add_options, command_parser, read_options
from pcan_model.cli.rank import RankOptions, rank_clips, table
from pcan_model.cli.run import report_problems, run
from pcan_model.core.config import CLASSES
from pcan_model.core.fields import about, setting
from pcan_model.data.check import DatasetSummary, check, describe
from pcan_model.data.clips import Clip
from pcan_model.data.convert import TARGETS, convert
from pcan_model.data.formats.reading import OnError, raise_error
from pcan_model.data.registry import DATASET_FORMATS, FORMATS, open_clips, recognise
from pcan_model.visualization.labels import draw_labels
from pcan_model.visualization.overlay import contact_sheet, tile
from pcan_model.visualization.render import SHEET, evenly, save_image

EXPLANATION = """\
Inspect a data set in any format that training and evaluation read; the format is detected from its files.

  pcan-data check /data/KITTI_MOTS                     counts by class and all problems
  pcan-data show  /data/bdd100k --split val --out sheet.png
  pcan-data convert drives --to youtube_vis --out drives_vis
  pcan-data rank drive.mp4 --count 20 --cvat to_label  the frames that are most worth labelling
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class DataOptions:
    """The clips to read."""

    path: Path = field(metadata=about("data set, folder of images, or video"))
    format: str = setting("auto", "format of the data set", choices=("auto", *FORMATS))
    split: str | None = setting(None, "only this split, such as train or val (default: all)")
    videos: tuple[str, ...] | None = setting(None, "only these clips (default: all)")

    def open(self, on_error: OnError = raise_error) -> list[Clip]:
        """Open the clips."""
        return open_clips(self.path, self.format, split=self.split, videos=self.videos, on_error=on_error)


@dataclass(frozen=True, slots=True, kw_only=True)
class ShowOptions(DataOptions):
    """The clips to draw, and the image to write."""

    out: Path = setting(Path("sheet.png"), "image to write", writes=True)
    frames: int = setting(SHEET, "number of frames, evenly spaced", low=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class ConvertOptions(DataOptions):
    """The clips to convert, and the target format."""

    to: str = field(metadata=about("format to write", choices=TARGETS))
    out: Path = field(metadata=about("folder to write; must not exist", writes=True))
    out_split: str = setting("train", "split to write")


@dataclass(frozen=True, slots=True, kw_only=True)
class RankDataOptions(DataOptions, RankOptions):
    """The clips to rank, the model, and the files to write."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run `pcan-data`; returns the exit code, 1 if check found problems."""
    return run("pcan-data", _data, arguments)


def _data(arguments: Sequence[str]) -> int:
    parsed = _parser().parse_args(arguments)
    command: Callable[[Any], int] = parsed.command
    return command(read_options(parsed.options, parsed))


def _check(options: DataOptions) -> int:
    print(f"{options.path}: {recognise(options.path, options.format).name}")
    summary = DatasetSummary()
    try:
        clips = options.open(lambda error: summary.problems.append(str(error)))
        _run_steps(check(clips, CLASSES, summary), clips, "check")
    except (ValueError, OSError) as error:
        summary.problems.append(str(error))
    print(describe(summary))
    return 1 if summary.problems else 0


def _show(options: ShowOptions) -> int:
    clips = options.open()
    frames = [(clip, index) for clip in clips for index in range(len(clip))]
    bar = tqdm([frames[k] for k in evenly(len(frames), options.frames)], unit="frame", desc="show")
    tiles = [tile(index, draw_labels(clip.frame(index), CLASSES)) for clip, index in bar]
    save_image(options.out, contact_sheet(tiles))
    print(f"{options.out}: {len(tiles)} of {len(frames)} frames; greyed: neither object nor background")
    return _report_problems(clips)


def _convert(options: ConvertOptions) -> int:
    clips = options.open()
    steps = convert(clips, options.to, options.out, split=options.out_split)
    _run_steps(steps, clips, "convert")
    print(f"{options.out}: {len(clips)} clips as {options.to}")
    return _report_problems(clips)


def _rank(options: RankDataOptions) -> int:
    chosen, problems = rank_clips(options.open(), options)
    print(f"{table(chosen)}\nwritten: {options.out}")
    return report_problems("pcan-data", problems)


def _report_problems(clips: Sequence[Clip]) -> int:
    """Print the parts of clips that could not be read; returns the exit code."""
    return report_problems("pcan-data", [problem for clip in clips for problem in clip.problems()])


def _run_steps(steps: Iterable[str], clips: Sequence[Clip], title: str) -> None:
    """Run the steps, one per frame, with a progress bar."""
    counts = [clip.count for clip in clips]
    total = None if None in counts else sum(count or 0 for count in counts)
    with tqdm(total=total, unit="frame", desc=title) as bar:
        for name in steps:
            bar.set_postfix_str(name, refresh=False)
            bar.update()


def _parser() -> argparse.ArgumentParser:
    formats = "\n".join(f"  {known.name:18} {known.expected}" for known in DATASET_FORMATS)
    epilog = f"formats and the files that identify them:\n{formats}"
    parser = command_parser("pcan-data", EXPLANATION, epilog)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    _add(commands, "check", "count the contents, list all problems (exit code 1)", _check, DataOptions)
    _add(commands, "show", "draw frames with their labels into one image", _show, ShowOptions)
    _add(commands, "convert", "write the clips in another format", _convert, ConvertOptions)
    about = "order frames by how unsure the model is, and choose different ones"
    _add(commands, "rank", about, _rank, RankDataOptions)
    return parser


def _add(commands: Any, name: str, help: str, command: Callable[[Any], int], options: type) -> None:
    parser = commands.add_parser(name, help=help, description=help)
    parser.set_defaults(command=command, options=options)
    add_options(parser, options, positional=("path",), metavars={"videos": "NAME", "out_split": "NAME"})


if __name__ == "__main__":
    raise SystemExit(main())
