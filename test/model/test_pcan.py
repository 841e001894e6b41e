"""The two passes of a frame: static shapes, memory, and what stays apart."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from support.small import HEIGHT, WIDTH, blocks, small_config, small_net
from torch import Tensor

from pcan_model.inference.torch_engine import empty_memory
from pcan_model.model.pass_signature import static
from pcan_model.model.passes import FramePass, InstancePass
from pcan_model.model.pcan import PCAN

D, M, T, N = 12, 16, 3, 8  # detections, tracks, memory frames, prototypes of the small configuration


@pytest.fixture(scope="module")
def net() -> PCAN:
    return small_net()


def pixels(seed: int = 0) -> Tensor:
    return blocks(HEIGHT, WIDTH, seed)


def memory(net: PCAN) -> tuple[Tensor, Tensor, Tensor]:
    keys, values, valid = empty_memory(static(net)).frames
    return keys, values, valid


@torch.inference_mode()
def look(net: PCAN, image: Tensor, past: tuple[Tensor, ...]) -> Any:
    return FramePass(net).eval()(image, *past)


def test_every_shape_is_fixed_by_the_configuration(net: PCAN) -> None:
    boxes, scores, labels, embeds, features, masks, settled, keys, values, valid = look(
        net, pixels(), memory(net)
    )
    assert boxes.shape == (D, 4) and scores.shape == (D,) and labels.shape == (D,)
    assert embeds.shape == (D, 16) and features.shape == (D, 16, 14, 14) and masks.shape == (D, 28, 28)
    assert settled.shape == () and settled.dtype == torch.bool
    assert keys.shape == (3, T, N, 8) and values.shape == (3, T, N, 16) and valid.shape == (T,)


@pytest.mark.parametrize("class_agnostic", [False, True])
def test_scores_fall_and_padding_is_zero(class_agnostic: bool) -> None:
    net = small_net(small_config(heads={"class_agnostic": class_agnostic, "score_threshold": 0.65}))
    boxes, scores, labels, *_ = look(net, pixels(), memory(net))
    assert scores.tolist() == sorted(scores.tolist(), reverse=True)
    assert 0 < (scores > 0).sum() < D and not ((scores > 0) & (scores <= 0.65)).any()
    assert ((labels >= 0) & (labels < 8)).all()
    assert (boxes[:, 2:] >= boxes[:, :2]).all() and boxes.max() <= WIDTH


def test_the_same_input_gives_the_same_output(net: PCAN) -> None:
    for a, b in zip(look(net, pixels(), memory(net)), look(net, pixels(), memory(net)), strict=True):
        assert torch.equal(a, b)


def test_the_memory_advances_newest_first(net: PCAN) -> None:
    past = memory(net)
    seen = []
    for step in range(4):
        past = look(net, pixels(step), past)[-3:]
        seen.append(past)
        assert past[2].tolist() == [float(i <= step) for i in range(T)]
    torch.testing.assert_close(seen[3][0][:, 1:], seen[2][0][:, :2])
    torch.testing.assert_close(seen[3][1][:, 1:], seen[2][1][:, :2])
    assert not torch.equal(seen[3][0][:, 0], seen[2][0][:, 0])


def test_what_was_seen_changes_what_is_found(net: PCAN) -> None:
    after_one = look(net, pixels(1), memory(net))[-3:]
    after_other = look(net, pixels(2), memory(net))[-3:]
    a, b = (look(net, pixels(), past)[4] for past in (after_one, after_other))
    assert (a - b).abs().max() > 1e-3


def test_frames_that_are_not_valid_are_not_read(net: PCAN) -> None:
    keys, values, valid = memory(net)
    clean = look(net, pixels(), (keys, values, valid))
    dirty = look(net, pixels(), (torch.randn_like(keys), torch.randn_like(values), valid))
    for a, b in zip(clean[:7], dirty[:7], strict=True):
        assert torch.equal(a, b)


def test_prototypes_start_from_those_of_the_previous_frame(net: PCAN) -> None:
    """Prototype j keeps looking at the same part: a still image hardly moves it, and never renames it."""
    past = look(net, pixels(), memory(net))[-3:]
    keys = look(net, pixels(), past)[-3]
    similarity = keys[:, 0] @ keys[:, 1].mT  # (L, N, N) now by before
    own = similarity.diagonal(dim1=1, dim2=2)
    assert (own >= similarity.max(-1).values - 0.05).all()


@pytest.mark.parametrize("kind", ["non_local", "transformer"])
def test_the_baselines_remember_and_read_through_the_same_pass(kind: str) -> None:
    net = small_net(small_config(frame_attention={"kind": kind, "levels": (4, 5), "memory_frames": 2}))
    positions = HEIGHT // 16 * (WIDTH // 16)  # of P4; P5 uses a quarter of the rows
    empty = memory(net)
    first, second = look(net, pixels(1), empty), look(net, pixels(2), empty)
    assert first[-3].shape[:3] == (2, 2, positions) == first[-2].shape[:3]
    assert not first[-2][1, 0, positions // 4 :].any() and first[-2][1, 0, : positions // 4].any()
    a, b = (look(net, pixels(), past[-3:])[4] for past in (first, second))
    assert (a - b).abs().max() > 1e-3


def instance_inputs(net: PCAN, seed: int = 0) -> dict[str, Tensor]:
    g = torch.Generator().manual_seed(seed)
    features = torch.randn(D, 16, 14, 14, generator=g)
    masks, bank = torch.randn(D, 28, 28, generator=g), torch.randn(M, 9, 8, generator=g)
    fresh, has = torch.zeros(D), torch.zeros(M)
    return {
        "features": features,
        "masks": masks,
        "bank": bank,
        "slot": torch.arange(D),
        "fresh": fresh,
        "owner": torch.zeros(M).long(),
        "has": has,
    }


@torch.inference_mode()
def refine(net: PCAN, inputs: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
    refined, bank = InstancePass(net).eval()(*inputs.values())
    return refined, bank


def test_rows_without_owner_are_unchanged(net: PCAN) -> None:
    inputs = instance_inputs(net)
    inputs["has"][5] = 1
    inputs["owner"][5] = 3
    refined, bank = refine(net, inputs)
    assert refined.shape == (D, 28, 28)
    others = [row for row in range(M) if row != 5]
    assert torch.equal(bank[others], inputs["bank"][others])
    assert not torch.equal(bank[5], inputs["bank"][5])


def test_a_track_reads_its_own_row_and_writes_it_back(net: PCAN) -> None:
    inputs = instance_inputs(net)
    inputs["slot"][3] = 5
    inputs["owner"][5], inputs["has"][5] = 3, 1
    refined, bank = refine(net, inputs)
    net_part = net.instance_attention
    with torch.inference_mode():
        alone, following = net_part(
            inputs["features"][3:4], inputs["masks"][3:4], inputs["bank"][5:6], torch.zeros(1)
        )
    torch.testing.assert_close((refined[3], bank[5]), (alone[0], following[0]))


def test_other_detections_do_not_matter(net: PCAN) -> None:
    inputs, other = instance_inputs(net), instance_inputs(net, seed=1)
    one = refine(net, inputs)[0]
    for name in ("features", "masks"):
        inputs[name][1:] = other[name][1:]
    torch.testing.assert_close(refine(net, inputs)[0][0], one[0])


@pytest.mark.parametrize("kind", ["mobilenet_v2", "resnet50"])
def test_its_parts_can_be_left_small_or_paper_sized(kind: str) -> None:
    net = PCAN(small_config(backbone={"kind": kind}, frame_attention={"levels": (4,)}))
    assert len(net.frame_attention) == 1 and [level for level, _ in net.attended()] == [2]


def test_without_frame_attention_the_past_changes_nothing() -> None:
    net = small_net(small_config(frame_attention={"enabled": False}))
    keys, values, valid = memory(net)
    past = torch.randn_like(keys), torch.randn_like(values), torch.ones_like(valid)
    alone, after = look(net, pixels(), (keys, values, valid)), look(net, pixels(), past)
    assert all(torch.equal(a, b) for a, b in zip(alone[:7], after[:7], strict=True))


def test_without_instance_attention_the_initial_masks_are_final() -> None:
    net = small_net(small_config(instance_attention={"enabled": False}))
    inputs = instance_inputs(net)
    count = len(inputs["masks"])
    inputs["slot"] = inputs["owner"][:count] = torch.arange(count)  # detection i continues track i
    inputs["has"][:count] = 1
    refined, bank = refine(net, inputs)
    assert torch.equal(refined, inputs["masks"]) and torch.equal(bank, inputs["bank"])
