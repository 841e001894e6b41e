"""A pytest plugin: tests whose optional packages are not installed are skipped with the package's name.

`colcon test` uses it on machines that have what the robot needs, without torch; `make test` does not.
"""

from __future__ import annotations

import re
from collections.abc import Generator

import pytest

OWN = ("pcan_model", "pcan_ros", "support")
ROBOT = ("cv2", "numpy", "onnxruntime", "pycocotools", "rclpy", "rosbags", "tqdm", "yaml")
MISSING = re.compile(r"ModuleNotFoundError: (?:No module named '?([\w.]+)'?|import of ([\w.]+) halted)")


def missing_package(text: str) -> str:
    """Return the missing optional package of a traceback; empty for other errors."""
    found = MISSING.findall(text)
    name = next(filter(None, found[-1])).partition(".")[0] if found else ""
    return "" if name in (*OWN, *ROBOT) else name


@pytest.hookimpl(hookwrapper=True)
def pytest_make_collect_report(collector: pytest.Collector) -> Generator[None, object, None]:
    """Skip a file that imports a missing package."""
    report = (yield).get_result()  # type: ignore[attr-defined]
    name = missing_package(str(report.longrepr)) if report.outcome == "failed" else ""
    if name:
        report.outcome = "skipped"
        report.longrepr = str(collector.path), 0, f"Skipped: needs {name}, which is not installed"


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, object, None]:
    """Skip a test that needs a missing package, also in a fixture."""
    report = (yield).get_result()  # type: ignore[attr-defined]
    error = call.excinfo.value if call.excinfo else None
    causes = (error, error.__cause__ if error else None)
    missing = next((cause for cause in causes if isinstance(cause, ModuleNotFoundError)), None)
    name = missing_package(f"ModuleNotFoundError: {missing}") if missing else ""
    if name:
        report.outcome = "skipped"
        report.longrepr = str(item.path), 0, f"Skipped: needs {name}, which is not installed"
