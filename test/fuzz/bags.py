"""Fuzz target: bags. Any storage file and any metadata give a report, or BagError."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from backports import zstd
from support.bags import drive, write_bag

from pcan_model.data.bags.inspect import inspect
from pcan_model.data.bags.reading import BagError

EXPECTED = (BagError,)
NAMES = ("a.mcap", "a.db3", "a.mcap.zstd", "metadata.yaml")
STORAGE = {"mcap": "a.mcap", "sqlite3": "a.db3"}


@cache
def _bag(storage: str) -> dict[str, bytes]:
    """Return the files of a small bag: its storage file and its metadata."""
    with tempfile.TemporaryDirectory() as folder:
        bag = write_bag(Path(folder) / "a", drive([0.0, 0.1]), storage=storage)
        return {path.name: path.read_bytes() for path in bag.iterdir()}


def seeds() -> Iterator[bytes]:
    """Yield the index of the file, then its bytes."""
    for storage, name in STORAGE.items():
        (file,) = (data for key, data in _bag(storage).items() if key.startswith("a."))
        yield bytes([NAMES.index(name)]) + file
    yield bytes([2]) + zstd.compress(_bag("mcap")["a.mcap"])
    yield bytes([3]) + _bag("mcap")["metadata.yaml"]


def check(data: bytes, folder: Path) -> None:
    """Inspect a storage file only, or a valid bag with these metadata."""
    name = NAMES[(data[0] if data else 0) % len(NAMES)]
    (folder / name).write_bytes(data[1:])
    if name != "metadata.yaml":
        inspect(folder / name)
        return
    (folder / "a.mcap").write_bytes(_bag("mcap")["a.mcap"])
    assert inspect(folder).messages in (0, 2)
