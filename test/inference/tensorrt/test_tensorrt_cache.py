"""Engines on disk: built once, never half, rebuilt where they do not load; and `pcan-build-engine`."""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import fields, replace
from pathlib import Path

import pytest
from support.fake_cudart import FakeCudart
from support.fake_tensorrt import FakeTensorRt
from support.squares import export_squares

from pcan_model.cli import build_engine as build_command
from pcan_model.inference.errors import BuildStopped, ModelError
from pcan_model.inference.manifest import ModelFiles
from pcan_model.inference.tensorrt.bindings import Bindings
from pcan_model.inference.tensorrt.build import BuildOptions, in_tenths
from pcan_model.inference.tensorrt.cache import MANIFEST, PLAN, EngineCache, EngineKey, default_cache
from pcan_model.inference.tensorrt.loaded_engine import EngineProvider

KEY = EngineKey("model", "frame", "0" * 64, "tensorrt", "10.3.0", "8.7", "fp16", 3, 0)
STEPS: list[tuple[str, int, int]] = []


class Store:
    """A cache, a stand-in TensorRT and its messages."""

    def __init__(self, root: Path, version: str = "10.3.0", *, rtx: bool = False) -> None:
        self.cudart = FakeCudart()
        self.trt = FakeTensorRt(self.cudart, version, rtx=rtx)
        self.cache, self.messages = EngineCache(root), list[str]()
        flavour = "tensorrt_rtx" if rtx else "tensorrt"
        self.bindings = Bindings(flavour, self.trt, self.cudart)
        options = BuildOptions("8.6")
        self.provider = EngineProvider(
            self.bindings, self.cache, options, self.messages.append, lambda *a: STEPS.append(a)
        )


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "engines")


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> ModelFiles:
    return ModelFiles(export_squares(tmp_path_factory.mktemp("squares")))


def test_an_engine_is_built_once_and_then_loaded(store: Store, files: ModelFiles) -> None:
    for _ in range(3):
        store.provider.load(files, "frame", build=True)
    assert len(store.trt.builds) == 1 and len(store.messages) == 1
    assert store.messages[0].startswith(
        "the frame engine is not in the cache: building it for TensorRT 10.3.0"
    )


def test_everything_an_engine_depends_on_is_in_its_name() -> None:
    names = {KEY.folder}
    for field in fields(EngineKey):
        old = getattr(KEY, field.name)
        names.add(replace(KEY, **{field.name: old + 1 if isinstance(old, int) else old + "x"}).folder)
    assert len(names) == 1 + len(fields(EngineKey))


def test_other_weights_are_another_engine(files: ModelFiles, store: Store, tmp_path: Path) -> None:
    folder = export_squares(tmp_path / files.folder.name)
    (folder / "weights.safetensors").write_bytes(b"one")
    manifest = json.loads((folder / "manifest.json").read_text())
    keys = []
    for content in (b"one", b"two"):
        (folder / "weights.safetensors").write_bytes(content)
        manifest["sha256"]["weights.safetensors"] = hashlib.sha256(content).hexdigest()
        (folder / "manifest.json").write_text(json.dumps(manifest))
        keys.append(store.provider.key(ModelFiles(folder), "frame"))
    assert keys[0].onnx != keys[1].onnx
    assert {key.model for key in keys} == {files.folder.name}


def test_a_cut_off_engine_is_not_used(store: Store, files: ModelFiles) -> None:
    store.provider.load(files, "frame", build=True)
    path = store.cache.root / store.provider.key(files, "frame").folder / PLAN
    path.write_bytes(path.read_bytes()[:-3])
    store.provider.load(files, "frame", build=True)
    assert len(store.trt.builds) == 2


def test_an_engine_that_does_not_load_is_rebuilt_once_with_the_reason(
    store: Store, files: ModelFiles
) -> None:
    store.cache.put(store.provider.key(files, "frame"), b"an engine of some other TensorRT")
    store.provider.load(files, "frame", build=True)
    assert len(store.trt.builds) == 1
    assert "the frame engine does not load (Serialization assertion" in store.messages[0]
    store.provider.load(files, "frame", build=True)
    assert len(store.trt.builds) == 1


def test_a_fresh_engine_that_does_not_load_is_an_error_and_no_loop(store: Store, files: ModelFiles) -> None:
    store.trt.refuses.add("load")
    with pytest.raises(ModelError, match="a fresh engine does not load: Serialization assertion"):
        store.provider.load(files, "frame", build=True)
    assert len(store.trt.builds) == 1


def test_without_leave_to_build_the_command_is_said(store: Store, files: ModelFiles) -> None:
    with pytest.raises(ModelError) as raised:
        store.provider.load(files, "frame", build=False)
    assert f"is not in the cache: pcan-build-engine {files.folder}" in str(raised.value)
    assert "\n" not in str(raised.value) and not store.trt.builds


@pytest.mark.parametrize(
    ("refused", "message"),
    [
        ("builder", "TensorRT 10.3.0: cannot build here: CUDA initialization failure with error: 35"),
        ("parse", "frame.onnx: TensorRT 10.3.0 cannot read it: In node 7: no importer"),
        ("build", "frame.onnx: TensorRT 10.3.0 cannot build it: Could not find any implementation for"),
    ],
)
def test_a_failing_build_gives_tensorrts_reason_in_one_line(
    store: Store, files: ModelFiles, refused: str, message: str
) -> None:
    store.trt.refuses.add(refused)
    with pytest.raises(ModelError) as raised:
        store.provider.load(files, "frame", build=True)
    assert message in str(raised.value) and "\n" not in str(raised.value)
    assert store.cache.entries() == []


def test_a_graph_that_needs_a_plugin_is_refused_with_the_command_that_helps(
    store: Store, tmp_path: Path
) -> None:
    folder = export_squares(tmp_path / "old")
    manifest = json.loads((folder / "manifest.json").read_text())
    (folder / "manifest.json").write_text(json.dumps(manifest | {"roi": "roialign"}))
    with pytest.raises(ModelError, match=r"roi: expected gridsample for TensorRT, got roialign: pcan-export"):
        store.provider.load(ModelFiles(folder), "frame", build=True)
    assert not store.messages and not store.trt.builds


def test_a_build_reports_its_outer_phases(store: Store, files: ModelFiles) -> None:
    STEPS.clear()
    store.provider.load(files, "frame", build=True)
    steps = [("Building", 0, 2), ("Building", 0, 2), ("Building", 1, 2), ("Building", 2, 2)]
    assert steps == STEPS, "the second at a step of an inner phase"


@pytest.mark.parametrize("error", [BuildStopped("stopped"), KeyboardInterrupt()])
def test_what_the_report_raises_ends_the_build_at_the_next_step(
    store: Store, files: ModelFiles, error: BaseException
) -> None:
    def report(*_: object) -> None:
        raise error

    store.trt.inner_steps = 1000
    store.trt.inner_pause = 1.0
    provider = replace(store.provider, progress=report)
    with pytest.raises(type(error)):
        provider.load(files, "frame", build=True)
    assert not store.trt.builds and not store.cache.entries()


def test_a_build_that_is_to_stop_says_so() -> None:
    stop = [False, True]
    report = in_tenths(print, stopped=lambda: stop.pop(0))
    report("Building", 0, 40)
    with pytest.raises(BuildStopped, match="the build of an engine was stopped"):
        report("Building", 1, 40)


def test_progress_is_told_once_a_tenth_and_anew_for_the_next_engine() -> None:
    told: list[str] = []
    report = in_tenths(told.append)
    for _ in range(2):
        for done in range(41):
            report("Building", done, 40)
    assert told == [f"Building: {10 * tenth} % done" for tenth in range(1, 11)] * 2


def test_timings_of_one_build_speed_up_the_next(store: Store, files: ModelFiles) -> None:
    store.provider.load(files, "frame", build=True)
    store.provider.load(files, "instance", build=True)
    assert store.trt.timing_caches == [b"", b"timed"]


def test_rtx_builds_for_the_capability_and_keeps_its_kernels(tmp_path: Path, files: ModelFiles) -> None:
    store = Store(tmp_path / "engines", "1.7.1", rtx=True)
    for _ in range(2):
        plan = store.provider.load(files, "frame", build=True)
        plan.context()
        plan.keep_kernels()
    assert store.trt.runtime_caches == [b"kernels"], "the second start reads what the first one wrote"
    assert [entry.key.flavour for entry in store.cache.entries() if entry.key] == ["tensorrt_rtx"]
    orin = replace(store.provider, options=BuildOptions("8.7"))
    with pytest.raises(ModelError, match=r"compute capability 8\.7: expected one of SM86, SM89"):
        orin.load(files, "frame", build=True)


def test_an_interrupted_write_leaves_the_old_engine(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    store.cache.put(KEY, b"old")

    def full(*_: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(Path, "write_text", full)
    with pytest.raises(OSError, match="disk full"):
        store.cache.put(KEY, b"new")
    monkeypatch.undo()
    assert store.cache.get(KEY) == b"old"
    assert [path.name for path in store.cache.root.iterdir()] == [KEY.folder]
    store.cache.put(KEY, b"new")
    assert store.cache.get(KEY) == b"new"


def test_prune_removes_the_broken_and_the_unwanted(store: Store) -> None:
    other = replace(KEY, version="9.0")
    for key in (KEY, other):
        store.cache.put(key, b"plan")
    broken = store.cache.put(replace(KEY, graph="instance"), b"plan")
    (broken / MANIFEST).unlink()
    gone = store.cache.prune(lambda key: key.version == "10.3.0")
    assert {entry.key for entry in gone} == {other, None}
    assert [entry.key for entry in store.cache.entries()] == [KEY]


def test_prune_takes_an_engines_kernels_along_and_touches_nothing_else(store: Store) -> None:
    root, other = store.cache.root, replace(KEY, version="9.0")
    for key in (KEY, other):
        store.cache.put(key, b"plan")
        store.cache.write(f"kernels-{key.folder}.cache", b"kernels")
    (root / "photographs").mkdir()
    assert [entry.key for entry in store.cache.prune(lambda key: key == KEY)] == [other]
    assert {path.name for path in root.iterdir()} == {
        KEY.folder,
        f"kernels-{KEY.folder}.cache",
        "photographs",
    }


def test_the_default_folder_is_the_users_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", "/somewhere")
    assert default_cache() == Path("/somewhere/pcan_ros/engines")


@pytest.fixture
def command(store: Store, monkeypatch: pytest.MonkeyPatch) -> Store:
    monkeypatch.setattr(build_command, "load_bindings", lambda: store.bindings)
    return store


def test_the_command_builds_both_engines_once(
    command: Store, files: ModelFiles, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = [str(files.folder), "--engine-cache", str(command.cache.root)]
    assert build_command.main(arguments) == 0
    assert capsys.readouterr().out.count("built: ") == 2
    assert build_command.main(arguments) == 0
    assert capsys.readouterr().out.count("already there: ") == 2
    assert [os.path.basename(path) for path in command.trt.builds] == ["frame.onnx", "instance.onnx"]
    command.provider.load(files, "frame", build=False)

    assert build_command.main(["--list", "--engine-cache", str(command.cache.root)]) == 0
    listed = capsys.readouterr().out
    assert "tensorrt 10.3.0, compute capability 8.6, fp32" in listed and "2 engines in" in listed
    command.cache.put(KEY, b"plan of this version")
    command.cache.put(replace(KEY, version="8"), b"plan of another")
    assert build_command.main(["--prune", "--engine-cache", str(command.cache.root)]) == 0
    assert "1 engines removed in" in capsys.readouterr().out
    assert len(command.cache.entries()) == 3


@pytest.mark.parametrize(
    ("arguments", "message"),
    [([], "expected the folder of a MODEL, --list or --prune"), (["/nowhere"], "/nowhere: no such folder")],
)
def test_the_commands_errors_are_one_line(
    command: Store, arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert build_command.main([*arguments, "--engine-cache", str(command.cache.root)]) == 2
    error = capsys.readouterr().err
    assert error.startswith("pcan-build-engine: ") and message in error and error.count("\n") == 1


def test_where_nothing_can_be_kept_nothing_is_built(
    command: Store, files: ModelFiles, capsys: pytest.CaptureFixture[str]
) -> None:
    assert build_command.main([str(files.folder), "--engine-cache", "/proc/engines"]) == 2
    error = capsys.readouterr().err.splitlines()[-1]
    assert "pcan-build-engine: " in error and "/proc/engines" in error and command.trt.builds == []


def test_full_tensorrt_takes_no_capability(
    command: Store, files: ModelFiles, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = [str(files.folder), "--engine-cache", str(command.cache.root), "--capability", "8.9"]
    assert build_command.main(arguments) == 2
    assert "--capability: TensorRT 10.3.0 builds for the GPU that it runs on only" in capsys.readouterr().err


def test_without_a_device_the_command_asks_for_the_capability(
    command: Store, files: ModelFiles, capsys: pytest.CaptureFixture[str]
) -> None:
    command.cudart.devices = 0
    assert build_command.main([str(files.folder), "--engine-cache", str(command.cache.root)]) == 2
    assert "there is no CUDA device: full TensorRT builds on the GPU it is for" in capsys.readouterr().err
