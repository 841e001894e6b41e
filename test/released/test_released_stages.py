"""The stages of the released training: what learns, and the recorded losses and gradients."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import fields, replace
from typing import Any

import numpy as np
import pytest
import torch
from support.parity import recorded, recorded_arrays, recorded_clip, worst
from support.released import small_batch, small_released
from support.seeded import seeded_state

from pcan_model.core.config import ConfigError, load_config
from pcan_model.factory import make_net, make_pass
from pcan_model.released.checkpoint_names import released_name
from pcan_model.released.convert_checkpoint import convert, expected_shapes
from pcan_model.released.network import ReleasedPCAN
from pcan_model.released.parity.dump import changed
from pcan_model.released.parity.recorder import plain_convolutions
from pcan_model.released.sampling import REGION, TRACK, SamplingOptions, sample_rois
from pcan_model.released.stages import STAGES, DetectorStage, ReleasedStage, pair_regions
from pcan_model.training.targets import GroundTruth
from pcan_model.training.trainer import rate_at

ALL = 2_000_000  # drawn: everything, so that nothing is left to chance
GRADIENTS = 2e-3  # relative, of a tensor's norm


def test_each_stage_trains_its_part_and_no_more() -> None:
    learned = {}
    for stage in STAGES:
        net = small_released(train={"stage": stage})
        make_pass(net)
        names = {name for name, p in net.named_parameters() if p.requires_grad}
        learned[stage] = {name.split(".")[0] for name in names}
        assert not any(name.startswith("backbone.stages.0.") for name in names), "the first stage is frozen"
    assert learned["detector"] == {"backbone", "pyramid", "proposals", "box_head", "embedding_head"}
    assert learned["masks"] == {"mask_head"} and learned["refinement"] == {"refine"}


@pytest.mark.parametrize("stage", list(STAGES))
def test_a_step_moves_what_the_stage_trains_and_nothing_else(stage: str) -> None:
    torch.manual_seed(0)
    net = small_released(train={"stage": stage})
    before = {name: value.clone() for name, value in net.state_dict().items()}
    network_pass = make_pass(net).train()
    learned = [p for p in net.parameters() if p.requires_grad]
    optimizer = torch.optim.SGD(learned, lr=0.1)
    batch = small_batch()
    network_pass(batch.images, batch.targets).total().backward()
    optimizer.step()
    moved = {name for name, value in net.state_dict().items() if not torch.equal(value, before[name])}
    parameters = {name for name, p in net.named_parameters() if p.requires_grad}
    buffers = {"refine.prototypes.pos_mu", "refine.prototypes.neg_mu"} if stage == "refinement" else set()
    assert moved and moved <= parameters | buffers and buffers <= moved
    assert not any("running_" in name for name in moved), "batch statistics stay"


@pytest.mark.parametrize("stage", list(STAGES))
def test_objects_known_by_their_box_only_teach_the_detector_but_no_mask(stage: str) -> None:
    results = []
    for boxed in (False, True):
        torch.manual_seed(0)
        network_pass = make_pass(small_released(train={"stage": stage})).train()
        batch = small_batch()
        for target in batch.targets:
            target.masks.logical_and_(torch.tensor(not boxed))
        torch.manual_seed(1)
        losses = network_pass(batch.images, batch.targets)
        losses.total().backward()
        grads = [p.grad for p in network_pass.parameters() if p.grad is not None]
        assert all(grad.isfinite().all() for grad in grads)
        assert all(value.isfinite().all() for value in network_pass.state_dict().values())
        results.append({f.name: getattr(losses, f.name).item() for f in fields(losses)})
    full, bare = results
    if stage == "detector":
        assert bare == full and full["boxes"] > 0 and full["embedding"] > 0
    else:
        assert bare["masks"] + bare["refined"] == 0 < full["masks"] + full["refined"]


def test_a_stage_that_the_form_does_not_have_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"train\.stage: expected detector or masks or refinement"):
        make_pass(small_released())
    paper = changed(load_config("pcan_street_tiny"), ["train.stage=masks"])
    with pytest.raises(
        ConfigError,
        match=r"train\.stage: expected joint or heads or instance for detector mask_rcnn, got 'masks'",
    ):
        make_pass(make_net(paper))


@pytest.mark.parametrize("stage", list(STAGES))
def test_the_schedules_are_the_released_ones(stage: str) -> None:
    config = load_config(f"pcan_released_{stage}")
    train, inference = config.train, load_config("pcan_released_bdd100k")
    assert replace(config, name=inference.name, train=inference.train) == inference
    assert (train.stage, train.optimizer, train.momentum, train.weight_decay) == (stage, "sgd", 0.9, 1e-4)
    assert (train.warmup, train.reference_range, train.gradient_clip) == (1000, 3, 0.0)
    assert (train.roi_samples, train.roi_positives) == (512, 0.25)
    epoch = train.iterations / 12
    steps = [rate_at(int(epoch * e), train) for e in (1, 7.99, 8.01, 10.99, 11.01)]
    assert steps == pytest.approx([1, 1, 0.1, 0.1, 0.01])
    assert rate_at(0, train) == pytest.approx(0.001)


def target(boxes: list[list[float]]) -> GroundTruth:
    n, size = len(boxes), (64, 64)
    return GroundTruth(
        torch.tensor(boxes).reshape(n, 4),
        torch.zeros(n, dtype=torch.long),
        torch.arange(n),
        torch.zeros(n, *size, dtype=torch.bool),
        torch.zeros(size, dtype=torch.bool),
    )


def test_true_boxes_are_drawn_first_and_no_more_background_than_asked() -> None:
    far = torch.tensor([[40.0, 40.0, 60.0, 60.0]]).repeat(20, 1)
    drawn = sample_rois(
        far, target([[0.0, 0.0, 20.0, 20.0]]), 3, SamplingOptions(0.7, 0.3, count=8, positives=0.5, ratio=3)
    )
    assert drawn.found.tolist() == [0, -1, -1, -1] and set(drawn.image_index.tolist()) == {3}
    assert len(sample_rois(far, target([[0.0, 0.0, 20.0, 20.0]]), 0, replace(REGION, count=8)).found) == 8


def test_objects_take_turns_however_many_boxes_each_has() -> None:
    boxes = [[0.0, 0.0, 20.0, 20.0], [40.0, 40.0, 60.0, 60.0]]
    many = torch.tensor([boxes[0]] * 100 + [boxes[1]] * 2)
    drawn = sample_rois(many, target(boxes), 0, replace(TRACK, count=12))
    counts = torch.bincount(drawn.found[drawn.found >= 0])
    assert counts.sum() == 6 and counts[1] >= 2


def test_an_image_without_objects_gives_background_only() -> None:
    drawn = sample_rois(
        torch.tensor([[0.0, 0.0, 9.0, 9.0]] * 4), target([]), 0, replace(TRACK, ratio=float("inf"))
    )
    assert drawn.found.tolist() == [-1] * 4


def test_pairs_show_one_object_and_look_alike() -> None:
    keys, references = torch.eye(3), torch.tensor([[0.0, 1.0, 0.0], [1.0, 0.2, 0.0], [0.9, 0.0, 0.0]])
    same = torch.tensor([[False, True, True], [True, False, False], [True, True, True]])
    index, partner = pair_regions(keys, references, same)
    assert index.tolist() == [0, 1] and partner.tolist() == [2, 0]
    assert [len(x) for x in pair_regions(keys, references[:0], same[:, :0])] == [0, 0]


def test_pairs_are_the_recorded_ones() -> None:
    arrays = recorded("refine_match")
    ids = arrays["key_pids"], arrays["ref_pids"]
    same = (ids[0][:, None] == ids[1]) & (ids[0] >= 0)[:, None]
    index, partner = pair_regions(arrays["key_embeds"], arrays["ref_embeds"], same)
    assert index.tolist() == arrays["valid"].nonzero()[:, 0].tolist()
    assert partner.tolist() == arrays["ref_inds"].tolist()


@pytest.fixture(scope="module")
def recorded_stage() -> Callable[..., ReleasedStage]:
    """Return what builds a stage on the seeded network, drawing everything."""
    torch.set_num_threads(1)  # two threads wait for each other where others work too
    state = seeded_state(expected_shapes(ReleasedPCAN(load_config("pcan_released_bdd100k"))))

    def build(stage: str, embedding_scale: float = 1.0) -> ReleasedStage:
        settings = [f"train.stage={stage}", f"train.rpn_samples={ALL}"]
        settings += [f"train.roi_samples={ALL}"] if stage == "detector" else []
        config = changed(load_config("pcan_released_bdd100k"), settings)
        scaled = {k: v * embedding_scale if "fc_embed" in k else v for k, v in state.items()}
        made = make_pass(convert(scaled, config, "seeded"))
        assert isinstance(made, ReleasedStage)
        return made.train()

    return build


def recorded_pair() -> tuple[torch.Tensor, list[GroundTruth]]:
    """Return frames 0 and 1 of the recorded clip; the second lacks object 5, its order is another."""
    clip = recorded_clip()
    images = torch.from_numpy(clip.make_clip()[:2][..., ::-1].copy())
    targets = []
    for time, order in ((0, [0, 1, 2, 3, 4, 5]), (1, [2, 0, 1, 4, 3])):
        boxes, masks, ids, labels = clip.ground_truth(280, 500, time)
        arrays = (boxes, labels, ids, masks.astype(bool))
        picked = [torch.from_numpy(np.ascontiguousarray(a[order])) for a in arrays]
        targets.append(GroundTruth(*picked, torch.zeros(280, 500, dtype=torch.bool)))
    return images, targets


def test_the_refinement_stage_has_the_recorded_losses_and_gradients(
    recorded_stage: Callable[..., ReleasedStage],
) -> None:
    arrays, pair = recorded_arrays("unit/train_pcan.npz"), recorded_pair()
    stage = recorded_stage("refinement")
    with plain_convolutions():
        losses = stage(*pair)
        losses.total().backward()
    expected = json.loads(str(arrays["losses"]))
    ours = {
        "loss_rpn_cls": losses.objectness,
        "loss_rpn_bbox": losses.proposals,
        "loss_refine": losses.refined,
        "loss": losses.total(),
    }
    compare({name: value.item() for name, value in ours.items()}, expected, 1e-5)
    assert trained(stage) == set(json.loads(str(arrays["trainable"])))
    compare_gradients(stage, json.loads(str(arrays["grads"])))
    prototypes = stage.net.refine.prototypes
    for name in ("pos_mu", "neg_mu"):
        difference = np.abs(prototypes.get_buffer(name).T.numpy() - arrays[name][0]).max()
        print(f"{name} after the step {difference:.1e}")
        assert difference < 5e-5


def test_the_refinement_stage_pairs_and_sees_the_recorded_regions(
    recorded_stage: Callable[..., ReleasedStage],
) -> None:
    arrays, pair = recorded_arrays("unit/train_pcan.npz"), recorded_pair()
    stage, drawn, targets, calls = recorded_stage("refinement"), [], [], []
    draw_regions, criterion = stage.sample_rois, stage.mask_criterion
    stage.sample_rois = lambda *args, **named: drawn.append(draw_regions(*args, **named)) or drawn[-1]  # type: ignore[method-assign, func-returns-value]
    stage.mask_criterion = lambda logits, goal: targets.append(goal) or criterion(logits, goal)  # type: ignore[func-returns-value]
    stage.net.refine.register_forward_hook(lambda _, given, made: calls.append((given, made)))
    with plain_convolutions(), torch.no_grad():
        stage(*pair)
    (seen, current, _), (logits, _) = calls[0]
    assert len(logits) == int(arrays["n_pairs"])
    boxes = [regions.boxes[regions.found >= 0] for regions in drawn]
    ours = {"pos_bboxes_key": boxes[0], "pos_bboxes_ref": boxes[1], "pred_mean": logits.mean((1, 2))}
    ours |= {"key_masks": current.masks[:8, None], "ref_masks": seen.masks[:8, None]}
    ours |= {"pred": logits[:8, None]}
    assert max(worst(ours, {name: arrays[name] for name in ours}).values()) < 2e-4
    assert np.array_equal(targets[0][:8], arrays["target"])
    assert np.array_equal(targets[0].sum((1, 2)), arrays["target_sum"])
    ids, boxes_of = [t.ids for t in pair[1]], [t.boxes.numpy() for t in pair[1]]
    partner = [(ids[1] == i).nonzero()[0, 0].item() if i in ids[1] else -1 for i in ids[0]]
    assert partner == arrays["gt_match_indices"].tolist()
    assert np.array_equal(boxes_of[0], arrays["gt_bboxes"])
    assert np.array_equal(boxes_of[1], arrays["ref_gt_bboxes"])


def test_the_mask_stage_has_the_recorded_loss_on_either_image(
    recorded_stage: Callable[..., ReleasedStage],
) -> None:
    expected, (images, targets) = recorded_arrays("unit/train_pcan.npz"), recorded_pair()
    stage = recorded_stage("masks")
    with plain_convolutions():
        ours = {
            "loss_mask_key": stage(images, targets).masks.item(),
            "loss_mask_ref": stage(images.flip(0), targets[::-1]).masks.item(),
        }
    compare(ours, {name: float(expected[name]) for name in ours}, 1e-5)


@pytest.mark.slow
def test_the_detector_stage_has_the_recorded_losses_and_gradients(
    recorded_stage: Callable[..., ReleasedStage],
) -> None:
    arrays, pair = recorded_arrays("unit/train_qdtrack.npz"), recorded_pair()
    stage = recorded_stage("detector", embedding_scale=0.15)
    assert isinstance(stage, DetectorStage)
    stage.track = replace(TRACK, count=ALL, ratio=float("inf"))
    with plain_convolutions():
        losses = stage(*pair)
        losses.total().backward()
    expected = json.loads(str(arrays["losses"]))
    ours = {
        "loss_rpn_cls": losses.objectness,
        "loss_rpn_bbox": losses.proposals,
        "loss_cls": losses.classes,
        "loss_bbox": losses.boxes,
        "loss_track": losses.embedding,
        "loss_track_aux": losses.auxiliary,
        "loss": losses.total(),
    }
    compare({name: value.item() for name, value in ours.items()}, expected, 1e-5)
    compare_gradients(stage, json.loads(str(arrays["grads"])))


def trained(stage: ReleasedStage) -> set[str]:
    return {released_name(name) for name, p in stage.net.named_parameters() if p.requires_grad}


def compare(ours: dict[str, float], expected: dict[str, float], limit: float) -> None:
    for name, value in ours.items():
        print(f"{name:20} {value:.6f} recorded {expected[name]:.6f}")
    assert ours == pytest.approx({name: expected[name] for name in ours}, rel=limit, abs=1e-6)


def compare_gradients(stage: ReleasedStage, expected: dict[str, list[Any]]) -> None:
    ours = {released_name(n): p.grad for n, p in stage.net.named_parameters() if p.grad is not None}
    assert set(ours) == set(expected)
    off = {n: abs(g.norm().item() - expected[n][0]) / max(expected[n][0], 1e-6) for n, g in ours.items()}
    name = max(off, key=lambda n: off[n])
    print(f"gradients of {len(off)} tensors: norms agree to {off[name]:.1e} ({name})")
    assert off[name] < GRADIENTS
