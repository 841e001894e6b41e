"""Targets, losses and gradients beside the recorded ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pcan_model.core.sipmask_config import SipMaskConfig
from pcan_model.sipmask.embeddings import centre_cells
from pcan_model.sipmask.head import HeadMaps, SipMaskHead
from pcan_model.sipmask.losses import Assigned, SipMaskLosses, assign_batch, losses, refuse_empty
from pcan_model.sipmask.mask_loss import box_quality, predict_masks
from pcan_model.sipmask.match_loss import match_logits, move, reference_columns
from pcan_model.sipmask.names import public_names
from pcan_model.sipmask.parity import tolerances
from pcan_model.sipmask.parity.network import fresh_head, level_sizes, maps
from pcan_model.sipmask.parity.recording import Recording
from pcan_model.sipmask.parity.weights import random_maps
from pcan_model.sipmask.targets import assign, centreness, image_cells
from pcan_model.training.targets import GroundTruth

IMAGES, SIZE = 2, (96, 160)  # of the loss records
PUBLIC = "bbox_head."  # before the recorded names of parameters
LOSS_NAMES = ("loss_cls", "loss_bbox", "loss_centerness", "loss_mask", "loss_match")
JITTER = 0.05
REFERENCE_FAULTS = ("noobj_fault", "flat_fault", "outside")  # recorded as the public code behaves


def compare_targets(recording: Recording) -> None:
    """Compare which cell learns what, of five images."""
    sizes, config = level_sizes(*recording.given("input_hw").tolist()), SipMaskConfig()
    recording.check("level_sizes", sizes)
    cells = image_cells(sizes, config, torch.device("cpu"))
    recording.check("points_first3", torch.stack(_first_points(cells.points, sizes)).flatten(0, 1))
    levels = np.repeat(np.arange(len(sizes)), [h * w for h, w in sizes])
    recording.given("crowd_ignored")  # crowd boxes are not passed on
    for name in recording.given("names").tolist():
        boxes, labels = (torch.from_numpy(recording.given(f"{name}_{x}")) for x in ("boxes", "labels"))
        found = assign(cells, boxes, labels - 1, config)
        rows = found.positive
        recording.check(f"{name}_pos", rows)
        recording.check(f"{name}_pos_label", found.labels[rows] + 1)
        recording.check(f"{name}_pos_gt", found.index[rows])
        recording.check(f"{name}_pos_ltrb", found.distances[rows])
        recording.check(f"{name}_pos_centerness", centreness(found.distances[rows]), 1e-6)
        recording.check(f"{name}_npos_level", np.bincount(levels[rows], minlength=len(sizes)))
    nothing = truth_of(np.zeros((0, 4), np.float32), np.zeros(0, np.int64), np.zeros((0, *SIZE), bool))
    with recording.expected_error("none_reference_error"):
        refuse_empty([nothing])


def _first_points(points: Tensor, sizes: list[tuple[int, int]]) -> list[Tensor]:
    starts = np.cumsum([0, *(h * w for h, w in sizes)])[:-1]
    return [points[start : start + 3] for start in starts.tolist()]


def truth_of(
    boxes: NDArray[np.float32],
    labels: NDArray[np.int64],
    masks: NDArray[np.bool_],
    ids: NDArray[np.int64] | None = None,
) -> GroundTruth:
    """Return what a training image shows; labels from 0."""
    ids = np.arange(len(boxes)) if ids is None else ids
    box, label, identity, mask = (torch.from_numpy(x) for x in (boxes, labels, ids, masks))
    return GroundTruth(box, label, identity, mask, torch.zeros(SIZE, dtype=torch.bool))


@dataclass(frozen=True, slots=True, eq=False)
class LossRecord:
    """What one loss record is computed from."""

    head: SipMaskHead
    maps: HeadMaps
    reference: Tensor  # (B, E, h, w) tracking map
    targets: list[GroundTruth]
    reference_truths: list[GroundTruth]
    config: SipMaskConfig


def read_record(recording: Recording) -> LossRecord:
    """Read the objects of a loss record and run the head on the generated pyramids."""
    case = recording.path.stem.removeprefix("losses_")
    head = changed_head(case)
    sizes = level_sizes(*SIZE)
    levels, references = (
        [maps(f"losses/{x}{i}", (IMAGES, 256, h, w), 0.5) for i, (h, w) in enumerate(sizes, 3)] for x in "pr"
    )
    targets, others = [], []
    for image in range(IMAGES):
        boxes, labels, packed, reference_boxes, columns = (
            recording.given(name.format(image))
            for name in ("gt_boxes{}", "gt_labels{}", "gt_masks{}_packed", "ref_boxes{}", "gt_pids{}")
        )
        masks = np.unpackbits(packed, axis=-1)[..., : SIZE[1]].astype(bool)
        ids = np.where(columns > 0, columns, -1 - np.arange(len(columns)))
        targets.append(truth_of(boxes, labels - 1, masks, ids))
        count = len(reference_boxes)
        none = np.zeros((count, *SIZE), bool)
        others.append(truth_of(reference_boxes, np.zeros(count, np.int64), none, np.arange(1, count + 1)))
    config = replace(SipMaskConfig(), reference=case in REFERENCE_FAULTS)
    return LossRecord(head, head(levels), head.track_map(references), targets, others, config)


def changed_head(case: str) -> SipMaskHead:
    """Return the head of a loss record."""
    kind = {"init": "init", "flat_fault": "init", "open": "open"}.get(case, "gen")
    head = fresh_head(kind)
    with torch.no_grad():
        if case == "flat_fault":
            head.box.weight.zero_()
        if case.startswith("outside"):
            assert head.box.bias is not None
            head.box.bias += torch.tensor([2.4, 2.4, 0, 0])
    return head


def compare_losses(recording: Recording) -> None:
    """Compare one loss record."""
    record = read_record(recording)
    if "reference_error" in recording:
        with recording.expected_error("reference_error"):
            assign_batch(record.maps, record.targets, record.config)
        return
    batch = assign_batch(record.maps, record.targets, record.config)
    jitters = check_jitters(recording, batch, record)
    found = losses(
        record.maps,
        record.reference,
        record.targets,
        record.reference_truths,
        record.config,
        jitters=jitters,
    )
    parts = [found.classes, found.boxes, found.centres, found.masks, found.match]
    recording.check("loss_names", LOSS_NAMES)
    values = torch.stack(parts).double()
    recording.check("losses", values, tolerances.LOSSES, scale=np.abs(recording.arrays["losses"]))
    check_masks(recording, batch, record)
    check_matches(recording, batch, record, jitters)
    check_gradients(recording, record.head, found)


def check_jitters(recording: Recording, batch: Assigned, record: LossRecord) -> list[Tensor]:
    """Return the moves of all reference boxes; they are counted by images with a kept positive."""
    jitters, count = [], 0
    for kept, target in zip(batch.kept, record.reference_truths, strict=True):
        if not len(kept.cells):
            jitters.append(torch.zeros_like(target.boxes))
            continue
        noise = random_maps(f"losses/jitter{count}", tuple(target.boxes.shape))
        jitter = np.float32(JITTER) * np.clip(noise, -1, 1)
        recording.check(f"jitter{count}", jitter)
        jitters.append(torch.from_numpy(jitter))
        count += 1
    return jitters


def check_masks(recording: Recording, batch: Assigned, record: LossRecord) -> None:
    """Compare boxes, overlaps and masks that the mask loss sees."""
    for image, kept in enumerate(batch.kept):
        recording.check(f"mask_boxes{image}", kept.basis_boxes, tolerances.DISTANCES)
        predicted = predict_masks(record.maps.basis[image], batch.flat.coefficients[image], kept)
        crop = predicted.permute(1, 2, 0)[::4, ::4]
        recording.check(f"mask_crop{image}_sub", crop, tolerances.MASKS)
    # Under this name the last image's are recorded.
    recording.check("mask_iou0", box_quality(batch.kept[-1], record.targets[-1].boxes), tolerances.MASKS)


def check_matches(recording: Recording, batch: Assigned, record: LossRecord, jitters: list[Tensor]) -> None:
    """Compare the cells of centres and the logits of matches."""
    right, rows = 0, 0
    for image, kept in enumerate(batch.kept):
        other = record.reference_truths[image]
        moved = move(other.boxes, jitters[image])
        size = (record.maps.track.shape[2], record.maps.track.shape[3])
        for name, boxes in (("key", kept.boxes), ("ref", moved)):
            cells = centre_cells(boxes, size, reference=True)  # recorded before any clamping
            recording.check(f"centre_cells{image}_{name}", cells)
        logits = match_logits(
            record.maps.track[image],
            record.reference[image],
            kept.boxes,
            moved,
            as_reference=record.config.reference,
        )
        target = reference_columns(record.targets[image].ids, other.ids)[kept.objects]
        recording.check(f"match_logits{image}", logits, tolerances.MATCHING)
        recording.check(f"match_target{image}", target)
        right += int((logits.argmax(1) == target).sum())
        rows += len(target)
    recording.check("match_acc", 100 * right / rows, tolerances.MATCHING)


def check_gradients(recording: Recording, head: SipMaskHead, found: SipMaskLosses) -> None:
    """Compare the gradients of the five losses and of their sum in all parameters of the head."""
    names = recording.arrays["param_names"].tolist()
    ours = {own: public for public, own in public_names(Headed(head)).items()}
    parameters = {ours[f"head.{name}"].removeprefix(PUBLIC): p for name, p in head.named_parameters()}
    recording.check("param_names", sorted(parameters, key=names.index))
    parts = [found.classes, found.boxes, found.centres, found.masks, found.match, found.total()]
    used = [parameters[name] for name in names]
    gradients = [gradient(part, used) for part in parts]
    norms = torch.tensor([[g.double().norm() for g in row] for row in gradients], dtype=torch.float64)
    limit = tolerances.GRADIENTS_INIT if recording.path.stem.endswith("_init") else tolerances.GRADIENTS
    largest = torch.from_numpy(recording.arrays["grad_norms"]).amax(1, keepdim=True)
    recording.check("grad_norms", norms, limit, scale=largest.numpy())
    size = np.array([p.numel() for p in used])
    sums = torch.stack([g.double().sum() for g in gradients[-1]])
    spread = (norms[-1].numpy() * np.sqrt(size)).clip(1e-12)
    recording.check("grad_sums", sums, tolerances.GRADIENT_SUMS, scale=spread)
    for name, value in zip(names, gradients[-1], strict=True):
        recording.check(f"grad/{name}", value, limit, scale=float(value.abs().max()))


def gradient(loss: Tensor, parameters: Sequence[Tensor]) -> list[Tensor]:
    """Return the gradient of a loss in each parameter, 0 where it does not depend on it."""
    found = torch.autograd.grad(loss, parameters, retain_graph=True, allow_unused=True)
    return [torch.zeros_like(p) if g is None else g for g, p in zip(found, parameters, strict=True)]


class Headed(torch.nn.Module):
    """A head under the name that it has in the whole network."""

    def __init__(self, head: SipMaskHead) -> None:
        super().__init__()
        self.head = head
