"""Images of a report: plots as SVG, and frames with ground truth and predictions as JPEG."""

from __future__ import annotations

import io
from collections.abc import Callable, Collection, Sequence
from typing import Any, cast

import cv2
import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as coco_mask

from pcan_model.core.structures import Tracks
from pcan_model.data.clips import LabeledFrame
from pcan_model.data.true_tracks import true_tracks
from pcan_model.evaluation.metrics.comparison import Objects
from pcan_model.evaluation.metrics.scores import Score
from pcan_model.evaluation.report.worst_frames import WorstFrame
from pcan_model.visualization.overlay import colour

WIDTH = 640  # pixels of each half
GREY, MISSED, SWITCHED = (128, 128, 128), (255, 40, 40), (255, 220, 0)  # RGB
ALPHAS = np.arange(0.05, 0.99, 0.05)


def curves(values: dict[str, tuple[float, ...]]) -> str:
    """Plot HOTA and its components over the IoU thresholds, as SVG."""
    figure = _figure(6, 3.2)
    axes = figure.add_subplot()
    for name, line in values.items():
        axes.plot(ALPHAS, np.multiply(line, 100), label=name, linewidth=2.5 if name == "HOTA" else 1)
    axes.set(xlabel="IoU threshold", ylabel="per cent", xlim=(0, 1), ylim=(0, 100))
    axes.legend(loc="lower left")
    axes.grid(alpha=0.3)
    return _svg(figure)


def bars(clips: Sequence[Score]) -> str:
    """Plot HOTA, MOTSA and IDF1 of every clip, as SVG."""
    figure = _figure(7, 1 + 0.35 * len(clips))
    axes = figure.add_subplot()
    rows = np.arange(len(clips))
    for k, (field, name) in enumerate((("hota", "HOTA"), ("motsa", "MOTSA"), ("idf1", "IDF1"))):
        lengths = [100 * (getattr(clip, field) or 0) for clip in clips]
        axes.barh(rows + 0.25 * (k - 1), lengths, 0.25, label=name)
    axes.set(yticks=rows, yticklabels=[clip.name for clip in clips], xlabel="per cent")
    axes.invert_yaxis()
    axes.legend(loc="upper left", bbox_to_anchor=(1, 1))
    axes.grid(alpha=0.3, axis="x")
    return _svg(figure)


def _figure(width: float, height: float) -> Any:
    from matplotlib.figure import Figure  # slow to import, and only reports need it

    return Figure(figsize=(width, height), layout="constrained")


def _svg(figure: Any) -> str:
    text = io.StringIO()
    figure.savefig(text, format="svg", metadata=dict.fromkeys(("Creator", "Date", "Format", "Type")))
    drawn = text.getvalue()
    return drawn[drawn.index("<svg") :]  # without the XML prolog, for embedding in HTML


def comparison_image(
    image: NDArray[np.uint8],
    ground_truth: Objects,
    predicted: Objects,
    worst: WorstFrame,
    view: Callable[[Tracks | None, int], NDArray[np.uint8]],
) -> bytes:
    """Draw ground truth (left), predictions (middle) and predictions from above (right), as JPEG.

    image    (H, W, 3) RGB
    worst    missed objects are outlined in red, those with an ID switch in yellow
    view     returns the bird's-eye view of tracks, of a height in pixels
    """
    left = _draw_objects(image, ground_truth, ignored=ground_truth.ignore)
    for objects, shade in ((worst.missed, MISSED), (worst.switched, SWITCHED)):
        _outline(left, ground_truth, objects, shade)
    both = np.hstack([left, _draw_objects(image, predicted)])
    height = round(image.shape[0] * WIDTH / image.shape[1])
    small = cv2.resize(both, (2 * WIDTH, height), interpolation=cv2.INTER_AREA)
    row = np.hstack([small, view(_tracks_of(predicted, image, worst.frame), height)])
    done, data = cv2.imencode(".jpg", row[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 80])
    assert done
    return data.tobytes()


def _tracks_of(objects: Objects, image: NDArray[np.uint8], index: int) -> Tracks:
    masks = [coco_mask.decode(rle).astype(bool) for rle in objects.rles]
    size = image.shape[:2]
    frame = LabeledFrame(
        image,
        np.stack(masks) if masks else np.zeros((0, *size), np.bool_),
        objects.labels,
        objects.ids,
        np.zeros(size, np.bool_),
    )
    return true_tracks(frame, 0.0, index)


def _draw_objects(
    image: NDArray[np.uint8], objects: Objects, ignored: Sequence[Any] = ()
) -> NDArray[np.uint8]:
    drawn = image.copy()
    layers = [(rle, np.array(GREY)) for rle in ignored]
    layers += [(rle, np.array(colour(int(i)))) for rle, i in zip(objects.rles, objects.ids, strict=True)]
    for rle, shade in layers:
        where = coco_mask.decode(rle).astype(bool)
        drawn[where] = (0.5 * drawn[where] + 0.5 * shade).astype(np.uint8)
    return drawn


def _outline(
    image: NDArray[np.uint8],
    objects: Objects,
    chosen: Collection[tuple[int, int]],
    colour: tuple[int, int, int],
) -> None:
    for rle, label, identity in zip(objects.rles, objects.labels, objects.ids, strict=True):
        if (int(label), int(identity)) in chosen:
            outlines, _ = cv2.findContours(
                cast(NDArray[np.uint8], coco_mask.decode(rle)), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE
            )
            cv2.drawContours(image, outlines, -1, colour, 2)
