"""The released form against the recorded run of the released code, frame by frame (`pytest -rP` prints).

The tolerances are those that ../shared/parity/README.md derives from running the released code in other
environments. Where a prototype has almost no weight, its normalisation amplifies rounding; that concerns
at most one instance of a frame.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from support.parity import recorded_arrays, recorded_clip, worst
from support.seeded import checksum, seeded_state

Arrays = dict[str, NDArray[Any]]
FRAMES = 4
SETTINGS = [
    "input.height=280",
    "input.width=500",
    "tracker.init_score=0.6",
    "tracker.duplicate_iou=0.4",
    "released.drift=true",
]
LIMITS = {  # of the differences; what is not here is equal
    "input_sub": 1e-6, "scale_factor": 1e-7, "c2_stats": 1e-5,
    "fpn2_before": 1e-5, "fpn3_before": 1e-5, "fpn4_before": 1e-5, "fpn5_before": 1e-5, "fpn6_before": 1e-5,
    "fpn2_before_stats": 1e-5, "fpn3_before_stats": 1e-5, "fpn4_before_stats": 1e-5,
    "fpn5_before_stats": 1e-5, "fpn6_before_stats": 1e-5,
    "fpn2_after": 1e-5, "fpn3_after": 1e-5, "fpn2_after_stats": 1e-5, "fpn3_after_stats": 1e-5,
    "bank0": 1e-5, "bank1": 1e-5, "bank0_stats": 1e-5, "bank1_stats": 1e-5, "mus0": 5e-5, "mus1": 5e-5,
    "det_bboxes": 1e-3, "match_bboxes": 1e-3, "mem_bbox": 1e-3, "backdrop_bboxes": 1e-3,
    "track_bboxes": 1e-3, "mem_velocity": 2e-3,
    "track_feats": 5e-5, "match_embeds": 5e-5, "mem_embed": 5e-5, "backdrop_embeds": 5e-5,
    "det_mask_logits": 1e-4, "det_mask_logits_all": 1e-4, "det_mask_feats_sub": 1e-4,
    "ref_masks": 1e-4, "ref_feats_sub": 1e-4, "pos_mu": 5e-5, "neg_mu": 5e-5,
}  # fmt: skip
APART = {  # compared by the tests below
    "proposals", "cls_score50", "bbox_pred50", "refine_preds", "pos_z", "neg_z", "pos_protos", "neg_protos",
    "refine_masks_packed", "track_masks_packed", "track_mask_areas", "segm_result_areas",
}  # fmt: skip


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> list[tuple[Arrays, Arrays]]:
    """Return each frame as we compute it from a converted file, and as it was recorded."""
    expected = [recorded_arrays(f"e2e/clipA/frame{i}.npz") for i in range(FRAMES)]
    import torch

    from pcan_model.config import load_config
    from pcan_model.released.convert import expected_shapes, main
    from pcan_model.released.dump import changed
    from pcan_model.released.network import ReleasedPCAN
    from pcan_model.released.record import record

    torch.set_num_threads(1)  # two threads wait for each other where others work too
    folder: Path = tmp_path_factory.mktemp("released")
    preset = load_config("pcan_released_bdd100k")
    state = seeded_state(expected_shapes(ReleasedPCAN(preset)))
    assert checksum(state) == 0xD8D79ECC
    torch.save({"state_dict": {f"module.{k}": v for k, v in state.items()}}, folder / "released.pth")
    assert main([str(folder / "released.pth"), "--out", str(folder / "weights.safetensors")]) == 0
    frames = [np.ascontiguousarray(frame[..., ::-1]) for frame in recorded_clip().make_clip()]
    ours = list(record(frames, changed(preset, SETTINGS), folder / "weights.safetensors"))
    return list(zip(ours, expected, strict=True))


Run = list[tuple[Arrays, Arrays]]


@pytest.mark.parametrize("frame", range(FRAMES))
def test_every_quantity_is_the_recorded_one(run: Run, frame: int) -> None:
    ours, expected = run[frame]
    found = worst(ours, {name: value for name, value in expected.items() if name not in APART})
    assert {name: d for name, d in found.items() if d > LIMITS.get(name, 0)} == {}


@pytest.mark.parametrize("frame", range(FRAMES))
def test_proposals_are_the_recorded_set_and_classified_alike(run: Run, frame: int) -> None:
    ours, expected = run[frame]
    ours_p, their_p = ours["proposals"], expected["proposals"]
    distance = np.abs(ours_p[:, None, :4] - their_p[None, :, :4]).max(-1)
    partner = distance.argmin(1)
    assert len(set(partner.tolist())) == len(their_p)
    moved = int((partner != np.arange(len(partner))).sum())
    boxes = distance.min(1).max()
    scores = np.abs(ours_p[:, 4] - their_p[partner, 4]).max()
    print(f"proposals: boxes {boxes:.1e} px, scores {scores:.1e}, {moved} in another place")
    assert boxes < 1e-3 and scores < 5e-6 and moved <= 12
    same = np.flatnonzero(partner[:50] == np.arange(50))
    limits = {"cls_score50": 1e-4, "bbox_pred50": 3e-5}
    found = worst({k: ours[k][same] for k in limits}, {k: expected[k][same] for k in limits})
    assert len(same) > 40 and all(found[name] < limit for name, limit in limits.items())


def per_instance(ours: NDArray[Any], expected: NDArray[Any]) -> NDArray[Any]:
    assert ours.shape == expected.shape
    return np.sort(np.abs(ours.astype(np.float64) - expected).reshape(len(expected), -1).max(1))


@pytest.mark.parametrize("frame", range(FRAMES))
def test_refined_masks_agree_but_where_a_prototype_has_no_weight(run: Run, frame: int) -> None:
    ours, expected = run[frame]
    for name, usual, ever in (
        ("refine_preds", 1e-4, 1e-2),
        ("pos_z", 3e-4, 1e-2),
        ("neg_z", 3e-4, 1e-2),
        ("pos_protos", 3e-4, 1e-2),
        ("neg_protos", 3e-4, 1e-2),
    ):
        worst_each = per_instance(ours[name], expected[name])
        print(f"{name:14} median {np.median(worst_each):.1e} worst {worst_each[-1]:.1e}")
        assert worst_each[-2] < usual and worst_each[-1] < ever


@pytest.mark.parametrize("frame", range(FRAMES))
def test_masks_in_the_picture_agree_to_the_pixel_but_one(run: Run, frame: int) -> None:
    ours, expected = run[frame]
    doubtful = np.abs(ours["refine_preds"] - expected["refine_preds"]).max((1, 2)) > 1e-4
    for name in ("refine_masks_packed", "track_masks_packed"):
        pixels = np.unpackbits(ours[name] ^ expected[name], axis=-1).sum((1, 2))
        print(f"{name}: {pixels.sum()} pixels differ, {(pixels > 0).sum()} instances")
        assert pixels.sum() <= 8
        if name == "refine_masks_packed":
            assert pixels[~doubtful].sum() <= 1
    for name in ("track_mask_areas", "segm_result_areas"):
        assert np.abs(ours[name] - expected[name]).sum() <= 8


def test_no_recorded_quantity_is_left_out(run: Run) -> None:
    for ours, expected in run:
        assert set(expected) <= set(ours)
        assert set(LIMITS) | APART <= set(expected)
