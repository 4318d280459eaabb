"""Genesys' own AudioHook client, from a copy of its reference implementation that you bring along.

    git clone the repository purecloudlabs/audiohook-reference-implementation
    (cd audiohook-reference-implementation/client && rm package-lock.json && npm install)
    make peers AUDIOHOOK=/path/to/audiohook-reference-implementation

It is not part of this repository, and without AUDIOHOOK the test is skipped.
"""

import base64
import os
import sys
import uuid
from pathlib import Path

import numpy as np
import pytest

from tests.e2e.conftest import HUMAN
from tests.e2e.rig.process import Process, wait_until
from tests.e2e.rig.recordings import Recordings
from tests.e2e.rig.sound import read_wav, resampled
from tests.e2e.service import Service

pytestmark = pytest.mark.timeout(180)

SECONDS = 10
KEY, SECRET = "peers", base64.b64encode(b"of the tests").decode()
TERMINAL = "import pty, sys; sys.exit(pty.spawn(sys.argv[1:]) >> 8)"
"""The client insists on one."""


def stereo(recordings: Recordings, path: Path) -> Path:
    """A person on the external channel, silence on the internal one."""
    import wave

    sound, rate = read_wav(recordings.voice(HUMAN).wav16)
    narrow = resampled(sound[: SECONDS * rate], rate, 8000)
    left = (narrow * 32767).clip(-32768, 32767).astype("<i2")
    with wave.open(str(path), "wb") as file:
        file.setnchannels(2)
        file.setsampwidth(2)
        file.setframerate(8000)
        file.writeframes(np.stack([left, np.zeros_like(left)], axis=1).tobytes())
    return path


@pytest.mark.parametrize(("secret", "enters"), [(SECRET, True), ("d3Jvbmc=", False)])
def test_genesys_own_client(
    recordings: Recordings, tmp_path: Path, secret: str, enters: bool
) -> None:
    given = os.environ.get("AUDIOHOOK")
    if not given:
        pytest.skip("AUDIOHOOK names no copy of Genesys' reference implementation")
    client = Path(given) / "client"
    settings = f'[telephony.audiohook]\napi_key = "{KEY}"\nclient_secret = "{SECRET}"\n'
    with Service(tmp_path / "service", settings) as service:
        command = [sys.executable, "-c", TERMINAL, str(client / "node_modules/.bin/ts-node")]
        command += ["--transpile-only", "--cwd-mode", str(client / "src/index.ts")]
        command += ["--uri", f"{service.url.replace('http', 'ws')}/telephony/audiohook"]
        command += ["--api-key", KEY, "--client-secret", secret, "--orgid", str(uuid.uuid4())]
        command += ["--wavfile", str(stereo(recordings, tmp_path / "call.wav"))]
        # What it shares with the server is not installed beside it.
        modules = {"NODE_PATH": str(client / "node_modules")}
        with Process(command, tmp_path / "client.log", modules) as process:
            wait_until(lambda: not process.running, 90, "the end of the client")
            said = process.said()
        calls = service.get("/api/v1/calls")
    if not enters:
        assert calls == []
        assert "401" in said
        return
    (call,) = calls
    assert (call["ingest"], call["ended"]) == ("audiohook", "ended"), said
    (participant,) = call["participants"]
    seconds = participant["verdict"]["seconds"]
    total = seconds["scored"] + seconds["abstained"] + seconds["lost"]
    # A client that was slow to begin hurries, and what comes faster than speech is cut short.
    assert 2 < total < SECONDS + 0.5
    assert seconds["lost"] < 0.3
