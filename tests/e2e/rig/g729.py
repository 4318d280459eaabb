"""A telephone that speaks G.729."""

import socket
import struct
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Self

import numpy as np

from monitor.training.g729 import FRAME, RATE, encode

PAYLOAD_TYPE = 18


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
        command = ["ffmpeg", "-v", "error", "-i", str(wav), "-ac", "1", "-ar", str(RATE)]
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
                if self._hung_up.wait(max(0.0, began + at / RATE - time.monotonic())):
                    return
                head = struct.pack(">BBHII", 0x80, PAYLOAD_TYPE, number, at, self._port)
                line.sendto(head + payload, ("127.0.0.1", self._port))
