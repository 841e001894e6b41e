"""Message packages that are not on PyPI, built for tests from their public interface definitions.

Only the messages that this project uses, and what those are made of. A package that is installed is taken as
it is; the others are built once by colcon and kept in pytest's cache.
"""

from __future__ import annotations

import ctypes
import fcntl
import hashlib
import importlib.util
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PYTHON = f"python{sys.version_info.major}.{sys.version_info.minor}"
STAMPED = "builtin_interfaces/Time timestamp"
METADATA = "KeyValuePair[] metadata"
ORIENTATION = "uint8 UNAVAILABLE=0; uint8 SIGN_UNKNOWN=1; uint8 AVAILABLE=2; "
POSE = "geometry_msgs/PoseWithCovariance pose_with_covariance; "
TWIST = "geometry_msgs/TwistWithCovariance twist_with_covariance; "
OBJECT = "float32 existence_probability; ObjectClassification[] classification; "
PACKAGES: dict[str, dict[str, str]] = {  # package: message: its fields
    "vision_msgs": {
        "Point2D": "float64 x; float64 y",
        "Pose2D": "Point2D position; float64 theta",
        "BoundingBox2D": "Pose2D center; float64 size_x; float64 size_y",
        "ObjectHypothesis": "string class_id; float64 score",
        "ObjectHypothesisWithPose": "ObjectHypothesis hypothesis; geometry_msgs/PoseWithCovariance pose",
        "Detection2D": "std_msgs/Header header; ObjectHypothesisWithPose[] results; BoundingBox2D bbox; "
        "string id",
        "Detection2DArray": "std_msgs/Header header; Detection2D[] detections",
        "BoundingBox3D": "geometry_msgs/Pose center; geometry_msgs/Vector3 size",
        "Detection3D": "std_msgs/Header header; ObjectHypothesisWithPose[] results; BoundingBox3D bbox; "
        "string id",
        "Detection3DArray": "std_msgs/Header header; Detection3D[] detections",
        "VisionClass": "uint16 class_id; string class_name",
        "LabelInfo": "std_msgs/Header header; VisionClass[] class_map; float32 threshold",
    },
    "tf2_msgs": {"TFMessage": "geometry_msgs/TransformStamped[] transforms"},
    "foxglove_msgs": {
        "Color": "float64 r; float64 g; float64 b; float64 a",
        "Point2": "float64 x; float64 y",
        "KeyValuePair": "string key; string value",
        "CircleAnnotation": f"{STAMPED}; Point2 position; float64 diameter; float64 thickness; "
        f"Color fill_color; Color outline_color; {METADATA}",
        "PointsAnnotation": f"{STAMPED}; uint8 UNKNOWN=0; uint8 POINTS=1; uint8 LINE_LOOP=2; "
        "uint8 LINE_STRIP=3; uint8 LINE_LIST=4; uint8 type; Point2[] points; Color outline_color; "
        f"Color[] outline_colors; Color fill_color; float64 thickness; {METADATA}",
        "TextAnnotation": f"{STAMPED}; Point2 position; string text; float64 font_size; Color text_color; "
        f"Color background_color; {METADATA}",
        "ImageAnnotations": f"{STAMPED}; CircleAnnotation[] circles; PointsAnnotation[] points; "
        f"TextAnnotation[] texts; {METADATA}",
    },
    "autoware_perception_msgs": {
        "ObjectClassification": "uint8 UNKNOWN=0; uint8 CAR=1; uint8 TRUCK=2; uint8 BUS=3; uint8 TRAILER=4; "
        "uint8 MOTORCYCLE=5; uint8 BICYCLE=6; uint8 PEDESTRIAN=7; uint8 ANIMAL=8; uint8 label; "
        "float32 probability",
        "Shape": "uint8 BOUNDING_BOX=0; uint8 CYLINDER=1; uint8 POLYGON=2; uint8 type; "
        "geometry_msgs/Polygon footprint; geometry_msgs/Vector3 dimensions",
        "DetectedObjectKinematics": f"{ORIENTATION}{POSE}bool has_position_covariance; "
        f"uint8 orientation_availability; {TWIST}bool has_twist; bool has_twist_covariance",
        "DetectedObject": f"{OBJECT}DetectedObjectKinematics kinematics; Shape shape",
        "TrackedObjectKinematics": f"{ORIENTATION}{POSE}{TWIST}"
        "geometry_msgs/AccelWithCovariance acceleration_with_covariance; uint8 orientation_availability; "
        "bool is_stationary",
        "TrackedObject": f"unique_identifier_msgs/UUID object_id; {OBJECT}"
        "TrackedObjectKinematics kinematics; Shape shape",
        "TrackedObjects": "std_msgs/Header header; TrackedObject[] objects",
    },
    "tier4_perception_msgs": {
        "Feature": "sensor_msgs/PointCloud2 cluster; sensor_msgs/RegionOfInterest roi",
        "DetectedObjectWithFeature": "autoware_perception_msgs/DetectedObject object; Feature feature",
        "DetectedObjectsWithFeature": "std_msgs/Header header; DetectedObjectWithFeature[] feature_objects",
    },
}
MANIFEST = """<package format="3">
  <name>{name}</name><version>0.0.0</version><description>Stand-in for tests.</description>
  <maintainer email="nobody@example.com">nobody</maintainer><license>none</license>
  <buildtool_depend>ament_cmake</buildtool_depend>
  <buildtool_depend>rosidl_default_generators</buildtool_depend>
  {depends}
  <member_of_group>rosidl_interface_packages</member_of_group>
  <export><build_type>ament_cmake</build_type></export>
</package>
"""
CMAKE = """cmake_minimum_required(VERSION 3.16)
project({name})
find_package(ament_cmake REQUIRED)
find_package(rosidl_default_generators REQUIRED)
{finds}
# Python needs none of C++'s part, which takes most of the time to compile.
list(FILTER AMENT_EXTENSIONS_rosidl_generate_idl_interfaces EXCLUDE REGEX "_cpp:")
# The sources of a library are compiled as one: each alone reads the same headers for most of its time.
set(CMAKE_UNITY_BUILD ON)
set(CMAKE_UNITY_BUILD_BATCH_SIZE 0)
rosidl_generate_interfaces(${{PROJECT_NAME}} {messages} DEPENDENCIES {depends})
# Descriptions of types repeat each other's names.
set_target_properties(${{PROJECT_NAME}}__rosidl_generator_c PROPERTIES UNITY_BUILD OFF)
ament_package()
"""


def built(cache: Path) -> Path:
    """Return the prefix of the packages that are not installed, building them into a cache if needed."""
    wanted = {name: messages for name, messages in PACKAGES.items() if not importlib.util.find_spec(name)}
    digest = hashlib.sha256(f"{wanted}{MANIFEST}{CMAKE}{sys.prefix}".encode()).hexdigest()[:12]
    folder = cache / digest
    with _locked(cache / f"{digest}.lock"):
        if not (folder / "done").exists():
            _build(folder, wanted)
            (folder / "done").touch()
    return folder / "install"


def load(prefix: Path) -> dict[str, str]:
    """Make the packages importable here; return the variables that do so for another process."""
    packages = str(prefix / "lib" / PYTHON / "site-packages")
    if packages not in sys.path:
        sys.path.append(packages)
        importlib.invalidate_caches()
        _load_libraries(prefix / "lib")
    return {
        "PYTHONPATH": _joined(f"{packages}{os.pathsep}{ROOT}", "PYTHONPATH"),
        "LD_LIBRARY_PATH": _joined(str(prefix / "lib"), "LD_LIBRARY_PATH"),
        "AMENT_PREFIX_PATH": _joined(str(prefix), "AMENT_PREFIX_PATH"),
    }


def _joined(first: str, variable: str) -> str:
    return os.pathsep.join(filter(None, (first, os.environ.get(variable, ""))))


def _load_libraries(folder: Path) -> None:
    """Load the libraries in an order that works: a running process takes no new LD_LIBRARY_PATH."""
    waiting = sorted(folder.glob("lib*.so"))
    while waiting:
        failed = [path for path in waiting if not _loads(path)]
        assert len(failed) < len(waiting), failed
        waiting = failed


def _loads(path: Path) -> bool:
    try:
        ctypes.CDLL(str(path), mode=ctypes.RTLD_GLOBAL)
    except OSError:
        return False
    return True


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Lock out other processes of the test run during a build."""
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _build(folder: Path, wanted: dict[str, dict[str, str]]) -> None:
    if not shutil.which("colcon"):
        pytest.skip("the message packages are built by colcon, which is not installed")
    shutil.rmtree(folder, ignore_errors=True)
    for name, messages in wanted.items():
        _write(folder / "src" / name, name, messages)
    command = ["colcon", "build", "--merge-install", "--event-handlers", "console_direct-", "--cmake-args"]
    done = subprocess.run(
        [*command, "-DBUILD_TESTING=OFF", "-DCMAKE_BUILD_TYPE=None"],  # neither optimised nor for a debugger
        cwd=folder, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert not done.returncode, done.stderr[-2000:]


def _write(folder: Path, name: str, messages: dict[str, str]) -> None:
    (folder / "msg").mkdir(parents=True)
    for message, fields in messages.items():
        (folder / "msg" / f"{message}.msg").write_text(fields.replace("; ", "\n") + "\n")
    depends = sorted({used for fields in messages.values() for used in re.findall(r"(\w+)/", fields)})
    manifest = MANIFEST.format(name=name, depends="".join(f"<depend>{each}</depend>" for each in depends))
    (folder / "package.xml").write_text(manifest)
    finds = "\n".join(f"find_package({each} REQUIRED)" for each in depends)
    files = " ".join(f"msg/{message}.msg" for message in messages)
    text = CMAKE.format(name=name, finds=finds, messages=files, depends=" ".join(depends))
    (folder / "CMakeLists.txt").write_text(text)
