"""Images that are on the device already: copied there, not over the host, with the same results."""

from __future__ import annotations

import ctypes
import gc
import json
import weakref
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.bench import Bench
from support.fake_cudart import FakeCudart, Work
from support.squares import export_squares, pixels
from support.stream_order import Access

from pcan_model.core.device_image import DeviceFrame, DeviceImage
from pcan_model.core.structures import Frame, Tracks
from pcan_model.core.tracker_config import TrackerConfig
from pcan_model.inference.errors import WrongCamera
from pcan_model.inference.onnx_engine import OnnxEngine
from pcan_model.inference.tensorrt.cuda import Cuda
from pcan_model.tracking.tracker import Tracker

CAR, PERSON = 2, 0


@pytest.fixture(scope="module")
def squares(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = export_squares(tmp_path_factory.mktemp("squares"))
    manifest = json.loads((folder / "manifest.json").read_text())
    camera = {"height": 64, "width": 96, "order": "rgb"}  # the size of the network's input
    (folder / "manifest.json").write_text(json.dumps(manifest | {"camera": camera}))
    return folder


class Camera:
    """A driver that writes its images to device memory on a stream of its own."""

    def __init__(self, cudart: FakeCudart) -> None:
        self._cudart = cudart
        self._stream = cudart.cudaStreamCreateWithFlags(1)[1]

    def image(self, host: np.ndarray) -> DeviceImage:
        address, size = self._cudart.cudaMalloc(host.nbytes)[1], host.nbytes
        written = Work(
            lambda: ctypes.memmove(address, host.ctypes.data, size) and None,
            (Access(address, address + size, writes=True),),
        )
        self._cudart.enqueue(self._stream.handle, written)
        return DeviceImage(array(host.shape, address=address, stream=self._stream.handle))


class Array:
    """An array on the device; a test can refer to it weakly."""

    def __init__(self, interface: dict[str, Any]) -> None:
        self.__cuda_array_interface__ = interface


def array(shape: tuple[int, ...], *, address: int = 4096, **about: Any) -> Any:
    interface = {"shape": shape, "typestr": "|u1", "data": (address, False), "version": 3} | about
    return Array(interface)


def drive(count: int = 12) -> list[np.ndarray]:
    return [pixels({CAR: (3 + 2 * n, 10), PERSON: (70 - 3 * n, 40)} if n % 5 else {}) for n in range(count)]


def summary(tracks: Tracks) -> list[Any]:
    return [(i.track_id, i.state, i.score, i.box.tolist(), i.mask.crop.tolist()) for i in tracks.instances]


def test_an_image_on_the_device_gives_the_same_tracks_and_is_not_uploaded(
    squares: Path, bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    uploads = list[int]()
    upload = Cuda.upload
    monkeypatch.setattr(Cuda, "upload", lambda self, *call: uploads.append(call[2]) or upload(self, *call))
    reference, tracker = Tracker(OnnxEngine(squares, 1)), Tracker(bench.engine(squares))
    camera, before, state, found = Camera(bench.cudart), reference.start(), tracker.start(), 0
    for number, host in enumerate(drive()):
        ready = tracker.prepare(DeviceFrame(camera.image(host), number / 10))
        if number % 2:
            tracker.engine.stage(ready.image, state.memory)
        state, ours = tracker.step(state, ready)
        before, theirs = reference.step(before, Frame(host, number / 10))
        assert summary(ours) == summary(theirs)
        found += len(ours.found())
    assert found > 15
    assert drive()[0].nbytes not in uploads
    tracker.step(state, Frame(drive()[1], 2.0))
    assert drive()[0].nbytes in uploads, "an image on the host is still uploaded"


def test_a_copy_that_does_not_wait_for_the_driver_is_refused_by_the_stand_in(
    squares: Path, bench: Bench
) -> None:
    tracker, camera = Tracker(bench.engine(squares)), Camera(bench.cudart)
    image = camera.image(drive()[1])
    hasty = DeviceImage(array(image.shape, address=image.address))
    with pytest.raises(AssertionError, match=r"race: read .* does not wait for the write"):
        tracker.step(tracker.start(), tracker.prepare(DeviceFrame(hasty, 0.0)))


def test_the_array_is_kept_until_it_is_copied_and_not_longer(squares: Path, bench: Bench) -> None:
    tracker, camera = Tracker(bench.engine(squares)), Camera(bench.cudart)
    state = tracker.start()
    ready = tracker.prepare(DeviceFrame(camera.image(drive()[1]), 0.0))
    first = camera.image(drive()[2])
    replaced = weakref.ref(first.array)
    tracker.engine.stage(first, state.memory)
    del first
    tracker.engine.stage(ready.image, state.memory)
    gc.collect()
    assert replaced() is not None, "its copy may still be under way"
    tracker.step(state, ready)
    gc.collect()
    assert replaced() is None


def test_where_the_host_needs_the_pixels_an_image_on_the_device_is_refused(
    squares: Path, tmp_path: Path, bench: Bench
) -> None:
    camera = Camera(bench.cudart)
    frame = DeviceFrame(camera.image(drive()[0]), 0.0)
    engine = bench.engine(squares)
    for tracker, said in (
        (Tracker(OnnxEngine(squares, 1)), "needs TensorRT and a model exported with --camera"),
        (
            Tracker(bench.engine(export_squares(tmp_path))),
            "needs TensorRT and a model exported with --camera",
        ),
        (Tracker(engine, TrackerConfig(capacity=8, camera_motion=True)), "tracker.camera_motion"),
    ):
        with pytest.raises(ValueError, match=said):
            tracker.prepare(frame)
    tracker = Tracker(engine)
    with pytest.raises(ValueError, match="order: expected rgb on the device, got bgr"):
        tracker.prepare(DeviceFrame(DeviceImage(frame.image.array, "bgr"), 0.0))
    small = DeviceFrame(camera.image(np.zeros((32, 96, 3), np.uint8)), 0.0)
    with pytest.raises(WrongCamera, match="expected 64 x 96"):
        tracker.step(tracker.start(), tracker.prepare(small))


def test_only_a_contiguous_colour_image_of_bytes_is_one() -> None:
    image = DeviceImage(array((4, 6, 3), strides=(18, 3, 1), stream=None))
    assert (image.shape, image.address, image.stream) == ((4, 6, 3), 4096, None)
    for wrong, said in (
        (np.zeros((4, 6, 3), np.uint8), "expected an array with __cuda_array_interface__, got <class 'numpy"),
        (array((4, 6)), r"expected \(H, W, 3\) uint8 .*, got \(4, 6\) "),
        (array((0, 6, 3)), r"got \(0, 6, 3\)"),
        (array((4, 6, 3), typestr="<f4"), "got .* <f4"),
        (array((4, 6, 3), strides=(32, 3, 1)), r"strides: expected \(18, 3, 1\), .* got \(32, 3, 1\)"),
    ):
        with pytest.raises(ValueError, match=said):
            DeviceImage(wrong)
