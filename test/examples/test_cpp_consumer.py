"""The C++ package compiles against the generated messages and finds the right rows."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from xml.etree import ElementTree

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "examples" / "cpp_consumer"
MESSAGES = ROOT / "install" / "pcan_ros" / "include" / "pcan_ros"
RCLCPP = """
#pragma once
#include <cstdio>
#include <functional>
#include <memory>
#include <string>
#define RCLCPP_INFO(logger, ...) (logger, std::printf(__VA_ARGS__), std::puts(""))

namespace rclcpp  // as much of it as the example uses; hands its one subscription an image of two objects
{
template<class Message> struct Subscription {using SharedPtr = std::shared_ptr<Subscription>;
  std::function<void(const Message &)> take;};

struct Node {
  explicit Node(const std::string &) {}
  int get_logger() const {return 0;}
  template<class Message, class Callback>
  typename Subscription<Message>::SharedPtr create_subscription(const std::string &, int, Callback callback)
  {
    call = [callback] {
        Message message;
        message.instances.resize(2);
        auto & car = message.instances[0];
        car.class_name = "car";
        car.track_id = 7;
        car.mask.encoding = 3;  // MONO8
        car.mask.y_offset = 100;
        car.mask.width = 2;
        car.mask.height = 3;
        car.mask.data = {255, 255, 0, 255, 0, 0};
        message.instances[1].class_name = "lost";
        callback(message);
      };
    return std::make_shared<Subscription<Message>>();
  }
  std::function<void()> call;
};
inline void init(int, char **) {}
inline void spin(const std::shared_ptr<Node> & node) {node->call();}
inline void shutdown() {}
}
"""


def test_it_prints_the_lowest_row_of_every_mask(tmp_path: Path) -> None:
    compiler = shutil.which("c++") or pytest.skip("needs a C++ compiler: sudo apt-get install g++")
    if not MESSAGES.is_dir():
        pytest.skip("needs the built messages: make build")
    wheels = sorted((ROOT / ".venv" / "include").glob("*"))
    if not any(path.name == "std_msgs" for path in wheels):
        pytest.skip("needs the messages of ROS's wheels; with a distribution colcon builds the example")
    (tmp_path / "rclcpp").mkdir()
    (tmp_path / "rclcpp" / "rclcpp.hpp").write_text(RCLCPP)
    includes = [option for path in (tmp_path, MESSAGES, ROOT / "include") for option in ("-I", str(path))]
    includes += [option for path in wheels for option in ("-isystem", str(path))]
    command = [compiler, "-std=c++17", "-Wall", "-Wextra", "-Wconversion", "-Werror", *includes]
    program = tmp_path / "lowest_point"
    subprocess.run([*command, str(PACKAGE / "src" / "lowest_point.cpp"), "-o", program], check=True)
    done = subprocess.run([program], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["car 7: row 101", "lost 0: row -1"]


def test_it_declares_what_it_uses() -> None:
    package = ElementTree.parse(PACKAGE / "package.xml").getroot()
    cmake = (PACKAGE / "CMakeLists.txt").read_text()
    depends = {element.text for element in package if element.tag in ("depend", "buildtool_depend")}
    assert depends == set(re.findall(r"find_package\((\w+) REQUIRED\)", cmake))
    sources = set(re.findall(r"src/\w+\.cpp", cmake))
    assert sources == {str(path.relative_to(PACKAGE)) for path in PACKAGE.rglob("*.cpp")}
