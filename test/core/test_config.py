"""One configuration: the paper's values, YAML with the same names, errors that say where."""

from __future__ import annotations

import timeit
from dataclasses import fields, is_dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from pcan_model.core.config import PRESETS, Config, ConfigError, config_from_dict, config_to_dict, load_config
from pcan_model.core.fields import faults, settings_of
from pcan_model.core.tracker_config import TrackerConfig

NAMES = sorted(path.stem for path in PRESETS.glob("*.yaml"))


def test_the_papers_values_are_the_defaults() -> None:
    config = Config()
    frame, instance = config.frame_attention, config.instance_attention
    assert (frame.prototypes, frame.em_steps, frame.levels) == (64, 6, (3, 4, 5))
    assert (instance.foreground, instance.background, instance.em_steps) == (30, 30, 6)
    assert instance.update_rate == 0.2
    assert len(config.classes) == 8 and config.backbone.kind == "resnet50"


@pytest.mark.parametrize("name", NAMES)
def test_every_preset_loads_by_its_name_and_by_its_file(name: str) -> None:
    config = load_config(name)
    assert config.name == name
    assert load_config(PRESETS / f"{name}.yaml") == config


def test_the_presets_of_the_paper_and_of_the_cpu_are_there() -> None:
    assert {"pcan_r50_bdd100k", "pcan_r50_kitti_mots", "pcan_street_tiny"} <= set(NAMES)
    assert load_config("pcan_r50_bdd100k") == Config()


@pytest.mark.parametrize("name", NAMES)
def test_yaml_brings_a_configuration_back(name: str, tmp_path: Path) -> None:
    config = load_config(name)
    path = tmp_path / "copy.yaml"
    path.write_text(yaml.safe_dump(config_to_dict(config)))
    assert load_config(path) == config


def test_a_file_holds_where_its_base_differs_key_by_key(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text("base: pcan_street_tiny\nname: mine\ntracker: {capacity: 99}\n")
    mine, base = load_config(path), load_config("pcan_street_tiny")
    assert mine == replace(base, name="mine", tracker=replace(base.tracker, capacity=99))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("base: mine.yaml", r"mine\.yaml: base: expected another preset or YAML file, got '.*mine\.yaml'"),
        ("base: 5", "base: expected another preset or YAML file, got 5"),
        ("base: pcan_nowhere", "pcan_nowhere: no such configuration"),
        (
            "base: pcan_street_tiny\ntracker: {capacitee: 3}",
            r"mine\.yaml: tracker: capacitee: expected one of",
        ),
    ],
)
def test_a_base_that_does_not_fit_is_named(text: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(text.replace("mine.yaml", str(path)))
    with pytest.raises(ConfigError, match=message):
        load_config(path)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"backbone": {"kind": "mobilenet_v2", "caffe": True}}, r"backbone\.caffe: expected false"),
        (
            {"detector": "sipmask", "frame_attention": {"levels": [2, 3]}},
            r"levels: expected 3 to 5 for SipMask",
        ),
        ({"variant": "released", "train": {"clip_frames": 4}}, r"train\.clip_frames: expected 2"),
    ],
)
def test_what_a_form_does_not_have_is_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        config_from_dict(changes)


def test_every_field_is_in_the_plain_values() -> None:
    def check(record: Any, values: dict[str, Any]) -> None:
        assert set(values) == {f.name for f in fields(record)}
        for f in fields(record):
            if is_dataclass(value := getattr(record, f.name)):
                check(value, values[f.name])

    check(Config(), config_to_dict(Config()))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "tracker: {capacitee: 3}",
            r"tracker: capacitee: expected one of .*'capacity'.*, got an unknown key",
        ),
        ("traker: {}", "traker: expected one of .*, got an unknown key"),
        ("input: {height: tall}", "input: height: expected int, got 'tall'"),
        ("input: {height: 64.5}", "input: height: expected int, got 64.5"),
        ("input: {height: true}", "input: height: expected int, got True"),
        ("input: 5", "input: expected keys and values, got 5"),
        ("name: 3", "name: expected str, got 3"),
        ("classes: car", "classes: expected .*tuple.*, got 'car'"),
        ("classes: [1]", "classes: expected str, got 1"),
        ("train: {mixed_precision: 1}", "train: mixed_precision: expected bool, got 1"),
        ("train: {learning_rate: fast}", "train: learning_rate: expected float, got 'fast'"),
        ("3: 4\nx: 5", "3: expected one of .*, got an unknown key"),
        ("[1, 2]", "expected keys and values"),
        ("[]", "expected keys and values"),
        ("name: [", "expected YAML, got: .* line 1, column 8"),
    ],
)
def test_what_does_not_fit_is_named_with_file_and_key(text: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=rf"mine\.yaml: {message}") as error:
        load_config(path)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"input": {"height": 100}}, "input.height: expected a multiple of 32, got 100"),
        ({"input": {"width": 0}}, "input.width: expected a multiple of 32, got 0"),
        (
            {"tracker": {"capacity": 3}},
            r"tracker.capacity: expected at least heads.detections \(100\), got 3",
        ),
        ({"variant": "draft"}, "variant: expected one of paper, released; got 'draft'"),
        ({"tracker": {"momentum": 1.2}}, r"tracker.momentum: expected 0.0 to 1.0, got 1.2"),
        ({"frame_attention": {"levels": [3, 7]}}, "frame_attention.levels: expected 2 to 5, got 7"),
        (
            {"backbone": {"kind": "vgg"}},
            "backbone.kind: expected one of .* for detector mask_rcnn, got 'vgg'",
        ),
        (
            {"tracker": {"association": "iou"}},
            "tracker.association: expected one of .*sort_iou; got 'iou'",
        ),
        ({"train": {"schedule": "cosin"}}, "train.schedule: expected one of .*cosine; got 'cosin'"),
    ],
)
def test_values_that_cannot_work_are_refused(values: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        config_from_dict(values)


def test_whole_numbers_do_for_fractions_and_lists_for_tuples() -> None:
    config = config_from_dict({"instance_attention": {"update_rate": 1}, "frame_attention": {"levels": [4]}})
    assert isinstance(config.instance_attention.update_rate, float)
    assert config.frame_attention.levels == (4,)


def test_an_unknown_preset_names_the_known_ones() -> None:
    with pytest.raises(ConfigError, match=r"pcan_r51: no such configuration; .*pcan_r50_bdd100k"):
        load_config("pcan_r51")
    with pytest.raises(ConfigError, match=r"nowhere\.yaml: no such configuration"):
        load_config("nowhere.yaml")


def test_an_empty_file_is_the_default(tmp_path: Path) -> None:
    path = tmp_path / "empty.yaml"
    path.write_text("")
    assert load_config(path) == Config()


def test_the_old_key_of_a_file_is_read_with_one_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "old.yaml"
    path.write_text("form: released\ninput: {fit: resize}\n")
    assert load_config(path).variant == load_config(path).variant == "released"
    assert [r.getMessage() for r in caplog.records] == [f"{path}: form: deprecated, use variant"]


def test_a_tracker_s_old_key_in_frames_is_read_with_one_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "old.yaml"
    path.write_text("tracker: {keep_lost: 7}\n")
    assert load_config(path).tracker == load_config(path).tracker == TrackerConfig(lost_frames=7)
    assert [r.getMessage() for r in caplog.records] == [
        f"{path}: tracker.keep_lost: deprecated, use lost_frames"
    ]


def test_the_reference_forms_associate_by_the_paper_s_rules() -> None:
    for name in ("pcan_r50_bdd100k", "pcan_r50_kitti_mots", "pcan_released_bdd100k"):
        tracker = load_config(name).tracker
        assert tracker == TrackerConfig(capacity=tracker.capacity), name


def test_old_keys_of_checkpoints_and_manifests_are_read_without_a_word(
    caplog: pytest.LogCaptureFixture,
) -> None:
    values = config_to_dict(load_config("pcan_released_bdd100k"))
    values["form"] = values.pop("variant")
    assert config_from_dict(values) == load_config("pcan_released_bdd100k")
    assert not caplog.records


def test_todays_key_wins_over_the_old_one() -> None:
    assert config_from_dict({"form": "released", "variant": "paper"}) == Config()


def test_every_constant_is_described_and_every_default_fits() -> None:
    for part in (Config(), *(v for f in fields(Config) if is_dataclass(v := getattr(Config(), f.name)))):
        known = settings_of(type(part))
        own = {f.name for f in fields(part) if not is_dataclass(getattr(part, f.name))}
        assert set(known) == own, type(part).__name__
        assert all(len(setting.description) > 5 for setting in known.values())
        assert not list(faults(part))


def test_a_configuration_becomes_plain_values_in_less_than_two_milliseconds() -> None:
    config = Config()
    best = min(timeit.repeat(lambda: config_to_dict(config), number=1, repeat=20))
    assert best < 0.002
