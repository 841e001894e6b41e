"""Checkpoints are written atomically with their configuration; mismatches are named."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import nn

from pcan_model.core.config import Config, config_from_dict
from pcan_model.model import checkpoint
from pcan_model.model.checkpoint import (
    CheckpointError,
    load_header,
    load_torch,
    load_weights,
    save,
    save_torch,
)

CONFIG = config_from_dict({"name": "mine", "tracker": {"capacity": 200}})


def network() -> nn.Module:
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "deep" / "weights.safetensors"


def test_weights_configuration_and_metrics_come_back(path: Path) -> None:
    net, other = network(), network()
    save(path, net, CONFIG, {"sMOTSA": 0.5, "per_class": {"car": 1}})
    load_weights(path, other)
    for (name, a), b in zip(net.state_dict().items(), other.state_dict().values(), strict=True):
        assert torch.equal(a, b), name
    assert load_header(path) == (CONFIG, {"sMOTSA": 0.5, "per_class": {"car": 1}})


def test_half_precision_halves_the_file_and_loads_as_float32(path: Path) -> None:
    net, other = nn.Linear(500, 100), nn.Linear(500, 100)
    save(path, net, CONFIG, {})
    whole = path.stat().st_size
    save(path, net, CONFIG, {}, fp16=True)
    assert path.stat().st_size < 0.6 * whole
    load_weights(path, other)
    assert other.weight.dtype == torch.float32
    assert torch.equal(other.weight, net.weight.half().float())


@pytest.mark.parametrize(
    "value", [float("nan"), float("inf"), 1e6], ids=["nan", "inf", "too large for 16 bits"]
)
def test_weights_that_are_not_finite_are_refused_and_the_old_file_stays(path: Path, value: float) -> None:
    net = nn.Linear(2, 2)
    save(path, net, CONFIG, {}, fp16=True)
    before = path.read_bytes()
    nn.init.constant_(net.bias, value)
    with pytest.raises(CheckpointError, match=r"weights\.safetensors: bias: expected finite"):
        save(path, net, CONFIG, {}, fp16=True)
    assert path.read_bytes() == before


def test_a_failed_write_leaves_the_old_file_and_nothing_else(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save(path, network(), CONFIG, {})
    before = path.read_bytes()

    def break_off(state: object, partial: Path, metadata: object) -> None:
        partial.write_bytes(b"half")
        raise OSError("disk full")

    monkeypatch.setattr(checkpoint, "save_file", break_off)
    with pytest.raises(OSError, match="disk full"):
        save(path, network(), CONFIG, {})
    assert [p.name for p in path.parent.iterdir()] == [path.name] and path.read_bytes() == before


def rewrite(path: Path, drop: str = "", **added: torch.Tensor) -> None:
    """Change the tensors of a checkpoint."""
    with safe_open(path, "pt") as file:
        tensors = {name: file.get_tensor(name) for name in file.keys() if name != drop}  # noqa: SIM118
        metadata = file.metadata()
    save_file({**tensors, **added}, path, metadata)


def test_what_does_not_fit_the_network_is_named(path: Path) -> None:
    save(path, network(), CONFIG, {})
    rewrite(path, drop="1.weight")
    with pytest.raises(CheckpointError, match=r"weights\.safetensors: 1\.weight: missing"):
        load_weights(path, network())
    save(path, network(), CONFIG, {})
    rewrite(path, extra=torch.zeros(2))
    with pytest.raises(CheckpointError, match=r"extra: not a part of the network"):
        load_weights(path, network())
    save(path, nn.Sequential(nn.Conv2d(3, 5, 3), nn.BatchNorm2d(5)), CONFIG, {})
    with pytest.raises(CheckpointError, match=r"0\.bias: expected \(4,\), got \(5,\)"):
        load_weights(path, network())


def test_a_file_that_does_not_fit_changes_nothing(path: Path) -> None:
    save(path, network(), CONFIG, {})
    rewrite(path, drop="1.weight")
    net = network()
    before = net.state_dict()["0.weight"].clone()
    with pytest.raises(CheckpointError):
        load_weights(path, net)
    assert torch.equal(net.state_dict()["0.weight"], before)


@pytest.mark.parametrize(
    "length", [0, 4, 100, -10], ids=["empty", "4 bytes", "100 bytes", "the end is missing"]
)
def test_a_truncated_file_is_named(path: Path, length: int) -> None:
    save(path, network(), CONFIG, {})
    path.write_bytes(path.read_bytes()[:length])
    with pytest.raises(CheckpointError, match=r"weights\.safetensors: expected a safetensors checkpoint"):
        load_weights(path, network())


def test_a_missing_file_is_named(path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"weights\.safetensors: expected a safetensors checkpoint"):
        load_header(path)


def test_a_file_of_somebody_else_is_named(path: Path) -> None:
    path.parent.mkdir()
    save_file({"x": torch.zeros(1)}, path)
    with pytest.raises(CheckpointError, match=r"metadata: expected a key 'config'"):
        load_header(path)
    save_file({"x": torch.zeros(1)}, path, {"config": '{"traker": 1}'})
    with pytest.raises(CheckpointError, match=r"metadata: config: traker: expected one of"):
        load_header(path)
    save_file({"x": torch.zeros(1)}, path, {"config": "{"})
    with pytest.raises(CheckpointError, match=r"weights\.safetensors: metadata: "):
        load_header(path)


def test_the_state_of_a_training_comes_back_and_a_broken_one_is_named(tmp_path: Path) -> None:
    path = tmp_path / "resume.pt"
    save_torch(path, {"step": 3, "momentum": torch.ones(2)})
    assert load_torch(path)["step"] == 3 and list(tmp_path.iterdir()) == [path]
    path.write_bytes(path.read_bytes()[:50])
    with pytest.raises(
        CheckpointError, match=r"resume\.pt: expected a file saved by torch, got damaged data$"
    ):
        load_torch(path)


def test_the_default_configuration_survives(path: Path) -> None:
    save(path, network(), Config(), {})
    assert load_header(path)[0] == Config()


def test_fresh_parts_stay_as_they_are_whatever_the_file_has(path: Path) -> None:
    theirs, own = network(), nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Linear(2, 2))
    own[1] = nn.BatchNorm2d(5)  # another size
    save(path, theirs, CONFIG, {})
    before = {name: tensor.clone() for name, tensor in own.state_dict().items()}
    load_weights(path, own, fresh=["1", "2"])
    assert torch.equal(own[0].weight, theirs[0].weight)
    assert all(torch.equal(t, before[n]) for n, t in own.state_dict().items() if not n.startswith("0."))
    with pytest.raises(CheckpointError, match=r"2\.bias: missing"):
        load_weights(path, own, fresh=["1"])
