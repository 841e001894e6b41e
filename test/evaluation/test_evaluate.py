"""Evaluation as a run: what is kept, used again, shared out, submitted and shown."""

from __future__ import annotations

import json
from collections.abc import Iterator
from copy import copy
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from support.scripted_engine import HEIGHT, WIDTH, ScriptedEngine, Thing, small_config
from support.shared import DATA, present

from pcan_model.cli import evaluate
from pcan_model.core.config import CLASSES
from pcan_model.core.errors import DataError
from pcan_model.core.structures import Tracks
from pcan_model.data.clips import Clip, LabeledFrame
from pcan_model.data.datasets.scalabel import read_clips, write_clip
from pcan_model.evaluation.metrics.comparison import Objects, encode
from pcan_model.evaluation.predict import ClipPredictor, Prediction, predict_clip
from pcan_model.evaluation.predictions import (
    ClipPredictions,
    collect_predictions,
    read_predictions,
    write_predictions,
)
from pcan_model.evaluation.report.provenance import precision_of
from pcan_model.evaluation.report.summary import summarise, summary_plain
from pcan_model.evaluation.report.worst_frames import WorstFrame, select_worst, worst_frames
from pcan_model.evaluation.run import Run, Shard
from pcan_model.evaluation.score import score
from pcan_model.evaluation.setup import Setup
from pcan_model.evaluation.submission import SUBMISSIONS, VideoIds, read_ids, write_submission
from pcan_model.tracking.tracker import Tracker
from pcan_model.visualization.overlay import RgbImage

pytest.importorskip("trackeval", reason="pip install --no-deps trackeval==1.3.0")
PERSON, CAR = CLASSES.index("pedestrian"), CLASSES.index("car")


def script(shift: int) -> list[list[Thing]]:
    """A car and a person; the car is seen as another one in the last frame."""
    car, person = Thing(1, (10, 10, 30, 20)), Thing(2, (60, 30, 70, 50), label=PERSON)
    seen = [[car.moved(shift * t), person] for t in range(3)]
    return [*seen, [Thing(3, car.moved(3 * shift).box), person]]


def write_set(root: Path, count: int = 3) -> list[Clip]:
    """Write clips whose labels are the boxes of a script, and open them."""
    for k in range(count):
        write_clip(root, f"clip{k}", (labels(things) for things in script(k)), quality=100)
    return list(read_clips(root))


def called(name: str, clip: Clip) -> Clip:
    """Return a clip under another name."""
    other = copy(clip)
    other.name = name
    return other


def labels(things: list[Thing]) -> LabeledFrame:
    masks = np.zeros((len(things), HEIGHT, WIDTH), bool)
    for mask, thing in zip(masks, things, strict=True):
        x1, y1, x2, y2 = map(int, thing.box)
        mask[y1:y2, x1:x2] = True
    return LabeledFrame(
        np.full((HEIGHT, WIDTH, 3), 90, np.uint8),
        masks,
        np.array([thing.label for thing in things], np.int64),
        np.array([thing.label + 1 for thing in things], np.int64),
        np.zeros((HEIGHT, WIDTH), bool),
    )


def follow_script(clip: Clip) -> Iterator[Prediction]:
    """Answer a clip of `write_set` by its own script."""
    return predict_clip(Tracker(ScriptedEngine(script(int(clip.name[-1])))), clip)


def run_of(clips: list[Clip], folder: Path, **changes: Any) -> Run:
    return Run(replace(Setup("tiny"), **changes), tuple(clips), folder, "hash", small_config())


def figures(run: Run) -> dict[str, Any]:
    plain = summary_plain(summarise(run.predictions()))
    del plain["speed"]
    return plain


class Killed(RuntimeError):
    """What a run is stopped by."""


def killed_after(count: int, predict_clip: ClipPredictor) -> ClipPredictor:
    """Answer some clips, then die in the middle of the next."""
    seen: list[str] = []

    def some(clip: Clip) -> Iterator[Prediction]:
        seen.append(clip.name)
        for index, one in enumerate(predict_clip(clip)):
            if len(seen) > count and index == 2:
                raise Killed
            yield one

    return some


def test_an_answer_is_the_same_once_written_and_read(tmp_path: Path) -> None:
    predictions = collect_predictions(follow_script, write_set(tmp_path / "set")[1], "key")
    write_predictions(tmp_path / "one.json", predictions)

    again = read_predictions(tmp_path / "one.json", "key")

    assert (
        again is not None
        and again.image_files == predictions.image_files
        and again.seconds == predictions.seconds
    )
    assert summary_plain(summarise([again])) == summary_plain(summarise([predictions]))
    assert read_predictions(tmp_path / "one.json", "other settings") is None
    assert read_predictions(tmp_path / "none.json", "key") is None


def test_a_killed_run_goes_on_and_says_the_same_as_an_undisturbed_one(tmp_path: Path) -> None:
    clips = write_set(tmp_path / "set")
    whole, broken = run_of(clips, tmp_path / "whole"), run_of(clips, tmp_path / "broken")
    assert whole.complete(follow_script) == 0

    with pytest.raises(Killed):
        broken.complete(killed_after(2, follow_script))
    assert [clip.name for clip in broken.missing()] == ["clip2"]
    assert broken.complete(follow_script) == 2

    assert figures(broken) == figures(whole)


def test_every_clip_has_a_file_of_its_own(tmp_path: Path) -> None:
    (clip,) = write_set(tmp_path / "set", 1)
    names = ["a/b", "a_b", "a%2Fb", "../a", "a b"]
    run = run_of([called(name, clip) for name in names], tmp_path / "out")
    assert len({run.path(one) for one in run.clips}) == len(names)
    assert {run.path(one).parent for one in run.clips} == {tmp_path / "out" / "sequences"}
    with pytest.raises(DataError, match=r"clips: expected a unique name for each, got twice \['a'\]"):
        run_of([called("a", clip), called("a", clip), called("b", clip)], tmp_path / "out")


def test_other_settings_use_nothing_again(tmp_path: Path) -> None:
    clips = write_set(tmp_path / "set", 2)
    run_of(clips, tmp_path / "out").complete(follow_script)

    assert len(run_of(clips, tmp_path / "out", association="sort_iou").missing()) == 2
    assert len(replace(run_of(clips, tmp_path / "out"), weights="another hash").missing()) == 2
    assert run_of(clips, tmp_path / "out").missing() == []


def test_shards_merged_say_the_same_as_one_run(tmp_path: Path) -> None:
    clips = write_set(tmp_path / "set")
    whole = run_of(clips, tmp_path / "whole")
    whole.complete(follow_script)
    parts = [tmp_path / "a", tmp_path / "b"]
    for number, folder in enumerate(parts, start=1):
        run_of(Shard(number, 2).take(clips), folder).complete(follow_script)

    merged = replace(run_of(clips, tmp_path / "all"), elsewhere=tuple(parts))

    assert merged.complete(killed_after(0, follow_script)) == 3, "nothing is answered anew"
    assert figures(merged) == figures(whole)


def test_shards_hold_every_clip_once() -> None:
    clips: list[Any] = list("abcdefg")
    for of in (1, 2, 3, 9):
        parts = [Shard(part, of).take(clips) for part in range(1, of + 1)]
        assert sorted(clip for part in parts for clip in part) == clips
    with pytest.raises(ValueError, match="expected I/N"):
        Shard(3, 2)


@pytest.mark.parametrize("precision", ["fp32", "fp16"])
def test_a_report_names_the_precision_that_the_model_was_exported_in(
    squares_model: Path, tmp_path: Path, precision: str
) -> None:
    manifest = json.loads((squares_model / "manifest.json").read_text())
    (tmp_path / "manifest.json").write_text(json.dumps(manifest | {"precision": precision}))
    assert precision_of(Setup(str(tmp_path), "onnx")) == f"{precision}, as exported"
    assert precision_of(Setup("pcan_street_tiny")) == "float32"
    assert precision_of(Setup(str(tmp_path / "none"), "openvino")) == "unknown, not in the manifest"


def test_processes_say_the_same_as_one(squares_model: Path, tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime")
    for name in ("a", "b"):
        write_clip(tmp_path / "set", name, (squares_image(t) for t in range(4)), quality=100)
    base = [str(squares_model), "--engine", "onnx", "--data", str(tmp_path / "set"), "--out"]

    assert evaluate.main([*base, str(tmp_path / "one")]) == 0
    assert evaluate.main([*base, str(tmp_path / "two"), "--jobs", "2"]) == 0

    one, two = (json.loads((tmp_path / out / "report.json").read_text()) for out in ("one", "two"))
    for report in (one, two):
        del report["provenance"], report["speed"]
    assert one == two and one["mean"]["hota"] > 0.5


def squares_image(time: int) -> LabeledFrame:
    """Draw what the squares model sees as a car, driving right."""
    from support.squares import pixels

    x, y = 5 + 3 * time, 10
    image = pixels({CAR: (x, y)})
    mask, ignore = np.zeros((2, *image.shape[:2]), bool)
    mask[y : y + 16, x : x + 16] = True
    return LabeledFrame(image, mask[None], np.array([CAR]), np.array([1]), ignore)


@pytest.fixture(scope="module")
def squares_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("onnx")
    from support.squares import export_squares

    return export_squares(tmp_path_factory.mktemp("squares"))


def test_the_worst_frames_are_switches_and_misses_and_not_neighbours(tmp_path: Path) -> None:
    predictions = collect_predictions(follow_script, write_set(tmp_path)[0])

    found = worst_frames(predictions, len(CLASSES))

    assert [(m.frame, m.switched, m.missed) for m in found] == [(3, ((CAR, CAR + 1),), ())]
    missed = [WorstFrame("a", t, ((CAR, 1),), (), 0) for t in range(5)]
    assert [m.frame for m in select_worst([*missed, *found], 2)] == [3, 0]
    assert [m.frame for m in select_worst(missed, 10)] == [0, 3]


def test_each_ignored_object_of_a_file_is_a_region_of_its_own() -> None:
    clip_folder = present(DATA / "bdd100k_mots_00091078_6f")
    clip = read_clips(clip_folder)[0]
    entries = json.loads(next((clip_folder / "labels").glob("*.json")).read_text())
    crowds = [[e for e in frame["labels"] if e["attributes"].get("crowd")] for frame in entries]

    predictions = collect_predictions(partial(predict_clip, Tracker(ScriptedEngine([]))), clip)

    assert [len(frame.ignore) for frame in predictions.ground_truth] == [len(frame) for frame in crowds]
    assert sum(map(len, crowds)) > 0


def overlapping(count: int = 1) -> ClipPredictions:
    """One frame with two masks that claim the same pixels; the second is surer."""
    masks = np.zeros((2, HEIGHT, WIDTH), bool)
    masks[0, 5:25, 5:25] = masks[1, 15:35, 15:35] = True
    predicted = Objects(encode(masks), np.array([CAR, PERSON]), np.array([7, 70_000]), np.array([0.5, 0.9]))
    ground_truth = Objects(encode(masks[1:]), np.array([PERSON]), np.array([1]))
    sizes = ((HEIGHT, WIDTH),) * count
    names = tuple(f"{k:06d}.jpg" for k in range(count))
    return ClipPredictions(
        "clip0", "", names, sizes, (ground_truth,) * count, (predicted,) * count, (0.1,) * count
    )


@pytest.mark.parametrize("kind", SUBMISSIONS)
def test_official_files_hold_no_pixel_twice_and_are_taken_by_the_official_rules(
    kind: str, tmp_path: Path
) -> None:
    predicted, ground_truth = overlapping(2), tmp_path / "truth"
    exact = replace(predicted, predicted=tuple(replace_scores(frame) for frame in predicted.ground_truth))
    for predictions, folder in ((predicted, tmp_path / "said"), (exact, ground_truth)):
        write_submission(kind, [predictions], folder, ids=VideoIds())

    if kind == "youtube_vis":
        tubes = json.loads((tmp_path / "said/results.json").read_text())
        assert [(t["category_id"], round(t["score"], 6)) for t in tubes] == [
            (CAR + 1, 0.5),
            (PERSON + 1, 0.9),
        ]
        assert {t["video_id"] for t in tubes} == {1} and len(tubes[0]["segmentations"]) == 2
    else:
        scores = score("bdd100k" if kind == "scalabel" else kind, ground_truth, tmp_path / "said")[
            "per_class"
        ]
        person = scores["pedestrian"]
        rates = [person.get(key, person.get(f"CLEAR/{key}")) for key in ("MOTA", "MOTP")]
        assert rates == ([1, 1] if kind == "kitti_mots" else [100, 100])


def test_a_youtube_vis_server_gets_the_numbers_it_knows(tmp_path: Path) -> None:
    known = {
        "videos": [{"id": 9, "file_names": ["clip0/000000.jpg"]}],
        "categories": [{"id": 4, "name": "sedan"}, {"id": 6, "name": "car"}, {"id": 2, "name": "ape"}],
    }
    (tmp_path / "instances.json").write_text(json.dumps(known))

    ids = read_ids(tmp_path / "instances.json")
    write_submission("youtube_vis", [overlapping()], tmp_path, ids=ids)

    (tube,) = json.loads((tmp_path / "results.json").read_text())
    assert (tube["video_id"], tube["category_id"]) == (9, 4), "of two names for cars the first; no people"


def test_a_track_whose_class_changes_is_one_tube_of_the_class_it_had_most_often(tmp_path: Path) -> None:
    clip = overlapping(4)
    masks, ids = clip.predicted[0].rles[:1], np.array([7])
    said = ((CAR, 0.2), (PERSON, 0.6), (PERSON, 0.4))
    frames = [Objects(masks, np.array([label]), ids, np.array([score])) for label, score in said]
    clip = replace(clip, predicted=(*frames, Objects((), ids[:0], ids[:0], np.zeros(0))))
    (tube,) = clip.video().predicted

    write_submission("youtube_vis", [clip], tmp_path, ids=VideoIds())

    (result,) = json.loads((tmp_path / "results.json").read_text())
    assert tube.category == PERSON and result["category_id"] == PERSON + 1
    assert tube.score == result["score"] == pytest.approx(0.4)
    assert [mask is None for mask in result["segmentations"]] == [False, False, False, True]


def replace_scores(frame: Objects) -> Objects:
    return replace(frame, scores=np.ones(len(frame.ids)))


def test_a_bitmask_is_written_in_the_official_channels(tmp_path: Path) -> None:
    write_submission("bdd100k", [overlapping()], tmp_path, ids=VideoIds())

    pixels = cv2.imread(str(tmp_path / "clip0/000000.png"), cv2.IMREAD_UNCHANGED)[..., [2, 1, 0, 3]]

    red, green, blue, alpha = pixels[10, 10].tolist()
    assert (red, green, blue * 256 + alpha) == (CAR + 1, 0, 7)
    assert pixels[20, 20, 0] == PERSON + 1, "the surer mask keeps the pixel"
    assert pixels[20, 20, 2:].any(), "70000 has another number, which fits"


def test_the_page_needs_nothing_else_and_says_where_it_comes_from(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("matplotlib")
    write_set(tmp_path / "set", 1)
    monkeypatch.setattr(Setup, "make_engine", lambda _: ScriptedEngine(script(0)))
    monkeypatch.setattr("pcan_model.evaluation.evaluate.weights_hash", lambda _: "abc")
    command = ["tiny", "--data", str(tmp_path / "set"), "--out", str(tmp_path / "out")]

    assert evaluate.main([*command, "--published", "bdd100k_seg_track"]) == 0
    assert "used again" not in capsys.readouterr().out
    assert evaluate.main(command) == 0
    assert "1 of 1 clips were answered before by the same settings" in capsys.readouterr().out
    evaluate.main([*command, "--published", "bdd100k_seg_track"])

    page = (tmp_path / "out/report.html").read_text()
    assert 'src="http' not in page and 'href="http' not in page and "<script" not in page
    for words in ("NOT comparable", "27.4", "pcan-evaluate tiny", "clip0, frame 3: 1 ID switches", "abc"):
        assert words in page
    assert page.count("<svg") == 2 and page.count("data:image/jpeg") == 1


def test_classes_that_a_data_set_does_not_label_are_left_out(tmp_path: Path) -> None:
    predictions = collect_predictions(follow_script, write_set(tmp_path)[0])

    cars = summarise([predictions], CLASSES, ("car",))

    assert [score.name for score in cars.report.classes] == ["car"]
    assert cars.report.sum.objects == 4 and cars.bdd100k.average.mota == pytest.approx(75)
    assert predictions.only(CLASSES, ("car",)).ground_truth[0].labels.tolist() == [0]


def test_an_image_shows_truth_and_answer_side_by_side_and_from_above() -> None:
    from pcan_model.evaluation.report.images import WIDTH as HALF
    from pcan_model.evaluation.report.images import comparison_image

    one = overlapping()
    worst = WorstFrame("clip0", 5, ((PERSON, 1),), (), 0)
    seen: list[Tracks] = []

    def view(tracks: Tracks | None, height: int) -> RgbImage:
        assert tracks is not None
        seen.append(tracks)
        return np.full((height, 50, 3), 90, np.uint8)

    data = comparison_image(
        np.zeros((HEIGHT, WIDTH, 3), np.uint8), one.ground_truth[0], one.predicted[0], worst, view
    )

    pixels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    assert pixels.shape == (round(HEIGHT * HALF / WIDTH), 2 * HALF + 50, 3)
    assert (pixels[:, -40:] == 90).all()
    assert [i.track_id for i in seen[0].instances] == one.predicted[0].ids.tolist()
    assert seen[0].frame_index == 5
    row, column = round(10 * HALF / WIDTH), round(10 * HALF / WIDTH)
    assert pixels[row, column].max() < 30 and pixels[row, HALF + column].max() > 30


@pytest.mark.parametrize("text", ["2", "0/2", "3/2", "a/b"])
def test_a_shard_that_is_none_is_refused(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        evaluate.main(["tiny", "--data", ".", "--shard", text])
    assert "shard" in capsys.readouterr().err
