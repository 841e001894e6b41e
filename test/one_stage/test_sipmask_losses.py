"""SipMask's losses: formulas, gradients, and what the public code crashes on."""

from __future__ import annotations

from dataclasses import replace

import pytest
from support.sipmask import small_sipmask, target

torch = pytest.importorskip("torch")

from pcan_model.core.sipmask_config import SipMaskConfig  # noqa: E402
from pcan_model.sipmask.detection_losses import box_loss, centre_loss, class_loss  # noqa: E402
from pcan_model.sipmask.embeddings import centre_cells, embeddings  # noqa: E402
from pcan_model.sipmask.losses import SipMaskLosses, assign_batch, losses  # noqa: E402
from pcan_model.sipmask.mask_loss import mask_loss, mask_targets, mask_weights  # noqa: E402
from pcan_model.sipmask.match_loss import match_logits, move, reference_columns  # noqa: E402
from pcan_model.sipmask.network import SipMask  # noqa: E402
from pcan_model.sipmask.positives import Kept  # noqa: E402
from pcan_model.training.targets import GroundTruth  # noqa: E402

SIZE = (64, 96)
SCENE = [[8.0, 6, 40, 38], [50.0, 20, 90, 60]]


def test_the_box_loss_is_the_weighted_logarithm_of_the_overlap() -> None:
    points = torch.tensor([[20.0, 20], [40, 20]])
    target = torch.tensor([[9.0, 9, 9, 9], [1, 9, 9, 9]])
    predicted = torch.tensor([[9.0, 9, 9, 9], [1, 9, 9, 4]])
    weight = (1 / 9) ** 0.5
    expected = -torch.tensor(14 / 19).log() * weight / (1 + weight)  # sides hold their border pixels
    torch.testing.assert_close(box_loss(points, predicted, target), expected)


def test_the_box_loss_has_the_gradient_of_finite_differences() -> None:
    torch.manual_seed(0)
    points = torch.rand(6, 2, dtype=torch.float64) * 50
    target = 4 + 10 * torch.rand(6, 4, dtype=torch.float64)
    predicted = (target + torch.randn(6, 4, dtype=torch.float64)).requires_grad_()
    assert torch.autograd.gradcheck(lambda x: box_loss(points, x, target), (predicted,))


def test_boxes_that_do_not_meet_have_a_finite_loss() -> None:
    loss = box_loss(torch.zeros(1, 2), torch.tensor([[-30.0, -30, 40, 40]]), torch.full((1, 4), 5.0))
    assert loss.item() == pytest.approx(13.8155, abs=1e-3)  # -log 1e-6


def test_the_class_loss_is_the_focal_loss_per_positive_and_image() -> None:
    logits, labels = torch.tensor([[1.0, -2.0], [0.5, 0.0]]), torch.tensor([1, -1])
    p, total = logits.sigmoid(), 0.0
    for i, j in ((0, 0), (0, 1), (1, 0), (1, 1)):
        chance, weight = (p[i, j], 0.25) if (i, j) == (0, 1) else (1 - p[i, j], 0.75)
        total -= weight * (1 - chance) ** 2 * chance.log()
    loss = class_loss(logits, labels, torch.ones(2, dtype=torch.bool), 3, SipMaskConfig())
    torch.testing.assert_close(loss, total / 4)
    ignored = class_loss(logits, labels, torch.tensor([True, False]), 3, SipMaskConfig())
    assert 0 < ignored < loss


def test_losses_without_a_positive_are_zero_and_differentiable() -> None:
    none = torch.zeros(0, 4, requires_grad=True)
    total = box_loss(torch.zeros(0, 2), none, torch.zeros(0, 4)) + centre_loss(none[:, 0], torch.zeros(0, 4))
    total.backward()
    assert total.item() == 0


def test_the_mask_loss_is_the_mean_cross_entropy_inside_the_box_times_the_weight() -> None:
    boxes = torch.tensor([[0.0, 0, 4, 2], [1, 1, 3, 4]])
    predicted, target = torch.zeros(2, 6, 6), torch.zeros(2, 6, 6)
    predicted[0, :2, :4], target[0, :2, :2] = 0.5, 1
    predicted[1, 1:4, 1:3], target[1, 1:4, 1:3] = 0.25, 1
    loss = mask_loss(predicted, target, boxes, torch.tensor([1.5, 0.5]))
    expected = (1.5 * torch.tensor(2.0).log() + 0.5 * torch.tensor(4.0).log()) / 2
    torch.testing.assert_close(loss, expected)


def test_mask_targets_follow_their_object_inside_the_predicted_box() -> None:
    scene = target(SCENE, SIZE)
    boxes = torch.tensor([[44.0, 10, 95, 40], [0, 0, 20, 63]])
    kept = Kept(torch.tensor([3, 9]), torch.tensor([1, 0]), boxes)
    goal = mask_targets(scene.masks, kept)
    assert goal.shape == (2, 32, 48)
    expected = torch.zeros(2, 32, 48)
    expected[0, 10:20, 25:45] = 1  # a cell half on the object is off it
    expected[1, 3:19, 4:10] = 1
    assert torch.equal(goal, expected)


def test_mask_weights_have_mean_one_and_favour_good_boxes() -> None:
    kept = Kept(torch.tensor([0, 1]), torch.tensor([0, 0]), torch.tensor([[8.0, 6, 40, 38], [0, 0, 20, 20]]))
    weights = mask_weights(kept, torch.tensor(SCENE), torch.zeros(2, 3), torch.tensor([0, 1]))
    assert weights.mean().item() == pytest.approx(1, abs=1e-3) and weights[0] > 3 * weights[1]


def test_centres_off_the_tracking_map_read_its_border() -> None:
    track = torch.arange(6.0).reshape(1, 2, 3)
    boxes = torch.tensor([[-30.0, 0, 10, 8], [0, 0, 200, 8], [8, -90, 12, 0], [16, 10, 20, 900]])
    assert centre_cells(boxes, (2, 3)).tolist() == [[0, 0], [0, 2], [0, 1], [1, 2]]
    assert embeddings(track, boxes)[:, 0].tolist() == [0, 2, 1, 5]
    assert embeddings(track, boxes[:1], reference=True).item() == 1  # -2 counts from the far end
    with pytest.raises(IndexError):
        embeddings(track, boxes[1:2], reference=True)


def test_columns_name_the_reference_object_of_the_same_identity() -> None:
    ids, reference = torch.tensor([7, 5, 9]), torch.tensor([9, 4, 7])
    assert reference_columns(ids, reference).tolist() == [3, 0, 1]
    assert reference_columns(ids, torch.zeros(0, dtype=torch.int64)).tolist() == [0, 0, 0]


def test_moved_boxes_shift_by_shares_of_their_size() -> None:
    moved = move(torch.tensor([[10.0, 20, 30, 30]]), torch.tensor([[0.5, -0.1, 1.0, 0.0]]))
    assert moved.tolist() == [[10, 19, 50, 29]]


def test_matches_compare_the_cells_of_centres() -> None:
    track, reference = torch.randn(4, 8, 12), torch.randn(4, 8, 12)
    boxes, others = torch.tensor([[0.0, 0, 32, 16], [80, 40, 88, 60]]), torch.tensor([[40.0, 40, 56, 56]])
    logits = match_logits(track, reference, boxes, others)
    rows = torch.stack([track[:, 1, 2], track[:, 6, 10]])
    torch.testing.assert_close(logits, torch.stack([torch.zeros(2), rows @ reference[:, 6, 6]], 1))


def step(net: SipMask, targets: list[GroundTruth], images: torch.Tensor | None = None) -> SipMaskLosses:
    if images is None:
        torch.manual_seed(1)
        images = 40 * torch.randn(len(targets), 3, *SIZE)
    maps = net(images)
    reference = net.head.track_map(net.levels(images.flip(3))[0])
    mirrored = [target([[96 - b[2], b[1], 96 - b[0], b[3]] for b in t.boxes.tolist()], SIZE) for t in targets]
    return losses(maps, reference, targets, mirrored, net.config.sipmask)


def test_an_image_without_objects_teaches_background_only() -> None:
    net = small_sipmask()
    found = step(net, [target(SCENE, SIZE), target([], SIZE)])
    alone = step(net, [target([], SIZE)])
    for part in (found.classes, found.boxes, found.centres, found.masks, found.match):
        assert part.isfinite() and part > 0
    assert alone.classes > 0
    assert alone.boxes == alone.centres == alone.masks == alone.match == 0
    (found.total() + alone.total()).backward()
    assert all(p.grad is None or p.grad.isfinite().all() for p in net.parameters())


def test_as_the_public_code_an_image_without_objects_is_refused() -> None:
    net = small_sipmask(sipmask={"reference": True})
    with pytest.raises(ValueError, match="image 1: expected objects, got none"):
        step(net, [target(SCENE, SIZE), target([], SIZE)])


@pytest.mark.parametrize("reference", [False, True])
def test_boxes_without_area_leave_masks_and_matches_out(reference: bool) -> None:
    net = small_sipmask(sipmask={"reference": reference})
    with torch.no_grad():
        net.head.box.weight.zero_()
        net.head.box.bias.zero_()
    if reference:
        with pytest.raises(ZeroDivisionError):
            step(net, [target(SCENE, SIZE)])
        return
    found = step(net, [target(SCENE, SIZE)])
    found.total().backward()
    assert found.masks == found.match == 0 < found.boxes


def test_training_starts_from_boxes_that_have_an_area() -> None:
    net, scene = small_sipmask(), [target(SCENE, SIZE)]
    maps = net(40 * torch.randn(1, 3, *SIZE))
    batch = assign_batch(maps, scene, net.config.sipmask)
    assert len(batch.kept[0].cells) == len(batch.targets[0].positive) > 4
    public = small_sipmask(sipmask={"box_bias": 0.0})
    maps = public(40 * torch.randn(1, 3, *SIZE))
    assert len(assign_batch(maps, scene, public.config.sipmask).kept[0].cells) < len(batch.kept[0].cells)


def test_an_object_without_an_outline_teaches_no_mask() -> None:
    net, scene = small_sipmask(), target(SCENE[:1], SIZE)
    blank = replace(scene, masks=torch.zeros_like(scene.masks))
    assert step(net, [scene]).masks > 0 == step(net, [blank]).masks


def test_a_small_network_learns_one_image_by_heart() -> None:
    from pcan_model.sipmask.decode import candidates, detect
    from pcan_model.sipmask.masks import crop_masks
    from pcan_model.sipmask.suppression import detection_limits

    net, scene = small_sipmask(), target(SCENE, SIZE)
    torch.manual_seed(2)
    image = torch.randn(1, 3, *SIZE) * 5
    for mask, shade in zip(scene.masks, (-60.0, 70.0), strict=True):
        image[0, :, mask] += shade
    optimiser = torch.optim.Adam(net.parameters(), lr=3e-3)
    for _ in range(60):
        optimiser.zero_grad()
        found = step(net, [scene], image)
        found.total().backward()
        optimiser.step()
    limits = detection_limits(net.config)
    with torch.no_grad():
        maps = net.eval()(image)
        result = detect(maps, 0, candidates(maps, 0, SIZE, 1.0, limits), limits)
        masks = crop_masks(maps.basis[0], result.coefficients, result.boxes / 2) > 0.5
    for index, box in enumerate(scene.boxes):
        row = int((result.boxes - box).abs().amax(1).argmin())
        assert (result.boxes[row] - box).abs().max() < 6 and result.labels[row] == index
        true = scene.masks[index, ::2, ::2]
        assert (masks[row] & true).sum() / (masks[row] | true).sum() > 0.7
