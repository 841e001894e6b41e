"""Fuzz target: readers of labels and results. Any file is scored, or raises DataError."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest import mock

from support.run_lengths import run

from pcan_model.core.errors import DataError
from pcan_model.core.rle import Rle
from pcan_model.evaluation.score import score

EXPECTED = (DataError,)
KINDS = ("kitti_mots", "mot_challenge", "youtube_vis", "coco", "bdd100k")
COUNTED = tuple(f"pcan_model.evaluation.result_files.{kind}.official_scores" for kind in KINDS[:2])


def _lines(mask: Rle) -> str:
    (height, width), counts = mask["size"], mask["counts"]
    return f"0 1001 1 {height} {width} {counts}\n1 1001 1 {height} {width} {counts}\n"


def documents() -> dict[str, tuple[str, str]]:
    """Return valid labels and results of every format."""
    tube = {"id": 1, "video_id": 7, "category_id": 4, "iscrowd": 0, "segmentations": [run(), None]}
    label = {"id": 1, "image_id": 5, "category_id": 3, "iscrowd": 0, "area": 90, "segmentation": run()}
    drive: list[dict[str, Any]] = [
        {
            "name": "0.jpg",
            "videoName": "v",
            "frameIndex": 0,
            "labels": [{"id": "1", "category": "car", "rle": run()}],
        }
    ]
    videos = [{"id": 7, "width": 60, "height": 24, "length": 2, "file_names": ["0.jpg", "1.jpg"]}]
    vis = {"videos": videos, "categories": [{"id": 4, "name": "car"}], "annotations": [tube]}
    images = [{"id": 5, "width": 60, "height": 24}]
    coco = {"images": images, "categories": [{"id": 3, "name": "car"}], "annotations": [label]}
    boxes = "1,1,10,10,20,20,1,1,1\n2,1,12,10,20,20,1,1,1\n"
    return {
        "kitti_mots": (_lines(run()), _lines(run())),
        "mot_challenge": (boxes, boxes),
        "youtube_vis": (json.dumps(vis), json.dumps([tube | {"score": 0.5}])),
        "coco": (json.dumps(coco), json.dumps([label | {"score": 0.5}])),
        "bdd100k": (json.dumps(drive), json.dumps(drive)),
    }


DOCUMENTS = documents()


def seeds() -> Iterator[bytes]:
    """Yield the index of file and format, then the bytes."""
    for number, kind in enumerate(KINDS):
        for side in range(2):
            yield bytes([2 * number + side]) + DOCUMENTS[kind][side].encode()


def check(data: bytes, folder: Path) -> None:
    """Score with one of the two files replaced by these bytes.

    TrackEval, which would take seconds, is not run: it sees lines only that were checked before.
    """
    kind, side = divmod((data[0] if data else 0) % (2 * len(KINDS)), 2)
    places = []
    for number, text in enumerate(DOCUMENTS[KINDS[kind]]):
        place = folder / f"side{number}"
        place.mkdir(exist_ok=True)
        content = data[1:] if number == side else text.encode()
        (place / ("0000.txt" if kind < 2 else "all.json")).write_bytes(content)
        places.append(place if kind < 2 else place / "all.json")
    with mock.patch(COUNTED[0], return_value={}), mock.patch(COUNTED[1], return_value={}):
        score(KINDS[kind], places[0], places[1], log=lambda line: None)
