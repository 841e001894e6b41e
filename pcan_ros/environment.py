"""The environment that the node runs best in; what the user has set stays as it is."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from pcan_model.core.errors import UserError
from pcan_model.core.package_files import shared

TUNED = {  # keeps the pages of big images between frames: 17 % of a core becomes 5 % (720p, 30 Hz)
    "MALLOC_MMAP_THRESHOLD_": "33554432",
    "MALLOC_TRIM_THRESHOLD_": "536870912",
}
PROFILE_NAMES = ("FASTDDS_DEFAULT_PROFILES_FILE", "FASTRTPS_DEFAULT_PROFILES_FILE")  # since Kilted, before
TRANSPORTS = (*PROFILE_NAMES, "FASTDDS_BUILTIN_TRANSPORTS")  # whoever sets one has chosen transports
AUTO, NONE = "auto", "none"


class ProfileError(UserError, ValueError):
    """A Fast DDS profile that is not there."""


def missing_settings(environment: Mapping[str, str], profile: str = AUTO) -> dict[str, str]:
    """Return the variables that a node started in this environment should get besides.

    profile  file with a Fast DDS profile; auto for the shipped one, which lets images above 512 KiB through,
             unless the environment already chooses Fast DDS's transports; none to leave that alone
    """
    tuned = {name: value for name, value in TUNED.items() if name not in environment}
    return tuned | _profile(environment, profile.strip().strip("'\""))


def profile_settings(environment: Mapping[str, str]) -> dict[str, str]:
    """Return only what lets large images through in a process that runs already."""
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
    """Return the variable that this distribution reads; Kilted warns of the old name."""
    return PROFILE_NAMES[environment.get("ROS_DISTRO") in ("humble", "jazzy")]
