"""A telephone that speaks G.729: FFmpeg only decodes it, so Belledonne's library encodes."""

import ctypes
import socket
import struct
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray

FRAME = 80
"""Samples at 8 kHz: 10 ms."""
PAYLOAD_TYPE = 18


def encode(samples: NDArray[np.int16], pauses: bool) -> Iterator[bytes]:
    """Frames of 8 kHz sound: 10 bytes each; with `pauses` (Annex B) 2 or none in silence."""
    library = ctypes.CDLL("libbcg729.so.0")
    library.initBcg729EncoderChannel.restype = ctypes.c_void_p
    channel = ctypes.c_void_p(library.initBcg729EncoderChannel(ctypes.c_uint8(pauses)))
    out, size = ctypes.create_string_buffer(10), ctypes.c_uint8()
    try:
        for at in range(0, len(samples) - FRAME + 1, FRAME):
            frame = np.ascontiguousarray(samples[at : at + FRAME], np.int16)
            pointer = frame.ctypes.data_as(ctypes.POINTER(ctypes.c_int16))
            library.bcg729Encoder(channel, pointer, out, ctypes.byref(size))
            yield out.raw[: size.value]
    finally:
        library.closeBcg729EncoderChannel(channel)


def packets(frames: Iterator[bytes]) -> Iterator[tuple[int, bytes]]:
    """RTP timestamps and payloads: two frames each, a description of silence only as the last."""
    waiting = b""
    began = 0
    for number, frame in enumerate(frames):
        if frame and not waiting:
            began = number * FRAME
        waiting += frame
        if waiting and (number % 2 or len(frame) != 10):
            yield began, waiting
            waiting = b""


class Telephone:
    """Sends a recording in real time, from a thread of its own."""

    def __init__(self, wav: Path, port: int, pauses: bool = True) -> None:
        command = ["ffmpeg", "-v", "error", "-i", str(wav), "-ac", "1", "-ar", "8000"]
        found = subprocess.run([*command, "-f", "s16le", "-"], check=True, capture_output=True)
        self._packets = list(packets(encode(np.frombuffer(found.stdout, np.int16), pauses)))
        self._port = port
        self._hung_up = threading.Event()
        self._thread = threading.Thread(target=self._speak, daemon=True)
        self.pauses = sum(1 for _, payload in self._packets if len(payload) % 10)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._hung_up.set()
        self._thread.join()

    def _speak(self) -> None:
        began = time.monotonic()
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as line:
            for number, (at, payload) in enumerate(self._packets):
                if self._hung_up.wait(max(0.0, began + at / 8_000 - time.monotonic())):
                    return
                head = struct.pack(">BBHII", 0x80, PAYLOAD_TYPE, number, at, self._port)
                line.sendto(head + payload, ("127.0.0.1", self._port))
