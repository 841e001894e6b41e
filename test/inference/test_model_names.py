"""A model is named by what ships, by a folder, or by its name on the hub."""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml

from pcan_model.core.package_files import SHIPPED_MODELS, default_model
from pcan_model.inference.errors import ModelError
from pcan_model.inference.manifest import ModelManifest
from pcan_model.inference.model_names import find_model


@pytest.mark.parametrize("name", SHIPPED_MODELS)
def test_shipped_models_have_short_names(name: str) -> None:
    assert ModelManifest.read(find_model(name)).config.name == SHIPPED_MODELS[name]
    assert find_model(SHIPPED_MODELS[name]) == find_model(name)


def test_street_is_the_default() -> None:
    assert find_model("street") == default_model()


def test_a_folder_is_taken_as_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert find_model(tmp_path) == find_model(str(tmp_path)) == tmp_path
    (tmp_path / "street").mkdir()
    monkeypatch.chdir(tmp_path)
    assert find_model("street") == default_model(), "as text the shipped model wins"
    assert find_model(Path("street")) == find_model("./street") == Path("street")


def test_what_is_no_model_is_named(tmp_path: Path) -> None:
    with pytest.raises(
        ModelError, match=r"nowhere: expected street, street_tiny, the folder .* no such folder"
    ):
        find_model("nowhere")
    with pytest.raises(ModelError, match="hf://x: expected hf://OWNER/NAME"):
        find_model("hf://x")


def test_a_model_on_the_hub_is_fetched_by_the_hubs_library(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[str, str | None]] = []

    def snapshot_download(repo: str, revision: str | None) -> str:
        asked.append((repo, revision))
        return str(tmp_path)

    hub = SimpleNamespace(snapshot_download=snapshot_download)
    monkeypatch.setitem(sys.modules, "huggingface_hub", hub)  # type: ignore[arg-type]
    assert find_model("hf://me/street") == find_model("hf://me/street@v1.2") == tmp_path
    assert asked == [("me/street", None), ("me/street", "v1.2")]


def test_without_the_hubs_library_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)  # type: ignore[arg-type]
    with pytest.raises(ModelError, match="pip install huggingface_hub"):
        find_model("hf://me/street")


@pytest.mark.parametrize("name", SHIPPED_MODELS)
def test_every_shipped_model_has_a_card_in_the_form_of_the_hub(name: str) -> None:
    _, head, text = (find_model(name) / "README.md").read_text().split("---\n", 2)
    card = yaml.safe_load(head)
    assert card["library_name"] == "pcan_ros" and card["license"] == "other" and card["license_name"]
    assert text.lstrip().startswith("# Model card")
