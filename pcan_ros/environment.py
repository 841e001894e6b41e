"""Environment variables that the node is started with; what the user has set is kept."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from pcan_model.core.errors import UserError
from pcan_model.core.package_files import shared

TUNED = {  # malloc keeps the memory of large images: 5 % of a core, not 17 % (720p, 30 Hz)
    "MALLOC_MMAP_THRESHOLD_": "33554432",
    "MALLOC_TRIM_THRESHOLD_": "536870912",
}
PROFILE_NAMES = (
    "FASTDDS_DEFAULT_PROFILES_FILE",
    "FASTRTPS_DEFAULT_PROFILES_FILE",
)  # since Kilted, before Kilted
TRANSPORTS = (*PROFILE_NAMES, "FASTDDS_BUILTIN_TRANSPORTS")  # one set: the user chose transports
AUTO, NONE = "auto", "none"


class ProfileError(UserError, ValueError):
    """A Fast DDS profile that does not exist."""


def missing_settings(environment: Mapping[str, str], profile: str = AUTO) -> dict[str, str]:
    """Return the variables to add to this environment before starting a node.

    profile  file with a Fast DDS profile; auto: the installed one, which allows images above 512 KiB,
             unless the environment already selects Fast DDS transports; none: no profile
    """
    tuned = {name: value for name, value in TUNED.items() if name not in environment}
    return tuned | _profile(environment, profile.strip().strip("'\""))


def profile_settings(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the variables that allow large images in a process that is already running."""
    return _profile(environment, AUTO)


def _profile(environment: Mapping[str, str], profile: str) -> dict[str, str]:
    if profile in ("", NONE) or (profile == AUTO and any(map(environment.get, TRANSPORTS))):
        return {}
    file = shared("config/fastdds_shm.xml") if profile == AUTO else Path(profile).expanduser()
    if file.is_file():
        return {_variable(environment): str(file.absolute())}
    if profile == AUTO:
        return {}
    raise ProfileError(f"fastdds_profile: expected a file, auto or none, got {profile}")


def _variable(environment: Mapping[str, str]) -> str:
    """Return the variable that this distribution reads; Kilted warns about the old name."""
    return PROFILE_NAMES[environment.get("ROS_DISTRO") in ("humble", "jazzy")]
