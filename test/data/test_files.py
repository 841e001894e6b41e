"""One lister of image files: natural order, no hidden files, any name; every image is turned as EXIF says."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from pcan_model.core.errors import DataError
from pcan_model.data.files import list_images
from pcan_model.data.registry import open_clip, open_clips, recognise

TURNED = b"II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0\0\0\0\0"  # TIFF with orientation 6


def save(path: Path, value: int, *, exif: bool = False) -> None:
    image = np.full((40, 60, 3), value, np.uint8)
    image[:20] //= 2
    data = cv2.imencode(path.suffix, image)[1].tobytes()
    if exif:
        body = b"Exif\0\0" + TURNED
        data = data[:2] + b"\xff\xe1" + (len(body) + 2).to_bytes(2, "big") + body + data[2:]
    path.write_bytes(data)


@pytest.mark.parametrize(
    "names",
    [
        ["f8.png", "f9.png", "f10.png"],
        ["1²0.jpg", "1²1.jpg", "1²10.jpg"],
        ["cam ٣.png", "cam ٤.png", "cam ١٠.png"],  # decimal digits of another script count
        ["front left 2.PNG", "front left 10.png"],
        ["01.png", "1.png", "2.png"],
        ["%d.png", "a (1).bmp", "a (2).bmp", "é.jpeg"],
    ],
)
def test_files_come_in_natural_order_whatever_their_names(tmp_path: Path, names: list[str]) -> None:
    for value, name in enumerate(names):
        save(tmp_path / name, 20 * value + 20)
    assert [path.name for path in list_images(tmp_path)] == names
    clip = open_clip(tmp_path)
    assert [frame.name for frame in clip.frames()] == names
    assert [round(frame.image[30:].mean() / 20) - 1 for frame in clip.frames()] == list(range(len(names)))


def test_hidden_files_are_no_images(tmp_path: Path) -> None:
    save(tmp_path / "000000.jpg", 90)
    for name in ("._000000.jpg", ".hidden.png", ".DS_Store"):
        (tmp_path / name).write_bytes(b"\0\5\x16\7 of macOS")
    assert len(open_clip(tmp_path)) == 1
    (tmp_path / "000000.jpg").unlink()
    with pytest.raises(DataError, match="layout: expected one of"):
        recognise(tmp_path)


def test_hidden_label_files_and_folders_are_no_clips(tmp_path: Path) -> None:
    (tmp_path / "images" / "a").mkdir(parents=True)
    (tmp_path / "labels").mkdir()
    save(tmp_path / "images" / "a" / "0.jpg", 90)
    (tmp_path / "labels" / "a.json").write_text('[{"name": "0.jpg", "labels": []}]')
    (tmp_path / "labels" / "._a.json").write_bytes(b"\0\5\x16\7 of macOS")
    assert [clip.name for clip in open_clips(tmp_path)] == ["a"]


@pytest.mark.parametrize("ending", [".jpg", ".JPG", ".jpeg"])
def test_one_image_is_turned_as_in_a_folder(tmp_path: Path, ending: str) -> None:
    save(tmp_path / f"0{ending}", 90, exif=True)
    alone, folder = open_clip(tmp_path / f"0{ending}"), open_clip(tmp_path)
    assert (len(alone), alone.name, alone.labelled) == (1, "0", False)
    image = alone.read(0).image
    assert image.shape == (60, 40, 3)
    np.testing.assert_array_equal(image, folder.read(0).image)


def test_where_there_are_several_clips_one_is_not_chosen(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / "image_02" / name).mkdir(parents=True)
        save(tmp_path / "image_02" / name / "0.png", 90)
        (tmp_path / "instances_txt").mkdir(exist_ok=True)
        (tmp_path / "instances_txt" / f"{name}.txt").write_text("")
    with pytest.raises(DataError, match=r"clips: expected one clip, .*, got \['a', 'b'\]"):
        open_clip(tmp_path)
