"""What one RTP packet of sound holds: the codec's own frames, and what decodes them. Pure.

Opus, PCM, G.722, G.729, GSM   the payload as it is              RFC 7587, RFC 3551
AMR, AMR-WB                    a table of contents, then frames  RFC 4867
AAC (mpeg4-generic)            AU headers, then access units     RFC 3640
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from monitor.types.packet import Encoding

_G729_FRAME, _G729_SILENCE = 10, 2
"""Bytes of 10 ms of sound, and of what says at a packet's end that silence follows (Annex B)."""
_AMR_BITS = {
    "amr": (95, 103, 118, 134, 148, 159, 204, 244, 39),
    "amr-wb": (132, 177, 253, 285, 317, 365, 397, 461, 477, 40),
}
"""Bits of a frame by its type; what is beyond has none, or is reserved."""
_AMR_LOST = 14
"""Frame types from here on hold nothing: speech lost, no data."""
_UNTAKEN = ("crc", "robust-sorting", "interleaving")
"""What RFC 4867 allows and nobody sends."""
_SAMPLES = {"pcmu": "pcm_mulaw", "pcma": "pcm_alaw", "l16": "pcm_s16be"}
_CHANNELS = 2
"""Most channels of samples: PyAV does not tell where many lie."""


@dataclass(frozen=True, slots=True)
class SoundFormat:
    """How the packets of one payload type are read; formats that are equal go on in one decoder."""

    name: str
    """Lower-case encoding name."""
    decoder: str
    """FFmpeg's name."""
    rate: int
    """Hertz of the decoded sound."""
    clock: int
    """Hertz of the RTP timestamps; for G.722 not the rate (RFC 3551)."""
    encoding: Encoding
    """How evidence names it; RFC 7587 has every Opus stream called stereo."""
    channels: int = 1
    """As decoded: Opus makes one of two itself."""
    aligned: bool = True
    """Whether AMR's frames begin at whole bytes."""

    def unpack(self, payload: bytes) -> list[bytes]:
        """Return a packet's frames as FFmpeg's decoder takes them; raises ValueError for none."""
        if self.name in _AMR_BITS:
            bits = _AMR_BITS[self.name]
            try:
                return _amr(payload, bits, self.aligned)
            except ValueError:
                # Descriptions are wrong, or there is none: only one of both fills a packet.
                return _amr(payload, bits, not self.aligned)
        if self.name == "mpeg4-generic":
            return list(_access_units(payload))
        return [without_silence(payload) if self.name == "g729" else payload]


def sound_format(
    name: str, rate: int = 0, channels: int = 1, parameters: str = ""
) -> SoundFormat | None:
    """Return how an encoding is read; None for one that is not decoded.

    `rate` and `channels` as in a=rtpmap, 0 where that is not known; `parameters` as in a=fmtp.
    """
    name = name.lower()
    told = _told(parameters)
    if name == "opus":
        encoding = Encoding("audio", "opus", 48_000, 2)
        return SoundFormat(name, "libopus", 48_000, 48_000, encoding)
    if name == "g722":
        return SoundFormat(name, name, 16_000, 8_000, Encoding("audio", name, 16_000, 1))
    if name in ("g729", "gsm"):
        return SoundFormat(name, name, 8_000, 8_000, Encoding("audio", name, 8_000, 1))
    if name in _SAMPLES:
        if not 1 <= channels <= _CHANNELS or not 0 <= rate <= 192_000:
            return None
        codec, rate = _SAMPLES[name], rate or 8_000
        return SoundFormat(
            name, codec, rate, rate, Encoding("audio", codec, rate, channels), channels
        )
    if name in _AMR_BITS:
        if channels != 1 or any(told.get(each, "0") not in ("0", "") for each in _UNTAKEN):
            return None
        short, rate = {"amr": ("amrnb", 8_000), "amr-wb": ("amrwb", 16_000)}[name]
        encoding = Encoding("audio", f"amr_{short[3:]}", rate, 1)
        aligned = told.get("octet-align", "0") == "1"
        # FFmpeg's own decoders refuse the comfort noise that fills pauses.
        decoder = f"libopencore_{short}"
        return SoundFormat(name, decoder, rate, rate, encoding, aligned=aligned)
    return _aac(rate, channels, told) if name == "mpeg4-generic" else None


def without_silence(payload: bytes) -> bytes:
    """A G.729 packet without the description of silence at its end, which FFmpeg cannot decode."""
    described = len(payload) % _G729_FRAME == _G729_SILENCE
    return payload[:-_G729_SILENCE] if described else payload


def _told(parameters: str) -> Mapping[str, str]:
    pairs = (each.partition("=") for each in re.split(r"[;\s]+", parameters))
    return {key.strip().lower(): value.strip() for key, _, value in pairs}


def _aac(rate: int, channels: int, told: Mapping[str, str]) -> SoundFormat | None:
    """AAC of one access unit header of 16 bits each: mode AAC-hbr, as everybody sends it."""
    sizes = [told.get(each, "") for each in ("sizelength", "indexlength", "indexdeltalength")]
    config = told.get("config", "").strip('"')
    if sizes != ["13", "3", "3"] or not re.fullmatch(r"(?:[0-9A-Fa-f]{2}){2,64}", config):
        return None
    if not 8_000 <= rate <= 96_000 or not 1 <= channels <= _CHANNELS:
        return None
    encoding = Encoding("audio", "aac", rate, channels, extradata=bytes.fromhex(config))
    return SoundFormat("mpeg4-generic", "aac", rate, rate, encoding, channels)


def _access_units(payload: bytes) -> Iterator[bytes]:
    bits = int.from_bytes(payload[:2], "big")
    if len(payload) < 2 or not bits or bits % 16:
        raise ValueError("no AU headers")
    at = 2 + bits // 8
    for header in range(2, at, 2):
        size = int.from_bytes(payload[header : header + 2], "big") >> 3
        if not size or at + size > len(payload):
            raise ValueError("an access unit that is not whole")
        yield payload[at : at + size]
        at += size


def _amr(payload: bytes, bits: tuple[int, ...], aligned: bool) -> list[bytes]:
    """Return frames in the form of files: a byte that says what follows, and whole bytes."""
    frames: list[bytes] = []
    reader = _Bits(payload)
    # What the sender asks of us: of no use to one that sends nothing.
    reader.take(8 if aligned else 4)
    contents: list[int] = []
    more = True
    while more:
        entry = reader.take(6)
        if aligned:
            reader.take(2)
        more = bool(entry >> 5)
        contents.append(entry & 0x1F)
    for entry in contents:
        kind, quality = entry >> 1, entry & 1
        if kind >= _AMR_LOST:
            size = 0
        elif kind < len(bits):
            size = bits[kind]
        else:
            raise ValueError("a reserved frame type")
        length = (size + 7) // 8
        frame = reader.take(size) << (8 * length - size)
        if aligned:
            reader.take(8 * length - size)
        frames.append(bytes([kind << 3 | quality << 2]) + frame.to_bytes(length, "big"))
    if reader.left >= 8:
        raise ValueError("more than the table of contents says")
    return frames


class _Bits:
    def __init__(self, data: bytes) -> None:
        self._value, self.left = int.from_bytes(data, "big"), 8 * len(data)

    def take(self, count: int) -> int:
        if count > self.left:
            raise ValueError("a packet that is not whole")
        self.left -= count
        return self._value >> self.left & (1 << count) - 1
