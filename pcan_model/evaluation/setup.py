"""What is evaluated: the settings of a tracker, and the seam through which it answers clip by clip."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import cast

from pcan_model.config import Config, ConfigError, config_from_dict, config_to_dict, load_config
from pcan_model.engine import Engine
from pcan_model.follow import Follow, follow
from pcan_model.tracker import Tracker

TORCH_ENGINES = {  # module and class of each form of the network
    "paper": ("pcan_model.torch_engine", "TorchEngine"),
    "released": ("pcan_model.released.engine", "ReleasedEngine"),
}
MODULES = ("frame_attention", "instance_attention")  # what an ablation may switch off


@dataclass(frozen=True, slots=True)
class Setup:
    """Everything that decides what is answered; made of plain values, so that processes can pass it on."""

    model: str  # configuration (name or file) for torch; folder of a model for the others
    engine: str = "torch"  # torch | onnx | another backend of the node, such as openvino
    weights: Path | None = None  # .safetensors, for torch
    association: str | None = None  # of TrackerConfig; None: the configuration's own
    without: tuple[str, ...] = ()  # of MODULES, switched off
    threads: int = 1  # of the network's arithmetic; another number may round otherwise
    via: str = "files"  # files: the tracker reads them itself | node: a ROS 2 node gets them as a bag
    rate: float = 0.0  # via node in real time, at this multiple of the clips' pace; 0 in lock-step

    def open(self) -> tuple[Follow, Config]:
        """Load the network; returns what answers clips, and the configuration it runs by.

        Raises ConfigError when model, weights or a setting do not fit.
        """
        if self.via == "node":
            return self._node()
        if self.rate:
            raise ConfigError("--rate: expected --via node, files are read as fast as they are answered")
        engine = self.make_engine()
        own = engine.config.tracker
        tracker = replace(own, association=self.association or own.association)
        return partial(follow, Tracker(engine, tracker)), replace(engine.config, tracker=tracker)

    def _node(self) -> tuple[Follow, Config]:
        if self.engine == "torch" or self.without or self.association:
            raise ConfigError(
                f"{self.model}: --via node: expected the folder of an exported model and --engine onnx or "
                "openvino, without --association and --without"
            )
        room = import_module("pcan_ros.replay.through_node")
        model, backend = Path(self.model), "onnxruntime" if self.engine == "onnx" else self.engine
        return room.ThroughNode(model, backend, self.threads, self.rate), room.config_of(model)

    def make_engine(self) -> Engine:
        """Load a network; its runtime is imported only now, so that the others need not be there."""
        return self._torch() if self.engine == "torch" else self._exported()

    def _exported(self) -> Engine:
        if self.without:
            raise ConfigError(
                f"{self.model}: --without: an exported graph has its modules built in; "
                "use --engine torch, or export another graph"
            )
        runtime = import_module("pcan_ros.runtime.backends")
        backend = "onnxruntime" if self.engine == "onnx" else self.engine
        options = runtime.EngineOptions(backend, threads=self.threads)
        return cast(Engine, runtime.open_engine(Path(self.model), options).engine)

    def _torch(self) -> Engine:
        if self.weights is None:
            raise ConfigError(f"{self.model}: --weights: expected a .safetensors file, got none")
        if not self.weights.is_file():
            raise ConfigError(f"{self.weights}: --weights: expected a .safetensors file, got no such file")
        config = _switched_off(load_config(self.model), self.without)
        import_module("torch").set_num_threads(self.threads)
        room, name = TORCH_ENGINES[config.form]
        return cast(Engine, getattr(import_module(room), name)(config, self.weights))


def _switched_off(config: Config, modules: Sequence[str]) -> Config:
    values = config_to_dict(config)
    for module in modules:
        values[module]["enabled"] = False
    return config_from_dict(values, config.name)
