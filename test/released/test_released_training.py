"""`pcan-train` runs the released stages one after the other."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from support.released import small_batch, small_released_config

from pcan_model.core.train_config import TrainConfig
from pcan_model.data.augment import FLIP
from pcan_model.data.pairs import PairDataset
from pcan_model.factory import make_net, make_training
from pcan_model.model import checkpoint
from pcan_model.synthetic.drive import SyntheticDrive
from pcan_model.training.trainer import Trainer


def trainer(stage: str) -> Trainer:
    torch.manual_seed(0)
    config = small_released_config(train={"stage": stage, "average": 0.0, "learning_rate": 0.001})
    return Trainer(*make_training(config), torch.device("cpu"), 2)


@pytest.mark.parametrize("stage", ["detector", "masks", "refinement"])
def test_a_stage_starts_from_the_last_ones_weights_and_leaves_the_rest(stage: str, tmp_path: Path) -> None:
    net = make_net(small_released_config())
    checkpoint.save(tmp_path / "last.safetensors", net, net.config, {})
    here = trainer(stage)
    here.begin_with(tmp_path / "last.safetensors")
    before = {name: value.clone() for name, value in here.net.state_dict().items()}
    assert all(torch.equal(value, net.state_dict()[name]) for name, value in before.items())
    here.update(small_batch())
    here.save(tmp_path / "out")
    after = make_net(small_released_config())
    checkpoint.load_weights(tmp_path / "out" / "weights.safetensors", after)
    moved = {name.split(".")[0] for name, v in after.state_dict().items() if not torch.equal(v, before[name])}
    parts = {"masks": {"mask_head"}, "refinement": {"refine"}}
    whole = {"backbone", "pyramid", "proposals", "box_head", "embedding_head"}
    assert moved and moved <= parts.get(stage, whole)


def test_pairs_are_mirrored_together_and_nothing_else() -> None:
    clip = SyntheticDrive(1, 4, 64, 96)
    pairs = PairDataset([clip], height=64, width=96, seed=0, augment=FLIP, length=12)
    whole = [clip.frame(i).image for i in range(len(clip))]
    flips = []
    for i in range(len(pairs)):
        same = [any(np.array_equal(s.image, w) for w in whole) for s in pairs[i]]
        turned = [any(np.array_equal(s.image, w[:, ::-1]) for w in whole) for s in pairs[i]]
        assert all(same) or all(turned), f"pair {i} is neither as it was nor mirrored"
        flips.append(all(turned))
    assert set(flips) == {False, True}
    assert TrainConfig().augment == "strong"
