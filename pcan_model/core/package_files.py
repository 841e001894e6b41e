"""Where the package's own files are: messages, models, the Fast DDS profile."""

from __future__ import annotations

from pathlib import Path

SHIPPED = "pcan_street"  # the model that is used where none is named


def shared(name: str) -> Path:
    """Return the place of a file or folder such as `config/fastdds_shm.xml`, whether it is there or not.

    Looked for beside the sources, then where colcon, then where pip installs.
    """
    rooms = Path(__file__).resolve().parents
    by_pip = [rooms[5] / "share" / "pcan_ros"] if len(rooms) > 5 else []  # else sources near the root
    places = [rooms[2], *_by_ament(), *by_pip]
    found = [place / name for place in places]
    return next((path for path in found if path.exists()), found[-1])


def _by_ament() -> list[Path]:
    try:
        from ament_index_python.packages import get_package_share_directory

        return [Path(get_package_share_directory("pcan_ros"))]
    except (ImportError, LookupError, OSError):  # OSError: no AMENT_PREFIX_PATH
        return []


def default_model() -> Path:
    """Return the folder of the shipped model: beside the sources, or installed with the package."""
    return shared(f"models/{SHIPPED}")
