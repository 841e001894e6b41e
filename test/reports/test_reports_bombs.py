"""Small files that declare, or unpack to, excessive sizes are rejected with little memory."""

from __future__ import annotations

import json
import resource
import struct
import subprocess
import sys
import zlib
from pathlib import Path

import lz4.frame
import numpy as np
import pytest
from backports import zstd
from support.bags import drive, write_bag

from pcan_model.data.bags import packed, reading
from pcan_model.data.bags.inspect import inspect
from pcan_model.data.bags.packed import unpack_chunk
from pcan_model.data.bags.reading import Bag, BagError
from pcan_model.data.bags.recovery import recover

ROOT = Path(__file__).resolve().parents[2]
STAMPS = [k / 10 for k in range(3)]
PACKERS = {"zstd": zstd.compress, "lz4": lz4.frame.compress}
BIG = 64 << 20  # bytes of zeros, packed into some kilobytes


def text(value: str) -> bytes:
    return struct.pack("<I", len(value)) + value.encode()


def record(code: int, body: bytes) -> bytes:
    return struct.pack("<BQ", code, len(body)) + body


def chunk(compression: str, inner: bytes, declared: int) -> bytes:
    """Return a chunk whose records are `inner`, packed, and that declares another size."""
    data = PACKERS[compression](inner)
    return record(
        6, struct.pack("<QQQI", 0, 9, declared, 0) + text(compression) + struct.pack("<Q", len(data)) + data
    )


def mcap(path: Path, *records: bytes) -> Path:
    path.write_bytes(b"\x89MCAP0\r\n" + record(1, text("") + text("")) + b"".join(records))
    return path


@pytest.mark.parametrize("compression", ["zstd", "lz4"])
def test_a_chunk_unpacks_to_at_most_its_declared_size(compression: str) -> None:
    data = PACKERS[compression](bytes(BIG))
    assert unpack_chunk(data, compression, BIG) == (bytes(BIG), True)
    out, whole = unpack_chunk(data, compression, 1000)
    assert (len(out), whole) == (1000, False)
    out, whole = unpack_chunk(data[: len(data) // 2], compression, BIG)
    assert 0 < len(out) < BIG and not whole
    assert unpack_chunk(b"junk" * 9, compression, 100) == (b"", False)


@pytest.mark.parametrize("compression", ["zstd", "lz4"])
@pytest.mark.parametrize("declared", [100, 1 << 62])
def test_a_chunk_with_a_wrong_size_affects_no_other(
    tmp_path: Path, compression: str, declared: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(packed, "MOST_OF_CHUNK", 1 << 20)
    monkeypatch.setattr("pcan_model.data.bags.recovery.MOST_OF_CHUNK", 1 << 20)
    path = mcap(tmp_path / "a.mcap", chunk(compression, bytes(BIG), declared), record(15, bytes(4)))
    rescued = recover(path)
    assert not rescued.connections and rescued.problem == "1 damaged chunks"
    report = inspect(path)
    assert report.messages == 0 and report.losses


@pytest.mark.parametrize("compression", ["zstd", "lz4"])
def test_the_library_unpacks_chunks_within_the_same_bounds(compression: str) -> None:
    from rosbags.rosbag2 import storage_mcap

    unpack = storage_mcap.DECOMPRESSORS[compression]
    assert unpack(PACKERS[compression](b"records"), 7) == b"records"
    with pytest.raises(ValueError, match="of more than the 100 bytes that it declares"):
        unpack(PACKERS[compression](bytes(BIG)), 100)
    with pytest.raises(ValueError, match=f"at most {packed.MOST_OF_CHUNK} are read"):
        unpack(b"", 1 << 40)


@pytest.mark.parametrize("mode", ["FILE", "MESSAGE"])
def test_a_bag_whose_metadata_say_compressed_is_unpacked_within_bounds(
    tmp_path: Path, mode: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = write_bag(tmp_path / "bag", drive(STAMPS))
    (file,) = folder.glob("*.mcap")
    if mode == "FILE":
        file.with_name(f"{file.name}.zstd").write_bytes(zstd.compress(file.read_bytes()))
        file.unlink()
    meta = folder / "metadata.yaml"
    known = reading.read_yaml(meta)
    known["rosbag2_bagfile_information"] |= {"compression_mode": mode, "compression_format": "zstd"}
    meta.write_text(json.dumps(known))
    assert inspect(folder).messages == 3 and not inspect(folder).losses
    if mode == "FILE":
        monkeypatch.setattr(packed, "LEAST", 100)
        monkeypatch.setattr(packed, "MOST_TIMES", 1)
        with pytest.raises(BagError, match="for which there is no room"):
            inspect(folder)


@pytest.mark.parametrize(
    "metadata",
    [
        "a: &a [x, x, x, x, x, x, x, x, x]\n"
        + "".join(
            f"{b}: &{b} [{', '.join([f'*{a}'] * 9)}]\n" for a, b in zip("abcdefghi", "bcdefghij", strict=True)
        )
        + "rosbag2_bagfile_information: {version: 5, storage_identifier: *j}",
        "[" * 9000,
        "rosbag2_bagfile_information: 5",
        "rosbag2_bagfile_information: {version: 5, version: 6}",
        "!!python/object/apply:os.system [id]",
        "\x00",
    ],
)
def test_hostile_metadata_do_not_affect_the_messages(tmp_path: Path, metadata: str) -> None:
    folder = write_bag(tmp_path / "bag", drive(STAMPS))
    (folder / "metadata.yaml").write_text(metadata)
    report = inspect(folder)
    assert report.messages == 3
    assert [loss.file for loss in report.losses] == ["metadata.yaml"] and len(str(report.losses[0])) < 600


@pytest.mark.parametrize("qos", ["[" * 5000, "- 5", "a: &a [*a]", "!!int ''", "- {history: {}}"])
def test_hostile_qos_profiles_do_not_affect_the_messages(tmp_path: Path, qos: str) -> None:
    schema = record(
        3, struct.pack("<H", 1) + text("std_msgs/msg/String") + text("ros2msg") + text("string data")
    )
    extra = text("offered_qos_profiles") + text(qos)
    channel = record(
        4, struct.pack("<HH", 1, 1) + text("/a") + text("cdr") + struct.pack("<I", len(extra)) + extra
    )
    message = record(5, struct.pack("<HIQQ", 1, 0, 5, 5) + b"\0\1\0\0\2\0\0\0a\0")
    with Bag(mcap(tmp_path / "a.mcap", schema, channel, message)) as bag:
        assert [stored.time for stored in bag.messages()] == [5]


def png(width: int, height: int) -> bytes:
    """Return a PNG of one bit a pixel, all black."""

    def part(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    engine = zlib.compressobj(1)
    rows = [engine.compress(bytes(100 * (1 + width // 8))) for _ in range(height // 100)]
    header = part(b"IHDR", struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0))
    return (
        b"\x89PNG\r\n\x1a\n" + header + part(b"IDAT", b"".join([*rows, engine.flush()])) + part(b"IEND", b"")
    )


def test_a_small_png_of_far_too_many_pixels_is_rejected_in_little_memory(tmp_path: Path) -> None:
    (tmp_path / "bomb.png").write_bytes(png(32_000, 16_000))  # 1.5 GB as RGB
    code = (
        "import sys, numpy as np; from types import SimpleNamespace as N\n"
        "from pcan_model.data.image_decoding import BadImage, decode\n"
        "try: decode(N(format='png', data=np.fromfile(sys.argv[1], np.uint8)))\n"
        "except BadImage as error: print(error)"
    )
    before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    ran = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "bomb.png")],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert "data: expected a png image, cannot decode" in ran.stdout, ran.stderr
    assert max(before, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss) - before < 1_000_000  # kB


def test_a_mask_beyond_any_image_is_rejected_in_python() -> None:
    from types import SimpleNamespace

    from pcan_model.core.masks import decode, decode_crop

    side = 2**32 - 1
    mask = SimpleNamespace(encoding=0, x_offset=0, y_offset=0, height=side, width=side, data=b"")
    with pytest.raises(ValueError, match="mask: expected at most"):
        decode_crop(mask)
    with pytest.raises(ValueError, match="mask: expected at most"):
        decode(SimpleNamespace(**vars(mask) | {"height": 1, "width": 1}), side, side)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("manifest.json", "expected at most 16777216 bytes"),
        ("frame.onnx", "at most 2147483648 are read"),
        ("weights.safetensors", "expected a checkpoint of pcan-train"),
    ],
)
def test_a_model_folder_with_a_huge_sparse_file_is_rejected_unread(
    tmp_path: Path, name: str, said: str
) -> None:
    pytest.importorskip("onnx")
    from support.squares import export_squares

    from pcan_model.inference.errors import ModelError
    from pcan_model.inference.manifest import ModelFiles

    folder = export_squares(tmp_path / "model")
    manifest = json.loads((folder / "manifest.json").read_text())
    if name != "manifest.json":
        manifest |= {"sha256": {}, "weights": "weights.safetensors"}
        (folder / "manifest.json").write_text(json.dumps(manifest))
    with (folder / name).open("wb") as sparse:
        sparse.write((1 << 40).to_bytes(8, "little"))
        sparse.truncate(1 << 40)
    with pytest.raises(ModelError, match=said):
        ModelFiles(folder)


def test_a_chunk_of_the_journal_is_never_unpacked(tmp_path: Path) -> None:
    pytest.importorskip("rclpy")
    from pcan_model.core.errors import DataError
    from pcan_model.tracking.chunk_file import read_chunk

    with (tmp_path / "0.chunk").open("wb") as file:
        np.savez_compressed(file, header=np.zeros(BIG, np.uint8))
    with pytest.raises(DataError, match=r"'header.npy' is compressed, or larger than the file"):
        read_chunk(tmp_path / "0.chunk", ())
