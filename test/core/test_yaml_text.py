"""YAML of any origin: plain values within bounds, or one line."""

from __future__ import annotations

import datetime
from pathlib import Path

import pytest
import yaml

from pcan_model.core.config import ConfigError, load_config
from pcan_model.core.yaml_text import MOST_BYTES, MOST_VALUES, YamlTextError, parse_yaml, read_yaml


def laughs(levels: int) -> str:
    """Return a text of some hundred bytes whose last value stands for 10 ** levels words."""
    lines = ["a0: &a0 [lol, lol, lol, lol, lol, lol, lol, lol, lol, lol]"]
    lines += [f"a{k}: &a{k} [{', '.join([f'*a{k - 1}'] * 10)}]" for k in range(1, levels)]
    return "\n".join(lines)


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("", None),
        ("5", 5),
        ("a: [1, 0.5, true, x]", {"a": [1, 0.5, True, "x"]}),
        ("a: &here [1, 2]\nb: *here", {"a": [1, 2], "b": [1, 2]}),
        ("base: &b {x: 1, y: 2}\nmine: {<<: *b, y: 3}", {"base": {"x": 1, "y": 2}, "mine": {"x": 1, "y": 3}}),
        ("2001-12-14", datetime.date(2001, 12, 14)),
    ],
)
def test_plain_yaml_is_read_as_pyyaml_reads_it(text: str, values: object) -> None:
    assert parse_yaml(text) == values == yaml.safe_load(text)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (laughs(9), f"aliases that grow to more than {MOST_VALUES} values"),
        ("a: &a [*a]", "aliases that grow"),
        ("<<: &a {<<: *a}", "aliases that grow"),
        ("a: 1\nb: 2\na: 3", "line 3: the key 'a' is there twice"),
        ("x: {a: 1, b: {c: 1, 'c': 2}}", "line 1: the key 'c' is there twice"),
        ("!!python/object/apply:os.system [id]", "could not determine a constructor for the tag"),
        ("!!python/name:os.system", "could not determine a constructor"),
        ("!!int ''", "index out of range"),
        ("!!bool maybe", "maybe"),
        ("!!timestamp never", "'NoneType' object"),
        ("2001-99-99", "month must be in 1..12"),
        (f"a: {'9' * 5000}", "integer string conversion"),
        ("[" * 100_000, "too many levels"),
        ("- " * 100_000, "too many levels"),
        ("? " * 100_000, "too many levels"),
        ("a: [", "line 1, column 5"),
        ("a: \x00", "special characters are not allowed"),
        ("%YAML 3.0\n---\na", "incompatible YAML document"),
        ("a\n---\nb", "expected a single document"),
    ],
)
def test_what_nobody_means_is_one_line(text: str, said: str) -> None:
    with pytest.raises(YamlTextError) as error:
        parse_yaml(text)
    assert said in str(error.value) and "\n" not in str(error.value) and len(str(error.value)) <= 400


def test_a_huge_file_is_refused_before_it_is_read(tmp_path: Path) -> None:
    file = tmp_path / "huge.yaml"
    with file.open("wb") as sparse:
        sparse.truncate(1 << 40)
    with pytest.raises(YamlTextError, match=f"1099511627776 bytes, where at most {MOST_BYTES} are read"):
        read_yaml(file)


def test_a_hostile_configuration_is_one_short_line(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    for text in (laughs(9), laughs(5), f"name: {laughs(1)[8:]}", "classes: [[1]]", "[" * 5000):
        file.write_text(text)
        with pytest.raises(ConfigError, match=r"mine\.yaml: ") as error:
            load_config(file)
        assert "\n" not in str(error.value) and len(str(error.value)) < 1000
