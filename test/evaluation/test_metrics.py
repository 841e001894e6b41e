from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from pycocotools import mask as coco_mask
from support.clips import DrawnClip
from support.scripted_engine import HEIGHT, WIDTH, ScriptedEngine, Thing
from support.shared import DATA, needs

from pcan_model.cli.evaluate import main
from pcan_model.core.config import CLASSES, ConfigError
from pcan_model.data.clips import LabeledFrame
from pcan_model.data.registry import DATASET_FORMATS
from pcan_model.evaluation import evaluate
from pcan_model.evaluation.metrics.comparison import Objects, compare, encode
from pcan_model.evaluation.metrics.scores import Recall, Report, mean_of, to_plain, to_text
from pcan_model.evaluation.metrics.tracking import Scorer
from pcan_model.evaluation.predict import predict_clip
from pcan_model.evaluation.setup import Setup
from pcan_model.tracking.tracker import Tracker

pytest.importorskip("trackeval", reason="pip install --no-deps trackeval==1.3.0")
GOLDEN = DATA / "golden_mots/bdd100k_00091078_6f_seed0"
PERSON, RIDER, CAR, TRUCK = range(4)


def strip(first: int, last: int, row: int = 0) -> NDArray[np.bool_]:
    """Return a mask of pixels first .. last - 1 of one row of a small image."""
    mask = np.zeros((8, 40), bool)
    mask[row, first:last] = True
    return mask


def frame(*things: tuple[int, int, NDArray[np.bool_]], ignore: Any = None) -> Objects:
    """Hold (label, id, mask) objects."""
    labels, ids = (np.array([t[k] for t in things], np.int64) for k in (0, 1))
    hidden = encode([ignore] if ignore is not None else ())
    return Objects(encode(t[2] for t in things), labels, ids, ignore=hidden)


def count(ground_truth: Sequence[Objects], predicted: Sequence[Objects]) -> Report:
    scorer = Scorer()
    scorer.add(ground_truth, predicted)
    return scorer.report()


def test_a_track_that_goes_over_to_another_object_hops() -> None:
    a, b = strip(0, 8), strip(20, 28)
    ground_truth = [frame((CAR, 1, a), (CAR, 2, b))] * 3 + [frame((CAR, 2, b))]
    predicted = [
        frame((CAR, 5, a)),
        frame((CAR, 5, a), (CAR, 6, b)),
        frame((CAR, 5, b)),  # also a switch of object 2
        frame((CAR, 5, b)),
    ]

    report = count(ground_truth, predicted)

    assert (report.sum.hops, report.sum.id_switches) == (1, 1)
    assert to_plain(report)["classes"]["car"]["hops"] == 1 and "hops" in to_text(report)


def test_an_object_that_goes_over_to_a_new_track_is_no_hop() -> None:
    truth = [frame((CAR, 1, strip(0, 8)))] * 2
    report = count(truth, [frame((CAR, 5, strip(0, 8))), frame((CAR, 6, strip(0, 8)))])

    assert (report.sum.hops, report.sum.id_switches) == (0, 1)


def test_figures_equal_those_by_hand() -> None:
    a, b = strip(0, 8), strip(20, 28)
    ground_truth = [frame((CAR, 1, a), (CAR, 2, b))] * 3
    predicted = [
        frame((CAR, 5, strip(0, 10)), (CAR, 6, b)),  # IoU 8/10 and 1
        frame((CAR, 5, strip(0, 10)), (CAR, 7, b)),  # an id switch
        frame((CAR, 5, strip(0, 3)), (CAR, 7, b)),  # 3/8: a miss and a false one
    ]

    car = count(ground_truth, predicted).classes[0]

    matched = 0.8 + 0.8 + 1 + 1 + 1
    assert (car.true_positives, car.false_positives, car.false_negatives) == (5, 1, 1)
    assert (car.objects, car.id_switches) == (6, 1)
    assert car.motsa == pytest.approx((5 - 1 - 1) / 6)
    assert car.smotsa == pytest.approx((matched - 1 - 1) / 6)
    assert car.motsp == pytest.approx(matched / 5)
    assert car.idf1 == pytest.approx(2 * 4 / (6 + 6))  # 5 with 1 twice, 7 with 2 twice


def test_perfect_predictions_score_one() -> None:
    ground_truth = [frame((CAR, 1, strip(0, 8)), (PERSON, 1, strip(20, 28)))] * 2

    report = count(ground_truth, ground_truth)

    for score in (*report.classes, report.sum, report.mean):
        assert {score.smotsa, score.motsa, score.motsp, score.idf1, score.hota} == {1.0}


def test_absent_classes_count_neither_as_zero_nor_as_one() -> None:
    ground_truth = [frame((CAR, 1, strip(0, 8)), (PERSON, 2, strip(20, 28)))]
    predicted = [frame((CAR, 1, strip(0, 8)), (RIDER, 3, strip(10, 15)))]

    report = count(ground_truth, predicted)

    rates = {score.name: score.motsa for score in report.classes}
    assert rates == {"pedestrian": 0.0, "rider": None, "car": 1.0}
    assert report.mean.name == "mean of 2 classes" and report.mean.motsa == 0.5
    assert report.mean.motsp == 1.0, "without a match there is no precision to average"
    assert report.sum.motsa == (1 - 1) / 2 and report.sum.false_positives == 1


def test_without_labels_there_are_no_rates() -> None:
    report = count([frame()], [frame((CAR, 1, strip(0, 4)))])

    assert report.sum.motsa is report.mean.motsa is report.sum.hota is None
    assert report.sum.false_positives == 1


def test_a_false_object_inside_ignored_pixels_is_no_error() -> None:
    ignored, seen = strip(20, 40), strip(0, 8)
    ground_truth = [frame((CAR, 1, seen), ignore=ignored)]
    mostly, half = frame((CAR, 9, strip(15, 35))), frame((CAR, 9, strip(15, 25)))

    assert count(ground_truth, [mostly]).sum.false_positives == 0, "3/4 of it is ignored"
    assert count(ground_truth, [half]).sum.false_positives == 1, "exactly a half is too little"


def test_a_match_counts_even_inside_ignored_pixels() -> None:
    ground_truth = frame((CAR, 1, strip(20, 28)), ignore=strip(10, 40))

    beside = compare(ground_truth, frame((CAR, 4, strip(20, 28)), (CAR, 5, strip(30, 36))), CAR)

    assert beside.ids.tolist() == [4] and beside.hit.all()


def test_recall_is_told_by_the_size_of_the_label() -> None:
    def square(side: int) -> NDArray[np.bool_]:
        mask = np.zeros((100, 100), bool)
        mask[:side, :side] = True
        return mask

    ground_truth = [frame((CAR, 1, square(side))) for side in (22, 23, 44, 45)]  # 484 529 1936 2025 px
    predicted = [frame((CAR, 1, square(side))) for side in (22, 23, 20, 45)]

    car = count(ground_truth, predicted).classes[0]

    assert (car.small, car.medium, car.large) == (Recall(1, 1), Recall(1, 2), Recall(1, 1))


def test_clips_are_counted_apart_and_summed() -> None:
    once, scorer = [frame((CAR, 1, strip(0, 8)))], Scorer()
    scorer.add(once, once)
    scorer.add(once, [frame((CAR, 2, strip(0, 8)))])
    report = scorer.report()

    assert (report.clips, report.frames) == (2, 2)
    assert report.sum.id_switches == 0 and report.sum.idf1 == 1.0


def test_an_id_twice_in_a_frame_is_refused() -> None:
    with pytest.raises(ValueError, match="one object per id and class"):
        frame((CAR, 1, strip(0, 4)), (CAR, 1, strip(5, 9)))


def test_predictions_of_another_length_are_refused() -> None:
    with pytest.raises(ValueError, match="expected 2 frames, got 1"):
        count([frame()] * 2, [frame()])


def test_the_report_is_plain_json_and_a_table() -> None:
    report = count([frame((CAR, 1, strip(0, 8)))], [frame((RIDER, 1, strip(20, 28)))])

    plain = json.loads(json.dumps(to_plain(report), allow_nan=False))
    assert plain["classes"]["rider"]["motsa"] is None and plain["sum"]["false_negatives"] == 1
    assert plain["classes"]["car"]["recall_small"] == {"found": 0, "total": 1, "rate": 0.0}
    table = to_text(report)
    assert "sMOTSA" in table and "mean of 1 classes" in table


def test_no_classes_have_no_mean() -> None:
    assert mean_of(()).motsa is None


@dataclass
class ScriptedClip(DrawnClip):
    """A clip whose labels are the boxes of a script."""

    script: Sequence[Sequence[Thing]]
    name: str = "scripted"
    rate: float = 5.0
    labelled: bool = True
    drawn: list[int] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.script)

    def draw(self, index: int) -> LabeledFrame:
        self.drawn.append(index)
        things = self.script[index]
        masks = np.zeros((len(things), HEIGHT, WIDTH), bool)
        for mask, thing in zip(masks, things, strict=True):
            x1, y1, x2, y2 = map(int, thing.box)
            mask[y1:y2, x1:x2] = True
        return LabeledFrame(
            np.zeros((HEIGHT, WIDTH, 3), np.uint8),
            masks,
            np.array([thing.label for thing in things], np.int64),
            np.array([thing.look for thing in things], np.int64),
            np.zeros((HEIGHT, WIDTH), bool),
        )


def scripted() -> list[list[Thing]]:
    car, person = Thing(1, (10, 10, 30, 20)), Thing(2, (60, 30, 70, 50), label=PERSON)
    return [[car.moved(4 * t), person] for t in range(4)] + [[person], []]


def test_a_tracker_that_sees_everything_scores_one_from_files() -> None:
    clips = [ScriptedClip(scripted()), ScriptedClip(scripted(), "again")]

    report = evaluate.evaluate(partial(predict_clip, Tracker(ScriptedEngine(scripted()))), clips)

    assert report.sum.smotsa == report.sum.hota == 1.0 and report.frames == 12


def test_evaluation_reads_every_frame_once() -> None:
    clip = ScriptedClip(scripted())
    evaluate.evaluate(partial(predict_clip, Tracker(ScriptedEngine(scripted()))), [clip])

    assert clip.drawn == list(range(6))


def test_the_command_writes_its_report_and_says_where_it_comes_from(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(Setup, "make_engine", lambda _: ScriptedEngine(scripted()))
    monkeypatch.setattr(evaluate, "open_clips", lambda *_, **__: [ScriptedClip(scripted())])
    monkeypatch.setattr(evaluate, "weights_hash", lambda _: "abc")
    monkeypatch.setattr(evaluate, "recognise", lambda *_: DATASET_FORMATS[-1])

    assert main(["tiny", "--data", "drives", "--out", str(tmp_path)]) == 0

    report = json.loads((tmp_path / "report.json").read_text())
    origin = report["provenance"]
    assert origin["command"].startswith("pcan-evaluate tiny --data drives")
    assert origin["weights_sha256"] == "abc" and origin["network"] == "scripted"
    assert report["sum"]["motsa"] == 1.0 and report["videos"] == ["scripted"]
    assert "sum of all classes" in capsys.readouterr().out


def test_the_command_names_what_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["tiny", "--data", str(tmp_path)]) == 2
    assert str(tmp_path) in capsys.readouterr().err
    monkeypatch.setattr(evaluate, "recognise", lambda *_: DATASET_FORMATS[-1])
    assert main(["tiny", "--data", str(tmp_path)]) == 2
    assert "--weights: expected a .safetensors file" in capsys.readouterr().err


def golden(name: str) -> list[Objects]:
    """Read a Scalabel file of the golden case."""
    return [_golden_frame(entry["labels"]) for entry in json.loads((GOLDEN / name).read_text())]


def _golden_frame(labels: list[dict[str, Any]]) -> Objects:
    masks = np.stack([coco_mask.decode(label["rle"]) for label in labels]).astype(bool)
    crowd = np.array([bool(label.get("attributes", {}).get("crowd")) for label in labels])
    classes = np.array([CLASSES.index(label["category"]) for label in labels])
    ids = np.array([int(label["id"]) for label in labels])
    ignore = encode([masks[crowd].any(0)] if crowd.any() else ())
    return Objects(encode(masks[~crowd]), classes[~crowd], ids[~crowd], ignore=ignore)


@needs(GOLDEN)
def test_figures_equal_the_official_bdd100k_tool() -> None:
    report = count(golden("scalabel/gt.json"), golden("scalabel/pred.json"))
    official = json.loads((GOLDEN / "expected.json").read_text())
    table = official["scalabel"]["seg_track"]["per_class"]

    rows = {score.name: score for score in report.classes} | {"OVERALL": report.sum}
    for name, score in rows.items():
        expected = table[name]
        if expected["MOTA"] is not None:
            found = [100 * (rate or 0) for rate in (score.motsa, score.motsp, score.idf1)]
            assert found == pytest.approx([expected[k] for k in ("MOTA", "MOTP", "IDF1")], abs=1e-9)
        counts = score.false_positives, score.false_negatives, score.id_switches
        assert counts == tuple(expected[k] for k in ("FP", "FN", "IDSw"))
    present = [table[name] for name in ("pedestrian", "car", "truck")]
    assert report.mean.motsa == pytest.approx(sum(p["MOTA"] for p in present) / 300)


@needs(GOLDEN)
def test_figures_equal_the_official_kitti_mots_tool() -> None:
    report = count(golden("scalabel/gt.json"), golden("scalabel/pred.json"))
    official = json.loads((GOLDEN / "expected.json").read_text())["trackeval_kitti_mots"]

    for score in report.classes:
        if expected := official.get(score.name):
            assert score.hota == pytest.approx(expected["HOTA/HOTA"]["mean"], abs=1e-9)
            assert score.smotsa == pytest.approx(expected["CLEAR/sMOTA"], abs=1e-9)
            assert score.idf1 == pytest.approx(expected["Identity/IDF1"], abs=1e-9)


def test_baselines_change_the_configuration_that_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Setup, "make_engine", lambda _: ScriptedEngine(scripted()))
    _, own = Setup("tiny").open()
    _, baseline = Setup("tiny", association="sort_iou").open()

    assert (own.tracker.association, baseline.tracker.association) == ("quasi_dense", "sort_iou")


def test_an_exported_graph_cannot_be_cut() -> None:
    with pytest.raises(ConfigError, match="modules of an exported graph are fixed"):
        Setup("models/tiny", "onnx", without=("frame_attention",)).open()
