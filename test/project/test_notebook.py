"""The notebook runs from its first cell to its last, and is kept without outputs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[2]
NOTEBOOK = json.loads((ROOT / "examples" / "track.ipynb").read_text())
CODE = [cell for cell in NOTEBOOK["cells"] if cell["cell_type"] == "code"]
FRAMES, HEIGHT, WIDTH = 3, 360, 640


def write_street(path: Path) -> None:
    """Write a clip of a parked street, cut from a picture of the documents, that moves a little."""
    picture = cv2.imread(str(ROOT / "docs" / "contact_sheet.jpg"))
    assert picture is not None
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"mp4v"), 10, (WIDTH, HEIGHT))
    for shift in range(FRAMES):
        writer.write(cv2.resize(picture[:490, shift : 432 + shift], (WIDTH, HEIGHT)))
    writer.release()


def test_every_cell_of_the_notebook_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    plt = pytest.importorskip("matplotlib.pyplot", reason="matplotlib is not installed: make train-env")
    plt.switch_backend("Agg")
    monkeypatch.chdir(tmp_path)
    write_street(tmp_path / "drive.mp4")
    names: dict[str, Any] = {}
    for number, cell in enumerate(CODE):
        exec(compile("".join(cell["source"]), f"cell {number}", "exec"), names)
    plt.close("all")
    said = capsys.readouterr().out
    assert f"{FRAMES} images" in said and names["trails"], "cars are found"
    assert len(names["pixels"]) == FRAMES and max(names["pixels"]) > 0
    entries = json.loads((tmp_path / "annotations.json").read_text())
    assert len(entries) == sum(count for _, count in names["counts"])
    assert np.isfinite([entry["score"] for entry in entries]).all()


def test_the_notebook_is_kept_without_outputs() -> None:
    assert NOTEBOOK["nbformat"] == 4
    assert all(cell["outputs"] == [] and cell["execution_count"] is None for cell in CODE)
