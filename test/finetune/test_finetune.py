"""Fine-tuning from the command line: what is held out, other classes, and what is not exported."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from support.one_stage import one_stage_config, one_stage_net

from pcan_model.cli.finetune import main
from pcan_model.core.errors import UserError
from pcan_model.data.registry import open_clips
from pcan_model.evaluation.metrics.scores import Report
from pcan_model.finetune import run
from pcan_model.finetune.base import Base, read_classes, with_classes
from pcan_model.finetune.report import Comparison
from pcan_model.finetune.split import choose_held_out, held_out_clips, training_frames
from pcan_model.model import checkpoint
from pcan_model.synthetic.drive import write_drives

CLASSES = one_stage_config().classes
WITH_VAN = (*CLASSES, "van")


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("base") / "base.safetensors"
    config = one_stage_config(train={"crop_height": 64, "crop_width": 96})
    checkpoint.save(path, one_stage_net(config), config, {})
    return path


@pytest.fixture(scope="module")
def drives(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three drives."""
    folder = tmp_path_factory.mktemp("drives")
    write_drives(folder, range(3, 6), length=3, height=128, width=192)
    return folder


def test_clips_are_held_out_evenly_and_a_single_one_by_its_end(drives: Path) -> None:
    clips = open_clips(drives)
    assert choose_held_out(clips, 0.3) == (clips[1].name,)
    one = clips[:1]
    (end,) = choose_held_out(one, 0.3)
    assert end == f"{one[0].name}:2"
    kept, held_out = training_frames(one, (end,)), held_out_clips(one, (end,))
    assert [len(part) for part in (*kept, *held_out)] == [2, 1]
    torch.testing.assert_close(held_out[0].read(0).image, one[0].read(2).image)
    assert held_out[0].read(0).number == 0 and held_out[0].file_name(0) == one[0].file_name(2)


def vans(root: Path) -> Path:
    """Call every second car of the drives' labels a van."""
    for path in sorted((root / "labels").glob("*.json")):
        frames = json.loads(path.read_text())
        cars = [each for frame in frames for each in frame["labels"] if each["category"] == "car"]
        known = sorted({car["id"] for car in cars})
        for car in cars:
            car["category"] = ("car", "van")[known.index(car["id"]) % 2]
        path.write_text(json.dumps(frames))
    return root


@pytest.fixture(scope="module")
def finished(base: Path, drives: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Fine-tune for other classes, two steps; of the model only the weights are exported, which is fast."""

    def save(net: Any, folder: Path, options: Any, **others: Any) -> None:
        checkpoint.save(folder / "weights.safetensors", net, net.config, others["metrics"], fp16=True)

    out = tmp_path_factory.mktemp("finetuned") / "out"
    few = ["--steps", "2", "--workers", "0", "--force"]
    classes = ["--classes", "car", "pedestrian", "van=truck"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(run, "export", save)
        assert main([str(vans(drives)), "--from", str(base), "--out", str(out), *classes, *few]) == 0
    return out


def test_the_new_model_has_its_classes_and_its_scores(finished: Path) -> None:
    config, metrics = checkpoint.load_header(finished / "model" / "weights.safetensors")
    assert config.classes == ("car", "pedestrian", "van") and config.name == "small_one_stage_finetuned"
    assert metrics == json.loads((finished / "report.json").read_text())["after"]["sum"]


def test_the_report_says_what_was_trained_on_and_what_was_held_out(finished: Path, drives: Path) -> None:
    report = json.loads((finished / "report.json").read_text())
    names = [clip.name for clip in open_clips(drives, names=WITH_VAN)]
    assert report["held_out"] == [names[1]] and report["trained_on"]["frames"] == 6
    assert report["new_classes"] == ["van"] and report["trained_on"]["objects"]["van"] > 0
    assert [stage["stage"] for stage in report["stages"]] == ["classes", "whole"]
    assert report["before"]["frames"] == report["after"]["frames"] == 3
    page = (finished / "report.md").read_text()
    assert "| all" in page or "sum of all classes" in page
    assert (finished / "model" / "README.md").read_text() == page


def test_a_finished_run_is_not_overwritten(
    finished: Path, base: Path, drives: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([str(drives), "--from", str(base), "--out", str(finished)]) == 2
    assert "expected a new folder, got one with report.md" in capsys.readouterr().err


def comparison(before: Report, after: Report) -> Comparison:
    return Comparison("", "base", "", one_stage_config(), (), {}, 1, ("drive",), (), before, after)


@pytest.fixture(scope="module")
def report(base: Path, drives: Path) -> Report:
    """Return a report in which half of 20 cars and of 4 pedestrians are found."""
    config, _ = checkpoint.load_header(base)
    net = with_classes(Base("base", base, config), CLASSES, {})
    found = run._measure(net, open_clips(drives, names=CLASSES)[:1])
    one = replace(found.sum, hota=0.5, smotsa=0.4, true_positives=10, objects=20)
    few = replace(one, name="pedestrian", true_positives=2, objects=4)
    return replace(found, classes=(replace(one, name="car"), few), sum=one, frames=3)


@pytest.mark.parametrize(
    ("rates", "found", "worse"),
    [
        ({"hota": 0.4}, (10, 2), "HOTA 40.0 instead of 50.0 on the 3 held-out frames"),
        ({"hota": 0.6, "smotsa": 0.3}, (10, 2), "sMOTSA 30.0 instead of 40.0 on the 3 held-out frames"),
        ({"hota": 0.6}, (7, 2), "7 instead of 10 of 20 car found on the 3 held-out frames"),
        ({"hota": 0.6}, (8, 1), None),  # a tenth of the cars, and a single pedestrian
    ],
)
def test_a_model_is_worse_if_a_rate_falls_or_a_class_loses_objects(
    report: Report, rates: dict[str, float], found: tuple[int, int], worse: str | None
) -> None:
    classes = [replace(each, true_positives=count) for each, count in zip(report.classes, found, strict=True)]
    after = replace(report, classes=classes, sum=replace(report.sum, **rates))  # type: ignore[arg-type]
    assert comparison(report, after).worse == worse


def test_a_worse_model_is_not_exported(
    base: Path,
    drives: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    measure, seen = run._measure, []

    def fall(*arguments: object) -> object:
        report = measure(*arguments)  # type: ignore[arg-type]
        seen.append(report)
        return replace(report, sum=replace(report.sum, hota=0.5 - 0.1 * len(seen), smotsa=0.5))

    monkeypatch.setattr(run, "_measure", fall)
    command = [str(drives), "--from", str(base), "--out", str(tmp_path), "--steps", "1", "--workers", "0"]
    assert main(command) == 1
    assert "worse: HOTA 30.0 instead of 40.0" in capsys.readouterr().err
    assert not (tmp_path / "model").exists() and (tmp_path / "report.md").is_file()
    assert json.loads((tmp_path / "report.json").read_text())["worse"]


def test_classes_without_labels_are_refused_before_training(
    base: Path, drives: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = [str(drives), "--from", str(base), "--out", str(tmp_path / "out"), "--classes", "car", "tram"]
    assert main(command) == 2
    assert "expected objects of tram to train on, got {'car'" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_new_class_starts_as_a_copy_that_never_wins(base: Path) -> None:
    config, _ = checkpoint.load_header(base)
    known = Base("base", base, config)
    net = with_classes(known, ("van", "car"), {"van": "truck"})
    old = with_classes(known, CLASSES, {})
    truck, car = CLASSES.index("truck"), CLASSES.index("car")
    for head, before in zip(net.heads, old.heads, strict=True):  # type: ignore[arg-type, union-attr]
        assert torch.equal(head.classes.weight, before.classes.weight[[truck, car]])
        assert torch.equal(head.classes.bias, before.classes.bias[[truck, car]] - torch.tensor([20.0, 0.0]))


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        (["car", "car"], "expected different names, got car car"),
        (["van=lorry"], "expected NEW=OLD with a new name and one of .*; got van=lorry"),
        (["car=truck"], "got car=truck"),
    ],
)
def test_classes_that_make_no_sense_are_refused(texts: list[str], message: str) -> None:
    with pytest.raises(UserError, match=message):
        read_classes(texts, CLASSES)
