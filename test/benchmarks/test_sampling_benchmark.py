"""The benchmark of samples: what it compares differs in nothing else, and what is absent is said."""

from __future__ import annotations

import re
from pathlib import Path

import torch
from support.released import fixed_released
from support.small import blocks

from benchmarks.sampling_ratio import differences, released_form, sampling
from pcan_model.model.roi_pooling import pool_by_level


def test_networks_differ_in_their_samples_only() -> None:
    config = fixed_released().config
    assert sampling(config, 0).heads.cell_samples == 0
    assert sampling(sampling(config, 0), 2) == config


def test_a_cell_of_one_pixel_is_read_by_one_sample_in_its_middle_or_four_around_it() -> None:
    level = torch.arange(64.0).reshape(1, 1, 8, 8)
    box, pixels = torch.tensor([[4.0, 4.0, 20.0, 20.0]]), torch.zeros(1)
    once, twice = (pool_by_level([level], box, pixels, 4, samples=n) for n in (0, 2))
    torch.testing.assert_close(once, twice)  # of what is linear both are the middle


def test_differences_of_both_kinds_of_regions_are_told() -> None:
    lines = list(differences(fixed_released(), blocks(114, 190)[0].numpy()))
    assert [re.sub(r"[\d.]+%", "%", line) for line in lines] == [
        f"  40 regions of {cells} x {cells}: % apart, the worst %" for cells in (7, 14)
    ]


def test_a_clip_that_is_not_there_is_left_out_with_a_word(tmp_path: Path) -> None:
    assert list(released_form(tmp_path))[1] == f"  left out: no {tmp_path / 'parity' / 'gen_clip.py'}"
