"""Encoded packets made with FFmpeg, as sources would hand them over."""

import io
from fractions import Fraction
from typing import cast

import av
import numpy as np

from monitor.types.packet import EncodedPacket, Encoding

RATES = {"opus": 48_000, "aac": 48_000, "g722": 16_000}


def sound(
    codec: str = "opus", seconds: float = 2.0, start: float = 0.0, participant: str = "remote"
) -> list[EncodedPacket]:
    """A tone; of G.729, which FFmpeg cannot encode, any sound."""
    if codec == "g729":
        encoding = Encoding("audio", codec, rate=8_000, channels=1)
        return [
            EncodedPacket(participant, encoding, bytes([i % 97]) * 10, start + i * 0.01, 0.01, True)
            for i in range(round(seconds * 100))
        ]
    rate = RATES.get(codec, 8_000)
    encoder = cast(
        av.AudioCodecContext,
        av.CodecContext.create({"opus": "libopus"}.get(codec, codec), "w"),
    )
    encoder.sample_rate, encoder.layout = rate, "mono"
    encoder.format = {"aac": "fltp"}.get(codec, "s16")
    encoder.open()
    n = encoder.frame_size or rate // 50
    extradata = encoder.extradata or b""
    encoding = Encoding("audio", codec, rate=rate, channels=1, extradata=extradata)
    found: list[EncodedPacket] = []
    for i in range(round(seconds * rate / n)):
        wave = 0.4 * np.sin(2 * np.pi * 300 * (np.arange(n) + i * n) / rate)
        if codec == "aac":
            frame = av.AudioFrame.from_ndarray(wave[None].astype(np.float32), "fltp", "mono")
        else:
            frame = av.AudioFrame.from_ndarray((wave[None] * 32767).astype(np.int16), "s16", "mono")
        frame.sample_rate, frame.pts = rate, i * n
        for packet in encoder.encode(frame):
            at = start + len(found) * n / rate
            found.append(EncodedPacket(participant, encoding, bytes(packet), at, n / rate, True))
    return found


def pictures(
    codec: str = "h264",
    seconds: float = 2.0,
    start: float = 0.0,
    fps: int = 10,
    group: int = 10,
    size: tuple[int, int] = (320, 240),
    participant: str = "remote",
) -> list[EncodedPacket]:
    """Grey that gets lighter; a key frame every `group` pictures, parameter sets in band."""
    names = {"h264": "libx264", "hevc": "libx265", "vp8": "libvpx", "vp9": "libvpx-vp9"}
    encoder = cast(av.VideoCodecContext, av.CodecContext.create(names.get(codec, codec), "w"))
    encoder.width, encoder.height = size
    encoder.pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
    encoder.framerate, encoder.gop_size = Fraction(fps), group
    if codec in ("h264", "hevc"):
        encoder.options = {"tune": "zerolatency", "preset": "ultrafast"}
        if codec == "hevc":
            encoder.options |= {"x265-params": f"keyint={group}:log-level=none"}
    elif codec in ("vp8", "vp9"):
        encoder.options = {"deadline": "realtime", "lag-in-frames": "0"}
    encoding = Encoding("video", codec)
    found: list[EncodedPacket] = []
    for i in range(round(seconds * fps)):
        shade = np.full((size[1], size[0], 3), 20 + 5 * (i % 40), np.uint8)
        frame = av.VideoFrame.from_ndarray(shade, format="rgb24").reformat(format=encoder.pix_fmt)
        frame.pts = i
        for packet in encoder.encode(frame):
            at = start + len(found) / fps
            found.append(
                EncodedPacket(participant, encoding, bytes(packet), at, 1 / fps, packet.is_keyframe)
            )
    return found


def mixed(*tracks: list[EncodedPacket]) -> list[EncodedPacket]:
    """In order of time, as they would arrive."""
    return sorted((p for track in tracks for p in track), key=lambda p: p.time)


def frames(data: bytes, kind: str) -> int:
    """Decoded frames of one kind in a media file; raises if it cannot be decoded."""
    with av.open(io.BytesIO(data), "r") as container:
        found = [s for s in container.streams if s.type == kind]
        return sum(1 for frame in container.decode(found[0])) if found else 0
