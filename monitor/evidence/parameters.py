"""What Matroska wants to know of a codec before its first packet (RFC 9559, Matroska codec specs).

H.264 and HEVC arrive with start codes (ITU-T H.264 Annex B) and are stored with lengths
(ISO/IEC 14496-15): the same NAL units, no transcoding.
"""

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from monitor.types.packet import EncodedPacket, Encoding

_WAVE_TAGS = {
    "pcm_mulaw": (7, 1, 8),
    "pcm_alaw": (6, 1, 8),
    "g722": (0x028F, 1, 4),
    "g729": (0x0083, 10, 1),
}
"""Format tag, bytes of a block of one channel, bits per sample."""
_PLAIN = {
    "pcm_s16le": "A_PCM/INT/LIT",
    "pcm_s16be": "A_PCM/INT/BIG",
    "aac": "A_AAC",
    "mp3": "A_MPEG/L3",
    "vp9": "V_VP9",
}
_H264_SPS, _H264_PPS = 7, 8
_HEVC_VPS, _HEVC_SPS, _HEVC_PPS = 32, 33, 34


class UnknownCodecError(Exception):
    """A track that Matroska cannot hold, or that lacks what a decoder needs."""


@dataclass(frozen=True, slots=True)
class Track:
    """How Matroska describes a track."""

    id: str
    private: bytes
    encoding: Encoding
    """With width and height, for video."""


def describe(encoding: Encoding, packets: Sequence[EncodedPacket]) -> Track:
    """Describe a track by its encoding and its packets; raises UnknownCodecError."""
    codec, extra = encoding.codec, encoding.extradata
    if codec == "opus":
        return Track("A_OPUS", extra if extra[:8] == b"OpusHead" else _opus(encoding), encoding)
    if codec in _WAVE_TAGS:
        return Track("A_MS/ACM", _wave(encoding), encoding)
    if codec == "h264":
        private, sets = _avc(extra, packets)
        return Track("V_MPEG4/ISO/AVC", private, _sized(encoding, *_picture_size(sets)))
    if codec == "hevc":
        return Track("V_MPEGH/ISO/HEVC", _hevc(extra, packets), _sized(encoding, 0, 0))
    if codec == "vp8":
        return Track("V_VP8", b"", _sized(encoding, *_vp8_size(packets)))
    if codec == "mjpeg":
        # Players take a picture of half the stated height for one field of two.
        return Track("V_MJPEG", b"", _sized(encoding, *_jpeg_size(packets[0].payload)))
    if codec in _PLAIN:
        return Track(_PLAIN[codec], extra, _sized(encoding, 0, 0))
    raise UnknownCodecError(f"{codec}: not a codec that evidence can hold")


def stored(packet: EncodedPacket) -> bytes:
    """Return a packet's bytes as Matroska stores them."""
    if packet.encoding.codec not in ("h264", "hevc") or not _has_start_code(packet.payload):
        return packet.payload
    return b"".join(struct.pack(">I", len(u)) + u for u in nal_units(packet.payload))


def nal_units(data: bytes) -> Iterator[bytes]:
    """Split an Annex B byte stream."""
    at = data.find(b"\0\0\1")
    while at >= 0:
        begin = at + 3
        at = data.find(b"\0\0\1", begin)
        unit = data[begin:] if at < 0 else data[begin:at]
        # A zero byte before the next start code is part of that, not of this unit.
        if unit := unit.rstrip(b"\0"):
            yield unit


def _has_start_code(data: bytes) -> bool:
    return data[:3] == b"\0\0\1" or data[:4] == b"\0\0\0\1"


def _sized(encoding: Encoding, width: int, height: int) -> Encoding:
    """Players go by the stream; the header must only not say zero."""
    if encoding.kind == "audio":
        return encoding
    return replace(
        encoding, width=encoding.width or width or 640, height=encoding.height or height or 480
    )


def _opus(encoding: Encoding) -> bytes:
    # RFC 7845, section 5.1. No pre-skip: nothing of what arrived is withheld.
    return b"OpusHead" + struct.pack("<BBHIHB", 1, encoding.channels or 2, 0, 48_000, 0, 0)


def _wave(encoding: Encoding) -> bytes:
    tag, block, bits = _WAVE_TAGS[encoding.codec]
    channels, rate = encoding.channels or 1, encoding.rate
    bytes_a_second = rate * channels * bits // 8
    block *= channels
    return struct.pack("<HHIIHHH", tag, channels, rate, bytes_a_second, block, bits, 0)


def _parameter_sets(
    extradata: bytes, packets: Sequence[EncodedPacket], shift: int, mask: int, wanted: set[int]
) -> dict[int, list[bytes]]:
    """Distinct parameter sets by type, of the extradata and of the key frames."""
    found: dict[int, list[bytes]] = {kind: [] for kind in wanted}
    sources = [extradata, *(p.payload for p in packets if p.key)]
    for source in sources:
        for unit in nal_units(source):
            kind = unit[0] >> shift & mask
            if kind in wanted and unit not in found[kind]:
                found[kind].append(unit)
        if all(found.values()):
            break
    return found


def _avc(extradata: bytes, packets: Sequence[EncodedPacket]) -> tuple[bytes, bytes]:
    """Return the AVCDecoderConfigurationRecord and one sequence parameter set."""
    if extradata[:1] == b"\1":
        length = int.from_bytes(extradata[6:8], "big")
        return extradata, extradata[8 : 8 + length]
    sets = _parameter_sets(extradata, packets, 0, 0x1F, {_H264_SPS, _H264_PPS})
    sequence, picture = sets[_H264_SPS][:31], sets[_H264_PPS][:255]
    if not sequence or not picture:
        raise UnknownCodecError("h264: no parameter sets arrived")
    record = bytes([1, *sequence[0][1:4], 0xFF, 0xE0 | len(sequence)])
    record += b"".join(struct.pack(">H", len(u)) + u for u in sequence)
    record += bytes([len(picture)]) + b"".join(struct.pack(">H", len(u)) + u for u in picture)
    return record, sequence[0]


def _hevc(extradata: bytes, packets: Sequence[EncodedPacket]) -> bytes:
    if extradata[:1] == b"\1":
        return extradata
    kinds = (_HEVC_VPS, _HEVC_SPS, _HEVC_PPS)
    sets = _parameter_sets(extradata, packets, 1, 0x3F, set(kinds))
    if not all(sets.values()):
        raise UnknownCodecError("hevc: no parameter sets arrived")
    # Profile, tier and level are the 12 bytes after the first of the sequence parameter set.
    level = _unescaped(sets[_HEVC_SPS][0])[3:15]
    # Chroma and depth are given as 4:2:0 with 8 bits; decoders read the parameter sets.
    record = b"\1" + level + struct.pack(">HBBBBHB", 0xF000, 0xFC, 0xFD, 0xF8, 0xF8, 0, 0x0F)
    record += bytes([len(kinds)])
    for kind in kinds:
        record += bytes([0x80 | kind]) + struct.pack(">H", len(sets[kind]))
        record += b"".join(struct.pack(">H", len(u)) + u for u in sets[kind])
    return record


def _vp8_size(packets: Sequence[EncodedPacket]) -> tuple[int, int]:
    """RFC 6386, section 9.1."""
    for packet in packets:
        if packet.key and packet.payload[3:6] == b"\x9d\x01\x2a" and len(packet.payload) >= 10:
            width, height = struct.unpack("<HH", packet.payload[6:10])
            return width & 0x3FFF, height & 0x3FFF
    return 0, 0


def _jpeg_size(data: bytes) -> tuple[int, int]:
    """ITU-T T.81, section B.2.2."""
    at = 2
    while at + 9 <= len(data) and data[at] == 0xFF:
        if 0xC0 <= data[at + 1] <= 0xC2:
            height, width = struct.unpack(">HH", data[at + 5 : at + 9])
            return width, height
        at += 2 + int.from_bytes(data[at + 2 : at + 4], "big")
    return 0, 0


def _unescaped(unit: bytes) -> bytes:
    return unit.replace(b"\0\0\3", b"\0\0")


class _Bits:
    """Reads a parameter set bit by bit (ITU-T H.264, section 9.1)."""

    def __init__(self, data: bytes) -> None:
        self._bits = "".join(f"{byte:08b}" for byte in data)
        self._at = 0

    def take(self, count: int) -> int:
        text = self._bits[self._at : self._at + count]
        self._at += count
        if len(text) < count:
            raise ValueError("a parameter set is cut short")
        return int(text, 2) if text else 0

    def unsigned(self) -> int:
        zeros = 0
        while not self.take(1):
            zeros += 1
        return (1 << zeros) - 1 + self.take(zeros)


def _picture_size(sequence: bytes) -> tuple[int, int]:
    """Width and height of a baseline to high H.264 picture; 0, 0 for profiles nobody sends."""
    try:
        bits = _Bits(_unescaped(sequence[1:]))
        profile = bits.take(24) >> 16
        bits.unsigned()
        if profile in (100, 110, 122, 244):
            if bits.unsigned() == 3 or bits.unsigned() or bits.unsigned():
                return 0, 0
            if bits.take(2) & 1:
                return 0, 0
        elif profile not in (66, 77, 88):
            return 0, 0
        bits.unsigned()
        kind = bits.unsigned()
        if kind == 0:
            bits.unsigned()
        elif kind == 1:
            return 0, 0
        bits.unsigned()
        bits.take(1)
        width, height = 16 * (bits.unsigned() + 1), 16 * (bits.unsigned() + 1)
        if not (progressive := bits.take(1)):
            height *= 2
            bits.take(1)
        bits.take(1)
        if bits.take(1):
            left, right, top, bottom = (bits.unsigned() for _ in range(4))
            width -= 2 * (left + right)
            height -= (2 if progressive else 4) * (top + bottom)
    except ValueError:
        return 0, 0
    return width, height
