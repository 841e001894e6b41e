"""Errors of models and engines."""

from __future__ import annotations


class ModelError(ValueError):
    """Invalid model folder; names the file, what was expected and what was found."""


class BackendMissing(ModelError):
    """A backend is not installed, or there is no device for it."""


class UnrecoverableError(RuntimeError):
    """No further images can be processed without intervention."""

    what = "nothing works"  # short description


class EngineLost(UnrecoverableError):
    """The device failed (out of memory, lost context): the engine is unusable."""

    what = "the engine is lost"


class WrongCamera(UnrecoverableError):
    """The camera images do not have the size that the model was exported for."""

    what = "the camera does not fit the model"


class BuildStopped(RuntimeError):
    """Somebody wants the process to stop while an engine is built."""
