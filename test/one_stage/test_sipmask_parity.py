"""SipMask beside every recorded array of the public code (`pytest -rP` prints the differences).

Any clip below e2e/ that was recorded in the same way is compared without further ado.
"""

from __future__ import annotations

import json
import re
import zlib
from pathlib import Path

import numpy as np
import pytest
from support.sipmask import SIPMASK, recorded_file

torch = pytest.importorskip("torch")

from pcan_model.sipmask.names import public_names  # noqa: E402
from pcan_model.sipmask.parity.__main__ import main, report  # noqa: E402
from pcan_model.sipmask.parity.files import compare_file, compare_place  # noqa: E402
from pcan_model.sipmask.parity.weights import (  # noqa: E402
    generated,
    generated_network,
    random_maps,
)

UNITS = (
    "align", "backbone", "decode_empty", "decode_few", "decode_many", "decode_many1", "decode_neg",
    "decode_noscale", "decode_same", "decode_ties", "decode_zero", "fpn", "head_a", "head_b",
    "losses_flat_fault", "losses_gen", "losses_init", "losses_noobj", "losses_noobj_fault", "losses_open",
    "losses_outside", "losses_outside_repaired", "masks_down", "masks_noscale", "masks_one", "masks_outside",
    "masks_up", "nms", "targets", "track_centres", "track_dense", "track_empty", "track_story",
)  # fmt: skip
CLIPS = sorted(path.name for path in (SIPMASK / "e2e").glob("clip*")) or ["clipA"]
INPUTS = {  # what a recorded file's arrays are computed from; all others are compared
    "backbone": r"[ab]_hw",
    "fpn": r"[ab]_hw",
    r"head_\w": "input_hw",
    "align": "",
    r"decode_\w+": r"(cls|reg|ctr)[0-4]|input_hw|img_shape|scale_factor|rescale|score_thr",
    "nms": r"\w+_(boxes|scores|thr_max_topk)",
    r"masks_\w+": "basis|cof|det_bboxes|img_shape|ori_shape|scale_factor|rescale",
    "track_centres": "boxes",
    r"track_\w+": r"first|scale_factor|f\d+_(det|labels|map)",
    "targets": r"input_hw|names|crowd_ignored|[a-z]+_(boxes|labels)",
    r"losses_\w+": r"gt_(boxes|labels|pids)\d|gt_masks\d_packed|ref_boxes\d",
    r"frame\d+": "frame",
}


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> None:
    torch.set_num_threads(1)


def is_input(stem: str, array: str) -> bool:
    patterns = next(arrays for name, arrays in INPUTS.items() if re.fullmatch(name, stem))
    return bool(re.fullmatch(patterns, array))


def check(recording: object) -> None:
    from pcan_model.sipmask.parity.recording import Recording

    assert isinstance(recording, Recording)
    wrong = report(recording, quiet=False)
    assert wrong == 0
    assert recording.agrees
    outputs = {name for name in recording.arrays if not is_input(recording.path.stem, name)}
    assert recording.compared == outputs


@pytest.mark.parametrize("name", UNITS)
def test_every_array_of_a_unit_file_is_compared_and_is_the_recorded_one(name: str) -> None:
    check(compare_file(recorded_file(f"unit/{name}.npz")))


@pytest.mark.parametrize("clip", CLIPS)
def test_every_array_of_a_clip_is_compared_and_is_the_recorded_one(clip: str) -> None:
    folder = recorded_file(f"e2e/{clip}/frame0.npz").parent
    scale = (160, 96) if clip == "clipA" else None
    recordings = list(compare_place(folder, scale=scale))
    assert len(recordings) == len(list(folder.glob("*.npz")))
    for recording in recordings:
        check(recording)


def test_no_recorded_file_is_left_out() -> None:
    recorded_file("keys.json")
    assert sorted(path.stem for path in (SIPMASK / "unit").glob("*.npz")) == sorted(UNITS)
    assert len(UNITS) + len(list((SIPMASK / "e2e" / "clipA").glob("*.npz"))) == 37


def test_the_network_has_the_recorded_tensors() -> None:
    keys = json.loads(recorded_file("keys.json").read_text())
    state, names = generated_network().state_dict(), public_names(generated_network())
    ours = [[public, list(state[own].shape), str(state[own].dtype)[6:]] for public, own in names.items()]
    assert ours == keys
    assert sum(p.numel() for p in generated_network().parameters()) == 33_433_394


CHECKSUMS = (("gen", 0x582BA82), ("init", 0x6E12BD7E), ("open", 0x2BD3035C))


@pytest.mark.parametrize(("kind", "checksum"), CHECKSUMS)
def test_generated_weights_have_the_checksums_of_the_readme(kind: str, checksum: int) -> None:
    net = generated_network()
    shapes = {public: tuple(net.state_dict()[own].shape) for public, own in public_names(net).items()}
    total = 0
    for array in generated(shapes, kind).values():
        total = zlib.crc32(np.ascontiguousarray(array).tobytes(), total)
    assert total == checksum


def test_generated_maps_have_the_checksum_of_the_readme() -> None:
    assert zlib.crc32(random_maps("check", (2, 3, 4)).tobytes()) == 0x82F0A08A


def altered(source: Path, target: Path, **changes: object) -> Path:
    """Copy a recorded file with some arrays changed or added."""
    with np.load(source) as arrays:
        np.savez(target, **{**arrays, **changes})
    return target


def test_an_array_that_nobody_compares_fails_the_command(tmp_path: Path) -> None:
    source = recorded_file("unit/nms.npz")
    assert main([str(altered(source, tmp_path / "nms.npz"))]) == 0
    assert main([str(altered(source, tmp_path / "nms.npz", further=np.zeros(3)))]) == 1


def test_another_number_fails_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = recorded_file("unit/nms.npz")
    wrong = np.load(source)["random_index"] + np.eye(1, 10, 4, dtype=np.int64)[0]
    assert main([str(altered(source, tmp_path / "nms.npz", random_index=wrong))]) == 1
    assert re.search(r"random_index +equal +1.0e\+00  DISAGREES", capsys.readouterr().out)


def test_the_command_says_in_one_line_that_there_is_nothing_to_compare(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([str(tmp_path)]) == 2
    np.savez(tmp_path / "unknown.npz", x=np.zeros(1))
    assert main([str(tmp_path)]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 2
