"""Frame-level attention of one pyramid level: what all kinds hold to, then each kind's own claims."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from pcan_model.core.config import Config, FrameAttentionConfig, InputConfig
from pcan_model.model.frame_attention.base import FrameAttention
from pcan_model.model.frame_attention.factory import KINDS, make_frame_attention, memory_shapes
from pcan_model.model.frame_attention.non_local import attend
from pcan_model.model.frame_attention.prototypical import PrototypicalAttention
from pcan_model.model.frame_attention.transformer import sine_encoding

CONFIG = FrameAttentionConfig(memory_frames=2, prototypes=6, key_channels=8, value_channels=12, heads=3)


def made(kind: str) -> FrameAttention:
    torch.manual_seed(0)
    return make_frame_attention(16, replace(CONFIG, kind=kind)).eval()


def woken(kind: str) -> FrameAttention:
    module = made(kind)
    nn.init.normal_(module.fuse.weight, std=0.3)
    return module


@pytest.fixture(params=sorted(KINDS))
def module(request: pytest.FixtureRequest) -> FrameAttention:
    return made(request.param)


@pytest.fixture(params=sorted(KINDS))
def awake(request: pytest.FixtureRequest) -> FrameAttention:
    return woken(request.param)


@pytest.fixture
def prototypical() -> PrototypicalAttention:
    module = made("prototypical")
    assert isinstance(module, PrototypicalAttention)
    return module


def fused(module: FrameAttention, now: Tensor, *past: Tensor, valid: list[float] | None = None) -> Tensor:
    """Fuse an image's features with those of past ones."""
    memory = [module.remember(x) for x in past]
    keys, values = (torch.stack([m[i] for m in memory], 1) for i in range(2))
    flags = torch.tensor([valid or [1.0] * len(past)]).expand(len(now), -1)
    return module(now, *module.encode(now), keys, values, flags)


def features(seed: int) -> Tensor:
    return torch.randn(2, 16, 5, 7, generator=torch.Generator().manual_seed(seed))


def test_it_starts_as_identity(module: FrameAttention) -> None:
    assert torch.equal(fused(module, features(0), features(1), features(2)), features(0))


def test_once_fused_the_memory_changes_the_output(awake: FrameAttention) -> None:
    one = fused(awake, features(0), features(1), features(1))
    other = fused(awake, features(0), features(2), features(2))
    assert (one - other).abs().max() > 1e-3


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_a_frame_that_reads_nothing_leaves_what_any_other_does(kind: str) -> None:
    """Also of components that no position belongs to, 64 of them on 35 positions; and so the gradients."""
    module = make_frame_attention(16, replace(CONFIG, kind=kind, prototypes=64))
    shown = features(0).requires_grad_()
    left: list[list[Tensor]] = []
    for keys, values in (module.remember(shown), module.condense(*module.encode(shown))):
        module.zero_grad()
        shown.grad = None
        (keys.square().sum() + (values * values.detach().cos()).sum()).backward()
        grads = [p.grad.clone() for p in module.parameters() if p.grad is not None]
        assert shown.grad is not None
        left.append([keys, values, shown.grad.clone(), *grads])
    torch.testing.assert_close(left[0], left[1], atol=2e-5, rtol=2e-5)


def test_a_memory_that_is_not_valid_is_not_read(awake: FrameAttention) -> None:
    with_both = fused(awake, features(0), features(1), features(2), valid=[1.0, 0.0])
    other = fused(awake, features(0), features(1), 100 * features(3), valid=[1.0, 0.0])
    torch.testing.assert_close(with_both, other)


def test_without_any_valid_memory_nothing_of_it_is_read(awake: FrameAttention) -> None:
    one = fused(awake, features(0), features(1), valid=[0.0])
    torch.testing.assert_close(one, fused(awake, features(0), 100 * features(2), valid=[0.0]))


def test_what_a_frame_leaves_has_the_shape_that_the_memory_expects(module: FrameAttention) -> None:
    kind = next(name for name, kind in KINDS.items() if type(module) is kind)
    config = Config(
        input=InputConfig(height=64, width=96), frame_attention=replace(CONFIG, kind=kind, levels=(3, 4))
    )
    finest = torch.randn(1, 16, 8, 12)
    keys, values = module.condense(*module.encode(finest))
    assert memory_shapes(config) == ((2, 2, *keys.shape[1:]), (2, 2, *values.shape[1:]))


@pytest.mark.parametrize("kind", ["prototypical", "non_local"])
def test_the_order_of_memory_frames_does_not_matter(kind: str) -> None:
    awake = woken(kind)
    one = fused(awake, features(0), features(1), features(2))
    torch.testing.assert_close(one, fused(awake, features(0), features(2), features(1)))


def test_a_transformer_knows_how_old_a_memory_frame_is() -> None:
    awake = woken("transformer")
    one = fused(awake, features(0), features(1), features(2))
    assert (one - fused(awake, features(0), features(2), features(1))).abs().max() > 1e-3


def test_non_local_reading_is_eq_1_in_a_loop() -> None:
    g = torch.Generator().manual_seed(0)
    queries, keys = torch.randn(1, 3, 4, generator=g), torch.randn(1, 3, 5, 4, generator=g)
    values, valid = torch.randn(1, 3, 5, 2, generator=g), torch.tensor([[1.0, 0.0, 1.0]])
    expected = torch.zeros(3, 2)
    for i in range(3):
        places = [(t, j) for t in (0, 2) for j in range(5)]
        raised = [float(torch.exp(queries[0, i] @ keys[0, t, j] / 2)) for t, j in places]  # sqrt(4)
        for (t, j), weight in zip(places, raised, strict=True):
            expected[i] += values[0, t, j] * weight / sum(raised)
    torch.testing.assert_close(attend(queries, keys, values, valid)[0], expected)


def test_a_transformer_is_one_self_attention_over_the_tokens_of_the_tube() -> None:
    """The tube as one sequence through torch's own encoder layer, of the same weights."""
    module = made("transformer")
    own = module.layers[0]  # type: ignore[index, union-attr]
    theirs = nn.TransformerEncoderLayer(12, 3, 96, dropout=0.0, batch_first=True).eval()
    theirs.self_attn.load_state_dict(own.attention.state_dict())
    for mine, layer in ((own.hidden, theirs.linear1), (own.out, theirs.linear2)):
        layer.load_state_dict(mine.state_dict())
    tokens = torch.randn(2, 30, 12, generator=torch.Generator().manual_seed(0))

    ours = own(tokens, torch.zeros(12), torch.zeros(2, 30))

    torch.testing.assert_close(ours, theirs(tokens), atol=1e-5, rtol=1e-4)


def test_positions_are_told_apart_by_row_column_and_frame() -> None:
    corners = torch.tensor([[0.0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1]])
    waves = sine_encoding(corners, 13)
    assert waves.shape == (4, 13)
    assert torch.cdist(waves, waves).fill_diagonal_(1).min() > 1e-3


def test_prototypes_follow_the_permutation_of_their_start(prototypical: PrototypicalAttention) -> None:
    module = prototypical
    keys, values = module.encode(features(0))
    order = torch.tensor([4, 2, 0, 5, 1, 3])
    start = module.mu.expand(2, -1, -1)
    mu, v_mu = module.condense(keys, values, start)
    shuffled = module.condense(keys, values, start[:, order])
    torch.testing.assert_close(shuffled, (mu[:, order], v_mu[:, order]))


def test_prototypes_do_not_depend_on_where_things_are(prototypical: PrototypicalAttention) -> None:
    module = prototypical
    keys, values = module.encode(features(0))
    mirrored = module.encode(features(0).flip(-1))
    torch.testing.assert_close(module.condense(*mirrored), module.condense(keys, values))


def test_images_of_a_batch_do_not_mix(awake: FrameAttention) -> None:
    whole = fused(awake, features(0), features(1))
    alone = fused(awake, features(0)[1:], features(1)[1:])
    torch.testing.assert_close(whole[1:], alone)


def test_every_part_learns(awake: FrameAttention) -> None:
    fused(awake, features(0), features(1)).square().sum().backward()
    still = [n for n, p in awake.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0]
    assert still == []


def test_a_fresh_module_learns_to_fuse_first(module: FrameAttention) -> None:
    fused(module, features(0), features(1)).square().sum().backward()
    assert module.fuse.weight.grad is not None and module.fuse.weight.grad.abs().sum() > 0
