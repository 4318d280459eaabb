"""Encoded media on its way to evidence: what arrived, byte for byte, with its call time."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

AS_ARRIVED = frozenset(
    {"opus", "aac", "mp3", "g722", "g729", "pcm_mulaw", "pcm_alaw", "pcm_s16le", "pcm_s16be"}
    | {"h264", "hevc", "vp8", "vp9", "mjpeg"}
)
"""FFmpeg's names of what evidence can hold without encoding it anew."""


@dataclass(frozen=True, slots=True)
class Encoding:
    """How one track is encoded; packets with equal encodings belong to one track."""

    kind: Literal["audio", "video"]
    codec: str
    """FFmpeg's name: opus, pcm_mulaw, h264, vp8 and so on."""
    rate: int = 0
    """Hertz of decoded sound; 0 for video."""
    channels: int = 0
    width: int = 0
    """Pixels; 0 if the source does not know."""
    height: int = 0
    extradata: bytes = b""
    """What a decoder needs before the first packet, as FFmpeg has it."""
    native: bool = True
    """Whether the packets are the sender's own; otherwise this service encoded what it decoded."""


@dataclass(frozen=True, slots=True)
class EncodedPacket:
    """One packet of sound, or one picture, in the order a decoder needs."""

    participant: str
    encoding: Encoding
    payload: bytes
    time: float
    """Call seconds at which it is heard or shown."""
    duration: float
    """Seconds; 0 if unknown."""
    key: bool
    """Whether decoding can begin here; always so for sound."""


PacketTarget = Callable[[EncodedPacket], None]
"""Takes a packet from any thread and returns at once."""
