"""One connection's demuxed packets, handed to evidence as they came or encoded small."""

from collections.abc import Sequence

import av
from av.stream import Stream

from monitor.ingest.codecs.lowrate import LowRatePictures, LowRateSound
from monitor.runtime import log
from monitor.types import AudioFrame, VideoFrame
from monitor.types.packet import AS_ARRIVED, EncodedPacket, Encoding, PacketTarget

_log = log.get(__name__)


class PacketTap:
    """For as long as the connection's streams are open; for one thread."""

    def __init__(self, participant: str, keep: PacketTarget, streams: Sequence[Stream]) -> None:
        self._participant = participant
        self._keep = keep
        encodings = {s.index: encoding_of(s) for s in streams}
        self._encodings = {i: e for i, e in encodings.items() if e.codec in AS_ARRIVED}
        foreign = {e.kind for i, e in encodings.items() if i not in self._encodings}
        self._sound = LowRateSound(keep) if "audio" in foreign else None
        self._pictures = LowRatePictures(keep) if "video" in foreign else None

    def packet(self, packet: "av.Packet[Stream]", at: float, length: float) -> None:
        """Take a packet that is heard for so many seconds, or shown, at call second `at`."""
        encoding = self._encodings.get(packet.stream.index)
        if encoding is not None:
            key = packet.is_keyframe or encoding.kind == "audio"
            payload = bytes(packet)
            self._keep(EncodedPacket(self._participant, encoding, payload, at, length, key))

    def frame(self, frame: AudioFrame | VideoFrame) -> None:
        """Take what was decoded; only what cannot be kept as it came is used."""
        try:
            if isinstance(frame, AudioFrame):
                if self._sound is not None:
                    self._sound.take(frame)
            elif self._pictures is not None:
                self._pictures.take(frame)
        except (av.error.FFmpegError, ValueError):
            # The call goes on; its evidence lacks this track.
            _log.exception("evidence cannot be encoded", participant=self._participant)
            self._sound = self._pictures = None


def encoding_of(stream: Stream) -> Encoding:
    """Describe a demuxer's stream."""
    context = stream.codec_context
    codec = context.codec.canonical_name
    extradata = context.extradata or b""
    if isinstance(stream, av.AudioStream):
        found = stream.codec_context
        name = {"adpcm_g722": "g722"}.get(codec, codec)
        return Encoding("audio", name, found.sample_rate, found.channels, extradata=extradata)
    if isinstance(stream, av.VideoStream):
        picture = stream.codec_context
        return Encoding(
            "video", codec, width=picture.width, height=picture.height, extradata=extradata
        )
    raise TypeError(f"{stream.type} is neither sound nor pictures")
