"""`pcan-train` from the command line: exact resume, several processes, errors in one line."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from safetensors.torch import load_file
from support.small import VALUES, small_batch, small_config, small_net

from pcan_model.cli import evaluate, export, train
from pcan_model.core.config import ConfigError
from pcan_model.core.train_config import TrainConfig
from pcan_model.factory import make_training
from pcan_model.model import checkpoint
from pcan_model.synthetic.drive import write_drives
from pcan_model.training.trainer import NonFiniteLoss, Trainer, rate_at

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def drives(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("drives")
    write_drives(folder, range(3, 5), length=3, height=128, width=192)
    return folder


@pytest.fixture(scope="module")
def backbone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a file of weights, so that no package with ImageNet's is needed."""
    path = tmp_path_factory.mktemp("backbone") / "weights.pt"
    torch.save(small_net().backbone.state_dict(), path)
    return path


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("config") / "small.yaml"
    path.write_text(yaml.safe_dump(VALUES))
    return path


@pytest.fixture
def command(drives: Path, backbone: Path, config: Path) -> list[str]:
    fixed = ["--workers", "0", "--device", "cpu", "--log-every", "1"]
    return [str(config), "--data", str(drives), "--backbone", str(backbone), *fixed]


def trainer(backbone: Path, pairs: int = 2, **settings: Any) -> Trainer:
    torch.manual_seed(0)
    config = small_config(train=settings)
    return Trainer(*make_training(config, backbone), torch.device("cpu"), pairs)


def said_at(output: str) -> dict[int, str]:
    """Return what was logged, by step."""
    lines = [line for line in output.splitlines() if line.startswith("step ")]
    return {int(line.split()[1]): line for line in lines}


def fails(capsys: pytest.CaptureFixture[str], run: Any, *arguments: str) -> str:
    """Return the one line that a command says when it fails."""
    code, message = run(list(arguments)), capsys.readouterr().err
    assert code == 2 and len(message.strip().splitlines()) == 1, message
    assert "Traceback" not in message
    return message


def test_training_lowers_the_loss_and_leaves_a_checkpoint(
    command: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    train.main([*command, "--out", str(tmp_path), "--iterations", "12"])
    totals = [float(line.split()[3]) for line in said_at(capsys.readouterr().out).values()]
    assert len(totals) == 12 and sum(totals[-3:]) < sum(totals[:3])
    config, metrics = checkpoint.load_header(tmp_path / "weights.safetensors")
    assert config.name == "small" and metrics["step"] == 12
    assert list(tmp_path.glob("events.out.tfevents.*"))
    assert not list(tmp_path.glob("*.partial"))


def test_a_resumed_training_is_the_uninterrupted_one(
    command: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, parted = tmp_path / "whole", tmp_path / "parted"
    train.main([*command, "--out", str(whole)])
    expected = said_at(capsys.readouterr().out)
    with monkeypatch.context() as patch:
        update = Trainer.update
        patch.setattr(Trainer, "update", lambda self, b: 1 / 0 if self.step == 2 else update(self, b))
        with pytest.raises(ZeroDivisionError):
            train.main([*command, "--out", str(parted), "--save-every", "2"])
    capsys.readouterr()
    train.main([*command, "--out", str(parted), "--resume"])
    resumed = said_at(capsys.readouterr().out)
    assert resumed == {2: expected[2], 3: expected[3]}
    ours, theirs = (load_file(folder / "weights.safetensors") for folder in (parted, whole))
    assert ours.keys() == theirs.keys() and all(torch.equal(ours[n], theirs[n]) for n in ours)


@pytest.mark.slow
def test_two_processes_share_the_pairs_and_keep_equal_weights(command: list[str], tmp_path: Path) -> None:
    script = [sys.executable, str(ROOT / "test/support/two_processes.py"), *command, "--out", str(tmp_path)]
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    done = subprocess.run(
        [*script, "--iterations", "2", "--batch", "4"],
        env=environment, capture_output=True, text=True, timeout=240, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    left = [torch.load(tmp_path / f"rank{rank}.pt", weights_only=True) for rank in range(2)]
    for name, value in left[0]["weights"].items():
        assert torch.equal(value, left[1]["weights"][name]), name
    assert sorted(left[0]["pairs"] + left[1]["pairs"]) == list(range(2 * 4))
    assert (tmp_path / "weights.safetensors").is_file()


def test_a_loss_that_is_not_finite_names_step_pairs_and_part_and_spoils_nothing(backbone: Path) -> None:
    running = trainer(backbone)
    running.update(small_batch())
    with torch.no_grad():
        running.net.mask_head.mask.bias.fill_(float("nan"))  # type: ignore[union-attr]
    before = running.net.box_head.logits.weight.clone()
    batch = replace(small_batch(), names=[7, 9])
    with pytest.raises(
        NonFiniteLoss, match=r"step 1: pairs \[7, 9\]: expected a finite loss, got .*'masks': nan"
    ):
        running.update(batch)
    assert torch.equal(running.net.box_head.logits.weight, before) and running.step == 1


def test_the_learning_rate_scales_with_the_batch(backbone: Path) -> None:
    rates = []
    for pairs in (2, 6):
        running = trainer(backbone, pairs, batch=4, learning_rate=0.02, warmup=0)
        rates.append(running.optimizer.param_groups[0]["lr"])
    assert rates == pytest.approx([0.02 * 2 / 4, 0.02 * 6 / 4])


@pytest.mark.parametrize(("optimizer", "kind"), [("sgd", torch.optim.SGD), ("adamw", torch.optim.AdamW)])
def test_the_backbone_learns_at_its_own_rate(backbone: Path, optimizer: str, kind: type) -> None:
    settings: dict[str, Any] = {"learning_rate": 0.02, "warmup": 0, "optimizer": optimizer}
    running = trainer(backbone, 2, batch=2, backbone_rate=0.1, **settings)
    assert isinstance(running.optimizer, kind)
    own = {id(p) for p in running.net.backbone.parameters() if p.requires_grad}
    heads, slow = running.optimizer.param_groups
    assert {id(p) for p in slow["params"]} == own and not own & {id(p) for p in heads["params"]}
    assert [heads["lr"], slow["lr"]] == pytest.approx([0.02, 0.002])
    before = running.net.box_head.logits.weight.clone()
    running.update(small_batch())
    assert not torch.equal(running.net.box_head.logits.weight, before)


def test_the_rate_warms_up_and_falls() -> None:
    steps = TrainConfig(iterations=1200, warmup=100, schedule="step")
    assert [rate_at(s, steps) for s in (0, 49, 99, 799)] == pytest.approx([0.01, 0.5, 1, 1])
    assert [rate_at(s, steps) for s in (800, 1099, 1100, 1199)] == pytest.approx([0.1, 0.1, 0.01, 0.01])
    cosine = TrainConfig(iterations=1000, warmup=0, schedule="cosine")
    assert [rate_at(s, cosine) for s in (0, 500, 1000)] == pytest.approx([1, 0.01 + 0.99 / 2, 0.01])


def test_what_is_saved_is_the_running_mean_of_the_weights(backbone: Path, tmp_path: Path) -> None:
    running = trainer(backbone)
    for _ in range(3):
        running.update(small_batch())
    running.save(tmp_path)
    net = small_net()
    checkpoint.load_weights(tmp_path / "weights.safetensors", net)
    mean = running.average.module.box_head.logits.weight  # type: ignore[union-attr]
    assert torch.equal(net.box_head.logits.weight, mean)  # type: ignore[arg-type]
    assert not torch.equal(net.box_head.logits.weight, running.net.box_head.logits.weight)


def test_a_training_begins_with_weights_but_for_fresh_parts(backbone: Path, tmp_path: Path) -> None:
    net = small_net(small_config(instance_attention={"foreground": 2}), seed=7)
    checkpoint.save(tmp_path / "start.safetensors", net, net.config, {})
    running = trainer(backbone)
    own = running.net.instance_attention.mu.clone()  # type: ignore[union-attr, operator]
    running.begin_with(tmp_path / "start.safetensors", ["instance_attention"])
    for part in (running.net, running.average.module):
        assert torch.equal(part.instance_attention.mu, own)  # type: ignore[union-attr, arg-type]
        assert torch.equal(part.box_head.logits.weight, net.box_head.logits.weight)  # type: ignore[union-attr, arg-type]
    with pytest.raises(ConfigError, match=r"--fresh: expected a part of the network, got \['nose'\]"):
        running.begin_with(tmp_path / "start.safetensors", ["nose"])


def test_help_teaches_the_layout_of_the_data_and_an_example(capsys: pytest.CaptureFixture[str]) -> None:
    said = {}
    for name, run in (("train", train.main), ("export", export.main), ("evaluate", evaluate.main)):
        with pytest.raises(SystemExit) as ended:
            run(["--help"])
        said[name] = capsys.readouterr().out
        assert ended.value.code == 0 and f"\n  pcan-{name} " in said[name], "an example on a line of its own"
        if name != "export":
            assert "images/<video>/" in said[name] and "labels/<video>.json" in said[name]
    assert "torchrun" in said["train"]


def test_errors_of_the_user_are_one_line(
    command: list[str], config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out, rest = ["--out", str(tmp_path / "out")], command[3:]
    data = ["--data", str(tmp_path / "nowhere")]
    assert "nowhere: path: expected a data set" in fails(capsys, train.main, command[0], *data, *rest, *out)
    assert "no such configuration" in fails(capsys, train.main, "pcan_tiny", *command[1:], *out)
    wrong = tmp_path / "wrong.yaml"
    wrong.write_text("tracker: {capacitee: 3}")
    assert "wrong.yaml: tracker: capacitee" in fails(capsys, train.main, str(wrong), *command[1:], *out)
    assert "expected a video of" in fails(capsys, train.main, *command, *out, "--hold-out", "nobody")
    assert "wrong.yaml: expected a file saved by torch" in fails(
        capsys, train.main, *command, *out, "--backbone", str(wrong)
    )


def test_what_cannot_be_resumed_is_named(
    command: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "resume.pt").write_bytes(b"half a file")
    resume = [*command, "--out", str(tmp_path), "--resume"]
    assert "resume.pt: expected a file saved by torch" in fails(capsys, train.main, *resume)
    torch.save({"net": {}, "step": 3}, tmp_path / "resume.pt")
    assert "resume.pt: net: expected the state of small" in fails(capsys, train.main, *resume)


def test_a_batch_is_shared_out_evenly_or_refused(
    command: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    said = fails(capsys, train.main, *command, "--out", str(tmp_path), "--batch", "3")
    assert "--batch: expected a multiple of the 2 processes, got 3" in said
