"""Atomic writes: files and folders appear only once they are complete."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4


@contextmanager
def atomic_file(path: Path, *, durable: bool = False, keep_suffix: bool = False) -> Iterator[Path]:
    """Yield a temporary path beside `path` to write to; it is renamed to `path` on success.

    If the block writes nothing, nothing changes.

    durable      wait until the data is on disk, for what a power cut must not lose
    keep_suffix  give the temporary name the suffix of `path`, for libraries that choose a format by it
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = _beside(path, path.suffix if keep_suffix else "")
    try:
        yield partial
        if not partial.exists():
            return
        if durable:
            sync(partial)
        os.replace(partial, path)
        if durable:
            sync(path.parent)
    finally:
        partial.unlink(missing_ok=True)


@contextmanager
def atomic_folder(folder: Path, *, durable: bool = False) -> Iterator[Path]:
    """Yield an empty temporary folder beside `folder`; on success it replaces `folder`."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    partial = _beside(folder)
    partial.mkdir()
    try:
        yield partial
        if durable:
            for path in (*partial.rglob("*"), partial):
                sync(path)
        replace_folder(partial, folder)
        if durable:
            sync(folder.parent)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def replace_folder(complete: Path, folder: Path) -> None:
    """Rename a complete folder to `folder`; an existing one is removed only after that has succeeded."""
    if not folder.exists():
        os.replace(complete, folder)
        return
    old = _beside(folder)
    os.replace(folder, old)
    try:
        os.replace(complete, folder)
    except OSError:
        os.replace(old, folder)
        raise
    shutil.rmtree(old)


def write_bytes(path: Path, data: bytes, *, durable: bool = False) -> None:
    """Write a file atomically."""
    with atomic_file(path, durable=durable) as partial:
        partial.write_bytes(data)


def sync(path: Path) -> None:
    """Wait until a file, or a folder's entries, are on disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _beside(path: Path, suffix: str = "") -> Path:
    """Return a unique hidden name in the same folder."""
    return path.with_name(f".{path.name}.{uuid4().hex[:8]}.part{suffix}")
