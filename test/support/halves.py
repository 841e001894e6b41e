"""An exported model converted to 16 bits, or its unquantised part, without another export."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path

from pcan_model.export.precision import narrow


def halve(folder: Path, target: Path) -> Path:
    """Copy an exported model and convert its unquantised heavy layers to 16 bits; returns the copy."""
    shutil.copytree(folder, target)
    narrow(target)
    manifest = json.loads((target / "manifest.json").read_text())
    hashes = {name: hashlib.sha256((target / name).read_bytes()).hexdigest() for name in manifest["sha256"]}
    manifest |= {"sha256": hashes, "rest" if manifest.get("rest") else "precision": "fp16"}
    (target / "manifest.json").write_text(json.dumps(manifest))
    return target
