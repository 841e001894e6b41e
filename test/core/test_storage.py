"""Files elsewhere: what is downloaded and uploaded, whole or not at all."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.squares_footage import FRAMES, write_images

from pcan_model.cli import data
from pcan_model.core import storage
from pcan_model.core.storage import StorageError
from pcan_model.data.registry import open_clips
from pcan_model.inference.model_names import find_model

fsspec = pytest.importorskip("fsspec", reason="fsspec is not installed: requirements/storage.txt")


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Return an empty file system in memory; downloads go to a folder of the test."""
    monkeypatch.setenv(storage.CACHE, str(tmp_path / "cache"))
    memory = fsspec.filesystem("memory")
    storage._fetch.cache_clear()
    yield memory
    memory.store.clear()
    memory.pseudo_dirs[:] = [""]


def put(memory: Any, **files: bytes) -> None:
    for name, content in files.items():
        memory.pipe_file(f"/bucket/{name.replace('__', '/')}", content)


@pytest.mark.parametrize(
    ("text", "address", "rest"),
    [
        ("s3://bucket/drive.mp4", "s3://bucket/drive.mp4", ""),
        ("gs://bucket/set@cvat:2.5", "gs://bucket/set", "@cvat:2.5"),
        ("s3://bucket/set#a,b:1", "s3://bucket/set", "#a,b:1"),
        ("s3://bucket/set:0.5", "s3://bucket/set", ":0.5"),
        ("coco:s3://bucket/found.json", "s3://bucket/found.json", ""),
    ],
)
def test_an_address_is_replaced_within_a_text(text: str, address: str, rest: str) -> None:
    seen: list[str] = []
    assert storage.replaced(text, lambda each: seen.append(each) or Path("/p")).endswith(f"/p{rest}")  # type: ignore[func-returns-value]
    assert seen == [address]


@pytest.mark.parametrize("text", ["drive.mp4", "rtsp://camera/stream", "hf://owner/name", "a/s3:/b", "0"])
def test_other_texts_are_no_addresses(text: str) -> None:
    assert not storage.is_address(text) and storage.replaced(text, lambda _: Path("/p")) == text


def test_a_file_and_a_folder_are_downloaded_once_until_they_change(elsewhere: Any, tmp_path: Path) -> None:
    put(elsewhere, set__a=b"1", set__deep__b=b"2")
    assert storage.local("memory://bucket/set/a").read_bytes() == b"1"
    folder = storage.local("memory://bucket/set")
    assert folder.name == "set" and (folder / "deep" / "b").read_bytes() == b"2"
    storage._fetch.cache_clear()  # as in another process
    assert storage.fetch("memory://bucket/set") == folder
    put(elsewhere, set__a=b"11")
    storage._fetch.cache_clear()
    assert (storage.fetch("memory://bucket/set") / "a").read_bytes() == b"11"
    assert not list((tmp_path / "cache").glob(".*"))


def test_an_interrupted_download_leaves_nothing(
    elsewhere: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(elsewhere, set__a=b"1", set__b=b"2")
    get = type(elsewhere).get_file

    def breaks(self: Any, source: str, target: str, **others: Any) -> None:
        if source.endswith("b"):
            raise ConnectionResetError("reset by peer")
        get(self, source, target, **others)

    monkeypatch.setattr(type(elsewhere), "get_file", breaks)
    with pytest.raises(StorageError, match="memory://bucket/set: cannot be read: reset by peer"):
        storage.fetch("memory://bucket/set")
    assert list((tmp_path / "cache").iterdir()) == []


def test_nothing_there_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert data.main(["check", "memory://bucket/none"]) == 2
    expected = "pcan-data: memory://bucket/none: expected a file or a folder, got nothing there\n"
    assert capsys.readouterr().err == expected


def folder_of(root: Path) -> Path:
    (root / "sub").mkdir(parents=True)
    for name in ("manifest.json", "sub/a", "z"):
        (root / name).write_text(name)
    return root


def test_a_folder_is_uploaded_with_the_file_that_names_it_last(elsewhere: Any, tmp_path: Path) -> None:
    order: list[str] = []
    put_file = type(elsewhere).put_file
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            type(elsewhere), "put_file", lambda self, a, b, **k: (order.append(b), put_file(self, a, b, **k))
        )
        storage.upload(folder_of(tmp_path / "out"), "memory://bucket/out")
    assert [name.removeprefix("/bucket/out/") for name in order] == ["sub/a", "z", "manifest.json"]
    assert elsewhere.cat("/bucket/out/sub/a") == b"sub/a"
    with pytest.raises(StorageError, match="expected an address where nothing is"):
        storage.upload(tmp_path / "out", "memory://bucket/out")


def test_an_interrupted_upload_leaves_nothing_there_and_the_files_here(
    elsewhere: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    put_file = type(elsewhere).put_file

    def breaks(self: Any, source: str, target: str, **others: Any) -> None:
        if target.endswith("json"):
            raise ConnectionResetError("reset by peer")
        put_file(self, source, target, **others)

    monkeypatch.setattr(type(elsewhere), "put_file", breaks)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    expected = r"cannot be written: reset by peer; kept in .*/out$"
    with pytest.raises(StorageError, match=expected) as error, storage.transfers():
        folder_of(storage.staged("memory://bucket/out"))
    kept = Path(str(error.value).rpartition("kept in ")[2])
    assert (kept / "sub" / "a").read_text() == "sub/a" and not elsewhere.find("/bucket")


def test_a_command_reads_and_writes_elsewhere(
    elsewhere: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    elsewhere.put(str(write_images(tmp_path / "drive")), "/bucket/drive", recursive=True)
    assert data.main(["show", "memory://bucket/drive", "--out", "memory://bucket/sheet.png"]) == 0
    assert "uploaded: memory://bucket/sheet.png" in capsys.readouterr().err
    assert elsewhere.cat("/bucket/sheet.png").startswith(b"\x89PNG") and not elsewhere.exists(
        "/bucket/sheet.png.part"
    )
    assert [len(clip) for clip in open_clips("memory://bucket/drive")] == [FRAMES]


def test_what_was_not_written_here_is_an_error() -> None:
    expected = "memory://bucket/out: expected a file or folder to upload, got none on this machine"
    with pytest.raises(StorageError, match=expected), storage.transfers():
        assert storage.staged("memory://bucket/out") == storage.staged("memory://bucket/out")


def test_a_command_that_fails_uploads_nothing(elsewhere: Any, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    assert data.main(["show", str(tmp_path / "empty"), "--out", "memory://bucket/sheet.png"]) == 2
    assert not elsewhere.find("/bucket")


def test_a_model_is_found_elsewhere(elsewhere: Any) -> None:
    put(elsewhere, model__manifest=b"{}")
    assert (find_model("memory://bucket/model") / "manifest").read_bytes() == b"{}"


def test_local_paths_need_no_fsspec_and_addresses_name_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in [name for name in sys.modules if name.partition(".")[0] == "fsspec"]:
        monkeypatch.setitem(sys.modules, name, None)
    assert data.main(["check", str(write_images(tmp_path / "drive"))]) == 0
    capsys.readouterr()
    assert data.main(["check", "s3://bucket/drive"]) == 2
    expected = "needs fsspec, which is not installed: pip install 'pcan_ros[storage]'"
    assert expected in capsys.readouterr().err


def test_a_bucket_of_s3_is_read_and_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    moto = pytest.importorskip("moto.server", reason="moto is not installed: pip install 'moto[server]'")
    pytest.importorskip("s3fs", reason="s3fs is not installed: pip install s3fs")
    server = moto.ThreadedMotoServer(port=0)
    server.start()
    try:
        host, port = server.get_host_and_port()
        for key, value in {
            "AWS_ENDPOINT_URL": f"http://{host}:{port}",
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",  # pragma: allowlist secret
            "AWS_DEFAULT_REGION": "us-east-1",
        }.items():
            monkeypatch.setenv(key, value)
        bucket = fsspec.filesystem("s3")
        bucket.mkdir("drives")
        bucket.put(str(write_images(tmp_path / "drive")), "drives/monday", recursive=True)
        out = "s3://drives/out"
        words = ["convert", "s3://drives/monday", "--to", "scalabel", "--out", out]
        assert data.main(words) == 0
        assert data.main(words) == 2, "a folder is not overwritten"
        assert [len(clip) for clip in open_clips(out)] == [FRAMES]
        assert data.main(["show", "s3://drives/monday", "--out", "s3://drives/sheet.png"]) == 0
        assert bucket.cat_file("drives/sheet.png").startswith(b"\x89PNG")
        with pytest.raises(StorageError, match=r"s3://other/monday: "):
            storage.fetch("s3://other/monday")
    finally:
        server.stop()
