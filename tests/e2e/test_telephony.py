"""Calls forked by telephone platforms.

Twilio's part is played by streamdouble, a third party's simulator. FreeSWITCH's and Asterisk's are
played by byte-level clients of our own: neither is in Debian.
"""

import base64
import json
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from websockets.sync.client import connect

from tests.e2e.conftest import HUMAN, SYNTHETIC
from tests.e2e.rig.process import free_port, wait_until
from tests.e2e.rig.recordings import Recordings
from tests.e2e.rig.sound import read_wav, resampled, write_wav
from tests.e2e.service import TOKEN, Service, is_all

SECONDS = 40.0
STEP = 0.02
CALL_ID = uuid.uuid4()


@dataclass(frozen=True)
class Voices:
    """One person and one engine at the rate of the platform."""

    rate: int
    human: Path
    synthetic: Path

    def samples(self, path: Path) -> NDArray[np.int16]:
        sound, _ = read_wav(path)
        whole: NDArray[np.int16] = (sound * 32767).clip(-32768, 32767).astype("<i2")
        return whole


def voices(recordings: Recordings, folder: Path, rate: int) -> Voices:
    made = {}
    for name in (HUMAN, SYNTHETIC):
        sound, whole = read_wav(recordings.voice(name).wav16)
        made[name] = folder / f"{name}.{rate}.wav"
        write_wav(made[name], resampled(sound[: round(SECONDS * whole)], whole, rate), rate)
    return Voices(rate, made[HUMAN], made[SYNTHETIC])


@pytest.fixture(scope="module")
def narrow(recordings: Recordings, tmp_path_factory: pytest.TempPathFactory) -> Voices:
    return voices(recordings, tmp_path_factory.mktemp("narrow"), 8000)


@pytest.fixture(scope="module")
def wide(recordings: Recordings, tmp_path_factory: pytest.TempPathFactory) -> Voices:
    return voices(recordings, tmp_path_factory.mktemp("wide"), 16000)


@cache
def score(path: Path) -> dict[str, Any]:
    """The verdict of the command line on a recording."""
    result = subprocess.run(
        [sys.executable, "-m", "monitor", "score", str(path)],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    verdict: dict[str, Any] = json.loads(result.stdout.splitlines()[-1])
    return verdict


def twilio(service: Service, voices: Voices) -> None:
    """The caller is synthetic, the agent a person."""
    url = service.url.replace("http", "ws") + f"/telephony/twilio?token={TOKEN}&call=by-twilio"
    command = [Path(sys.executable).with_name("streamdouble"), "call", url, "--fork"]
    command += ["--audio", voices.synthetic, "--track", "both", "--agent-audio", voices.human]
    command += ["--response-timeout", "2", "--allow-no-audio"]
    result = subprocess.run(
        [str(part) for part in command], capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stdout + result.stderr


def freeswitch(service: Service, voices: Voices) -> None:
    """mod_audio_fork's bytes: the caller a person, the callee synthetic."""
    basic = base64.b64encode(f"monitor:{TOKEN}".encode()).decode()
    url = service.url.replace("http", "ws") + "/telephony/freeswitch?rate=16000&mix=stereo"
    left, right = voices.samples(voices.human), voices.samples(voices.synthetic)
    length = min(len(left), len(right))
    both = np.stack([left[:length], right[:length]], axis=1)
    headers = {"Authorization": f"Basic {basic}"}
    with connect(f"{url}&call=by-freeswitch", additional_headers=headers, proxy=None) as fork:
        fork.send('{"any": "metadata"}')
        for piece in paced(both, voices.rate):
            fork.send(piece)


def audiosocket(port: int, voices: Voices) -> None:
    """Asterisk's bytes: the caller is synthetic."""
    with socket.create_connection(("127.0.0.1", port)) as channel:
        channel.sendall(b"\x01\x00\x10" + CALL_ID.bytes)
        for piece in paced(voices.samples(voices.synthetic), voices.rate):
            channel.sendall(b"\x10" + len(piece).to_bytes(2, "big") + piece)
        channel.sendall(b"\x00\x00\x00")
        channel.settimeout(30)
        assert channel.recv(1) == b""


def paced(samples: NDArray[np.int16], rate: int) -> Iterator[bytes]:
    """20 ms at a time, each when it is due."""
    began = time.monotonic()
    size = round(rate * STEP)
    for index in range(len(samples) // size):
        time.sleep(max(0.0, began + index * STEP - time.monotonic()))
        yield samples[index * size : (index + 1) * size].tobytes()


@pytest.fixture(scope="module")
def calls(
    tmp_path_factory: pytest.TempPathFactory, narrow: Voices, wide: Voices
) -> Iterator[dict[str, dict[str, Any]]]:
    """All three at once; ended calls by label, with their alerts."""
    port = free_port()
    settings = f'[telephony]\nscore = "both"\n[telephony.audiosocket]\nport = {port}\n'
    with (
        Service(tmp_path_factory.mktemp("service"), settings) as service,
        ThreadPoolExecutor() as threads,
    ):
        for done in [
            threads.submit(twilio, service, narrow),
            threads.submit(freeswitch, service, wide),
            threads.submit(audiosocket, port, narrow),
        ]:
            done.result()
        wait_until(
            lambda: not service.get("/api/v1/calls", active=True), 20, "the end of the calls"
        )
        found = {call["label"]: call for call in service.get("/api/v1/calls")}
        for call in found.values():
            call["alerts"] = service.alerts(call["id"])
        assert TOKEN not in service.process.said()
        yield found


def alarmed(call: dict[str, Any]) -> set[str]:
    return {a["participant"] for a in call["alerts"] if a["tier"] == "alert"}


def check(call: dict[str, Any], participant: str, recording: Path) -> None:
    """Every second is there, and the call is decided on like its recording."""
    (verdict,) = [p["verdict"] for p in call["participants"] if p["name"] == participant]
    spent = verdict["seconds"]
    assert spent["lost"] < 0.5
    assert is_all(spent, SECONDS)
    replayed = score(recording)
    # The codec differs, and windows may begin some milliseconds apart.
    assert verdict["llr"] == pytest.approx(replayed["llr"], abs=2.0)
    assert (participant in alarmed(call)) == (replayed["tier"] == "alert")


def test_twilio_both_voices(calls: dict[str, dict[str, Any]], narrow: Voices) -> None:
    call = calls["by-twilio"]
    assert (call["ingest"], call["ended"]) == ("twilio", "ended")
    assert [p["name"] for p in call["participants"]] == ["remote", "agent"]
    check(call, "remote", narrow.synthetic)
    check(call, "agent", narrow.human)


def test_freeswitch_stereo(calls: dict[str, dict[str, Any]], wide: Voices) -> None:
    call = calls["by-freeswitch"]
    # There is no goodbye in this dialect.
    assert (call["ingest"], call["ended"]) == ("freeswitch", "disconnected")
    check(call, "remote", wide.human)
    check(call, "agent", wide.synthetic)
    assert alarmed(call) == {"agent"}


def test_audiosocket(calls: dict[str, dict[str, Any]], narrow: Voices) -> None:
    call = calls[str(CALL_ID)]
    assert (call["ingest"], call["ended"]) == ("audiosocket", "ended")
    check(call, "remote", narrow.synthetic)
