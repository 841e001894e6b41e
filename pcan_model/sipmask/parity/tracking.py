"""Association beside the recorded one, under the reference's rule and the repaired one."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from pcan_model.core.sipmask_config import SipMaskConfig
from pcan_model.sipmask.association import AssociatedObjects, Match, track
from pcan_model.sipmask.embeddings import centre_cells, embeddings
from pcan_model.sipmask.parity import tolerances
from pcan_model.sipmask.parity.recording import Recording
from pcan_model.sipmask.parity.weights import random_maps

CONFIG = SipMaskConfig()
GENERATED = (512, 12, 20)  # shape of the tracking maps of `track_dense`


def objects(
    boxes: NDArray[np.float32], labels: NDArray[np.int64], embeds: NDArray[np.float32]
) -> AssociatedObjects:
    """Return detections of boxes with their scores (N, 5)."""
    return AssociatedObjects(boxes[:, :4], boxes[:, 4], labels, embeds)


class BothRules:
    """A video tracked under both rules at once."""

    def __init__(self) -> None:
        self.reference: AssociatedObjects | None = None
        self.repaired: AssociatedObjects | None = None

    def step(
        self, found: AssociatedObjects, *, first: bool
    ) -> tuple[NDArray[np.int64], NDArray[np.int64], Match | None]:
        """Return the ids under the reference's rule, those under the repaired one, and the former's match."""
        ids, self.reference, match = track(found, self.reference, first=first, config=CONFIG, reference=True)
        repaired, self.repaired, _ = track(found, self.repaired, first=first, config=CONFIG)
        return ids, repaired, match


def compare_tracking(recording: Recording) -> None:
    """Compare all frames of some videos."""
    factor, both = float(recording.given("scale_factor")), BothRules()
    for frame, first in enumerate(recording.given("first").tolist()):
        name = f"f{frame}"
        dets, labels = recording.given(f"{name}_det"), recording.given(f"{name}_labels")
        embeds = embeddings(_map(recording, name), torch.from_numpy(dets[:, :4]) * factor).numpy()
        recording.check(f"{name}_emb_sub", embeds[:, ::8], tolerances.TRACK)
        ids, repaired, match = both.step(objects(dets, labels, embeds), first=first)
        recording.check(f"{name}_ids", ids)
        recording.check(f"{name}_ids_repaired", repaired)
        if match and match.scores is not None:
            recording.check(f"{name}_comp", match.scores, tolerances.MATCHING)
        check_memory(recording, f"{name}_mem", both.reference)
        check_memory(recording, f"{name}_rep_mem", both.repaired)


def _map(recording: Recording, name: str) -> torch.Tensor:
    if f"{name}_map" in recording:
        return torch.from_numpy(recording.given(f"{name}_map"))
    return torch.from_numpy(random_maps(f"{recording.path.stem}/{name}", GENERATED, 0.12))


def check_memory(
    recording: Recording, name: str, memory: AssociatedObjects | None, tolerance: float = 0
) -> None:
    """Compare what is remembered; where nothing is, nothing may be recorded."""
    if memory is None:
        recording.check_absent(f"{name}_boxes", f"{name}_labels", f"{name}_emb_sub")
        return
    boxes = np.concatenate([memory.boxes, memory.scores[:, None]], 1)
    recording.check(f"{name}_boxes", boxes, tolerance)
    recording.check(f"{name}_labels", memory.labels)
    recording.check_thinned(f"{name}_emb_sub", memory.embeds, tolerances.TRACK)


def compare_centres(recording: Recording) -> None:
    """Compare which cell of the tracking map a box reads, on the map and off it."""
    track_map = torch.from_numpy(random_maps("track_centres/map", (512, 6, 10)))
    boxes, size = torch.from_numpy(recording.given("boxes")), (6, 10)
    recording.check("cell_yx", centre_cells(boxes, size, reference=True))
    recording.check("cell_yx_repaired", centre_cells(boxes, size))
    recording.check("emb_repaired", embeddings(track_map, boxes)[:, ::8], tolerances.TRACK)
    readable = [_readable(track_map, box) for box in boxes]
    recording.check("reference_ok", readable)
    rows = torch.zeros(len(boxes), 512)
    rows[readable] = embeddings(track_map, boxes[readable], reference=True)
    recording.check("emb", rows[:, ::8], tolerances.TRACK)


def _readable(track_map: torch.Tensor, box: torch.Tensor) -> bool:
    try:
        embeddings(track_map, box[None], reference=True)
    except IndexError:
        return False
    return True
