"""Every recorded array of the released code's parts is compared by a named test, or left out for a reason."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
from support.parity import FOLDER
from support.shared import present

READERS = {  # recorded file: the test module that compares it; more than one where it holds many parts
    "bdd_bitmask": ("released_bitmask",),
    "blocks": ("boxes", "heads", "released_detection", "geometry", "targets"),
    "frame_em": ("released_clustering",),
    "hr_head_plain": ("released_full_resolution",),
    "hr_head_posemb": ("released_full_resolution",),
    "losses": ("losses",),
    "preprocess": ("released_engine",),
    "refine_head_cfg": ("released_refinement",),
    "refine_head_maskref": ("released_refinement",),
    "refine_match": ("released_stages",),
    "tracker_bisoftmax": ("association",),
    "tracker_bisoftmax_gap": ("association",),
    "tracker_cosine": ("association",),
    "tracker_nocats": ("association",),
    "tracker_segfeat": ("association", "released_engine"),
    "tracker_softmax": ("association",),
    "tracker_weak": ("association",),
    "train_pcan": ("released_stages",),
    "train_qdtrack": ("released_stages",),
}
DISABLED_OPTIMIZERS = {  # arrays that no test names, and why
    "bdd_bitmask mode": "the number of channels says RGBA",
    "blocks paste_whole": "paste_bool is this, from 0.5 on; we paste crops, never whole images of numbers",
    "blocks paste_tight": "the same pasted in another way",
    "blocks nms_dets": "the boxes and scores of nms_keep",
    "blocks mc_keep": "rows of a flattened table that we do not make; mc_dets and mc_labels are compared",
    "hr_head_plain rect_b": "an input that the released head takes and does not read",
    "hr_head_posemb rect_b": "the same",
    "losses l2_target_after": "the released loss overwrites its own target, ours does not",
    "tracker_segfeat out_mask_pred": "rows of in_mask_pred, which ref_masks are chosen from",
    "tracker_segfeat out_mask_feats": "rows of in_mask_feats, which ref_feats are chosen from",
    "tracker_segfeat out_embeds": "rows of in_embeds, which mem_embed follows from",
    "tracker_segfeat inds": "the sort order; out_bboxes and out_ids are in it",
    "tracker_segfeat valids": "which rows of the order are kept; out_bboxes are those",
}


def stem(name: str) -> str:
    """Return what a test has to write to name an array: without frame, case, image, layer and level."""
    for prefix in ("sd_", "grad_"):
        if name.startswith(prefix):
            return prefix
    return re.sub(r"^(f\d\d_|[abc]_|(same|up|odd)_)|\d+$", "", name)


def named(array: str, text: str) -> bool:
    """Say whether a test writes an array's name, whole or with its start or end filled in (`"feat_{x}"`)."""
    starts = "|".join(re.escape(array[:i]) for i in range(1, len(array)))
    end = re.escape(array[array.find("_") :])
    whole = re.escape(array)
    return bool(re.search(rf'["}}_]({whole}["{{\d]|({starts})\{{)|\}}{end}"', text))


def source(module: str) -> str:
    (path,) = Path(__file__).parents[1].rglob(f"test_{module}.py")
    return path.read_text()


def files() -> list[Path]:
    return sorted(present(FOLDER).glob("*.npz"))


def test_every_recorded_file_has_a_test_that_reads_it() -> None:
    assert {path.stem for path in files()} == set(READERS)
    for name, modules in READERS.items():
        family, _, case = name.rpartition("_")
        for module in modules:
            text = source(module)
            assert name in text or (f"{family}_{{" in text and f'"{case}"' in text), f"{module}: {name}"


def test_every_recorded_array_is_named_by_a_test_or_left_out_for_a_reason() -> None:
    unnamed = set()
    for path in files():
        text = "\n".join(source(module) for module in READERS[path.stem])
        with np.load(path) as arrays:
            unnamed |= {f"{path.stem} {stem(name)}" for name in arrays if not named(stem(name), text)}
    assert unnamed == set(DISABLED_OPTIMIZERS)
