"""Which tracks of a camera are published: all, or those that somebody chose. Knows no node."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from threading import Lock

from pcan_model.core.errors import UserError
from pcan_model.core.structures import Tracks, TrackState


class ChoiceError(UserError, ValueError):
    """A choice of tracks that are not there: names them, and those that are."""


class TrackChoice:
    """One camera's choice: made in any thread, followed by the worker's.

    Whatever is not chosen goes on being tracked: it competes for detections, and keeps its id.
    """

    def __init__(self) -> None:
        self._lock = Lock()
        self._chosen: frozenset[int] = frozenset()  # all tracks if empty
        self._present: frozenset[int] = frozenset()  # track ids after the last frame

    def choose(self, track_ids: Iterable[int]) -> frozenset[int]:
        """Publish these tracks only, all if empty; raises ChoiceError for those that are not there."""
        wanted = frozenset(track_ids)
        with self._lock:
            if wanted - self._present:
                there, gone = _text(self._present), _text(wanted - self._present)
                raise ChoiceError(f"track_ids: expected some of {there or 'no tracks'}; got {gone}")
            self._chosen = wanted
        return wanted

    def narrow(self, tracks: Tracks) -> Tracks:
        """Return what is to be published of a frame; the first frame after a reset ends a choice."""
        with self._lock:
            if tracks.frame_index == 0:
                self._chosen = frozenset()  # the ids are given anew
            self._present = frozenset(
                i.track_id for i in tracks.instances if i.state is not TrackState.REMOVED
            )
            chosen = self._chosen
        if not chosen:
            return tracks
        return replace(tracks, instances=tuple(i for i in tracks.instances if i.track_id in chosen))


def _text(track_ids: Iterable[int]) -> str:
    return ", ".join(map(str, sorted(track_ids)))
