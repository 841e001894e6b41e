"""PCAN on TensorRT for a batch of cameras: one launch of each engine for all."""

from __future__ import annotations

import weakref
from collections.abc import Collection, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pcan_model.core.engine import Engine, EngineFacts
from pcan_model.core.structures import Detections, Slots
from pcan_model.inference.graphs import check_image, detections, masks
from pcan_model.inference.tensorrt.engine_pair import EnginePair, Source
from pcan_model.inference.tensorrt.image_buffers import AnyImage, Images
from pcan_model.model.pass_names import DETECTIONS


@dataclass(frozen=True, slots=True)
class BatchMemory:
    """Handle of one camera's memory on the device, which holds the newest only."""

    camera: int
    number: int


@dataclass(frozen=True, slots=True, eq=False)
class BatchFeatures:
    """Handle of the features of the last images on the device."""

    memories: Mapping[int, BatchMemory]  # used in detection, by camera
    counts: Mapping[int, int]  # detections without padding, by camera


class TensorRtBatchEngine(Engine):
    """Engine for a batch of cameras on a device; a failure of the device raises EngineLost and is final.

    A camera missing in a call has no new image: the network processes its old one, the results are
    discarded, and its memory is unchanged.
    """

    device_images = True

    def __init__(self, source: Source) -> None:
        """Open a model that was exported for several cameras."""
        self._files, self.cameras_at_once = source.files, source.files.manifest.cameras
        self._pair = EnginePair(source, cameras=self.cameras_at_once)
        self.config, self.camera_format = self._files.config, self._files.manifest.camera_format
        with self._pair.alive():
            self._session = self._pair.session()
        self._newest = [0] * self.cameras_at_once  # number of each camera's memory that is on the device
        self._finalizer = weakref.finalize(self, self._session.close)

    @property
    def facts(self) -> EngineFacts:
        """Return the runtime, and the device memory of engines, contexts and buffers."""
        return self._pair.facts([self._session])

    def start(self, camera: int = 0) -> BatchMemory:
        """Return the empty memory of one camera; its earlier memories become invalid."""
        with self._pair.alive():
            self._session.reset(camera)
        return self._next(camera)

    def stage(self, image: AnyImage, memory: BatchMemory) -> None:
        """Start uploading a camera's next image; see `pcan_model.core.engine`."""
        check_image(image, self._files)
        with self._pair.alive():
            self._session.stage(image, memory.camera)

    def detect(self, image: AnyImage, memory: BatchMemory) -> tuple[Detections, BatchFeatures]:
        """Detect the objects in one camera's image; see `pcan_model.core.engine`."""
        camera = memory.camera
        found, features = self.detect_cameras({camera: image}, {camera: memory}, remember={camera})
        return found[camera], features

    def segment(
        self, features: BatchFeatures, slots: Slots, memory: BatchMemory, *, remember: bool
    ) -> tuple[NDArray[np.float32], BatchMemory]:
        """Refine the masks of the same camera; see `pcan_model.core.engine`."""
        logits, memories = self._segment(features, {memory.camera: slots}, remember=remember)
        return logits[memory.camera], memories[memory.camera]

    def detect_cameras(
        self, images: Images, memories: Mapping[int, BatchMemory], *, remember: Collection[int]
    ) -> tuple[dict[int, Detections], BatchFeatures]:
        """Detect the objects in the cameras' images in one launch; see `pcan_model.core.engine`."""
        for camera, image in images.items():
            check_image(image, self._files)
            self._check(camera, memories[camera])
        with self._pair.alive():
            out = self._session.detect(images, self._while_busy, remember)
        self.nms_ok = bool(out["nms_ok"])
        rows = self.config.heads.detections
        found = {}
        for camera in images:
            own = slice(camera * rows, (camera + 1) * rows)
            found[camera] = detections({name: out[name][own] for name in DETECTIONS}, self.config)
        counts = {camera: len(each) for camera, each in found.items()}
        return found, BatchFeatures({camera: memories[camera] for camera in images}, counts)

    def segment_cameras(
        self, features: BatchFeatures, slots: Mapping[int, Slots]
    ) -> tuple[dict[int, NDArray[np.float32]], dict[int, BatchMemory]]:
        """Refine the masks of the same cameras in one launch; see `pcan_model.core.engine`."""
        return self._segment(features, slots, remember=True)  # the network has decided it for each camera

    def close(self) -> None:
        """Free the session."""
        self._pair.retire()
        self._finalizer()

    def _segment(
        self, features: BatchFeatures, slots: Mapping[int, Slots], *, remember: bool
    ) -> tuple[dict[int, NDArray[np.float32]], dict[int, BatchMemory]]:
        for camera, memory in features.memories.items():
            self._check(camera, memory)
        rows = self.config.heads.detections
        with self._pair.alive():
            if any(features.counts.values()):
                used = {camera: slots[camera] for camera, count in features.counts.items() if count}
                out = self._session.segment(self._together(used), self._while_busy)
            else:
                out = np.zeros(self._pair.instance.shape("refined"), np.float32)
        parts = {camera: out[camera * rows : (camera + 1) * rows] for camera in features.counts}
        logits = {camera: masks(part, features.counts[camera]) for camera, part in parts.items()}
        self._session.advance(remember=remember)
        return logits, {camera: self._next(camera) for camera in logits}

    def _together(self, slots: Mapping[int, Slots]) -> Slots:
        """Concatenate the cameras' rows; missing cameras write nothing."""
        rows, tracks = self.config.heads.detections, self.config.tracker.capacity
        nothing = Slots(
            np.zeros(rows, np.int64), np.ones(rows, np.float32),
            np.zeros(tracks, np.int64), np.zeros(tracks, np.float32),
        )  # fmt: skip
        every = [slots.get(camera, nothing) for camera in range(self.cameras_at_once)]
        return Slots(
            slot=np.concatenate([each.slot + n * tracks for n, each in enumerate(every)]),
            fresh=np.concatenate([each.fresh for each in every]),
            owner=np.concatenate([each.owner + n * rows for n, each in enumerate(every)]),
            has=np.concatenate([each.has for each in every]),
        )

    def _next(self, camera: int) -> BatchMemory:
        self._newest[camera] += 1
        return BatchMemory(camera, self._newest[camera])

    def _check(self, camera: int, memory: BatchMemory) -> None:
        """Raise ValueError unless a memory is the camera's newest."""
        if memory != BatchMemory(camera, self._newest[camera]):
            raise ValueError(
                f"memory: expected the newest one of camera {camera} (number {self._newest[camera]}), got "
                f"number {memory.number} of camera {memory.camera}: on TensorRT earlier memories are gone"
            )

    def _while_busy(self) -> None:
        if self.meanwhile is not None:
            self.meanwhile()
