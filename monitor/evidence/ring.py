"""The last seconds of one participant's encoded media, bounded in time and bytes.

A clip must begin with a picture that can be decoded, so pictures leave a whole group at a time:
a key frame goes when the next one is old enough to begin the clip. Sound is the evidence a voice
alarm rests on, so when bytes run out pictures go first.
"""

import threading
from collections import deque
from dataclasses import dataclass

from monitor.types.packet import EncodedPacket


@dataclass(frozen=True, slots=True)
class _Kept:
    order: int
    packet: EncodedPacket


class Ring:
    """Takes packets from any thread."""

    def __init__(self, seconds: float, most_bytes: int) -> None:
        self._seconds = seconds
        self._most_bytes = most_bytes
        self._lock = threading.Lock()
        self._audio: deque[_Kept] = deque()
        self._video: deque[_Kept] = deque()
        self._keys: deque[float] = deque()
        """Call seconds of the key frames in `_video`."""
        self._order = 0
        self._newest = float("-inf")
        self.size = 0
        """Bytes of payload held."""

    def push(self, packet: EncodedPacket) -> None:
        """Keep a packet and let go of what is too old or too much."""
        with self._lock:
            self._order += 1
            kept = _Kept(self._order, packet)
            self._newest = max(self._newest, packet.time)
            if packet.encoding.kind == "audio":
                self._audio.append(kept)
                self.size += len(packet.payload)
            elif packet.key or self._keys:
                # Before the first key frame nobody could decode it.
                self._video.append(kept)
                self.size += len(packet.payload)
                if packet.key:
                    self._keys.append(packet.time)
            self._forget()

    def snapshot(self) -> tuple[EncodedPacket, ...]:
        """Return what is held, in order of arrival; video begins with a key frame."""
        with self._lock:
            both = sorted([*self._audio, *self._video], key=lambda kept: kept.order)
        return tuple(kept.packet for kept in both)

    def _forget(self) -> None:
        horizon = self._newest - self._seconds
        while len(self._keys) > 1 and self._keys[1] <= horizon:
            self._drop_group()
        while self._audio and self._audio[0].packet.time < horizon:
            self._drop_audio()
        while self.size > self._most_bytes and self._keys:
            self._drop_group()
        while self.size > self._most_bytes:
            self._drop_audio()
        if self._video and self._video[-1].packet.time < horizon:
            # The camera is off: its last pictures are no longer of the time the clip is about.
            while self._keys:
                self._drop_group()

    def _drop_audio(self) -> None:
        self.size -= len(self._audio.popleft().packet.payload)

    def _drop_group(self) -> None:
        """Drop the oldest key frame and what depends on it."""
        self._keys.popleft()
        first = True
        while self._video and (first or not self._video[0].packet.key):
            self.size -= len(self._video.popleft().packet.payload)
            first = False
