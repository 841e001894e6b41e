"""Files elsewhere: addresses such as s3://bucket/key, read and written through fsspec; never local paths."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path, PurePosixPath
from typing import Any

from pcan_model.core.atomic_write import atomic_folder
from pcan_model.core.errors import UserError, one_line

KINDS = "abfss?|adl|az|ftp|gcs|gs|hdfs|memory|oss|s3a?|sftp|smb|ssh|webhdfs"  # not those of streams and hubs
ADDRESS = re.compile(rf"(?<!\w)(?:{KINDS})://[^@#]+?(?=[@#]|:[\d.]+$|$)")  # what @, # or :WEIGHT may follow
CACHE = "PCAN_STORAGE"  # environment variable: folder of the downloads, the same on all machines of a cluster
VERSIONS = ("ETag", "etag", "md5Hash", "content_md5", "LastModified", "last_modified", "mtime", "created")
LAST = (
    ".html",
    ".json",
    ".md",
    ".xml",
    ".yaml",
)  # endings of files that tell what a folder is: uploaded last


class StorageError(UserError, OSError):
    """A file elsewhere cannot be read or written."""


def is_address(text: object) -> bool:
    """Return whether a text is the address of a file or folder elsewhere."""
    return isinstance(text, str) and ADDRESS.fullmatch(text) is not None


def local(place: str | Path) -> Path:
    """Return the path of a file or folder; one elsewhere is downloaded, unless it has been."""
    return fetch(place) if isinstance(place, str) and is_address(place) else Path(place)


def replaced(text: str, path_of: Callable[[str], Path]) -> str:
    """Return a text such as PATH@FORMAT with its address, if it has one, replaced by a path."""
    return ADDRESS.sub(lambda found: str(path_of(found[0])), text, count=1)


@dataclass(frozen=True, slots=True)
class Transfers:
    """What one command reads from elsewhere, and writes there."""

    fetched: list[str] = field(default_factory=list)  # addresses that were downloaded
    staged: dict[str, Path] = field(default_factory=dict)  # local paths to upload, by address


_transfers: ContextVar[Transfers | None] = ContextVar("transfers", default=None)  # of the running command


def fetched() -> tuple[str, ...]:
    """Return the addresses that the running command has downloaded or found downloaded."""
    running = _transfers.get()
    return tuple(running.fetched) if running else ()


def fetch(address: str) -> Path:
    """Download a file or a folder into the cache, whole or not at all, and return its path there.

    What has changed since an earlier download is downloaded again, but only once by a process.
    Raises StorageError.
    """
    path = _fetch(address)
    if running := _transfers.get():
        running.fetched.append(address)
    return path


@cache
def _fetch(address: str) -> Path:
    with _failures(address, "read"):
        system, path = _system(address)
        found = system.find(path, detail=True)
        if not found:
            raise StorageError(f"{address}: expected a file or a folder, got nothing there")
        files = {_below(name, path): info for name, info in sorted(found.items())}
        if len(files) > 1:
            files.pop("", None)  # the empty file that some tools write for a folder
        folder = _cache() / _digest(address, files)
        if not folder.exists():
            with atomic_folder(folder) as partial:
                for name, info in files.items():
                    target = partial / PurePosixPath(path).name / name
                    target.parent.mkdir(parents=True, exist_ok=True)
                    system.get_file(info["name"], str(target))
        return folder / PurePosixPath(path).name


def upload(source: Path, address: str) -> None:
    """Upload a file or a folder, whole or not at all; a file replaces another, a folder does not.

    Raises StorageError.
    """
    with _failures(address, "written"):
        system, path = _system(address)
        if source.is_file():
            part = f"{path}.part"
            system.put_file(str(source), part)
            system.mv(part, path)
            return
        if system.exists(path):
            raise StorageError(f"{address}: expected an address where nothing is, got files there")
        files = sorted(file for file in source.rglob("*") if file.is_file())
        try:
            for file in sorted(files, key=lambda file: file.suffix in LAST):
                target = f"{path}/{file.relative_to(source).as_posix()}"
                system.makedirs(str(PurePosixPath(target).parent), exist_ok=True)
                system.put_file(str(file), target)
        except BaseException:
            with suppress(Exception):
                system.rm(path, recursive=True)
            raise


def staged(address: str) -> Path:
    """Return a local path to write to, inside of `transfers`, which uploads what is there."""
    running = _transfers.get()
    assert running is not None, "staged is called inside of transfers"
    if address not in running.staged:
        folder = Path(tempfile.mkdtemp(prefix="pcan_upload_"))
        running.staged[address] = folder / PurePosixPath(address).name
    return running.staged[address]


@contextmanager
def transfers() -> Iterator[None]:
    """Run a command: upload on success what the block has written to staged paths, and remove the local copy.

    If the upload fails, the local copy is kept and named. Raises StorageError, also if there is nothing to
    upload, such as what a worker has written on another machine.
    """
    running = Transfers()
    token = _transfers.set(running)
    try:
        yield
        for address, path in running.staged.items():
            _upload_or_keep(path, address)
    finally:
        _transfers.reset(token)
        for path in running.staged.values():
            shutil.rmtree(path.parent, ignore_errors=True)


def _upload_or_keep(path: Path, address: str) -> None:
    if not path.exists():
        raise StorageError(f"{address}: expected a file or folder to upload, got none on this machine")
    try:
        upload(path, address)
    except StorageError as error:
        kept = path.parent.with_name(f"{path.parent.name}_kept")
        path.parent.rename(kept)
        raise StorageError(f"{error}; kept in {kept / path.name}") from error
    print(f"uploaded: {address}", file=sys.stderr)


def _system(address: str) -> tuple[Any, str]:
    """Return the file system of an address, and the path there."""
    from fsspec.core import url_to_fs

    system, path = url_to_fs(address)
    return system, str(path).rstrip("/")


@contextmanager
def _failures(address: str, done: str) -> Iterator[None]:
    """Turn what the libraries raise, which is of many types, into StorageError."""
    try:
        yield
    except (StorageError, ImportError):  # an ImportError names the package to install
        raise
    except Exception as error:
        raise StorageError(f"{address}: cannot be {done}: {one_line(error)}") from error


def _cache() -> Path:
    return Path(os.environ.get(CACHE) or Path.home() / ".cache" / "pcan_ros" / "storage")


def _digest(address: str, files: Mapping[str, Mapping[str, Any]]) -> str:
    """Return what changes with the address, and with the names, sizes and versions of the files."""
    parts = [address]
    for name, info in files.items():
        version = next((info[key] for key in VERSIONS if info.get(key)), "")
        parts.append(f"{name} {info.get('size')} {version}")
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]


def _below(name: str, path: str) -> str:
    """Return the part of a name below a path, empty for the path itself."""
    inside = name.strip("/").removeprefix(path.strip("/")).strip("/")
    if ".." in PurePosixPath(inside).parts:
        raise StorageError(f"{name}: expected a name inside {path}")
    return inside
