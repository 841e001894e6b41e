"""The released form against the recorded runs of the released code, frame by frame (`pytest -rP` prints).

The limits are the table of ../shared/parity/README.md: how far the released code is from itself in other
environments. In float64 nothing of a difference is our own rounding, and the table itself holds; in
float32 two roundings meet, ours and the recorded run's. Where a prototype has almost no weight, its
normalisation amplifies rounding; that concerns at most one instance of a frame.

Any clip below e2e/ that was recorded in the same way, from gen_clip and gen_weights, is compared.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from support.parity import recorded_arrays, recorded_clip, worst
from support.seeded import checksum, seeded_state
from support.shared import PARITY

Arrays = dict[str, NDArray[Any]]
CLIPS = sorted(path.name for path in (PARITY / "e2e").glob("clip*")) or ["clipA"]
SETTINGS = ["tracker.init_score=0.6", "tracker.duplicate_iou=0.4", "released.drift=true"]
FLOAT32, FLOAT64 = 3.0, 1.05  # times the table, whose numbers have two digits
PYRAMID, BOXES, EMBEDS, MASKS, STARTS = 6e-6, 2e-4, 2e-5, 3e-5, 1.4e-5
LIMITS = {  # of the differences, where the table has any; what is not here is equal
    "input_sub": 1e-6, "scale_factor": 1e-7, "c2_stats": PYRAMID,
    "fpn2_before": PYRAMID, "fpn3_before": PYRAMID, "fpn4_before": PYRAMID, "fpn5_before": PYRAMID,
    "fpn6_before": PYRAMID, "fpn2_before_stats": PYRAMID, "fpn3_before_stats": PYRAMID,
    "fpn4_before_stats": PYRAMID, "fpn5_before_stats": PYRAMID, "fpn6_before_stats": PYRAMID,
    "fpn2_after": PYRAMID, "fpn3_after": PYRAMID, "fpn2_after_stats": PYRAMID, "fpn3_after_stats": PYRAMID,
    "bank0": PYRAMID, "bank1": PYRAMID, "bank0_stats": PYRAMID, "bank1_stats": PYRAMID,
    "mus0": 5e-5, "mus1": 5e-5,
    "det_bboxes": BOXES, "match_bboxes": BOXES, "mem_bbox": BOXES, "backdrop_bboxes": BOXES,
    "track_bboxes": BOXES, "mem_velocity": 2 * BOXES,
    "track_feats": EMBEDS, "match_embeds": EMBEDS, "mem_embed": EMBEDS, "backdrop_embeds": EMBEDS,
    "det_mask_logits": MASKS, "det_mask_logits_all": MASKS, "ref_masks": MASKS,
    "det_mask_feats_sub": MASKS, "ref_feats_sub": MASKS, "pos_mu": STARTS, "neg_mu": STARTS,
}  # fmt: skip
APART = {  # compared by the tests below
    "proposals", "cls_score50", "bbox_pred50", "refine_preds", "pos_z", "neg_z", "pos_protos", "neg_protos",
    "refine_masks_packed", "track_masks_packed", "track_mask_areas", "segm_result_areas",
}  # fmt: skip


class Run:
    """One recorded clip: each frame as we compute it from a converted file, and as it was recorded."""

    def __init__(self, clip: str, weights: Path, *, double: bool = False) -> None:
        self.factor = FLOAT64 if double else FLOAT32
        count = max(1, len(list((PARITY / "e2e" / clip).glob("frame*.npz"))))
        expected = [recorded_arrays(f"e2e/{clip}/frame{i}.npz") for i in range(count)]
        source, inside = (expected[0][name][:2].tolist() for name in ("ori_shape", "img_shape"))
        self.frames = list(zip(computed(source, inside, count, weights, double), expected, strict=True))

    def __iter__(self) -> Iterator[tuple[Arrays, Arrays]]:
        for number, frame in enumerate(self.frames):
            print(f"frame {number}")
            yield frame


def computed(
    source: list[int], inside: list[int], count: int, weights: Path, double: bool = False
) -> list[Arrays]:
    """Run a recorded clip of (height, width), shown to the network in another size."""
    from pcan_model.core.config import load_config
    from pcan_model.released.parity.dump import changed
    from pcan_model.released.parity.recorder import record

    settings = [f"input.height={inside[0]}", f"input.width={inside[1]}", *SETTINGS]
    config = changed(load_config("pcan_released_bdd100k"), settings)
    images = recorded_clip().make_clip(*source, count)
    frames = [np.ascontiguousarray(image[..., ::-1]) for image in images]
    return list(record(frames, config, weights, double=double))


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the generated weights, through a checkpoint file and `pcan-convert`."""
    import torch

    from pcan_model.cli.convert import main
    from pcan_model.core.config import load_config
    from pcan_model.released.convert_checkpoint import expected_shapes
    from pcan_model.released.network import ReleasedPCAN

    recorded_clip()  # or skip
    torch.set_num_threads(1)  # two threads wait for each other where others work too
    folder: Path = tmp_path_factory.mktemp("released")
    state = seeded_state(expected_shapes(ReleasedPCAN(load_config("pcan_released_bdd100k"))))
    assert checksum(state) == 0xD8D79ECC
    torch.save({"state_dict": {f"module.{k}": v for k, v in state.items()}}, folder / "released.pth")
    assert main([str(folder / "released.pth"), "--out", str(folder / "weights.safetensors")]) == 0
    return folder / "weights.safetensors"


@pytest.fixture(
    scope="module",
    params=[(clip, False) for clip in CLIPS]
    + [pytest.param((clip, True), marks=pytest.mark.slow) for clip in CLIPS],
    ids=lambda chosen: f"{chosen[0]}-{'float64' if chosen[1] else 'float32'}",
)
def run(request: pytest.FixtureRequest, weights: Path) -> Run:
    clip, double = request.param
    return Run(clip, weights, double=double)


def test_every_quantity_is_the_recorded_one(run: Run) -> None:
    for ours, expected in run:
        found = worst(ours, {name: value for name, value in expected.items() if name not in APART})
        assert {name: d for name, d in found.items() if d > run.factor * LIMITS.get(name, 0)} == {}


def test_proposals_are_the_recorded_set_and_classified_alike(run: Run) -> None:
    for ours, expected in run:
        ours_p, their_p = ours["proposals"], expected["proposals"]
        distance = np.abs(ours_p[:, None, :4] - their_p[None, :, :4]).max(-1)
        partner = distance.argmin(1)
        assert len(set(partner.tolist())) == len(their_p)
        moved = int((partner != np.arange(len(partner))).sum())
        boxes = distance.min(1).max()
        scores = np.abs(ours_p[:, 4] - their_p[partner, 4]).max()
        print(f"proposals: boxes {boxes:.1e} px, scores {scores:.1e}, {moved} in another place")
        assert boxes < run.factor * 4e-4 and scores < run.factor * 1.3e-6 and moved <= 2 * 6
        same = np.flatnonzero(partner[:50] == np.arange(50))
        limits = {"cls_score50": 2.5e-5, "bbox_pred50": 6e-6}
        found = worst({k: ours[k][same] for k in limits}, {k: expected[k][same] for k in limits})
        assert len(same) > 40 and all(found[name] < run.factor * limits[name] for name in limits)


def per_instance(ours: NDArray[Any], expected: NDArray[Any]) -> NDArray[Any]:
    assert ours.shape == expected.shape
    return np.sort(np.abs(ours.astype(np.float64) - expected).reshape(len(expected), -1).max(1))


def test_refined_masks_agree_but_where_a_prototype_has_no_weight(run: Run) -> None:
    for ours, expected in run:
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
            if name == "refine_preds":
                assert np.median(worst_each) < run.factor * 8e-6


def test_masks_in_the_image_agree_but_for_a_pixel_where_rounding_decides(run: Run) -> None:
    for ours, expected in run:
        doubtful = np.abs(ours["refine_preds"] - expected["refine_preds"]).max((1, 2)) > 1e-4
        for name in ("refine_masks_packed", "track_masks_packed"):
            pixels = np.unpackbits(ours[name] ^ expected[name], axis=-1).sum((1, 2))
            print(f"{name}: {pixels.sum()} pixels differ, {(pixels > 0).sum()} instances")
            assert pixels.sum() <= (2 if run.factor == FLOAT64 else 8)
            if name == "refine_masks_packed":
                assert pixels[~doubtful].sum() <= 2
        for name in ("track_mask_areas", "segm_result_areas"):
            assert np.abs(ours[name] - expected[name]).sum() <= 8


def test_no_recorded_quantity_is_left_out(run: Run) -> None:
    for ours, expected in run:
        assert set(expected) <= set(ours)
        if "fpn2_before" in expected:  # the kept-back clip has no pyramid
            assert set(LIMITS) | APART <= set(expected)


@pytest.mark.slow
def test_a_clip_of_another_size_has_the_counts_that_were_told(weights: Path) -> None:
    """Clip B, enlarged by 4/3; its recording is kept back, its counts stand in the README."""
    frames = computed([216, 384], [288, 512], 3, weights)
    assert [(len(f["det_bboxes"]), len(f["match_ids"])) for f in frames] == [(30, 24), (27, 25), (26, 24)]
    assert int(frames[-1]["num_tracklets"]) == 15
    assert all(f["refine_masks_packed"].shape[1:] == (216, 48) for f in frames)
