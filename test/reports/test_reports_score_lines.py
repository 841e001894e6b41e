"""`pcan-score` with damaged text (KITTI-MOTS, MOT Challenge): the official value, or a one-line error."""

from __future__ import annotations

import contextlib
import io
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some
from support.damage import scratched

from pcan_model.cli.score import main, score
from pcan_model.core.errors import DataError
from pcan_model.core.rle import encode

pytest.importorskip("trackeval", reason="pip install --no-deps trackeval==1.3.0")
REPORTS = Path(os.environ.get("PCAN_SHARED", Path(__file__).parents[3] / "shared")) / "data/reports"
SEEN = 6  # frames


def runs(x: int, size: tuple[int, int] = (24, 60)) -> str:
    mask = np.zeros(size, bool)
    mask[5:15, x : x + 9] = True
    return str(encode(mask)["counts"])


def line(time: Any, x: int, identity: Any = 1001, category: Any = 1) -> str:
    return f"{time} {identity} {category} 24 60 {runs(x)}"


CAR = [line(t, 3 + t) for t in range(SEEN)]
WALK = [line(t, 30 + t, 2001, 2) for t in range(SEEN)]
IGNORED = [line(t, 48, 10000, 10) for t in range(SEEN)]
TRUTH = [*CAR, *WALK, *IGNORED]
SOUND = [*CAR[:4], line(4, 7, 1002), line(5, 9, 1002), *WALK, line(0, 48, 1009)]


@pytest.fixture
def kitti(tmp_path: Path) -> Callable[..., dict[str, Any]]:
    """Return what scores result lines against TRUTH, or against other labels."""

    def scored(
        predicted: str | bytes | list[str], truth: list[str] = TRUTH, name: str = "0002"
    ) -> dict[str, Any]:
        (tmp_path / "gt").mkdir(exist_ok=True)
        (tmp_path / "said").mkdir(exist_ok=True)
        (tmp_path / "gt/0002.txt").write_text("\n".join(truth) + "\n")
        data = "\n".join(predicted) + "\n" if isinstance(predicted, list) else predicted
        (tmp_path / f"said/{name}.txt").write_bytes(data if isinstance(data, bytes) else data.encode())
        return dict(score("kitti_mots", tmp_path / "gt", tmp_path / "said")["per_class"])

    return scored


def by_trackeval(truth: Path, predicted: Path) -> dict[str, Any]:
    """Score by TrackEval alone, as its own script does."""
    with contextlib.redirect_stdout(io.StringIO()):
        from trackeval import Evaluator, datasets, metrics

        places = {"GT_FOLDER": str(truth), "TRACKERS_FOLDER": str(predicted.parent), "TRACKER_SUB_FOLDER": ""}
        settings = {"GT_LOC_FORMAT": "{gt_folder}/{seq}.txt", "SEQ_INFO": {"0002": SEEN}}
        data = datasets.KittiMOTS(places | settings | {"TRACKERS_TO_EVAL": [predicted.name]})
        quiet = {"PRINT_RESULTS": False, "OUTPUT_SUMMARY": False, "OUTPUT_DETAILED": False}
        runner = Evaluator(quiet | {"PLOT_CURVES": False, "TIME_PROGRESS": False, "PRINT_CONFIG": False})
        results, _ = runner.evaluate([data], [metrics.CLEAR(), metrics.HOTA(), metrics.Identity()])
    return dict(results["KittiMOTS"][predicted.name]["COMBINED_SEQ"])


def test_the_metrics_equal_trackevals(tmp_path: Path, kitti: Callable[..., dict[str, Any]]) -> None:
    found = kitti(SOUND)
    expected = by_trackeval(tmp_path / "gt", tmp_path / "said")

    for name in ("car", "pedestrian"):
        assert found[name]["CLEAR/MOTA"] == expected[name]["CLEAR"]["MOTA"]
        assert found[name]["HOTA/HOTA"]["mean"] == np.mean(expected[name]["HOTA"]["HOTA"])
        assert found[name]["Identity/IDF1"] == expected[name]["Identity"]["IDF1"]
    assert found["car"]["CLEAR/IDSW"] == 1


SAME = {
    "ids of 1e8": [text.replace(" 1001 ", " 100001001 ") for text in SOUND],
    "ids of 3e9": [text.replace(" 1001 ", " 3000000000 ") for text in SOUND],
    "ids of 25 digits": [text.replace(" 1001 ", f" {'9' * 25} ") for text in SOUND],
    "the id 0": [text.replace(" 1001 ", " 0 ") for text in SOUND],
    "frames as 1.0": [f"{text[0]}.0{text[1:]}" for text in SOUND],
    "frames as 00001": [f"0000{text}" for text in SOUND],
    "lines out of order": list(reversed(SOUND)),
    "blank lines": ["", *SOUND, "", "  ", ""],
    "Windows' ends of lines": "\r\n".join([*SOUND, "", ""]),
    "a byte order mark": "\ufeff" + "\n".join(SOUND),
    "no end of the last line": "\n".join(SOUND),
    "spaces": "\n".join(f" {text.replace(' ', '  ')} " for text in SOUND),
}


@pytest.mark.parametrize("name", SAME)
def test_equivalent_files_have_equal_scores(kitti: Callable[..., dict[str, Any]], name: str) -> None:
    assert kitti(SAME[name]) == kitti(SOUND)


BAD = {
    "a negative id": (line(0, 3, -1001), "id: expected a whole number from 0 up, got '-1001'"),
    "a negative frame": (line(-1, 3), "time: expected a whole number"),
    "half a frame": (line(0.5, 3), "time: expected a whole number"),
    "no number": (line("nan", 3), "time: expected a whole number"),
    "an upper digit": (line("²", 3), "time: expected a whole number"),
    "an id with a point": (line(0, 3, 7.5), "id: expected a whole number"),
    "a stamp as frame": (line(1_700_000_000, 3), "frame: expected a frame below 100000"),
    "Python's bytes": (
        f"0 1001 1 24 60 {runs(3).encode()!r}",
        "rle.counts: expected run lengths that cover (24, 60), decoded to text and not Python's print of",
    ),
    "a smaller image": (
        f"0 1001 1 12 30 {runs(3, (12, 30))}",
        "rle.size: expected that of the labels (24, 60), got [12, 30]",
    ),
    "sides exchanged": (line(0, 3).replace("24 60", "60 24"), "rle.size: expected that of the labels"),
    "cut run lengths": (line(0, 3)[:-2], "rle.counts: expected run lengths that cover (24, 60)"),
    "endless run lengths": (f"0 1 1 24 60 {'o' * 100_000}", "rle.counts: expected run lengths"),
    "classes from 0": (line(0, 3, 1, 0), "class: expected one of [1, 2, 10], got 0"),
    "a field less": ("0 1001 1 24 60", "fields: expected time, id, class"),
    "a field more": (line(0, 3) + " 0.9", "fields: expected time, id, class"),
    "commas": (line(0, 3).replace(" ", ","), "fields: expected time, id, class"),
    "an id twice": (f"{line(0, 3)}\n{line(0, 20)}", "id: expected once in a frame, got 1001 again, as in li"),
    "a line twice": (f"{line(0, 3)}\n{line(0, 3)}", "id: expected once in a frame"),
    "masks that overlap": (
        f"{line(0, 3)}\n{line(0, 9, 7)}", "rle: expected no overlapping masks, got 30 pixels of line 1"
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_a_bad_line_is_one_line_of_file_place_expected_and_got(
    tmp_path: Path, kitti: Callable[..., dict[str, Any]], capsys: pytest.CaptureFixture[str], name: str
) -> None:
    bad, message = BAD[name]
    with pytest.raises(DataError):
        kitti(bad)

    command = ["--format", "kitti_mots", "--truth", str(tmp_path / "gt"), "--results", str(tmp_path / "said")]
    assert main(command) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1 and f"said/0002.txt: line {1 + bad.count(chr(10))}: {message}" in error
    with pytest.raises(DataError, match="gt/0002"):  # labels are checked alike
        kitti(SOUND, truth=[*(CAR[:1] if "rle.size" in message else []), bad])


def test_a_sequence_without_results_is_missed_with_one_warning(
    kitti: Callable[..., dict[str, Any]], caplog: pytest.LogCaptureFixture
) -> None:
    found = kitti(SOUND, name="0003")

    assert found["car"]["CLEAR/CLR_FN"] == SEEN and found["car"]["CLEAR/CLR_FP"] == 0
    assert "0002.txt: file: expected a sequence's lines, got no such file: all its objects" in caplog.text
    assert "expected sequences of the labels, got ['0003'], which are not scored" in caplog.text
    assert len(caplog.records) == 2


def test_a_missing_folder_of_results_is_rejected(
    tmp_path: Path, kitti: Callable[..., dict[str, Any]]
) -> None:
    kitti(SOUND)
    with pytest.raises(DataError, match="none: folder: expected results"):
        score("kitti_mots", tmp_path / "gt", tmp_path / "none")


@pytest.mark.parametrize("text", ["0002 empty 0 ²", "0002 empty 0 -5", "0002", "", "0002 empty 0 999999999"])
def test_a_bad_seqmap_is_rejected(tmp_path: Path, kitti: Callable[..., dict[str, Any]], text: str) -> None:
    kitti(SOUND)
    (tmp_path / "seqmap").write_text(text)
    with pytest.raises(DataError, match="seqmap: line"):
        score("kitti_mots", tmp_path / "gt", tmp_path / "said", tmp_path / "seqmap")


def test_a_sequence_of_the_seqmap_may_have_spaces_in_its_name(
    tmp_path: Path, kitti: Callable[..., dict[str, Any]]
) -> None:
    expected = kitti(SOUND)
    for folder in ("gt", "said"):
        (tmp_path / folder / "0002.txt").rename(tmp_path / folder / "my drive 2.txt")
        (tmp_path / folder / "._my drive 2.txt").write_bytes(b"\0\5\x16\7")
    (tmp_path / "seqmap").write_text("my drive 2 empty 000000 000005\n")
    for seqmap in (tmp_path / "seqmap", None):
        assert score("kitti_mots", tmp_path / "gt", tmp_path / "said", seqmap)["per_class"] == expected


@pytest.mark.parametrize("name", ["../../evil", "/evil", "a/b", "..", ".hidden", "a\0b"])
@pytest.mark.parametrize("kind", ["kitti_mots", "mot_challenge"])
def test_a_sequence_name_outside_the_folder_is_rejected(tmp_path: Path, name: str, kind: str) -> None:
    (tmp_path / "seqmap").write_text(f"{name} empty 000000 000005\n")
    if kind == "mot_challenge":
        (tmp_path / "seqmap").write_text(f"name\n{name}\n")
    with pytest.raises(DataError, match=r"seqmap: line \d: sequence: expected the name of a file"):
        score(kind, tmp_path, tmp_path, tmp_path / "seqmap")


def test_a_frame_beyond_the_seqmap_is_reported(tmp_path: Path, kitti: Callable[..., dict[str, Any]]) -> None:
    kitti(SOUND)
    (tmp_path / "seqmap").write_text("0002 empty 000000 000003\n")
    with pytest.raises(
        DataError, match=r"gt/0002\.txt: line 5: frame: expected one of 4 frames, got number 4"
    ):
        score("kitti_mots", tmp_path / "gt", tmp_path / "said", tmp_path / "seqmap")


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(scratched("\n".join(SOUND)) | some.binary(max_size=200))
def test_any_bytes_score_or_are_one_line(kitti: Callable[..., dict[str, Any]], data: bytes) -> None:
    try:
        found = kitti(data)
    except DataError as error:
        assert "0002.txt: " in str(error) and "\n" not in str(error)
    else:
        assert all(np.isfinite(found[name]["CLEAR/MOTA"]) for name in ("car", "pedestrian"))


BOX = "0,0,10,10"
PEOPLE = [f"{t},1,{BOX},1,1,1" for t in range(1, 4)]
WALKED = [f"{t},7,{BOX},0.9,-1,-1,-1" for t in range(1, 4)]


@pytest.fixture
def mot(tmp_path: Path) -> Callable[..., dict[str, Any]]:
    """Return what scores result lines against PEOPLE."""

    def scored(predicted: str | bytes | list[str], truth: list[str] = PEOPLE) -> dict[str, Any]:
        (tmp_path / "gt/A/gt").mkdir(parents=True, exist_ok=True)
        (tmp_path / "said").mkdir(exist_ok=True)
        (tmp_path / "gt/A/gt/gt.txt").write_text("\n".join(truth) + "\n")
        data = "\n".join(predicted) if isinstance(predicted, list) else predicted
        (tmp_path / "said/A.txt").write_bytes(data if isinstance(data, bytes) else data.encode())
        found = score("mot_challenge", tmp_path / "gt", tmp_path / "said")["per_class"]["pedestrian"]
        return dict(found)

    return scored


@pytest.mark.parametrize(
    "predicted",
    [
        [text.replace(",7,", ",3000000000,") for text in WALKED],
        [text.replace(",7,", ",7.0,") for text in WALKED],
        [text.replace(",", ", ") for text in reversed(WALKED)],
        ["", *WALKED, "", ""],
        "\r\n".join([*WALKED, ""]),
        [WALKED[0], WALKED[1].removesuffix(",-1,-1"), WALKED[2]],  # as many fields as one likes
        [text.replace(f"{BOX}", "0.0,0e0,1e1,+10.") for text in WALKED],
    ],
)
def test_equivalent_boxes_have_equal_scores(
    mot: Callable[..., dict[str, Any]], predicted: str | list[str]
) -> None:
    assert mot(predicted) == mot(WALKED) and mot(WALKED)["HOTA/HOTA"]["mean"] == 1


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        ("1,-1,0,0,9,9,1", "A.txt: line 1: frame, id: expected whole numbers from 1 and 0 on, got 1, -1"),
        ("1.5,1,0,0,9,9,1", "line 1: frame, id"),
        ("1_0,1,0,0,9,9,1", "line 1: fields: expected numbers between commas"),
        ("1,1,0,0,nan,9,1", "line 1: fields: expected 7 finite numbers"),
        ("1e12,1,0,0,9,9,1", "line 1: frame: expected a frame below 100000"),
        ("1,1,0,0,9,9,1,2,1", "line 1: class: expected 1 \\(pedestrian\\) or none, got 2"),
        ("1,1,0,0,9,9,1\n1,1,0,0,9,9,1", "line 2: id: expected once in a frame"),
        (b"\xff\xfe1,1", "A.txt: file: expected a sequence's lines as text"),
    ],
)
def test_a_bad_box_is_one_line(mot: Callable[..., dict[str, Any]], bad: str | bytes, message: str) -> None:
    with pytest.raises(DataError, match=message):
        mot(bad)


def test_boxes_without_area_count_as_false_positives_with_a_warning(
    mot: Callable[..., dict[str, Any]], caplog: pytest.LogCaptureFixture
) -> None:
    found = mot([*WALKED, "1,8,5,5,-3,4,1"])

    assert found["CLEAR/CLR_FP"] == 1 and found["CLEAR/CLR_TP"] == 3
    assert "line 4: width, height: expected boxes with a surface, got 1 without" in caplog.text


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(scratched("\n".join(WALKED)) | some.binary(max_size=100))
def test_any_bytes_of_boxes_score_or_are_one_line(mot: Callable[..., dict[str, Any]], data: bytes) -> None:
    try:
        assert np.isfinite(mot(data)["CLEAR/MOTA"])
    except DataError as error:
        assert "A.txt: " in str(error) and "\n" not in str(error)


@pytest.mark.skipif(not REPORTS.is_dir(), reason="the shared inputs of reports are not here")
@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("mots/ok", ""), ("mots2/big", ""),
        ("mots/negid", "line 1: id: expected a whole number from 0 up, got '-1001'"),
        ("mots/bytes_repr", "decoded to text and not Python's print of bytes"),
        ("mots/size_small", r"line 1: rle.size: expected that of the labels \(96, 160\), got \[48, 80\]"),
    ],
)  # fmt: skip
def test_the_reported_results(name: str, message: str) -> None:
    folder, seqmap = REPORTS / name, REPORTS / "mots/ok/seqmap"
    if message:
        with pytest.raises(DataError, match=message):
            score("kitti_mots", folder / "gt", folder / "data", seqmap)
    else:
        found = score("kitti_mots", folder / "gt", folder / "data", seqmap)["per_class"]
        assert [found[n]["HOTA/HOTA"]["mean"] for n in ("car", "pedestrian")] == pytest.approx([1, 1])
