"""A telephone that speaks G.729."""

import socket
import struct
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from monitor.training.channels.g729 import FRAME, RATE, encode

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
    """Has a recording encoded, and sends it in real time to whoever asks."""

    def __init__(self, wav: Path, pauses: bool) -> None:
        command = ["ffmpeg", "-v", "error", "-i", str(wav), "-ac", "1", "-ar", str(RATE)]
        found = subprocess.run([*command, "-f", "s16le", "-"], check=True, capture_output=True)
        self._packets = list(packets(encode(np.frombuffer(found.stdout, np.int16), pauses)))
        self.pauses = sum(1 for _, payload in self._packets if len(payload) % 10)

    @contextmanager
    def speaking(self, port: int) -> Iterator[None]:
        """Send to a port of this machine, from a thread of its own."""
        hung_up = threading.Event()
        thread = threading.Thread(target=self._speak, args=(port, hung_up), daemon=True)
        thread.start()
        try:
            yield
        finally:
            hung_up.set()
            thread.join()

    def _speak(self, port: int, hung_up: threading.Event) -> None:
        began = time.monotonic()
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as line:
            for number, (at, payload) in enumerate(self._packets):
                if hung_up.wait(max(0.0, began + at / RATE - time.monotonic())):
                    return
                head = struct.pack(">BBHII", 0x80, PAYLOAD_TYPE, number, at, port)
                line.sendto(head + payload, ("127.0.0.1", port))
