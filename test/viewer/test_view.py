"""The web page of a run: what is written, and what a browser shows of it."""

from __future__ import annotations

import html
import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from support.squares_footage import FRAMES, write_images

from pcan_model.cli.view import main
from pcan_model.data.registry import open_clips
from pcan_model.evaluation.metrics.comparison import Objects, encode
from pcan_model.evaluation.predictions import ClipPredictions, write_predictions

CLASSES = ["pedestrian", "rider", "car"]
BROWSER = next(
    (found for name in ("chromium", "chromium-browser", "google-chrome") if (found := shutil.which(name))),
    None,
)


def square(x: int, y: int) -> np.ndarray:
    mask = np.zeros((64, 96), bool)
    mask[y : y + 16, x : x + 16] = True
    return mask


def objects(
    index: int, *, missed: bool = False, ids: tuple[int, int] = (7, 8), scored: bool = False
) -> Objects:
    """Return the car and the pedestrian of a frame; `missed`: without the pedestrian."""
    masks = [square(5 + 2 * index, 10), square(60, 20)][: 1 if missed else 2]
    count = len(masks)
    scores = np.full(count, 0.75) if scored else np.zeros(0)
    return Objects(encode(masks), np.array([2, 0][:count]), np.array(ids[:count]), scores)


def save_run(folder: Path, *, missed_in: int | None = None, swapped_from: int = FRAMES) -> Path:
    """Write a run as pcan-evaluate does."""
    found = [
        objects(k, missed=k == missed_in, ids=(1, 2) if k < swapped_from else (3, 2), scored=True)
        for k in range(FRAMES)
    ]
    truth = tuple(objects(k) for k in range(FRAMES))
    names = tuple(f"{k:06d}.png" for k in range(FRAMES))
    clip = ClipPredictions("drive", "key", names, ((64, 96),) * FRAMES, truth, tuple(found), (0.1,) * FRAMES)
    write_predictions(folder / "sequences" / "drive.json", clip)
    (folder / "report.json").write_text(json.dumps({"class_names": CLASSES}))
    return folder


def read_script(path: Path) -> dict:  # type: ignore[type-arg]
    """Return the value that a script assigns."""
    return json.loads(path.read_text().partition(" = ")[2].rstrip().removesuffix(";"))


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write the page of two runs: one misses an object, the other changes an id."""
    root = tmp_path_factory.mktemp("view")
    drive = write_images(root / "drive")
    runs = [save_run(root / "before", missed_in=2), save_run(root / "after", swapped_from=3)]
    assert main([*map(str, runs), "--data", str(drive), "--out", str(root / "view")]) == 0
    return root / "view" / "index.html"


def test_the_page_holds_the_images_and_the_objects_of_both_runs(page: Path) -> None:
    index, clip = read_script(page.parent / "run.js"), read_script(page.parent / "clips" / "0.js")
    assert (
        index["runs"] == ["before", "after"] and index["clips"] == ["drive"] and index["classes"] == CLASSES
    )
    assert len(clip["frames"]) == FRAMES == len(list((page.parent / "images" / "0").iterdir()))
    frame = clip["frames"][2]
    assert [len(frame["truth"]), *map(len, frame["runs"])] == [2, 1, 2]
    assert frame["runs"][1][0] | {"rle": ""} == {"id": 1, "label": 2, "rle": "", "score": 0.75}


def test_the_worst_moments_are_where_the_runs_differ(page: Path) -> None:
    clip, index = (read_script(page.parent / name) for name in ("clips/0.js", "run.js"))
    assert [frame["errors"] for frame in clip["frames"]] == [[0, 0], [0, 0], [1, 0], [0, 3]]
    assert [(each["frame"], each["text"]) for each in index["worst"]] == [
        (3, "0 and 3 errors"),
        (2, "1 and 0 errors"),
    ]


def dumped(address: str, profile: Path) -> str:
    """Open a page in a browser; returns its elements as text."""
    command = [str(BROWSER), "--headless", "--no-sandbox", "--disable-gpu", "--window-size=1200,700"]
    command += [f"--user-data-dir={profile}", "--virtual-time-budget=4000", "--dump-dom", address]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=True).stdout


@pytest.mark.skipif(BROWSER is None, reason="needs Chromium or Chrome")
def test_a_browser_draws_the_masks_where_they_are(page: Path, tmp_path: Path) -> None:
    shown = dumped(f"{page.as_uri()}#0:2", tmp_path)
    captions = re.findall(r"<figcaption[^>]*>([^<]*)</figcaption>", shown)
    assert captions == ["ground truth: 2 objects", "before: 1 objects", "after: 2 objects"]
    drawn = [json.loads(html.unescape(each)) for each in re.findall(r'data-boxes="([^"]*)"', shown)]
    car, person = [9, 10, 24, 25], [60, 20, 75, 35]
    assert drawn == [[car, person], [car], [car, person]]
    assert re.findall(r'data-drawn="([^"]*)"', shown) == ["0:2"] * 3
    assert 'class="here"' in shown and "frame 2 of 4" in shown


def test_tracks_of_a_video_are_shown_without_ground_truth(tmp_path: Path) -> None:
    drive, file = write_images(tmp_path / "drive"), tmp_path / "found.json"
    run = {"size": [64, 96], "counts": encode([square(5, 10)])[0]["counts"].decode()}
    entry = {"category_id": 3, "segmentation": run, "score": 0.5}
    file.write_text(
        json.dumps(
            {
                "categories": [{"id": k + 1, "name": name} for k, name in enumerate(CLASSES)],
                "images": [
                    {"id": k, "file_name": f"{k:06d}.png", "height": 64, "width": 96} for k in range(FRAMES)
                ],
                "annotations": [entry | {"image_id": k, "track_id": 1 + (k > 1)} for k in range(FRAMES)],
            }
        )
    )
    assert main([str(file), "--data", str(drive), "--out", str(tmp_path / "view")]) == 0
    clip = read_script(tmp_path / "view" / "clips" / "0.js")
    assert not clip["labelled"] and [frame["errors"] for frame in clip["frames"]] == [[0], [0], [2], [0]]
    assert clip["frames"][3]["runs"][0][0]["label"] == 2


def test_what_is_not_a_run_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    drive = write_images(tmp_path / "drive")
    (tmp_path / "other.json").write_text('{"images": 3}')
    for run, message in (
        (tmp_path / "none", "got nothing there"),
        (drive, "got no predictions"),
        (tmp_path / "other.json", "got KeyError: 'categories'"),
    ):
        assert main([str(run), "--data", str(drive), "--out", str(tmp_path / "view")]) == 2
        assert message in capsys.readouterr().err
    assert not (tmp_path / "view").exists()


def test_runs_of_other_clips_cannot_be_compared(
    page: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = write_images(tmp_path / "elsewhere")
    run = page.parents[1] / "before"
    assert main([str(run), "--data", str(other), "--out", str(tmp_path / "view")]) == 2
    assert "expected images of the clip drive, got clips ['elsewhere']" in capsys.readouterr().err


@pytest.fixture(scope="module")
def prototypes(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[dict[str, Any]]]:
    """Write the page of a run with one object, a tracked one of several; returns it, and the tracked ones."""
    pytest.importorskip("torch")
    from support.small import HEIGHT, WIDTH, blocks, small_config, small_net

    from pcan_model.model import checkpoint
    from pcan_model.viewer.prototypes import write_pictures

    root = tmp_path_factory.mktemp("prototypes")
    config = small_config(heads={"score_threshold": 0.3})
    net = small_net(config)
    checkpoint.save(root / "weights.safetensors", net, config, {})
    (root / "drive").mkdir()
    cv2.imwrite(str(root / "drive" / "000000.png"), blocks(HEIGHT, WIDTH, 1)[0].numpy()[..., ::-1])
    (clip,) = open_clips(root / "drive")
    x1, y1, x2, y2 = (round(side) for side in write_pictures(net, clip, root / "pictures")[0][0]["box"])
    mask = np.zeros((HEIGHT, WIDTH), bool)
    mask[y1:y2, x1:x2] = True
    whole = {"size": [HEIGHT, WIDTH], "counts": encode([mask])[0]["counts"].decode()}
    found = {
        "categories": [{"id": 1, "name": "car"}],
        "images": [{"id": 0, "file_name": "000000.png", "height": HEIGHT, "width": WIDTH}],
        "annotations": [{"category_id": 1, "segmentation": whole, "score": 1, "image_id": 0, "track_id": 1}],
    }
    (root / "found.json").write_text(json.dumps(found))
    words = [str(root / "found.json"), "--data", str(root / "drive"), "--out", str(root / "view")]
    assert main([*words, "--prototypes", str(root / "weights.safetensors")]) == 0
    (frame,) = read_script(root / "view" / "clips" / "0.js")["frames"]
    return root / "view" / "index.html", frame["prototypes"]


def test_every_tracked_object_has_a_picture_of_its_prototypes(
    prototypes: tuple[Path, list[dict[str, Any]]],
) -> None:
    page, entries = prototypes
    assert entries and all(len(entry["box"]) == 4 for entry in entries)
    for entry in entries:
        image = cv2.imread(str(page.parent / "prototypes" / "0" / entry["file"]))
        assert image is not None and image.shape[1] == 3 * image.shape[0]


@pytest.mark.skipif(BROWSER is None, reason="needs Chromium or Chrome")
def test_a_clicked_object_shows_the_prototypes_of_the_track_that_covers_it(
    prototypes: tuple[Path, list[dict[str, Any]]], tmp_path: Path
) -> None:
    page, entries = prototypes
    x1, y1, x2, y2 = entries[0]["box"]
    shown = dumped(f"{page.as_uri()}#0:0@{round(x1 + x2) // 2},{round(y1 + y2) // 2}", tmp_path)
    assert f'<img src="prototypes/0/{entries[0]["file"]}">' in shown
    assert "<img" not in dumped(f"{page.as_uri()}#0:0@9999,3", tmp_path)
