"""werift, a WebRTC stack written in TypeScript, publishes what FFmpeg sends it."""

import shutil
import socket
from pathlib import Path

import pytest

from tests.e2e.conftest import HUMAN
from tests.e2e.rig.process import Process, free_port, wait_until
from tests.e2e.rig.recordings import Recordings
from tests.e2e.service import TOKEN, Service

pytestmark = pytest.mark.timeout(120)

FOLDER = Path(__file__).parent / "npm"
SECONDS = 10.0


def test_a_stack_from_npm_publishes(recordings: Recordings, tmp_path: Path) -> None:
    node = shutil.which("node")
    assert node, "needs node; make peers installs the rest"
    audio, video = (free_port(kind=socket.SOCK_DGRAM) for _ in range(2))
    film = recordings.film(HUMAN, "vp8", "opus", "mkv")
    send = ["ffmpeg", "-v", "error", "-re", "-i", str(film)]
    send += ["-map", "0:a", "-c", "copy", "-payload_type", "111"]
    send += ["-f", "rtp", f"rtp://127.0.0.1:{audio}?pkt_size=1200"]
    send += ["-map", "0:v", "-c", "copy", "-payload_type", "96"]
    send += ["-f", "rtp", f"rtp://127.0.0.1:{video}?pkt_size=1200"]
    with Service(tmp_path / "service") as service:
        publish = [node, str(FOLDER / "send.mjs"), service.url, TOKEN, str(audio), str(video)]
        with Process([*publish, str(SECONDS)], tmp_path / "node.log") as client:
            client.wait_ready(lambda: "published" in client.said())
            with Process(send, tmp_path / "ffmpeg.log"):
                wait_until(lambda: not client.running, SECONDS + 20, "the end")
            assert client.returncode == 0, client.said()
        (call,) = service.get("/api/v1/calls")
    assert (call["label"], call["ended"]) == ("npm", "ended")
    (participant,) = call["participants"]
    assert (participant["audio"], participant["video"]) == (True, True)
    seconds = participant["verdict"]["seconds"]
    assert seconds["scored"] > SECONDS / 2
    assert seconds["lost"] < 1
    (pictures,) = service.log("webrtc video")
    assert pictures["decoded"] > 100
