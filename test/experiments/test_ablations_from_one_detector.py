"""A study whose rows start from one detector: what they share, and that each is what it would be alone."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
import torch
import yaml
from safetensors.torch import load_file
from support.small import HEIGHT, WIDTH, small_config, small_net

from pcan_model.cli.ablate import main
from pcan_model.core.config import config_to_dict
from pcan_model.evaluation.predict import predict_clip
from pcan_model.evaluation.predictions import collect_predictions
from pcan_model.experiments import trainings
from pcan_model.experiments.counting import grouped
from pcan_model.experiments.runs import Study, read_results, runs
from pcan_model.experiments.shared_frames import predict_together
from pcan_model.experiments.tables import TABLES
from pcan_model.experiments.trainings import trained
from pcan_model.inference.torch_engine import TorchEngine
from pcan_model.model import checkpoint
from pcan_model.synthetic.drive import SyntheticDrive
from pcan_model.tracking.tracker import Tracker
from pcan_model.training.loader import Batch
from pcan_model.training.losses import Losses
from pcan_model.training.trainer import Trainer

ROOT = Path(__file__).parents[2]


def test_rows_from_one_detector_are_done_together_where_only_their_instance_modules_differ() -> None:
    base = small_config()
    study = Study(base, 2, 1, 2, Path())
    rows = list(runs([TABLES[6], TABLES[7], TABLES[3]], [0, 1]))
    assert [len(group) for group in grouped(rows, study)] == [1] * len(rows)
    with_start = replace(study, weights=ROOT / "pyproject.toml")  # any file: it is hashed only
    assert [len(group) for group in grouped(rows, with_start)] == 2 * [len(rows) // 2 - 6, *[1] * 6]


def test_engines_that_share_frames_say_what_each_says_alone() -> None:
    base = small_config()
    other = replace(
        base, instance_attention=replace(base.instance_attention, foreground=2, propagation="none")
    )
    nets = [small_net(base), small_net(other, seed=1)]
    shared = {n: t for n, t in nets[0].state_dict().items() if not n.startswith("instance_attention")}
    nets[1].load_state_dict(shared, strict=False)
    engines = [TorchEngine(net) for net in nets]
    clips = [SyntheticDrive(seed, 3, HEIGHT, WIDTH) for seed in (3, 4)]

    predictions = predict_together(engines, clips)

    for engine, own in zip(engines, predictions, strict=True):
        for clip, one in zip(clips, own, strict=True):
            alone = collect_predictions(partial(predict_clip, Tracker(engine)), clip)
            assert [o.rles for o in one.predicted] == [o.rles for o in alone.predicted]
            assert [o.ids.tolist() for o in one.predicted] == [o.ids.tolist() for o in alone.predicted]
    masks = [[o.rles for one in own for o in one.predicted] for own in predictions]
    assert any(masks[0]) and masks[0] != masks[1]


@pytest.fixture(scope="module")
def small_study(tmp_path_factory: pytest.TempPathFactory) -> Study:
    """A study from one detector with drives that are rendered once."""
    folder = tmp_path_factory.mktemp("study")
    net = small_net()
    checkpoint.save(folder / "start.safetensors", net, net.config, {})
    torch.save(net.backbone.state_dict(), folder / "backbone.pt")
    base = small_config(train={"iterations": 2, "learning_rate": 0.001})
    return Study(base, 1, 1, 2, folder, folder / "backbone.pt", 0, folder / "start.safetensors")


def test_a_row_taught_beside_others_learns_what_it_learns_alone(small_study: Study, tmp_path: Path) -> None:
    configs = [v.apply(small_study.base) for v in TABLES[7].variations]
    whole = trained(configs, 3, small_study)
    apart = replace(small_study, folder=tmp_path)
    for config, file in zip(configs, whole, strict=True):
        (alone,) = trained([config], 3, apart)
        ours, theirs = load_file(file), load_file(alone)
        assert ours.keys() == theirs.keys() and all(torch.equal(ours[n], theirs[n]) for n in ours)
    numbers = [load_file(file) for file in whole]
    start = load_file(small_study.weights)  # type: ignore[arg-type]
    for name, tensor in numbers[0].items():
        part = name.split(".")[0]
        assert all(torch.equal(n[name], tensor) for n in numbers[1:]) or part == "instance_attention", name
        assert torch.equal(tensor, start[name]) == (part in {"backbone", "pyramid"}), name


def test_of_no_steps_every_row_has_the_weights_of_the_start(small_study: Study) -> None:
    study = replace(small_study, base=small_config(train={"iterations": 0}))
    configs = [v.apply(study.base) for v in TABLES[7].variations]
    assert trained(configs, 0, study) == [small_study.weights] * 4


def test_trainings_side_by_side_go_on_where_they_were_stopped(
    small_study: Study, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    configs = [v.apply(small_study.base) for v in TABLES[7].variations[:2]]
    whole = [load_file(file) for file in trained(configs, 3, small_study)]
    study, learn, steps = replace(small_study, folder=tmp_path), Trainer.learn, []

    def stopped(self: Trainer, losses: Losses, batch: Batch) -> Losses:
        steps.append(self.step)
        if losses.boxes == 0 and len(steps) > 2 + 3:  # two steps of the heads, then of two rows
            raise KeyboardInterrupt
        return learn(self, losses, batch)

    with monkeypatch.context() as patch:
        patch.setattr(Trainer, "learn", stopped)
        patch.setattr(trainings, "SAVE_EVERY", 1)
        with pytest.raises(KeyboardInterrupt):
            trained(configs, 3, study)
    again = [load_file(file) for file in trained(configs, 3, study)]
    for ours, theirs in zip(again, whole, strict=True):
        assert all(torch.equal(ours[name], theirs[name]) for name in theirs)


@pytest.mark.slow
def test_a_table_runs_from_one_detector_and_rows_may_be_left_out(small_study: Study, tmp_path: Path) -> None:
    pytest.importorskip("trackeval")
    config = tmp_path / "small.yaml"
    config.write_text(yaml.safe_dump(config_to_dict(small_study.base)))
    start = ["--weights", str(small_study.weights), "--backbone", str(small_study.backbone)]
    tiny = ["--seeds", "0", "--drives", "1", "--held-out", "1", "--length", "2", "--workers", "0"]
    folders = ["--out", str(tmp_path / "runs"), "--docs", str(tmp_path / "docs")]
    skip = ["--skip", "30 + 30", "50 + 50"]
    assert main(["6", "--config", str(config), *start, *tiny, *folders, *skip]) == 0
    found = {r.variation: r for r in read_results(tmp_path / "docs" / "results.jsonl")}
    assert list(found) == ["no module", "0 + 0", "1 + 0", "0 + 1", "1 + 1", "5 + 5"]
    assert len({r.id_switches for r in found.values()}) == 1, "all rows have the same detections"
