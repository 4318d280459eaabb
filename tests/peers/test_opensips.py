"""OpenSIPS and rtpengine as the session recording client of a call between two telephones.

    (cd opensips && make all modules="modules/tm …")   # those of MODULES in tests/peers/opensips.py
    apt-get install rtpengine-daemon
    make peers OPENSIPS=/path/to/opensips

Neither is part of this repository, and without OPENSIPS the test is skipped.
"""

import os
import socket
import subprocess
from pathlib import Path

import pytest

from tests.e2e.conftest import HUMAN
from tests.e2e.rig.process import free_port, wait_until
from tests.e2e.rig.recordings import Recordings
from tests.e2e.rig.sipp import AGENT, CALLER, recorder
from tests.e2e.service import Service
from tests.peers.opensips import BorderController
from tests.peers.telephones import Telephone, callee, caller

pytestmark = pytest.mark.timeout(180)

BEFORE, HOLD, AFTER = 8.0, 3.0, 4.0


def test_a_border_controller_has_a_call_recorded(recordings: Recordings, tmp_path: Path) -> None:
    given = os.environ.get("OPENSIPS")
    if not given:
        pytest.skip("OPENSIPS names no built copy of OpenSIPS")
    sound = tmp_path / "sound.ulaw"
    command = ["ffmpeg", "-v", "error", "-i", str(recordings.voice(HUMAN).wav16), "-ar", "8000"]
    subprocess.run([*command, "-ac", "1", "-f", "mulaw", str(sound)], check=True)
    port, called = free_port(kind=socket.SOCK_STREAM), free_port()
    with (
        Service(tmp_path / "service", recorder(port)) as service,
        BorderController(Path(given), tmp_path, port, called) as border,
        Telephone(tmp_path, "callee", callee(sound), border.port, called),
        Telephone(
            tmp_path, "caller", caller(sound, BEFORE, HOLD, AFTER), border.port, free_port()
        ) as telephone,
    ):
        wait_until(lambda: not telephone.running, 60, "the end of the call")
        assert telephone.returncode == 0, telephone.said()[-2000:] + border.said()
        wait_until(lambda: not service.get("/api/v1/calls", active=True), 20, "its end here")
        (call,) = service.get("/api/v1/calls")
    assert (call["ingest"], call["ended"]) == ("siprec", "ended")
    assert {p["name"] for p in call["participants"]} == {CALLER, AGENT}
    for participant in call["participants"]:
        spent = participant["verdict"]["seconds"]
        paused = spent["lost_by_reason"].get("paused", 0.0)
        # Who is held is not heard; who holds is, as the music on hold would be.
        assert paused == pytest.approx(HOLD if participant["name"] == AGENT else 0.0, abs=0.7)
        assert spent["lost"] - paused < 0.5
        total = spent["scored"] + spent["abstained"] + spent["lost"]
        assert total == pytest.approx(BEFORE + HOLD + AFTER, abs=1.5)
        assert spent["scored"] > 5
