"""Another format comes at the ratio of two rates; a slow network at any."""

import numpy as np
import pytest

from monitor.ingest.clock.speed import of_formats
from monitor.ingest.telephony.dialect import Chunk, TelephonyError
from monitor.ingest.telephony.voice import Voice
from monitor.types import AudioFrame, Gap


@pytest.mark.parametrize(
    ("agreed", "real"),
    [(8_000, 16_000), (16_000, 8_000), (48_000, 44_100), (44_100, 48_000), (24_000, 16_000),
     (16_000, 24_000), (16_000, 22_050), (8_000, 11_025), (16_000, 2 * 16_000), (24_000, 12_000)],
)  # fmt: skip
def test_the_ratio_of_two_formats_is_one(agreed: int, real: int) -> None:
    for known in (agreed, None):
        assert of_formats(real / agreed, known)
        # As measured, and by a sampling clock that is off.
        assert of_formats(real / agreed * 1.01, known)


@pytest.mark.parametrize("share", [0.77, 0.8, 0.85, 0.88, 1.2, 1.25])
def test_other_ratios_are_none(share: float) -> None:
    assert not of_formats(share)


@pytest.mark.parametrize("share", [0.919, 0.75, 0.69, 0.54])
def test_nobody_sends_such_rates_instead_of_a_telephones(share: float) -> None:
    assert of_formats(share)
    assert not of_formats(share, 8_000)


def heard(share: float, seconds: float = 30.0, rate: int = 8_000) -> list[AudioFrame | Gap]:
    """What becomes of chunks of 20 ms when so many seconds of them come each second."""
    voice = Voice("remote", lambda at: 100.0, None)
    samples = (np.random.default_rng(3).standard_normal(rate // 50) * 3000).astype(np.int16)
    out: list[AudioFrame | Gap] = []
    for number in range(round(seconds * share * 50)):
        chunk = Chunk("remote", samples, rate, None)
        media = voice.push(chunk, 100.02 + number * 0.02 / share)
        out += [each for each in media if isinstance(each, AudioFrame | Gap)]
    return [*out, *(each for each in voice.flush() if isinstance(each, AudioFrame | Gap))]


@pytest.mark.parametrize("share", [0.77, 0.85])
def test_a_starved_platform_is_heard_and_not_closed(share: float) -> None:
    out = heard(share)
    frames = [each for each in out if isinstance(each, AudioFrame)]
    assert len(frames) == len(out)
    spoken = sum(len(each.samples) for each in frames if each.samples.any()) / 16_000
    assert spoken == pytest.approx(30 * share, abs=0.5)


@pytest.mark.parametrize(
    ("agreed", "come"),
    [(8_000, 16_000), (16_000, 8_000), (16_000, 24_000), (48_000, 44_100), (8_000, 11_025)],
)
def test_another_rate_is_closed_within_ten_seconds(agreed: int, come: int) -> None:
    with pytest.raises(TelephonyError, match=f"{agreed} .* agreed on, {round(come, -2)} come"):
        heard(come / agreed, 10.5, agreed)
