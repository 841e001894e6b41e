"""Long-running jobs that write files: building engines, labelling a bag, evaluating."""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from support.bags import Squares, drive, write_bag
from support.squares import export_squares

from pcan_model.data.bags.reading import Bag
from pcan_model.data.datasets.scalabel import write_clip
from pcan_model.inference.tensorrt.cache import EngineCache

SCORES = ("classes", "sum", "mean", "curves", "per_clip", "bdd100k", "youtube_vis")  # of a report


class IncompleteFile(Exception):
    """A file with its final name is incomplete."""


@dataclass(frozen=True, slots=True)
class Job:
    """A command and its output."""

    name: str
    words: tuple[str, ...]  # of the command, without its output
    option: str  # that names the output
    result: Callable[[Path], Any]  # what a whole output holds, run for run the same; HalfWritten
    check: Callable[[Path], None]  # HalfWritten where something under a final name is not whole

    def command(self, out: Path) -> list[str]:
        """Return the command line."""
        return [sys.executable, "-m", *self.words, self.option, str(out)]


def jobs(folder: Path, images: int = 300) -> list[Job]:
    """Write the inputs of the jobs to a folder; returns the jobs."""
    model = str(export_squares(folder / "squares"))
    bag = write_bag(folder / "bag", drive(1 + i / 10 for i in range(images)))
    for number in range(4):
        clip = Squares(name=f"clip{number}", length=max(4, images // 20))
        write_clip(folder / "data", clip.name, (clip.draw(i) for i in range(len(clip))))
    label = ("pcan_ros.bag.command", "label", str(bag), "--model", model, "--threads", "1", "--no-images")
    evaluate = ("pcan_model.cli.evaluate", model, "--engine", "onnx", "--data", str(folder / "data"))
    build = ("pcan_model.cli.build_engine", model, "--capability", "8.9", "--level", "0")
    return [
        Job("label", label, "--out", _tracks, _check_bag),
        Job("evaluate", evaluate, "--out", _scores, _check_evaluation),
        Job("build", build, "--engine-cache", _engines, _check_engines),
    ]


def _tracks(out: Path) -> list[Any]:
    """Return frames and objects of the tracks in a labelled bag."""
    with Bag(out) as bag:
        types = bag.types()
        stored = list(bag.messages(["/pcan_tracker/tracks"]))
        if bag.losses:
            raise IncompleteFile(str(bag.losses[0]))
        messages = [types.deserialize_cdr(each.raw, each.connection.msgtype) for each in stored]
    return [
        (m.frame_index, [(i.track_id, i.state, i.x, i.y, bytes(i.mask.data)) for i in m.instances])
        for m in messages
    ]


def _check_bag(out: Path) -> None:
    if out.exists():
        _tracks(out)


def _scores(out: Path) -> Any:
    """Return the scores, and the predictions of every clip without their durations."""
    report = json.loads((out / "report.json").read_text())
    clips = {path.name: json.loads(path.read_text()) for path in out.glob("sequences/*.json")}
    predictions = {name: [frame | {"seconds": 0} for frame in clip["frames"]] for name, clip in clips.items()}
    return [report[key] for key in SCORES], predictions


def _check_evaluation(out: Path) -> None:
    for path in (*out.glob("sequences/*.json"), *out.glob("report.json")):
        try:
            json.loads(path.read_text())
        except ValueError as error:
            raise IncompleteFile(f"{path}: {error}") from error


def _engines(out: Path) -> list[str]:
    """Return the names of the engines, which contain their keys."""
    _check_engines(out)
    return [entry.folder.name for entry in EngineCache(out).entries()]


def _check_engines(out: Path) -> None:
    broken = [entry.folder for entry in EngineCache(out).entries() if entry.key is None]
    if broken:
        raise IncompleteFile(str(broken[0]))


def leftovers(folder: Path) -> list[str]:
    """Return the hidden files and folders of an interrupted run."""
    with contextlib.suppress(FileNotFoundError):
        return sorted(str(path.relative_to(folder)) for path in folder.rglob(".*"))
    return []
