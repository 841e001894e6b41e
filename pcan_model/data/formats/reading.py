"""What a reader does with what it cannot read: raise the error, or hand it on and read the rest."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TypeVar

from pcan_model.core.errors import DataError

OnError = Callable[[DataError], None]
Item = TypeVar("Item")
Found = TypeVar("Found")


def raise_error(error: DataError) -> None:
    """Raise the error."""
    raise error


def read_all(read: Callable[[Item], Found], items: Iterable[Item], on_error: OnError) -> list[Found]:
    """Return what `read` makes of the items; its DataErrors go to `on_error`, which raises or goes on."""
    found = []
    for item in items:
        try:
            found.append(read(item))
        except DataError as error:
            on_error(error)
    return found
