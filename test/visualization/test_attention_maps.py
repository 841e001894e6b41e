"""Where prototypes look: maps taken while tracking, and the figure they are drawn into."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from support.small import HEIGHT, WIDTH, blocks, small_config, small_net

from pcan_model.cli.attention import main
from pcan_model.core.config import ConfigError
from pcan_model.model import checkpoint
from pcan_model.model.pcan import PCAN
from pcan_model.visualization.attention_figure import colour_map, colours, draw, most_active
from pcan_model.visualization.attention_maps import choose
from pcan_model.visualization.attention_recorder import (
    SIDE,
    AttentionView,
    RecordedFrame,
    crop_square,
    record_attention,
)

S = 4  # cells of a side of the maps made here


def view(frame: int = 0, track: int = 1, width: float = 10.0) -> AttentionView:
    """Return a look of 3 foreground and 2 background prototypes; the object is the left half."""
    mask = np.zeros((2 * S, 2 * S), np.float32)
    mask[:, :S] = 1
    maps = np.zeros((5, S, S), np.float32)
    maps[1, :, : S // 2], maps[2, :, S // 2 :] = 1, 1  # 1 on the object, 2 beside it
    maps[3], maps[4] = 0.3, 0.7
    box = np.array([0, 0, width, 10], np.float32)
    return AttentionView(frame, track, 2, box, np.full((SIDE, SIDE, 3), 100, np.uint8), mask, maps)


@pytest.fixture(scope="module")
def net() -> PCAN:
    return small_net(small_config(heads={"score_threshold": 0.3}))


@pytest.fixture(scope="module")
def clip(net: PCAN) -> list[RecordedFrame]:
    return list(record_attention(net, [blocks(HEIGHT, WIDTH, 1)[0].numpy()] * 2))


def test_a_look_holds_the_maps_of_the_tracks_accumulated_prototypes(clip: list[RecordedFrame]) -> None:
    assert clip[1].views and clip[0].views
    for seen in clip:
        for one in seen.views:
            assert one.maps.shape == (9, 14, 14) and one.mask.shape == (28, 28)
            np.testing.assert_allclose(one.maps[:5].sum(0), 1, rtol=1e-5)
            np.testing.assert_allclose(one.maps[5:].sum(0), 1, rtol=1e-5)


def test_on_a_still_image_prototypes_go_on_looking_at_the_same_place(clip: list[RecordedFrame]) -> None:
    before = {one.track_id: one for one in clip[0].views}
    again = [(before[one.track_id], one) for one in clip[1].views if one.track_id in before]
    assert again
    same = [(a.maps[:5].argmax(0) == b.maps[:5].argmax(0)).mean() for a, b in again]
    assert np.mean(same) > 0.8


def test_a_cut_out_shows_the_box_with_pixels_where_the_cells_are() -> None:
    pixels = np.zeros((40, 60, 3), np.uint8)
    pixels[:, :30] = 200  # the left half of the box
    square = crop_square(pixels, np.array([20, 10, 40, 20], np.float32))
    assert square.shape == (SIDE, SIDE, 3)
    assert (square[:, : SIDE // 2 - 12] == 200).all() and (square[:, SIDE // 2 + 12 :] == 0).all()


def test_the_most_active_prototypes_are_those_that_attend_to_their_own_side() -> None:
    assert most_active([view()], 3, 1) == ([1], [4])
    assert most_active([view()], 3, 9) == ([1, 0, 2], [4, 3])


def test_places_get_the_colour_of_the_prototype_that_attends_to_them() -> None:
    palette, tile = colours(3), colour_map(view(), range(3)).astype(float) - 0.4 * 100
    np.testing.assert_allclose(tile[SIDE // 2, 5], 0.6 * palette[1], atol=1)
    np.testing.assert_allclose(tile[SIDE // 2, -5], 0.6 * palette[2], atol=1)


def test_the_figure_has_a_column_per_frame_and_a_row_per_prototype() -> None:
    one, two = draw([view()], 3, 2), draw([view(0), view(1)], 3, 2)
    assert two.shape[1] - one.shape[1] > SIDE
    assert one.shape[0] > 7 * SIDE, "object, both sides, two and two prototypes"
    assert draw([replace(view(), maps=view().maps[:3])], 3, 2).shape[0] < one.shape[0], "no background at all"


def test_the_track_seen_largest_is_drawn_unless_one_is_named() -> None:
    tracks = {1: [view(f, 1) for f in range(9)], 2: [view(f, 2, width=90) for f in range(3)]}
    assert [k.frame for k in choose(tracks, None, 5, 1)] == [0, 1, 2]
    assert [k.frame for k in choose(tracks, 1, 3, 4)] == [0, 4, 8]
    assert [k.track_id for k in choose(tracks, 1, 1, 1)] == [1]
    with pytest.raises(ConfigError, match=r"--track: expected one of \[1, 2\], got 7"):
        choose(tracks, 7, 3, 1)
    with pytest.raises(ConfigError, match="tracked objects"):
        choose({}, None, 3, 1)


def test_the_command_draws_a_folder_of_images(tmp_path: Path, net: PCAN) -> None:
    weights, folder = tmp_path / "weights.safetensors", tmp_path / "drive"
    checkpoint.save(weights, net, net.config, {})
    folder.mkdir()
    for name in ("0.png", "1.png"):
        cv2.imwrite(str(folder / name), blocks(HEIGHT, WIDTH, 1)[0].numpy()[..., ::-1])
    out = tmp_path / "new" / "figure.png"
    assert main([str(folder), "--weights", str(weights), "--every", "1", "--out", str(out)]) == 0
    pixels = cv2.imread(str(out))
    assert pixels is not None and pixels.shape[1] > SIDE


@pytest.mark.parametrize("missing", ["clip", "weights", "prototypes"])
def test_what_is_missing_is_said_in_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], missing: str
) -> None:
    weights = tmp_path / "weights.safetensors"
    counts = {"foreground": 0, "background": 0} if missing == "prototypes" else {}
    without = small_net(small_config(instance_attention=counts))
    checkpoint.save(weights, without, without.config, {})
    if missing == "weights":
        weights.unlink()
    assert main([str(tmp_path / "nowhere"), "--weights", str(weights), "--out", str(tmp_path / "x.png")]) == 2
    message = capsys.readouterr().err
    assert (
        message.startswith("pcan-attention: ")
        and message.count("\n") == 1
        and not (tmp_path / "x.png").exists()
    )
