"""SipMask's network: alignment, levels, names, and the image it sees."""

from __future__ import annotations

import numpy as np
import pytest
from support.sipmask import SMALL, small_sipmask

torch = pytest.importorskip("torch")

from pcan_model.core.config import BackboneConfig  # noqa: E402
from pcan_model.sipmask.alignment import FeatureAlignment, stop_outside  # noqa: E402
from pcan_model.sipmask.backbone import sipmask_backbone  # noqa: E402
from pcan_model.sipmask.image import ImageFit, fit_image, network_input  # noqa: E402
from pcan_model.sipmask.names import load_public, public_names  # noqa: E402
from pcan_model.sipmask.parity.public import PUBLIC  # noqa: E402

RESNET = {"backbone": BackboneConfig(channels=16, caffe=True)}


def alignment() -> FeatureAlignment:
    torch.manual_seed(0)
    align = FeatureAlignment(8, offset_groups=2, norm_groups=4).double()
    torch.nn.init.normal_(align.conv.weight, std=0.3)
    return align


def read(plane: torch.Tensor, y: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
    """Read (h, w) bilinearly at one place, zeros outside."""
    total = plane.new_zeros(())
    for row in (int(y.floor()), int(y.floor()) + 1):
        for column in (int(x.floor()), int(x.floor()) + 1):
            if 0 <= row < plane.shape[0] and 0 <= column < plane.shape[1]:
                total = total + (1 - (y - row).abs()) * (1 - (x - column).abs()) * plane[row, column]
    return total


def test_alignment_reads_every_tap_bilinearly_where_its_offset_says() -> None:
    align = alignment()
    x = torch.randn(1, 8, 3, 4, dtype=torch.float64)
    offsets = 1.7 * torch.randn(1, 36, 3, 4, dtype=torch.float64)
    ours = align.convolve(x, offsets)
    expected = torch.zeros_like(ours)
    for i in range(3):
        for j in range(4):
            for channel in range(8):
                for k in range(9):
                    dy, dx = offsets[0, 18 * (channel // 4) + 2 * k :][:2, i, j]
                    value = read(x[0, channel], i + k // 3 - 1 + dy, j + k % 3 - 1 + dx)
                    expected[0, :, i, j] += align.conv.weight[:, channel, k // 3, k % 3] * value
    torch.testing.assert_close(ours, expected)


def test_alignment_without_offsets_is_a_convolution() -> None:
    align = alignment()
    x = torch.randn(2, 8, 5, 6, dtype=torch.float64)
    torch.testing.assert_close(align.convolve(x, x.new_zeros(2, 36, 5, 6)), align.conv(x))


@pytest.mark.parametrize("far", [0.5, 6.0])
def test_sampling_is_the_operator_wherever_taps_lie(far: float) -> None:
    align = alignment()
    x = torch.randn(2, 8, 5, 7, dtype=torch.float64)
    offsets = far * torch.randn(2, 36, 5, 7, dtype=torch.float64)
    expected = align.convolve(x, offsets)
    torch.testing.assert_close(align.convolve(x, offsets, sampled=True), expected)


def test_without_offset_groups_nothing_is_aligned() -> None:
    align = FeatureAlignment(8, offset_groups=0, norm_groups=4)
    x, distances = torch.randn(1, 8, 5, 6), 9 * torch.rand(1, 4, 5, 6)
    assert torch.equal(align(x, distances), align(x, 0 * distances))
    assert {name for name, _ in align.named_parameters()} == {"conv.weight", "norm.weight", "norm.bias"}


def test_taps_at_minus_one_or_beyond_have_no_gradient_and_others_that_of_finite_differences() -> None:
    align = alignment()
    x = torch.randn(1, 8, 3, 4, dtype=torch.float64)
    offsets = (0.3 * torch.rand(1, 36, 3, 4, dtype=torch.float64) + 0.2).requires_grad_()
    assert torch.autograd.gradcheck(lambda o: align.convolve(x, o), (offsets,))
    zero = torch.zeros(1, 36, 3, 4, dtype=torch.float64, requires_grad=True)
    (gradient,) = torch.autograd.grad(align.convolve(x, zero).sum(), [zero])
    taps = gradient.reshape(2, 3, 3, 2, 3, 4)
    assert taps[:, 0, :, :, 0].eq(0).all() and taps[:, :, 0, :, :, 0].eq(0).all()
    assert taps[:, 1, 1].ne(0).all()
    assert stop_outside(zero).shape == zero.shape


def test_boxes_learn_nothing_from_the_alignment() -> None:
    align = alignment()
    assert align.offset is not None
    torch.nn.init.normal_(align.offset.weight)
    distances = torch.rand(1, 4, 3, 4, dtype=torch.float64, requires_grad=True)
    out = align(torch.randn(1, 8, 3, 4, dtype=torch.float64), distances)
    assert torch.autograd.grad(out.sum(), [distances], allow_unused=True) == (None,)


def test_a_caffe_resnet_halves_in_its_first_convolution_and_trains_no_normalisation() -> None:
    backbone = sipmask_backbone(BackboneConfig(frozen=1, caffe=True))
    first = backbone.stages[1][0]  # type: ignore[index]
    assert (first.conv1.stride, first.conv2.stride) == ((2, 2), (1, 1))
    trained = [name for name, p in backbone.named_parameters() if p.requires_grad]
    assert trained and not any("bn" in name or name.startswith("stages.0") for name in trained)
    plain = sipmask_backbone(BackboneConfig(frozen=1))
    first = plain.stages[1][0]  # type: ignore[index]
    assert (first.conv1.stride, first.conv2.stride) == ((1, 1), (2, 2))


def test_maps_have_the_sizes_of_their_levels() -> None:
    net = small_sipmask().eval()
    with torch.inference_mode():
        maps = net(torch.randn(2, 3, 96, 160))
    sizes = [(12, 20), (6, 10), (3, 5), (2, 3), (1, 2)]
    for level, size in enumerate(sizes):
        assert maps.logits[level].shape == (2, 3, *size)
        assert maps.distances[level].shape == (2, 4, *size)
        assert maps.centres[level].shape == (2, 1, *size)
        assert maps.coefficients[level].shape == (2, 32, *size)
    assert maps.basis.shape == (2, 8, 48, 80) and maps.track.shape == (2, 16, 12, 20)


def test_a_change_of_the_fine_levels_leaves_the_coarse_ones_alone() -> None:
    net = small_sipmask().eval()
    with torch.inference_mode():
        fine, coarse = net.levels(torch.randn(1, 3, 64, 96))
        plain = net.head(fine + coarse)
        changed = net.head([level + 1 for level in fine] + coarse)
    assert torch.equal(plain.logits[3], changed.logits[3]) and torch.equal(plain.logits[4], changed.logits[4])
    assert not torch.equal(plain.logits[2], changed.logits[2])


def test_training_starts_with_rare_classes_and_boxes_of_three_strides() -> None:
    net = small_sipmask()
    maps = net(torch.randn(1, 3, 64, 96))
    assert maps.logits[0].sigmoid().mean().item() == pytest.approx(0.01, abs=5e-3)
    assert maps.distances[1].mean().item() == pytest.approx(48, abs=6)


def test_public_names_go_there_and_back() -> None:
    net, other = small_sipmask(seed=0, **RESNET), small_sipmask(seed=1, **RESNET)
    names = public_names(net)
    assert names["bbox_head.fcos_cls.weight"] == "head.classes.weight"
    assert names["neck.fpn_convs.3.conv.bias"] == "pyramid.p6.bias"
    assert names["bbox_head.scales.4.scale"] == "head.scales.4"
    load_public(other, {f"module.{public}": net.state_dict()[own] for public, own in names.items()})
    for name, tensor in net.state_dict().items():
        assert torch.equal(tensor, other.state_dict()[name])


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"bbox_head.fcos_cls.bias": None}, "bbox_head.fcos_cls.bias: expected a tensor, got none"),
        ({"bbox_head.fcos_cls.bias": (7,)}, r"bbox_head.fcos_cls.bias: expected \(3,\), got \(7,\)"),
        ({"mask_head.x": (1,)}, "mask_head.x: expected a tensor of SipMask"),
    ],
)
def test_a_wrong_public_state_names_the_tensor(change: dict[str, tuple[int] | None], fault: str) -> None:
    net = small_sipmask(**RESNET)
    before = {name: tensor.clone() for name, tensor in net.state_dict().items()}
    state = {public: net.state_dict()[own] + 1 for public, own in public_names(net).items()}
    for name, shape in change.items():
        state.pop(name, None)
        if shape is not None:
            state[name] = torch.zeros(shape)
    with pytest.raises(ValueError, match=fault):
        load_public(net, state)
    assert all(torch.equal(before[name], tensor) for name, tensor in net.state_dict().items())


@pytest.mark.parametrize(
    ("source", "size", "padded"),
    [
        ((720, 1280), (360, 640), (384, 640)),
        ((1280, 720), (640, 360), (640, 384)),
        ((180, 300), (360, 600), (384, 608)),
    ],
)
def test_images_keep_their_proportions_and_are_padded_to_multiples_of_32(
    source: tuple[int, int], size: tuple[int, int], padded: tuple[int, int]
) -> None:
    fit = fit_image(source, PUBLIC.input)
    assert (fit.size, fit.padded) == (size, padded)
    image = np.random.default_rng(0).integers(0, 256, (*source, 3), dtype=np.uint8)
    assert network_input(fit.resize(image), PUBLIC.input, bgr=True).shape == (1, 3, *padded)


def test_the_network_sees_bgr_minus_the_mean_and_zeros_beside_it() -> None:
    image = np.full((30, 40, 3), (10, 20, 30), np.uint8)
    pixels = network_input(image, SMALL.input, bgr=True)
    assert pixels.shape == (1, 3, 32, 64)
    blue, green, red = pixels[0, :, 0, 0].tolist()
    assert (blue, green, red) == pytest.approx((30 - 102.9801, 20 - 115.9465, 10 - 122.7717), abs=1e-4)
    assert pixels[0, :, 30:].eq(0).all() and pixels[0, :, :, 40:].eq(0).all()


def test_an_image_of_another_size_is_refused() -> None:
    with pytest.raises(ValueError, match=r"expected \(30, 40\), got \(40, 30\)"):
        ImageFit((30, 40), 1.0).resize(np.zeros((40, 30, 3), np.uint8))
