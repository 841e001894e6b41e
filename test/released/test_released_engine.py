"""The released form behind the tracker: its state is a value, and what was seen before stays out of it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from uuid import UUID

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from support.associating import CONFIG, advance, detections
from support.parity import recorded_arrays, recorded_clip, worst
from support.released import small_released, small_released_config
from support.small import blocks

from pcan_model.cli.parity_dump import main
from pcan_model.core.config import InputConfig
from pcan_model.core.geometry import fit_image
from pcan_model.core.structures import Frame, State
from pcan_model.evaluation.setup import Setup
from pcan_model.released.engine import ReleasedEngine, ReleasedMemory, _references, _update_matched
from pcan_model.released.network import ReleasedPCAN, pad
from pcan_model.released.refinement import MaskedRegions
from pcan_model.tracking.association import match, unique_detections
from pcan_model.tracking.track_management import bank_slots, unchanged_tracks, update_tracks
from pcan_model.tracking.tracker import Tracker

SESSION = UUID(int=1)


def images(count: int = 4, seed: int = 0, height: int = 96, width: int = 160) -> list[NDArray[np.uint8]]:
    """Return a drifting image of coloured blocks."""
    wide = blocks(height, width + 16 * count, seed=seed)[0].numpy()
    return [np.ascontiguousarray(wide[:, 5 * i : 5 * i + width]) for i in range(count)]


def follow(
    engine: ReleasedEngine, frames: list[NDArray[np.uint8]]
) -> tuple[list[State], list[NDArray[np.uint8]]]:
    """Track a clip; returns the state after each frame, and each frame's masks painted by id."""
    tracker = Tracker(engine)
    state, states, painted = tracker.start(SESSION), [], []
    for i, pixels in enumerate(frames):
        state, tracks = tracker.step(state, Frame(pixels, float(i)))
        image = np.zeros(pixels.shape[:2], np.uint8)
        for instance in tracks.found():
            image[instance.mask.full(*image.shape) > 0] = instance.track_id
        states.append(state)
        painted.append(image)
    return states, painted


@pytest.fixture(scope="module")
def net() -> ReleasedPCAN:
    return small_released()


def test_tracks_are_found_and_continued(net: ReleasedPCAN) -> None:
    states, painted = follow(ReleasedEngine(net.config, net), images())
    assert any(track.seen > track.born for track in states[-1].tracks)
    assert all(image.any() for image in painted)


@pytest.mark.parametrize("drift", [False, True])
def test_a_clip_does_not_depend_on_what_was_processed_before(net: ReleasedPCAN, drift: bool) -> None:
    config = replace(net.config, released=replace(net.config.released, drift=drift))
    engine = ReleasedEngine(config, net)
    _, first = follow(engine, images())
    follow(engine, images(seed=7))
    _, again = follow(engine, images())
    assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))


def test_starts_drift_in_the_state_if_they_shall_and_never_in_the_network(net: ReleasedPCAN) -> None:
    stored = {name: buffer.clone() for name, buffer in net.named_buffers()}
    starts = {}
    for drift in (False, True):
        config = replace(net.config, released=replace(net.config.released, drift=drift))
        states, _ = follow(ReleasedEngine(config, net), images(2))
        starts[drift] = states[-1].memory.start.foreground[0]
    assert torch.equal(starts[False], stored["refine.prototypes.pos_mu"])
    assert not torch.equal(starts[True], starts[False])
    assert all(torch.equal(buffer, stored[name]) for name, buffer in net.named_buffers())


def test_a_step_leaves_its_state_as_it_is(net: ReleasedPCAN) -> None:
    tracker, frames = Tracker(ReleasedEngine(net.config, net)), images()
    state, _ = tracker.step(tracker.start(SESSION), Frame(frames[0], 0.0))
    _, once = tracker.step(state, Frame(frames[1], 1.0))
    _, twice = tracker.step(state, Frame(frames[1], 1.0))
    for a, b in zip(once.instances, twice.instances, strict=True):
        assert a.track_id == b.track_id and np.array_equal(a.mask.crop, b.mask.crop)


def test_images_of_another_size_empty_the_bank_and_keep_the_tracks(net: ReleasedPCAN) -> None:
    tracker = Tracker(ReleasedEngine(net.config, net))
    state, _ = tracker.step(tracker.start(SESSION), Frame(images(1)[0], 0.0))
    state, _ = tracker.step(state, Frame(images(1, height=160, width=96)[0], 1.0))
    fresh, _ = tracker.step(tracker.start(SESSION), Frame(images(1, height=160, width=96)[0], 1.0))
    for a, b in zip(state.memory.bank.features, fresh.memory.bank.features, strict=True):
        assert torch.equal(a, b)
    assert len(state.tracks) >= len(fresh.tracks)


def test_a_frame_without_detections_changes_nothing_but_the_bank(net: ReleasedPCAN) -> None:
    engine = ReleasedEngine(net.config, net)
    state, _ = Tracker(engine).step(Tracker(engine).start(SESSION), Frame(images(1)[0], 0.0))
    blind = replace(net.config, heads=replace(net.config.heads, score_threshold=0.999))
    unseeing = small_released(heads={"score_threshold": 0.999})
    unseeing.load_state_dict(net.state_dict())
    after, tracks = Tracker(ReleasedEngine(blind, unseeing)).step(state, Frame(images(2)[1], 1.0))
    assert state.tracks and [t.track_id for t in after.tracks] == [t.track_id for t in state.tracks]
    assert after.unmatched is not state.unmatched or after.unmatched == state.unmatched
    assert [len(b) for b in after.unmatched] == [len(b) for b in state.unmatched]
    assert tracks.found() == () and after.frame_index == 2
    assert not torch.equal(after.memory.bank.features[0], state.memory.bank.features[0])
    assert unchanged_tracks(state, state.unmatched[0].take(np.arange(0))).removed == ()


def test_without_refinement_masks_stay_the_initial_ones(net: ReleasedPCAN) -> None:
    config = replace(net.config, instance_attention=replace(net.config.instance_attention, enabled=False))
    engine, whole = ReleasedEngine(config, net), ReleasedEngine(net.config, net)
    memory = engine.start()
    found, features = engine.detect(images(1)[0], memory)
    kept = unique_detections(found, config.tracker)
    state = State(memory, SESSION)
    assigned = match(kept, (), (), stamp=0.0, config=config.tracker)
    update = update_tracks(state, kept, assigned, stamp=0.0, config=config.tracker)
    slots = bank_slots(update, 0, detections=config.heads.detections, capacity=config.tracker.capacity)
    initial = features.regions.masks.numpy()
    masks, _ = engine.segment(features, slots, memory, remember=True)
    assert np.array_equal(masks, initial)
    masks, following = whole.segment(features, slots, memory, remember=False)
    changed = (masks != initial).any((1, 2))
    assert changed[kept.rows].all() and changed.sum() == len(kept), "dropped duplicates keep theirs"
    assert following.bank is memory.bank


def test_references_are_those_of_the_recorded_tracker() -> None:
    record = recorded_arrays("unit/tracker_segfeat.npz")
    count = sum(name.endswith("_in_labels") for name in record)
    engine = ReleasedEngine(small_released_config(), small_released())
    state, memory = State(None, SESSION), engine.start()
    for frame in range(count):
        boxes, labels, embeds, masks, features = (
            record[f"f{frame:02d}_in_{key}"]
            for key in ("bboxes", "labels", "embeds", "mask_pred", "mask_feats")
        )
        found = detections(boxes[:, :4], boxes[:, 4], labels, embeds)
        kept = unique_detections(found, CONFIG)
        now = replace(state, frame_index=frame)
        assigned = match(kept, now.tracks, now.unmatched, stamp=float(frame), config=CONFIG)
        update = update_tracks(now, kept, assigned, stamp=float(frame), config=CONFIG)
        slots = bank_slots(update, frame, detections=len(found), capacity=CONFIG.capacity)
        own = torch.from_numpy(masks[np.arange(len(labels)), labels])
        regions, rows = MaskedRegions(torch.from_numpy(features), own), torch.from_numpy(kept.rows)
        seen = _references(MaskedRegions(regions.features[rows], regions.masks[rows]), rows, slots, memory)
        expected = record[f"f{frame:02d}_ref_masks"]
        theirs = {
            "features": record[f"f{frame:02d}_ref_feats"],
            "masks": expected[np.arange(len(expected)), kept.labels],
        }
        assert max(worst({"features": seen.features, "masks": seen.masks}, theirs).values()) == 0
        memory = replace(memory, matched=_update_matched(regions, slots, memory))
        _, state, _ = advance(state, found, frame, CONFIG)


@pytest.mark.parametrize(
    ("source", "limit", "size"),
    [((280, 500), (280, 500), (280, 500)), ((216, 384), (288, 512), (288, 512)),
     ((270, 480), (207, 333), (187, 333)), ((720, 1280), (720, 1296), (720, 1280)),
     ((480, 270), (207, 333), (333, 187))],
)  # fmt: skip
def test_images_fit_within_the_limit_lying_or_standing(
    source: tuple[int, int], limit: tuple[int, int], size: tuple[int, int]
) -> None:
    config = InputConfig(fit="resize", height=limit[0], width=limit[1])
    fitted = fit_image((*source, 3), config)
    assert fitted.size == size
    assert fitted.apply(np.zeros((*source, 3), np.uint8)).shape == (*size, 3)


@pytest.mark.parametrize(
    ("name", "source", "limit"),
    [("same", (280, 500), (280, 500)), ("up", (216, 384), (288, 512)), ("odd", (270, 480), (207, 333))],
)
def test_preprocessing_is_the_recorded_one(
    net: ReleasedPCAN, name: str, source: tuple[int, int], limit: tuple[int, int]
) -> None:
    arrays = {k: v for k, v in recorded_arrays("unit/preprocess.npz").items() if k.startswith(name)}
    frame = np.ascontiguousarray(recorded_clip().make_clip(*source, 1)[0][..., ::-1])
    fitted = fit_image(frame.shape, InputConfig(fit="resize", height=limit[0], width=limit[1]))
    x = pad(net.normalise(torch.from_numpy(fitted.apply(frame))[None]))
    scale = fitted.scale * 2
    ours = {
        f"{name}_shape": np.array(x.shape), f"{name}_img_shape": np.array([*fitted.size, 3]),
        f"{name}_pad_shape": np.array([*x.shape[2:], 3]), f"{name}_scale_factor": np.array(scale),
        f"{name}_sub": x[0, :, ::3, ::3],
    }  # fmt: skip
    assert max(worst(ours, {key: arrays[key] for key in ours}).values()) < 1e-5
    assert x.double().sum().item() == pytest.approx(float(arrays[f"{name}_sum"]), rel=1e-5)
    assert x.double().abs().sum().item() == pytest.approx(float(arrays[f"{name}_abs"]), rel=1e-6)


def test_evaluation_opens_the_released_form(tmp_path: Path) -> None:
    import yaml

    from pcan_model.core.config import config_to_dict
    from pcan_model.model import checkpoint

    net = small_released()
    checkpoint.save(tmp_path / "w.safetensors", net, net.config, {})
    (tmp_path / "c.yaml").write_text(yaml.safe_dump(config_to_dict(net.config)))
    engine = Setup(str(tmp_path / "c.yaml"), weights=tmp_path / "w.safetensors").make_engine()
    assert isinstance(engine, ReleasedEngine) and isinstance(engine.start(), ReleasedMemory)


def test_a_dump_holds_every_frame_and_bad_input_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from pcan_model.model import checkpoint

    net = small_released()
    weights, clip = tmp_path / "w.safetensors", tmp_path / "clip.npy"
    checkpoint.save(weights, net, net.config, {})
    np.save(clip, np.stack(images(2)))
    common = ["--weights", str(weights), "--out", str(tmp_path / "out")]
    assert main([str(clip), *common, "--set", "tracker.init_score=0.25", "released.drift=true"]) == 0
    with np.load(tmp_path / "out" / "frame1.npz") as arrays:
        assert len(arrays["det_bboxes"]) == len(arrays["track_feats"]) > 0
    assert main([str(clip), *common, "--set", "tracker.unknown=1"]) == 2
    assert main([str(tmp_path / "no.png"), *common]) == 2
    errors = capsys.readouterr().err.splitlines()
    lines = [line for line in errors if line.startswith("parity_dump: ")]
    assert "expected part.key=value" in lines[0] and "no.png" in lines[1]


def test_a_clip_without_any_detection_is_dumped_too() -> None:
    from pcan_model.released.parity.recorder import record

    net = small_released(heads={"score_threshold": 0.999})
    for arrays in record(images(2), net.config, net):
        assert arrays["det_bboxes"].shape == (0, 5) and arrays["refine_masks_packed"].shape[0] == 0
