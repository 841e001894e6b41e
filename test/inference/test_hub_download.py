"""A model is downloaded by the hub's own library, here from a local server that answers as the hub does."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest
from support.squares import export_squares

ROOT = Path(__file__).parents[2]
COMMIT = "0123456789abcdef0123456789abcdef01234567"  # pragma: allowlist secret
LOAD = "import sys, pcan_model; print(pcan_model.load(sys.argv[1], backend='onnxruntime', threads=1).classes)"

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("huggingface_hub") is None, reason="needs huggingface_hub"
)


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Serve one model, me/squares."""
    folder = export_squares(tmp_path_factory.mktemp("squares"))

    class Handler(BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            self.answer(b"")

        def do_GET(self) -> None:
            path = self.path.partition("?")[0]
            if path == "/api/models/me/squares/revision/main":
                self.answer(json.dumps({"id": "me/squares", "sha": COMMIT, "siblings": []}).encode())
            elif path == f"/api/models/me/squares/tree/{COMMIT}":
                files = [
                    {"type": "file", "oid": oid(file), "size": file.stat().st_size, "path": file.name}
                    for file in sorted(folder.iterdir())
                ]
                self.answer(json.dumps(files).encode())
            else:
                self.answer(None)

        def answer(self, data: bytes | None) -> None:
            file = folder / self.path.rpartition("/")[2]
            if self.path.startswith(f"/me/squares/resolve/{COMMIT}/") and file.is_file():
                data = file.read_bytes()
            self.send_response(404 if data is None else 200)
            if data is None:
                self.send_header("X-Error-Code", "RepoNotFound")
            elif file.is_file():
                self.send_header("ETag", f'"{oid(file)}"')
                self.send_header("X-Repo-Commit", COMMIT)
            self.send_header("Content-Length", str(len(data or b"")))
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(data or b"")

        def log_message(self, *arguments: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()


def oid(file: Path) -> str:
    return sha256(file.read_bytes()).hexdigest()[:40]


def load(hub: str, home: Path, name: str) -> subprocess.CompletedProcess[str]:
    """Load a model in a process whose hub is the local server, which the library reads when imported."""
    environment = os.environ | {"HF_ENDPOINT": hub, "HF_HOME": str(home), "HF_HUB_DISABLE_XET": "1"}
    return subprocess.run(
        [sys.executable, "-c", LOAD, name],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_a_model_is_downloaded_once_and_runs(hub: str, tmp_path: Path) -> None:
    done = load(hub, tmp_path, "hf://me/squares")
    assert done.returncode == 0 and "'car'" in done.stdout, done.stderr
    again = load(
        "http://127.0.0.1:9", tmp_path, "hf://me/squares"
    )  # nobody answers there: it comes from the cache
    assert again.stdout == done.stdout, again.stderr


def test_a_model_that_is_not_there_is_named_in_one_line(hub: str, tmp_path: Path) -> None:
    done = load(hub, tmp_path, "hf://me/nothing")
    last = done.stderr.strip().splitlines()[-1]
    assert done.returncode == 1 and "hf://me/nothing: cannot be downloaded: 404" in last, done.stderr
