"""From recordings to windows, to a table, to the report."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from monitor.training.data.clips import Split
from monitor.training.data.windows import scoring_windows
from monitor.training.measure.evaluate import paired_report, report
from monitor.training.measure.scoring import CHANNELS, COLUMNS, Table, load_table, save_table
from monitor.training.measure.tables import markdown
from monitor.types import SAMPLE_RATE

SOURCES = {"test/a": Split.TEST, "test/b": Split.TEST, "dev/a": Split.DEV, "human/a": Split.HUMAN}


def _table(separation: float) -> Table:
    rng = np.random.default_rng(0)
    rows = []
    for source, split in SOURCES.items():
        for i in range(60):
            fake = i % 2 == 1 and split is not Split.HUMAN
            kind = f"g{i % 3}" if fake else "human"
            # Sources differ in level by more than the labels do.
            offset = 10.0 * (source == "test/b")
            for channel in CHANNELS:
                for start in (0.0, 1.0):
                    logit = rng.normal() + separation * fake + offset
                    rows.append(
                        (f"{source}/{i}", source, f"s{i % 7}", fake, kind, kind, split.value)
                        + (channel, start, 2.5, logit)
                    )
    columns = zip(*rows, strict=True)
    return {name: np.array(values) for name, values in zip(COLUMNS, columns, strict=True)}


@pytest.fixture(scope="module")
def found() -> dict[str, Any]:
    """The report on sources that are easy to judge."""
    return report(_table(4.0))


def test_sources_are_compared_with_themselves_only() -> None:
    found = paired_report(_table(4.0), "clean", Split.TEST)
    assert found["window"]["eer"] < 0.06
    assert found["clip"]["eer"] < 0.03
    assert set(found["window"]["sources"]) == {"test/a", "test/b"}
    assert found["window"]["sources"]["test/a"]["human"] == 60
    low, high = found["window"]["interval"]
    assert low <= found["window"]["eer"] <= high


def test_chance_is_half() -> None:
    found = paired_report(_table(0.0), "g711", Split.TEST)
    assert found["window"]["eer"] == pytest.approx(0.5, abs=0.1)


def test_threshold_is_carried_over(found: dict[str, Any]) -> None:
    moved = found["channels"]["clean"]["transferred"]
    # One of two test sources lies wholly above the development sources' threshold.
    assert moved["false_alarms"] == pytest.approx(0.5, abs=0.1)
    assert moved["human_only"]["share"] < 0.1
    assert moved["human_only_sources"].keys() == {"human/a"}


def test_card_tables_hold_every_test_source(found: dict[str, Any]) -> None:
    text = markdown(found)
    assert "| test/a | 60 (7) | 60 (3) |" in text
    assert "human/a" in text
    assert all(line.startswith("|") for line in text.splitlines() if line)


def test_a_table_survives_storage(tmp_path: Path) -> None:
    table = _table(1.0)
    save_table(table, tmp_path / "windows.npz")
    back = load_table(tmp_path / "windows.npz")
    for name in COLUMNS:
        np.testing.assert_array_equal(table[name], back[name])


def test_windows_need_speech() -> None:
    samples = np.zeros(6 * SAMPLE_RATE, np.float32)
    active = np.zeros(len(samples) // 512, bool)
    active[:100] = True
    windows = list(scoring_windows(samples, active))
    assert [window.start for window in windows] == [0.0, 1.0, 2.0]
    assert windows[0].speech == pytest.approx(3.0, abs=0.07)
    assert all(len(window.samples) == 3 * SAMPLE_RATE for window in windows)


@pytest.mark.parametrize(("seconds", "expected"), [(0.5, 0), (1.6, 1), (2.9, 1)])
def test_a_short_recording_is_one_window(seconds: float, expected: int) -> None:
    samples = np.zeros(int(seconds * SAMPLE_RATE), np.float32)
    windows = list(scoring_windows(samples, np.ones(len(samples) // 512 + 1, bool)))
    assert len(windows) == expected
    assert all(len(window.samples) == len(samples) for window in windows)


def test_generators_that_were_trained_on_are_left_out_of_the_unseen_figure() -> None:
    table = _table(4.0)
    # The only generator that was not trained on cannot be told from a human.
    hard = table["generator"] == "g1"
    table["logit"][hard] -= 4.0
    found = report(table, {"g0", "g2"})["channels"]["clean"]
    assert found["unseen"]["window"]["sources"]["test/a"]["generators"] == 1
    assert found["unseen"]["window"]["eer"] == pytest.approx(0.5, abs=0.1)
    assert found["windows"]["window"]["eer"] < 0.35


def test_calibration_on_other_sources_lowers_the_cost_of_boasting_logits() -> None:
    table = _table(2.0)
    # One level in all sources, and logits that promise ten times what they can keep.
    table["logit"] = 10 * (table["logit"] - 10.0 * (table["source"] == "test/b")) - 5
    found = report(table)["channels"]["clean"]["cost"]
    assert found["calibrated"] < 1 < found["bare"]
