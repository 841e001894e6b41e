"""What the build promises: documented messages, a C++ decoder, a profile for big images, pinned versions."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from numpy.typing import NDArray
from pycocotools import mask as coco

ROOT = Path(__file__).resolve().parents[2]
MESSAGES = sorted([*(ROOT / "msg").glob("*.msg"), *(ROOT / "srv").glob("*.srv")])
OPTIONAL = {
    "autoware_perception_msgs",
    "foxglove_msgs",
    "tf2_msgs",
    "tier4_perception_msgs",
    "vision_msgs",
}
NONE, RLE_COCO, BITMAP, MONO8 = range(4)

DECODER = """
#include <cstdio>
#include <fstream>
#include <iterator>
#include <string>
#include "pcan_ros/instance_mask.hpp"

struct Mask  // as rosidl generates it
{
  static constexpr std::uint8_t NONE = 0, RLE_COCO = 1, BITMAP = 2, MONO8 = 3;
  std::uint8_t encoding;
  std::uint32_t width, height;
  std::vector<std::uint8_t> data;
};

int main(int, char ** arguments)  // encoding width height file
{
  std::ifstream file(arguments[4], std::ios::binary);
  const auto number = [&](int index) {return static_cast<std::uint32_t>(std::stoul(arguments[index]));};
  Mask mask{static_cast<std::uint8_t>(number(1)), number(2), number(3),
    {std::istreambuf_iterator<char>(file), {}}};
  try {
    const auto pixels = pcan_ros::decode(mask);
    std::fwrite(pixels.data(), 1, pixels.size(), stdout);
  } catch (const std::invalid_argument & error) {
    std::fputs(error.what(), stderr);
    return 1;
  }
}
"""


@pytest.fixture(scope="session")
def decoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Compile a program that decodes one mask with the shipped header."""
    compiler = shutil.which("c++") or pytest.skip("needs a C++ compiler: sudo apt-get install g++")
    folder = tmp_path_factory.mktemp("decoder")
    (folder / "decode.cpp").write_text(DECODER)
    warnings = ["-Wall", "-Wextra", "-Wpedantic", "-Wconversion", "-Werror"]
    command = [compiler, "-std=c++17", *warnings, "-I", str(ROOT / "include"), "decode.cpp", "-o", "decode"]
    subprocess.run(command, cwd=folder, check=True)
    return folder / "decode"


def decode(
    decoder: Path, encoding: int, shape: tuple[int, int], data: bytes
) -> subprocess.CompletedProcess[bytes]:
    path = decoder.parent / "data"
    path.write_bytes(data)
    height, width = shape
    return subprocess.run([decoder, str(encoding), str(width), str(height), path], capture_output=True)


def encode(encoding: int, crop: NDArray[np.uint8]) -> bytes:
    if encoding == RLE_COCO:
        return bytes(coco.encode(np.asfortranarray(crop))["counts"])
    return (np.packbits(crop, axis=1) if encoding == BITMAP else crop * 255).tobytes()


@pytest.mark.parametrize("path", MESSAGES, ids=lambda path: path.stem)
def test_every_line_of_a_message_says_what_it_means(path: Path) -> None:
    lines = [line for line in path.read_text().splitlines() if line.strip("-") and line[0] != "#"]
    bare = [line for line in lines if not re.search(r"\S.*\s# .{5,}", line)]
    assert lines and not bare


def test_messages_carry_their_constants() -> None:
    msg = pytest.importorskip("pcan_ros.msg", reason="needs colcon build: make test")
    mask, instance = msg.InstanceMask, msg.TrackedInstance
    assert (mask.NONE, mask.RLE_COCO, mask.BITMAP, mask.MONO8) == (NONE, RLE_COCO, BITMAP, MONO8)
    assert (instance.NEW, instance.TRACKED, instance.LOST, instance.REMOVED) == (0, 1, 2, 3)


@pytest.mark.parametrize("encoding", [RLE_COCO, BITMAP, MONO8])
@pytest.mark.parametrize("shape", [(1, 1), (7, 9), (40, 16), (120, 77)])
@pytest.mark.parametrize("density", [0.0, 0.03, 0.5, 1.0])
def test_cpp_header_decodes_what_python_encoded(
    decoder: Path, encoding: int, shape: tuple[int, int], density: float
) -> None:
    crop = (np.random.default_rng(0).random(shape) < density).astype(np.uint8)
    run = decode(decoder, encoding, shape, encode(encoding, crop))
    assert run.returncode == 0, run.stderr
    np.testing.assert_array_equal(np.frombuffer(run.stdout, np.uint8).reshape(shape), crop * 255)


@pytest.mark.parametrize("encoding", [RLE_COCO, BITMAP, MONO8])
def test_cpp_header_refuses_data_that_does_not_fit(decoder: Path, encoding: int) -> None:
    whole = encode(encoding, np.eye(30, dtype=np.uint8))
    for data in (b"", whole[:-1], whole + whole):
        run = decode(decoder, encoding, (30, 30), data)
        assert run.returncode == 1 and run.stderr.startswith(b"InstanceMask: ")


def test_cpp_header_refuses_an_unknown_encoding(decoder: Path) -> None:
    assert decode(decoder, 9, (2, 2), b"1234").stderr == b"InstanceMask: unknown encoding"


def test_the_package_depends_on_every_ros_package_that_its_python_imports() -> None:
    package = ElementTree.parse(ROOT / "package.xml").getroot()
    named = {element.text for element in package if element.tag in ("depend", "exec_depend")}
    files = [*(ROOT / "pcan_ros").rglob("*.py"), *(ROOT / "launch").glob("*.py")]
    imports = re.compile(r"^\s*(?:from|import) (\w+)", re.MULTILINE)
    modules = {name for path in files for name in imports.findall(path.read_text())}
    pattern = re.compile(r"rcl.*|launch.*|ament.*|.*_(msgs|srvs|interfaces)")
    ros = {name for name in modules if pattern.fullmatch(name)}
    assert ros - OPTIONAL <= named
    text = (ROOT / "package.xml").read_text()
    assert ros >= OPTIONAL and all(name in text for name in OPTIONAL), "named in a comment at least"


def test_fastdds_profile_shares_16_mib_and_keeps_udp() -> None:
    root = ElementTree.parse(ROOT / "config" / "fastdds_shm.xml").getroot()
    text = {element.tag.split("}")[1]: element.text for element in root.iter()}
    kinds = {element.text for element in root.iter() if element.tag.endswith("}type")}
    assert text["segment_size"] == str(16 * 2**20)
    assert text["useBuiltinTransports"] == "false"
    assert kinds == {"SHM", "UDPv4"}


def test_every_requirement_is_pinned_once_per_machine() -> None:
    files = {path.stem: path.read_text() for path in (ROOT / "requirements").glob("*.txt")}
    jazzy, shared = pins(files.pop("jazzy-pins")), pins(files.pop("pins"))
    wanted = {name: {re.split("[<>=]", line)[0] for line in text.split()} for name, text in files.items()}
    others = {name for name in shared if not name.startswith("ros-")}
    assert wanted.pop("jazzy") <= jazzy | others
    assert set().union(*wanted.values()) <= shared


def pins(text: str) -> set[str]:
    """Return the names in a file of pins, after a check that each is pinned once."""
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    assert len(lines) == len(set(lines)) and all("==" in line for line in lines)
    return {line.split("==")[0] for line in lines}
