"""What is decoded on its way to 16 kHz mono and to RGB."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import av
import numpy as np
import pytest
from av.audio.resampler import AudioResampler

from monitor.ingest.codecs.convert import AudioConverter, VideoSampler
from monitor.types import SAMPLE_RATE, Waveform
from monitor.types.sampling import Sampling

SHAPES = [
    (48_000, "s16", "mono"),
    (48_000, "fltp", "stereo"),
    (44_100, "fltp", "5.1"),
    (8_000, "s16", "mono"),
    (16_000, "flt", "mono"),
]


def sound(seed: int, rate: int, sample_format: str, layout: str) -> av.AudioFrame:
    """A tenth of a second of noise."""
    channels = av.AudioLayout(layout).nb_channels
    noise = np.random.default_rng(seed).normal(0, 0.1, (channels, rate // 10)).astype(np.float32)
    whole = sample_format == "s16"
    samples = (noise * 32767).clip(-32768, 32767).astype(np.int16) if whole else noise
    frame = av.AudioFrame.from_ndarray(samples, sample_format, layout)
    frame.sample_rate = rate
    return frame


def resampled(frames: list[av.AudioFrame]) -> Waveform:
    """What PyAV's own resampler makes of each channel, and their mean."""
    peer = AudioResampler(format="fltp", rate=SAMPLE_RATE)
    made = [*(out for frame in frames for out in peer.resample(frame)), *peer.resample(None)]
    mean: Waveform = np.concatenate([f.to_ndarray().clip(-1, 1) for f in made], 1).mean(0)
    return mean


@pytest.mark.parametrize(("rate", "sample_format", "layout"), SHAPES)
def test_it_is_what_the_library_would_make(rate: int, sample_format: str, layout: str) -> None:
    frames = [sound(seed, rate, sample_format, layout) for seed in range(10)]
    converter = AudioConverter()
    found = np.concatenate([*map(converter.convert, frames), converter.flush()])
    np.testing.assert_allclose(found, resampled(frames), atol=1e-6)


def test_a_converter_needs_no_thread() -> None:
    tasks = Path("/proc/self/task")
    before = {task.name for task in tasks.iterdir()}
    converter = AudioConverter()
    assert len(converter.convert(sound(1, 48_000, "s16", "mono")))
    assert {task.name for task in tasks.iterdir()} <= before


def test_sound_that_changes_its_shape_goes_on() -> None:
    converter = AudioConverter()
    wide = [converter.convert(sound(seed, 48_000, "fltp", "stereo")) for seed in range(5)]
    narrow = [converter.convert(sound(seed, 8_000, "s16", "mono")) for seed in range(5)]
    total = sum(map(len, [*wide, *narrow, converter.flush()]))
    assert total == SAMPLE_RATE


def test_nothing_was_heard() -> None:
    assert len(AudioConverter().flush()) == 0


def test_a_picture_becomes_rgb_when_it_is_looked_at_unless_that_is_smaller() -> None:
    rng = np.random.default_rng(0)
    rgb = rng.integers(0, 256, (48, 64, 3), np.uint8)
    frame = av.VideoFrame.from_ndarray(rgb, "rgb24").reformat(format="yuv420p")
    held = []
    for width in (64, 32):
        picture = VideoSampler(Sampling.steady(10), width).sample(frame, 0.0)
        assert picture is not None
        held.append(picture._held)
        with ThreadPoolExecutor(4) as pool:
            found = [each.result() for each in [pool.submit(picture) for _ in range(8)]]
        assert all(np.array_equal(found[0], each) for each in found)
        assert found[0].shape == (width * 3 // 4, width, 3)
        assert picture() is picture()
    assert isinstance(held[0], av.VideoFrame)
    assert isinstance(held[1], np.ndarray)
