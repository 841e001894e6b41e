"""Decoding, suppression and masks beside the recorded ones."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from pcan_model.sipmask.decode import candidates, detect
from pcan_model.sipmask.head import HeadMaps
from pcan_model.sipmask.masks import (
    STRIDE,
    THRESHOLD,
    crop_masks,
    enlarge,
    paste,
    quadrant_logits,
)
from pcan_model.sipmask.parity import tolerances
from pcan_model.sipmask.parity.public import LIMITS
from pcan_model.sipmask.parity.recording import Recording
from pcan_model.sipmask.strides import STRIDES
from pcan_model.sipmask.suppression import fast_nms

NMS_CASES = (
    "random", "chain", "iou_half", "thr_exact", "zero_area", "negative", "tie_same", "two_labels", "topk",
)  # fmt: skip


def scored(boxes: Tensor, scores: Tensor) -> Tensor:
    """Put the score behind each box, (N, 5)."""
    return torch.cat([boxes, scores[:, None]], 1)


def compare_decoding(recording: Recording) -> None:
    """Compare candidates and detections of given maps."""
    logits, distances, centres = (
        [torch.from_numpy(recording.given(f"{name}{level}"))[None] for level in range(len(STRIDES))]
        for name in ("cls", "reg", "ctr")
    )
    height, width = recording.given("input_hw").tolist()
    coefficients = [torch.zeros(1, 128, *x.shape[-2:]) for x in logits]
    basis = torch.zeros(1, 32, height // 2, width // 2)
    maps = HeadMaps(logits, distances, centres, coefficients, basis, torch.zeros(1, 512, 1, 1))
    limits = replace(LIMITS, score=float(recording.given("score_thr")))
    factor = float(recording.given("scale_factor"))
    factor = factor if recording.given("rescale") else 1.0
    size = recording.given("img_shape").tolist()
    chosen = candidates(maps, 0, (size[0], size[1]), factor, limits)
    found = detect(maps, 0, chosen, limits)
    recording.check("cand_index", chosen.cells)
    recording.check("cand_boxes", chosen.boxes, tolerances.BOXES_UNIT)
    recording.check("cand_scores_max", chosen.scores.amax(1), tolerances.SCORES_CLIP)
    recording.check("cand_scores_argmax", chosen.scores.argmax(1))
    recording.check("det_bboxes", scored(found.boxes, found.scores), tolerances.BOXES_UNIT)
    recording.check("det_labels", found.labels)
    recording.check("det_index", found.cells)


def compare_suppression(recording: Recording) -> None:
    """Compare fast NMS alone."""
    for case in NMS_CASES:
        boxes, scores = (torch.from_numpy(recording.given(f"{case}_{x}")) for x in ("boxes", "scores"))
        limit, count, per_class = recording.given(f"{case}_thr_max_topk").tolist()
        limits = replace(LIMITS, score=limit, count=int(count), per_class=int(per_class))
        rows, labels = fast_nms(boxes, scores, limits)
        recording.check(f"{case}_det", scored(boxes[rows], scores[rows, labels]), tolerances.BOXES_UNIT)
        recording.check(f"{case}_labels", labels)
        recording.check(f"{case}_index", rows)


def compare_masks(recording: Recording) -> None:
    """Compare the assembly of masks, in both ways to resize them."""
    basis, coefficients, found = (
        torch.from_numpy(recording.given(name)) for name in ("basis", "cof", "det_bboxes")
    )
    recording.given("img_shape")  # which no step reads
    rescale, factor = bool(recording.given("rescale")), float(recording.given("scale_factor"))
    factor = factor if rescale else 1.0
    boxes = found[:, :4] * factor / STRIDE
    recording.check("crop_boxes", boxes, tolerances.MASKS)
    every = quadrant_logits(basis, coefficients).sigmoid().permute(1, 2, 3, 0)  # (4, h, w, N)
    recording.check("quad_sub", every[:, ::4, ::4], tolerances.MASKS)
    crop = crop_masks(basis, coefficients, boxes)
    recording.check("crop", crop, tolerances.MASKS)
    probabilities = enlarge(crop, STRIDE / factor)
    recording.check("prob_hw", probabilities.shape[-2:])
    recording.check("prob_sub", probabilities[:, ::2, ::2], tolerances.MASKS)
    size = recording.given("ori_shape").tolist()
    masks = paste(probabilities, (size[0], size[1]))
    recording.check_pixels("masks_packed", masks, torch.zeros_like(masks))
    recording.check("areas", masks.sum((1, 2)))
    other = enlarge(crop, STRIDE / factor, exact_ratio=False)
    masks = paste(other, (size[0], size[1]))
    recording.check_pixels("masks_alt_packed", masks, torch.zeros_like(masks))
    recording.check("areas_alt", masks.sum((1, 2)))
    recording.check("prob_alt_maxdiff", (probabilities - other).abs().max(), tolerances.MASKS)


def doubtful(probabilities: Tensor, size: tuple[int, int]) -> Tensor:
    """Say which pixels of masks (N, height, width) have a value within rounding of the threshold."""
    near = (probabilities - THRESHOLD).abs() <= tolerances.MASKS
    return paste(near.float(), size)


def check_clip_masks(
    recording: Recording, basis: Tensor, coefficients: Tensor, boxes: Tensor, factor: float
) -> tuple[list[int], list[int]]:
    """Compare the masks of a clip's detections; returns their areas and how many pixels are doubtful."""
    crop_boxes = boxes * factor / STRIDE
    recording.check("mask_boxes", crop_boxes, tolerances.BOXES_CLIP)
    crop = crop_masks(basis, coefficients, crop_boxes)
    recording.check("mask_crop", crop, tolerances.MASKS)
    probabilities = enlarge(crop, STRIDE / factor)
    recording.check("mask_prob_hw", probabilities.shape[-2:])
    recording.check_thinned("mask_prob_sub", probabilities, tolerances.MASKS)
    near = (probabilities - THRESHOLD).abs().min() if len(boxes) else torch.tensor(torch.inf)
    recording.check("mask_near_half", near, tolerances.MASKS)
    size = recording.arrays["ori_shape"].tolist()
    masks, unsure = paste(probabilities, (size[0], size[1])), doubtful(probabilities, (size[0], size[1]))
    recording.check_pixels("masks_packed", masks, unsure)
    areas, slack = (x.sum((1, 2)) for x in (masks, unsure))
    recording.check("mask_areas", areas, int(slack.max()) if len(slack) else 0)
    return areas.tolist(), slack.tolist()
