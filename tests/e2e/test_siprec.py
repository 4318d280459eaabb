"""SIPp as a session recording client, FFmpeg as the sender of both parties' voices."""

import socket
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.conftest import HUMAN, SYNTHETIC
from tests.e2e.rig.g729 import Telephone
from tests.e2e.rig.process import Process, free_port, wait_until
from tests.e2e.rig.recordings import Recordings
from tests.e2e.rig.sipp import AGENT, CALLER, G729, PCMA, PCMU, Sipp, recorder, scenario
from tests.e2e.service import Service, is_all

SECONDS = 16.0
HOLD, AFTER = 3.0, 4.0
KEY = "WnD7c1ksDGs+dIefCEo8omPg4uO8DYIinNGL5yxQ"
"""Of SRTP, in base64."""


class Voice(Process):
    """FFmpeg sends a recording as RTP, in real time."""

    def __init__(self, folder: Path, wav: Path, codec: str, port: int, key: str = "") -> None:
        command = ["ffmpeg", "-v", "error", "-re", "-i", str(wav), "-ar", "8000", "-ac", "1"]
        command += ["-c:a", codec, "-f", "rtp"]
        if key:
            command += ["-srtp_out_suite", "AES_CM_128_HMAC_SHA1_80", "-srtp_out_params", key]
        scheme = "srtp" if key else "rtp"
        command.append(f"{scheme}://127.0.0.1:{port}?pkt_size=172")
        super().__init__(command, folder / f"{port}.log")


@pytest.fixture(scope="module")
def calls(
    recordings: Recordings, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, dict[str, Any]]]:
    """Four at once: with a hold, over TCP, encrypted, and in G.729; ended calls by label."""
    folder = tmp_path_factory.mktemp("siprec")
    port = free_port(kind=socket.SOCK_STREAM)
    caller, agent = recordings.voice(SYNTHETIC).wav16, recordings.voice(HUMAN).wav16
    # One sends in silence too, the other does not, as most telephones.
    theirs, ours = Telephone(caller, pauses=False), Telephone(agent, pauses=True)
    assert ours.pauses
    with Service(folder / "service", recorder(port)) as service, ExitStack() as stack:
        clients = {}
        for name, transport, hold, key, codecs in (
            ("held", "u1", HOLD, "", (PCMU, PCMA)),
            ("tcp", "t1", 0.0, "", (PCMU, PCMA)),
            ("srtp", "u1", 0.0, KEY, (PCMU, PCMA)),
            ("g729", "u1", 0.0, "", (G729, G729)),
        ):
            text = scenario(name, SECONDS, hold, AFTER, key, codecs)
            client = stack.enter_context(Sipp(folder / name, port, text, transport))
            one, two = client.wait_ports()
            clients[name] = client
            if name == "g729":
                stack.enter_context(theirs.speaking(one))
                stack.enter_context(ours.speaking(two))
                continue
            stack.enter_context(Voice(folder / name, caller, "pcm_mulaw", one, key))
            stack.enter_context(Voice(folder / name, agent, "pcm_alaw", two, key))
        for client in clients.values():
            client.wait_end(SECONDS + HOLD + AFTER + 20)
        wait_until(
            lambda: not service.get("/api/v1/calls", active=True), 20, "the end of the calls"
        )
        for line in service.process.said().splitlines():
            assert CALLER not in line or '"event": "alert"' in line
        assert AGENT not in {alert["participant"] for alert in service.get("/api/v1/alerts")}
        yield {call["label"]: call for call in service.get("/api/v1/calls")}


@pytest.mark.parametrize("name", ["tcp", "srtp", "held", "g729"])
def test_both_parties_of_a_recorded_call_are_heard(
    calls: dict[str, dict[str, Any]], name: str
) -> None:
    call = calls[name]
    assert (call["ingest"], call["ended"]) == ("siprec", "ended")
    assert [p["name"] for p in call["participants"]] == [CALLER, AGENT]
    held = HOLD if name == "held" else 0.0
    length = SECONDS + (HOLD + AFTER if held else 0.0)
    for participant in call["participants"]:
        spent = participant["verdict"]["seconds"]
        assert is_all(spent, length)
        paused = spent.get("lost_by_reason", {}).get("paused", 0.0)
        assert paused == pytest.approx(held, abs=0.5)
        assert spent["lost"] - paused < 0.5
        assert spent["scored"] > 5


def test_a_client_without_the_password_is_refused(tmp_path: Path) -> None:
    port = free_port()
    settings = f'[telephony.siprec]\nport = {port}\nusername = "sbc"\npassword = "secret-word"\n'
    with Service(tmp_path / "service", settings) as service:
        with Sipp(tmp_path / "nobody", port, scenario("x", 0.1)) as client:
            with pytest.raises((RuntimeError, TimeoutError)):
                client.wait_ports()
            said = client.messages.read_text()
        assert "SIP/2.0 401" in said
        assert said.count("WWW-Authenticate") >= 2
        assert "secret-word" not in service.process.said()
        assert service.get("/api/v1/calls") == []


def test_a_client_that_says_nowhere_that_it_records_is_refused(tmp_path: Path) -> None:
    port = free_port()
    plain = scenario("x", 0.1).replace("Require: siprec\n", "")
    with Service(tmp_path / "service", f"[telephony.siprec]\nport = {port}\n") as service:
        # With metadata alone it does say so, as BroadWorks does.
        with Sipp(tmp_path / "draft", port, plain.replace(";+sip.src", "")) as client:
            client.wait_ports()
            client.wait_end(20)
        text = plain.replace(";+sip.src", "").replace("application/rs-metadata+xml", "text/html")
        with Sipp(tmp_path / "plain", port, text) as client:
            with pytest.raises((RuntimeError, TimeoutError)):
                client.wait_ports()
            assert "SIP/2.0 421" in client.messages.read_text()
        (call,) = service.get("/api/v1/calls")
        assert (call["ended"], call["label"]) == ("ended", "x")
