"""`pcan-data rank` and `pcan-bag rank`: the frames that are most worth labelling or correcting."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from pathlib import Path

from tqdm import tqdm

from pcan_model.api.tracked_frame import TrackedFrame
from pcan_model.core.atomic_write import atomic_folder, write_bytes
from pcan_model.core.errors import DataError, UserError
from pcan_model.core.fields import setting
from pcan_model.core.packed_tracks import pack_tracks, unpack_tracks
from pcan_model.core.structures import Tracks
from pcan_model.core.workers import WorkerOptions
from pcan_model.data.clips import Clip, ClipFrame, check_inside, check_names
from pcan_model.data.files import write_image
from pcan_model.evaluation.recording import Recording
from pcan_model.evaluation.track_files import Target, write_tracks
from pcan_model.inference.backends import BACKENDS, EngineOptions, open_engine
from pcan_model.inference.input_size import DESCRIPTION
from pcan_model.inference.manifest import ModelFiles
from pcan_model.inference.model_names import find_model
from pcan_model.ranking.rank import RankedFrame, Ranker, choose_frames, rated
from pcan_model.ranking.signals import NAMES
from pcan_model.visualization.overlay import contact_sheet, draw, tile
from pcan_model.visualization.render import save_image

NONE = "none"  # of --other-size
Place = tuple[str, int]  # clip and index of a frame


@dataclass(frozen=True, kw_only=True)  # without slots, since a class with them inherits it beside another
class RankOptions(WorkerOptions):
    """The model whose doubts count, and the files to write."""

    model: str = setting("street", "street, street_tiny, folder of an exported model, or hf://OWNER/NAME")
    count: int = setting(20, "frames to choose", low=1)
    out: Path = setting(
        Path("ranked.json"), "file to write: all frames with their signals, and the chosen", writes=True
    )
    sheet: Path | None = setting(
        None, "contact sheet of the chosen frames with their tracks (PNG) to write", writes=True
    )
    cvat: Path | None = setting(
        None,
        "new folder for the chosen images with their tracks, to be corrected in CVAT (video 1.1)",
        writes=True,
    )
    size: str = setting("", DESCRIPTION)
    other_size: str = setting(
        "auto", f"input size to compare with; auto: another one of the model; {NONE}: do not compare"
    )
    backend: str = setting("auto", "inference backend", choices=BACKENDS)
    threads: int = setting(0, "CPU threads, 0 for one per core, or one in each of several workers", low=0)


@dataclass(frozen=True, slots=True, eq=False)
class RankedClip:
    """The frames of a clip with their tracks."""

    frames: tuple[RankedFrame, ...]
    packed: tuple[bytes, ...]  # tracks of each frame
    problems: tuple[str, ...]  # with reading the clip


def rank_clips(clips: Sequence[Clip], options: RankOptions) -> tuple[list[RankedFrame], list[str]]:
    """Rank the frames of clips and write the files.

    Returns the chosen frames, the most useful first, and the problems with reading the clips.

    Raises DataError for clips of the same name or an output that exists, ModelError for the model.
    """
    check_names(clips, options.out)
    if options.cvat is not None:
        check_inside(clips, options.cvat)
        if options.cvat.exists():
            raise DataError(options.cvat, "cvat", "a folder that does not exist", "one that does")
    classes = ModelFiles(find_model(options.model), options.size).config.classes
    found, packed, problems = _rank_all(clips, options)
    if not found:
        raise UserError("expected clips with frames, got none")
    ranked = rated(found)
    chosen = choose_frames(ranked, options.count)
    _write(options.out, ranked, chosen)
    tracks = {(c.clip, c.frame): unpack_tracks(packed[c.clip, c.frame]) for c in chosen}
    if options.sheet is not None:
        tiles = [tile(f.number, draw(f.image, t, classes)) for _, f, t in _shown(clips, tracks)]
        save_image(options.sheet, contact_sheet(tiles))
    if options.cvat is not None:
        _write_cvat(options.cvat, clips, tracks, classes)
    return chosen, problems


def _rank_all(
    clips: Sequence[Clip], options: RankOptions
) -> tuple[list[RankedFrame], dict[Place, bytes], list[str]]:
    """Return the frames in the order of the clips, their tracks, and the problems of the clips."""
    counts = [clip.count for clip in clips]
    total = None if None in counts else sum(count or 0 for count in counts)
    done: dict[str, RankedClip] = {}
    with tqdm(total=total, unit="frame", desc="rank") as bar:
        if options.alone:
            done |= {clip.name: _rank_one(options, clip, bar.update) for clip in clips}
        else:
            for clip, ranked in options.each(partial(_rank_one, options), clips, cpus=options.threads or 1):
                done[clip.name] = ranked
                bar.update(len(ranked.frames))
    in_order = [done[clip.name] for clip in clips]
    pairs = [pair for ranked in in_order for pair in zip(ranked.frames, ranked.packed, strict=True)]
    problems = [problem for ranked in in_order for problem in ranked.problems]
    return [frame for frame, _ in pairs], {(f.clip, f.frame): data for f, data in pairs}, problems


def _rank_one(options: RankOptions, clip: Clip, step: Callable[[], object] = lambda: None) -> RankedClip:
    packed: list[bytes] = []

    def keep(frame: RankedFrame, tracks: Tracks) -> None:
        packed.append(pack_tracks(tracks))
        step()

    frames = _opened(options)[0].rank(clip, keep)
    return RankedClip(tuple(frames), tuple(packed), clip.problems())


def table(chosen: Sequence[RankedFrame]) -> str:
    """Return the chosen frames as text."""
    rows = [["clip", "frame", "image", "objects", "uncertainty", *NAMES]]
    for frame in chosen:
        numbers = [frame.uncertainty, *frame.signals.values()]
        rows.append(
            [frame.clip, str(frame.frame), frame.name, str(frame.objects), *(f"{n:.3f}" for n in numbers)]
        )
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)).rstrip() for row in rows
    )


def open_ranker(options: RankOptions) -> tuple[Ranker, tuple[str, ...]]:
    """Open the model, and the same with another size of input if it has one."""
    folder = find_model(options.model)
    threads = options.threads or (0 if options.alone else 1)
    engine_options = EngineOptions(options.backend, size=options.size, threads=threads)
    engine = open_engine(folder, engine_options).engine
    size = options.other_size
    if size == "auto":
        manifest = ModelFiles(folder).manifest
        own = ModelFiles(folder, options.size).manifest.size
        size = next((each for each in (*manifest.sizes, manifest.size) if each != own), NONE)
    other = None if size == NONE else open_engine(folder, replace(engine_options, size=size)).engine
    return Ranker(engine, other), engine.config.classes


_opened = lru_cache(1)(open_ranker)  # once in each process


def _write(path: Path, ranked: Sequence[RankedFrame], chosen: Sequence[RankedFrame]) -> None:
    order = {(frame.clip, frame.frame): number for number, frame in enumerate(chosen, start=1)}
    frames = [frame.plain() | {"chosen": order.get((frame.clip, frame.frame))} for frame in ranked]
    write_bytes(path, (json.dumps({"frames": frames}, indent=1) + "\n").encode())


def _shown(clips: Sequence[Clip], tracks: dict[Place, Tracks]) -> Iterator[tuple[Clip, ClipFrame, Tracks]]:
    """Read the frames again whose tracks are given, in the order of the clips."""
    for clip in clips:
        last = max((frame for name, frame in tracks if name == clip.name), default=-1)
        for frame in clip.frames() if last >= 0 else ():
            if (clip.name, frame.number) in tracks:
                yield clip, frame, tracks[clip.name, frame.number]
            if frame.number == last:
                break


def _write_cvat(
    out: Path, clips: Sequence[Clip], tracks: dict[Place, Tracks], classes: tuple[str, ...]
) -> None:
    """Write OUT/<clip>/annotations.xml and images/, the images of a task in their order."""
    by_clip: dict[str, list[tuple[ClipFrame, Tracks]]] = {}
    with atomic_folder(out) as partial:
        for clip, frame, found in _shown(clips, tracks):
            name = f"{frame.number:06d}.jpg"
            write_image(partial / clip.name / "images" / name, frame.image[..., ::-1])
            by_clip.setdefault(clip.name, []).append((frame, found))
        for name, frames in by_clip.items():
            target = Target("cvat", partial / name / "annotations.xml")
            with write_tracks([target], Recording(name, classes)) as write:
                for index, (frame, found) in enumerate(frames):
                    write(TrackedFrame(frame.image, found.stamp, index, frame.name, found, classes))
