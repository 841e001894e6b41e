"""The container files are well formed and name what exists; no container is built here."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
DOCKERFILES = sorted((ROOT / "docker").glob("Dockerfile*"))
COMPOSE = yaml.safe_load((ROOT / "docker" / "compose.yaml").read_text())
KNOWN = {"ARG", "CMD", "COPY", "ENTRYPOINT", "ENV", "FROM", "RUN", "SHELL", "WORKDIR"}


def instructions(path: Path) -> list[tuple[str, str]]:
    """Return the instructions of a Dockerfile with their arguments, continued lines joined."""
    lines = [line for line in path.read_text().splitlines() if not line.lstrip().startswith("#")]
    joined = "\n".join(lines).replace("\\\n", " ").splitlines()
    return [(word, rest) for word, _, rest in (line.partition(" ") for line in joined if line)]


def of(path: Path, wanted: str) -> list[str]:
    return [rest for word, rest in instructions(path) if word == wanted]


def stages(path: Path) -> list[str]:
    return [rest.partition(" AS ")[2] for rest in of(path, "FROM")]


@pytest.fixture(params=DOCKERFILES, ids=lambda path: path.name)
def dockerfile(request: pytest.FixtureRequest) -> Path:
    path: Path = request.param
    return path


def test_every_instruction_is_known_and_the_first_names_an_image(dockerfile: Path) -> None:
    words = [word for word, _ in instructions(dockerfile)]
    assert set(words) <= KNOWN
    assert words[:2] == ["ARG", "FROM"]
    arguments = dict(rest.split("=") for rest in of(dockerfile, "ARG"))
    for rest in of(dockerfile, "FROM"):
        image = re.sub(r"\$\{(\w+)\}", lambda name: arguments[name[1]], rest.partition(" AS ")[0])
        assert ":" in image or image in stages(dockerfile), f"{image}: expected a tag, or a stage"


def test_every_file_that_is_copied_exists(dockerfile: Path) -> None:
    for rest in of(dockerfile, "COPY"):
        *sources, target = rest.split()
        assert all((ROOT / source).exists() for source in sources), rest
        assert len(sources) == 1 or target.endswith("/"), rest


def test_every_command_is_shell_that_leaves_no_caches_behind(dockerfile: Path) -> None:
    for command in of(dockerfile, "RUN"):
        assert subprocess.run(["bash", "-n", "-c", command], check=False).returncode == 0, command
        if "apt-get install" in command:
            assert "apt-get update" in command and "-y --no-install-recommends" in command
            assert "rm -rf /var/lib/apt/lists/*" in command
        if "pip" in command:
            assert "--no-cache-dir" in command or "PIP_NO_CACHE_DIR=1" in command


def test_the_image_has_all_that_the_package_installs() -> None:
    copied = {source for rest in of(ROOT / "docker" / "Dockerfile", "COPY") for source in rest.split()[:-1]}
    cmake = (ROOT / "CMakeLists.txt").read_text()
    folders = {"include", "pcan_model", "pcan_ros", "scripts", "msg", "srv"}
    found = re.search(r"foreach\(_folder (.+?)\)", cmake)
    assert found
    assert folders | set(found[1].split()) | {"CMakeLists.txt", "package.xml"} <= copied


def test_the_image_has_the_optional_packages_that_a_distribution_offers() -> None:
    (apt,) = (rest for rest in of(ROOT / "docker" / "Dockerfile", "RUN") if "apt-get" in rest)
    for package in ("cv-bridge", "foxglove-msgs", "message-filters", "vision-msgs"):
        assert f"ros-${{ROS_DISTRO}}-{package} " in apt
        assert package.replace("-", "_") in (ROOT / "package.xml").read_text()


def test_the_entry_point_hands_over_to_its_command() -> None:
    path = ROOT / "docker" / "entrypoint.sh"
    assert path.stat().st_mode & 0o111
    assert subprocess.run(["bash", "-n", path], check=False).returncode == 0
    assert path.read_text().rstrip().endswith('exec "$@"')


@pytest.mark.parametrize("name", COMPOSE["services"])
def test_services_are_built_from_files_that_exist_with_enough_shared_memory(name: str) -> None:
    service = COMPOSE["services"][name]
    context = (ROOT / "docker" / service["build"]["context"]).resolve()
    assert context == ROOT and (context / service["build"]["dockerfile"]).is_file()
    assert int(service["shm_size"].removesuffix("m")) >= 128
    volumes = {text.partition(":")[0] for text in service["volumes"]}
    assert volumes <= set(COMPOSE["volumes"])
    assert "tracker.launch.py" in service["command"]


def test_docker_itself_reads_the_compose_file() -> None:
    if not shutil.which("docker"):
        pytest.skip("needs docker compose")
    command = ["docker", "compose", "-f", ROOT / "docker" / "compose.yaml", "config", "--quiet"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if "is not a docker command" in done.stderr or "unknown shorthand flag" in done.stderr:
        pytest.skip("needs docker compose")
    assert done.returncode == 0, done.stderr


def test_the_development_container_is_a_stage_of_the_image() -> None:
    folder = ROOT / ".devcontainer"
    container = json.loads((folder / "devcontainer.json").read_text())
    build = container["build"]
    path = (folder / build["dockerfile"]).resolve()
    assert path in DOCKERFILES and build["target"] in stages(path)
    assert (folder / build["context"]).resolve() == ROOT
    assert "--shm-size=256m" in container["runArgs"]
