"""Windows of one voice are put together, and more speech tells voices apart better."""

import numpy as np
import pytest

from monitor.training.measure.denoised import _shares
from monitor.training.measure.gathered import by_speech, gathered
from monitor.training.measure.scoring import COLUMNS, Table


def _table(windows: int = 12) -> Table:
    rng = np.random.default_rng(0)
    rows = []
    for source in ("a", "b"):
        for voice in range(30):
            fake = voice % 2 == 1
            kind = f"g{voice}" if fake else "human"
            for clip in range(2):
                for start in range(windows // 2):
                    logit = rng.normal(1.0 * fake, 1.5)
                    about = (f"{source}/{voice}/{clip}", source, f"s{voice}", fake, kind, kind)
                    rows.append((*about, "test", "clean", float(start), 3.0, logit))
    columns = zip(*rows, strict=True)
    return {name: np.array(values) for name, values in zip(COLUMNS, columns, strict=True)}


def test_overlap_is_not_counted_twice() -> None:
    # The first window of a recording brings three seconds, each further one a second.
    table = _table()
    one = gathered(table, 5.0)
    assert len(one["logit"]) == 60
    assert set(one["speech"].tolist()) == {5.0}
    first = table["logit"][(table["clip"] == "a/0/0") & (table["start"].astype(float) < 3)]
    at = one["clip"].tolist().index("a/s0/human/test/clean")
    assert one["logit"][at] == pytest.approx(first.mean())
    # Both recordings together hold 3 + 5 + 3 + 5 seconds.
    assert len(gathered(table, 16.0)["logit"]) == 60
    assert len(gathered(table, 17.0)["logit"]) == 0


def test_more_speech_helps() -> None:
    found = by_speech(_table())
    assert list(found) == ["3 s clean", "4 s clean", "8 s clean", "16 s clean"]
    assert found["16 s clean"]["eer"] < found["3 s clean"]["eer"] - 0.05
    assert found["16 s clean"]["first"] > found["16 s clean"]["eer"] + 0.05
    assert found["16 s clean"]["sources"] == 2
    assert found["16 s clean"]["voices"] == 60


def test_shares_are_over_windows_and_paired() -> None:
    flagged = [np.array([[True, True], [False, True]]), np.array([[False, False]] * 2)]
    found = _shares(flagged, rounds=50)
    assert (found["windows"], found["speakers"]) == (4, 2)
    assert found["as_recorded"] == 0.25
    assert found["denoised"] == 0.5
    assert found["difference"] == 0.25
    assert found["interval"][0] <= 0.25 <= found["interval"][1]
