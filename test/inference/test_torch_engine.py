"""The reference engine: memories are values, rows are where they were."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest
import torch
from support.small import HEIGHT, WIDTH, blocks, small_config, small_net

from pcan_model.core.structures import Slots
from pcan_model.factory import load_engine
from pcan_model.inference.torch_engine import TorchEngine, TorchMemory, empty_memory
from pcan_model.model import checkpoint

D, M = 12, 16


@pytest.fixture(scope="module")
def engine() -> TorchEngine:
    net = small_net(small_config(heads={"score_threshold": 0.65}))
    return TorchEngine(net)


def image(seed: int = 0) -> np.ndarray:
    return blocks(HEIGHT, WIDTH, seed)[0].numpy()


def slots(owned: dict[int, int], fresh: float = 1) -> Slots:
    """Return bookkeeping in which detection d owns bank row owned[d]."""
    slot, news = np.zeros(D, np.int64), np.ones(D, np.float32)
    owner, has = np.zeros(M, np.int64), np.zeros(M, np.float32)
    for row, bank_row in owned.items():
        slot[row], news[row] = bank_row, fresh
        owner[bank_row], has[bank_row] = row, 1
    return Slots(slot, news, owner, has)


def equal(a: TorchMemory, b: TorchMemory) -> bool:
    return all(torch.equal(x, y) for x, y in zip(tensors(a), tensors(b), strict=True))


def tensors(memory: TorchMemory) -> tuple[torch.Tensor, ...]:
    return *memory.frames, *memory.bank


def test_a_camera_that_has_seen_nothing_has_an_empty_memory(engine: TorchEngine) -> None:
    memory = engine.start()
    assert not any(tensor.any() for tensor in tensors(memory))
    assert memory.bank[0].shape == (M, 9, 8) and memory.frames[2].shape == (3,)
    assert equal(memory, empty_memory(engine.signature))


def test_detections_are_without_padding_and_say_their_rows(engine: TorchEngine) -> None:
    found, features = engine.detect(image(), engine.start())
    assert 0 < len(found) < D and features.features[4].shape == (D, 4), "boxes, behind four levels"
    assert (found.scores > 0.65).all()
    assert found.rows.tolist() == list(range(len(found)))
    kinds = {f.name: getattr(found, f.name).dtype for f in fields(found)}
    assert kinds == {
        "boxes": np.float32, "scores": np.float32, "labels": np.int64, "embeds": np.float32, "rows": np.int64
    }  # fmt: skip


def test_a_memory_is_a_value_that_nothing_changes(engine: TorchEngine) -> None:
    memory = engine.start()
    _, features = engine.detect(image(), memory)
    _, second = engine.segment(features, slots({0: 3}), memory, remember=True)
    kept = TorchMemory(*(tuple(t.clone() for t in getattr(second, f.name)) for f in fields(TorchMemory)))
    _, features = engine.detect(image(1), second)
    _, third = engine.segment(features, slots({0: 3}, fresh=0), second, remember=True)
    assert equal(memory, engine.start()) and equal(second, kept) and not equal(third, second)


def test_a_frame_is_remembered_only_where_asked(engine: TorchEngine) -> None:
    memory = engine.start()
    _, features = engine.detect(image(), memory)
    _, kept = engine.segment(features, slots({0: 3}), memory, remember=False)
    _, advanced = engine.segment(features, slots({0: 3}), memory, remember=True)
    assert kept.frames[2].tolist() == [0, 0, 0] and advanced.frames[2].tolist() == [1, 0, 0]
    assert torch.equal(kept.bank[0], advanced.bank[0]) and kept.bank[0][3].any()


def test_rows_of_the_bank_that_nobody_owns_stay(engine: TorchEngine) -> None:
    _, features = engine.detect(image(), engine.start())
    logits, memory = engine.segment(features, slots({2: 7}), engine.start(), remember=True)
    assert logits.shape == (D, 28, 28) and logits.dtype == np.float32
    assert memory.bank[0].flatten(1).any(1).nonzero()[:, 0].tolist() == [7]


def test_two_cameras_share_an_engine_and_no_memory(engine: TorchEngine) -> None:
    alone, _ = engine.detect(image(1), engine.start())
    _, features = engine.detect(image(), engine.start())
    engine.segment(features, slots({0: 3}), engine.start(), remember=True)
    again, _ = engine.detect(image(1), engine.start())
    assert np.array_equal(alone.scores, again.scores) and np.array_equal(alone.boxes, again.boxes)


def test_another_image_size_is_refused(engine: TorchEngine) -> None:
    with pytest.raises(ValueError, match=r"image: expected \(128, 192, 3\), got \(128, 128, 3\)"):
        engine.detect(np.zeros((128, 128, 3), np.uint8), engine.start())


def test_a_checkpoint_does_as_the_network_it_was_made_from(engine: TorchEngine, tmp_path: Path) -> None:
    net = small_net(engine.config)
    checkpoint.save(tmp_path / "w.safetensors", net, net.config, {})
    other = load_engine(net.config, tmp_path / "w.safetensors")
    a, b = (e.detect(image(), e.start())[0] for e in (engine, other))
    assert np.array_equal(a.boxes, b.boxes) and np.array_equal(a.embeds, b.embeds)
