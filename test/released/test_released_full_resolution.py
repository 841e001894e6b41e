"""The released repository's unused refinement at full resolution, put together from our parts.

None of its RoI heads calls it and the checkpoint has no weights for it, so the package does not have it
either. What it consists of is ours too: EM (here by soft weights, of temperature 1, with values beside
the keys), contrast maps, and the head behind them. The recorded runs of it test those parts once more.
"""

from __future__ import annotations

import pytest
import torch
from support.parity import recorded, worst
from torch import Tensor
from torch.nn import functional

from pcan_model.model.instance_attention import SegmentationHead
from pcan_model.released.clustering import EPS, attend, fit_prototypes
from pcan_model.released.refinement import COUNT_EPS, Contrast, contrast_maps

STEPS, COUNTS = 6, (3, 2)  # of the EM; instances of the two images
Arrays = dict[str, Tensor]


def convolve(arrays: Arrays, name: str, x: Tensor, **options: int) -> Tensor:
    return functional.conv2d(x, arrays[f"sd_{name}.conv.weight"], arrays[f"sd_{name}.conv.bias"], **options)


def joined(arrays: Arrays, side: str) -> Tensor:
    """Bring P3 to P5 to one map of stride 8."""
    levels = [convolve(arrays, f"refines.{i}", arrays[f"x{side}{i + 1}"], padding=1).relu() for i in range(3)]
    size = levels[0].shape[-2:]
    return levels[0] + sum(functional.interpolate(x, size=size, mode="bilinear") for x in levels[1:])


def with_values(keys: Tensor, values: Tensor, weight: Tensor, mu: Tensor) -> tuple[Tensor, Tensor]:
    """Fit prototypes to keys, and take the values that the last step gave each."""
    start = mu.mT.expand(len(weight), -1, -1)
    keys, values = (x.expand(len(weight), -1, -1) for x in (keys, values))
    before = fit_prototypes(keys, weight, start, sigma2=1.0, steps=STEPS - 1)
    z = attend(keys, before) * weight[..., None]
    nu = (z / (EPS + z.sum(1, keepdim=True))).mT @ values
    return fit_prototypes(keys, weight, before, sigma2=1.0, steps=1), functional.normalize(nu, dim=-1)


@pytest.mark.parametrize("case", ["plain", "posemb"])
def test_the_recorded_refinement_at_full_resolution_follows_from_our_parts(case: str) -> None:
    arrays = recorded(f"hr_head_{case}")
    reference, current = joined(arrays, "a"), joined(arrays, "b")
    place = arrays["pos_embedding"][:1] if case == "posemb" else torch.zeros(())
    mixed, first = [], dict[str, Tensor]()
    for image_index, count in enumerate(COUNTS):
        a, b, rect = (arrays[f"{name}{image_index}"] for name in ("mask_a", "mask_b", "rect_a"))
        seen, now = reference[image_index : image_index + 1], current[image_index : image_index + 1]
        keys, values = ((seen + p).flatten(2).mT for p in (place, torch.zeros(())))
        inside = a.sigmoid()
        pos, nu = with_values(keys, values, (rect * inside).flatten(1), arrays["sd_pos_mu"])
        neg, neg_nu = with_values(keys, values, (rect * (1 - inside)).flatten(1), arrays["sd_neg_mu"])
        z = contrast_maps((now + place).expand(count, -1, -1, -1), Contrast(pos, neg))
        mean = (seen * inside).sum((2, 3), keepdim=True) / (inside.sum((2, 3), keepdim=True) + COUNT_EPS)
        x = convolve(arrays, "conv1", now, padding=1) + convolve(arrays, "conv2", mean)
        x = x + convolve(arrays, "conv3", torch.cat([b, z], 1), padding=1)
        stacked = nu.reshape(count, -1, 1, 1)  # each prototype has filters of its own
        mixed.append((x + convolve(arrays, "conv4", stacked, groups=nu.shape[1])).relu())
        if image_index == 0:
            first = {"pos_mu0": pos.mT, "pos_nu0": nu.mT, "neg_mu0": neg.mT, "neg_nu0": neg_nu.mT, "z0": z}
    head = SegmentationHead(8, 8, 2)
    names = {"layers.0": "convs.0.conv", "layers.1": "convs.1.conv", "mask": "conv_logits"}
    state = {name: name.rpartition(".") for name in head.state_dict()}
    head.load_state_dict(
        {name: arrays[f"sd_{names.get(layer, layer)}.{kind}"] for name, (layer, _, kind) in state.items()}
    )
    with torch.no_grad():
        ours = first | {"feat_a": reference, "out": head(torch.cat(mixed))[:, None]}
    assert max(worst(ours, {name: arrays[name] for name in ours}).values()) < 2e-5
