"""`report.html`: a self-contained page with all results of an evaluation."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from html import escape

from pcan_model.evaluation.metrics.bdd100k import BddScores
from pcan_model.evaluation.metrics.scores import COUNTS, HEADS, NOTES, RATES, Score
from pcan_model.evaluation.report import published
from pcan_model.evaluation.report.images import bars, curves
from pcan_model.evaluation.report.provenance import Provenance
from pcan_model.evaluation.report.summary import AP_METHOD, Summary
from pcan_model.evaluation.report.worst_frames import WorstFrame
from pcan_model.lifting.ground_plane import FlatRoad

STYLE = """
body { font: 15px/1.45 system-ui, sans-serif; max-width: 1320px; margin: 2em auto; padding: 0 1em }
table { border-collapse: collapse; margin: .6em 0 1.2em } th, td { padding: .25em .7em; text-align: right }
th:first-child, td:first-child, .words td { text-align: left } thead { border-bottom: 2px solid #888 }
tbody tr:nth-child(even) { background: #f4f4f4 } .note { color: #555; max-width: 60em }
figure { margin: 1em 0 } img { max-width: 100%; border: 1px solid #ccc }
"""
LEGEND = (
    "Ground truth on the left, predictions in the middle; colours by identity in each. Outlined in red: "
    "missed. In yellow: matched with another track than before (ID switch). Grey: ignored. On the right the "
    "predictions of this frame from above: by its depth if the clip has geometry (pcan-drive --geometry), "
    f"else {FlatRoad().words}."
)


@dataclass(frozen=True, slots=True, eq=False)
class WorstFrameImage:
    """A frame with errors and its image."""

    worst: WorstFrame
    jpeg: bytes


def page(
    summary: Summary, origin: Provenance, frame_images: Sequence[WorstFrameImage], *, data: str | None = None
) -> str:
    """Return the page.

    data  key of `published.PUBLISHED`, for data sets with published results
    """
    scores = (*summary.report.classes, summary.report.sum, summary.report.mean)
    parts = [
        f"<h1>{escape(origin.network)}</h1>",
        f"<p>{summary.report.frames} frames, clips: {summary.report.clips}</p>",
        _published(summary, origin, data) if data else "",
        "<h2>HOTA, CLEAR and identity</h2>",
        _scores(scores),
        _note("\n".join([summary.report.method, *NOTES.splitlines()[:3]])),
        curves(summary.curves),
        "<h2>BDD100K metrics</h2>",
        _bdd(summary.bdd100k),
        _note(summary.bdd100k.method),
        "<h2>Average precision of tracks</h2>",
        _precision(summary),
        _note(AP_METHOD),
        "<h2>Clip by clip</h2>",
        bars(summary.clips),
        _scores(summary.clips),
        "<h2>Worst frames</h2>" + _note(LEGEND) if frame_images else "",
        *map(_worst_frame_image, frame_images),
        "<h2>Provenance</h2>",
        _origin(summary, origin),
    ]
    title = escape(f"{origin.network}, evaluated")
    head = f"<!doctype html><meta charset=utf-8><title>{title}</title><style>{STYLE}</style>"
    return "\n".join([head, *filter(None, parts)]) + "\n"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    def line(cells: Sequence[str], tag: str) -> str:
        return "<tr>" + "".join(f"<{tag}>{escape(cell)}</{tag}>" for cell in cells) + "</tr>"

    body = "".join(line(row, "td") for row in rows)
    return f"<table><thead>{line(head, 'th')}</thead><tbody>{body}</tbody></table>"


def _note(text: str) -> str:
    return "".join(f"<p class=note>{escape(line)}</p>" for line in text.splitlines())


def _percent(value: float | None, scale: float = 100) -> str:
    return "–" if value is None else f"{scale * value:.1f}"


def _scores(scores: Sequence[Score]) -> str:
    rows = [
        [score.name, *(_percent(getattr(score, rate)) for rate in RATES)]
        + [str(getattr(score, count)) for count in COUNTS]
        for score in scores
    ]
    return _table(["", *(HEADS[key] for key in RATES + COUNTS)], rows)


def _bdd(scores: BddScores) -> str:
    rows = [
        [row.name, *(_percent(rate, 1) for rate in (row.mota, row.motp, row.idf1))]
        + [str(n) for n in (row.counts.switches, row.counts.false_positives, row.counts.misses)]
        for row in (*scores.classes, *scores.parents, scores.average, scores.overall)
    ]
    return _table(["", "MOTSA", "MOTSP", "IDF1", "IDSw", "FP", "FN"], rows)


def _precision(summary: Summary) -> str:
    names = ("AP", "AP50", "AP75", "AR1", "AR10")
    stats = [_percent(value if (value := summary.tracks.stats[name]) >= 0 else None) for name in names]
    classes = [[name, _percent(ap)] for name, ap in summary.tracks.per_class.items() if ap is not None]
    return _table(names, [stats]) + _table(["", "AP"], classes)


def _published(summary: Summary, origin: Provenance, data: str) -> str:
    rows = [
        [one.name, _number(one.find(summary)), _number(one.paper), _number(one.repository)]
        for one in published.PUBLISHED[data]
    ]
    table = _table(["", "ours", "paper", "repository"], rows)
    note = published.note(origin.network, summary.report.clips, data)
    return f"<h2>Comparison with the paper: {escape(published.SPLITS[data])}</h2>{table}{_note(note)}"


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.1f}".removesuffix(".0")


def _worst_frame_image(frame_image: WorstFrameImage) -> str:
    worst = frame_image.worst
    words = (
        f"{worst.clip}, frame {worst.frame}: {len(worst.switched)} ID switches, "
        f"{len(worst.missed)} missed, {worst.false} false"
    )
    encoded = b64encode(frame_image.jpeg).decode("ascii")
    image = f'<img src="data:image/jpeg;base64,{encoded}">'
    return f"<figure>{image}<figcaption>{escape(words)}</figcaption></figure>"


def _origin(summary: Summary, origin: Provenance) -> str:
    rows = [
        [name.replace("_", " "), ", ".join(f"{k} {v}" for k, v in value.items())]
        if isinstance(value, dict)
        else [name.replace("_", " "), f"{value:.0f}" if isinstance(value, float) else str(value)]
        for name, value in asdict(origin).items()
    ]
    speed = summary.speed
    if speed.mean:
        mean, p50, p95 = (f"{1000 * (t or 0):.0f}" for t in (speed.mean, speed.p50, speed.p95))
        words = (
            f"{mean} ms a frame (p50 {p50}, p95 {p95}), {1 / speed.mean:.1f} frames per second and process"
        )
        rows.append(["from image to tracks", words])
    return _table(["", ""], rows).replace("text-align: right", "")
