"""A recording's file, opened and decoded past whatever in it is damaged."""

import io
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import av
from av.audio.codeccontext import AudioCodecContext
from av.container import InputContainer
from av.stream import Stream
from typing_extensions import Buffer

from monitor.ingest.codecs.convert import seconds
from monitor.ingest.codecs.formats import RATELESS, RECORDINGS
from monitor.ingest.codecs.video_codec import bound
from monitor.ingest.recording.header import Part, parts
from monitor.ingest.recording.salvage import mended
from monitor.types.protocols import SourceError

_BARE = {"mulaw": ("ul", "ulaw", "mulaw", "mu", "pcmu"), "alaw": ("al", "alaw", "pcma")}
"""FFmpeg's format by the ending of G.711 without a header, as gateways and Asterisk leave it."""
_BARE_RATE = "8000"
"""Hertz of all G.711; FFmpeg takes it for 44100."""
_WITH_HEADER = (b"RIFF", b"RF64", b".snd", b"FORM", b"OggS")
_AMR = {"amrnb": "libopencore_amrnb", "amrwb": "libopencore_amrwb"}
"""FFmpeg's own decoders refuse the comfort noise that fills pauses; these know it."""
_DTX_BYTES = 2
"""An Opus packet this short says: silence from here on."""
_NO_SOUND = (b"Xing", b"Info", b"VBRI")
"""An MP3 frame with one of these in its first bytes describes the file."""
_UNTIMED = frozenset(
    ("aac", "ac3", "eac3", "mp3", "flac", "wav", "w64", "aiff", "au", "caf", "amr", "gsm", "dts")
)
"""Formats without timestamps: what FFmpeg tells is counted at the rate of the beginning."""
_MOST_FAILURES = 20
"""Reads in a row that may fail before a file counts as unreadable from there on."""


@dataclass(frozen=True, slots=True)
class Damage:
    """A packet that did not decode."""

    stream: Stream
    at: float | None
    """Its timestamp in seconds."""
    length: float
    """Seconds; 0 if it does not tell."""


@dataclass(frozen=True, slots=True)
class Decoded:
    """A frame, and what is known about what may be missing before it."""

    stream: Stream
    frame: av.AudioFrame | av.VideoFrame
    at: float | None
    """Its timestamp in seconds, None without one."""
    position: int
    """Bytes of the recording that have been read."""
    skipped: int
    """Bytes that the demuxer passed over since the track's last frame."""
    paused: bool
    """Whether the track said that silence follows until this."""
    counted: bool
    """Whether timestamps count samples, so that a hole between them is something that was lost."""


def find_parts(path: Path) -> list[Part]:
    """Return the recordings in a file, in order; raises SourceError if it cannot be read."""
    try:
        return parts(path) or [Part(0, None, 0.0, header_short=False)]
    except OSError as error:
        raise _unopened(path, error) from error


@contextmanager
def opened(path: Path, part: Part, most_pixels: int) -> Iterator[InputContainer]:
    """Open one of a file's recordings; raises SourceError, naming the file, if that cannot be.

    Nothing is decoded, to find out what it is, of pictures that have more than `most_pixels`.
    """
    with ExitStack() as files:
        try:
            container = _open(path, part, files, most_pixels)
        except (av.error.FFmpegError, OSError, ValueError) as error:
            raise _unopened(path, error) from error
        yield container


def _unopened(path: Path, error: Exception) -> SourceError:
    if isinstance(error, FileNotFoundError):
        return SourceError("not_found", f"{path.name}: no such file")
    if isinstance(error, av.error.ArgumentError):
        return SourceError("unreadable", f"{path.name}: not of a format that recordings have")
    return SourceError(
        "unreadable", f"{path.name}: not a media file that can be opened ({cause(error)})"
    )


def _open(path: Path, part: Part, files: ExitStack, most_pixels: int) -> InputContainer:
    whole = part.end is None
    options = {"format_whitelist": RECORDINGS, "protocol_whitelist": "file", **bound(most_pixels)}
    if part.header_short:
        options["ignore_length"] = "1"
    # FFmpeg would take what is before a colon for a protocol.
    file: str | BinaryIO = f"file:{path}"
    if not whole:
        file = files.enter_context(_slice(path, part))
    elif (whole_again := mended(path)) is not None:
        file = files.enter_context(whole_again)
    elif not _is_utf8(path):
        # PyAV takes no other names.
        file = files.enter_context(path.open("rb"))
    kind = _bare(path) if whole else None
    if kind is not None:
        options["sample_rate"] = _BARE_RATE
    container = files.enter_context(av.open(file, "r", format=kind, options=options))
    if container.format.name in RATELESS:
        raise SourceError(
            "unreadable", f"{path.name}: samples without a header do not tell their rate"
        )
    return container


def _is_utf8(path: Path) -> bool:
    try:
        str(path).encode()
    except UnicodeEncodeError:
        return False
    return True


def _bare(path: Path) -> str | None:
    """FFmpeg's format of G.711 without a header, going by the file's name."""
    ending = path.suffix.lower().removeprefix(".")
    for kind, endings in _BARE.items():
        if ending in endings:
            with path.open("rb") as file:
                return None if file.read(4) in _WITH_HEADER else kind
    return None


class _Slice(io.RawIOBase):
    """Some bytes of a file, as a file."""

    def __init__(self, path: Path, part: Part) -> None:
        super().__init__()
        self._file = path.open("rb", buffering=0)
        assert part.end is not None
        self._start, self._size = part.start, part.end - part.start
        self._file.seek(part.start)

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._file.tell() - self._start

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self.tell(), io.SEEK_END: self._size}[whence]
        return self._file.seek(self._start + base + offset) - self._start

    def readinto(self, buffer: "Buffer") -> int:
        view = memoryview(buffer)
        left = max(0, self._size - self.tell())
        return self._file.readinto(view[: min(len(view), left)]) or 0

    def close(self) -> None:
        self._file.close()
        super().close()


def _slice(path: Path, part: Part) -> BinaryIO:
    return io.BufferedReader(_Slice(path, part))


class _Track:
    """What is remembered of one stream while it is decoded."""

    def __init__(self, stream: Stream) -> None:
        self.stream = stream
        self.skipped = 0
        self.paused = False
        self._codec = stream.codec_context.name
        self._decoder = own_decoder(stream)
        self._smallest: int | None = None
        """Bytes of the smallest packet that decoded."""

    def decode(self, packet: "av.Packet[Stream]") -> "Sequence[av.AudioFrame | av.VideoFrame]":
        if self._decoder is not None:
            sound = self._decoder.decode(packet) if packet.size else []
            for frame in sound:
                frame.pts, frame.time_base = packet.pts, packet.time_base
            frames: Sequence[object] = sound
        else:
            frames = packet.decode()
        if frames and packet.size:
            self._smallest = min(packet.size, self._smallest or packet.size)
        return [f for f in frames if isinstance(f, av.AudioFrame | av.VideoFrame)]

    def heed(self, packet: "av.Packet[Stream]") -> None:
        """Look at what a packet says besides."""
        if packet.size:
            self.paused = self._codec == "opus" and packet.size <= _DTX_BYTES

    def is_stub(self, packet: "av.Packet[Stream]") -> bool:
        """Whether a packet may be what fills up a file's end: SoX pads GSM to even bytes."""
        return self._smallest is not None and packet.size < self._smallest

    def damage(self, packet: "av.Packet[Stream]", timed: bool) -> Damage | None:
        """What is missing because a packet did not decode."""
        if self._codec.startswith("mp3") and any(tag in bytes(packet)[:200] for tag in _NO_SOUND):
            return None
        base = packet.time_base
        return Damage(self.stream, seconds(packet.pts, base), seconds(packet.duration, base) or 0.0)


def decoded(
    container: InputContainer, streams: Sequence[Stream], arrived: Callable[[int, float], None]
) -> Iterator[Decoded | Damage]:
    """Yield what is in the streams, in the file's order; what does not decode ends nothing.

    `arrived(size, time)` hears of each encoded picture. Raises av.error.FFmpegError when the file
    cannot be read on.
    """
    tracks = {stream.index: _Track(stream) for stream in streams}
    # The bytes of other formats do not lie in the order of time.
    ordered = "mov" not in container.format.name
    counted = container.format.name == "ogg"
    timed = container.format.name not in _UNTIMED
    read: int | None = None
    stub: Damage | None = None
    for packet in _packets(container, streams):
        # Not `stream_index`: of the empty packet that ends a stream that is always 0.
        track = tracks[packet.stream.index]
        if packet.size and ordered and (place := packet.pos) is not None and place >= 0:
            if read is not None and place > read:
                for each in tracks.values():
                    each.skipped += place - read
            read = max(read or 0, place + packet.size)
        if packet.size and packet.stream.type == "video":
            arrived(packet.size, seconds(packet.dts, packet.time_base) or 0.0)
        if packet.size and stub is not None:
            yield stub
            stub = None
        try:
            frames = track.decode(packet)
        except av.error.FFmpegError:
            damage = track.damage(packet, timed) if packet.size else None
            if damage is not None and track.is_stub(packet):
                stub = damage
            elif damage is not None:
                yield damage
            continue
        for frame in frames:
            at = seconds(frame.pts, frame.time_base) if timed else None
            yield Decoded(track.stream, frame, at, read or 0, track.skipped, track.paused, counted)
            track.skipped = 0
        track.heed(packet)


def _packets(container: InputContainer, streams: Sequence[Stream]) -> "Iterator[av.Packet[Stream]]":
    failures = 0
    while True:
        try:
            for packet in container.demux(streams):
                failures = 0
                yield packet
        except av.error.FFmpegError:
            failures += 1
            if failures > _MOST_FAILURES:
                raise
        else:
            return


def own_decoder(stream: Stream | None) -> AudioCodecContext | None:
    """Return a decoder to be used in place of FFmpeg's choice, or None."""
    if not isinstance(stream, av.AudioStream) or stream.codec_context.name not in _AMR:
        return None
    decoder = av.CodecContext.create(_AMR[stream.codec_context.name], "r")
    assert isinstance(decoder, AudioCodecContext)
    decoder.sample_rate, decoder.layout = stream.codec_context.sample_rate, "mono"
    return decoder


def cause(error: BaseException) -> str:
    """What went wrong, without a path."""
    return getattr(error, "strerror", None) or type(error).__name__
