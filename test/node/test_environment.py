"""Environment variables that are added for the node, and those of the user that are kept."""

from __future__ import annotations

from pathlib import Path

import pytest

from pcan_ros.environment import TUNED, ProfileError, missing_settings, profile_settings

SHIPPED = str(Path(__file__).resolve().parents[2] / "config" / "fastdds_shm.xml")
NEW, OLD = "FASTDDS_DEFAULT_PROFILES_FILE", "FASTRTPS_DEFAULT_PROFILES_FILE"


@pytest.mark.parametrize(
    ("distribution", "name"), [("humble", OLD), ("jazzy", OLD), ("kilted", NEW), ("", NEW)]
)
def test_the_profile_is_in_the_variable_of_the_distribution(distribution: str, name: str) -> None:
    assert profile_settings({"ROS_DISTRO": distribution}) == {name: SHIPPED}
    assert missing_settings({"ROS_DISTRO": distribution}) == TUNED | {name: SHIPPED}


@pytest.mark.parametrize("name", [NEW, OLD, "FASTDDS_BUILTIN_TRANSPORTS"])
def test_transports_set_by_the_user_are_kept(name: str) -> None:
    assert missing_settings({name: "mine"}) == TUNED
    assert profile_settings({name: "mine"}) == {}


@pytest.mark.parametrize("nothing", ["none", "", "''", '""', " none "])
def test_no_profile_can_be_selected(nothing: str) -> None:
    assert missing_settings({}, nothing) == TUNED


def test_a_given_profile_has_priority(tmp_path: Path) -> None:
    own = tmp_path / "profile.xml"
    own.touch()
    assert missing_settings({NEW: "mine"}, str(own)) == TUNED | {NEW: str(own)}


def test_a_missing_profile_is_rejected() -> None:
    with pytest.raises(
        ProfileError, match=r"fastdds_profile: expected a file, auto or none, got /nowhere\.xml"
    ):
        missing_settings({}, "/nowhere.xml")


def test_allocator_settings_of_the_user_are_kept() -> None:
    name, *others = TUNED
    assert missing_settings({name: "1"}, "none") == {other: TUNED[other] for other in others}
