"""Published results of the PCAN paper and its repository, for comparison."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from pcan_model.evaluation.metrics.scores import Score
from pcan_model.evaluation.report.summary import Summary

Find = Callable[[Summary], float | None]
NOTE = (
    "The paper's network is PCAN on ResNet-50 FPN, trained on that data set; ours here is {network}. "
    "The two columns are {kind}."
)
SAME = "pcan_r50"  # prefix of the configurations of the paper's network


@dataclass(frozen=True, slots=True)
class Published:
    """A published result, in per cent unless it is a count, and the function that returns ours."""

    name: str
    paper: float
    repository: float | None
    find: Find


def _score(name: str, field: str) -> Find:
    def find(summary: Summary) -> float | None:
        rows: dict[str, Score] = {score.name: score for score in summary.report.classes}
        value = getattr(rows[name], field) if name in rows else None
        return None if value is None else 100 * float(value)

    return find


PUBLISHED: dict[str, tuple[Published, ...]] = {  # by name of the data set format
    "bdd100k_seg_track": (
        Published("mMOTSA", 27.4, 28.1, lambda s: s.bdd100k.average.mota),
        Published("mMOTSP", 66.7, None, lambda s: s.bdd100k.average.motp),
        Published("mIDF1", 45.1, 45.4, lambda s: s.bdd100k.average.idf1),
        Published("ID switches", 876, 874, lambda s: s.bdd100k.overall.counts.switches),
    ),
    "kitti_mots": (
        Published("car MOTSA", 89.6, None, _score("car", "motsa")),
        Published("car MOTSP", 88.3, None, _score("car", "motsp")),
        Published("pedestrian MOTSA", 66.4, None, _score("pedestrian", "motsa")),
        Published("pedestrian MOTSP", 76.1, None, _score("pedestrian", "motsp")),
    ),
    "youtube_vis": (Published("AP", 36.1, None, lambda s: 100 * s.tracks.stats["AP"]),),
}
SPLITS = {
    "bdd100k_seg_track": "BDD100K MOTS val, 32 videos (Table 2)",
    "kitti_mots": "KITTI-MOTS val, 9 sequences (Table 10)",
    "youtube_vis": "YouTube-VIS 2019 val, whose labels are private (Table 1)",
}


def note(network: str, clips: int, data: str) -> str:
    """Return a note on whether the two columns are comparable."""
    complete = {"bdd100k_seg_track": 32, "kitti_mots": 9}.get(data) == clips
    same = network.startswith(SAME) and complete
    kind = "comparable" if same else "NOT comparable: another network, or other clips"
    return NOTE.format(network=network, kind=kind)
