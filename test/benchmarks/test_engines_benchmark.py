"""The benchmark of engines: what is compared, and a random network with a street's worth of objects."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import torch
from support.small import small_config

from benchmarks.beside import cells, suppress
from benchmarks.cost import Cost, least, timed
from benchmarks.engines import images
from benchmarks.profile_graph import by_operator
from benchmarks.random_model import IMAGE, noise, random_net
from pcan_model.inference.torch_engine import empty_memory
from pcan_model.model.pass_signature import sparse


def test_a_random_network_finds_as_many_objects_in_its_noise_as_asked() -> None:
    net = random_net(small_config(), objects=5)
    signature = sparse(net)
    with torch.inference_mode():
        scores = signature.frame(noise(net.config), *empty_memory(signature).frames)[1]
    assert (scores > 0).sum() == 5
    assert net.config.tracker.init_score < scores[4]


def test_of_disturbed_times_the_least_count() -> None:
    assert least([Cost(3, 2), Cost(5, 1)]) == Cost(3, 1)
    assert str(Cost(0.0314, 0.0271)) == "27 | 31"


def test_only_work_of_this_process_is_cpu_time() -> None:
    result, cost = timed(lambda: sum(range(1000)))
    assert result == 499500 and cost.cpu >= 0 and cost.wall > 0


def test_a_random_models_own_image_is_shown_in_the_cameras_shape(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / IMAGE), np.full((384, 640, 3), 90, np.uint8))
    one, two = images(tmp_path, 2)
    pixels = cv2.imdecode(one, cv2.IMREAD_COLOR)
    assert pixels.shape == (720, 1280, 3) and abs(int(pixels.mean()) - 90) <= 1
    assert np.array_equal(one, two)


def test_of_yolox_overlapping_boxes_of_a_class_count_once() -> None:
    at = cells(64, 64)
    rows = np.zeros((len(at), 7), np.float32)
    for row, label in ((0, 0), (1, 0), (2, 1), (40, 0)):  # the first three are on neighbouring cells
        rows[row, 2:5], rows[row, 5 + label] = (2, 2, 0.9), 0.9
    assert len(at) == 64 + 16 + 4
    assert sorted(np.ravel(suppress(rows, at))) == [0, 2, 40]


def test_of_an_interrupted_operator_the_undisturbed_runs_count() -> None:
    events = [
        {"cat": "Node", "name": f"{name}_kernel_time", "dur": 1e3 * ms, "args": {"op_name": kind}}
        for name, kind, times in (("a", "Conv", (2, 2, 2, 90)), ("b", "Conv", (1,)), ("c", "Add", (3,)))
        for ms in times
    ]
    assert by_operator([{"cat": "Session", "name": "run", "dur": 1}, *events]) == {
        "Conv": [2.0, 1.0],
        "Add": [3.0],
    }
