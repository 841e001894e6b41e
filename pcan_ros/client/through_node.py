"""A clip answered by the real node: written as a bag, played over DDS, its messages read back as tracks."""

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

LOAD = 90.0  # seconds that the node may take to load its model


@dataclass(frozen=True, slots=True)
class ThroughNode:
    """Implements `pcan_model.evaluation.predict.Follow`: a node of its own for every clip."""

    model: Path  # folder of an exported model
    backend: str = "auto"
    size: str = ""  # of the network's input, of a model with several
    threads: int = 1
    rate: float = 0.0  # in real time at this multiple of the clip's pace; 0 in lock-step

    def __call__(self, clip: Clip) -> Iterator[Prediction]:
        """Answer a clip frame by frame; a frame that got no answer says that nothing is there."""
        os.environ.update(profile_settings(os.environ))
        with tempfile.TemporaryDirectory(prefix="pcan_clip_") as name:
            folder = Path(name) / "bag"
            make_bag(clip.frames(), folder)
            for index, played in enumerate(self._play(ImageBag(folder))):
                frame = clip.read(index)
                height, width = frame.image.shape[:2]
                tracks, dropped = _tracks(played, height, width), played.answer is None
                yield Prediction(frame, tracks, played.round_trip or 0.0, dropped)

    def _play(self, bag: ImageBag) -> Iterator[Played]:
        space = f"/pcan_evaluate_{os.getpid()}"  # nobody else's topics
        topic = f"{space}/image"
        with (
            NodeProcess(self._parameters(topic), namespace=space) as node,
            Client(image_topic=topic, outputs=f"{space}/pcan_tracker") as client,
        ):
            try:
                client.find_node(LOAD, node.alive)
                if self.rate:
                    yield from play_in_time(bag.records(), client, node.alive, self.rate)
                else:
                    for played in lockstep(bag.records(), client, node.alive):
                        if played.answer is None:
                            raise ClientError(f"no tracks for the image of {played.stamp * 1e-9:.3f} s")
                        yield played
            except ClientError as error:
                words = [line for line in node.log().splitlines() if line.strip()]
                raise NoPrediction(f"{error}; the node's last word: {(words or ['none'])[-1]}") from error

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
    """Return the configuration that a node runs a model by; ModelError where there is none."""
    return ModelFiles(model, size).config


def _tracks(played: Played, height: int, width: int) -> Tracks:
    if played.answer is not None:
        return from_tracks(played.answer.message)
    return Tracks(seconds(played.stamp), height, width, 0, ())
