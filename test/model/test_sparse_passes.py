"""Heads only where something was found: the numbers of the padded passes, for the rows that count."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from support.small import HEIGHT, WIDTH, blocks, small_config, small_net
from torch import Tensor

from pcan_model.core.structures import Slots
from pcan_model.inference.onnx_engine import OnnxEngine
from pcan_model.inference.torch_engine import TorchEngine, empty_memory
from pcan_model.model.pass_names import REGION_LEVELS
from pcan_model.model.pass_signature import state_shapes, static
from pcan_model.model.passes import FramePass, InstancePass
from pcan_model.model.pcan import PCAN
from pcan_model.model.sparse_passes import SparseFramePass, SparseInstancePass

if TYPE_CHECKING:
    from collections.abc import Callable

    from pcan_model.core.engine import Engine

D, M = 12, 16
OWNED = {0: 3, 2: 7, 5: 1}  # detection: bank row; what is tracked


def slots(owned: dict[int, int], detections: int = D, capacity: int = M) -> Slots:
    """Return bookkeeping in which detection d owns bank row owned[d]; only the first is fresh."""
    slot, fresh = np.zeros(detections, np.int64), np.ones(detections, np.float32)
    owner, has = np.zeros(capacity, np.int64), np.zeros(capacity, np.float32)
    for row, bank_row in owned.items():
        slot[row], fresh[row] = bank_row, float(row == 0)
        owner[bank_row], has[bank_row] = row, 1
    return Slots(slot, fresh, owner, has)


def look(net: PCAN, kind: Callable[[PCAN], torch.nn.Module]) -> tuple[Tensor, ...]:
    memory = empty_memory(static(net))
    with torch.inference_mode():
        out: tuple[Tensor, ...] = kind(net).eval()(blocks(HEIGHT, WIDTH), *memory.frames)
    return out


def refine(net: PCAN, owned: dict[int, int]) -> tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor]]:
    """Return masks and bank of the padded passes and of the sparse ones."""
    padded, sparse = look(net, FramePass), look(net, SparseFramePass)
    bank = torch.randn(state_shapes(net.config)[1]["bank"], generator=torch.Generator().manual_seed(0))
    own = slots(owned)
    choice = [torch.from_numpy(x) for x in (own.slot, own.fresh, own.owner, own.has)]
    with torch.inference_mode():
        whole = InstancePass(net).eval()(padded[4], padded[5], bank, *choice)
        part = SparseInstancePass(net).eval()(*sparse[4:8], sparse[0], sparse[2], bank, *choice)
    return whole, part


def test_a_frame_is_seen_as_the_padded_pass_sees_it(sparse_net: PCAN) -> None:
    padded, sparse = look(sparse_net, FramePass), look(sparse_net, SparseFramePass)
    found = padded[1] > 0
    assert 0 < found.sum() < D
    for i, tolerance in enumerate((1e-2, 1e-4, 0)):  # boxes, scores, labels; regions are pooled otherwise
        torch.testing.assert_close(sparse[i], padded[i], atol=tolerance, rtol=0)
    torch.testing.assert_close(sparse[3][found], padded[3][found], atol=1e-3, rtol=1e-3)
    assert not sparse[3][~found].any()
    for a, b in zip(padded[-4:], sparse[-4:], strict=True):  # settled, memory
        assert torch.equal(a, b)


def test_tracked_detections_get_the_masks_and_prototypes_of_the_padded_pass(sparse_net: PCAN) -> None:
    (masks, bank), (lean_masks, lean_bank) = refine(sparse_net, OWNED)
    rows = list(OWNED)
    torch.testing.assert_close(lean_masks[rows], masks[rows], atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(lean_bank, bank, atol=1e-5, rtol=1e-5)
    others = [row for row in range(D) if row not in rows]
    assert masks[others].any() and not lean_masks[others].any()


def test_without_instance_attention_the_initial_masks_are_final() -> None:
    net = small_net(small_config(instance_attention={"enabled": False}))
    (masks, bank), (lean_masks, lean_bank) = refine(net, OWNED)
    torch.testing.assert_close(lean_masks[list(OWNED)], masks[list(OWNED)])
    assert torch.equal(bank, lean_bank)


def test_one_exported_pass_is_torchs_pass(sparse_net: PCAN, sparse_exported: Path) -> None:
    from pcan_model.export.agreement import agreement

    worst = agreement(sparse_net, sparse_exported, frames=1)
    assert worst["labels"] == worst["nms_ok"] == 0
    assert (
        worst["boxes"] < 0.02 and worst["embeds"] < 0.01 and all(worst[name] < 0.01 for name in REGION_LEVELS)
    )


def openvino(folder: Path) -> Engine:
    pytest.importorskip("openvino")
    from pcan_model.inference.openvino_engine import OpenVinoEngine

    return OpenVinoEngine(folder, 1)


@pytest.mark.parametrize("make", [lambda folder: OnnxEngine(folder, 1), openvino])
def test_exported_it_runs_on_any_number_of_tracks_as_in_torch(
    sparse_net: PCAN, sparse_exported: Path, make: Callable[[Path], Engine]
) -> None:
    engine, torchs = make(sparse_exported), TorchEngine(sparse_net)
    pixels = blocks(HEIGHT, WIDTH, 3)[0].numpy()
    ours, theirs = engine.start(), torchs.start()
    for owned in ({}, OWNED, {0: 3}, {row: row + 1 for row in range(D)}):
        found, features = engine.detect(pixels, ours)
        expected, others = torchs.detect(pixels, theirs)
        np.testing.assert_allclose(found.embeds, expected.embeds, atol=1e-3)
        masks, ours = engine.segment(features, slots(owned), ours, remember=True)
        expected_masks, theirs = torchs.segment(others, slots(owned), theirs, remember=True)
        np.testing.assert_allclose(masks, expected_masks, atol=1e-3)
        assert masks.any() == bool(owned)


def test_an_image_without_objects_runs_too() -> None:
    net = small_net(small_config(heads={"score_threshold": 0.9999}))
    padded, sparse = look(net, FramePass), look(net, SparseFramePass)
    assert not sparse[1].any() and sparse[3].isfinite().all()
    assert torch.equal(padded[-3], sparse[-3])
