"""How every command runs and fails: one line on stderr, and an exit code."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence

from pcan_model.core.errors import UserError

MENDABLE = (UserError, ValueError, OSError, OverflowError)  # the last of numbers that no clip can have
TRAINING = "pip install 'pcan_ros[train]', or `make train-env` in a checkout"
ROS = "source a ROS 2 distribution, or `make env` and `. tools/env.sh` in a checkout"
AUTOWARE = "source an Autoware workspace"
INSTALL = {  # what brings a package that is missing; those of requirements/runtime.txt come with this one
    "torch": TRAINING,
    "torchvision": TRAINING,
    "safetensors": TRAINING,
    "tensorboard": TRAINING,
    "onnx": TRAINING,
    "onnxscript": TRAINING,
    "matplotlib": TRAINING,
    "scipy": TRAINING,
    "tabulate": TRAINING,
    "trackeval": "pip install scipy && pip install --no-deps trackeval==1.3.0",
    "modelopt": "`make env` in a checkout, or requirements/quantize.txt and requirements/quantize-nodeps.txt",
    "openvino": "pip install 'pcan_ros[openvino]'",
    "tensorrt": "pip install 'pcan_ros[tensorrt]'",
    "tensorrt_rtx": "pip install 'pcan_ros[tensorrt-rtx]'",
    "rclpy": ROS,
    "builtin_interfaces": ROS,
    "rosgraph_msgs": ROS,
    "sensor_msgs": ROS,
    "std_msgs": ROS,
    "autoware_perception_msgs": AUTOWARE,
    "tier4_perception_msgs": AUTOWARE,
    "pcan_ros": "`make build` in a checkout, and `. tools/env.sh`",  # its messages
}

Work = Callable[[Sequence[str]], int | None]  # the words behind the command's name to an exit code, 0 if None


def run(program: str, work: Work, arguments: Sequence[str] | None = None) -> int:
    """Run a command; returns its exit code: 0, 2 after an error that the user can mend, or 130.

    program    the command's name, before every message
    arguments  those of the command line if None
    """
    try:
        return work(sys.argv[1:] if arguments is None else arguments) or 0
    except KeyboardInterrupt:
        message, code = "interrupted", 130
    except ModuleNotFoundError as error:
        message, code = _missing(error), 2
    except (ImportError, *MENDABLE) as error:
        message, code = one_line(error), 2
    print(f"{program}: {message}", file=sys.stderr)
    return code


def one_line(error: BaseException) -> str:
    """Return what an error says, without line breaks; its kind where it says nothing."""
    lines = [line.strip() for line in str(error).splitlines()]
    return "; ".join(line for line in lines if line) or type(error).__name__


def report_problems(program: str, problems: Sequence[str]) -> int:
    """Name on stderr what could not be read of the input; returns the exit code, 1 where that is anything."""
    for problem in problems:
        print(f"{program}: {problem}", file=sys.stderr)
    return 1 if problems else 0


def _missing(error: ModuleNotFoundError) -> str:
    """Say which package is missing, and what brings it."""
    package = (error.name or "").partition(".")[0]
    if not package or package == "pcan_model":
        raise error  # a mistake of ours
    return f"needs {package}, which is not installed: {INSTALL.get(package, f'pip install {package}')}"
