"""Every fuzz target with its seeds and with inputs found by fuzzing: a value, or the expected error."""

from __future__ import annotations

import contextlib
import importlib
import shutil
import subprocess
from pathlib import Path

import pytest

FUZZ = Path(__file__).resolve().parent
ROOT = FUZZ.parents[1]
TARGETS = sorted({path.stem for path in FUZZ.glob("*.py")} - {"run", "test_fuzz"})
NEEDS = {"bags": "backports.zstd", "chunks": "rclpy", "checkpoints": "torch"}


def test_every_corpus_belongs_to_a_target() -> None:

    assert {path.name for path in (FUZZ / "corpus").iterdir()} <= set(TARGETS)


@pytest.mark.parametrize("name", TARGETS)
def test_seeds_and_findings_give_a_value_or_the_expected_error(name: str, tmp_path: Path) -> None:
    pytest.importorskip(NEEDS.get(name, "numpy"))
    target = importlib.import_module(f"fuzz.{name}")
    inputs = [*target.seeds(), *(path.read_bytes() for path in sorted((FUZZ / "corpus" / name).glob("*")))]
    accepted = 0
    for number, data in enumerate(inputs):
        folder = tmp_path / str(number)
        folder.mkdir()
        with contextlib.suppress(*target.EXPECTED):
            target.check(data, folder)
            accepted += 1
    assert accepted, "a target that refuses all of its seeds tests nothing"


def test_the_cpp_decoder_survives_mutated_masks_under_sanitizers(tmp_path: Path) -> None:
    compiler = shutil.which("g++") or pytest.skip("needs g++: sudo apt-get install g++")
    checks = ["-fsanitize=address,undefined", "-fno-sanitize-recover=undefined", "-DMUTATIONS=3000"]
    source = [f"-I{ROOT / 'include'}", str(FUZZ / "instance_mask.cpp"), "-o", str(tmp_path / "fuzz")]
    built = subprocess.run(
        [compiler, "-std=c++17", "-O1", *checks, *source], capture_output=True, text=True, check=False
    )
    if "cannot find" in built.stderr:
        pytest.skip("g++ has no sanitizers here")
    assert not built.returncode, built.stderr
    masks = importlib.import_module("fuzz.masks")
    files = [tmp_path / str(number) for number in range(len(list(masks.seeds())))]
    for file, seed in zip(files, masks.seeds(), strict=True):
        file.write_bytes(seed[:3] + b"\0" + seed[3:])
    ran = subprocess.run([tmp_path / "fuzz", *files], capture_output=True, text=True, check=False)
    assert not ran.returncode, ran.stderr[-2000:]
