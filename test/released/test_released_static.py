"""The released form with static shapes: it tracks as the dynamic one does, in torch and exported."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
import yaml
from support.moving import track
from support.released import dimmed, fixed_released

from pcan_model.cli import export as command
from pcan_model.core.config import ConfigError, config_to_dict
from pcan_model.core.structures import Tracks, TrackState
from pcan_model.export import checkpoint_export
from pcan_model.export.agreement import agreement
from pcan_model.export.model_folder import export
from pcan_model.export.options import ExportOptions
from pcan_model.inference.errors import WrongCamera
from pcan_model.inference.host_engine import HostEngine
from pcan_model.inference.onnx_engine import OnnxEngine
from pcan_model.inference.torch_engine import TorchEngine, empty_memory
from pcan_model.model import checkpoint
from pcan_model.model.pass_signature import MakeSignature
from pcan_model.released.engine import ReleasedEngine
from pcan_model.released.network import ReleasedPCAN
from pcan_model.released.static import grid_sample, static


def same(ours: list[Tracks], theirs: list[Tracks]) -> None:
    """Assert that all tracks and masks are the same, but for pixels on the threshold."""
    continued = 0
    for a, b in zip(ours, theirs, strict=True):
        summaries = [[(i.track_id, i.state, i.label, i.age) for i in t.instances] for t in (a, b)]
        assert summaries[0] == summaries[1]
        continued += sum(i.state == TrackState.TRACKED for i in a.instances)
        for x, y in zip(a.instances, b.instances, strict=True):
            np.testing.assert_allclose(x.box, y.box, atol=0.05)
            different = x.mask.full(a.height, a.width) != y.mask.full(a.height, a.width)
            assert different.sum() <= max(2, 0.002 * different.size)
    assert continued >= 8, "nothing was continued: this would show nothing of the memory"


@pytest.mark.parametrize(
    ("signature", "parts"),
    [
        (static, {}),
        (grid_sample, {}),
        (static, {"heads": {"cell_samples": 0}}),
        (grid_sample, {"released": {"reference_mask": True}}),
        (static, {"frame_attention": {"enabled": False}}),
    ],
    ids=["operator", "sampled", "as many samples as pixels", "reference mask", "no frame memory"],
)
def test_in_static_shapes_it_tracks_as_in_those_of_the_image(
    signature: MakeSignature, parts: dict[str, dict[str, object]]
) -> None:
    net, frames = fixed_released(**parts), dimmed()
    same(track(TorchEngine(net, signature), frames), track(ReleasedEngine(net.config, net), frames))


def test_before_the_first_frame_memory_may_hold_anything(released_net: ReleasedPCAN) -> None:
    signature, image = static(released_net), torch.from_numpy(dimmed()[0].image)[None]
    *past, valid = empty_memory(signature).frames
    with torch.inference_mode():
        clean = signature.frame(image, *past, valid)
        dirty = signature.frame(image, *(torch.full_like(part, torch.nan) for part in past), valid)
        later = signature.frame(image, *clean[-len(past) - 1 :])
    assert all(torch.equal(a, b) for a, b in zip(clean, dirty, strict=True))
    assert clean[-1].tolist() == [1] and not torch.equal(clean[3], later[3])


def test_rows_that_no_track_writes_stay_and_fresh_ones_are_not_read(released_net: ReleasedPCAN) -> None:
    signature = grid_sample(released_net)
    heads, bank = released_net.config.heads, empty_memory(signature).bank
    d, m, s = heads.detections, len(bank[0]), heads.mask_size
    features, masks = torch.randn(d, 16, s, s), torch.randn(d, 2 * s, 2 * s)
    old = [torch.randn_like(part) for part in bank]
    slot, owner, has = torch.arange(d), torch.zeros(m, dtype=torch.long), torch.zeros(m)
    owner[7], has[7] = 3, 1
    with torch.inference_mode():
        refined, *new = signature.instance(features, masks, *old, slot, torch.ones(d), owner, has)
        first, *_ = signature.instance(features, masks, *bank, slot, torch.ones(d), owner, has)
        read, *_ = signature.instance(features, masks, *old, slot, torch.zeros(d), owner, has)
    for before, after in zip(old, new, strict=True):
        assert (before != after).flatten(1).any(1).nonzero()[:, 0].tolist() == [7]
    assert torch.equal(refined, first) and not torch.allclose(refined, read)


def test_what_is_kept_of_a_track_is_far_less_than_its_region() -> None:
    net = fixed_released()
    kept = sum(int(np.prod(shape[1:])) for shape in static(net).bank.values())
    cells = net.config.heads.mask_size**2
    assert kept < (net.config.backbone.channels * cells + 4 * cells) / 5


def test_the_graphs_agree_with_the_operator_in_torch(released: Path, released_net: ReleasedPCAN) -> None:
    worst = agreement(released_net, released, frames=3)
    assert worst["labels"] == worst["nms_ok"] == worst["valid_next"] == 0
    assert worst["boxes"] < 0.02 and worst["scores"] < 1e-3 and worst["mask_logits"] < 0.01
    assert worst["mean_p2_next"] < 1e-3 and worst["start_p3_next"] < 1e-3


def openvino(folder: Path) -> HostEngine:
    pytest.importorskip("openvino")
    from pcan_model.inference.openvino_engine import OpenVinoEngine

    return OpenVinoEngine(folder, 1)


@pytest.mark.parametrize("make", [lambda folder: OnnxEngine(folder, 1), openvino])
def test_exported_it_tracks_as_the_dynamic_one(
    released: Path, released_net: ReleasedPCAN, make: Callable[[Path], HostEngine]
) -> None:
    frames, engine = dimmed(), make(released)
    same(track(engine, frames), track(ReleasedEngine(released_net.config, released_net), frames))
    assert engine.nms_ok


def test_the_graphs_read_regions_by_sampling_and_need_no_plugin(released: Path) -> None:
    manifest = json.loads((released / "manifest.json").read_text())
    assert (manifest["roi"], manifest["opset"], manifest["config"]["variant"]) == (
        "gridsample",
        19,
        "released",
    )
    for name, samplers in (("frame", 3), ("instance", 0)):
        graph = onnx.load(released / f"{name}.onnx", load_external_data=False).graph
        kinds = [node.op_type for node in graph.node]
        assert kinds.count("GridSample") == samplers
        assert not {"RoiAlign", "NonMaxSuppression", "NonZero", "ScatterND"} & set(kinds)


def test_a_camera_of_other_proportions_is_named(released: Path) -> None:
    engine = OnnxEngine(released, 1)
    with pytest.raises(
        WrongCamera, match=r"expected 114 x 190 .*, got 114 x 152: pcan-export --size 114 152"
    ):
        engine.detect(np.zeros((114, 152, 3), np.uint8), engine.start())


@pytest.mark.parametrize(
    ("parts", "options", "message"),
    [
        ({"released": {"drift": True}}, {}, "released.drift: expected false"),
        ({"heads": {"cell_samples": 0}}, {}, "heads.cell_samples: expected 2 with --roi gridsample, got 0"),
        ({}, {"cameras": 2}, "--cameras 2: expected 1 for the released variant"),
        ({"instance_attention": {"enabled": False}}, {}, "instance_attention.enabled: expected true"),
    ],
)
def test_what_static_graphs_do_not_do_is_refused(
    tmp_path: Path, parts: dict[str, dict[str, object]], options: dict[str, int], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        export(fixed_released(**parts), tmp_path / "model", ExportOptions(roi="gridsample", **options))
    assert not (tmp_path / "model").exists()


def test_the_command_fixes_size_and_samples_and_says_how_alike_it_tracks(
    released_net: ReleasedPCAN,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    free = replace(
        released_net.config,
        input=replace(released_net.config.input, height=120, width=190),
        heads=replace(released_net.config.heads, cell_samples=0),
    )
    (tmp_path / "small.yaml").write_text(yaml.safe_dump(config_to_dict(free)))
    checkpoint.save(tmp_path / "w.safetensors", released_net, free, {})
    made: list[ReleasedPCAN] = []
    monkeypatch.setattr(checkpoint_export, "export", lambda net, folder, *_, **__: made.append(net) or folder)
    monkeypatch.setattr(checkpoint_export, "_compared", lambda *_: iter(()))
    weights = ["--weights", str(tmp_path / "w.safetensors"), "--out", str(tmp_path / "model")]
    command.main([str(tmp_path / "small.yaml"), *weights, "--roi", "gridsample"])
    command.main([*weights, "--size", "120", "150"])
    sizes = [(net.config.input.height, net.config.input.width, net.config.heads.cell_samples) for net in made]
    assert sizes == [(107, 190, 2), (120, 150, 0)]
