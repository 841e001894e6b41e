"""Fuzz one target: `python test/fuzz/run.py bags --seconds 60`; needs atheris (`make fuzz` installs it).

Ends with 1 at the first input that raises what the target does not expect, takes longer than 30 s or more
than 3 GiB; the input lies in the folder of --findings. In test/fuzz/corpus/TARGET it becomes a test.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib
import sys
import tempfile
from pathlib import Path

import atheris

FUZZ = Path(__file__).resolve().parent
ROOT = FUZZ.parents[1]
OWN = ["pcan_model", "pcan_ros", "rosbags", "yaml"]  # whose branches guide the search
LIMITS = ("-timeout=30", "-rss_limit_mb=3072", "-max_len=20000", "-print_final_stats=1")


def main() -> None:
    """Fuzz until the time is over, or an input fails."""
    options = _options()
    sys.path[:0] = [str(ROOT), str(ROOT / "test")]
    with atheris.instrument_imports(include=OWN, enable_loader_override=False):
        target = importlib.import_module(f"fuzz.{options.target}")
    with tempfile.TemporaryDirectory() as scratch:
        corpus = Path(scratch) / "corpus"
        corpus.mkdir()
        for number, seed in enumerate(target.seeds()):
            (corpus / f"seed{number}").write_bytes(seed)
        options.findings.mkdir(parents=True, exist_ok=True)
        found = [f"-artifact_prefix={options.findings}/{options.target}-"]
        kept = [str(path) for path in (FUZZ / "corpus" / options.target,) if path.is_dir()]
        limits = [*LIMITS, f"-max_total_time={options.seconds}"]
        atheris.Setup([sys.argv[0], *limits, *found, str(corpus), *kept], lambda data: _one(target, data))
        atheris.Fuzz()


def _one(target: object, data: bytes) -> None:
    """Check one input in a separate folder; expected errors of the target are accepted."""
    with tempfile.TemporaryDirectory() as folder, contextlib.suppress(*target.EXPECTED):  # type: ignore[attr-defined]
        target.check(data, Path(folder))  # type: ignore[attr-defined]


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("target", help="a module of test/fuzz, such as bags")
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--findings", type=Path, default=ROOT / "log" / "fuzz")
    return parser.parse_args()


if __name__ == "__main__":
    main()
