"""The two halves of training on a frozen pyramid: what learns, on what, and how one row stands for itself."""

from __future__ import annotations

from dataclasses import fields

import pytest
import torch
from support.small import small_batch, small_config, small_net, small_truth

from pcan_model.core.config import ConfigError
from pcan_model.factory import make_net, make_pass
from pcan_model.model.pcan import PCAN
from pcan_model.training.stages import STAGES, InstanceStage
from pcan_model.training.training_pass import TrainingPass

PARTS = {
    "heads": {"frame_attention", "proposals", "box_head", "mask_head", "embedding_head"},
    "instance": {"instance_attention"},
}


def staged(stage: str) -> tuple[PCAN, TrainingPass]:
    net = small_net(small_config(train={"stage": stage, "rpn_samples": 10**6}))
    made = make_pass(net)
    assert isinstance(made, STAGES[stage])
    return net, made.train()


@pytest.mark.parametrize("stage", list(PARTS))
def test_a_stage_gives_gradients_to_all_of_its_parts_and_to_nothing_else(stage: str) -> None:
    net, made = staged(stage)
    batch = small_batch()
    made(batch.images, batch.targets).total().backward()
    learnt = {name for name, p in net.named_parameters() if p.grad is not None and p.grad.abs().sum() > 0}
    assert learnt == {name for name, _ in net.named_parameters() if name.split(".")[0] in PARTS[stage]}


@pytest.mark.parametrize("stage", list(PARTS))
def test_images_without_objects_leave_every_loss_finite(stage: str) -> None:
    net, made = staged(stage)
    batch = small_batch(objects=0)
    losses = made(batch.images, batch.targets)
    losses.total().backward()
    assert all(torch.isfinite(getattr(losses, f.name)) for f in fields(losses))
    assert float(losses.masks.detach()) == float(losses.refined.detach()) == 0
    unused = [n for n, p in net.named_parameters() if p.requires_grad and p.grad is None]
    assert unused == []  # also for DistributedDataParallel every part takes part


def test_the_instance_stage_learns_from_the_joint_trainings_loss() -> None:
    """On the same regions both halves say what the joint pass says of its final masks."""
    net, made = staged("instance")
    assert isinstance(made, InstanceStage)
    batch = small_batch()
    torch.manual_seed(0)
    shown = made.look(batch.images, batch.targets)
    torch.manual_seed(0)
    assert torch.equal(made.judge(shown).refined, made(batch.images, batch.targets).refined)
    assert torch.equal(made.judge(shown).refined, TrainingPass(net)._refined_loss(shown))
    assert shown.features.requires_grad is False and len(shown) > 0


def test_what_the_instance_module_is_shown_does_not_depend_on_it() -> None:
    _, made = staged("instance")
    other, passed = staged("instance")
    for parameter in other.instance_attention.parameters():
        torch.nn.init.normal_(parameter)
    assert isinstance(made, InstanceStage) and isinstance(passed, InstanceStage)
    seen = []
    for stage in (made, passed):
        torch.manual_seed(0)
        batch = small_batch()
        seen.append(stage.look(batch.images, batch.targets))
    for field in ("features", "initial", "target", "image_index", "ids"):
        assert torch.equal(getattr(seen[0], field), getattr(seen[1], field)), field


def test_a_reference_without_objects_is_no_reference() -> None:
    _, made = staged("instance")
    assert isinstance(made, InstanceStage)
    batch = small_batch(pairs=1)
    batch.targets[1] = small_truth(0)
    shown = made.look(batch.images, batch.targets)
    assert set(shown.image_index.tolist()) == {0}
    assert torch.isfinite(made.judge(shown).refined)


def test_a_stage_of_the_other_form_is_refused() -> None:
    with pytest.raises(
        ConfigError, match="expected joint or heads or instance for detector mask_rcnn, got 'masks'"
    ):
        make_pass(make_net(small_config(train={"stage": "masks"})))
