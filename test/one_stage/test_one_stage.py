"""One-stage PCAN: the detector's own answers until something is learnt, and the passes of all other forms."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
from support.one_stage import one_stage_config, one_stage_net
from support.small import HEIGHT, WIDTH, blocks
from torch import Tensor
from torchvision.ops import batched_nms

from pcan_model.core.config import ConfigError, config_from_dict, config_to_dict, load_config
from pcan_model.core.geometry import fit_image
from pcan_model.evaluation.predict import predict_clip
from pcan_model.export.agreement import agreement
from pcan_model.export.cameras import several
from pcan_model.export.model_folder import export
from pcan_model.export.options import ExportOptions
from pcan_model.factory import make_net
from pcan_model.inference.onnx_engine import OnnxEngine
from pcan_model.inference.torch_engine import TorchEngine, empty_memory
from pcan_model.model.checkpoint import load_weights, save
from pcan_model.model.pass_names import REGION_LEVELS
from pcan_model.model.pass_signature import grid_sample, sparse, static
from pcan_model.model.pcan import PCAN
from pcan_model.one_stage.cells import decode_cells, grid
from pcan_model.one_stage.pcan import YoloxPCAN
from pcan_model.one_stage.yolox import Darknet, every_other
from pcan_model.synthetic.drive import SyntheticDrive
from pcan_model.tracking.tracker import Tracker

PRESET = "pcan_street"


def looks(net: YoloxPCAN, frames: int = 3, layout=static) -> list[tuple[Tensor, ...]]:  # type: ignore[no-untyped-def]
    """Run the frame pass over different images, its memory carried along."""
    made = layout(net)
    memory, said = empty_memory(made).frames, []
    for seed in range(frames):
        with torch.inference_mode():
            out = made.frame(blocks(HEIGHT, WIDTH, seed=seed), *memory)
        memory = out[-3:]
        said.append(out)
    return said


def test_untrained_it_finds_bit_for_bit_what_the_detector_finds_whatever_it_remembers() -> None:
    net = one_stage_net(awake=False)
    for seed, out in enumerate(looks(net)):
        with torch.inference_mode():
            alone = net.detect(net.complete(net.features(blocks(HEIGHT, WIDTH, seed=seed))), None)  # type: ignore[arg-type]
        for ours, theirs in zip(out[:3], (alone.boxes, alone.scores, alone.labels), strict=True):
            assert torch.equal(ours, theirs)


def test_a_memory_that_has_learnt_changes_the_scores() -> None:
    net = one_stage_net()
    first, second, _ = looks(net)
    alone = net.detect(net.complete(net.features(blocks(HEIGHT, WIDTH, seed=1))), None)  # type: ignore[arg-type]
    assert first[1].max() > 0
    assert not torch.equal(second[1], alone.scores)


def test_small_objects_are_pooled_from_a_level_that_has_read_the_memory() -> None:
    net = one_stage_net()
    levels = net.features(blocks(HEIGHT, WIDTH))
    moved = [levels[0], levels[1] + 1, *levels[2:]]
    assert net.complete(levels)[0].shape[-2:] == (HEIGHT // 4, WIDTH // 4)
    torch.testing.assert_close(net.complete(moved)[0], net.complete(levels)[0] + 1)


def test_detection_is_decoding_and_class_wise_suppression_of_the_best_cells() -> None:
    net = one_stage_net(one_stage_config(heads={"detections": 16, "score_threshold": 0.3}))
    levels = net.complete(net.features(blocks(HEIGHT, WIDTH, seed=3)))
    with torch.inference_mode():
        made = net.detect(levels, None)  # type: ignore[arg-type]
        cells = net.cells(levels)
    best, kinds = cells.scores()[0].max(1)
    whole = decode_cells(cells.offsets[0], net.grid(levels))
    whole[:, 0::2].clamp_(0, WIDTH)
    whole[:, 1::2].clamp_(0, HEIGHT)
    top = best.topk(64).indices
    kept = top[batched_nms(whole[top], best[top], kinds[top], net.config.heads.nms_iou)][:16]
    kept = kept[best[kept] > 0.3]
    boxes, scores, labels = made.boxes, made.scores, made.labels
    found = scores > 0
    assert made.converged
    assert 0 < found.sum() == len(kept)
    torch.testing.assert_close(scores[found], best[kept])
    torch.testing.assert_close(boxes[found], whole[kept])
    assert torch.equal(labels[found], kinds[kept])


def test_a_cell_speaks_of_a_box_around_its_place() -> None:
    cells = grid([(2, 3), (1, 2)], (8, 16))
    assert cells.tolist()[4:7] == [[1, 1, 8], [2, 1, 8], [0, 0, 16]]
    box = decode_cells(torch.tensor([[0.5, 0.25, 0.0, math.log(2.0)]]), cells[4:5])
    torch.testing.assert_close(box, torch.tensor([[8.0, 2.0, 16.0, 18.0]]))


def test_every_other_pixel_becomes_a_channel() -> None:
    image = torch.arange(16.0).reshape(1, 1, 4, 4)
    folded = every_other(image)[0]
    assert folded[:, 0, 0].tolist() == [0, 4, 1, 5]
    assert folded.shape == (4, 2, 2)


def test_the_backbone_has_the_strides_and_channels_of_a_nano() -> None:
    levels = Darknet()(torch.zeros(1, 3, 64, 96))
    assert [tuple(level.shape[1:]) for level in levels] == [
        (32, 16, 24),
        (64, 8, 12),
        (128, 4, 6),
        (256, 2, 3),
    ]


def test_one_set_of_weights_serves_several_sizes_of_input(tmp_path: Path) -> None:
    net = one_stage_net()
    save(tmp_path / "weights.safetensors", net, net.config, {})
    larger = YoloxPCAN(one_stage_config(input={"height": 192, "width": 320})).eval()
    load_weights(tmp_path / "weights.safetensors", larger)
    made = sparse(larger)
    with torch.inference_mode():
        boxes, scores, *_ = made.frame(blocks(192, 320), *empty_memory(made).frames)
    assert scores.max() > 0.05
    assert float(boxes[:, 2].max()) > WIDTH  # it looks at all of the larger image


def test_the_lean_pass_says_what_the_padded_passes_say() -> None:
    net = one_stage_net(one_stage_config(heads={"score_threshold": 0.4}))
    for padded, by_sampling, thin in zip(
        looks(net), looks(net, layout=grid_sample), looks(net, layout=sparse), strict=True
    ):
        found = padded[1] > 0
        assert found.any()
        for i in range(3):
            torch.testing.assert_close(thin[i], padded[i], atol=1e-5, rtol=1e-5)
        torch.testing.assert_close(thin[3][found], padded[3][found], atol=1e-4, rtol=1e-4)
        torch.testing.assert_close(by_sampling[4][found], padded[4][found], atol=1e-3, rtol=1e-3)


def test_several_cameras_see_what_each_sees_alone() -> None:
    net = one_stage_net()
    alone = [looks(net, frames=1, layout=grid_sample)[0]]
    layout = several(net, 2)
    images = torch.cat([blocks(HEIGHT, WIDTH, seed=0), blocks(HEIGHT, WIDTH, seed=5)])
    memory = [torch.stack([part, part]) for part in empty_memory(grid_sample(net)).frames]
    with torch.inference_mode():
        both = layout.frame(images, *memory, torch.ones(2))
    detections = net.config.heads.detections
    torch.testing.assert_close(both[1][:detections], alone[0][1], atol=1e-5, rtol=1e-5)


def exportable() -> YoloxPCAN:
    """Return a network whose graph is small."""
    return one_stage_net(one_stage_config(frame_attention={"em_steps": 1}, proposals={"nms_steps": 6}))


def check_agreement(net: YoloxPCAN, folder: Path) -> None:
    coarse = {"boxes": 0.02, "roi_features": 0.02} | dict.fromkeys(
        REGION_LEVELS, 0.02
    )  # of up to some hundred
    for name, difference in agreement(net, folder, frames=2).items():
        assert difference < coarse.get(name, 2e-3), name


def test_exported_for_processors_it_computes_and_tracks_as_in_torch(tmp_path: Path) -> None:
    net = exportable()
    folder = export(net, tmp_path / "model")
    check_agreement(net, folder)
    trackers = [Tracker(OnnxEngine(folder)), Tracker(TorchEngine(net))]
    clip = SyntheticDrive(0, 3, HEIGHT, WIDTH)
    ours, theirs = ([answer.tracks.instances for answer in predict_clip(t, clip)] for t in trackers)
    assert sum(map(len, ours)) > 0
    assert [[x.track_id for x in frame] for frame in ours] == [
        [x.track_id for x in frame] for frame in theirs
    ]


@pytest.mark.slow
def test_exported_for_tensorrt_it_computes_what_torch_computes(tmp_path: Path) -> None:
    net = exportable()
    check_agreement(net, export(net, tmp_path / "model", ExportOptions(roi="gridsample")))


def test_the_preset_builds_it_and_is_remembered_by_a_checkpoint() -> None:
    config = load_config(PRESET)
    net = make_net(config)
    assert isinstance(net, YoloxPCAN)
    assert config_from_dict(config_to_dict(config)) == config
    assert sum(p.numel() for p in net.parameters()) * 2 < 5_000_000  # bytes in 16 bits
    assert fit_image((720, 1280), config.input).fill == (114, 114, 114)


def test_the_other_detector_stays_what_it_was() -> None:
    assert type(make_net(load_config("pcan_street_tiny"))) is PCAN


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({"detector": "yolov8"}, "detector: expected one of"),
        ({"backbone": {"kind": "resnet50", "channels": 64}}, "backbone.kind: expected one of"),
        ({"variant": "released"}, "variant: expected paper"),
    ],
)
def test_a_detector_that_does_not_fit_is_refused(change: dict[str, object], what: str) -> None:
    with pytest.raises(ConfigError, match=what):
        config_from_dict({**config_to_dict(one_stage_config()), **change})
