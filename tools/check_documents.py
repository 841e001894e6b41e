"""Check what the documents name: links, anchors, files, modules, commands with their options, make targets.

`make check` runs it, without a network and without building the site. Every fault is one line.
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
DOCUMENTS = ("*.md", "docs/**/*.md", "models/*/*.md", ".github/**/*.md")
LINK = re.compile(r"\[(?:[^\[\]]|\[[^\]]*\])*\]\(([^)\s]+)\)")
CODE = re.compile(r"`([^`\n]+)`")
FENCE = re.compile(r"^ *```(\w*)\n(.*?)^ *```", re.MULTILINE | re.DOTALL)
NAMED = re.compile(r"[\w./-]+\.(?:py|md|ya?ml|xml|hpp|msg|cff|sh|toml|txt|jsonl?)")
FOLDERS = (
    "benchmarks config docs include launch models msg pcan_model pcan_ros requirements scripts test tools"
)
PLACES = tuple(f"{folder}/" for folder in FOLDERS.split())
COMMON = ("-h", "--help")


class Repository:
    """What exists: files of the repository, commands with their options, targets of the Makefile."""

    def __init__(self, root: Path) -> None:
        self.root = root

    @cached_property
    def files(self) -> list[str]:
        """Return every file that git tracks or would track."""
        command = ["git", "-C", str(self.root), "ls-files", "--cached", "--others", "--exclude-standard"]
        lines = subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()
        return ["/" + line for line in lines]

    @cached_property
    def options(self) -> dict[str, set[str]]:
        """Return the options of every command, those of its subcommands included."""
        page = (self.root / "docs/reference/commands.md").read_text()
        sections = re.split(r"^## ", page, flags=re.MULTILINE)[1:]
        return {text.split("\n", 1)[0]: set(re.findall(r"`(--?[\w-]+)", text)) for text in sections}

    @cached_property
    def targets(self) -> set[str]:
        """Return the targets of the Makefile."""
        return set(re.findall(r"^([a-z-]+):", (self.root / "Makefile").read_text(), re.MULTILINE))

    def has(self, name: str) -> bool:
        """Return whether a path, or the end of one, is that of a file or folder."""
        ending = "/" + name.removeprefix("./").rstrip("/")
        return any(path.endswith(ending) or f"{ending}/" in path for path in self.files)


def faults(root: Path) -> Iterator[str]:
    """Yield one line for everything that a document names and that does not exist."""
    repository = Repository(root)
    for pattern in DOCUMENTS:
        for path in sorted(root.glob(pattern)):
            for fault in faults_of(path, repository):
                yield f"{path.relative_to(root)}: {fault}"


def faults_of(path: Path, repository: Repository) -> Iterator[str]:
    """Yield the faults of one document."""
    text = path.read_text()
    prose = FENCE.sub("", text)
    for target in LINK.findall(CODE.sub("``", prose)):
        yield from link_faults(path, target)
    if path.name in ("commands.md", "CHANGELOG.md"):  # made by a script; names what is gone
        return
    for code in CODE.findall(prose):
        yield from file_faults(code, repository)
        yield from command_faults(code, repository)
    for language, block in FENCE.findall(text):
        if language in ("", "bash", "console"):
            for line in re.sub(r"\\\n\s*", " ", block).splitlines():
                yield from command_faults(line, repository)


def link_faults(path: Path, target: str) -> Iterator[str]:
    """Yield why a relative link leads nowhere."""
    name, _, anchor = target.partition("#")
    if "://" in target or target.startswith("mailto:"):
        return
    place = path.parent / name if name else path
    if not place.exists():
        yield f"link {target}: no such file"
    elif anchor and anchor not in anchors(place):
        yield f"link {target}: no such heading"


def anchors(path: Path) -> set[str]:
    """Return the anchors of a document's headings, as GitHub and the site make them."""
    headings = re.findall(r"^#+ +(.+?)\s*$", FENCE.sub("", path.read_text()), re.MULTILINE)
    plain = (re.sub(r"\[([^\]]*)\]\([^)]*\)|`", r"\1", heading).lower() for heading in headings)
    return {re.sub(r"[^\w\- ]", "", heading).replace(" ", "-") for heading in plain}


def file_faults(code: str, repository: Repository) -> Iterator[str]:
    """Yield the files that inline code names and that are not there; the user's own are not looked for."""
    for name in NAMED.findall(code):
        ours = name.startswith(PLACES) or name.endswith(".py")
        if ours and "/" in name and not name.startswith(("../", "/")) and not repository.has(name):
            yield f"`{name}`: no such file"


def command_faults(line: str, repository: Repository) -> Iterator[str]:
    """Yield what a line of shell calls and that is not there."""
    for module in re.findall(r"-m (pcan_\w+(?:\.\w+)*)", line):
        if not repository.has(module.replace(".", "/") + ".py") and not repository.has(
            module.replace(".", "/")
        ):
            yield f"`{module}`: no such module"
    for script in re.findall(r"(?:python3?|pytest) (?:-\S+ )*((?:test|benchmarks|tools)/[\w/.]+)", line):
        if not repository.has(script):
            yield f"`{script}`: no such file"
    for target in re.findall(r"^\$? ?make ([a-z][a-z-]*)", line):
        if target not in repository.targets:
            yield f"`make {target}`: no such target"
    for command, arguments in re.findall(r"(?:^|[\s;|&])(pcan-[a-z-]+)([^;|&#)]*)", line):
        if command not in repository.options:
            yield f"`{command}`: no such command"
            continue
        for option in re.findall(r"(?<=\s)--?[a-z][\w-]*", arguments):
            if option not in repository.options[command] and option not in COMMON:
                yield f"`{command} {option}`: no such option"


def main() -> int:
    """Print every fault; return 1 if there is one."""
    found = list(faults(ROOT))
    print(*found, sep="\n") if found else print("documents: every link, file, command and option exists")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
