from __future__ import annotations

import numpy as np
import pytest

from pcan_model.core.package_files import default_model
from pcan_model.core.structures import Frame
from pcan_model.inference.backends import EngineOptions
from pcan_model.inference.errors import ModelError
from pcan_model.inference.size_engines import open_all
from pcan_model.synthetic.drive import SyntheticDrive
from pcan_model.tracking.input_size_choice import resized
from pcan_model.tracking.tracker import Tracker


def test_tracks_keep_their_identity_and_place_at_another_input_size() -> None:
    options = EngineOptions("onnxruntime", size="auto", threads=1)
    smallest, larger = open_all(default_model(), options, 1)
    small, middle, large = (Tracker(engine) for engine in (smallest.engine, *larger))
    sizes = [each.engine.config.input.height for each in (small, middle, large)]
    drive, state = SyntheticDrive(9001, 4, 384, 640, rate=30.0), small.start()
    boxes, last = list[dict[int, np.ndarray]](), None
    for index, tracker in enumerate((small, small, middle, large)):
        ready = tracker.prepare(Frame(drive.read(index).image, index / 30))
        if last is not None:
            state = resized(state, last, ready.letterbox)
        state, tracks = tracker.step(state, ready)
        last = ready.letterbox
        boxes.append({each.track_id: each.box for each in tracks.found()})

    assert sizes == [384, 576, 736] and "384x640, 576x1024, 736x1280" in smallest.reason
    kept = boxes[1].keys() & boxes[2].keys() & boxes[3].keys()
    assert len(kept) >= 0.6 * len(boxes[1]) > 2
    for each in kept:
        assert boxes[3][each] == pytest.approx(boxes[1][each], abs=25)


def test_a_size_that_the_budget_chooses_is_not_for_tensorrt() -> None:
    with pytest.raises(ModelError, match="expected one of the model's with TensorRT, got auto"):
        open_all(default_model(), EngineOptions("tensorrt", size="auto"), 1)
