"""The front door: what the documents name exists, what they show runs, and they stay short."""

from __future__ import annotations

import importlib.util
import re
import runpy
import shutil
from pathlib import Path
from types import ModuleType
from xml.etree import ElementTree

import cv2
import numpy as np
import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def documents() -> ModuleType:
    spec = importlib.util.spec_from_file_location("check_documents", ROOT / "tools" / "check_documents.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def repository(documents: ModuleType) -> object:
    if not (ROOT / ".git").exists() or not shutil.which("git"):
        pytest.skip("no git here")
    return documents.Repository(ROOT)


def test_what_the_documents_name_exists(documents: ModuleType, repository: object) -> None:
    assert list(documents.faults(ROOT)) == []


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("[there](docs/nowhere.md)", "link docs/nowhere.md: no such file"),
        ("[there](README.md#no-such-part)", "link README.md#no-such-part: no such heading"),
        ("see `pcan_model/core/nothing.py`", "`pcan_model/core/nothing.py`: no such file"),
        ("run `pcan-everything --fast`", "`pcan-everything`: no such command"),
        ("```bash\npcan-track drive.mp4 \\\n  --speed 3\n```", "`pcan-track --speed`: no such option"),
        ("```bash\nmake coffee\n```", "`make coffee`: no such target"),
        ("```bash\npython -m pcan_model.nothing\n```", "`pcan_model.nothing`: no such module"),
        ("```bash\npython benchmarks/nothing.py\n```", "`benchmarks/nothing.py`: no such file"),
    ],
)
def test_what_is_not_there_is_found(
    documents: ModuleType, repository: object, tmp_path: Path, text: str, fault: str
) -> None:
    shutil.copy(ROOT / "README.md", tmp_path)
    page = tmp_path / "page.md"
    page.write_text(text)
    assert list(documents.faults_of(page, repository)) == [fault]


def test_the_readme_fits_a_hundred_lines_and_the_architecture_eighty() -> None:
    assert len((ROOT / "README.md").read_text().splitlines()) <= 100
    assert len((ROOT / "docs" / "architecture.md").read_text().splitlines()) <= 80


def test_the_python_of_the_readme_tracks_a_video(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    blocks = re.findall(r"^```python\n(.*?)^```", (ROOT / "README.md").read_text(), re.MULTILINE | re.DOTALL)
    assert len(blocks) == 1
    video = cv2.VideoWriter(str(tmp_path / "drive.mp4"), cv2.VideoWriter.fourcc(*"mp4v"), 10, (320, 192))
    for _ in range(3):
        video.write(np.full((192, 320, 3), 90, np.uint8))
    video.release()
    (tmp_path / "example.py").write_text(blocks[0])
    monkeypatch.chdir(tmp_path)
    runpy.run_path("example.py")
    assert len(capsys.readouterr().out.splitlines()) == 3, "one line for each frame"


def test_maintainer_licence_and_version_agree_everywhere() -> None:
    package = ElementTree.parse(ROOT / "package.xml").getroot()
    maintainer = package.find("maintainer")
    assert maintainer is not None and re.fullmatch(r"[\w.+-]+@[\w-]+(\.[\w-]+)+", maintainer.attrib["email"])
    assert not maintainer.attrib["email"].endswith(".example")
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    versions = {package.findtext("version"), citation["version"]}
    versions |= set(re.findall(r'^version = "(.+)"', (ROOT / "pyproject.toml").read_text(), re.MULTILINE))
    assert len(versions) == 1
    assert citation["license"] == package.findtext("license") == "Apache-2.0"
    assert citation["authors"] == [{"name": maintainer.text}]


def test_both_packages_say_that_they_are_typed() -> None:
    text = (ROOT / "pyproject.toml").read_text()
    for package in ("pcan_model", "pcan_ros"):
        assert (ROOT / package / "py.typed").is_file()
        assert re.search(rf"^{package} = \[.*\"py.typed\"\]", text, re.MULTILINE)
