"""Who speaks in a stream: one source at a time, and another only when that is silent."""

import ipaddress
import struct

import pytest

from monitor.ingest.rtp.jitter_buffer import RtpPacket
from monitor.ingest.rtp.rtp_port import TAKE_OVER, RtpPort

CALLER, STRANGER = ("192.0.2.1", 4000), ("192.0.2.9", 4000)


class Line:
    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.heard: list[int] = []
        self.now = 100.0
        monkeypatch.setattr("monitor.ingest.rtp.rtp_port.time.monotonic", lambda: self.now)
        peers = [ipaddress.ip_network("192.0.2.0/24")]
        self.port = RtpPort(5000, peers, None, self._sink)
        self._sequence = 0

    def _sink(self, packet: RtpPacket) -> None:
        self.heard.append(packet.ssrc)

    def send(self, source: tuple[str, int], ssrc: int, after: float = 0.02) -> None:
        self.now += after
        self._sequence += 1
        head = struct.pack(">BBHII", 0x80, 0, self._sequence, self._sequence * 160, ssrc)
        self.port.datagram_received(head + bytes(160), source)


def test_a_stranger_beside_the_caller_is_not_heard(monkeypatch: pytest.MonkeyPatch) -> None:
    line = Line(monkeypatch)
    for _ in range(100):
        line.send(CALLER, 1)
        line.send(STRANGER, 2, 0.001)
        line.send(STRANGER, 2, 0.001)
    assert line.heard == [1] * 100
    assert (line.port.strangers, line.port.changes) == (200, 0)


@pytest.mark.parametrize(
    ("source", "ssrc"), [(CALLER, 2), (("192.0.2.1", 5000), 1)], ids=["ssrc", "port"]
)
def test_a_caller_may_change_in_the_middle(
    monkeypatch: pytest.MonkeyPatch, source: tuple[str, int], ssrc: int
) -> None:
    line = Line(monkeypatch)
    for _ in range(10):
        line.send(CALLER, 1)
    for _ in range(10):
        line.send(source, ssrc)
    assert line.heard == [1] * 10 + [ssrc] * 10
    assert line.port.strangers == 0


def test_a_transfer_to_another_host_is_heard_once_the_old_one_is_silent(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    line = Line(monkeypatch)
    for _ in range(10):
        line.send(CALLER, 1)
    for _ in range(50):
        line.send(STRANGER, 2)
    assert line.heard.count(2) >= 50 - TAKE_OVER / 0.02 - 1
    assert line.port.changes == 1
    line.send(CALLER, 1)
    assert line.heard[-1] == 2
