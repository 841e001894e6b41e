"""BDD100K bitmasks: where masks meet the higher score wins, as the released code paints them."""

from __future__ import annotations

import numpy as np
from support.parity import recorded_arrays

from pcan_model.core.config import CLASSES
from pcan_model.core.geometry import remove_overlaps, trim
from pcan_model.core.structures import Mask
from pcan_model.data.formats.bdd100k import identities, to_bitmask
from pcan_model.data.formats.labels import FrameLabels


def test_the_bitmask_is_the_recorded_one_but_for_the_choice_of_ids() -> None:
    record = recorded_arrays("unit/bdd_bitmask.npz")
    discs, theirs = record["discs"], record["png"]
    discs = discs[np.argsort(-discs[:, 2])]  # the order in which a tracker's masks come
    y, x = np.mgrid[0:720, 0:1280]
    whole = [((x - cx) ** 2 + (y - cy) ** 2 <= r * r).astype(np.uint8) for *_, cx, cy, r in discs]
    masks = remove_overlaps([trim(Mask(0, 0, mask)) for mask in whole], 720, 1280)
    index = np.zeros((720, 1280), np.int16)
    for k, mask in enumerate(masks):
        index[mask.full(720, 1280) > 0] = k + 1
    labels, count = discs[:, 1].astype(np.int64), len(discs)
    scores = discs[:, 2].astype(np.float32)
    frame = FrameLabels(index, labels, discs[:, 0].astype(np.int64), np.zeros(count, bool), scores)
    ours = to_bitmask(frame, CLASSES, identities())
    assert np.array_equal(ours[..., :2], theirs[..., :2])
    ids = [image[..., 2].astype(int) * 256 + image[..., 3] for image in (ours, theirs)]
    shown = theirs[..., 0] > 0
    pairs = set(zip(ids[0][shown].tolist(), ids[1][shown].tolist(), strict=True))
    assert len(pairs) == len({a for a, _ in pairs}) == len({b for _, b in pairs}) == count
