"""Work on a Ray cluster of two nodes on this machine: the results are those of one process."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support import fleet
from support.squares import export_squares, pixels

from pcan_model.cli import data, evaluate
from pcan_model.core import workers
from pcan_model.core.workers import WorkerError, WorkerOptions
from pcan_model.data.clips import LabeledFrame
from pcan_model.data.datasets.scalabel import write_clip

ray = pytest.importorskip("ray", reason="Ray is not installed: requirements/fleet.txt")
CAR = 2
ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def cluster() -> Iterator[WorkerOptions]:
    """Start a cluster of two nodes with a core each, in which this process is the driver."""
    from ray.cluster_utils import Cluster

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        patch.setenv("PYTHONPATH", str(ROOT / "test"), prepend=":")
        nodes = Cluster(initialize_head=True, head_node_args={"num_cpus": 1})
        nodes.add_node(num_cpus=1)
        ray.init(nodes.address, log_to_driver=False)
        yield WorkerOptions(ray=nodes.address)
        ray.shutdown()
        nodes.shutdown()


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return export_squares(tmp_path_factory.mktemp("squares"))


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three clips of a car that drives at different speeds."""
    root = tmp_path_factory.mktemp("clips")
    for speed in (1, 2, 3):
        write_clip(root, f"speed{speed}", (car_at(5 + speed * t) for t in range(4)), quality=100)
    return root


def car_at(x: int) -> LabeledFrame:
    image = pixels({CAR: (x, 10)})
    mask = np.zeros((1, *image.shape[:2]), bool)
    mask[0, 10:26, x : x + 16] = True
    one = np.array([CAR], np.int64)
    return LabeledFrame(image, mask, one, one, np.zeros_like(mask[0]))


def test_both_nodes_work(cluster: WorkerOptions) -> None:
    done = dict(cluster.each(fleet.node_of, range(6)))
    assert sorted(done) == list(range(6)) and len(set(done.values())) == 2


def test_an_item_is_repeated_after_its_worker_was_killed(cluster: WorkerOptions, tmp_path: Path) -> None:
    done = dict(cluster.each(partial(fleet.die_once, tmp_path), range(3)))
    assert (tmp_path / "died").exists() and done == {0: 0, 1: 2, 2: 4}


def test_an_item_that_kills_every_worker_ends_the_work(
    cluster: WorkerOptions, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workers, "RETRIES", 0)
    with pytest.raises(WorkerError, match="Ray: "):
        list(cluster.each(fleet.die, [1]))


def test_an_error_is_raised_as_in_one_process(cluster: WorkerOptions) -> None:
    with pytest.raises(ValueError, match="expected a small number, got 3"):
        list(cluster.each(fleet.double_small, range(4)))


def test_an_evaluation_gives_the_same_figures(
    cluster: WorkerOptions, model: Path, clips: Path, tmp_path: Path
) -> None:
    base = [str(model), "--engine", "onnx", "--data", str(clips), "--out"]
    assert evaluate.main([*base, str(tmp_path / "one")]) == 0
    assert evaluate.main([*base, str(tmp_path / "ray"), "--ray", cluster.ray]) == 0
    one, ray = (json.loads((tmp_path / out / "report.json").read_text()) for out in ("one", "ray"))
    for report in (one, ray):
        del report["provenance"], report["speed"]
    assert one == ray and one["mean"]["hota"] > 0.5


def test_a_ranking_is_the_same(cluster: WorkerOptions, model: Path, clips: Path, tmp_path: Path) -> None:
    base = ["rank", str(clips), "--model", str(model), "--threads", "1", "--count", "2"]
    assert data.main([*base, "--out", str(tmp_path / "one.json")]) == 0
    assert data.main([*base, "--out", str(tmp_path / "ray.json"), "--ray", cluster.ray]) == 0
    assert (tmp_path / "one.json").read_text() == (tmp_path / "ray.json").read_text()


def test_labelled_bags_are_the_same(cluster: WorkerOptions, model: Path, tmp_path: Path) -> None:
    pytest.importorskip("rclpy")
    from support.bags import drive, write_bag

    from pcan_model.data.bags.reading import Bag
    from pcan_ros.bag.command import main

    bags = [str(write_bag(tmp_path / f"bag{k}", drive(k + i / 10 for i in range(1, 5)))) for k in (1, 2)]
    base = ["label", *bags, "--model", str(model), "--threads", "1", "--no-images", "--out"]
    assert main([*base, str(tmp_path / "one")]) == 0
    assert main([*base, str(tmp_path / "ray"), "--ray", cluster.ray]) == 0

    def boxes(path: Path) -> list[Any]:
        with Bag(path) as bag:
            types, tracks = bag.types(), bag.messages(["/pcan_tracker/tracks"])
            messages = [types.deserialize_cdr(m.raw, m.connection.msgtype) for m in tracks]
        return [[(i.track_id, i.x, i.y, bytes(i.mask.data)) for i in m.instances] for m in messages]

    for bag in ("bag1", "bag2"):
        assert boxes(tmp_path / "one" / bag) == boxes(tmp_path / "ray" / bag)
        assert len(boxes(tmp_path / "one" / bag)) == 4


def test_a_cluster_that_cannot_be_reached_is_one_error() -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ray, "is_initialized", lambda: False)
        with pytest.raises(
            WorkerError, match=r"^--ray 127.0.0.1:1: expected a cluster that can be reached: "
        ):
            list(WorkerOptions(ray="127.0.0.1:1").each(fleet.double, [1]))
