"""Sample formats as telephone platforms write them. Pure."""

import re

from monitor.ingest.codecs.g711 import Codec

_CODECS = {
    Codec.MULAW: {"mulaw", "ulaw", "pcmu", "g711u", "g711ulaw", "basic"},
    Codec.ALAW: {"alaw", "pcma", "g711a", "g711alaw"},
    Codec.L16: {"l16", "linear16", "pcm16", "pcms16le", "s16le", "slin", "pcm", "raw"},
}
_PACKETS = {
    "opus": "opus", "g722": "g722", "amrwb": "amr-wb", "amr": "amr", "amrnb": "amr", "g729": "g729"
}  # fmt: skip
_NAMES = {name: codec for codec, names in _CODECS.items() for name in names}
_SLIN = re.compile(r"slin(\d{1,3})")
"""Asterisk's names: the rate in kHz, rounded down."""
_ODD_RATES = {11: 11_025, 22: 22_050, 44: 44_100}


def read_packets(text: str) -> str | None:
    """Read the name of a codec whose packets are as by RTP, such as `OPUS`, `AMR-WB`; else None."""
    return _PACKETS.get(re.sub(r"[\s_.-]|^audio/", "", text.lower()))


def read_format(text: str) -> tuple[Codec, int | None] | None:
    """Read such as `audio/x-mulaw`, `PCMU`, `audio/l16;rate=16000`, `slin16`; None if unknown.

    The rate is None where the name says none.
    """
    name, *parameters = re.sub(r"\s", "", text).lower().split(";")
    name = re.sub(r"^audio/", "", name).removeprefix("x-")
    name, _, inside = name.partition("/")
    rate = int(inside) if inside.isdigit() and len(inside) < 7 else None
    for parameter in parameters:
        key, _, value = parameter.partition("=")
        if key == "rate" and value.isascii() and value.isdigit() and len(value) < 7:
            rate = int(value)
    if found := _SLIN.fullmatch(name):
        thousands = int(found[1])
        return Codec.L16, _ODD_RATES.get(thousands, thousands * 1000)
    if name == "slin":
        return Codec.L16, rate or 8_000
    codec = _NAMES.get(re.sub(r"[_.-]", "", name))
    return None if codec is None else (codec, rate)


RATELESS = frozenset(
    f"{kind}{bits}{order}"
    for kind in ("s", "u", "f")
    for bits in ("16", "24", "32", "64")
    for order in ("le", "be")
) | {"s8", "u8", "vidc"}
"""FFmpeg's formats of bare samples, whose rate nothing tells."""
RECORDINGS = ",".join(
    (
        "wav", "w64", "aiff", "au", "caf", "mulaw", "alaw", "gsm", "amr", "amrnb", "amrwb", "voc",
        "sln", "sox", "nistsphere", "g722", "g729", "mp3", "aac", "ac3", "eac3", "dts", "flac",
        "ape", "ircam", "wv", "tta", "ogg", "matroska", "mov", "mpegts", "mpeg", "avi", "asf",
        "flv", "nut", "mxf", "ivf", "h264", "hevc", "m4v", "mjpeg", *sorted(RATELESS),
    )
)  # fmt: skip
"""What is opened: containers and codecs, and nothing that names other files, such as playlists."""
