"""A recorded clip from pixels to tracked masks, frame by frame."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from pcan_model.sipmask.association import Match, results
from pcan_model.sipmask.decode import candidates, detect
from pcan_model.sipmask.embeddings import embeddings
from pcan_model.sipmask.head import HeadMaps
from pcan_model.sipmask.image import ImageFit, fit_image, network_input
from pcan_model.sipmask.parity import tolerances
from pcan_model.sipmask.parity.detection import check_clip_masks, scored
from pcan_model.sipmask.parity.network import calls, check_maps
from pcan_model.sipmask.parity.public import LIMITS, PUBLIC
from pcan_model.sipmask.parity.recording import Recording, stats
from pcan_model.sipmask.parity.tracking import BothRules, check_memory, objects
from pcan_model.sipmask.parity.weights import generated_network


def compare_clip(folder: Path, *, scale: tuple[int, int] | None = None) -> Iterator[Recording]:
    """Compare all frames of a clip, the memory carried on.

    folder  with frame0.npz, frame1.npz, …
    scale   (width, height) that images are resized within; the recorded factor unless given
    """
    both = BothRules()
    for number in range(len(list(folder.glob("frame*.npz")))):
        recording = Recording(folder / f"frame{number}.npz")
        _compare_frame(recording, both, first=number == 0, scale=scale)
        yield recording


@torch.inference_mode()
def _compare_frame(
    recording: Recording, both: BothRules, *, first: bool, scale: tuple[int, int] | None
) -> None:
    net = generated_network()
    fit, images = _image(recording, scale)
    stages = net.backbone(images)
    fine = net.pyramid(stages[1:])
    with calls(net.head.align) as aligned:
        maps: HeadMaps = net.head(fine + net.pyramid.coarse(fine[-1]))
    _check_features(recording, stages, fine + net.pyramid.coarse(fine[-1]), [out for _, out in aligned])
    check_maps(recording, maps, 0)
    recording.check("track", maps.track[0], tolerances.TRACK)
    _compare_objects(recording, both, maps, fit, first=first)


def _image(recording: Recording, scale: tuple[int, int] | None) -> tuple[ImageFit, Tensor]:
    """Resize the recorded image and compare the sizes."""
    frame = recording.given("frame")  # BGR
    fit = ImageFit((frame.shape[0], frame.shape[1]), float(recording.arrays["scale_factor"]))
    if scale:
        fit = fit_image(frame.shape, replace(PUBLIC.input, width=scale[0], height=scale[1]))
    resized = fit.resize(frame)
    recording.check("resized", resized)
    recording.check("scale_factor", fit.factor, 1e-12)
    recording.check("ori_shape", fit.source)
    recording.check("img_shape", fit.size)
    recording.check("pad_shape", fit.padded)
    return fit, network_input(np.ascontiguousarray(resized[..., ::-1]), PUBLIC.input, bgr=True)


def _check_features(
    recording: Recording, stages: list[Tensor], levels: list[Tensor], aligned: list[Tensor]
) -> None:
    for level, x in enumerate(stages, 2):
        recording.check_thinned(f"c{level}_sub", x[0], tolerances.STAGES)
        recording.check(f"c{level}_stats", stats(x), tolerances.STAGES)
    for level, x in enumerate(levels, 3):
        recording.check_thinned(f"p{level}", x[0], tolerances.PYRAMID_CLIP)
    for level, x in enumerate(aligned):
        recording.check_thinned(f"align_out{level}_sub", x[0], tolerances.HEAD)


def _compare_objects(
    recording: Recording, both: BothRules, maps: HeadMaps, fit: ImageFit, *, first: bool
) -> None:
    """Compare detections, ids and masks."""
    chosen = candidates(maps, 0, fit.size, fit.factor, LIMITS)
    recording.check("cand_boxes", chosen.boxes, tolerances.BOXES_CLIP)
    recording.check("cand_scores", chosen.scores, tolerances.SCORES_CLIP)
    found = detect(maps, 0, chosen, LIMITS)
    dets = scored(found.boxes, found.scores)
    relative = np.array([*[1.0] * 4, tolerances.SCORES_CLIP / tolerances.BOXES_CLIP])  # of pixels
    recording.check("det_bboxes", dets, tolerances.BOXES_CLIP, scale=relative)
    recording.check("det_labels", found.labels)
    recording.check("det_cofs", found.coefficients, tolerances.HEAD)
    embeds = embeddings(maps.track[0], found.boxes * fit.factor)
    recording.check("det_emb", embeds, tolerances.TRACK)
    current = objects(dets.numpy(), found.labels.numpy(), embeds.numpy())
    ids, repaired, match = both.step(current, first=first)
    _check_ids(recording, match)
    recording.check("ids", ids)
    recording.check("ids_repaired", repaired)
    check_memory(recording, "mem", both.reference, tolerances.BOXES_CLIP)
    areas, slack = check_clip_masks(recording, maps.basis[0], found.coefficients, found.boxes, fit.factor)
    rows = dict(sorted(results(ids).items()))
    recording.check("result_ids", list(rows))
    recording.check("result_areas", [areas[row] for row in rows.values()], max(slack, default=0))


def _check_ids(recording: Recording, match: Match | None) -> None:
    if match is not None and match.scores is not None:
        recording.check("comp", match.scores, tolerances.MATCHING)
