"""Decoded packets → frames on the call's clock: seamless, stretched where a clock is off."""

import av
import numpy as np
import pytest

from monitor.ingest.clock.audio_track import AudioTrack, Heard, Sounding
from monitor.types import SAMPLE_RATE, AudioFrame, Gap, LostReason, Timing

RATE = 16_000


def sounding(number: int, samples: int = 320) -> Sounding:
    at = (number * samples + np.arange(samples)) / RATE
    wave = (8000 * np.sin(2 * np.pi * 440 * at)).astype(np.int16)
    frame = av.AudioFrame.from_ndarray(wave[None], "s16", "mono")
    frame.sample_rate = RATE
    return Sounding([frame])


def played(slow: float, seconds: float = 40.0, samples: int = 320) -> list[Heard]:
    began: list[float] = []

    def since(at: float) -> float:
        began.append(at)
        return began[0]

    track, out = AudioTrack("remote", since), list[Heard]()
    for number in range(round(seconds / (0.02 * (1 + slow)))):
        out += track.push(sounding(number, samples), 100 + (number + 1) * 0.02 * (1 + slow))
    return [*out, *track.flush()]


@pytest.mark.parametrize("slow", [0.0, 0.05, -0.05])
def test_sound_follows_the_wall_without_a_seam(slow: float) -> None:
    out = played(slow)
    frames = [each for each in out if isinstance(each, AudioFrame)]
    for before, after in zip(frames, frames[1:], strict=False):
        assert after.start == pytest.approx(before.end, abs=1e-6)
    assert frames[0].start == 0
    assert frames[-1].end == pytest.approx(40, abs=0.3)
    assert not any(isinstance(each, Gap) for each in out)
    wave = np.concatenate([frame.samples for frame in frames])
    # No click: a tone changes by no more than its own slope from one sample to the next.
    assert np.abs(np.diff(wave)).max() < 0.25 * 2 * np.pi * 440 * 1.1 / SAMPLE_RATE + 0.01
    timings = [each for each in out if isinstance(each, Timing)]
    stretched = sum(each.corrected.stretched for each in timings)
    assert stretched == pytest.approx(abs(slow) * 40, abs=0.4)
    # Each frame says what was done to it.
    assert sum(frame.corrected for frame in frames) == pytest.approx(stretched, abs=1e-6)
    if slow:
        assert timings[-1].skew == pytest.approx(slow, abs=0.005)


def test_silence_that_only_the_arrival_tells_is_marked() -> None:
    track, out = AudioTrack("remote", lambda at: 100.0), list[Heard]()
    for number in range(200):
        arrived = 100.02 + number * 0.02 + 1.5 * (number >= 100)
        out += track.push(sounding(number), arrived)
    out += track.flush()
    marked = [each for each in out if isinstance(each, AudioFrame) and each.corrected]
    assert sum(each.corrected for each in marked) == pytest.approx(1.5, abs=0.02)
    assert not any(each.samples.any() for each in marked)
    timings = [each.corrected for each in out if isinstance(each, Timing)]
    assert sum(each.filled for each in timings) == pytest.approx(1.5, abs=0.02)


def test_nothing_is_stretched_over_a_pause() -> None:
    """A sender that is 4 % slow, and silent for two seconds of six, uncounted."""
    track, out = AudioTrack("remote", lambda at: 100.0), list[Heard]()
    sent = 0
    for number in range(2000):
        if number % 300 < 200:
            out += track.push(sounding(number), 100.02 + number * 0.02 * 1.04)
            sent += 1
    out += track.flush()
    frames = [each for each in out if isinstance(each, AudioFrame)]
    heard = sum(len(each.samples) for each in frames if each.samples.any()) / SAMPLE_RATE
    assert heard == pytest.approx(sent * 0.02, rel=0.05)
    assert frames[-1].end == pytest.approx(2000 * 0.02 * 1.04, abs=0.3)
    for before, after in zip(frames, frames[1:], strict=False):
        assert after.start == pytest.approx(before.end, abs=1e-6)


def test_samples_of_twice_the_rate_are_lost_as_of_another_format() -> None:
    out = played(0.0, 20.0, 640)
    assert not any(isinstance(each, AudioFrame) and each.end > 3.5 for each in out)
    gaps = [each for each in out if isinstance(each, Gap)]
    assert {each.reason for each in gaps} == {LostReason.FORMAT}
    assert sum(each.span.duration for each in gaps) == pytest.approx(20, abs=3.5)
