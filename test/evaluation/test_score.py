"""Official numbers from files: golden cases of the official tools, and small ones by hand."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from support.shared import DATA, absent

from pcan_model.cli.score import main
from pcan_model.core.rle import encode
from pcan_model.data.files import write_image
from pcan_model.evaluation.metrics.average_precision import Tube, Video, track_precision
from pcan_model.evaluation.metrics.bdd100k import bdd_scores, count_class
from pcan_model.evaluation.metrics.clear import Tally
from pcan_model.evaluation.metrics.comparison import Compared
from pcan_model.evaluation.score import score

pytest.importorskip("trackeval", reason="pip install --no-deps trackeval==1.3.0")
GOLDEN = sorted((DATA / "golden_mots").glob("*"))


def mask(first: int, last: int) -> NDArray[np.bool_]:
    """Return a mask of columns first .. last - 1 of an image of 10 x 40."""
    pixels = np.zeros((10, 40), bool)
    pixels[:, first:last] = True
    return pixels


def seen(true_ids: list[int], ids: list[int], iou: list[list[float]]) -> Compared:
    """Hold a frame of one class by its overlaps alone."""
    table = np.array(iou, float).reshape(len(true_ids), len(ids))
    size = np.zeros(len(true_ids), np.int64)
    return Compared(np.array(true_ids), np.array(ids), table, size, size.astype(bool))


def test_a_pair_that_lasts_comes_before_a_pair_that_overlaps_more() -> None:
    counts = count_class([seen([1], [7], [[0.6]]), seen([1], [7, 8], [[0.5, 0.9]])])

    assert (counts.matches, counts.switches, counts.false_positives) == (2, 0, 1)
    assert counts.motp == pytest.approx((0.6 + 0.5) / 2)
    assert counts.mota == 1 - 1 / 2 and counts.idf1 == 2 * 2 / (2 * 2 + 1)


def test_an_object_remembers_its_track_over_any_gap() -> None:
    gap = [seen([1], [7], [[0.8]]), seen([1], [], []), seen([], [9], [])]
    again, other = seen([1], [7, 8], [[0.6, 0.7]]), seen([1], [8], [[0.7]])

    assert count_class([*gap, again]).switches == 0
    assert count_class([*gap, other]).switches == 1


def test_as_many_pairs_as_possible_come_before_their_overlap() -> None:
    assert count_class([seen([1, 2], [7, 8], [[0.9, 0.6], [0.6, 0]])]).matches == 2


def test_lives_of_objects_are_told_by_the_shares_of_their_frames() -> None:
    frames = [seen([1, 2], [7], [[0.9], [0]]) for _ in range(4)] + [seen([1, 2], [], [])]
    frames += [seen([2], [8], [[0.8]])]

    counts = count_class(frames)  # 1 is found in 4 of 5, 2 in 1 of 6

    assert (counts.mostly_tracked, counts.partly_tracked, counts.mostly_lost) == (1, 0, 1)
    assert counts.fragments == 0 and (counts.objects, counts.misses) == (11, 6)
    assert count_class([frames[0], frames[4], frames[0]]).fragments == 1


def test_absent_classes_are_averaged_as_zero_as_the_official_tool_does() -> None:
    car = Tally(
        objects=4, matches=3, switches=1, overlap=2.4, id_matches=2, id_misses=2, id_false_positives=1
    )
    rider = Tally(false_positives=1, id_false_positives=1)
    nothing = Tally()

    scores = bdd_scores([(nothing, rider, car, *[nothing] * 5)])

    rows = {row.name: row for row in (*scores.classes, *scores.parents, scores.average, scores.overall)}
    assert (rows["rider"].mota, rows["rider"].idf1, rows["bus"].idf1) == (None, 0, None)
    assert rows["car"].mota == 100 * (1 - 2 / 4) and rows["car"].motp == pytest.approx(100 * 0.8)
    assert rows["AVERAGE"].mota == 50 / 8 and rows["AVERAGE"].motp == pytest.approx(80 / 8)
    assert rows["OVERALL"].mota == 100 * (1 - 3 / 4) and rows["human"].counts == rider


def test_precision_of_tracks_by_hand() -> None:
    a, b = encode(mask(0, 10)), encode(mask(20, 30))
    half = encode(mask(0, 5))
    ground_truth = (Tube(1, (a, a)), Tube(1, (b, None)))
    good = Tube(1, (a, half), 0.9)  # (100 + 50) / (100 + 100) = 0.75
    wrong = Tube(1, (None, b), 0.8)

    scores = track_precision([Video(ground_truth, (good, wrong))], {1: "car", 2: "bus"})

    assert scores.stats["AP50"] == pytest.approx(51 / 101)  # recall 1/2 is reached at 51 of 101 points
    assert scores.stats["AP"] == pytest.approx(51 / 101 * 6 / 10)  # of 0.50, 0.55, … 0.95 six are passed
    assert scores.stats["AR10"] == pytest.approx(0.5 * 6 / 10)
    assert scores.per_class == {"car": scores.stats["AP"], "bus": None}


def kitti(path: Path, lines: list[tuple[int, int, int, NDArray[np.bool_]]]) -> None:
    path.parent.mkdir(exist_ok=True)
    rows = [f"{t} {i} {c} 10 40 {encode(m)['counts']}" for t, i, c, m in lines]
    path.write_text("\n".join(rows) + "\n")


def test_kitti_mots_by_hand(tmp_path: Path) -> None:
    kitti(tmp_path / "truth/0002.txt", [(t, 1001, 1, mask(0, 10)) for t in range(3)])
    found = [(0, 5, 1, mask(0, 8)), (2, 6, 1, mask(0, 10)), (2, 7, 2, mask(20, 30))]
    kitti(tmp_path / "said/0002.txt", found)

    car = score("kitti_mots", tmp_path / "truth", tmp_path / "said")["per_class"]["car"]

    assert car["CLEAR/MOTA"] == pytest.approx((2 - 1) / 3) and car["CLEAR/IDSW"] == 1
    assert car["CLEAR/sMOTA"] == pytest.approx((0.8 + 1 - 1) / 3)
    assert car["Identity/IDF1"] == pytest.approx(2 * 1 / (3 + 2))
    # DetA is 2 / 3 at first; 1 / 4 at 0.95, where the miss is also a false one. Each match has 1 of 3
    assert car["HOTA/HOTA"]["per_alpha"][0] == pytest.approx((2 / 3 * 1 / 3) ** 0.5)
    assert car["HOTA/HOTA"]["per_alpha"][-1] == pytest.approx((1 / 4 * 1 / 3) ** 0.5)


def test_overlapping_results_are_refused_in_kitti_mots_in_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    kitti(tmp_path / "truth/0002.txt", [(0, 1001, 1, mask(0, 10))])
    kitti(tmp_path / "said/0002.txt", [(0, 5, 1, mask(0, 8)), (0, 6, 1, mask(7, 9))])

    command = ["--format", "kitti_mots", "--truth", str(tmp_path / "truth")]
    assert main([*command, "--results", str(tmp_path / "said")]) == 2
    error = capsys.readouterr().err
    assert "overlapping masks" in error and error.count("\n") == 1


PEDESTRIAN, DISTRACTOR = "1,1", "8,1"  # class and visibility of MOT16 and later
NOWHERE = "-1,-1,-1"  # place in the world, of MOT15
AT_0, AT_50, AT_80 = "0,0,10,10", "50,0,10,10", "80,0,10,10"


def mot(root: Path, person: str, distractor: str) -> dict[str, Any]:
    """Score two frames: a person whose track changes, a distractor, and a person whose flag is 0."""
    (root / "truth/A/gt").mkdir(parents=True)
    (root / "said").mkdir()
    ground_truth = [f"1,1,{AT_0},1,{person}", f"2,1,{AT_0},1,{person}"]
    ground_truth += [f"1,2,{AT_50},0,{distractor}", f"1,3,{AT_80},0,{person}"]
    predicted = [f"1,7,0,0,10,8,1,{NOWHERE}", f"1,8,{AT_50},1,{NOWHERE}"]
    predicted += [f"1,9,{AT_80},1,{NOWHERE}", f"2,9,{AT_0},1,{NOWHERE}"]
    (root / "truth/A/gt/gt.txt").write_text("\n".join(ground_truth) + "\n")
    (root / "said/A.txt").write_text("\n".join(predicted) + "\n")
    return score("mot_challenge", root / "truth", root / "said")


def test_mot17_by_hand_what_is_found_of_a_distractor_does_not_count(tmp_path: Path) -> None:
    scores = mot(tmp_path, PEDESTRIAN, DISTRACTOR)

    found = scores["per_class"]["pedestrian"]
    assert "rules of MOT17" in scores["method"]
    assert [found[f"CLEAR/{k}"] for k in ("CLR_TP", "CLR_FP", "CLR_FN", "IDSW")] == [2, 1, 0, 1]
    assert found["CLEAR/MOTA"] == 1 - 2 / 2 and found["CLEAR/MOTP"] == pytest.approx((0.8 + 1) / 2)
    assert found["Identity/IDF1"] == pytest.approx(2 * 1 / (2 + 3))
    # one match has 1 of the person's 2 frames, the other 1 of 2 and a false one
    hota = (2 / 3 * (1 / 2 + 1 / 3) / 2) ** 0.5
    assert found["HOTA/HOTA"]["per_alpha"][0] == pytest.approx(hota)


def test_mot15_has_no_distractors(tmp_path: Path) -> None:
    scores = mot(tmp_path, NOWHERE, NOWHERE)

    found = scores["per_class"]["pedestrian"]
    assert "rules of MOT15" in scores["method"]
    assert found["CLEAR/CLR_FP"] == 2 and found["CLEAR/MOTA"] == 1 - 3 / 2


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("1,7,0,0,10", "A.txt: line 1: fields: expected 7 finite numbers or more"),
        ("1,7,0,0,ten,8,1", "A.txt: line 1: fields: expected numbers between commas"),
        ("0,7,0,0,10,8,1", "A.txt: line 1: frame, id: expected whole numbers"),
        ("1,7,0,0,10,8,1\n1,7,0,0,10,8,1", "line 2: id: expected once in a frame, got frame 1 id 7 again"),
    ],
)
def test_wrong_lines_of_mot_challenge_are_refused_in_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], line: str, complaint: str
) -> None:
    mot(tmp_path, PEDESTRIAN, DISTRACTOR)
    (tmp_path / "said/A.txt").write_text(f"{line}\n")

    command = ["--format", "mot_challenge", "--truth", str(tmp_path / "truth")]
    assert main([*command, "--results", str(tmp_path / "said")]) == 2
    error = capsys.readouterr().err
    assert complaint in error and error.count("\n") == 1


def scalabel(path: Path, *frames: list[tuple[str, str, NDArray[np.bool_], bool]]) -> Path:
    entries = [
        {
            "name": f"{t}.jpg",
            "videoName": "clip",
            "frameIndex": t,
            "labels": [
                {"id": i, "category": c, "attributes": {"crowd": crowd}, "rle": encode(m)}
                for i, c, m, crowd in objects
            ],
        }
        for t, objects in enumerate(frames)
    ]
    path.write_text(json.dumps(entries))
    return path


def test_one_shared_pixel_costs_a_bdd100k_frame_its_predictions_and_it_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    frame = [("a", "car", mask(0, 10), False)]
    ground_truth = scalabel(tmp_path / "truth.json", frame, frame)
    predicted = scalabel(tmp_path / "said.json", [*frame, ("b", "bus", mask(9, 12), False)], frame)

    car = score("bdd100k", ground_truth, predicted)["per_class"]["car"]

    assert (car["FN"], car["FP"]) == (1, 0)
    assert "drops the whole frame" in capsys.readouterr().err


def test_every_crowd_of_bdd100k_counts_by_itself(tmp_path: Path) -> None:
    crowds = [("c", "car", mask(0, 10), True), ("d", "car", mask(10, 20), True)]
    ground_truth = scalabel(tmp_path / "truth.json", crowds)
    between = scalabel(tmp_path / "between.json", [("1", "bus", mask(5, 15), False)])
    inside = scalabel(tmp_path / "inside.json", [("1", "bus", mask(4, 13), False)])

    assert score("bdd100k", ground_truth, between)["summary"]["FP"] == 1  # a half of it in each is too little
    assert score("bdd100k", ground_truth, inside)["summary"]["FP"] == 0


def test_a_frame_without_results_is_a_frame_of_misses(tmp_path: Path) -> None:
    frame = [("1", "car", mask(0, 10), False)]
    ground_truth = scalabel(tmp_path / "truth.json", frame, frame)

    assert score("bdd100k", ground_truth, scalabel(tmp_path / "said.json", frame))["summary"]["FN"] == 1


def test_detections_are_scored_by_pycocotools(tmp_path: Path) -> None:
    ground_truth = {
        "images": [{"id": 1, "height": 10, "width": 40}],
        "categories": [{"id": 1, "name": "car"}],
        "annotations": [
            {
                "id": 1, "image_id": 1, "category_id": 1, "iscrowd": 0, "area": 100.0,
                "bbox": [0, 0, 10, 10], "segmentation": encode(mask(0, 10)),
            }
        ],
    }  # fmt: skip
    found = [{"image_id": 1, "category_id": 1, "score": 0.5, "segmentation": encode(mask(0, 8))}]
    (tmp_path / "truth.json").write_text(json.dumps(ground_truth))
    (tmp_path / "said.json").write_text(json.dumps(found))

    stats = score("coco", tmp_path / "truth.json", tmp_path / "said.json")["stats"]

    assert stats["AP50"] == pytest.approx(1.0) and stats["AP"] == pytest.approx(7 / 10)  # IoU 0.8


def bitmask(path: Path, *instances: tuple[int, int, int, int, int]) -> None:
    """Write instances: category, attributes, id, first column, the one after the last."""
    pixels = np.zeros((10, 40, 4), np.uint8)
    for category, attributes, identity, first, last in instances:
        pixels[:, first:last] = 0, attributes, category, identity  # B G R A
    write_image(path, pixels)


def test_single_images_of_bdd100k_by_hand(tmp_path: Path) -> None:
    bitmask(tmp_path / "gt/a.png", (3, 0, 1, 0, 10), (3, 1, 2, 10, 20), (3, 0, 3, 30, 40))
    bitmask(tmp_path / "said/a.png", (3, 0, 5, 0, 8), (3, 0, 6, 10, 20), (3, 0, 7, 20, 24))
    entry = {"name": "a.jpg", "labels": [{"index": i, "score": s} for i, s in ((5, 0.5), (6, 0.9), (7, 0.8))]}
    (tmp_path / "said.json").write_text(json.dumps([entry]))

    stats = score("bdd100k_ins_seg", tmp_path / "gt", tmp_path / "said")["stats"]

    # what lies on the ignored car is no error; then a false one, and one of IoU 0.8: 1 of 2, at recall 1 / 2
    assert stats["AP50"] == pytest.approx(51 / 101 / 2)
    assert stats["AP"] == pytest.approx(51 / 101 / 2 * 7 / 10)
    assert stats["AR1"] == 0 and stats["AR10"] == pytest.approx(1 / 2 * 7 / 10)


def equal(expected: Any, found: Any, where: str = "") -> None:
    """Compare nested numbers; every key that is expected must be there."""
    if isinstance(expected, dict):
        for key, value in expected.items():
            equal(value, found[key], f"{where}/{key}")
    elif isinstance(expected, list):
        for one, other in zip(expected, found, strict=True):
            equal(one, other, where)
    else:
        assert found == (None if expected is None else pytest.approx(expected, abs=1e-9)), where


@pytest.mark.skipif(not GOLDEN, reason=absent(DATA / "golden_mots"))
@pytest.mark.parametrize("case", GOLDEN, ids=lambda path: path.name)
def test_golden_cases_equal_the_official_tools_in_all_four_formats(case: Path) -> None:
    expected = json.loads((case / "expected.json").read_text())
    kitti, vis = case / "kitti_mots", case / "youtube_vis"
    seqmap = next(kitti.glob("*.seqmap"))

    found = score("kitti_mots", kitti / "gt", kitti / "trackers/pred/data", seqmap)
    equal(expected["trackeval_kitti_mots"], found["per_class"])
    found = score("bdd100k", case / "scalabel/gt.json", case / "scalabel/pred.json")
    equal(expected["scalabel"]["seg_track"], found)
    found = score("bdd100k", case / "bdd100k_bitmask/gt", case / "bdd100k_bitmask/pred")
    equal(expected["bdd100k_bitmask"], found)
    equal(expected["youtube_vis"], score("youtube_vis", vis / "instances.json", vis / "results.json"))


BDD = DATA / "official_bdd100k_tests/mots"


@pytest.mark.skipif(not BDD.is_dir(), reason=f"the toolkit's own case is not at {BDD}")
def test_the_bdd100k_toolkits_own_case() -> None:
    scores = score("bdd100k", BDD / "gt", BDD / "result")

    found = scores["summary"]
    assert [found[k] for k in ("MOTA", "MOTP", "IDF1")] == pytest.approx([200 / 3, 75, 80])
    assert [found[k] for k in ("mMOTA", "mMOTP", "mIDF1")] == pytest.approx([200 / 3 / 8, 75 / 8, 10])
    assert [found[k] for k in ("FP", "FN", "IDSw", "MT", "PT", "ML", "FM")] == [0, 1, 0, 2, 0, 1, 0]


INS_SEG = DATA / "official_bdd100k_tests/ins_seg"


@pytest.mark.skipif(not INS_SEG.is_dir(), reason=f"the toolkit's own case is not at {INS_SEG}")
def test_the_bdd100k_toolkits_own_case_of_single_images() -> None:
    """The figures are what bdd100k 1.0.1 prints of it."""
    found = score("bdd100k_ins_seg", INS_SEG / "gt", INS_SEG / "pred")

    stats, classes = found["stats"], found["AP_per_category"]
    assert [100 * stats[k] for k in ("AP", "AP50", "AP75")] == pytest.approx(
        [68.60561056105611, 89.68646864686468, 66.66666666666666]
    )
    assert [100 * stats[k] for k in ("AR1", "AR10")] == pytest.approx([65.83333333333333, 70.83333333333334])
    assert [classes[k] for k in ("pedestrian", "rider")] == pytest.approx([1, 0.9])
    assert classes["car"] == pytest.approx(0.15816831683168317) and classes["bus"] is None


VIS = DATA / "official_mmtracking_tests/demo_vis_data"


@pytest.mark.skipif(not VIS.is_dir(), reason=f"mmtracking's own case is not at {VIS}")
def test_mmtrackings_own_case_of_youtube_vis(tmp_path: Path) -> None:
    """Its files are of one frame, in mmtracking's own layout."""
    data = json.loads((VIS / "ann.json").read_text())
    found = json.loads((VIS / "results.json").read_text())
    annotation, run = data["annotations"][0], found["track_masks"][0][0][0]
    outline = annotation["segmentation"]
    ground_truth = {
        "videos": [{"id": 1, "file_names": [data["images"][0]["file_name"]]}],
        "categories": data["categories"],
        "annotations": [{"video_id": 1, "category_id": 1, "iscrowd": 0, "segmentations": [outline]}],
    }
    predicted = [{"video_id": 1, "category_id": 1, "score": 0.9985, "segmentations": [run]}]
    (tmp_path / "truth.json").write_text(json.dumps(ground_truth))
    (tmp_path / "said.json").write_text(json.dumps(predicted))

    stats = score("youtube_vis", tmp_path / "truth.json", tmp_path / "said.json")["stats"]

    assert (stats["AP"], stats["AP50"]) == (pytest.approx(1.0), pytest.approx(1.0))


MOT15 = DATA / "official_mmtracking_tests/demo_MOT15_data/train"


@pytest.mark.skipif(not MOT15.is_dir(), reason=f"mmtracking's own case is not at {MOT15}")
def test_mmtrackings_own_case_of_mot15() -> None:
    found = score("mot_challenge", MOT15, MOT15 / "results")["per_class"]["pedestrian"]

    assert found["Identity/IDF1"] == pytest.approx(0.624, abs=5e-4)
    assert found["Identity/IDP"] == pytest.approx(0.799, abs=5e-4)
    assert found["CLEAR/MOTA"] == pytest.approx(0.555, abs=5e-4) and found["CLEAR/IDSW"] == 14
    assert found["HOTA/HOTA"]["mean"] == pytest.approx(0.400, abs=5e-4)
