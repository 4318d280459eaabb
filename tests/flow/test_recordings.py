"""What recorders, people and bad disks make of recordings: every second is accounted for."""

import os
import struct
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from monitor.ingest.recording.file_source import FileSource
from monitor.types import SAMPLE_RATE, AudioFrame, Gap, VideoFrame
from monitor.types.protocols import SourceError
from monitor.types.sampling import Sampling
from tests.flow.test_file_source import Collector
from tests.recordings import (
    FORMATS,
    encoded,
    humming,
    joined,
    recorded,
    remuxed,
    spoilt,
    stating,
    write_wav,
)

JOINED = [ending for ending in FORMATS if ending != "avi"]


class Account:
    """What became of a recording's seconds."""

    def __init__(self, ended: str, intake: Collector) -> None:
        self.ended = ended
        self.pictures = [m for m in intake.media if isinstance(m, VideoFrame)]
        sound = [m for m in intake.media if isinstance(m, AudioFrame)]
        gaps = [m for m in intake.media if isinstance(m, Gap)]
        self.samples = np.concatenate([np.zeros(0, np.float32), *(m.samples for m in sound)])
        self.heard = len(self.samples) / SAMPLE_RATE
        self.lost: dict[str, float] = {}
        for gap in gaps:
            self.lost[gap.reason] = self.lost.get(gap.reason, 0.0) + gap.span.duration
        spans = sorted(
            [(m.start, m.end) for m in sound] + [(g.span.start, g.span.end) for g in gaps]
        )
        self.end = spans[-1][1] if spans else 0.0
        # Nothing lies over anything else, or it would be thrown away.
        for before, after in pairwise(spans):
            assert after[0] == pytest.approx(before[1], abs=1e-6)
        times = [picture.time for picture in self.pictures]
        assert times == sorted(times)


async def replayed(path: Path) -> Account:
    intake = Collector()
    source = FileSource(path, "remote", Sampling.steady(5), 640)
    return Account(await source.run(intake), intake)


@pytest.mark.parametrize("ending", JOINED)
async def test_joined_recordings_are_heard_one_after_the_other(tmp_path: Path, ending: str) -> None:
    """Recorders that are stopped and started chain Ogg streams; people join exports with `cat`.

    Case restarted-timestamps, 2026-11: 12 s of a second part were decoded and thrown away as late.
    """
    parts = [recorded(tmp_path / f"{n}.{ending}", 6, seed=n) for n in (1, 2)]
    found = await replayed(joined(tmp_path / f"both.{ending}", *parts))
    assert found.ended == "ended"
    assert found.heard == pytest.approx(12, abs=0.3)
    assert found.end == pytest.approx(12, abs=0.3)
    assert found.lost == {}


@pytest.mark.parametrize("ending", ["ts", "mkv", "mp4", "flv"])
async def test_pictures_of_joined_recordings_are_seen_one_after_the_other(
    tmp_path: Path, ending: str
) -> None:
    parts = [recorded(tmp_path / f"{n}.{ending}", 4, seed=n, pictures=4) for n in (1, 2)]
    found = await replayed(joined(tmp_path / f"both.{ending}", *parts))
    assert found.heard == pytest.approx(8, abs=0.3)
    assert found.lost == {}
    assert found.pictures[-1].time == pytest.approx(7.9, abs=0.3)
    gaps = [b.time - a.time for a, b in pairwise(found.pictures)]
    assert max(gaps) < 0.5


@pytest.mark.parametrize("ending", ["aac", "mp3", "flac", "opus", "ts", "mkv", "wav"])
async def test_parts_may_have_other_rates(tmp_path: Path, ending: str) -> None:
    codec, form, _ = FORMATS[ending]
    rates = (48_000, 24_000, 48_000) if codec == "libopus" else (16_000, 44_100, 16_000)
    parts = [
        encoded(tmp_path / f"{n}", humming(3, n), codec, form, rate) for n, rate in enumerate(rates)
    ]
    found = await replayed(joined(tmp_path / f"all.{ending}", *parts))
    assert found.ended == "ended"
    assert found.heard == pytest.approx(9, abs=0.3)
    assert found.lost == {}


@pytest.mark.parametrize("leap", [60.0, 39_600.0, -5.0])
@pytest.mark.parametrize("ending", ["mkv", "ts", "webm", "flv"])
async def test_a_leap_of_the_clock_is_no_gap(tmp_path: Path, ending: str, leap: float) -> None:
    """A camera sets its clock by the network while it records."""
    form = FORMATS[ending][1]
    source = recorded(tmp_path / f"source.{ending}", 8)
    if leap > 0:
        path = remuxed(tmp_path / "leapt", source, form, lambda _, t: leap if t >= 4 else 0.0)
    else:
        first = remuxed(tmp_path / "1", source, form, lambda _, t: 5.0 if t < 4 else None)
        second = remuxed(tmp_path / "2", source, form, lambda _, t: 0.0 if t >= 4 else None)
        path = joined(tmp_path / "leapt", first, second)
    found = await replayed(path)
    assert found.ended == "ended"
    assert found.end == pytest.approx(8, abs=0.3)
    assert found.lost == {}


@pytest.mark.parametrize("kinds", [("audio", "video"), ("audio",), ("video",)])
async def test_a_leap_of_one_track_or_both_is_no_gap(
    tmp_path: Path, kinds: tuple[str, ...]
) -> None:
    source = recorded(tmp_path / "source.mkv", 8, pictures=8)
    path = remuxed(
        tmp_path / "leapt.mkv",
        source,
        "matroska",
        lambda kind, t: 3600.0 if t >= 4 and kind in kinds else 0.0,
    )
    found = await replayed(path)
    assert found.end == pytest.approx(8, abs=0.3)
    assert found.lost == {}
    assert found.pictures[-1].time == pytest.approx(7.8, abs=0.3)


async def test_a_pause_of_the_sound_while_pictures_go_on_stays_a_pause(tmp_path: Path) -> None:
    source = recorded(tmp_path / "source.mkv", 20, pictures=20)
    path = remuxed(
        tmp_path / "muted.mkv",
        source,
        "matroska",
        lambda kind, t: None if kind == "audio" and 4 <= t < 14 else 0.0,
    )
    found = await replayed(path)
    assert found.end == pytest.approx(20, abs=0.3)
    assert found.lost == {"absent": pytest.approx(10, abs=0.3)}


@pytest.mark.parametrize("ending", ["mp4", "mkv", "ts"])
@pytest.mark.parametrize("late", [0.0, 6.0])
async def test_sound_that_begins_late_or_ends_early_is_booked_alike(
    tmp_path: Path, ending: str, late: float
) -> None:
    """Somebody leaves, or joins late; the screen goes on in a meeting's recording.

    Case uneven-tracks, 2026-11: 12 s of sound under 24 s of pictures ended as truncated.
    """
    codec, form, rate = FORMATS[ending]
    path = tmp_path / f"call.{ending}"
    found = await replayed(encoded(path, humming(6), codec, form, rate, pictures=12, late=late))
    assert found.ended == "ended"
    assert found.heard == pytest.approx(6, abs=0.3)
    assert found.end == pytest.approx(12, abs=0.3)
    assert found.lost == {"absent": pytest.approx(6, abs=0.3)}


@pytest.mark.parametrize("ending", ["aac", "mp3"])
async def test_a_length_that_was_only_guessed_proves_nothing(tmp_path: Path, ending: str) -> None:
    """A recording that begins with silence: few bytes a second, so FFmpeg guesses many seconds.

    Case guessed-duration, 2026-11: 39 s of AAC lost a thousand seconds that never were.
    """
    codec, form, rate = FORMATS[ending]
    sound = np.concatenate([np.zeros(10 * 16_000, np.float32), humming(8)])
    found = await replayed(encoded(tmp_path / f"quiet.{ending}", sound, codec, form, rate))
    assert found.ended == "ended"
    assert found.end == pytest.approx(18, abs=0.3)
    assert found.lost == {}


@pytest.mark.parametrize("ending", ["mp4", "mp3", "wav", "mkv", "flac"])
async def test_what_a_file_states_and_lacks_is_truncated(tmp_path: Path, ending: str) -> None:
    path = recorded(tmp_path / f"call.{ending}", 20)
    data = path.read_bytes()
    if ending == "mp4":
        # Its index is at the end: moved to the front, as for the web.
        import av

        fast = tmp_path / "fast.mp4"
        with (
            av.open(str(path)) as read,
            av.open(str(fast), "w", format="mp4", options={"movflags": "faststart"}) as out,
        ):
            stream = out.add_stream_from_template(read.streams.audio[0])
            for packet in read.demux(read.streams.audio[0]):
                if packet.dts is not None:
                    packet.stream = stream
                    out.mux(packet)
        data = fast.read_bytes()
    path.write_bytes(data[: len(data) // 2])
    found = await replayed(path)
    assert found.ended == "truncated"
    assert found.end == pytest.approx(20, abs=0.3)
    assert 7 < found.lost["truncated"] < 14


@pytest.mark.parametrize("ending", [e for e in FORMATS if e != "aiff"])
async def test_one_bad_sector_is_one_bad_sector(tmp_path: Path, ending: str) -> None:
    """300 bytes are wrong at a quarter of the file; every player goes on after a click.

    Case damaged-packet, 2026-11: replay ended there, 18 of 24 s unmonitored.
    """
    found = await replayed(spoilt(recorded(tmp_path / f"call.{ending}", 12), 0.25))
    assert found.ended == "ended"
    assert found.heard >= 10
    assert found.end == pytest.approx(12, abs=0.4)
    assert set(found.lost) <= {"damaged"}


@pytest.mark.parametrize("place", [0.25, 0.77, 0.95])
@pytest.mark.parametrize(("ending", "pictures"), [("mkv", 0), ("mkv", 24), ("webm", 0)])
async def test_a_damaged_cluster_is_heard_but_for_the_damage(
    tmp_path: Path, ending: str, place: float, pictures: int
) -> None:
    """Given the file as it is, FFmpeg goes on at the next cluster, up to five seconds later."""
    path = recorded(tmp_path / f"call.{ending}", 24, pictures=pictures)
    found = await replayed(spoilt(path, place, length=512))
    assert found.ended == "ended"
    assert set(found.lost) <= {"damaged"}
    assert found.heard > 23.5
    assert found.end == pytest.approx(24, abs=0.3)


@pytest.mark.parametrize("which", [1, 3, -1])
@pytest.mark.parametrize("ending", ["mkv", "webm"])
async def test_a_cluster_whose_head_is_damaged_is_heard_at_its_time(
    tmp_path: Path, ending: str, which: int
) -> None:
    path = recorded(tmp_path / f"call.{ending}", 24)
    whole = (await replayed(path)).samples
    data = bytearray(path.read_bytes())
    heads = [at for at in range(len(data)) if data.startswith(b"\x1f\x43\xb6\x75", at)]
    data[heads[which] - 40 : heads[which] + 60] = bytes(100)
    path.write_bytes(data)
    found = await replayed(path)
    assert set(found.lost) <= {"damaged"}
    assert found.heard > 23.5
    assert found.end == pytest.approx(24, abs=0.3)
    # What comes after the damage is where it was.
    assert np.argmax(np.correlate(whole[-16_000:], found.samples[-15_000:])) in range(900, 1101)


@pytest.mark.parametrize("ending", ["mkv", "webm"])
async def test_whatever_is_wrong_in_a_file_its_seconds_are_accounted_for(
    tmp_path: Path, ending: str
) -> None:
    """Sectors of chance at thirty places."""
    path = recorded(tmp_path / f"call.{ending}", 10)
    data = path.read_bytes()
    first = data.find(b"\x1f\x43\xb6\x75") + 600
    for number, at in enumerate(range(first, len(data) - 600, (len(data) - first) // 30)):
        path.write_bytes(data)
        spoilt(path, at / len(data), length=512, seed=number)
        found = await replayed(path)
        assert set(found.lost) <= {"damaged"}, at
        assert found.heard > 9, at
        assert found.end == pytest.approx(10, abs=0.3), at


@pytest.mark.parametrize("ending", ["mp4", "ts"])
async def test_damaged_pictures_do_not_end_the_sound(tmp_path: Path, ending: str) -> None:
    path = recorded(tmp_path / f"call.{ending}", 12, pictures=12)
    for place in range(8):
        spoilt(path, 0.1 + 0.09 * place, length=400, seed=place)
    found = await replayed(path)
    assert found.ended == "ended"
    assert found.heard > 9
    assert found.end == pytest.approx(12, abs=0.4)
    assert found.pictures[-1].time > 10


@pytest.mark.parametrize("size", [0, 64_000, 0x7FFFF000, 0x80000000, 0xFFFFFFFF])
async def test_a_wav_is_heard_to_its_end_whatever_its_header_says(
    tmp_path: Path, size: int
) -> None:
    """A stream's 0 or 0xFFFFFFFF, SoX's 0x7FFFF000 to a pipe, a recorder that crashed after 2 s."""
    path = stating(write_wav(tmp_path / "call.wav", humming(12)), size)
    found = await replayed(path)
    assert (found.ended, found.lost) == ("ended", {})
    assert found.heard == pytest.approx(12, abs=0.05)


@pytest.mark.parametrize(
    "rest",
    [
        b"LIST" + struct.pack("<I", 4096) + bytes(4096),
        b"TAG" + bytes(125),
        b"\0",
        b"id3 \x02\0\0\0ab",
    ],
)
async def test_what_follows_the_sound_of_a_wav_is_no_sound(tmp_path: Path, rest: bytes) -> None:
    path = write_wav(tmp_path / "call.wav", humming(2))
    with path.open("ab") as file:
        file.write(rest)
    found = await replayed(path)
    assert (found.ended, found.heard) == ("ended", 2)


async def test_gsm_padded_to_an_even_size_is_whole(tmp_path: Path) -> None:
    """SoX 14.4 counts the byte that pads an odd number of blocks as sound (`sox … -e gsm x.wav`).

    Any 65 bytes are a block of GSM 06.10 in Microsoft's packing: 320 samples at 8 kHz.
    """
    blocks = np.random.default_rng(0).bytes(65 * 301)
    chunks = [
        b"fmt " + struct.pack("<IHHIIHHHH", 20, 0x31, 1, 8000, 1625, 65, 0, 2, 320),
        b"fact" + struct.pack("<II", 4, 320 * 301),
        b"data" + struct.pack("<I", len(blocks) + 1) + blocks + b"\0",
    ]
    body = b"WAVE" + b"".join(chunks)
    path = tmp_path / "call.wav"
    path.write_bytes(b"RIFF" + struct.pack("<I", len(body)) + body)
    found = await replayed(path)
    assert (found.ended, found.lost) == ("ended", {})
    assert found.heard == pytest.approx(12.04, abs=0.01)


async def test_pauses_in_amr_are_comfort_noise(tmp_path: Path) -> None:
    """Telephones and SoX write SID frames (mode 8, 5 bytes) and no data (mode 15) into pauses."""
    path = recorded(tmp_path / "call.amr", 4)
    data = path.read_bytes()
    pause = b"\x44" + bytes(5) + b"\x7c" * 7
    path.write_bytes(data + pause * 12 + data[6:])
    found = await replayed(path)
    assert (found.ended, found.lost) == ("ended", {})
    assert found.heard == pytest.approx(8 + 12 * 8 * 0.02, abs=0.1)


@pytest.mark.parametrize(
    "name",
    [
        "2026-01-01T10:15:00.wav",
        "10:15.wav",
        "http:call.wav",
        "file:call.wav",
        "concat:a|b.wav",
        "call%03d.wav",
        "a?b#c.wav",
        "-.wav",
        "zwei\nZeilen.wav",
        os.fsdecode(b"latin-\xe9.wav"),
        f"{'n' * 200}.wav",
    ],
)
async def test_whatever_is_a_file_is_opened_as_one(
    tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Recorders name files by the time; FFmpeg takes what is before a colon for a protocol.

    Case colon-in-name, 2026-11: protocol not found.
    """
    monkeypatch.chdir(tmp_path)
    path = write_wav(Path(name), humming(1))
    assert path.exists()
    assert (await replayed(path)).heard == pytest.approx(1, abs=0.01)


@pytest.mark.parametrize(
    ("name", "codec", "form"),
    [
        ("call.ul", "pcm_mulaw", "mulaw"),
        ("call.al", "pcm_alaw", "alaw"),
        ("CALL.UL", "pcm_mulaw", "mulaw"),
        ("call.ulaw", "pcm_mulaw", "mulaw"),
        ("call.alaw", "pcm_alaw", "alaw"),
        ("call.sln", "pcm_s16le", "s16le"),
    ],
)
async def test_g711_without_a_header_has_8_khz(
    tmp_path: Path, name: str, codec: str, form: str
) -> None:
    """Gateways, captures and Asterisk leave bare bytes; FFmpeg takes them for 44.1 kHz.

    Case raw-g711, 2026-11: 24 s became 4.4 s at five times the speed.
    """
    found = await replayed(encoded(tmp_path / name, humming(4), codec, form, 8000))
    assert (found.ended, found.lost) == ("ended", {})
    assert found.heard == pytest.approx(4, abs=0.05)


async def test_samples_that_do_not_tell_their_rate_are_refused(tmp_path: Path) -> None:
    path = encoded(tmp_path / "call.sw", humming(1), "pcm_s16le", "s16le", 8000)
    with pytest.raises(SourceError, match=r"^call\.sw: .* do not tell their rate$"):
        await replayed(path)


@pytest.mark.parametrize("cut", [False, True])
async def test_joined_wave64_is_heard_to_its_end(tmp_path: Path, cut: bool) -> None:
    parts = [
        encoded(tmp_path / f"{n}.w64", humming(4, n), "pcm_s16le", "w64", 16_000) for n in (1, 2)
    ]
    path = joined(tmp_path / "both.w64", *parts)
    if cut:
        path.write_bytes(path.read_bytes()[:-64_000])
    found = await replayed(path)
    assert found.heard == pytest.approx(6 if cut else 8, abs=0.1)
    assert found.ended == ("truncated" if cut else "ended")
    assert found.lost.keys() == ({"truncated"} if cut else set())
