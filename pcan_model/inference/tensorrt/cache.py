"""Cache of engines on disk: a folder each, written atomically, named by all that an engine depends on."""

from __future__ import annotations

import glob
import hashlib
import json
import os
import re
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from pcan_model.core.atomic_write import atomic_folder, write_bytes
from pcan_model.inference.errors import ModelError

PLAN, MANIFEST = "engine.plan", "manifest.json"
NAME = re.compile(r".+-[0-9a-f]{16}")  # of an engine's folder; nothing else in the cache is touched


@dataclass(frozen=True, slots=True)
class EngineKey:
    """Everything that an engine depends on."""

    model: str  # folder name of the exported model, for display
    graph: str  # frame | instance
    onnx: str  # sha256 of the graph and its weights
    flavour: str  # tensorrt | tensorrt_rtx
    version: str  # of TensorRT
    capability: str  # compute capability of the device
    precision: str  # of the graph
    level: int  # builder_optimization_level
    workspace: int  # MiB, 0 for no limit

    @property
    def folder(self) -> str:
        """Return the name of the engine's folder."""
        text = json.dumps(asdict(self), sort_keys=True)
        return f"{self.model}-{self.graph}-{hashlib.sha256(text.encode()).hexdigest()[:16]}"


@dataclass(frozen=True, slots=True)
class Entry:
    """An engine in the cache; `key` is None if its files are damaged."""

    folder: Path
    key: EngineKey | None
    size: int  # bytes on disk


def default_cache() -> Path:
    """Return the default folder of engines."""
    root = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(root) / "pcan_ros" / "engines"


class EngineCache:
    """The engines in a folder."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def get(self, key: EngineKey) -> bytes | None:
        """Return an engine's plan, or None if it is missing or damaged."""
        folder = self.root / key.folder
        try:
            plan = (folder / PLAN).read_bytes()
            manifest = json.loads((folder / MANIFEST).read_text())
        except (OSError, ValueError):
            return None
        valid = isinstance(manifest, dict) and manifest.get("sha256") == hashlib.sha256(plan).hexdigest()
        return plan if valid else None

    def check_writable(self) -> None:
        """Raise ModelError if the cache is not writable, before a long build."""
        try:
            self.root.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=self.root):
                pass
        except OSError as error:
            message = f"engine_cache: expected a writable folder, got {self.root}: {error.strerror}"
            raise ModelError(message) from error

    def put(self, key: EngineKey, plan: bytes) -> Path:
        """Store an engine, replacing any with the same key."""
        target = self.root / key.folder
        with atomic_folder(target) as partial:
            (partial / PLAN).write_bytes(plan)
            manifest = {"key": asdict(key), "sha256": hashlib.sha256(plan).hexdigest()}
            (partial / MANIFEST).write_text(json.dumps(manifest, indent=1) + "\n")
        return target

    def remove(self, key: EngineKey) -> None:
        """Remove an engine."""
        shutil.rmtree(self.root / key.folder, ignore_errors=True)

    def read(self, name: str) -> bytes:
        """Return a file beside the engines (timing and kernel caches); empty if missing."""
        try:
            return (self.root / name).read_bytes()
        except OSError:
            return b""

    def write(self, name: str, content: bytes) -> None:
        """Store a file beside the engines."""
        write_bytes(self.root / name, content)

    def entries(self) -> list[Entry]:
        """Return all engines by name, including damaged ones."""
        folders = sorted(p for p in self.root.glob("[!.]*") if p.is_dir() and NAME.fullmatch(p.name))
        return [
            Entry(f, self._key(f), sum(p.stat().st_size for p in f.iterdir() if p.is_file())) for f in folders
        ]

    def prune(self, keep: Callable[[EngineKey], bool]) -> list[Entry]:
        """Remove the engines that are damaged or not to be kept, and return them.

        Their compiled kernels, in files beside the engines, are removed, too.
        """
        removed = [entry for entry in self.entries() if entry.key is None or not keep(entry.key)]
        for entry in removed:
            shutil.rmtree(entry.folder)
            for beside in self.root.glob(f"*-{glob.escape(entry.folder.name)}.cache"):
                beside.unlink()
        return removed

    def _key(self, folder: Path) -> EngineKey | None:
        try:
            values = json.loads((folder / MANIFEST).read_text())["key"]
            key = EngineKey(**{field.name: values[field.name] for field in fields(EngineKey)})
        except (OSError, ValueError, KeyError, TypeError):
            return None
        return key if key.folder == folder.name and self.get(key) is not None else None
