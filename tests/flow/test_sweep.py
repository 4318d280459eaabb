"""Whatever comes together in a recording or in packets, its seconds add up and nothing raises."""

import asyncio
import functools
import tempfile
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from monitor.ingest.clock.audio_track import Heard
from monitor.ingest.codecs.audio_payload import sound_format
from monitor.ingest.recording.file_source import FileSource
from monitor.ingest.rtp.audio_receiver import AudioReceiver
from monitor.ingest.rtp.jitter_buffer import RtpPacket
from monitor.types import AudioFrame, ChannelChoice, Gap, LostReason
from monitor.types.protocols import Media, SourceError
from monitor.types.sampling import Sampling
from tests.flow.test_file_source import Collector
from tests.recordings import FORMATS, joined, recorded, remuxed

SECONDS = 4.0
TIMED = ["mkv", "webm", "ts", "flv"]


@functools.cache
def kept(ending: str, fault: str) -> bytes:
    """A recording with one fault of its timestamps; what it holds lasts as long as ever."""
    with tempfile.TemporaryDirectory() as folder:
        source = recorded(Path(folder) / f"source.{ending}", SECONDS)
        path = Path(folder) / f"made.{ending}"
        form = FORMATS[ending][1]
        if fault == "leap":
            remuxed(path, source, form, lambda _, at: 5_000.0 if at >= SECONDS / 2 else 0.0)
        elif fault == "late":
            remuxed(path, source, form, lambda _, at: 40.0)
        elif fault == "joined":
            joined(path, source, source)
        else:
            path = source
        return path.read_bytes()


def accounts(media: list[Media]) -> dict[str, tuple[float, float]]:
    """By participant, the call second up to which everything is heard or lost, and what is lost.

    Nothing lies over anything else, and nothing between is unaccounted for.
    """
    spans: dict[str, list[tuple[float, float]]] = {}
    lost: dict[str, float] = {}
    for each in media:
        if isinstance(each, AudioFrame):
            spans.setdefault(each.participant, []).append((each.start, each.end))
        elif isinstance(each, Gap):
            spans.setdefault(each.participant, []).append((each.span.start, each.span.end))
            lost[each.participant] = lost.get(each.participant, 0.0) + each.span.duration
    found: dict[str, tuple[float, float]] = {}
    for name, each_ in spans.items():
        for before, after in pairwise(each_):
            assert after[0] == pytest.approx(before[1], abs=0.003)
        found[name] = each_[-1][1], lost.get(name, 0.0)
    return found


def replayed(ending: str, data: bytes, choice: ChannelChoice) -> list[Media] | None:
    """What a file's replay hands over; None if nothing of it can be."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"call.{ending}"
        path.write_bytes(data)
        intake = Collector(1_000_000)
        source = FileSource(path, "remote", Sampling.steady(5), 640, channels=choice)
        try:
            assert asyncio.run(source.run(intake)) in ("ended", "truncated")
        except SourceError:
            return None
        return intake.media


@settings(max_examples=60, phases=[Phase.generate, Phase.shrink])
@given(
    ending=st.sampled_from(sorted(FORMATS)),
    fault=st.sampled_from(["", "leap", "late", "joined"]),
    spoilt=st.lists(st.tuples(st.floats(0.05, 0.95), st.integers(1, 300)), max_size=3),
    share=st.sampled_from([1.0, 1.0, 0.9, 0.5]),
    choice=st.sampled_from(ChannelChoice),
)
def test_the_seconds_of_a_recording_add_up(
    ending: str, fault: str, spoilt: list[tuple[float, int]], share: float, choice: ChannelChoice
) -> None:
    fault = "" if fault in ("leap", "late") and ending not in TIMED else fault
    fault = "" if fault == "joined" and ending == "avi" else fault
    data = bytearray(kept(ending, fault))
    for at_share, length in spoilt:
        at = int(at_share * len(data))
        data[at : at + length] = bytes(251 * n % 256 for n in range(len(data[at : at + length])))
    del data[int(share * len(data)) :]
    media = replayed(ending, bytes(data), choice)
    whole = not spoilt and share == 1.0
    if media is None:
        assert not whole
        return
    # One channel is heard as it is, whatever was asked for.
    for name, (end, lost) in accounts(media).items():
        assert name == "remote"
        if whole:
            assert end == pytest.approx(SECONDS * (2 if fault == "joined" else 1), abs=0.3)
            assert lost == 0


KINDS = ("opus", "pcmu", "pcma", "g722", "amr", "g729")


@functools.cache
def sound(kind: int) -> bytes:
    """A packet of 20 ms."""
    silence = {"opus": b"\xf8\xff\xfe", "g729": bytes(20), "amr": b"\xf0\x3c" + bytes(31)}
    return silence.get(KINDS[kind], bytes([0x55]) * 160)


@settings(max_examples=150, phases=[Phase.generate, Phase.shrink])
@given(
    st.lists(
        st.tuples(
            st.sampled_from(["sound", "sound", "sound", "lost", "pause", "stream", "codec"]
                            + ["noise", "garbage", "twice", "late", "empty"]),
            st.integers(1, 60),
        ),
        min_size=3, max_size=25,
    )
)  # fmt: skip
def test_the_seconds_of_packets_add_up(events: list[tuple[str, int]]) -> None:
    formats = {n: f for n, name in enumerate(KINDS) if (f := sound_format(name)) is not None}
    began: list[float] = []

    def since(at: float) -> float:
        began.append(at)
        return began[0]

    hearing, media = AudioReceiver("remote", formats, 0.08, since), list[Heard]()
    at, number, stamp, ssrc, kind = 50.0, 65_000, 4_294_000_000, 1, 0

    def send(payload: bytes, type_: int, number: int) -> None:
        packet = RtpPacket(ssrc, number % 65_536, stamp % 2**32, type_, payload, at)
        media.extend(hearing.pop(at))
        media.extend(hearing.push(packet))

    for event, count in events:
        step = formats[kind].clock // 50
        if event in ("sound", "late"):
            for _ in range(count):
                at, number, stamp = at + 0.02, number + 1, stamp + step
                send(sound(kind), kind, number)
            if event == "late":
                send(sound(kind), kind, number - 3)
        elif event == "lost":
            at, number, stamp = at + 0.02 * count, number + count, stamp + step * count
        elif event == "pause":
            at, stamp = at + 0.05 * count, stamp + step * (count % 2) * count * 5 // 2
        elif event == "stream":
            ssrc, number, stamp = ssrc + 1, number * 7 + count, stamp * 3 + count
        elif event == "codec":
            kind = count % len(KINDS)
        elif event == "twice":
            send(sound(kind), kind, number)
        else:
            number += 1
            payload = {"noise": b"\x40", "garbage": b"\xff" * count, "empty": b""}[event]
            send(payload, 13 if event == "noise" else kind, number)
    media.extend(hearing.flush())
    found = accounts([each for each in media if isinstance(each, AudioFrame | Gap)])
    for end, _ in found.values():
        # Nothing is accounted for that was not there yet, but what numbers alone say was lost.
        assert end <= at - began[0] + 0.75
    reasons = {each.reason for each in media if isinstance(each, Gap)}
    allowed = {LostReason.NETWORK, LostReason.DAMAGED, LostReason.IDLE, LostReason.FORMAT}
    if any(event == "stream" for event, _ in events):
        allowed.add(LostReason.RECONNECT)
    assert reasons <= allowed
