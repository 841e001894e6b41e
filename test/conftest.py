"""Fixtures that several test files share."""

from __future__ import annotations

import gc
import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from support.once import once

if TYPE_CHECKING:
    from support.bench import Bench

    from pcan_model.model.pcan import PCAN
    from pcan_model.released.network import ReleasedPCAN

if "PYTEST_XDIST_WORKER" in os.environ:  # every core has a process: torch's threads would only wait in turns
    os.environ.setdefault("OMP_NUM_THREADS", "1")


def pytest_collection_finish() -> None:
    """Let the garbage collector leave out what was imported, and run less: an eighth of an export's time."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run the files with slow tests first, so that no process is left alone with one at the end."""
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in slow)


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    """Return a stand-in device with its TensorRT and an empty cache."""
    from support.bench import Bench

    return Bench(tmp_path / "engines")


@pytest.fixture(scope="session")
def message_packages(request: pytest.FixtureRequest) -> dict[str, str]:
    """Make vision_msgs and others importable; return what another process needs for it."""
    pytest.importorskip("rclpy")
    from support.message_packages import built, load

    return load(built(Path(request.config.cache.mkdir("message_packages"))))


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

    return once(tmp_path_factory, "halved", lambda root: halve(exported, root / "model")) / "model"


@pytest.fixture(scope="session")
def exported(random_net: PCAN, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder with the exported small network; `random_net` has the same rounded weights."""
    from pcan_model.export.model_folder import export
    from pcan_model.export.options import ExportOptions
    from pcan_model.inference.manifest import WEIGHTS
    from pcan_model.model.checkpoint import load_weights

    options = ExportOptions(roi="gridsample")
    folder = once(tmp_path_factory, "exported", lambda root: export(random_net, root / "model", options))
    load_weights(folder / "model" / WEIGHTS, random_net)
    return folder / "model"


@pytest.fixture(scope="session")
def sparse_net() -> PCAN:
    """Return a small network that finds objects in some of its rows only."""
    pytest.importorskip("torch")
    from support.small import few_steps

    return few_steps(heads={"score_threshold": 0.66})


@pytest.fixture(scope="session")
def sparse_exported(sparse_net: PCAN, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder with it exported for processors; `sparse_net` has the same rounded weights."""
    from pcan_model.export.model_folder import export
    from pcan_model.inference.manifest import WEIGHTS
    from pcan_model.model.checkpoint import load_weights

    folder = once(tmp_path_factory, "sparse", lambda root: export(sparse_net, root / "model"))
    load_weights(folder / "model" / WEIGHTS, sparse_net)
    return folder / "model"


@pytest.fixture(scope="session")
def two_cameras(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a smaller network, exported for two cameras at once that send 150 x 300 pixels in bgr."""
    pytest.importorskip("torch")
    from support.small import few_steps

    from pcan_model.export.model_folder import export
    from pcan_model.export.options import ExportOptions

    options = ExportOptions(roi="gridsample", cameras=2, camera=(150, 300), order="bgr")
    folder = once(tmp_path_factory, "two_cameras", lambda root: export(few_steps(), root / "model", options))
    return folder / "model"


@pytest.fixture(scope="session")
def two_cameras_rounded(two_cameras: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Return the folders with the network of `two_cameras` in 8 bits, by precision."""
    pytest.importorskip("modelopt", reason="ModelOpt is not installed: make env")
    from support.rounded import BlockClip, round_all
    from support.small import few_steps

    from pcan_model.export.options import ExportOptions
    from pcan_model.export.quantise import LAYERS

    def make(root: Path) -> None:
        clip = BlockClip(4, 11, 150, 300)
        options = ExportOptions(roi="gridsample", cameras=2, camera=(150, 300), order="bgr")
        round_all(few_steps(), two_cameras, root, [clip], options, frames=len(clip))

    folder = once(tmp_path_factory, "two_rounded", make)
    return {name: folder / name for name in LAYERS}


@pytest.fixture(scope="session")
def two_cameras_int8(two_cameras_rounded: dict[str, Path]) -> Path:
    """Return the network of `two_cameras`, exported in INT8."""
    return two_cameras_rounded["int8"]


@pytest.fixture(scope="session")
def rounded_static(
    random_net: PCAN, exported: Path, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Path]:
    """Return the folders with the exported small network in 8 bits, by precision."""
    pytest.importorskip("modelopt", reason="ModelOpt is not installed: make env")
    from support.rounded import BlockClip, round_all

    from pcan_model.export.quantise import LAYERS

    def make(root: Path) -> None:
        round_all(random_net, exported, root, [BlockClip(4, seed) for seed in (11, 12)], frames=4)

    folder = once(tmp_path_factory, "rounded", make)
    return {name: folder / name for name in LAYERS}


@pytest.fixture(scope="session")
def released_net() -> ReleasedPCAN:
    """Return a small network of the released variant for images of one size."""
    pytest.importorskip("torch")
    from support.released import fixed_released

    return fixed_released()


@pytest.fixture(scope="session")
def released(released_net: ReleasedPCAN, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder with it exported; `released_net` has the same rounded weights."""
    from pcan_model.export.model_folder import export
    from pcan_model.export.options import ExportOptions
    from pcan_model.inference.manifest import WEIGHTS
    from pcan_model.model.checkpoint import load_weights

    options = ExportOptions(roi="gridsample")
    folder = once(tmp_path_factory, "released", lambda root: export(released_net, root / "model", options))
    load_weights(folder / "model" / WEIGHTS, released_net)
    return folder / "model"
