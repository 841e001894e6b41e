"""The released checkpoint becomes ours, or an error that names what does not fit."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
import yaml
from support.parity import present
from support.released import small_released_config
from support.seeded import seeded_state
from torch import Tensor

from pcan_model.cli.convert import main
from pcan_model.core.config import config_to_dict, load_config
from pcan_model.model import checkpoint
from pcan_model.model.checkpoint import CheckpointError
from pcan_model.released.convert_checkpoint import convert, expected_shapes
from pcan_model.released.network import ReleasedPCAN


@pytest.fixture(scope="module")
def shapes() -> dict[str, tuple[int, ...]]:
    """Return the shapes of the preset's released checkpoint."""
    with torch.device("meta"):
        return expected_shapes(ReleasedPCAN(load_config("pcan_released_bdd100k")))


def test_the_preset_has_397_keys_and_the_released_number_of_parameters(
    shapes: dict[str, tuple[int, ...]],
) -> None:
    assert len(shapes) == 397
    with torch.device("meta"):
        net = ReleasedPCAN(load_config("pcan_released_bdd100k"))
    assert sum(p.numel() for p in net.parameters()) == 62_174_337


def test_the_keys_are_the_recorded_ones(shapes: dict[str, tuple[int, ...]]) -> None:
    recorded = json.loads(present("keys.json").read_text())
    assert shapes == {name: tuple(shape) for name, shape, _ in recorded}


CONFIG = small_released_config(heads={"embed_layers": 2}, backbone={"kind": "resnet50"})


@pytest.fixture(scope="module")
def state() -> dict[str, Tensor]:
    """Return a small released checkpoint's state."""
    return seeded_state(expected_shapes(ReleasedPCAN(CONFIG)))


@pytest.mark.parametrize("prefix", ["", "module."])
def test_every_tensor_finds_its_place(state: dict[str, Tensor], prefix: str) -> None:
    net = convert({prefix + name: value for name, value in state.items()}, CONFIG, "x")
    assert torch.equal(net.backbone.stages[2][1].conv2.weight, state["backbone.layer3.1.conv2.weight"])  # type: ignore[index, union-attr]
    assert torch.equal(net.embedding_head.layers[4].weight, state["roi_head.track_head.convs.1.gn.weight"])
    assert torch.equal(net.refine.prototypes.get_buffer("pos_mu"), state["roi_head.refine_head.pos_mu"][0].T)
    assert torch.equal(net.frame_memory.get_buffer("mu1"), state["mu1"][0].T)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("neck.fpn_convs.1.conv.bias", None, "f.pth: neck.fpn_convs.1.conv.bias: missing"),
        ("mu4", None, "f.pth: mu4: missing"),
        ("roi_head.new.weight", torch.zeros(1), "f.pth: roi_head.new.weight: expected no such key"),
        ("mu0", torch.zeros(1, 16, 5), r"f.pth: mu0: expected \(1, 16, 6\), got \(1, 16, 5\)"),
        (
            "mu0",
            torch.full((1, 16, 6), torch.nan),
            "f.pth: mu0: expected finite numbers, got infinity or NaN",
        ),
        (
            "mu0",
            torch.full((1, 16, 6), torch.inf),
            "f.pth: mu0: expected finite numbers, got infinity or NaN",
        ),
    ],
)
def test_what_does_not_fit_is_named(
    state: dict[str, Tensor], name: str, value: Tensor | None, message: str
) -> None:
    changed = {k: v for k, v in state.items() if k != name} | ({} if value is None else {name: value})
    with pytest.raises(CheckpointError, match=message):
        convert(changed, CONFIG, "f.pth")


@pytest.fixture
def command(tmp_path: Path, state: dict[str, Tensor]) -> list[str]:
    """Return the words that convert the small checkpoint, but for where to."""
    config, source = tmp_path / "c.yaml", tmp_path / "r.pth"
    config.write_text(yaml.safe_dump(config_to_dict(CONFIG)))
    torch.save({"state_dict": state, "meta": {}}, source)
    return [str(source), "--config", str(config), "--out"]


@pytest.mark.parametrize("out", ["/proc/w.safetensors", "/proc/no/w.safetensors", "/dev/null/w.safetensors"])
def test_what_cannot_be_written_is_one_line(
    command: list[str], out: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*command, out]) == 2
    error = capsys.readouterr().err
    assert error.startswith("pcan-convert: ") and error.count("\n") == 1 and str(Path(out).parent) in error


def test_the_command_writes_weights_that_load_again(
    tmp_path: Path, command: list[str], state: dict[str, Tensor]
) -> None:
    out = tmp_path / "out" / "w.safetensors"
    assert main([*command, str(out)]) == 0
    net = ReleasedPCAN(CONFIG)
    checkpoint.load_weights(out, net)
    for name, tensor in convert(state, CONFIG, "x").state_dict().items():
        assert torch.equal(net.state_dict()[name], tensor)


BAD = [None, b"not a checkpoint", {}, {"state_dict": {"mu0": 3}}, {"state_dict": {"state_dict": {}}}, [1]]


def test_half_a_file_is_one_line(
    tmp_path: Path, state: dict[str, Tensor], capsys: pytest.CaptureFixture[str]
) -> None:
    source = tmp_path / "r.pth"
    torch.save({"state_dict": state}, source)
    source.write_bytes(source.read_bytes()[: source.stat().st_size // 2])
    assert main([str(source), "--out", str(tmp_path / "w.safetensors")]) == 2
    assert capsys.readouterr().err == (
        f"pcan-convert: {source}: expected a file saved by torch, got damaged data\n"
    )


@pytest.mark.parametrize("content", BAD)
def test_a_bad_file_is_one_line_and_nothing_is_written(
    tmp_path: Path, content: object, capsys: pytest.CaptureFixture[str]
) -> None:
    source, out = tmp_path / "r.pth", tmp_path / "w.safetensors"
    if isinstance(content, bytes):
        source.write_bytes(content)
    elif content is not None:
        torch.save(content, source)
    assert main([str(source), "--out", str(out)]) == 2
    error = capsys.readouterr().err
    assert error.startswith(f"pcan-convert: {source}: ") and error.count("\n") == 1
    assert list(tmp_path.glob("w*")) == []
