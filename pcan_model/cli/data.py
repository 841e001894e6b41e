"""`pcan-data`: say what a data set holds, show it, write it in another format."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from tqdm import tqdm

from pcan_model.cli.arguments import at_least, command_parser
from pcan_model.cli.run import report_problems, run
from pcan_model.core.config import CLASSES
from pcan_model.data.check import Findings, check, describe
from pcan_model.data.clips import Clip
from pcan_model.data.convert import TARGETS, convert
from pcan_model.data.formats.reading import OnError, raise_error
from pcan_model.data.registry import DATASET_FORMATS, FORMATS, open_clips, recognise
from pcan_model.visualization.labels import draw_labels
from pcan_model.visualization.overlay import contact_sheet, tile
from pcan_model.visualization.render import SHEET, evenly, save_image

EXPLANATION = """\
Look at a data set of any format that training and evaluation read; it is recognised by its files.

  pcan-data check /data/KITTI_MOTS                     what is there, by class; every problem
  pcan-data show  /data/bdd100k --split val --out sheet.png
  pcan-data convert drives --to youtube_vis --out drives_vis
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run `pcan-data`; returns the exit code, 1 after problems that check found."""
    return run("pcan-data", _data, arguments)


def _data(arguments: Sequence[str]) -> int:
    options = _parser().parse_args(arguments)
    work: Callable[[argparse.Namespace], int] = options.work
    return work(options)


def _open(options: argparse.Namespace, on_error: OnError = raise_error) -> list[Clip]:
    path, format, split, videos = options.path, options.format, options.split, options.videos
    return open_clips(path, format, split=split, videos=videos, on_error=on_error)


def _check(options: argparse.Namespace) -> int:
    print(f"{options.path}: {recognise(options.path, options.format).name}")
    findings = Findings()
    try:
        clips = _open(options, lambda error: findings.problems.append(str(error)))
        _go_through(check(clips, CLASSES, findings), clips, "check")
    except (ValueError, OSError) as error:
        findings.problems.append(str(error))
    print(describe(findings))
    return 1 if findings.problems else 0


def _show(options: argparse.Namespace) -> int:
    clips = _open(options)
    places = [(clip, index) for clip in clips for index in range(len(clip))]
    bar = tqdm([places[k] for k in evenly(len(places), options.frames)], unit="frame", desc="show")
    tiles = [tile(index, draw_labels(clip.frame(index), CLASSES)) for clip, index in bar]
    save_image(options.out, contact_sheet(tiles))
    print(f"{options.out}: {len(tiles)} of {len(places)} frames; greyed: neither object nor background")
    return _report_problems(clips)


def _convert(options: argparse.Namespace) -> int:
    clips = _open(options)
    steps = convert(clips, options.to, options.out, split=options.out_split)
    _go_through(steps, clips, "convert")
    print(f"{options.out}: {len(clips)} clips as {options.to}")
    return _report_problems(clips)


def _report_problems(clips: Sequence[Clip]) -> int:
    """Name what was missing of the clips; returns the exit code."""
    return report_problems("pcan-data", [problem for clip in clips for problem in clip.problems()])


def _go_through(steps: Iterable[str], clips: Sequence[Clip], title: str) -> None:
    """Go through frame by frame with a progress bar."""
    counts = [clip.count for clip in clips]
    total = None if None in counts else sum(count or 0 for count in counts)
    with tqdm(total=total, unit="frame", desc=title) as bar:
        for name in steps:
            bar.set_postfix_str(name, refresh=False)
            bar.update()


def _parser() -> argparse.ArgumentParser:
    formats = "\n".join(f"  {layout.name:18} {layout.expected}" for layout in DATASET_FORMATS)
    epilog = f"formats, and the files they are recognised by:\n{formats}"
    parser = command_parser("pcan-data", EXPLANATION, epilog)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    _command(commands, "check", "count what is there, name every problem (exit code 1)", _check)
    show = _command(commands, "show", "draw frames with their labels into one image", _show)
    show.add_argument("--out", type=Path, default=Path("sheet.png"), help="image to write (sheet.png)")
    show.add_argument(
        "--frames", type=at_least(1), default=SHEET, help=f"how many, evenly spread (default: {SHEET})"
    )
    change = _command(commands, "convert", "write the clips in another format", _convert)
    change.add_argument("--to", choices=TARGETS, required=True, help="format to write")
    change.add_argument("--out", type=Path, required=True, help="folder to write, not there yet")
    change.add_argument("--out-split", default="train", metavar="NAME", help="its split (default: train)")
    return parser


def _command(
    commands: Any, name: str, help: str, work: Callable[[argparse.Namespace], int]
) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = commands.add_parser(name, help=help, description=help)
    parser.set_defaults(work=work)
    parser.add_argument("path", type=Path, help="data set, folder of images, or video")
    parser.add_argument("--format", choices=("auto", *FORMATS), default="auto", help="default: auto")
    parser.add_argument("--split", help="only this split, such as train or val (default: all)")
    parser.add_argument("--videos", nargs="+", metavar="NAME", help="only these clips (default: all)")
    return parser


if __name__ == "__main__":
    raise SystemExit(main())
