"""Measure each part of a frame: `python benchmarks/frame_time.py --model models/pcan_street_tiny`.

The network runs for real on every image; what it finds is then replaced by 20 moving objects of
street sizes, so that association, masks and messages have the load of a busy street with any weights.

Times are CPU seconds of the process, all threads together: other work on the machine does not disturb them.
On several cores the network's wall time is its CPU time divided by them, and all others stay on one, so the
share is given against that too.
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import pcan_model.inference.blas  # noqa: F401  before NumPy is loaded

# isort: split

import argparse
import os
import statistics
import time
from collections.abc import Callable
from dataclasses import fields, replace
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as coco

from pcan_model.core.engine import Engine
from pcan_model.core.geometry import Letterbox, clip_boxes, sigmoid
from pcan_model.core.masks import Encoding
from pcan_model.core.package_files import default_model
from pcan_model.core.structures import Detections, Frame, Slots, Tracks
from pcan_model.data.image_decoding import decode
from pcan_model.inference.host_engine import HostFeatures, HostMemory
from pcan_model.inference.onnx_engine import OnnxEngine
from pcan_model.tracking.tracker import Stopwatch, Timings, Tracker

HEIGHT, WIDTH, OBJECTS = 720, 1280, 20
LIMIT = 0.15  # of the network's time, for everything else


class Street(Engine):
    """An engine that runs the real network and then returns synthetic objects."""

    def __init__(self, engine: OnnxEngine) -> None:
        self._engine, self.config, self._step = engine, engine.config, 0
        random = np.random.default_rng(0)
        heights = np.geomspace(30, 260, OBJECTS)  # camera pixels: some near, most far
        self._sizes = np.stack([heights * random.uniform(0.4, 1.4, OBJECTS), heights], 1)
        self._centres = random.uniform((80, 300), (WIDTH - 80, 520), (OBJECTS, 2))
        self._speeds = random.uniform(-4, 4, (OBJECTS, 2))
        self._embeds = random.normal(size=(OBJECTS, engine.config.heads.embed_channels)) * 3

    def start(self, camera: int = 0) -> HostMemory:
        """Return the empty memory of the wrapped engine."""
        return self._engine.start()

    def detect(self, image: NDArray[np.uint8], memory: HostMemory) -> tuple[Detections, HostFeatures]:
        """Run the network and return the synthetic detections."""
        _, features = self._engine.detect(image, memory)
        self._step += 1
        centres = self._centres + self._step * self._speeds
        boxes = np.concatenate([centres - self._sizes / 2, centres + self._sizes / 2], 1).astype(np.float32)
        target = (self.config.input.height, self.config.input.width)
        boxes = Letterbox((HEIGHT, WIDTH), target).to_network(clip_boxes(boxes, HEIGHT, WIDTH))
        scores = np.linspace(0.95, 0.75, OBJECTS).astype(np.float32)
        rows = np.arange(OBJECTS)
        found = Detections(boxes, scores, rows % 8, self._embeds.astype(np.float32), rows)
        return found, replace(features, count=OBJECTS)

    def segment(
        self, features: HostFeatures, slots: Slots, memory: HostMemory, *, remember: bool
    ) -> tuple[NDArray[np.float32], HostMemory]:
        """Run the network and return ellipses."""
        logits, following = self._engine.segment(features, slots, memory, remember=remember)
        side = np.linspace(-1, 1, logits.shape[-1])
        ellipse = 6 * (1 - side[:, None] ** 2 - side[None] ** 2 + 0.1)
        return np.broadcast_to(ellipse.astype(np.float32), logits.shape).copy(), following


def main() -> None:
    options = _options()
    parts, tracks = measure(
        Tracker(Street(OnnxEngine(options.model, options.threads or None))), options.frames
    )
    network = parts.pop("network")
    others, threads = sum(parts.values()), options.threads or len(os.sched_getaffinity(0))
    size = f"{WIDTH}x{HEIGHT}, {len(tracks.found())} instances, {threads} threads"
    print(f"{options.model.name}, {size}, median of {options.frames} frames")
    print(f"{'network':12} {network * 1e3:8.2f} ms")
    for name, value in parts.items():
        print(f"{name:12} {value * 1e3:8.2f} ms  {value / network:6.1%} of the network")
    print(f"{'all others':12} {others * 1e3:8.2f} ms  {others / network:6.1%}")
    share = others * threads / network
    verdict = "within" if share <= LIMIT else "ABOVE"
    print(f"beside a network on {threads} threads that run freely: {share:.1%}, {verdict} {LIMIT:.0%}")
    print("\nwhy it is done so                       ours      naive")
    for name, ours, naive in comparisons(tracks, options.model, options.threads or None):
        print(f"{name:34} {ours * 1e3:7.2f} ms {naive * 1e3:7.2f} ms  {naive / ours:6.1f} x")


def measure(tracker: Tracker, frames: int) -> tuple[dict[str, float], Tracks]:
    """Return the median CPU time of every part in seconds, and the last frame's tracks."""
    messages, publish, close = _ros()
    state, stopwatch, message = tracker.start(), Stopwatch(time.process_time), messages.image()
    times: dict[str, list[float]] = {}
    for number in range(frames + 3):
        begin = time.process_time()
        image = decode(message)
        decoded = time.process_time()
        state, tracks = tracker.step(state, Frame(image, number / 10), stopwatch)
        stepped = time.process_time()
        answer = messages.tracks(tracks, tracker.engine.config.classes)
        told = time.process_time()
        publish(answer)
        done = time.process_time()
        if number >= 3:  # the first ones warm up
            laps = {f.name: getattr(stopwatch.timings, f.name) for f in fields(Timings)}
            laps |= {"decode": decoded - begin, "message": told - stepped, "publish": done - told}
            for name, value in laps.items():
                times.setdefault(name, []).append(value)
    close()
    order = ("network", "decode", "preprocess", "association", "masks", "message", "publish")
    return {name: statistics.median(times[name]) for name in order}, tracks


class Messages:
    """The messages of a frame."""

    def image(self) -> Any:
        """Return a camera image."""
        from std_msgs.msg import Header

        from pcan_ros.messages import to_image

        noise = np.random.default_rng(0).integers(0, 255, (HEIGHT // 8, WIDTH // 8, 3), np.uint8)
        return to_image(cv2.resize(noise, (WIDTH, HEIGHT)), "bgr8", Header())

    def tracks(self, tracks: Tracks, classes: tuple[str, ...]) -> Any:
        """Return the result of a frame."""
        from std_msgs.msg import Header

        from pcan_ros.messages import to_tracks

        return to_tracks(tracks, Header(), classes, encoding=Encoding.RLE_COCO)


def _ros() -> tuple[Messages, Callable[[Any], None], Callable[[], None]]:
    """Return messages, a publisher with a reliable subscriber, and a function to shut down."""
    import rclpy
    from pcan_ros.msg import TrackedInstanceArray
    from rclpy.node import Node

    rclpy.init()
    node = Node("frame_time")
    publisher = node.create_publisher(TrackedInstanceArray, "frame_time/tracks", 5)
    node.create_subscription(TrackedInstanceArray, "frame_time/tracks", lambda _: None, 5)
    time.sleep(0.5)
    return Messages(), publisher.publish, rclpy.shutdown


def comparisons(tracks: Tracks, model: Path, threads: int | None) -> list[tuple[str, float, float]]:
    """Return name, our time and that of a naive implementation in seconds, for design decisions."""
    from sensor_msgs.msg import Image

    from pcan_ros.messages import to_bytes, to_mask

    found = tracks.found()
    image = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    logits = np.random.default_rng(0).normal(size=(28, 28)).astype(np.float32)

    def paste_whole() -> None:
        for instance in found:
            canvas = np.zeros((HEIGHT, WIDTH), np.float32)
            x1, y1, x2, y2 = (int(side) for side in instance.box)
            canvas[y1:y2, x1:x2] = cv2.resize(sigmoid(logits), (x2 - x1, y2 - y1))
            np.ascontiguousarray(canvas > 0.5)

    def paste_crop() -> None:
        from pcan_model.core.geometry import paste_mask

        for instance in found:
            paste_mask(logits, instance.box, HEIGHT, WIDTH)

    def encode_crops() -> None:
        for instance in found:
            to_mask(instance.mask, Encoding.RLE_COCO)

    def encode_whole() -> None:
        for instance in found:
            coco.encode(np.asfortranarray(instance.mask.full(HEIGHT, WIDTH)))

    bound, copied = _network_ways(model, threads)
    return [
        ("mask: pasted in its box / whole", median(paste_crop), median(paste_whole)),
        ("mask: run lengths of crop / whole", median(encode_crops), median(encode_whole)),
        ("image data: array / list", median(lambda: Image(data=to_bytes(image))),
         median(lambda: Image(data=image.reshape(-1).tolist()), 3)),
        ("network: bound / through NumPy", median(bound, 10), median(copied, 10)),
    ]  # fmt: skip


def _network_ways(model: Path, threads: int | None) -> tuple[Callable[[], None], Callable[[], None]]:
    """Return functions that run the frame network with bound values and with arrays."""
    import onnxruntime

    engine = OnnxEngine(model, threads)
    size, memory = engine.config.input, engine.start()
    image = np.zeros((size.height, size.width, 3), np.uint8)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = threads or 0, 3
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # as the engine has it
    session = onnxruntime.InferenceSession(
        str(model / "frame.onnx"), options, providers=["CPUExecutionProvider"]
    )
    names = [node.name for node in session.get_inputs()]
    arrays = dict(zip(names, [image[None], *(value.numpy() for value in memory.frames)], strict=True))
    return lambda: _forget(engine.detect(image, memory)), lambda: _forget(session.run(None, arrays))


def _forget(_: object) -> None:
    return None


def median(work: Callable[[], Any], times: int = 20) -> float:
    """Return the median CPU time of a function in seconds."""
    spent = []
    for _ in range(times + 1):
        begin = time.process_time()
        work()
        spent.append(time.process_time() - begin)
    return statistics.median(spent[1:])


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", type=Path, default=default_model())
    parser.add_argument("--frames", type=int, default=50)
    parser.add_argument("--threads", type=int, default=0)
    return parser.parse_args()


if __name__ == "__main__":
    main()
