"""What a training draws from, how often, and what it never sees."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pcan_model.core.errors import DataError
from pcan_model.core.train_config import TrainConfig
from pcan_model.data import sources
from pcan_model.data.clips import LabeledFrame
from pcan_model.data.datasets.scalabel import write_clip
from pcan_model.data.registry import open_clips
from pcan_model.data.sources import SourceError, read_sources, split_weight, without

TRAIN = TrainConfig(crop_height=64, crop_width=96, reference_range=2)


def write(root: Path, name: str, frames: int) -> None:
    mask = np.zeros((1, 48, 64), bool)
    mask[0, 10:30, 20:40] = True
    one = np.ones(1, np.int64)
    frame = LabeledFrame(np.full((48, 64, 3), 90, np.uint8), mask, one, one, np.zeros((48, 64), bool))
    write_clip(root, name, (frame for _ in range(frames)))


@pytest.fixture
def roots(tmp_path: Path) -> tuple[Path, Path]:
    for name, frames in (("a", 4), ("b", 1)):
        write(tmp_path / "one", name, frames)
    for name, frames in (("a", 9), ("c", 9)):
        write(tmp_path / "two", name, frames)
    return tmp_path / "one", tmp_path / "two"


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Return what the pairs are drawn from, once read."""
    seen: dict[str, Any] = {}

    def remember(clips: Any, **settings: Any) -> None:
        seen.update(settings, clips=[clip.name for clip in clips])

    monkeypatch.setattr(sources, "PairDataset", remember)
    return seen


def read(*named: str, hold_out: tuple[str, ...] = ()) -> Any:
    return read_sources(named, hold_out, TRAIN, seed=3, length=7)


def test_a_source_counts_by_its_weight_and_a_clip_by_the_root_of_its_length(
    roots: tuple[Path, Path], drawn: dict[str, Any]
) -> None:
    read(f"{roots[0]}:3", str(roots[1]))
    assert drawn["clips"] == ["a", "b", "a", "c"]
    assert drawn["weights"] == pytest.approx([3 * 2 / 3, 3 * 1 / 3, 3 / 6, 3 / 6])


def test_the_settings_of_training_reach_the_pairs(roots: tuple[Path, Path], drawn: dict[str, Any]) -> None:
    read(str(roots[0]))
    assert (drawn["height"], drawn["width"], drawn["reference_range"]) == (64, 96, 2)
    assert (drawn["seed"], drawn["length"]) == (3, 7)


def test_a_held_out_video_is_kept_out_of_every_source(
    roots: tuple[Path, Path], drawn: dict[str, Any]
) -> None:
    read(*map(str, roots), hold_out=("a",))
    assert drawn["clips"] == ["b", "c"]
    assert drawn["weights"] == pytest.approx([1, 1])


def test_a_held_out_video_that_is_nowhere_is_an_error(roots: tuple[Path, Path]) -> None:
    with pytest.raises(SourceError, match=r"--hold-out: expected a video of .*one.*, got \['z'\]"):
        read(*map(str, roots), hold_out=("a", "z"))


def test_real_pairs_come_out(roots: tuple[Path, Path]) -> None:
    key, reference = read(*map(str, roots))[0]
    assert key.image.shape == reference.image.shape == (64, 96, 3)


def test_weights_are_split_off_but_not_from_a_path_with_a_colon(tmp_path: Path) -> None:
    assert split_weight("drives:0.5") == (Path("drives"), 0.5)
    assert split_weight("drives") == (Path("drives"), 1.0)
    (tmp_path / "take:2").mkdir()
    assert split_weight(str(tmp_path / "take:2")) == (tmp_path / "take:2", 1.0)


@pytest.mark.parametrize("weight", ["much", "0", "-1", "nan", "inf"])
def test_a_weight_that_is_none_is_refused(weight: str) -> None:
    message = rf"--data drives:{weight}: expected PATH, or PATH:WEIGHT above 0, got the weight '{weight}'"
    with pytest.raises(SourceError, match=message):
        split_weight(f"drives:{weight}")


def test_single_images_are_clips_of_one_frame(tmp_path: Path, drawn: dict[str, Any]) -> None:
    frames = [{"name": f"{name}.jpg", "labels": []} for name in "xyz"]
    (tmp_path / "annotation_rle.json").write_text(json.dumps(frames))
    read(str(tmp_path))
    assert drawn["clips"] == ["x", "y", "z"] and drawn["weights"] == pytest.approx([1 / 3] * 3)


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"nowhere: path: expected a data set, .*got nothing there"):
        read(str(tmp_path / "nowhere"))


def test_a_source_may_name_its_videos(roots: tuple[Path, Path], drawn: dict[str, Any]) -> None:
    read(f"{roots[0]}#b:2", f"{roots[1]}#a,c")
    assert drawn["clips"] == ["b", "a", "c"]
    assert drawn["weights"] == pytest.approx([2, 3 / 6, 3 / 6])
    with pytest.raises(SourceError, match=r"one#b,nobody: expected videos of .*one, got \['nobody'\]"):
        read(f"{roots[0]}#b,nobody:2")


def test_a_source_may_name_more_videos_than_a_file_name_has_letters(
    tmp_path: Path, drawn: dict[str, Any]
) -> None:
    names = [f"{letter * 90}" for letter in "abc"]
    for name in names:
        write(tmp_path, name, 2)
    read(f"{tmp_path}#{','.join(names)}:0.5")
    assert drawn["clips"] == names


def test_a_format_chooses_one_of_several_tasks_in_a_folder(tmp_path: Path, drawn: dict[str, Any]) -> None:
    for task, images in (("box_track_20", "track"), ("det_20", "100k")):
        (tmp_path / "images" / images).mkdir(parents=True)
        for split in ("train", "val"):
            labels = tmp_path / "labels" / task
            file = labels / split / "v.json" if images == "track" else labels / f"det_{split}.json"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(json.dumps([{"name": f"{images}_{split}.jpg"}]))
    for source, expected in (("", "v"), ("@bdd100k_det", "100k_train"), ("@bdd100k_det@val", "100k_val")):
        read(f"{tmp_path}{source}")
        assert drawn["clips"] == [expected]
    with pytest.raises(DataError, match=r"format: expected auto or one of .*bdd100k_det"):
        read(f"{tmp_path}@zebra@val")


def test_the_end_of_a_video_can_be_held_out(roots: tuple[Path, Path]) -> None:
    (clip,) = open_clips(roots[1], videos=["c"])
    kept = without(clip, ("a", "c:6"))
    assert len(kept) == 6 and kept.file_name(5) == clip.file_name(5)
    assert len(without(clip, ("c",))) == 0 and without(clip, ("a:2",)) is clip
    with pytest.raises(SourceError, match=r"--hold-out: expected a video of .*, got \['z:3'\]"):
        read(str(roots[1]), hold_out=("z:3",))
