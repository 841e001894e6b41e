"""Training one-stage PCAN: what each stage teaches, which cells answer for which object, and the losses."""

from __future__ import annotations

from dataclasses import fields, replace

import pytest
import torch
from support.one_stage import one_stage_config, one_stage_net
from support.small import HEIGHT, WIDTH, small_batch, small_net
from torch import Tensor

from pcan_model.core.config import ConfigError
from pcan_model.factory import make_pass
from pcan_model.one_stage.cells import Cells, decode_cells, grid
from pcan_model.one_stage.pcan import YoloxPCAN
from pcan_model.one_stage.yolox import STRIDES
from pcan_model.training.one_stage.assignment import assign_cells
from pcan_model.training.one_stage.detection_losses import detection_losses, new_class_loss, paired_overlap
from pcan_model.training.one_stage.stages import STAGES, jitter, proposed
from pcan_model.training.targets import BACKGROUND, UNUSED, GroundTruth
from pcan_model.training.trainer import make_optimizer
from pcan_model.training.training_pass import TrainingPass

REGIONS = {"lateral", "mask_head", "embedding_head", "instance_attention"}
PARTS = {
    "regions": REGIONS,
    "memory": REGIONS | {"frame_attention"},
    "whole": REGIONS | {"frame_attention", "backbone", "heads"},
}
PLACES = grid([(HEIGHT // s, WIDTH // s) for s in STRIDES], STRIDES)


def staged(stage: str) -> tuple[YoloxPCAN, TrainingPass]:
    net = one_stage_net(one_stage_config(train={"stage": stage}))
    made = make_pass(net)
    assert type(made) is STAGES[stage]
    return net, made.train()


@pytest.mark.parametrize("stage", list(PARTS))
def test_a_stage_gives_gradients_to_its_parts_and_to_nothing_else(stage: str) -> None:
    net, made = staged(stage)
    batch = small_batch()
    made(batch.images, batch.targets).total().backward()
    learnt = {n.split(".")[0] for n, p in net.named_parameters() if p.grad is not None and p.grad.any()}
    assert learnt == PARTS[stage]


@pytest.mark.parametrize("stage", list(PARTS))
def test_images_without_objects_leave_every_loss_finite(stage: str) -> None:
    _, made = staged(stage)
    batch = small_batch(objects=0)
    losses = made(batch.images, batch.targets)
    losses.total().backward()
    assert all(torch.isfinite(getattr(losses, f.name)) for f in fields(losses))
    assert float(losses.masks.detach()) == float(losses.boxes.detach()) == 0


def classes_stage() -> tuple[YoloxPCAN, TrainingPass]:
    config = one_stage_config(train={"stage": "classes", "weight_decay": 0.0})
    net = one_stage_net(replace(config, classes=("pedestrian", "rider", *config.classes[2:])))
    return net, make_pass(net).train()


def test_stage_classes_changes_the_rows_of_new_classes_and_nothing_else() -> None:
    net, made = classes_stage()
    before = {name: value.clone() for name, value in net.state_dict().items()}
    optimizer, batch = make_optimizer(net, net.config.train, 1e-2), small_batch()
    for _ in range(2):
        optimizer.zero_grad()
        made(batch.images, batch.targets).total().backward()
        optimizer.step()
    learnt = {name for name, value in net.state_dict().items() if not torch.equal(value, before[name])}
    assert learnt and all(name.startswith("heads.") and ".classes." in name for name in learnt)
    for name in learnt:
        others = [k for k in range(len(net.config.classes)) if k != 1]
        assert torch.equal(net.state_dict()[name][others], before[name][others])


def test_stage_classes_without_a_new_class_or_with_decay_is_refused() -> None:
    with pytest.raises(ConfigError, match="weight_decay: expected 0 with stage classes"):
        staged("classes")
    plain = one_stage_config(train={"stage": "classes", "weight_decay": 0.0})
    with pytest.raises(ConfigError, match="stage classes: expected a class of rider, got none"):
        make_pass(one_stage_net(replace(plain, classes=("car", "bus", "train", "truck"))))


def test_the_loss_of_a_new_class_asks_it_to_win_where_it_is_and_to_lose_where_it_is_not() -> None:
    new = torch.tensor([False, True])
    place = int((PLACES[:, 2] == 16).nonzero()[0])
    column, row, stride = PLACES[place]
    corner = torch.stack([column, row]) * stride
    box = torch.cat([corner, corner + stride])[None]

    def loss(label: int, rider: float) -> float:
        logits = torch.full((1, len(PLACES), 2), -3.0)
        logits[..., 0], logits[..., 1] = 1.0, rider
        cells = Cells(logits, torch.zeros(1, len(PLACES), 4), torch.zeros(1, len(PLACES)))
        target = GroundTruth(
            box,
            torch.tensor([label]),
            torch.tensor([1]),
            torch.ones(1, HEIGHT, WIDTH, dtype=torch.bool),
            torch.zeros(0, 4),
        )
        return float(new_class_loss(cells, PLACES, [target], new))

    assert loss(1, 3.0) < loss(1, 0.9) < loss(1, -1.0)
    assert loss(0, -1.0) < loss(0, 0.9) < loss(0, 3.0)


def test_some_steps_on_one_batch_lower_the_loss() -> None:
    net, made = staged("whole")
    optimizer = torch.optim.AdamW(net.parameters(), lr=1e-3)
    batch, seen = small_batch(), []
    for _ in range(6):
        torch.manual_seed(0)
        total = made(batch.images, batch.targets).total()
        optimizer.zero_grad()
        total.backward()
        optimizer.step()
        seen.append(float(total.detach()))
    assert seen[-1] < 0.9 * seen[0]


def test_a_class_that_was_asleep_begins_just_below_its_model_when_the_whole_is_trained() -> None:
    net, made = staged("whole")
    head = net.heads[0].classes
    with torch.no_grad():
        head.weight[1], head.bias[1] = head.weight[0], head.bias[0] - 20  # type: ignore[index, operator]
    told = head.bias.detach().clone()  # type: ignore[union-attr, operator]
    batch = small_batch()
    for _ in range(2):  # once only
        made(batch.images, batch.targets)
    assert float(head.bias.detach()[1]) == pytest.approx(float(told[0]) - 1)  # type: ignore[union-attr, operator]
    assert torch.equal(head.bias.detach()[[0, 2, 3]], told[[0, 2, 3]])  # type: ignore[union-attr, operator]


def test_the_detector_learns_at_its_own_rate() -> None:
    net = one_stage_net(one_stage_config(train={"stage": "whole", "backbone_rate": 0.1}))
    groups = make_optimizer(net, net.config.train, 1.0).param_groups
    slow = {id(p) for g in groups if g["lr"] == pytest.approx(0.1) for p in g["params"]}
    assert slow == {id(p) for p in [*net.backbone.parameters(), *net.heads.parameters()]}


def test_a_stage_of_the_other_detector_is_refused() -> None:
    for net in (one_stage_net(one_stage_config(train={"stage": "joint"})), small_net()):
        if not isinstance(net, YoloxPCAN):
            continue
        with pytest.raises(ConfigError, match="expected regions or memory or classes or whole"):
            make_pass(net)


def silent() -> Cells:
    """Return cells that say nothing of one image: no class, a box of one stride around each corner."""
    count = len(PLACES)
    return Cells(torch.zeros(1, count, 8), torch.zeros(1, count, 4), torch.zeros(1, count))


def target(boxes: list[list[float]], ignore: Tensor | None = None) -> GroundTruth:
    n = len(boxes)
    hidden = torch.zeros(HEIGHT, WIDTH, dtype=torch.bool) if ignore is None else ignore
    masks = torch.zeros(n, HEIGHT, WIDTH, dtype=torch.bool)
    return GroundTruth(torch.tensor(boxes).reshape(n, 4), torch.arange(n), torch.arange(n), masks, hidden)


def middles(chosen: Tensor) -> Tensor:
    return (PLACES[chosen, :2] + 0.5) * PLACES[chosen, 2:]


def test_cells_inside_an_object_answer_for_it_and_all_others_for_the_background() -> None:
    found, overlap = assign_cells(silent(), PLACES, target([[40, 40, 72, 72], [120, 60, 140, 90]]), 0)
    for k, (low, high) in enumerate((((40, 40), (72, 72)), ((120, 60), (140, 90)))):
        middle = middles(found == k)
        assert len(middle) > 0
        assert (middle > torch.tensor(low)).all()
        assert (middle < torch.tensor(high)).all()
    assert (found == BACKGROUND).sum() > len(PLACES) - 20
    assert (overlap[found < 0] == 0).all()


def test_a_cell_that_says_the_right_class_and_box_is_preferred() -> None:
    cells, true = silent(), target([[40.0, 40.0, 72.0, 72.0]])
    chosen = int(((torch.tensor([6.0, 6.0, 8.0]) == PLACES).all(1)).nonzero()[0, 0])
    cells.classes[0, chosen, 0] = 5
    cells.objectness[0, chosen] = 5
    stride = 8.0
    centre = torch.tensor([56.0, 56.0]) / stride - PLACES[chosen, :2]
    cells.offsets[0, chosen] = torch.cat([centre, torch.tensor([32.0, 32.0]).div(stride).log()])
    found, overlap = assign_cells(cells, PLACES, true, 0)
    assert int(found[chosen]) == 0
    assert float(overlap[chosen]) == pytest.approx(1)


def test_cells_in_an_ignore_region_are_neither_object_nor_background() -> None:
    ignore = torch.zeros(HEIGHT, WIDTH, dtype=torch.bool)
    ignore[:, : WIDTH // 2] = True
    found, _ = assign_cells(silent(), PLACES, target([], ignore), 0)
    inside = PLACES[:, 0] * PLACES[:, 2] < WIDTH / 2 - 1
    off_edge = (PLACES[:, :2] > 0).all(1)  # boxes around the other corners lie half outside
    assert (found[inside & off_edge] == UNUSED).all()
    assert (found[~inside & (PLACES[:, 0] * PLACES[:, 2] > WIDTH / 2 + 32)] == BACKGROUND).all()


def test_cells_that_follow_the_losses_find_the_objects() -> None:
    free = [x.requires_grad_() for x in (silent().classes, silent().offsets, silent().objectness)]
    cells, shown = Cells(*free), target([[40.0, 40.0, 72.0, 72.0], [120.0, 60.0, 140.0, 90.0]])
    optimizer = torch.optim.Adam(free, lr=0.2)
    for _ in range(60):
        optimizer.zero_grad()
        torch.stack(detection_losses(cells, PLACES, [shown])).sum().backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    scores = cells.scores()[0].detach()
    for k in range(2):
        best = int(scores[:, k].argmax())
        box = decode_cells(cells.offsets[0, best].detach(), PLACES[best])
        assert float(paired_overlap(box[None], shown.boxes[k : k + 1])) > 0.9
        assert float(scores[best, k]) > 0.7
    assert (scores.amax(1) > 0.5).sum() < 40


def test_what_the_detector_half_saw_before_is_not_punished_where_labels_are_missing() -> None:
    cells, nobody = silent(), [target([])]
    punished, _, _ = detection_losses(cells, PLACES, nobody)
    before = torch.zeros(1, len(PLACES))
    before[:, ::2] = 0.2
    spared, _, _ = detection_losses(cells, PLACES, nobody, before)
    assert float(spared) == pytest.approx(float(punished) / 2, rel=0.01)
    sure, _, _ = detection_losses(cells, PLACES, nobody, before + 0.5)
    assert float(sure) == pytest.approx(float(punished))


def test_the_overlap_of_pairs_is_counted_by_hand() -> None:
    a = torch.tensor([[0.0, 0, 10, 10], [0, 0, 10, 10], [0, 0, 10, 10]])
    b = torch.tensor([[0.0, 0, 10, 10], [5, 0, 15, 10], [20, 0, 30, 10]])
    torch.testing.assert_close(paired_overlap(a, b), torch.tensor([1, 50 / 150, 0]))


def test_proposed_boxes_lie_in_the_image_and_do_not_repeat() -> None:
    net = one_stage_net()
    batch = small_batch()
    levels = net.complete(net.features(batch.images))
    found = proposed(net, levels, net.cells(levels))
    assert len(found) == len(batch.images)
    for boxes in found:
        assert 0 < len(boxes) <= net.config.train.proposals
        assert boxes.min() >= 0
        assert boxes[:, 2].max() <= WIDTH
        assert boxes[:, 3].max() <= HEIGHT


def test_jittered_boxes_stay_near_theirs() -> None:
    boxes = torch.tensor([[10.0, 20.0, 50.0, 100.0]])
    moved = jitter(boxes)
    assert len(moved) == 2
    assert not torch.equal(moved[0], moved[1])
    assert ((moved - boxes).abs() <= 0.161 * torch.tensor([40.0, 80.0, 40.0, 80.0])).all()
