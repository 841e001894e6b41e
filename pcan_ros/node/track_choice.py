"""Selects the tracks of a camera to publish: all, or those requested by a user. Independent of ROS."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from threading import Lock

from pcan_model.core.errors import UserError
from pcan_model.core.structures import Tracks, TrackState


class ChoiceError(UserError, ValueError):
    """A request for unknown tracks; the message names these and the existing tracks."""


class TrackChoice:
    """The selection for one camera; set from any thread, applied in the worker thread.

    Tracks that are not selected continue to be tracked: they compete for detections and keep their ids.
    """

    def __init__(self) -> None:
        self._lock = Lock()
        self._chosen: frozenset[int] = frozenset()  # all tracks if empty
        self._present: frozenset[int] = frozenset()  # track ids after the last frame

    def choose(self, track_ids: Iterable[int]) -> frozenset[int]:
        """Publish only these tracks, or all if empty; raises ChoiceError for unknown ids."""
        wanted = frozenset(track_ids)
        with self._lock:
            if wanted - self._present:
                there, gone = _text(self._present), _text(wanted - self._present)
                raise ChoiceError(f"track_ids: expected some of {there or 'no tracks'}; got {gone}")
            self._chosen = wanted
        return wanted

    def narrow(self, tracks: Tracks) -> Tracks:
        """Return the tracks of a frame to publish; the first frame after a reset clears the selection."""
        with self._lock:
            if tracks.frame_index == 0:
                self._chosen = frozenset()  # ids are assigned anew
            self._present = frozenset(
                i.track_id for i in tracks.instances if i.state is not TrackState.REMOVED
            )
            chosen = self._chosen
        if not chosen:
            return tracks
        return replace(tracks, instances=tuple(i for i in tracks.instances if i.track_id in chosen))


def _text(track_ids: Iterable[int]) -> str:
    return ", ".join(map(str, sorted(track_ids)))
