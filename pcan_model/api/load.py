"""Load a model to track videos, cameras and images."""

from __future__ import annotations

import pcan_model.inference.blas  # noqa: F401  before anything imports NumPy

# isort: split
import warnings
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from pcan_model.api.resume import job_of, resumable_tracks
from pcan_model.api.tracked_frame import TrackedFrame
from pcan_model.core.structures import Frame
from pcan_model.data.footage import Footage, Source, open_footage, seconds_of
from pcan_model.inference.backends import EngineOptions, open_engine
from pcan_model.inference.errors import ModelError
from pcan_model.inference.manifest import ModelFiles
from pcan_model.inference.model_names import find_model
from pcan_model.model.pass_names import GRAPHS
from pcan_model.tracking.admission_text import read_admission
from pcan_model.tracking.pace import Pace
from pcan_model.tracking.tracker import Tracker


class VideoTracker:
    """A loaded model; each call of `track` starts without tracks."""

    def __init__(self, tracker: Tracker, pace: Pace, describe: Callable[[], str] = str) -> None:
        """Wrap a tracker.

        pace      which images are key frames
        describe  returns model and options, for resuming
        """
        self._tracker, self._pace, self._describe = tracker, pace, describe

    @property
    def classes(self) -> tuple[str, ...]:
        """Return the class names of the model."""
        return tuple(self._tracker.engine.config.classes)

    def track(self, source: Source) -> Iterator[TrackedFrame]:
        """Track the objects in a source, image by image.

        source  a video, an image, a folder of images or a bag; a camera's number (0) or a URL (rtsp://…);
                an iterable of images, (H, W, 3) uint8 RGB, or of Frame, which includes the time and may
                tell where the camera is

        A live source yields its newest image; older ones are skipped if the caller is slow. Raises DataError
        at once if the source cannot be opened; warns at the end of a truncated file.
        """
        footage = open_footage(source)
        return self._track(footage, warn=footage is not source)

    def track_resumably(
        self, footage: Footage, source: Path, journal: Path, say: Callable[[str], object] = print
    ) -> Iterator[TrackedFrame]:
        """Track footage of a file or folder as `track` does, and go on where an interrupted call ended.

        source   file or folder that the footage was opened from; another content starts from the beginning
        journal  folder for results and state, saved every 25 images, and removed after the last image
        say      receives a line about what is resumed
        """
        job = job_of(source, self._tracker, self._describe())
        for each, time, tracks in resumable_tracks(self._tracker, self._pace, footage, journal, job, say):
            yield TrackedFrame(each.image, time, each.number, each.name, tracks, self.classes)

    def _track(self, footage: Footage, *, warn: bool) -> Iterator[TrackedFrame]:
        state, pace = self._tracker.start(), self._pace
        for each in footage.frames():
            time = seconds_of(footage, each)
            kind = pace.kind(drifted=state.drifted)
            state, tracks = self._tracker.step(state, Frame(each.image, time, place=each.place), kind=kind)
            pace = pace.after(tracks.kind, 0.0)  # its interval is fixed
            yield TrackedFrame(each.image, time, each.number, each.name, tracks, self.classes)
        for problem in footage.problems() if warn else ():
            warnings.warn(problem, stacklevel=2)


def load(
    model: str | Path = "street",
    *,
    backend: str = "auto",
    size: str = "",
    threads: int = 0,
    classes: Sequence[str] = (),
    region: str = "",
    ignore: str = "",
    key_interval: int = 1,
) -> VideoTracker:
    """Load a model for tracking; needs no torch.

    model    street or street_tiny, which are included in the package; the folder of an exported model; or
             `hf://OWNER/NAME` on the Hugging Face Hub
    backend  onnxruntime, openvino or tensorrt; auto selects the fastest that works
    size     input size for models with several, such as 384x640, or largest; empty for the model's default
    threads  CPU threads, 0 for one per core
    classes  names of the classes to track; empty for all
    region   where objects are tracked: corners such as "0,600 1280,600 1280,720" in pixels, or the path of
             an image that is above 0 there; separate several by `;`; empty for the whole image
    ignore   where nothing is tracked, in the same form
    key_interval  images from one run of the network to the next; between them optical flow carries the
             tracks, at a fraction of the time

    Raises ModelError for a model or an option that cannot be used, AdmissionError for an unknown class or an
    unreadable region.
    """
    options = EngineOptions(backend, size=size, threads=threads)
    folder, pace = find_model(model), Pace(interval=key_interval)
    engine = open_engine(folder, options).engine
    if key_interval > 1 and not engine.config.tracker.camera_motion:
        raise ModelError(f"key_interval: expected 1 with {model}: its tracker.camera_motion is false")
    admission = read_admission(engine.config.classes, wanted=classes, region=region, ignore=ignore)

    def describe() -> str:
        files = ModelFiles(folder, size)  # reads and hashes all files, which only resuming needs
        weights = [files.digest(name) for name in GRAPHS]
        return repr((engine.facts.engine, *weights, tuple(classes), region, ignore, key_interval))

    return VideoTracker(Tracker(engine, admissions=(admission,)), pace, describe)
