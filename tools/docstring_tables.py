"""Griffe extension for this project's docstrings: aligned lists and fields become tables."""

from __future__ import annotations

import re
from itertools import groupby
from typing import Any

from griffe import Attribute, Class, Docstring, Extension, Object

ROW = re.compile(r"(\S(?:.*?\S)??)\s{2,}(\S.*)")


class DocstringTables(Extension):
    """Show `name  (shape)  meaning` lines as a table, and the fields of a dataclass with their comments."""

    def on_object(self, *, obj: Object, **_: Any) -> None:
        """Rewrite one docstring."""
        if isinstance(obj, Class) and "dataclass" in obj.labels:
            _describe_fields(obj)
        if obj.docstring:
            paragraphs = map(_paragraph, obj.docstring.value.split("\n\n"))
            obj.docstring.value = "\n\n".join(paragraphs).replace("][", "]\\[")  # no link is meant


def _describe_fields(record: Class) -> None:
    """Add a table of the fields to the docstring of a dataclass; each is described by its comment."""
    rows = [_field_row(field) for field in record.attributes.values() if field.annotation is not None]
    if rows:
        own = record.docstring.value if record.docstring else ""
        table = "\n".join(["| field | type | default | |", "|---|---|---|---|", *rows])
        record.docstring = Docstring(f"{own}\n\n{table}", parent=record)


def _field_row(field: Attribute) -> str:
    """Return name, type, default and comment of a field as a row."""
    source = field.lines_collection[field.filepath] if field.endlineno else []
    comment = source[field.endlineno - 1].partition("  # ")[2] if field.endlineno else ""
    default = "" if field.value is None or "field(" in str(field.value) else f"`{field.value}`"
    cells = (f"`{field.name}`", f"`{field.annotation}`", default, comment)
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _paragraph(text: str) -> str:
    """Return a paragraph with its runs of aligned lines as tables, everything else as it is."""
    if text.startswith(("|", " ")):
        return text
    lines: list[str] = []
    for line in text.splitlines():
        if lines and line.startswith(" " * 4):
            lines[-1] += " " + line.strip()  # continues the row above
        else:
            lines.append(line)
    runs = groupby(lines, key=lambda line: ROW.fullmatch(line) is not None)
    return "\n\n".join(_table(list(run)) if aligned else "\n".join(run) for aligned, run in runs)


def _table(lines: list[str]) -> str:
    """Return aligned lines as a table of name, shape if any has one, and meaning."""
    cells = [_cells(*row.groups()) for row in map(ROW.fullmatch, lines) if row]
    wide = any(shape for _, shape, _ in cells)
    head = ["| | | |", "|---|---|---|"] if wide else ["| | |", "|---|---|"]
    body = [f"| `{name}` | {f'{shape} | ' if wide else ''}{meaning} |" for name, shape, meaning in cells]
    return "\n".join([*head, *body])


def _cells(name: str, rest: str) -> tuple[str, str, str]:
    """Return name, shape and meaning of a row; the shape is in parentheses, followed by two spaces."""
    shape, gap, meaning = rest.partition("  ")
    if gap or re.fullmatch(r"\(.*\)", rest):
        return name, shape.replace("|", "\\|"), meaning.strip().replace("|", "\\|")
    return name, "", rest.replace("|", "\\|")
