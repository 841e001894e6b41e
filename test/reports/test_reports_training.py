"""Training with few classes, no objects or empty clips works, or ends with a one-line error."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from numpy.typing import NDArray
from support.small import VALUES, small_net

from pcan_model.cli import train
from pcan_model.core.config import CLASSES
from pcan_model.core.errors import DataError
from pcan_model.core.train_config import TrainConfig
from pcan_model.data.clips import LabeledFrame
from pcan_model.data.datasets.scalabel import write_clip
from pcan_model.data.sources import SourceError, read_sources

HEIGHT, WIDTH = 96, 160
SMALL = TrainConfig(crop_height=64, crop_width=96)


def scene(*classes: str) -> LabeledFrame:
    """Return an image with one object of 40 x 16 pixels for each class."""
    masks: NDArray[np.bool_] = np.zeros((len(classes), HEIGHT, WIDTH), bool)
    for k in range(len(classes)):
        masks[k, 30:70, 10 + 30 * k : 26 + 30 * k] = True
    image = np.full((HEIGHT, WIDTH, 3), 90, np.uint8)
    image[masks.any(0)] = 200
    labels = np.array([CLASSES.index(name) for name in classes], np.int64)
    return LabeledFrame(image, masks, labels, np.arange(1, len(classes) + 1), np.zeros((HEIGHT, WIDTH), bool))


@pytest.mark.parametrize(
    "classes", [("car",), ("pedestrian",), ("car", "pedestrian"), ("car", "bus", "rider"), ()]
)
def test_pairs_are_sampled_with_any_set_of_classes_and_with_none(
    tmp_path: Path, classes: tuple[str, ...]
) -> None:
    write_clip(tmp_path, "v", [scene(*classes), scene(*classes)])

    pairs = read_sources([str(tmp_path)], [], SMALL, seed=0, length=12)

    seen = {CLASSES[label] for k in range(12) for sample in pairs[k] for label in sample.labels}
    assert seen <= set(classes) and bool(seen) == bool(classes)


def test_half_of_the_frames_may_be_empty(tmp_path: Path) -> None:
    write_clip(tmp_path, "v", [scene("car") if k % 2 else scene() for k in range(6)])

    pairs = read_sources([str(tmp_path)], [], SMALL, seed=0, length=8)

    assert any(len(sample.ids) for k in range(8) for sample in pairs[k])


def test_a_clip_without_frames_is_rejected_by_name(tmp_path: Path) -> None:
    write_clip(tmp_path, "full", [scene("car")])
    write_clip(tmp_path, "hollow", [])
    (tmp_path / "images/hollow").mkdir()

    with pytest.raises(SourceError, match=r"expected clips with frames, got none in \['hollow'\]"):
        read_sources([str(tmp_path)], [], SMALL, seed=0, length=1)


def test_training_without_data_is_rejected(tmp_path: Path) -> None:
    write_clip(tmp_path, "v", [scene("car")])

    with pytest.raises(SourceError, match="expected clips to train on"):
        read_sources([str(tmp_path)], ["v"], SMALL, seed=0, length=1)


@pytest.fixture
def command(tmp_path: Path) -> list[str]:
    torch.save(small_net().backbone.state_dict(), tmp_path / "backbone.pt")
    (tmp_path / "small.yaml").write_text(yaml.safe_dump(VALUES))
    fixed = ["--backbone", str(tmp_path / "backbone.pt"), "--device", "cpu", "--iterations", "1"]
    return [str(tmp_path / "small.yaml"), "--out", str(tmp_path / "out"), "--batch", "1", *fixed]


@pytest.mark.parametrize("classes", [("car",), ("car", "pedestrian"), ()])
def test_a_step_is_trained_with_any_set_of_classes_and_with_none(
    tmp_path: Path, command: list[str], classes: tuple[str, ...]
) -> None:
    write_clip(tmp_path / "data", "v", [scene(*classes), scene(*classes)])

    assert train.main([*command, "--data", str(tmp_path / "data"), "--workers", "0"]) == 0
    assert (tmp_path / "out/weights.safetensors").is_file()


@pytest.mark.parametrize("workers", ["0", "1"])
def test_an_unreadable_image_is_one_line_in_any_process(
    tmp_path: Path, command: list[str], workers: str, capfd: pytest.CaptureFixture[str]
) -> None:
    write_clip(tmp_path / "data", "v", [scene(), scene()])
    for path in (tmp_path / "data/images/v").iterdir():
        path.write_bytes(b"no image")
    # No cut-outs, which this process would read.
    values = VALUES | {"train": VALUES.get("train", {}) | {"augment": "flip"}}
    (tmp_path / "small.yaml").write_text(yaml.safe_dump(values))
    capfd.readouterr()

    assert train.main([*command, "--data", str(tmp_path / "data"), "--workers", workers]) == 2
    message = [
        line for line in capfd.readouterr().err.splitlines() if "pcan-train" in line or "Trace" in line
    ]
    assert len(message) == 1 and "expected a readable image, got 8 other bytes" in message[0]


def test_a_data_error_passes_between_processes_as_one_short_line() -> None:
    error = DataError("a.json", "labels", "a list", f"{'x' * 9_000}\nand more")

    again = pickle.loads(pickle.dumps(error))

    assert str(again) == str(error) and str(again).startswith("a.json: labels: expected a list, got x")
    assert "\n" not in str(again) and len(str(again)) < 500
