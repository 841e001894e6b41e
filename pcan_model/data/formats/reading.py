"""What a reader does with what it cannot read: refuse it at once, or tell and go on with the rest."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TypeVar

from pcan_model.core.errors import DataError

Complain = Callable[[DataError], None]
Item = TypeVar("Item")
Found = TypeVar("Found")


def refuse(error: DataError) -> None:
    """Raise the error."""
    raise error


def readable(read: Callable[[Item], Found], items: Iterable[Item], complain: Complain) -> list[Found]:
    """Return what `read` makes of the items; its DataErrors go to `complain`, which raises or goes on."""
    found = []
    for item in items:
        try:
            found.append(read(item))
        except DataError as error:
            complain(error)
    return found
