"""Hidden files, such as macOS' `._x`, and names outside the folder are not read, listed or written."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from support.run_lengths import SIZE, run
from support.small import VALUES, small_net

from pcan_model.cli import data, evaluate, train
from pcan_model.cli.score import score
from pcan_model.core.errors import DataError
from pcan_model.data.clips import check_inside
from pcan_model.data.files import write_image
from pcan_model.data.registry import open_clips

REPORTS = Path(os.environ.get("PCAN_SHARED", Path(__file__).parents[3] / "shared")) / "data/reports"
JUNK = b"\0\5\x16\7\0\2\0\0Mac OS X"


def hide(folder: Path) -> None:
    """Put beside every file a hidden one, and a hidden folder into every folder."""
    for path in [p for p in folder.rglob("*") if p.is_file()]:
        path.with_name(f"._{path.name}").write_bytes(JUNK)
    for path in [folder, *(p for p in folder.rglob("*") if p.is_dir())]:
        (path / ".hidden").mkdir()
        for name in ("0.png", "1.txt", "2.json"):
            (path / ".hidden" / name).write_bytes(JUNK)


def bitmask(value: int) -> np.ndarray:
    image = np.zeros((*SIZE, 4), np.uint8)
    image[5:15, 3:12] = (0, 1, 0, 3)[::-1] if value else 0
    return image


def test_scoring_ignores_hidden_files_in_every_format(tmp_path: Path) -> None:
    pytest.importorskip("trackeval", reason="pip install --no-deps trackeval==1.3.0")
    mask = run()
    line = f"0 1001 1 {SIZE[0]} {SIZE[1]} {mask['counts']}\n"
    box = "1,1,10,10,20,20,1,1,1\n"
    label = {"id": "1", "category": "car", "rle": mask}
    drive = [{"name": "0.jpg", "videoName": "v", "frameIndex": 0, "labels": [label]}]
    texts = {
        "kitti_mots": ("0002.txt", line),
        "mot_challenge": ("a.txt", box),
        "bdd100k": ("v.json", json.dumps(drive)),
    }
    for kind, (name, text) in texts.items():
        for side in ("true", "mine"):
            (tmp_path / kind / side).mkdir(parents=True)
            (tmp_path / kind / side / name).write_text(text)
    for side in ("true", "mine"):
        write_image(tmp_path / "bitmasks" / side / "v" / "0.png", bitmask(1))
    kinds = {**dict.fromkeys(texts), "bitmasks": None}
    before = {
        k: score(k.replace("bitmasks", "bdd100k"), tmp_path / k / "true", tmp_path / k / "mine")
        for k in kinds
    }
    hide(tmp_path)
    for kind, found in before.items():
        name = kind.replace("bitmasks", "bdd100k")
        assert score(name, tmp_path / kind / "true", tmp_path / kind / "mine") == found, kind


@pytest.mark.parametrize("name", ["../evil", "/evil", "a/../../evil", ".."])
def test_a_clip_name_outside_the_output_folder_is_not_written(tmp_path: Path, name: str) -> None:
    label = {"id": "1", "category": "car", "rle": run()}
    drive = [{"name": "0.jpg", "videoName": name, "frameIndex": 0, "labels": [label]}]
    (tmp_path / "in/labels").mkdir(parents=True)
    (tmp_path / "in/labels/all.json").write_text(json.dumps(drive))
    write_image(tmp_path / "in/images/0.jpg", np.zeros((*SIZE, 3), np.uint8))
    with pytest.raises(DataError, match=r"clip: expected the name of a folder inside, got "):
        check_inside(open_clips(tmp_path / "in", "scalabel"), tmp_path / "out")
    words = [str(tmp_path / "in"), "--out", str(tmp_path / "out"), "--to", "kitti_mots"]
    assert data.main(["convert", *words]) == 2
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in"]


@pytest.mark.skipif(not REPORTS.is_dir(), reason="the shared inputs of reports are not here")
def test_frames_that_begin_at_one_are_trained_and_evaluated(tmp_path: Path) -> None:
    pytest.importorskip("trackeval", reason="pip install --no-deps trackeval==1.3.0")
    folder = Path(shutil.copytree(REPORTS / "kitti_from1/txt", tmp_path / "set"))
    hide(folder)
    for split in ("train", "val"):
        (folder / f"{split}.seqmap").write_text("0002 empty 000001 000005\n")
    small, backbone = tmp_path / "small.yaml", tmp_path / "backbone.pt"
    small.write_text(yaml.safe_dump(VALUES))
    torch.save(small_net().backbone.state_dict(), backbone)
    words = [str(small), "--data", str(folder), "--backbone", str(backbone), "--iterations", "1"]
    words += ["--batch", "1", "--workers", "0"]
    assert train.main([*words, "--device", "cpu", "--out", str(tmp_path / "run")]) == 0
    weights = tmp_path / "run" / "weights.safetensors"
    assert (
        evaluate.main(
            [str(small), "--weights", str(weights), "--data", str(folder), "--out", str(tmp_path / "ev")]
        )
        == 0
    )
    report = json.loads((tmp_path / "ev/report.json").read_text())
    assert (report["clips"], report["frames"]) == (1, 5)
    assert report["classes"]["car"]["objects"] == 5, "a car in each of the frames"
