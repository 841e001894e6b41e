"""The tracker under evaluation: its settings, and how it is opened."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Literal

from pcan_model.core.config import (
    Config,
    ConfigError,
    config_from_dict,
    config_to_dict,
    load_config,
)
from pcan_model.core.engine import Engine
from pcan_model.core.fields import about, setting
from pcan_model.core.tracker_config import Association
from pcan_model.evaluation.predict import ClipPredictor, predict_clip
from pcan_model.evaluation.streaming import FrameTimes, predict_streaming
from pcan_model.inference.backends import EngineOptions, open_engine
from pcan_model.inference.input_size import DESCRIPTION, LARGEST, parse_size
from pcan_model.tracking.pace import Pace
from pcan_model.tracking.tracker import Tracker

OpenSetup = Callable[["Setup"], tuple[ClipPredictor, Config]]
"""Opens the tracker of a setup: `Setup.open`, or a function that runs a node."""

MODULES = ("frame_attention", "instance_attention")  # can be disabled for ablations


@dataclass(frozen=True, slots=True)
class Setup:
    """All settings that affect predictions; plain values, which can be passed between processes."""

    model: str = field(
        metadata=about(
            "configuration (name or YAML file), or for an --engine other than torch a model folder"
        )
    )
    engine: Literal["torch", "onnx", "openvino"] = setting("torch", "inference engine")
    size: str = setting(LARGEST, DESCRIPTION)
    weights: Path | None = setting(None, "trained weights (.safetensors), for --engine torch")
    association: Association | None = setting(None, "association method (default: the configuration's)")
    without: tuple[str, ...] = setting((), "modules to disable (--engine torch)", choices=MODULES)
    threads: int = setting(1, "CPU threads for inference; other numbers may round differently", low=1)
    via: Literal["files", "node"] = setting(
        "files", "files: read by the tracker itself; node: played as a bag to a ROS 2 node, in lock-step"
    )
    rate: float = setting(
        0.0, "--via node: then also in real time, at this multiple of the clips' frame rate", low=0.0
    )

    key_interval: int = setting(
        1, "frames from one key frame to the next; those between are propagated by optical flow", low=1
    )
    streaming: tuple[float, float] | None = setting(
        None,
        "score the tracks that exist when the next image arrives: seconds that a key frame and a propagated "
        "frame take; images that arrive meanwhile are dropped for newer ones",
        low=0.0,
    )
    latency_budget: float = setting(
        0.0,
        "--streaming: key frames as often as this mean time per frame allows, instead of --key-interval; "
        "0: off",
        unit="seconds",
        low=0.0,
        high=60.0,
    )

    def open(self) -> tuple[ClipPredictor, Config]:
        """Load the network; returns a predictor and the configuration it uses.

        Raises ConfigError for an invalid model, weights or setting.
        """
        if self.via != "files":
            raise ConfigError(f"--via {self.via}: expected the command of the ROS package: pcan-evaluate")
        if self.rate:
            raise ConfigError("--rate: expected --via node; files are processed as fast as possible")
        if self.latency_budget and not self.streaming:
            raise ConfigError("--latency-budget: expected --streaming, which says how long frames take")
        engine = self.make_engine()
        own = engine.config.tracker
        tracker = replace(own, association=self.association or own.association)
        config = replace(engine.config, tracker=tracker)
        if self.key_interval > 1 or self.latency_budget:
            _check_propagation(config)
        return self._predictor(Tracker(engine, tracker)), config

    def _predictor(self, tracker: Tracker) -> ClipPredictor:
        pace = Pace(self.latency_budget, self.key_interval)
        if self.streaming is None:
            return partial(predict_clip, tracker, pace=pace)
        return partial(predict_streaming, tracker, FrameTimes(*self.streaming), pace=pace)

    @property
    def backend(self) -> str:
        """Return the name of an exported model's engine in `inference.backends`."""
        return "onnxruntime" if self.engine == "onnx" else self.engine

    def make_engine(self) -> Engine:
        """Load the network; torch is imported only if used."""
        return self._torch() if self.engine == "torch" else self._exported()

    def _exported(self) -> Engine:
        if self.without:
            raise ConfigError(
                f"{self.model}: --without: the modules of an exported graph are fixed; "
                "use --engine torch, or export another graph"
            )
        return open_engine(Path(self.model), self._engine_options()).engine

    def _engine_options(self) -> EngineOptions:
        return EngineOptions(self.backend, size=self.size, threads=self.threads)

    def _torch(self) -> Engine:
        if self.weights is None:
            raise ConfigError(f"{self.model}: --weights: expected a .safetensors file, got none")
        if not self.weights.is_file():
            raise ConfigError(f"{self.weights}: --weights: expected a .safetensors file, got no such file")
        config = _sized(_switched_off(load_config(self.model), self.without), self.size)
        import torch

        from pcan_model.factory import load_engine

        torch.set_num_threads(self.threads)
        return load_engine(config, self.weights)


def _check_propagation(config: Config) -> None:
    """Raise ConfigError for a tracker that keeps no view of the last image, which propagated frames need."""
    if not config.tracker.camera_motion:
        raise ConfigError(f"{config.name}: tracker.camera_motion: expected true for propagated frames")


def _sized(config: Config, size: str) -> Config:
    """Return the configuration for another size of input, such as `384x640`; empty and `largest`: its own."""
    if size in ("", LARGEST):
        return config
    try:
        height, width = parse_size(size)
    except ValueError as error:
        raise ConfigError(f"--{error}") from error
    return replace(config, input=replace(config.input, height=height, width=width))


def _switched_off(config: Config, modules: Sequence[str]) -> Config:
    values = config_to_dict(config)
    for module in modules:
        values[module]["enabled"] = False
    return config_from_dict(values, config.name)
