"""Labelling of one or several bags, by one or several workers."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

from tqdm import tqdm

from pcan_model.core.package_files import default_model
from pcan_model.data.bags.reading import BagError
from pcan_model.inference.backends import EngineOptions, open_engine
from pcan_model.inference.manifest import ModelFiles
from pcan_model.model.pass_names import GRAPHS
from pcan_model.tracking.tracker import Tracker
from pcan_ros.bag.copy import CopyStyle
from pcan_ros.bag.label import LabelSummary, Progress, label_bag
from pcan_ros.bag.options import LabelOptions


@dataclass(frozen=True, slots=True)
class LabelJob:
    """A bag to label, and its copy."""

    bag: Path
    out: Path


def label_bags(options: LabelOptions) -> Iterator[tuple[LabelJob, LabelSummary]]:
    """Label bags; yields what has been done, in the order in which it is done.

    Raises BagError for bags of the same name.
    """
    jobs = jobs_of(options)
    if options.alone or (len(jobs) < 2 and not options.ray):
        for job in jobs:
            yield job, _label(options, job, _progress, _warn)
        return
    with tqdm(total=len(jobs), unit="bag", desc="label") as bar:
        for job, (done, warnings) in options.each(partial(_work, options), jobs, cpus=options.threads or 1):
            for line in warnings:
                _warn(f"{job.bag}: {line}")
            yield job, done
            bar.update()


def jobs_of(options: LabelOptions) -> list[LabelJob]:
    """Return a job for each bag: several are written into a folder, under their own names."""
    if len(options.bags) == 1:
        return [LabelJob(options.bags[0], options.out)]
    names = [bag.resolve().name if bag.is_dir() else bag.stem for bag in options.bags]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise BagError(f"{options.out}: expected bags of different names, got several of {twice[:5]}")
    return [LabelJob(bag, options.out / name) for bag, name in zip(options.bags, names, strict=True)]


def _work(options: LabelOptions, job: LabelJob) -> tuple[LabelSummary, list[str]]:
    """Label a bag in a worker; returns the warnings too, since a worker may have no terminal."""
    warnings: list[str] = []
    return _label(options, job, lambda items, count, what: items, warnings.append), warnings


def _label(
    options: LabelOptions, job: LabelJob, progress: Progress, warn: Callable[[str], object]
) -> LabelSummary:
    threads = options.threads or (0 if options.alone else 1)
    tracker, model = _opened(options.model or default_model(), options.backend, options.size, threads)
    style = CopyStyle(options.storage, options.prefix, options.raw, not options.no_images)
    return label_bag(
        job.bag,
        job.out,
        tracker,
        model=model,
        topics=options.topics,
        style=style,
        progress=progress,
        warn=warn,
    )


@lru_cache(1)  # once in each process
def _opened(model: Path, backend: str, size: str, threads: int) -> tuple[Tracker, str]:
    """Return the tracker, and what identifies its weights and runtime."""
    files = ModelFiles(model, size)
    engine = open_engine(files.folder, EngineOptions(backend, size=size, threads=threads)).engine
    return Tracker(engine), " ".join((engine.facts.engine, *(files.digest(name) for name in GRAPHS)))


def _progress(items: Iterable[Any], count: int, what: str) -> Iterable[Any]:
    return tqdm(items, desc=what, total=count or None, unit="message", mininterval=0.5)


def _warn(line: str) -> None:
    print(f"pcan-bag: {line}", file=sys.stderr)
