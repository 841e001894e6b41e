"""Errors after which an engine gives no result until somebody changes something."""

from __future__ import annotations


class UnrecoverableError(RuntimeError):
    """No image will be processed any more, until somebody changes something."""

    what = "nothing works"  # in a few words


class EngineLost(UnrecoverableError):
    """The device failed (no memory, a lost context): the engine will give no result any more."""

    what = "the engine is lost"


class WrongCamera(UnrecoverableError):
    """The camera's images are not of the size that the model was exported for."""

    what = "the camera does not fit the model"
