"""The product-limit estimate against values computed by hand."""

import numpy as np
import pytest

from monitor.training.calls.survival import kaplan_meier


def test_without_censoring_it_is_the_plain_share() -> None:
    found = kaplan_meier([4, 2, 8, 6], [True] * 4)
    assert found.times.tolist() == [2, 4, 6, 8]
    assert found.unnoticed.tolist() == pytest.approx([0.75, 0.5, 0.25, 0.0])
    assert found.quantile(0.5) == 4
    assert found.quantile(0.9) == 8
    assert found.noticed_by(5) == pytest.approx(0.5)


def test_calls_that_end_early_leave_the_risk_set() -> None:
    # At 1: 6 at risk, 1 alarm. Ends at 2 and 3. At 3: 4 at risk (the one that ends at 3 still
    # is), 1 alarm. At 5: 2 at risk, 1 alarm. The last ends at 9.
    found = kaplan_meier([1, 2, 3, 3, 5, 9], [True, False, True, False, True, False])
    assert found.times.tolist() == [1, 3, 5]
    assert found.unnoticed.tolist() == pytest.approx([5 / 6, 5 / 6 * 3 / 4, 5 / 6 * 3 / 4 / 2])
    assert found.quantile(0.5) == 5
    assert found.quantile(0.9) is None
    assert found.noticed_by(0.5) == 0
    assert found.noticed_by(3) == pytest.approx(1 - 5 / 8)


def test_the_textbook_example() -> None:
    # Remission times of the 6-MP group of Freireich et al. 1963, as in every survival textbook.
    seconds = [6, 6, 6, 7, 10, 13, 16, 22, 23, 6, 9, 10, 11, 17, 19, 20, 25, 32, 32, 34, 35]
    found = kaplan_meier(seconds, [True] * 9 + [False] * 12)
    expected = [0.857, 0.807, 0.753, 0.690, 0.627, 0.538, 0.448]
    assert found.unnoticed.tolist() == pytest.approx(expected, abs=5e-4)
    assert found.quantile(0.5) == 23


def test_nothing_is_said_beyond_what_was_followed() -> None:
    found = kaplan_meier([5, 10], [True, False])
    assert found.noticed_by(10) == pytest.approx(0.5)
    assert found.noticed_by(11) is None
    # Once all are noticed there is nothing left to know.
    assert kaplan_meier([5, 10], [True, True]).noticed_by(60) == 1


def test_it_stops_where_too_few_are_followed() -> None:
    found = kaplan_meier([1, 2, 3, 8, 9], [True, True, True, True, True], fewest=3)
    assert found.times.tolist() == [1, 2, 3]
    assert found.noticed_by(3) == pytest.approx(0.6)
    assert found.noticed_by(4) is None
    assert found.quantile(0.9) is None
    assert kaplan_meier([1, 2], [True, True], fewest=3).noticed_by(1) is None


def test_no_calls_no_claim() -> None:
    found = kaplan_meier(np.empty(0), np.empty(0))
    assert found.noticed_by(1) is None
    assert found.quantile(0.5) is None
