"""Sound that messages cut anywhere: no sample is lost, none is heard at the wrong place."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.ingest.codecs.g711 import Codec, Samples
from monitor.ingest.connection.anomaly import Anomaly, AnomalyKind
from monitor.ingest.telephony.dialect import Chunk
from monitor.ingest.telephony.interleave import Interleave


def hum(count: int, step: float = 0.11) -> Samples:
    wave: Samples = 9000 * np.sin(np.arange(count) * step)
    return wave.astype(np.int16)


def heard(found: list[Chunk | Anomaly], participant: str = "remote") -> Samples:
    parts = [m.samples for m in found if isinstance(m, Chunk) and m.participant == participant]
    return np.concatenate(parts) if parts else np.zeros(0, np.int16)


@given(
    st.lists(st.integers(1, 400), min_size=1, max_size=30),
    st.sampled_from([("remote",), ("remote", "agent")]),
    st.sampled_from(["<i2", ">i2"]),
)
def test_a_stream_cut_anywhere_is_the_same_sound(
    cuts: list[int], channels: tuple[str, ...], order: str
) -> None:
    """Linear PCM over WebSocket, split inside a sample (FreeSWITCH 1.10, by report)."""
    wave = np.stack([hum(4000, 0.11 + 0.05 * n) for n in range(len(channels))], axis=1)
    data = wave.astype(order).tobytes()
    sound = Interleave(Codec.L16, 8000, channels)
    found: list[Chunk | Anomaly] = list(sound.read(data[:800], None))
    at = 800
    for cut in cuts:
        found += sound.read(data[at : at + cut], None)
        at += cut
    found += sound.read(data[at:], None)
    for index, name in enumerate(channels):
        assert np.array_equal(heard(found, name), wave[:, index])


def test_half_a_sample_that_never_comes_does_not_turn_the_rest_into_noise() -> None:
    wave = hum(4000)
    data = wave.astype("<i2").tobytes()
    sound = Interleave(Codec.L16, 8000, ("remote",))
    found = [
        m for part in (data[:639], data[640:1280], data[1280:]) for m in sound.read(part, None)
    ]
    assert [m.kind for m in found if isinstance(m, Anomaly)] == [AnomalyKind.MEDIA]
    assert np.array_equal(heard(found), np.delete(wave, 319))


def test_frames_of_two_channels_of_one_byte_may_be_cut_too() -> None:
    sound = Interleave(Codec.MULAW, 8000, ("remote", "agent"))
    data = bytes([0x20, 0xFF] * 80)
    found = [m for part in (data[:3], data[3:8], data[8:]) for m in sound.read(part, 0.0)]
    assert len(heard(found)) == len(heard(found, "agent")) == 80
    assert not heard(found, "agent").any()


@pytest.mark.parametrize("silence", [0, 4000])
def test_the_order_of_bytes_is_told_from_the_sound_even_after_silence(silence: int) -> None:
    """Telnyx and AudioHook do not document theirs; RFC 2586 says network order."""
    wave = np.concatenate([np.zeros(silence, np.int16), hum(4000)])
    for order, odd in (("<i2", 0), (">i2", 1)):
        sound = Interleave(Codec.L16, 16_000, ("remote",))
        data = wave.astype(order).tobytes()
        found = [
            m for at in range(0, len(data), 640) for m in sound.read(data[at : at + 640], None)
        ]
        assert np.array_equal(heard(found), wave)
        assert sum(isinstance(m, Anomaly) for m in found) == odd


def test_what_gathered_in_a_stall_comes_in_pieces_with_their_times() -> None:
    """mod_audio_fork sends up to 5 s of a stalled connection as one message (its README)."""
    sound = Interleave(Codec.L16, 16_000, ("remote", "agent"))
    pieces = [m for m in sound.read(bytes(2 * 64_000), 3.0) if isinstance(m, Chunk)]
    assert len(pieces) == 40
    assert sum(len(p.samples) for p in pieces) == 64_000
    assert [round(p.time or 0, 3) for p in pieces[:4]] == [3.0, 3.0, 3.1, 3.1]
    (small,) = Interleave(Codec.L16, 16_000, ("remote",)).read(bytes(3200), None)
    assert isinstance(small, Chunk)
    assert small.duration == 0.1
