"""Predicts a clip with the node: writes it as a bag, plays it over DDS, converts the messages to tracks."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pcan_model.core.config import Config
from pcan_model.core.stamps import seconds
from pcan_model.core.structures import Tracks
from pcan_model.data.bags.files import ImageBag
from pcan_model.data.clips import Clip
from pcan_model.evaluation.predict import NoPrediction, Prediction
from pcan_model.inference.manifest import ModelFiles
from pcan_ros.bag.make import make_bag
from pcan_ros.client.client import Client, ClientError
from pcan_ros.client.player import Played, lockstep, play_in_time
from pcan_ros.client.process import NodeProcess
from pcan_ros.environment import profile_settings
from pcan_ros.messages import from_tracks

START_TIMEOUT = 90.0  # seconds the node may take to load its model


@dataclass(frozen=True, slots=True)
class ThroughNode:
    """A `pcan_model.evaluation.predict.ClipPredictor` that starts a node for every clip."""

    model: Path  # folder of an exported model
    backend: str = "auto"
    size: str = ""  # input size of a model with several
    threads: int = 1
    rate: float = 0.0  # real time at this multiple of the clip's pace; 0: lock-step

    def __call__(self, clip: Clip) -> Iterator[Prediction]:
        """Predict a clip frame by frame; a dropped frame has no tracks."""
        os.environ.update(profile_settings(os.environ))
        with tempfile.TemporaryDirectory(prefix="pcan_clip_") as name:
            folder = Path(name) / "bag"
            make_bag(clip.frames(), folder)
            for index, played in enumerate(self._play(ImageBag(folder))):
                frame = clip.read(index)
                height, width = frame.image.shape[:2]
                tracks, dropped = _tracks(played, height, width), played.reply is None
                yield Prediction(frame, tracks, played.round_trip or 0.0, dropped)

    def _play(self, bag: ImageBag) -> Iterator[Played]:
        space = f"/pcan_evaluate_{os.getpid()}"  # topics that no other process uses
        topic = f"{space}/image"
        with (
            NodeProcess(self._parameters(topic), namespace=space) as node,
            Client(image_topic=topic, outputs=f"{space}/pcan_tracker") as client,
        ):
            try:
                client.find_node(START_TIMEOUT, node.alive)
                if self.rate:
                    yield from play_in_time(bag.records(), client, node.alive, self.rate)
                else:
                    for played in lockstep(bag.records(), client, node.alive):
                        if played.reply is None:
                            raise ClientError(f"no tracks for the image of {played.stamp * 1e-9:.3f} s")
                        yield played
            except ClientError as error:
                lines = [line for line in node.log().splitlines() if line.strip()]
                raise NoPrediction(
                    f"{error}; the node's last line of output: {(lines or ['none'])[-1]}"
                ) from error

    def _parameters(self, topic: str) -> dict[str, Any]:
        return {
            "model": str(self.model.resolve()),
            "size": self.size,
            "backend": self.backend,
            "threads": self.threads,
            "cameras": [topic],
            "reliability": "reliable",
        }


def config_of(model: Path, size: str = "") -> Config:
    """Return the configuration of an exported model; raises ModelError if it cannot be read."""
    return ModelFiles(model, size).config


def _tracks(played: Played, height: int, width: int) -> Tracks:
    if played.reply is not None:
        return from_tracks(played.reply.message)
    return Tracks(seconds(played.stamp), height, width, 0, ())
