"""What is wrong with a participant's clock is said once, and what was done about it is counted."""

import asyncio
import time

from structlog.testing import capture_logs

from monitor.calls.standstill import Standstill
from monitor.calls.timings import Timings
from monitor.metrics.sink import Metrics
from monitor.schema import wire
from monitor.types import Corrected, Timing


def value(metrics: Metrics, name: str, **labels: str) -> float:
    return metrics.registry.get_sample_value(name, labels) or 0.0


def test_a_factor_and_another_format_are_told_once_with_the_call() -> None:
    timings, metrics = Timings(), Metrics()
    with capture_logs() as logs:
        for stretched in (0.5, 0.25):
            corrected = Corrected(stretched, 0.1, 0.2)
            timings.take(Timing("remote", 0.003, 0.333, 1.0, corrected), "a-call", metrics)
        timings.take(Timing("remote", None, 0.333, 2.0, Corrected()), "a-call", metrics)
    assert [(each["call"], each["log_level"]) for each in logs] == [("a-call", "warning")] * 2
    assert logs[0]["factor"] == 0.333
    assert value(metrics, "monitor_corrected_seconds_total", reason="stretched") == 0.75
    assert value(metrics, "monitor_corrected_seconds_total", reason="cut") == 0.2
    assert value(metrics, "monitor_corrected_seconds_total", reason="filled") == 0.4
    assert value(metrics, "monitor_clock_skew_ppm_count") == 2
    # The call's record has the latest, and what was corrected in all.
    assert wire.clock(timings.latest()["remote"]) == {
        "skew_ppm": 3000.0,
        "stamp_factor": 0.333,
        "speed": 2.0,
        "stretched_seconds": 0.75,
        "cut_seconds": 0.2,
        "filled_seconds": 0.4,
    }


def test_a_clock_that_is_right_is_not_worth_a_word() -> None:
    with capture_logs() as logs:
        Timings().take(Timing("remote", 0.0, 1.0, 1.0, Corrected()), "a-call", Metrics())
    assert logs == []


async def test_a_loop_that_stood_still_is_noticed_for_a_while() -> None:
    standstill = Standstill()
    assert not standstill.lately(time.monotonic())
    sleeping = asyncio.create_task(standstill.sleep(0.01))
    await asyncio.sleep(0)
    time.sleep(1.1)  # noqa: ASYNC251
    await sleeping
    now = time.monotonic()
    assert standstill.lately(now)
    assert not standstill.lately(now + 6)
