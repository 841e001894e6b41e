"""Tensor names of public SipMask-VIS checkpoints and of our network."""

from __future__ import annotations

import re
from collections.abc import Mapping

from torch import Tensor, nn

RULES = (  # the public name and ours; N is a number
    ("backbone.conv1.", "backbone.stages.0.0."),
    ("backbone.bn1.", "backbone.stages.0.1."),
    ("backbone.layer1.", "backbone.stages.0.4."),
    ("backbone.layer2.", "backbone.stages.1."),
    ("backbone.layer3.", "backbone.stages.2."),
    ("backbone.layer4.", "backbone.stages.3."),
    ("neck.lateral_convs.N.conv.", "pyramid.fine.lateral.N."),
    ("neck.fpn_convs.3.conv.", "pyramid.p6."),
    ("neck.fpn_convs.4.conv.", "pyramid.p7."),
    ("neck.fpn_convs.N.conv.", "pyramid.fine.output.N."),
    ("bbox_head.cls_convs.N.conv.", "head.class_tower.N.0."),
    ("bbox_head.cls_convs.N.gn.", "head.class_tower.N.1."),
    ("bbox_head.reg_convs.N.conv.", "head.box_tower.N.0."),
    ("bbox_head.reg_convs.N.gn.", "head.box_tower.N.1."),
    ("bbox_head.track_convs.N.conv.", "head.track_tower.N.0."),
    ("bbox_head.track_convs.N.gn.", "head.track_tower.N.1."),
    ("bbox_head.feat_align.conv_offset.", "head.align.offset."),
    ("bbox_head.feat_align.conv_adaption.", "head.align.conv."),
    ("bbox_head.feat_align.norm.", "head.align.norm."),
    ("bbox_head.fcos_cls.", "head.classes."),
    ("bbox_head.fcos_reg.", "head.box."),
    ("bbox_head.fcos_centerness.", "head.centre."),
    ("bbox_head.sip_cof.", "head.coefficients."),
    ("bbox_head.sip_mask_lat0.", "head.basis_hidden."),
    ("bbox_head.sip_mask_lat.", "head.basis."),
    ("bbox_head.sipmask_track.", "head.track."),
    ("bbox_head.scales.N.scale", "head.scales.N"),
)


def our_name(public: str) -> str:
    """Return the network's name of a tensor of the public code; raises KeyError for an unknown one."""
    return _translate(public, RULES)


def public_names(net: nn.Module) -> dict[str, str]:
    """Return the public name of each tensor of a network, and ours: sorted by the public name."""
    turned = tuple((own, public) for public, own in RULES)
    return dict(sorted((_translate(own, turned), own) for own in net.state_dict()))


def load_public(net: nn.Module, state: Mapping[str, Tensor]) -> None:
    """Copy a state dictionary of the public code, perhaps with `module.` before each name, into a network.

    Raises ValueError that names the first tensor that is missing, unknown or of another shape.
    """
    own, known = net.state_dict(), public_names(net)
    given = {name.removeprefix("module."): tensor for name, tensor in state.items()}
    for public, tensor in given.items():
        if public not in known:
            raise ValueError(f"{public}: expected a tensor of SipMask, got an unknown name")
        expected = own[known[public]].shape
        if expected != tensor.shape:
            raise ValueError(f"{public}: expected {tuple(expected)}, got {tuple(tensor.shape)}")
    if missing := sorted(set(known) - set(given)):
        raise ValueError(f"{missing[0]}: expected a tensor, got none")
    for public, tensor in given.items():
        own[known[public]].copy_(tensor)


def _translate(name: str, rules: tuple[tuple[str, str], ...]) -> str:
    for start, other in rules:
        if match := re.match(re.escape(start).replace("N", r"(\d+)"), name):
            return other.replace("N", match[1] if match.groups() else "") + name[match.end() :]
    raise KeyError(name)
