"""What the node's environment lacks, and what is left as the user has set it."""

from __future__ import annotations

from pathlib import Path

import pytest

from pcan_ros.environment import TUNED, ProfileError, missing_settings, profile_settings

SHIPPED = str(Path(__file__).resolve().parents[2] / "config" / "fastdds_shm.xml")
NEW, OLD = "FASTDDS_DEFAULT_PROFILES_FILE", "FASTRTPS_DEFAULT_PROFILES_FILE"


@pytest.mark.parametrize(
    ("distribution", "name"), [("humble", OLD), ("jazzy", OLD), ("kilted", NEW), ("", NEW)]
)
def test_the_profile_is_named_as_the_distribution_reads_it(distribution: str, name: str) -> None:
    assert profile_settings({"ROS_DISTRO": distribution}) == {name: SHIPPED}
    assert missing_settings({"ROS_DISTRO": distribution}) == TUNED | {name: SHIPPED}


@pytest.mark.parametrize("name", [NEW, OLD, "FASTDDS_BUILTIN_TRANSPORTS"])
def test_transports_that_the_user_has_chosen_stay(name: str) -> None:
    assert missing_settings({name: "mine"}) == TUNED
    assert profile_settings({name: "mine"}) == {}


@pytest.mark.parametrize("nothing", ["none", "", "''", '""', " none "])
def test_no_profile_is_an_answer(nothing: str) -> None:
    assert missing_settings({}, nothing) == TUNED


def test_a_profile_that_is_named_wins(tmp_path: Path) -> None:
    own = tmp_path / "profile.xml"
    own.touch()
    assert missing_settings({NEW: "mine"}, str(own)) == TUNED | {NEW: str(own)}


def test_a_profile_that_is_not_there_is_refused() -> None:
    with pytest.raises(
        ProfileError, match=r"fastdds_profile: expected a file, auto or none, got /nowhere\.xml"
    ):
        missing_settings({}, "/nowhere.xml")


def test_the_allocator_stays_as_the_user_has_set_it() -> None:
    name, *others = TUNED
    assert missing_settings({name: "1"}, "none") == {other: TUNED[other] for other in others}
