"""Encoded packets → a Matroska file, as they arrived (RFC 8794, RFC 9559). Pure.

Written here because PyAV's muxer refuses G.711 and G.722 in Matroska, which is what telephones
speak, and takes a stream's description only from a connection that is still open. WAV would take
G.711, but knows no time: here a hole in the call is a hole in the file.
"""

import struct
from collections.abc import Sequence
from dataclasses import dataclass

from monitor.evidence.parameters import Track, UnknownCodecError, describe, stored
from monitor.types.packet import EncodedPacket, Encoding

_CLUSTER_SECONDS = 5.0
_SOUND, _PICTURE = 2, 1


@dataclass(frozen=True, slots=True)
class Clip:
    """A playable file and what is in it."""

    data: bytes
    start: float
    """Call seconds of the file's beginning."""
    end: float
    tracks: tuple[Encoding, ...]
    left_out: tuple[str, ...]
    """Why tracks are missing, in words."""


def remux(packets: Sequence[EncodedPacket]) -> Clip | None:
    """Make a file of one participant's packets; None if there is nothing to show."""
    tracks: dict[Encoding, Track] = {}
    left_out: list[str] = []
    for encoding in dict.fromkeys(p.encoding for p in packets):
        own = [p for p in packets if p.encoding == encoding]
        if not own[0].key:
            begin = next((i for i, p in enumerate(own) if p.key), len(own))
            own = own[begin:]
        if not own:
            left_out.append(f"{encoding.codec}: no key frame arrived")
            continue
        try:
            tracks[encoding] = describe(encoding, own)
        except UnknownCodecError as error:
            left_out.append(str(error))
    kept: list[EncodedPacket] = []
    begun: set[Encoding] = set()
    for packet in packets:
        if packet.encoding in tracks and (packet.key or packet.encoding in begun):
            begun.add(packet.encoding)
            kept.append(packet)
    if not kept:
        return None
    start = min(p.time for p in kept)
    end = max(p.time + p.duration for p in kept)
    numbers = {encoding: i for i, encoding in enumerate(tracks, 1)}
    entries = b"".join(_entry(numbers[e], track) for e, track in tracks.items())
    info = (
        _uint(0x2AD7B1, 1_000_000)
        + _element(0x4489, struct.pack(">d", (end - start) * 1000))
        + _element(0x4D80, b"deepfake-monitor")
        + _element(0x5741, b"deepfake-monitor")
    )
    body = _element(0x1549A966, info) + _element(0x1654AE6B, entries)
    body += b"".join(_clusters(kept, numbers, start))
    head = (
        _uint(0x4286, 1)
        + _uint(0x42F7, 1)
        + _uint(0x42F2, 4)
        + _uint(0x42F3, 8)
        + _element(0x4282, b"matroska")
        + _uint(0x4287, 4)
        + _uint(0x4285, 2)
    )
    data = _element(0x1A45DFA3, head) + _element(0x18538067, body)
    return Clip(data, start, end, tuple(t.encoding for t in tracks.values()), tuple(left_out))


def _entry(number: int, track: Track) -> bytes:
    encoding = track.encoding
    audio = encoding.kind == "audio"
    body = _uint(0xD7, number) + _uint(0x73C5, number) + _uint(0x83, _SOUND if audio else _PICTURE)
    # No lacing; the codec keeps its own timing.
    body += _uint(0x9C, 0) + _element(0x86, track.id.encode())
    if track.private:
        body += _element(0x63A2, track.private)
    if encoding.codec == "opus":
        # RFC 9559: what a decoder needs before it is right, in nanoseconds.
        body += _uint(0x56BB, 80_000_000)
    if audio:
        rate = 48_000 if encoding.codec == "opus" else encoding.rate
        sound = _element(0xB5, struct.pack(">d", float(rate)))
        sound += _uint(0x9F, encoding.channels or 1)
        if encoding.codec in ("pcm_s16le", "pcm_s16be"):
            sound += _uint(0x6264, 16)
        body += _element(0xE1, sound)
    else:
        size = _uint(0xB0, encoding.width) + _uint(0xBA, encoding.height)
        body += _element(0xE0, size)
    return _element(0xAE, body)


def _clusters(
    packets: Sequence[EncodedPacket], numbers: dict[Encoding, int], start: float
) -> list[bytes]:
    clusters: list[bytes] = []
    blocks: list[bytes] = []
    base = 0

    def close() -> None:
        if blocks:
            clusters.append(_element(0x1F43B675, _uint(0xE7, base) + b"".join(blocks)))
            blocks.clear()

    for packet in packets:
        at = round((packet.time - start) * 1000)
        if not blocks or abs(at - base) > _CLUSTER_SECONDS * 1000:
            close()
            base = at
        flags = 0x80 if packet.key else 0
        head = _size(numbers[packet.encoding]) + struct.pack(">hB", at - base, flags)
        blocks.append(_element(0xA3, head + stored(packet)))
    close()
    return clusters


def _element(identity: int, body: bytes) -> bytes:
    return identity.to_bytes((identity.bit_length() + 7) // 8, "big") + _size(len(body)) + body


def _uint(identity: int, value: int) -> bytes:
    return _element(identity, value.to_bytes(max(1, (value.bit_length() + 7) // 8), "big"))


def _size(value: int) -> bytes:
    """RFC 8794, section 4: a number that says its own length."""
    length = next(n for n in range(1, 9) if value < (1 << 7 * n) - 1)
    return (value | 1 << 7 * length).to_bytes(length, "big")
