"""Data outside the repository: PCAN_SHARED, or ../shared.

PCAN_PARITY may name another place for the recorded numbers of the released code.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

SHARED = Path(os.environ.get("PCAN_SHARED") or Path(__file__).resolve().parents[3] / "shared")
DATA = SHARED / "data"  # clips, golden cases and the official tools' own test cases
PARITY = Path(os.environ.get("PCAN_PARITY") or SHARED / "parity")  # recorded from the released code


def needs(path: Path) -> pytest.MarkDecorator:
    """Return the mark of tests that are skipped if a file or folder of the shared data is missing."""
    return pytest.mark.skipif(not path.exists(), reason=absent(path))


def present(path: Path) -> Path:
    """Return a file or folder of the shared data, or skip the test."""
    if not path.exists():
        pytest.skip(absent(path))
    return path


def absent(path: Path) -> str:
    """Return why a test is skipped."""
    return f"no {path} (set PCAN_SHARED or PCAN_PARITY)"
