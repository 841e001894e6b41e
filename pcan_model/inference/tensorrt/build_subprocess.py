"""Builds an engine in a subprocess: a stop takes effect at once, and a crash of the build ends only that.

The subprocess reads a request from its standard input, a line of JSON and the timing cache. It answers on its
standard output with a line of JSON for each step, and at last the engine or the error.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from queue import Empty, SimpleQueue
from threading import Thread
from typing import Any, BinaryIO

from pcan_model.inference.errors import ModelError
from pcan_model.inference.tensorrt.bindings import Bindings, load_bindings
from pcan_model.inference.tensorrt.build import BuildOptions, Built, Progress, build_engine

PERIOD = 0.2  # seconds between two calls of `progress` at least, so that what it raises ends the build
Answer = dict[
    str, Any
]  # {"step": [phase, done, steps]}, {"built": contents}, {"error": text} or, at the end, {}


def build_in_subprocess(
    bindings: Bindings,
    onnx: Path,
    options: BuildOptions,
    *,
    timing_cache: bytes = b"",
    progress: Progress | None = None,
) -> Built:
    """Build an engine as `build_engine` does, by the installed TensorRT in another process."""
    with tempfile.TemporaryFile() as request:
        header = {"onnx": str(onnx), "options": asdict(options), "timing_cache": len(timing_cache)}
        _write(request, header, timing_cache)
        request.seek(0)
        with _started(request) as (process, answers):
            answer = _last_answer(answers, progress)
            process.wait()
    if "built" in answer:
        return Built(*answer["built"])
    ended = f"the build ended with exit code {process.returncode}"
    raise ModelError(answer.get("error", f"{onnx}: {bindings.title} cannot build it: {ended}"))


@contextmanager
def _started(request: BinaryIO) -> Iterator[tuple[subprocess.Popen[bytes], SimpleQueue[Answer]]]:
    """Run the subprocess until the end of the block; Ctrl-C in a terminal does not reach it."""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    command = [sys.executable, "-m", __name__]
    with subprocess.Popen(
        command, env=environment, stdin=request, stdout=subprocess.PIPE, start_new_session=True
    ) as process:
        answers: SimpleQueue[Answer] = SimpleQueue()
        reader = Thread(target=_read, args=(process.stdout, answers))
        reader.start()
        try:
            yield process, answers
        finally:
            process.kill()
            reader.join()


def _last_answer(answers: SimpleQueue[Answer], progress: Progress | None) -> Answer:
    """Report the steps until the last answer, and return it."""
    answer: Answer = {"step": ("", 0, 0)}
    while "step" in answer:
        if progress:
            progress(*answer["step"])
        with suppress(Empty):  # then the last step is reported again
            answer = answers.get(timeout=PERIOD)
    return answer


def _read(stream: BinaryIO, answers: SimpleQueue[Answer]) -> None:
    """Pass on the answers of the subprocess, and an empty one when it has ended."""
    for line in stream:
        answer = json.loads(line)
        if "built" in answer:
            answer["built"] = [stream.read(size) for size in answer["built"]]
        answers.put(answer)
    answers.put({})


def _write(stream: BinaryIO, message: Answer, *contents: bytes) -> None:
    stream.write(json.dumps(message).encode() + b"\n")
    stream.writelines(contents)
    stream.flush()


def main() -> None:
    """Build the engine that is requested."""
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what TensorRT prints is no answer
    request = json.loads(sys.stdin.buffer.readline())
    timing_cache = sys.stdin.buffer.read(request["timing_cache"])
    try:
        built = build_engine(
            load_bindings(),
            Path(request["onnx"]),
            BuildOptions(**request["options"]),
            timing_cache=timing_cache,
            progress=lambda *step: _write(answers, {"step": step}),
        )
    except ModelError as error:
        _write(answers, {"error": str(error)})
    else:
        contents = built.plan, built.timing_cache
        _write(answers, {"built": [*map(len, contents)]}, *contents)


if __name__ == "__main__":
    main()
