"""Hooks of the documents site: pages from outside docs/, and one page of Python reference for each room.

Links are written as they work in the repository; where a target is no page of the site, its text stays.
"""

from __future__ import annotations

import ast
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

ROOT = Path(__file__).resolve().parent.parent
OUTSIDE = (
    "CONTRIBUTING.md",
    "CHANGELOG.md",
    "SECURITY.md",
    "examples/README.md",
    "models/pcan_street/README.md",
    "models/pcan_street_tiny/README.md",
)
PYTHON = "reference/python"
LINK = re.compile(r"(!?)\[((?:[^\[\]]|\[[^\]]*\])*)\]\(([^)\s]+)\)")


def on_files(files: Files, config: Any) -> Files:
    """Add the pages from outside docs/, and the reference pages to the navigation."""
    for name in OUTSIDE:
        files.append(File.generated(config, name, content=(ROOT / name).read_text()))
    pages = [(room, f"{PYTHON}/{room.replace('/', '.')}.md") for room in rooms()]
    for room, page in pages:
        files.append(File.generated(config, page, content=room_page(room)))
    _python_pages(config.nav).extend({room.replace("/", "."): page} for room, page in pages)
    return files


def on_page_markdown(markdown: str, page: Any, files: Files, **_: Any) -> str:
    """Rewrite links from repository paths to site paths."""
    here = page.file.src_uri
    folder = os.path.dirname(here if here in OUTSIDE else f"docs/{here}")

    def rewrite(match: re.Match[str]) -> str:
        mark, text, target = match.groups()
        path, _, anchor = target.partition("#")
        if not path or "://" in target or target.startswith("mailto:"):
            return match.group()
        place = os.path.normpath(os.path.join(folder, path))
        uri = place.removeprefix("docs/")
        if files.get_file_from_path(uri) is None:
            return text
        relative = os.path.relpath(uri, os.path.dirname(here) or ".")
        return f"{mark}[{text}]({relative}{'#' if anchor else ''}{anchor})"

    blocks = re.split(r"(^```.*?^```$)", markdown, flags=re.MULTILINE | re.DOTALL)
    return "".join(block if block.startswith("```") else LINK.sub(rewrite, block) for block in blocks)


def rooms() -> Iterator[str]:
    """Yield all folders of Python modules, such as `pcan_model/core`, including package roots."""
    for package in ("pcan_model", "pcan_ros"):
        for folder in sorted({path.parent for path in (ROOT / package).rglob("*.py")}):
            if any(modules(folder)):
                yield str(folder.relative_to(ROOT))


def modules(folder: Path) -> Iterator[str]:
    """Yield the dotted names of the non-empty public modules in a folder."""
    for path in sorted(folder.glob("*.py")):
        if not path.name.startswith("_") and ast.parse(path.read_text()).body[1:]:
            yield ".".join(path.relative_to(ROOT).with_suffix("").parts)


def room_page(room: str) -> str:
    """Return the page of a folder: its own docstring, then every module."""
    about = ast.get_docstring(ast.parse((ROOT / room / "__init__.py").read_text())) or ""
    parts = [f"# {room.replace('/', '.')}", about, *(f"::: {name}" for name in modules(ROOT / room))]
    return "\n\n".join(parts) + "\n"


def _python_pages(nav: list[Any]) -> list[Any]:
    """Return the list of pages below Reference, Python."""
    reference: list[Any] = next(item["Reference"] for item in nav if "Reference" in item)
    pages: list[Any] = next(item["Python"] for item in reference if "Python" in item)
    return pages
