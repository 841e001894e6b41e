"""Parses a list of topics given as text, as on a command line."""

from __future__ import annotations

from typing import Any

from pcan_model.core.yaml_text import YamlTextError, parse_yaml
from pcan_ros.node.parameters import ParameterError

CAMERAS = "image topics such as /camera/image_raw, or several as /front/image,/rear/image"


def topics_of(text: str, name: str = "cameras", example: str = CAMERAS) -> list[str]:
    """Return the topics of `/a`, `/a,/b`, `[/a, /b]` or `['/a', '/b']`; raises ParameterError otherwise.

    name, example  of the parameter, for the error message
    """
    text = text.strip()
    topics: Any = _list(text) if text.startswith("[") else [part.strip() for part in text.split(",")]
    strings = isinstance(topics, list) and all(isinstance(topic, str) and topic for topic in topics)
    if not topics or not strings or any(letter in topic for topic in topics for letter in "[]'\", "):
        raise ParameterError(f"{name}: expected {example}; got {' '.join(text.split()) or 'nothing'}")
    return list(topics)


def _list(text: str) -> Any:
    try:
        return parse_yaml(text)
    except YamlTextError:
        return None
