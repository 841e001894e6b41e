"""Soak test: feed a real node over DDS for thousands of frames and monitor its memory.

`python benchmarks/soak.py --video bikes.mp4 --frames 10000` plays a video in a loop, prints the node's
resident memory along the way and exits with 1 when it grew after the warm-up. Without a video it sends
small images of moving squares, which takes minutes.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from pathlib import Path

import numpy as np
from tqdm import tqdm

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

WARM = 0.1  # share of the frames after which memory should stay as it is
ALLOWED = 8.0  # MB of growth from then on
NUMBER = 20  # memory readings


def main() -> None:
    options = _options()
    from pcan_ros.client.client import Client
    from pcan_ros.client.process import NodeProcess

    space = f"/pcan_soak_{os.getpid()}"
    parameters = {
        "model": str(options.model.resolve()),
        "cameras": [f"{space}/image"],
        "reliability": "reliable",
    }
    with (
        NodeProcess(parameters, namespace=space) as node,
        Client(image_topic=f"{space}/image", outputs=f"{space}/pcan_tracker") as client,
    ):
        client.find_node(60, node.alive)
        readings = _soak(node, client, options)
        code = node.stop()
    for number, resident in readings:
        print(f"frame {number:6}: {resident:7.1f} MB")
    growth = readings[-1][1] - next(r for n, r in readings if n >= WARM * options.frames)
    print(f"growth after {WARM:.0%} of the frames: {growth:+.1f} MB; the node ended with {code}")
    sys.exit(growth > ALLOWED or code != 0)


def _soak(node: object, client: object, options: argparse.Namespace) -> list[tuple[int, float]]:
    """Feed the node; return frame numbers with its resident memory in MB."""
    readings, tracks = [], 0
    images = _video(options.video) if options.video else _street(options.height, options.width)
    begin = time.monotonic()
    for number in tqdm(range(options.frames + 1), unit="frame", mininterval=5):
        if number % max(1, options.frames // NUMBER) == 0:
            readings.append((number, _resident(node.pid)))
        stamp = 1 + number * 0.05 - (500 if number == options.frames // 2 else 0)  # one loop of the bag
        if client.exchange(_message(images[number % len(images)], stamp), 30, node.alive) is None:
            sys.exit(f"frame {number}: no answer\n{node.log()}")
        tracks += sum(len(reply.message.instances) for reply in client.replies)
        client.replies.clear()
        client.statuses.clear()
    print(f"{options.frames} frames in {time.monotonic() - begin:.0f} s; {tracks} instances published")
    return readings


def _video(path: Path) -> list[np.ndarray]:
    """Return all images of a video, RGB."""
    from pcan_model.data.registry import open_clip

    return [frame.image for frame in open_clip(path).frames()]


def _street(height: int, width: int) -> list[np.ndarray]:
    """Return images with textured squares that appear and disappear."""
    random = np.random.default_rng(0)
    ground = random.integers(40, 80, (height, width, 3), np.uint8)
    images = []
    for i in range(97):
        image = ground.copy()
        for k, colour in enumerate(((255, 0, 0), (0, 255, 0), (0, 0, 255))):
            if (i // (7 + k)) % 2:
                x, y = (i * (k + 1)) % (width - 16), (10 + 13 * k + i) % (height - 16)
                image[y : y + 16, x : x + 16] = colour
        images.append(image)
    return images


def _message(image: np.ndarray, stamp: float) -> object:
    from std_msgs.msg import Header

    from pcan_ros.messages import to_image

    header = Header(frame_id="camera")
    header.stamp.sec, header.stamp.nanosec = int(stamp), round(stamp % 1 * 1e9) % 1_000_000_000
    return to_image(image, "rgb8", header)


def _resident(pid: int) -> float:
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def _options() -> argparse.Namespace:
    from pcan_model.core.package_files import default_model

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", type=Path, default=default_model())
    parser.add_argument("--frames", type=int, default=10_000)
    parser.add_argument("--video", type=Path, help="play this in a loop; all of it is held in memory")
    parser.add_argument("--height", type=int, default=64)
    parser.add_argument("--width", type=int, default=96)
    return parser.parse_args()


if __name__ == "__main__":
    main()
