"""A live container's packets, as cameras deliver them, into a call."""

from fractions import Fraction
from pathlib import Path
from typing import cast

import av
import numpy as np
import pytest
from av.container import InputContainer

from monitor.ingest.codecs.convert import DecodedPicture, VideoSampler
from monitor.ingest.pull.demuxer import Demuxer
from monitor.types import SAMPLE_RATE, Gap, LostReason, Timing, VideoFrame
from monitor.types.protocols import SourceError
from monitor.types.sampling import Sampling
from tests.flow.webrtc import MemoryIntake
from tests.recordings import recorded


def film(path: Path, codec: str) -> Path:
    """Six seconds of pictures that get lighter, with a key frame a second."""
    with av.open(str(path), "w") as container:
        options = {"g": "10", "bf": "2", "sc_threshold": "0"} if codec == "libx264" else {"g": "10"}
        video = cast(av.VideoStream, container.add_stream(codec, rate=10, options=options))
        video.width, video.height, video.pix_fmt = 64, 64, "yuv420p"
        for number in range(60):
            picture = np.full((64, 64, 3), 20 + 3 * number, np.uint8)
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.pts, frame.time_base = number, Fraction(1, 10)
            container.mux(video.encode(frame))
        container.mux(video.encode(None))
    return path


def standing_still() -> float:
    """The clock for a film that is read as fast as it can be."""
    return 100.0


class Switched(MemoryIntake):
    """Full from the start, until a picture of the third second has come."""

    def put_threadsafe(self, media: object) -> None:
        super().put_threadsafe(media)  # type: ignore[arg-type]
        if isinstance(media, VideoFrame) and media.time >= 2:
            self.key_frames = None


@pytest.mark.parametrize("codec", ["libx264", "libvpx"])
def test_only_key_frames_are_decoded_for_as_long_as_the_machine_is_full(
    tmp_path: Path, codec: str
) -> None:
    intake = Switched(key_frames=1.0)
    feed = Demuxer("remote", Sampling.steady(60), 640, clock=standing_still)
    with av.open(str(film(tmp_path / "film.mkv", codec))) as container:
        feed.play(container, intake)
    start = intake.video[0].time
    numbers = [round((frame.time - start) * 10) for frame in intake.video]
    # Every picture again from the first key frame on after that; with B frames the last few wait.
    assert numbers[:4] == [0, 10, 20, 30]
    assert numbers[3:] == list(range(30, 30 + len(numbers) - 3))
    assert numbers[-1] > 55
    for frame, number in zip(intake.video, numbers, strict=True):
        assert frame.image.mean() == pytest.approx(20 + 3 * number, abs=4)
    # The bit rate is that of all pictures, not of the key frames.
    sizes = [frame.bits_per_pixel for frame in intake.video]
    assert sizes[3] < sizes[0]


def test_what_is_not_looked_at_and_nothing_refers_to_is_not_decoded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = film(tmp_path / "film.mkv", "libx264")
    decoded: list[float] = []
    sample = VideoSampler.sample

    def counted(
        self: VideoSampler, frame: av.VideoFrame, time: float, *rest: Fraction | None
    ) -> DecodedPicture | None:
        decoded.append(time)
        return sample(self, frame, time, *rest)

    monkeypatch.setattr(VideoSampler, "sample", counted)

    def looked_at() -> list[VideoFrame]:
        decoded.clear()
        intake = MemoryIntake()
        with av.open(str(path)) as container:
            Demuxer("remote", Sampling.steady(2), 640, clock=standing_still).play(container, intake)
        return intake.video

    fewer, some = looked_at(), len(decoded)
    monkeypatch.setattr(VideoSampler, "wanted", lambda *_: True)
    every, all_ = looked_at(), len(decoded)
    assert (len(every), all_) == (12, 60)
    assert some <= 50
    assert [picture.time for picture in fewer] == [picture.time for picture in every]
    for one, other in zip(every, fewer, strict=True):
        assert np.array_equal(one.image, other.image)
        assert one.bits_per_pixel == other.bits_per_pixel


def test_damaged_sound_of_a_live_stream_is_lost_as_damaged(tmp_path: Path) -> None:
    whole = recorded(tmp_path / "whole.mp4", 6)
    with av.open(str(whole)) as container:
        places = [(p.pos, p.size) for p in container.demux() if p.size and p.pos is not None]
    data = bytearray(whole.read_bytes())
    for at, size in places[30:33]:
        data[at : at + size] = np.random.default_rng(at).bytes(size)
    whole.write_bytes(data)
    intake = MemoryIntake()
    with av.open(str(whole)) as container:
        Demuxer("remote", Sampling.steady(5), 640, clock=standing_still).play(container, intake)
    gaps = [media for media in intake.media if isinstance(media, Gap)]
    assert {gap.reason for gap in gaps} == {LostReason.DAMAGED}
    assert 0.05 < sum(gap.span.duration for gap in gaps) < 0.3
    assert intake.audio[-1].end - intake.audio[0].start == pytest.approx(6, abs=0.3)


class Catching:
    """A clock for a server that is behind when it is opened: two seconds come at once, then what
    was spoken meanwhile comes three times as fast, until it is in time."""

    def __init__(self, behind: float) -> None:
        self.behind = behind
        self.read = 0.0
        """Seconds of media that were read."""

    def __call__(self) -> float:
        late = max(0.0, self.behind - 2 * max(0.0, self.read - 2.0) / 3)
        return 1000.0 + max(2.0, self.read) + late


@pytest.mark.parametrize("pictures", [False, True])
@pytest.mark.parametrize("behind", [0.0, 0.6, 1.5])
def test_a_server_that_catches_up_after_opening_costs_no_sound(
    tmp_path: Path, behind: float, pictures: bool
) -> None:
    """What is read at first was spoken earlier than one could know: the call begins there."""
    path = recorded(tmp_path / "call.mkv", 8, pictures=8.0 if pictures else 0.0)
    clock, intake = Catching(behind), MemoryIntake()
    feed = Demuxer("remote", Sampling.steady(10), 640, clock=clock)
    with av.open(str(path)) as container:
        demux = container.demux

        def paced(streams: object) -> object:
            for packet in demux(streams):
                if packet.size and packet.pts is not None and packet.time_base is not None:
                    clock.read = max(clock.read, float(packet.pts * packet.time_base))
                yield packet

        class Opened:
            streams = container.streams

            def demux(self, streams: object) -> object:
                return paced(streams)

        feed.play(cast(InputContainer, Opened()), intake)
    whole = sum(len(frame.samples) for frame in intake.audio) / SAMPLE_RATE
    assert whole == pytest.approx(8, abs=0.1)
    assert intake.gaps == []
    # Sound and time run alike: what was spoken at a second lies at that second.
    assert intake.audio[0].start == pytest.approx(0, abs=0.1)
    assert intake.audio[-1].end == pytest.approx(8, abs=0.15)
    told = [media for media in intake.media if isinstance(media, Timing)]
    assert sum(timing.corrected.cut for timing in told) == 0
    assert sum(timing.corrected.stretched for timing in told) < 0.15
    if pictures:
        times = [frame.time for frame in intake.video]
        assert times[0] == pytest.approx(0, abs=0.2)
        assert times[-1] == pytest.approx(7.9, abs=0.3)


def test_amr_with_pauses_is_heard_live_too(tmp_path: Path) -> None:
    """FFmpeg's own decoder refuses the comfort noise that fills pauses."""
    path = recorded(tmp_path / "call.amr", 4)
    data = path.read_bytes()
    # Two seconds of silence described, where a second of speech was.
    half = data[:6].index(b"\n") + 1 + (len(data) - 6) // 32 // 2 * 32
    path.write_bytes(data[:half] + b"\x44\x01\x02\x03\x04\x05" * 100 + data[half:])
    intake = MemoryIntake()
    with av.open(str(path)) as container:
        Demuxer("remote", Sampling.steady(5), 640, clock=standing_still).play(container, intake)
    assert intake.heard_seconds == pytest.approx(6, abs=0.2)
    assert intake.gaps == []


def test_sound_that_can_never_be_decoded_is_said_at_once(tmp_path: Path) -> None:
    path = recorded(tmp_path / "call.mp4", 6)
    with av.open(str(path)) as container:
        places = [(p.pos, p.size) for p in container.demux() if p.size and p.pos is not None]
    data = bytearray(path.read_bytes())
    for at, size in places:
        data[at : at + size] = b"\xff" * size
    path.write_bytes(data)
    intake = MemoryIntake()
    with av.open(str(path)) as container:
        feed = Demuxer("remote", Sampling.steady(5), 640, clock=standing_still)
        with pytest.raises(SourceError, match="cannot be decoded"):
            feed.play(container, intake)


@pytest.mark.parametrize("leap", [-180_678.0, -7.0, -1.2, 1.2, 7.0, 47_721.0])
def test_pictures_whose_stamps_leap_at_the_first_report_are_seen_at_their_time(
    tmp_path: Path, leap: float
) -> None:
    """A camera whose tracks have clocks of their own (thingino-firmware#1072).

    FFmpeg 8.1 moves a track at its first report by what it is apart from the other's, and a stamp
    before second 0 becomes 2**32 ticks more.
    """
    path = recorded(tmp_path / "call.mkv", 8, pictures=8.0)
    clock, intake = Catching(0.0), MemoryIntake()
    feed = Demuxer("remote", Sampling.steady(10), 640, clock=clock)
    with av.open(str(path)) as container:
        demux = container.demux

        def moved(streams: object) -> object:
            for packet in demux(streams):
                if packet.size and packet.pts is not None and packet.time_base is not None:
                    at = float(packet.pts * packet.time_base)
                    clock.read = max(clock.read, at)
                    if packet.stream.type == "video" and at > 0.3:
                        packet.pts += round(leap / packet.time_base)
                        packet.dts = packet.pts
                yield packet

        class Opened:
            streams = container.streams

            def demux(self, streams: object) -> object:
                return moved(streams)

        feed.play(cast(InputContainer, Opened()), intake)
    assert intake.audio[0].start == pytest.approx(0, abs=0.15)
    assert intake.audio[-1].end == pytest.approx(8, abs=0.15)
    times = [picture.time for picture in intake.video]
    assert times == sorted(times)
    assert times[0] == pytest.approx(0, abs=0.3)
    assert times[-1] == pytest.approx(8, abs=0.3)
    assert len(times) > 60
