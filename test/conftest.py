"""Fixtures that several test files share."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from support.bench import Bench

    from pcan_model.model.pcan import PCAN
    from pcan_model.released.network import ReleasedPCAN


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    """Return a stand-in device with its TensorRT and an empty cache."""
    from support.bench import Bench

    return Bench(tmp_path / "engines")


@pytest.fixture(scope="session")
def random_net() -> PCAN:
    """Return a small network of random weights whose thresholds let tracks through."""
    torch = pytest.importorskip("torch")
    from support.small import wake

    from pcan_model.core.config import load_config
    from pcan_model.model.pcan import PCAN

    torch.manual_seed(0)
    shipped = load_config("pcan_street_tiny")
    config = replace(
        shipped,
        input=replace(shipped.input, height=128, width=192),
        frame_attention=replace(shipped.frame_attention, em_steps=2),  # a graph half as large
        instance_attention=replace(shipped.instance_attention, em_steps=2),
        heads=replace(shipped.heads, detections=12),
        tracker=replace(shipped.tracker, capacity=16, init_score=0.1, track_score=0.05),
    )
    net = PCAN(config)
    wake(net)  # else all scores are alike, and ties decide what is compared
    return net.eval()


@pytest.fixture(scope="session")
def halved(exported: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the exported small network with its heavy layers in 16 bits."""
    from support.halves import halve

    return halve(exported, tmp_path_factory.mktemp("halved") / "model")


@pytest.fixture(scope="session")
def exported(random_net: PCAN, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder with the exported small network; `random_net` has the same rounded weights."""
    from pcan_model.export.model_folder import export
    from pcan_model.export.options import ExportOptions

    return export(random_net, tmp_path_factory.mktemp("exported") / "model", ExportOptions(roi="gridsample"))


@pytest.fixture(scope="session")
def two_cameras(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a smaller network, exported for two cameras at once that send 150 x 300 pixels in bgr."""
    pytest.importorskip("torch")
    from support.small import few_steps

    from pcan_model.export.model_folder import export
    from pcan_model.export.options import ExportOptions

    folder = tmp_path_factory.mktemp("two_cameras") / "model"
    options = ExportOptions(roi="gridsample", cameras=2, camera=(150, 300), order="bgr")
    return export(few_steps(), folder, options)


@pytest.fixture(scope="session")
def two_cameras_rounded(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Return the folders with the network of `two_cameras` in 8 bits, by precision."""
    pytest.importorskip("modelopt", reason="ModelOpt is not installed: make env")
    from support.rounded import BlockClip, round_all
    from support.small import few_steps

    from pcan_model.export.options import ExportOptions

    clip = BlockClip(4, 11, 150, 300)
    options = ExportOptions(roi="gridsample", cameras=2, camera=(150, 300), order="bgr")
    return round_all(few_steps(), tmp_path_factory.mktemp("two_rounded"), [clip], options, frames=len(clip))


@pytest.fixture(scope="session")
def two_cameras_int8(two_cameras_rounded: dict[str, Path]) -> Path:
    """Return the network of `two_cameras`, exported in INT8."""
    return two_cameras_rounded["int8"]


@pytest.fixture(scope="session")
def rounded_static(random_net: PCAN, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Return the folders with the exported small network in 8 bits, by precision."""
    pytest.importorskip("modelopt", reason="ModelOpt is not installed: make env")
    from support.rounded import BlockClip, round_all

    clips = [BlockClip(4, seed) for seed in (11, 12)]
    return round_all(random_net, tmp_path_factory.mktemp("rounded"), clips, frames=4)


@pytest.fixture(scope="session")
def released_net() -> ReleasedPCAN:
    """Return a small network of the released form for images of one size."""
    pytest.importorskip("torch")
    from support.released import fixed_released

    return fixed_released()


@pytest.fixture(scope="session")
def released(released_net: ReleasedPCAN, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder with it exported; `released_net` has the same rounded weights."""
    from pcan_model.export.model_folder import export
    from pcan_model.export.options import ExportOptions

    folder = tmp_path_factory.mktemp("released") / "model"
    return export(released_net, folder, ExportOptions(roi="gridsample"))
