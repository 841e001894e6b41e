"""`pcan-score` with damaged JSON (YouTube-VIS, COCO, BDD100K): the official value, or a one-line error."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some
from support.damage import damaged
from support.run_lengths import run

from pcan_model.cli.score import main, score
from pcan_model.core.errors import DataError

pytest.importorskip("trackeval", reason="pip install --no-deps trackeval==1.3.0")
REPORTS = Path(os.environ.get("PCAN_SHARED", Path(__file__).parents[3] / "shared")) / "data/reports"
SQUARE = [3, 5, 12, 5, 12, 15, 3, 15]  # what run(3) paints


COUNTS = [77, *([10, 14] * 8), 10, 1161]  # what run(3) says
VIDEO = {"id": 7, "width": 60, "height": 24, "length": 2, "file_names": ["v/0.jpg", "v/1.jpg"]}
TUBE = {"id": 11, "video_id": 7, "category_id": 40, "iscrowd": 0, "segmentations": [run(), run(4)]}
VIS = {"videos": [VIDEO], "categories": [{"id": 40, "name": "car"}], "annotations": [TUBE]}
VIS_RESULTS = [{"video_id": 7, "category_id": 40, "score": 0.9, "segmentations": [run(), run(4)]}]
IMAGE = {"id": 5, "width": 60, "height": 24, "file_name": "a.jpg"}
LABEL = {"id": 1, "image_id": 5, "category_id": 3, "iscrowd": 0, "area": 90, "segmentation": run()}
COCO = {"images": [IMAGE], "categories": [{"id": 3, "name": "car"}], "annotations": [LABEL]}
COCO_RESULTS = [{"image_id": 5, "category_id": 3, "score": 0.9, "segmentation": run()}]
DOCUMENTS = {"youtube_vis": (VIS, VIS_RESULTS), "coco": (COCO, COCO_RESULTS)}


@pytest.fixture
def ap(tmp_path: Path) -> Callable[..., float]:
    """Return what scores labels and results of a format; None: sound ones."""

    def scored(kind: str, truth: Any = None, output: Any = None) -> float:
        for name, data, sound in zip(("truth", "said"), (truth, output), DOCUMENTS[kind], strict=True):
            (tmp_path / f"{name}.json").write_text(json.dumps(sound if data is None else data))
        found = score(kind, tmp_path / "truth.json", tmp_path / "said.json")
        return float(found["stats"]["AP50"])

    return scored


def without(entry: dict[str, Any], *keys: str, **more: Any) -> dict[str, Any]:
    return {key: value for key, value in entry.items() if key not in keys} | more


def vis(**more: Any) -> dict[str, Any]:
    return VIS | {"annotations": [without(TUBE, *more.pop("gone", ()), **more)]}


def coco(**more: Any) -> dict[str, Any]:
    return COCO | {"annotations": [without(LABEL, *more.pop("gone", ()), **more)]}


FINE = {
    "vis as it is": ("youtube_vis", None, None),
    "vis without iscrowd, id, areas": ("youtube_vis", vis(gone=("id", "iscrowd")), None),
    "vis of the id 0": ("youtube_vis", vis(id=0), None),
    "vis without file names": ("youtube_vis", VIS | {"videos": [without(VIDEO, "file_names")]}, None),
    "vis that says no length": ("youtube_vis", VIS | {"videos": [{"id": 7}]}, None),
    "vis of numbers with a point": ("youtube_vis", VIS | {"videos": [VIDEO | {"id": 7.0}]}, None),
    "vis of polygons": ("youtube_vis", vis(segmentations=[[SQUARE], run(4)]), None),
    "vis results of polygons": (
        "youtube_vis",
        None,
        [VIS_RESULTS[0] | {"segmentations": [[SQUARE], run(4)]}],
    ),
    "coco as it is": ("coco", None, None),
    "coco of the annotation id 0": ("coco", coco(id=0), None),
    "coco without id": ("coco", coco(gone=("id",)), None),
    "coco without area and iscrowd": ("coco", coco(gone=("area", "iscrowd")), None),
    "coco without sizes": ("coco", COCO | {"images": [{"id": 5}]}, None),
    "coco of polygons": ("coco", coco(segmentation=[SQUARE]), None),
    "coco of polygons, one of two corners": ("coco", coco(segmentation=[[1, 2, 3, 4], SQUARE]), None),
    "coco results of polygons": ("coco", None, [COCO_RESULTS[0] | {"segmentation": [SQUARE]}]),
    "coco results with boxes": ("coco", None, [COCO_RESULTS[0] | {"bbox": [3, 5, 9, 10]}]),
    "coco of uncompressed run lengths": (
        "coco",
        None,
        [COCO_RESULTS[0] | {"segmentation": {"size": [24, 60], "counts": COUNTS}}],
    ),
}


@pytest.mark.parametrize("name", FINE)
def test_missing_values_that_can_be_derived_do_not_change_the_scores(
    ap: Callable[..., float], name: str
) -> None:
    assert ap(*FINE[name]) == pytest.approx(1)


BAD = {
    "vis of a smaller image": (
        "youtube_vis",
        None,
        [VIS_RESULTS[0] | {"segmentations": [run(3, (12, 30)), None]}],
        r"said.json: entry 0: segmentations\[0\].size: expected that of the labels' image \(24, 60\), got",
    ),
    "vis labels of a smaller image": (
        "youtube_vis",
        vis(segmentations=[run(3, (12, 30)), None]),
        None,
        r"annotation 11: segmentations\[0\].size",
    ),
    "vis without a video": (
        "youtube_vis",
        None,
        [VIS_RESULTS[0] | {"video_id": None}],
        "entry 0: video_id: expected a whole number, got None",
    ),
    "vis of another video": (
        "youtube_vis",
        None,
        [VIS_RESULTS[0] | {"video_id": 8}],
        r"video_id: expected one of \[7\], got 8",
    ),
    "vis of a video in text": (
        "youtube_vis",
        None,
        [VIS_RESULTS[0] | {"video_id": "7"}],
        "video_id: .*got '7'",
    ),
    "vis without score": (
        "youtube_vis",
        None,
        [without(VIS_RESULTS[0], "score")],
        "score: expected a finite number, got none",
    ),
    "vis of a score in text": (
        "youtube_vis",
        None,
        [VIS_RESULTS[0] | {"score": "0.9"}],
        "score: .*got '0.9'",
    ),
    "vis of no score": ("youtube_vis", None, [VIS_RESULTS[0] | {"score": math.nan}], "score: .*got nan"),
    "vis of boxes": (
        "youtube_vis",
        None,
        [without(VIS_RESULTS[0], "segmentations", bboxes=[[1, 2, 3, 4]] * 2)],
        "segmentations: expected a list of masks, one or null per frame, got boxes only",
    ),
    "vis of too few frames": (
        "youtube_vis",
        None,
        [VIS_RESULTS[0] | {"segmentations": [None]}],
        "segmentations: expected one per frame, 2, got 1",
    ),
    "vis of unknown categories": (
        "youtube_vis",
        None,
        [VIS_RESULTS[0] | {"category_id": 1}],
        r"category_id: expected one of \[40\], got \{1: 1\}",
    ),
    "vis of a flat polygon": (
        "youtube_vis",
        vis(segmentations=[SQUARE, None]),
        None,
        "got no list of polygons",
    ),
    "vis of one id twice": (
        "youtube_vis",
        VIS | {"annotations": [TUBE, TUBE]},
        None,
        "id: expected once in a video, got 11",
    ),
    "vis of one video twice": (
        "youtube_vis",
        VIS | {"videos": [VIDEO, VIDEO]},
        None,
        "id: expected a unique one for each",
    ),
    "vis of no object": ("youtube_vis", None, [7], "entry 0: expected an object, got 7"),
    "vis of a dictionary": ("youtube_vis", None, {"results": []}, "expected a list in JSON, got dict"),
    "vis without annotations": (
        "youtube_vis",
        without(VIS, "annotations"),
        None,
        "annotations: expected a list",
    ),
    "coco without score": ("coco", None, [without(COCO_RESULTS[0], "score")], "entry 0: score: .*got none"),
    "coco of another image": (
        "coco",
        None,
        [COCO_RESULTS[0] | {"image_id": 99}],
        "image_id: expected one of the 1 images of the labels, got 99",
    ),
    "coco labels of another image": ("coco", coco(image_id=99), None, "annotation 1: image_id: .*got 99"),
    "coco of a smaller image": (
        "coco",
        None,
        [COCO_RESULTS[0] | {"segmentation": run(3, (12, 30))}],
        "segmentation.size",
    ),
    "coco of boxes": (
        "coco",
        None,
        [without(COCO_RESULTS[0], "segmentation", bbox=[3, 5, 9, 10])],
        "segmentation: expected run lengths or polygons, got a box only",
    ),
    "coco labels of boxes": (
        "coco",
        coco(gone=("segmentation",), bbox=[3, 5, 9, 10]),
        None,
        "got a box only",
    ),
    "coco of Python's bytes": (
        "coco",
        None,
        [COCO_RESULTS[0] | {"segmentation": run() | {"counts": str(run()["counts"].encode())}}],
        "decoded to text and not Python's print of bytes",
    ),
    "coco of boxes in some": (
        "coco",
        None,
        [COCO_RESULTS[0] | {"bbox": [3, 5, 9, 10]}, COCO_RESULTS[0]],
        "entry 1: bbox: expected",
    ),
    "coco of one id twice": (
        "coco",
        COCO | {"annotations": [LABEL, LABEL]},
        None,
        "id: expected a unique one for each",
    ),
    "coco of no area": ("coco", coco(area="big"), None, "area: expected a number of pixels, got 'big'"),
    "coco of no image": ("coco", without(COCO, "images"), None, "images: expected a list, got NoneType"),
    "coco of a far polygon": ("coco", coco(segmentation=[[1e9, 0, 0, 1e9, 5, 5]]), None, "near the image"),
    "coco of a huge image": (
        "coco",
        COCO | {"images": [{"id": 5, "height": 10**6, "width": 10**6}]},
        None,
        "height, width",
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_missing_values_that_cannot_be_derived_are_one_line(
    tmp_path: Path, ap: Callable[..., float], capsys: pytest.CaptureFixture[str], name: str
) -> None:
    kind, truth, output, message = BAD[name]
    with pytest.raises(DataError, match=message):
        ap(kind, truth, output)

    files = ["--truth", str(tmp_path / "truth.json"), "--results", str(tmp_path / "said.json")]
    assert main(["--format", kind, *files]) == 2
    assert capsys.readouterr().err.count("\n") == 1


@pytest.mark.parametrize("segmentation", [[[1, 2, 3, 4]], [], [[1, 2]]])
def test_an_object_without_an_outline_is_skipped_and_reported(
    ap: Callable[..., float], caplog: pytest.LogCaptureFixture, segmentation: list[Any]
) -> None:
    other = TUBE | {"id": 12, "segmentations": [segmentation, None]}
    assert ap("youtube_vis", VIS | {"annotations": [TUBE, other]}) == pytest.approx(1)
    more = LABEL | {"id": 2, "segmentation": segmentation}
    assert ap("coco", COCO | {"annotations": [LABEL, more]}) == pytest.approx(1)

    assert [record.message.count("expected polygons of 3 corners") for record in caplog.records] == [1, 1]


def test_results_of_unlabelled_categories_do_not_count_with_a_warning(
    ap: Callable[..., float], caplog: pytest.LogCaptureFixture
) -> None:
    more = [COCO_RESULTS[0] | {"category_id": k} for k in (8, 8, 9)]

    assert ap("coco", None, COCO_RESULTS + more) == pytest.approx(1)
    assert "category_id: expected one of [3], got {8: 2, 9: 1} (id: how many), which do not" in caplog.text


@pytest.mark.parametrize("kind", DOCUMENTS)
@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=some.data())
def test_any_change_of_a_value_scores_or_is_one_line(ap: Callable[..., float], kind: str, data: Any) -> None:
    truth, output = DOCUMENTS[kind]
    which = data.draw(some.booleans())
    changed = data.draw(damaged(truth if which else output))
    try:
        found = ap(kind, changed if which else None, None if which else changed)
    except DataError as error:
        assert ".json" in str(error) and "\n" not in str(error)
    else:
        assert found == -1 or 0 <= found <= 1.0001


@pytest.mark.skipif(not REPORTS.is_dir(), reason="the shared inputs of reports are not here")
@pytest.mark.parametrize(
    ("kind", "truth", "output", "expected"),
    [
        ("youtube_vis", "visres/ok/gt.json", "visres/ok/dt.json", 1),
        ("youtube_vis", "visres/ok/gt.json", "visres/poly/dt.json", 1),
        ("youtube_vis", "visres/ok/gt.json", "visres/small/dt.json", "entry 0: segmentations"),
        (
            "youtube_vis",
            "visres/ok/gt.json",
            "visres/null_video/dt.json",
            "video_id: expected a whole number",
        ),
        ("youtube_vis", "visres/ok/gt.json", "visres/no_score/dt.json", "score: expected a finite number"),
        ("youtube_vis", "vis/poly_mixed_first/train/instances.json", "vis/poly_ok/results.json", 1),
        ("youtube_vis", "vis/poly_2points/train/instances.json", "vis/poly_ok/results.json", -1),
        ("youtube_vis", "vis/poly_empty/train/instances.json", "vis/poly_ok/results.json", -1),
        (
            "youtube_vis",
            "vis/poly_flat/train/instances.json",
            "vis/poly_ok/results.json",
            "no list of polygons",
        ),
        ("coco", "coco/gt_ann_id0/gt.json", "coco/ok/dt.json", 1),
        ("coco", "coco/gt_no_area/gt.json", "coco/ok/dt.json", 1),
        ("coco", "coco/gt_poly2/gt.json", "coco/ok/dt.json", -1),
        ("coco", "coco/ok/gt.json", "coco/dt_no_score/dt.json", "score: expected"),
        ("coco", "coco/ok/gt.json", "coco/dt_unknown_image/dt.json", "image_id: expected"),
    ],
)
def test_the_reported_files(kind: str, truth: str, output: str, expected: Any) -> None:
    if isinstance(expected, str):
        with pytest.raises(DataError, match=expected):
            score(kind, REPORTS / truth, REPORTS / output)
    else:
        stats = score(kind, REPORTS / truth, REPORTS / output)["stats"]
        assert stats["AP50"] == pytest.approx(expected)


@pytest.mark.skipif(not REPORTS.is_dir(), reason="the shared inputs of reports are not here")
def test_the_reported_drives(caplog: pytest.LogCaptureFixture) -> None:
    for name in ("ok", "other_vehicle", "box_only"):
        found = score("bdd100k", REPORTS / "bdd" / name / "labels", REPORTS / "bdd/ok/ok.json")["summary"]
        assert (found["FP"], found["FN"], found["MOTA"]) == (0, 0, 100)
    assert "label 9: rle: expected a mask" in caplog.text
