"""The figures of what is read from the memory, against cases with known answers."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from benchmarks.memory_reading import figures
from pcan_model.core.config import FrameAttentionConfig
from pcan_model.model.frame_attention.prototypical import PrototypicalAttention

CHANNELS, HEIGHT, WIDTH = 6, 4, 5


@pytest.fixture
def module() -> PrototypicalAttention:
    torch.manual_seed(0)
    own = PrototypicalAttention(
        CHANNELS,
        FrameAttentionConfig(prototypes=HEIGHT * WIDTH, key_channels=8, value_channels=6, em_steps=1),
    )
    torch.nn.init.normal_(own.fuse.weight)
    return own.eval()


@torch.no_grad()
def measured(module: PrototypicalAttention, memory_values: Tensor | None = None) -> dict[str, float]:
    """Return the figures of an image whose memory is one frame: itself, position by position."""
    x = torch.randn(1, CHANNELS, HEIGHT, WIDTH)
    keys, values = module.encode(x)
    past = values if memory_values is None else memory_values
    inputs = keys, values, keys[:, None], past[:, None], torch.ones(1, 1)
    found = figures(module, x, module(x, *inputs), *inputs)
    return dict(zip(("past", "entropy", "copy", "change"), found, strict=True))


def test_a_memory_that_is_the_frame_itself_is_copied_and_changes_nothing(
    module: PrototypicalAttention,
) -> None:
    module.sigma2 = 1e-4
    found = measured(module)
    assert found["past"] == pytest.approx(0.5, abs=1e-3), "both values are as similar"
    assert found["entropy"] < 0.01 and found["copy"] > 0.999 and found["change"] < 1e-3


def test_prototypes_that_are_read_alike_are_a_mean_without_places(module: PrototypicalAttention) -> None:
    module.sigma2 = 1e6
    found = measured(module)
    assert found["entropy"] == pytest.approx(1.0, abs=1e-4)
    assert found["copy"] == pytest.approx(0.0, abs=1e-4), "the mean explains none of the variance"


def test_the_weight_of_the_past_follows_equation_7(module: PrototypicalAttention) -> None:
    module.scale.data.fill_(0.0)
    assert measured(module)["past"] == pytest.approx(0.5)
    module.scale.data.fill_(50.0)
    nothing = torch.zeros(1, HEIGHT * WIDTH, 6)
    assert measured(module, nothing)["past"] < 0.1, "a value is more similar to itself than to zero"


def test_without_weights_for_what_is_read_the_memory_changes_nothing(module: PrototypicalAttention) -> None:
    module.fuse.weight.data[:, :6] = 0  # of the reading; the others are of the frame's own values
    assert measured(module, torch.randn(1, HEIGHT * WIDTH, 6))["change"] == pytest.approx(0.0, abs=1e-6)
