"""A recording's sound is converted in blocks and comes out as if each frame went alone."""

from dataclasses import dataclass, field
from pathlib import Path

import av
import numpy as np
import pytest

from monitor.ingest.codecs.convert import BLOCK
from monitor.ingest.recording.container import Decoded, decoded
from monitor.ingest.recording.recorded_audio import RecordedSound
from monitor.ingest.recording.timeline import Timeline
from monitor.ingest.recording.voices import Voices
from monitor.types import SAMPLE_RATE, AudioFrame, ChannelChoice, Gap, Waveform
from monitor.types.protocols import Media


@dataclass
class Heard:
    """A fake intake: keeps what it is given."""

    media: list[Media] = field(default_factory=list)

    def put_threadsafe(self, media: Media) -> None:
        self.media.append(media)

    def samples(self, participant: str) -> Waveform:
        frames = [m for m in self.media if isinstance(m, AudioFrame)]
        return np.concatenate([f.samples for f in frames if f.participant == participant])


def recording(path: Path, codec: str, rate: int, layout: str) -> Path:
    """Five seconds of noise; on the left another than on the right, which is upside down later."""
    channels = 1 if layout == "mono" else 2
    random = np.random.default_rng(1)
    sound = random.normal(0, 3000, (channels, 5 * rate))
    sound[-1] = np.where(np.arange(5 * rate) > 2 * rate, -sound[0], sound[-1])
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=rate, layout=layout)
        assert isinstance(stream, av.AudioStream)
        for at in range(0, 5 * rate, rate // 50):
            piece = sound[:, at : at + rate // 50].T.reshape(1, -1).astype(np.int16)
            frame = av.AudioFrame.from_ndarray(piece, "s16", layout)
            frame.sample_rate, frame.pts = rate, at
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def items(path: Path) -> list[Decoded]:
    with av.open(str(path)) as container:
        found = decoded(container, [container.streams.audio[0]], lambda size, time: None)
        return [item for item in found if isinstance(item, Decoded)]


FORMS = [
    ("g711.wav", "pcm_mulaw", 8000, "mono"),
    ("wide.wav", "pcm_s16le", 48000, "mono"),
    ("two.wav", "pcm_s16le", 44100, "stereo"),
    ("packets.mkv", "aac", 32000, "stereo"),
]


@pytest.mark.parametrize("choice", list(ChannelChoice))
@pytest.mark.parametrize(("name", "codec", "rate", "layout"), FORMS)
def test_blocks_are_the_frames_one_by_one(
    tmp_path: Path, name: str, codec: str, rate: int, layout: str, choice: ChannelChoice
) -> None:
    taken = items(recording(tmp_path / name, codec, rate, layout))
    channels = 1 if layout == "mono" else 2
    alone = Voices("caller", choice, channels)
    pieces = [alone.convert(item.frame) for item in taken if isinstance(item.frame, av.AudioFrame)]
    pieces.append(alone.flush())
    intake, timeline = Heard(), Timeline()
    timeline.begin(0.0)
    voices = Voices("caller", choice, channels)
    sound = RecordedSound(voices, intake, timeline)  # type: ignore[arg-type]
    for item in taken:
        assert isinstance(item.frame, av.AudioFrame)
        sound.hear(item, item.frame)
    sound.end(timeline.end, 0.0)
    for number, participant in enumerate(voices.participants):
        expected = np.concatenate([piece[number] for piece in pieces])
        assert len(expected) > 4.9 * SAMPLE_RATE
        np.testing.assert_array_equal(intake.samples(participant), expected)
    assert voices.different == alone.different
    # Not one by one, or nothing is saved.
    each = len(intake.media) / len(voices.participants)
    assert each <= 5 / BLOCK + 3


def test_what_waits_is_heard_before_a_hole(tmp_path: Path) -> None:
    taken = items(recording(tmp_path / "timed.mkv", "pcm_s16le", 16000, "mono"))
    intake, timeline = Heard(), Timeline()
    timeline.begin(0.0)
    sound = RecordedSound(
        Voices("caller", ChannelChoice.MIX, 1),
        intake,  # type: ignore[arg-type]
        timeline,
    )
    before, after = taken[:40], taken[60:]
    for item in [*before, *after]:
        assert isinstance(item.frame, av.AudioFrame)
        sound.hear(item, item.frame)
    sound.end(timeline.end, 0.0)
    [gap] = [number for number, media in enumerate(intake.media) if isinstance(media, Gap)]
    said, missing = intake.media[:gap], intake.media[gap]
    assert isinstance(missing, Gap)
    played = sum(i.frame.samples for i in before if isinstance(i.frame, av.AudioFrame))
    heard = sum(len(frame.samples) for frame in said if isinstance(frame, AudioFrame))
    assert heard == played
    assert missing.span.start == pytest.approx(played / SAMPLE_RATE)
    assert missing.span.end == pytest.approx(taken[60].at)
