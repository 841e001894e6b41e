"""Cameras and streams: the newest image of a live one, every image of one that has an end."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from support.videos import FRAMES, write_video

from pcan_model.core.errors import DataError
from pcan_model.data.footage import open_footage
from pcan_model.data.live import LiveStream, is_live

IMAGES = 5


class Camera:
    """Stands in for cv2.VideoCapture: gives numbered images, each only when it is let."""

    def __init__(self, source: int | str) -> None:
        self.source, self.number, self.released = source, 0, False
        self.let, self.asked = threading.Semaphore(0), threading.Semaphore(0)

    def isOpened(self) -> bool:
        return True

    def get(self, key: int) -> float:
        return -1.0

    def read(self) -> tuple[bool, NDArray[np.uint8] | None]:
        self.asked.release()
        assert self.let.acquire(timeout=30)
        if self.number == IMAGES:
            return False, None
        self.number += 1
        return True, np.full((4, 6, 3), (0, 0, self.number), np.uint8)

    def release(self) -> None:
        self.released = True


@pytest.fixture
def camera(monkeypatch: pytest.MonkeyPatch) -> Camera:
    opened = Camera(0)
    monkeypatch.setattr(cv2, "VideoCapture", lambda _: opened)
    return opened


def wait(camera: Camera, reads: int) -> None:
    """Wait until the reader has asked for so many images more."""
    for _ in range(reads):
        assert camera.asked.acquire(timeout=30)


@pytest.mark.parametrize(
    ("source", "live"),
    [
        ("0", True),
        ("rtsp://user:word@host/a b", True),  # pragma: allowlist secret
        ("drive.mp4", False),
        ("a:b.mp4", False),
        ("²", False),
    ],
)
def test_numbers_and_urls_are_live(source: str, live: bool) -> None:
    assert is_live(source) == live


def test_a_slow_reader_gets_the_newest_image_and_what_it_missed_is_counted(camera: Camera) -> None:
    stream = open_footage(0)
    assert isinstance(stream, LiveStream) and stream.count is None and stream.name == "camera_0"
    frames = stream.frames()
    camera.let.release()
    first = next(frames)
    wait(camera, 2)  # the second asks for the next image
    camera.let.release(3)
    wait(camera, 3)  # three are read; the last of them is the newest
    second = next(frames)
    assert [int(frame.image[0, 0, 0]) for frame in (first, second)] == [1, 4], "RGB"
    assert stream.skipped == 2 and second.time >= first.time > 1e18
    camera.let.release(9)
    assert [frame.number for frame in frames] == [2]
    assert camera.released and stream.problems() == ()


def test_a_reader_that_stops_closes_the_camera(camera: Camera) -> None:
    camera.let.release(9)
    frames = LiveStream("0").frames()
    next(frames)
    frames.close()  # type: ignore[attr-defined]
    assert camera.released


def test_a_camera_without_images_is_a_problem(camera: Camera) -> None:
    camera.number = IMAGES
    camera.let.release()
    stream = LiveStream("0")
    assert list(stream.frames()) == [] and stream.problems() == ("camera 0: expected images, got none",)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[str]:
    """Serve a video as a file, and its images as the endless JPEG of network cameras."""
    video = write_video(tmp_path / "v.avi", "MJPG").read_bytes()
    image = cv2.imencode(".jpg", np.full((32, 48, 3), 200, np.uint8))[1].tobytes()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            if self.path.endswith(".avi"):
                self.send_header("Content-Length", str(len(video)))
                self.end_headers()
                self.wfile.write(video)
                return
            self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=next")
            self.end_headers()
            part = f"--next\r\nContent-Type: image/jpeg\r\nContent-Length: {len(image)}\r\n\r\n".encode()
            self.wfile.write((part + image + b"\r\n") * IMAGES)

        def log_message(self, *_: object) -> None:
            pass

    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=http.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{http.server_port}"
    http.shutdown()
    http.server_close()


def test_a_network_camera_is_read_until_it_ends(server: str) -> None:
    stream = LiveStream(f"{server}/camera.mjpg")
    frames = list(stream.frames())
    assert stream.count is None and len(frames) + stream.skipped <= IMAGES
    assert frames and frames[0].image.shape == (32, 48, 3)


def test_of_a_file_behind_a_url_every_image_is_read(server: str) -> None:
    stream = LiveStream(f"{server}/v.avi")
    frames = list(stream.frames())
    assert stream.count == len(frames) == FRAMES and stream.skipped == 0
    times = [frame.time for frame in frames]
    assert times == sorted(set(times))


def test_what_cannot_be_opened_is_named_without_its_password() -> None:
    with pytest.raises(DataError) as caught:
        LiveStream("rtsp://user:secret@127.0.0.1:1/stream")  # pragma: allowlist secret
    assert "rtsp://127.0.0.1:1/stream: stream: expected a camera or stream" in str(caught.value)
