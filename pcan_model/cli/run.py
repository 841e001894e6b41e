"""Runs a command; an error becomes one line on stderr and an exit code."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence

from pcan_model.core.errors import UserError
from pcan_model.core.storage import transfers

USER_ERRORS = (UserError, ValueError, OSError, OverflowError)  # OverflowError: from absurd numbers in files
TRAINING = "pip install 'pcan_ros[train]', or `make train-env` in a checkout"
ROS = "source a ROS 2 distribution, or `make env` and `. tools/env.sh` in a checkout"
AUTOWARE = "source an Autoware workspace"
INSTALL = {  # how to install a missing package; those of requirements/runtime.txt come with this one
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
    "ray": "pip install 'pcan_ros[fleet]'",
    "fsspec": "pip install 'pcan_ros[storage]'",
    "tensorrt": "pip install 'pcan_ros[tensorrt]'",
    "tensorrt_rtx": "pip install 'pcan_ros[tensorrt-rtx]'",
    "rclpy": ROS,
    "builtin_interfaces": ROS,
    "rosgraph_msgs": ROS,
    "sensor_msgs": ROS,
    "std_msgs": ROS,
    "tf2_msgs": "sudo apt-get install ros-$ROS_DISTRO-tf2-msgs",
    "autoware_perception_msgs": AUTOWARE,
    "tier4_perception_msgs": AUTOWARE,
    "pcan_ros": "`make build` in a checkout, and `. tools/env.sh`",  # its messages
}

Command = Callable[[Sequence[str]], int | None]  # takes the arguments, returns the exit code; None is 0


def run(program: str, command: Command, arguments: Sequence[str] | None = None) -> int:
    """Run a command; returns its exit code, 2 after an error that the user can fix, 130 if interrupted.

    program    the command's name, which starts every message
    arguments  None for those of the command line
    """
    try:
        with transfers():
            return command(sys.argv[1:] if arguments is None else arguments) or 0
    except KeyboardInterrupt:
        message, code = "interrupted", 130
    except ModuleNotFoundError as error:
        message, code = _missing(error), 2
    except (ImportError, *USER_ERRORS) as error:
        message, code = one_line(error), 2
    print(f"{program}: {message}", file=sys.stderr)
    return code


def one_line(error: BaseException) -> str:
    """Return the message of an error in one line, or its type if the message is empty."""
    lines = [line.strip() for line in str(error).splitlines()]
    return "; ".join(line for line in lines if line) or type(error).__name__


def report_problems(program: str, problems: Sequence[str]) -> int:
    """Print problems with the input to stderr; returns the exit code, 1 if there are any."""
    for problem in problems:
        print(f"{program}: {problem}", file=sys.stderr)
    return 1 if problems else 0


def _missing(error: ModuleNotFoundError) -> str:
    """Return which package is missing, and how to install it."""
    package = (error.name or "").partition(".")[0]
    if not package or package == "pcan_model":
        raise error  # a bug
    return f"needs {package}, which is not installed: {INSTALL.get(package, f'pip install {package}')}"
