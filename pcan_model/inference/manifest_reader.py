"""The keys of a model's manifest, each read and validated."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from pcan_model.core.config import Config, ConfigError, config_from_dict
from pcan_model.core.engine import CameraFormat
from pcan_model.core.errors import shown
from pcan_model.inference.errors import ModelError
from pcan_model.inference.input_size import parse_size, size_text
from pcan_model.model.pass_names import GRAPHS

MANIFEST_BYTES = 16 << 20  # size limit of a manifest

Names = Mapping[str, tuple[str, ...]]  # by pass, in the order of the graph


def read_json(path: Path) -> dict[str, Any]:
    """Read a manifest file; raises ModelError."""
    try:
        if path.stat().st_size > MANIFEST_BYTES:
            raise ModelError(f"{path}: expected at most {MANIFEST_BYTES} bytes, got {path.stat().st_size}")
        values = json.loads(path.read_text())
    except OSError as error:
        raise ModelError(f"{path}: expected a manifest, got: {error.strerror}") from error
    except RecursionError as error:
        raise ModelError(f"{path}: expected JSON, got: too many levels") from error
    except ModelError:
        raise
    except ValueError as error:
        raise ModelError(f"{path}: expected JSON, got: {error}") from error
    if not isinstance(values, dict) or "config" not in values:
        raise ModelError(f"{path}: expected an object with the key 'config'")
    return values


@dataclass(frozen=True, slots=True)
class ManifestReader:
    """Reads and validates the keys of a manifest; raises ModelError."""

    path: Path
    values: dict[str, Any]

    def config(self) -> Config:
        """Read the configuration of the network."""
        try:
            return config_from_dict(self.values["config"], f"{self.path}: config")
        except ConfigError as error:
            raise ModelError(str(error)) from error

    def choice(self, key: str, choices: tuple[str, ...]) -> str:
        """Read one of several words; the first is the default."""
        value = self.values.get(key, choices[0])
        if value not in choices:
            self._fail(key, f"one of {', '.join(choices)}", value)
        return str(value)

    def text_or_none(self, key: str) -> str | None:
        """Read an optional string."""
        value = self.values.get(key)
        if value is not None and not isinstance(value, str):
            self._fail(key, "a text", value)
        return value

    def number(self, key: str, *, least: int, default: int) -> int:
        """Read a whole number."""
        value = self.values.get(key, default)
        if not isinstance(value, int) or isinstance(value, bool) or value < least:
            self._fail(key, f"a number from {least} up", value)
        return int(value)

    def sizes(self) -> tuple[str, ...]:
        """Read the further sizes of the input."""
        value = self.values.get("sizes", [])
        if not isinstance(value, list) or not all(isinstance(size, str) for size in value):
            self._fail("sizes", "a list of sizes such as 384x640", value)
        try:
            return tuple(size_text(*parse_size(size)) for size in value)
        except ValueError:
            self._fail("sizes", "a list of sizes such as 384x640", value)

    def camera_format(self) -> CameraFormat | None:
        """Read the format of the images that the graphs letterbox themselves."""
        value = self.values.get("camera")
        if value is None:
            return None
        try:
            return CameraFormat(int(value["height"]), int(value["width"]), str(value["order"]))
        except (KeyError, TypeError, ValueError):
            self._fail("camera", "height, width and order", value)

    def names(self, kind: str) -> Names:
        """Read the names of every pass's `inputs` or `outputs`, in the order of the graph."""
        value = self.values.get(kind)
        names = {graph: value.get(graph) if isinstance(value, dict) else None for graph in GRAPHS}
        for graph, own in names.items():
            if not isinstance(own, list) or not all(isinstance(name, str) for name in own):
                self._fail(f"{kind}: {graph}", "a list of names", own, "; export the model anew")
        return {graph: tuple(own) for graph, own in names.items() if own is not None}

    def hashes(self) -> Mapping[str, str]:
        """Read the SHA-256 of every file."""
        value = self.values.get("sha256", {})
        if not isinstance(value, dict) or not all(isinstance(digest, str) for digest in value.values()):
            self._fail("sha256", "file: digest", value)
        return dict(value)

    def _fail(self, key: str, expected: str, got: object, remedy: str = "") -> NoReturn:
        raise ModelError(f"{self.path}: {key}: expected {expected}, got {shown(got)}{remedy}")
