"""Locations of the package's own files: messages, models, the Fast DDS profile."""

from __future__ import annotations

from pathlib import Path

SHIPPED = "pcan_street"  # the default model
SHIPPED_MODELS = {"street": SHIPPED, "street_tiny": "pcan_street_tiny"}  # folders of models/, by short name


def shared(name: str) -> Path:
    """Return the path of a file or folder such as `config/fastdds_shm.xml`, whether it exists or not.

    Searched in the source tree, then where colcon and where pip install.
    """
    rooms = Path(__file__).resolve().parents
    by_pip = [rooms[5] / "share" / "pcan_ros"] if len(rooms) > 5 else []  # else a source tree near the root
    paths = [root / name for root in (rooms[2], *_by_ament(), *by_pip)]
    return next((path for path in paths if path.exists()), paths[-1])


def _by_ament() -> list[Path]:
    try:
        from ament_index_python.packages import get_package_share_directory

        return [Path(get_package_share_directory("pcan_ros"))]
    except (ImportError, LookupError, OSError):  # OSError: no AMENT_PREFIX_PATH
        return []


def default_model() -> Path:
    """Return the folder of the shipped model, in the source tree or as installed."""
    return shared(f"models/{SHIPPED}")
