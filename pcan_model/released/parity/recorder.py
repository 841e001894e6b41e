"""Intermediate results of a run under the names in the recorded runs of the released code."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pcan_model.core.config import Config
from pcan_model.core.geometry import Letterbox, fit_image, paste_mask
from pcan_model.core.structures import Frame, State
from pcan_model.model.detector import with_p6
from pcan_model.released.engine import ReleasedEngine, ReleasedMemory
from pcan_model.released.network import ReleasedPCAN
from pcan_model.released.parity.hooks import ModuleCalls, RecordingEngine
from pcan_model.released.refinement import Contrast, MaskedRegions, contrast_maps
from pcan_model.tracking.association import match, unique_detections
from pcan_model.tracking.tracker import Tracker

Arrays = dict[str, NDArray[Any]]
THINNING = {2: (16, 2), 3: (16, 1), 4: (8, 1), 5: (4, 1), 6: (1, 1)}  # level: every n-th channel, cell


def record(
    frames: Iterable[NDArray[np.uint8]],
    config: Config,
    weights: Path | ReleasedPCAN,
    *,
    double: bool = False,
) -> Iterator[Arrays]:
    """Track images (H, W, 3) uint8 RGB of one clip; yields all arrays of each frame.

    double  compute in float64, without rounding errors of our own
    """
    recorder = ParityRecorder(config, weights, double=double)
    for frame in frames:
        yield recorder.step(frame)


class ParityRecorder:
    """A tracker of the released variant that returns all intermediate results of each step."""

    def __init__(self, config: Config, weights: Path | ReleasedPCAN, *, double: bool = False) -> None:
        engine = ReleasedEngine(config, weights)
        if double:
            engine.net.double()
        self.engine = RecordingEngine(engine)
        self.tracker = Tracker(self.engine)
        self.state = self.tracker.start()
        self.motions: dict[int, Motion] = {}

    def step(self, image: NDArray[np.uint8]) -> Arrays:
        """Track one image."""
        before, frame = self.state, self.state.frame_index
        letterbox = fit_image(image.shape, self.engine.config.input)
        with plain_convolutions():
            self.state, _ = self.tracker.step(before, Frame(image, float(frame)))
        with torch.inference_mode():
            arrays = _sizes(letterbox) | _pyramid(self.engine.calls, cast(ReleasedMemory, self.state.memory))
            arrays |= _detections(self.engine, letterbox)
            arrays |= _association(self.engine, before, self.state, letterbox)
            arrays |= _refinement(self.engine.calls, cast(ReleasedMemory, self.state.memory))
        arrays |= _masks(self.engine, arrays, letterbox)
        return arrays | self._tracks(letterbox)

    def _tracks(self, letterbox: Letterbox) -> Arrays:
        """Return the tracker's memory after the frame."""
        tracks, last = self.state.tracks, self.state.frame_index - 1
        boxes = [np.array([*letterbox.to_image(t.box), t.score], np.float32) for t in tracks]
        for track, box in zip(tracks, boxes, strict=True):
            if track.seen == last:
                self.motions[track.track_id] = moved(self.motions.get(track.track_id), box, last)
        motions = [self.motions[t.track_id] for t in tracks]
        backdrops = self.state.unmatched or (self.engine.found.take(np.arange(0)),)
        return {
            "mem_ids": np.array([t.track_id - 1 for t in tracks], np.int64),
            "num_tracklets": np.array(self.state.next_id - 1),
            "mem_bbox": np.reshape(boxes, (-1, 5)),
            "mem_embed": np.array([t.embed for t in tracks]),
            "mem_label": np.array([t.label for t in tracks], np.int64),
            "mem_last_frame": np.array([t.seen for t in tracks], np.int64),
            "mem_velocity": np.reshape([m.mean for m in motions], (-1, 5)),
            "mem_acc_frame": np.array([m.count for m in motions], np.int64),
            "backdrop_bboxes": np.concatenate(
                [scored(letterbox.to_image(b.boxes), b.scores) for b in backdrops]
            ),
            "backdrop_labels": np.concatenate([b.labels for b in backdrops]),
            "backdrop_embeds": np.concatenate([b.embeds for b in backdrops]),
        }


@dataclass(frozen=True, slots=True, eq=False)
class Motion:
    """The released tracker's mean velocity of a track, which is not used there."""

    box: NDArray[np.float32]  # (5,) last box with its score
    seen: int  # frame index
    mean: NDArray[np.float32] = field(default_factory=lambda: np.zeros(5, np.float32))  # per frame
    count: int = 0  # number of motions in the mean


def moved(old: Motion | None, box: NDArray[np.float32], frame: int) -> Motion:
    """Return a track's motion after a detection in a frame."""
    if old is None:
        return Motion(box, frame)
    move = (box - old.box) / np.float32(frame - old.seen)
    mean = (old.mean * old.count + move) / np.float32(old.count + 1)
    return Motion(box, frame, mean, old.count + 1)


def _sizes(letterbox: Letterbox) -> Arrays:
    (x, y), padded = letterbox.scale, [side + -side % 32 for side in letterbox.size]
    return {
        "ori_shape": np.array([*letterbox.source, 3]),
        "img_shape": np.array([*letterbox.size, 3]),
        "pad_shape": np.array([*padded, 3]),
        "scale_factor": np.array([x, y, x, y], np.float32),
    }


def _pyramid(calls: ModuleCalls, memory: ReleasedMemory) -> Arrays:
    """Return the network's input, the levels before and after the memory, and the memory."""
    before, after = with_p6(calls["pyramid"].output), calls["memory"].output[0]
    arrays = {
        "input_sub": calls["backbone"].inputs[0][0, :, ::4, ::4].numpy(),
        "c2_stats": np.array([[x.mean().item(), x.std().item()] for x in calls["backbone"].output]),
    }
    for level, x in enumerate(before, 2):
        arrays |= _level(f"fpn{level}_before", x, level)
    for i, features in enumerate(memory.bank.features):
        arrays |= _level(f"fpn{i + 2}_after", after[i], i + 2) | _level(f"bank{i}", features, i + 2)
        arrays[f"mus{i}"] = memory.bank.starts[i].mT.numpy()
    return arrays


def _level(name: str, x: Tensor, level: int) -> Arrays:
    channels, cells = THINNING[level]
    stats = [x.mean().item(), x.std().item(), x.abs().max().item()]
    return {name: x[0, ::channels, ::cells, ::cells].numpy(), f"{name}_stats": np.array(stats)}


def _detections(engine: RecordingEngine, letterbox: Letterbox) -> Arrays:
    calls, found = engine.calls, engine.found
    logits, offsets = calls["boxes"].output
    proposals, scores = calls["proposals"].output
    every, features = calls["masks"].output, calls["masks"].inputs[0]
    own = every[torch.arange(len(every)), torch.from_numpy(found.labels)]
    counts = np.bincount(found.labels, minlength=len(engine.config.classes))
    return {
        "proposals": scored(proposals.numpy(), scores.numpy()),
        "cls_score50": logits[:50].numpy(),
        "bbox_pred50": offsets[:50].flatten(1).numpy(),
        "det_bboxes": scored(letterbox.to_image(found.boxes), found.scores),
        "det_labels": found.labels,
        "det_mask_logits": own.numpy(),
        "det_mask_logits_all": every[:2].numpy(),
        "det_mask_feats_sub": features[:, ::32].numpy(),
        "track_feats": found.embeds,
        "bbox_result_counts": counts,
        "segm_result_counts": counts,
    }


def _association(engine: RecordingEngine, before: State, after: State, letterbox: Letterbox) -> Arrays:
    """Return the kept detections and their tracks."""
    found, config, frame = engine.found, engine.config.tracker, before.frame_index
    kept = unique_detections(found, config)
    order = np.argsort(-found.scores, kind="stable")
    ids = np.minimum(match(kept, before.tracks, before.unmatched, stamp=float(frame), config=config), -1)
    for track in after.tracks:
        if track.seen == frame:
            ids[kept.rows == engine.slots.owner[track.slot]] = track.track_id - 1
    return {
        "match_inds": order,
        "match_valids": np.isin(order, kept.rows),
        "match_bboxes": scored(letterbox.to_image(kept.boxes), kept.scores),
        "match_labels": kept.labels,
        "match_ids": ids,
        "match_embeds": kept.embeds,
        "match_rows": kept.rows,
    }


def _refinement(calls: ModuleCalls, memory: ReleasedMemory) -> Arrays:
    reference, current, _ = cast(tuple[MaskedRegions, MaskedRegions, Contrast], calls["refine"].inputs)
    logits, fitted = cast(tuple[Tensor, Contrast], calls["refine"].output)
    maps = contrast_maps(current.features, fitted)
    arrays = {
        "ref_masks": reference.masks,
        "ref_feats_sub": reference.features[:, ::64],
        "pos_z": maps[:, 0],
        "neg_z": maps[:, 1],
        "pos_protos": fitted.foreground[:4].mT,
        "neg_protos": fitted.background[:4].mT,
        "refine_preds": logits,
        "pos_mu": memory.start.foreground.mT,
        "neg_mu": memory.start.background.mT,
    }
    return {name: value.numpy() for name, value in arrays.items()}


def _masks(engine: RecordingEngine, arrays: Arrays, letterbox: Letterbox) -> Arrays:
    """Paste all masks into the image, the refined ones of kept detections, else the initial ones."""
    height, width = letterbox.source
    boxes = arrays["det_bboxes"][:, :4]
    pasted = [paste_mask(m, box, height, width) for m, box in zip(engine.masks, boxes, strict=True)]
    whole = np.array([mask.full(height, width) for mask in pasted], np.uint8).reshape(-1, height, width)
    areas = whole.sum((1, 2), dtype=np.int64)
    by_class = np.argsort(arrays["det_labels"], kind="stable")
    rows, ids = arrays["match_rows"], arrays["match_ids"]
    tracked = np.flatnonzero(ids >= 0)[np.argsort(ids[ids >= 0])]
    return {
        "segm_result_areas": areas[by_class],
        "refine_masks_packed": np.packbits(whole[rows], axis=-1),
        "track_ids": ids[tracked],
        "track_bboxes": arrays["match_bboxes"][tracked],
        "track_labels": arrays["match_labels"][tracked],
        "track_mask_areas": areas[rows[tracked]],
        "track_masks_packed": np.packbits(whole[rows[tracked]], axis=-1),
    }


@contextmanager
def plain_convolutions() -> Iterator[None]:
    """Disable oneDNN, whose rounding differs twice as much from the recordings, at the same speed."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # about Intel GPUs, from setting the flags
        with torch.backends.mkldnn.flags(enabled=False):
            yield


def scored(boxes: NDArray[np.float32], scores: NDArray[np.float32]) -> NDArray[np.float32]:
    """Append the scores to the boxes, (N, 5)."""
    return np.concatenate([boxes, scores[:, None]], 1)
