"""Tables 3 to 10: every row a network that can be built, and one table run from end to end."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
import yaml
from support.small import VALUES, small_config, small_net

from pcan_model.cli.ablate import main
from pcan_model.core.config import load_config
from pcan_model.experiments.report import spread, to_markdown
from pcan_model.experiments.runs import RowResult, Study, fingerprint, read_results, write_results
from pcan_model.experiments.tables import TABLES, Table, Variation
from pcan_model.experiments.trainings import as_trained
from pcan_model.model.pcan import PCAN

ROOT = Path(__file__).parents[2]

ROWS = [
    pytest.param(table, variation, id=f"{table.number}, {variation.name}")
    for table in TABLES.values()
    for variation in table.variations
]


def result(variation: str, seed: int, smotsa: float | None, **other: float) -> RowResult:
    values = {"ap": 0.4, "motsa": 0.5, "motsp": 0.5, "idf1": 0.5, "hota": 0.5} | other
    return RowResult(7, variation, seed, "study", 1, smotsa=smotsa, id_switches=seed, seconds=1.0, **values)


@pytest.mark.parametrize(("table", "variation"), ROWS)
def test_every_row_is_a_network_that_can_be_built(table: Table, variation: Variation) -> None:
    config = variation.apply(small_config(frame_attention={"heads": 4}))
    net = PCAN(config)
    assert len(net.attended()) == (
        len(config.frame_attention.levels) if config.frame_attention.enabled else 0
    )


def test_rows_of_a_table_differ_from_each_other() -> None:
    for table in TABLES.values():
        configs = [variation.apply(small_config()) for variation in table.variations]
        assert len({str(config) for config in configs}) == len(configs), table.title
        assert len({variation.name for variation in table.variations}) == len(configs)


def test_the_papers_own_setting_is_a_row() -> None:
    best = {3: "32 frames", 6: "30 + 30", 7: "momentum 0.2", 8: "64 prototypes", 9: "6 iterations"}
    for number, name in best.items():
        rows = {v.name: v.paper for v in TABLES[number].variations}
        assert rows[name] == max(paper for paper in rows.values() if paper)


def test_rows_that_differ_only_after_training_share_one() -> None:
    base = small_config()
    study = Study(base, 2, 1, 2, Path())

    def trainings(number: int) -> int:
        configs = [as_trained(v.apply(base), study) for v in TABLES[number].variations]
        return len({fingerprint(config, study, clips=False) for config in configs})

    assert trainings(3) == 2, "with and without a memory"
    assert trainings(5) == 3, "the kinds"
    assert trainings(7) == 4 and trainings(10) == 4
    assert trainings(11) == 3, "clips of each length"
    assert trainings(12) == 2, "without and with prototypes"


def test_a_study_is_known_by_its_settings_and_drives() -> None:
    base = small_config()
    study = Study(base, 2, 1, 2, Path())
    marks = {
        fingerprint(base, study),
        fingerprint(replace(base, train=replace(base.train, iterations=7)), study),
        fingerprint(base, replace(study, held_out=9)),
        fingerprint(base, replace(study, drives=9)),
    }
    assert len(marks) == 4
    assert fingerprint(base, study) == fingerprint(base, replace(study, folder=Path("elsewhere")))


def test_fields_added_since_leave_the_marks_of_existing_results_where_they_have_their_defaults() -> None:
    base = load_config(ROOT / "docs" / "ablations" / "study.yaml")
    assert fingerprint(base, Study(base, 120, 12, 12, Path())) == "9d8556a749bc"
    longer = replace(base, train=replace(base.train, clip_frames=4))
    assert fingerprint(longer, Study(base, 120, 12, 12, Path())) != "9d8556a749bc"


def test_a_study_is_known_by_the_numbers_of_the_detector_it_starts_from(tmp_path: Path) -> None:
    one, copy, other = (tmp_path / name for name in "abc")
    for path, numbers in ((one, b"1"), (copy, b"1"), (other, b"2")):
        path.write_bytes(numbers)
    study = Study(small_config(), 2, 1, 2, Path())
    marks = [fingerprint(study.base, replace(study, weights=path)) for path in (None, one, copy, other)]
    assert marks[1] == marks[2] and len(set(marks)) == 3


def test_results_come_back_from_their_file(tmp_path: Path) -> None:
    results = [result("none", 0, 0.5), result("none", 1, None)]
    write_results(tmp_path / "new" / "results.jsonl", results)
    assert read_results(tmp_path / "new" / "results.jsonl") == results
    assert read_results(tmp_path / "nothing") == []


def test_mean_and_spread_by_hand() -> None:
    assert spread([0.1, None, 0.3]) == (pytest.approx(0.2), pytest.approx(0.02**0.5))
    assert spread([0.4]) == (0.4, None)
    assert spread([None]) is None


def test_the_table_shows_mean_spread_and_what_is_missing() -> None:
    text = to_markdown(
        TABLES[7],
        [
            *(result("none", 0, 0.1), result("none", 1, 0.3), result("initial", 0, None)),
            *(result("momentum 0.2", 1, 0.25), result("momentum 0.2", 0, 0.15)),
        ],
    )
    rows = [line for line in text.splitlines() if line.startswith("|")][2:]
    same = "40.0 ± 0.0 | 20.0 ± 14.1 | 50.0 ± 0.0 | 50.0 ± 0.0 | 50.0 ± 0.0 | 0.5 ± 0.7"
    assert rows[0] == f"| none | 33.5 | 2 | {same} | +0.00 ± 0.00 |"
    assert rows[1].startswith("| initial | 33.0 | 1 | 40.0 | - | 50.0 |")
    assert rows[2].endswith("| +0.00 ± 7.07 |"), "5 more at seed 0, 5 less at seed 1"
    assert rows[3] == "| momentum 0.5 | 34.0 | 0 | - | - | - | - | - | - | - |"


@pytest.mark.slow
def test_a_table_runs_from_drives_to_plot_and_then_has_nothing_left_to_do(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("trackeval")
    config, backbone = tmp_path / "small.yaml", tmp_path / "backbone.pt"
    config.write_text(yaml.safe_dump(VALUES))
    torch.save(small_net().backbone.state_dict(), backbone)
    tiny = ["--iterations", "1", "--seeds", "0", "--drives", "1", "--held-out", "1", "--length", "2"]
    folders = ["--out", str(tmp_path / "runs"), "--docs", str(tmp_path / "docs"), "--backbone", str(backbone)]
    command = ["3", "--config", str(config), "--workers", "0", *tiny, *folders]

    main([*command, "--dry-run"])
    assert len(capsys.readouterr().out.splitlines()) == 6
    assert main(command) == 0

    assert len(list((tmp_path / "runs").glob("*/done"))) == 2
    lines = (tmp_path / "docs" / "results.jsonl").read_text().splitlines()
    assert [json.loads(line)["variation"] for line in lines] == [v.name for v in TABLES[3].variations]
    assert "| 32 frames | 35.4 | 1 |" in (tmp_path / "docs" / "table3.md").read_text()
    assert (tmp_path / "docs" / "table3.png").stat().st_size > 1000
    capsys.readouterr()
    main([*command, "--dry-run"])
    assert capsys.readouterr().out == "nothing is left to do\n"


def test_what_is_wrong_is_said_in_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["3", "--config", "nowhere", "--docs", str(tmp_path), "--dry-run"]) == 2
    message = capsys.readouterr().err
    assert message.startswith("pcan-ablate: nowhere: no such configuration") and message.count("\n") == 1
    assert main(["3", "--iterations", "0", "--docs", str(tmp_path), "--dry-run"]) == 2
    assert (
        capsys.readouterr().err == "pcan-ablate: --iterations 0: expected --weights to evaluate, got none\n"
    )
