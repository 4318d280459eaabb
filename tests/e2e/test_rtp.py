"""RTP that is sent here by FFmpeg and by Janus, described by SDP."""

import asyncio
from pathlib import Path
from typing import Any

import httpx
import pytest
from aiortc import RTCPeerConnection, RTCSessionDescription

from tests.e2e.conftest import HUMAN
from tests.e2e.rig.janus import Janus
from tests.e2e.rig.process import Process, free_port, wait_until
from tests.e2e.rig.recordings import Recordings
from tests.e2e.service import Service
from tests.flow.webrtc import Camera, Speech


@pytest.fixture(scope="module")
def film(recordings: Recordings) -> Path:
    return recordings.long_film(HUMAN, "h264", "opus", 120.0)


def sender(film: Path, folder: Path, port: int) -> Process:
    """FFmpeg, which describes what it sends in sdp.txt."""
    picture = (
        f"-map 0:v -c copy -bsf:v h264_mp4toannexb -payload_type 96 -f rtp rtp://127.0.0.1:{port}"
    )
    sound = f"-map 0:a -c copy -payload_type 97 -f rtp rtp://127.0.0.1:{port + 2}"
    # Its own RTCP ports lie elsewhere: the receiver is on the same machine.
    picture, sound = f"{picture}?localrtcpport={port + 5}", f"{sound}?localrtcpport={port + 7}"
    out = f"{picture} {sound} -sdp_file {folder / 'sdp.txt'}"
    command = ["ffmpeg", "-nostdin", "-v", "error", "-re", "-i", str(film), *out.split()]
    return Process(command, folder / "ffmpeg.log")


def free_ports() -> int:
    """The first of eight ports; nobody else is in this namespace."""
    return 20_000 + free_port() % 20_000 // 8 * 8


def add(service: Service, sdp: str, **fields: Any) -> httpx.Response:
    return service.http.post("/api/v1/sources", json={"sdp": sdp, **fields})


def test_a_described_sender_is_heard_lost_and_heard_again(
    service: Service, film: Path, tmp_path: Path
) -> None:
    port = free_ports()
    with sender(film, tmp_path, port) as sending:
        file = tmp_path / "sdp.txt"
        wait_until(lambda: file.exists() and "m=audio" in file.read_text(), 10, "an SDP")
        sdp = file.read_text()
        answer = add(service, sdp)
        assert answer.status_code == 201, answer.text
        record = answer.json()
        assert (record["ingest"], record["media"]) == ("rtp", True)
        call = record["id"]
        with service.events(call) as events:
            face = next(d for k, d in events if k == "window" and d["detector"] == "face")
        assert face["quality"]["face_px"] > 80
        before = service.wait_verdict(call, 4, 30)["seconds"]
        assert before["lost"] < 0.5
        taken = add(service, sdp)
        assert taken.status_code == 502
        assert (taken.json()["reason"], taken.json()["field"]) == ("in_use", "sdp")
        sending.kill()
        wait_until(lambda: service.log("source connection failed"), 20, "the loss in the log")
        # Short silence may be a pause of the sender's; what lasts is lost.
        wait_until(lambda: service.verdict(call)["seconds"]["lost"] >= 1, 30, "lost seconds")
        sending.start()
        service.wait_verdict(call, before["scored"] + 4, 40)
    assert service.verdict(call)["seconds"]["lost"] >= 1
    assert service.http.delete(f"/api/v1/sources/{call}").status_code == 204

    def silent() -> bool:
        """Whether the port was free again and nothing came."""
        again = add(service, sdp, open_timeout=0.5, give_up_after=1)
        assert again.status_code == 502, again.text
        return bool(again.json()["reason"] == "no_media")

    wait_until(silent, 15, "the port to be free again")


def test_descriptions_that_cannot_be_received_are_problems(service: Service) -> None:
    cases = {
        "hello": "v=0",
        "v=0\nm=audio 22 RTP/AVP 0\n": "port 22",
        "v=0\nm=audio 6000 RTP/SAVP 0\n": "not encrypted",
    }
    for sdp, words in cases.items():
        answer = add(service, sdp)
        assert (answer.status_code, answer.json()["field"]) == (422, "sdp")
        assert words in answer.json()["detail"]
    assert add(service, "v=0\n" * 10_000).status_code == 422
    both = {"sdp": "v=0\nm=audio 6000 RTP/AVP 0\n", "uri": "rtsp://127.0.0.1/"}
    for wrong in (both, {}, {"sdp_file": "/etc/passwd"}, {"uri": "file:///etc/passwd"}):
        assert service.http.post("/api/v1/sources", json=wrong).status_code == 422


def test_a_file_of_the_settings_waits_for_its_sender(film: Path, tmp_path: Path) -> None:
    port = free_ports()
    description = tmp_path / "room.sdp"
    description.write_text(
        f"v=0\no=- 0 0 IN IP4 127.0.0.1\ns=-\nt=0 0\nm=audio {port + 2} RTP/AVP 97\n"
        f"a=rtpmap:97 opus/48000/2\nm=video {port} RTP/AVP 96\na=rtpmap:96 H264/90000\n"
    )
    settings = f'[[sources]]\nsdp_file = "{description}"\n[rtp]\nopen_timeout = 1.0\n'
    with Service(tmp_path / "service", settings) as service:
        (call,) = service.get("/api/v1/sources")
        wait_until(lambda: service.log("source connection failed"), 15, "a first attempt")
        assert not call["media"]
        with sender(film, tmp_path, port):
            service.wait_verdict(call["id"], 2, 30)


@pytest.mark.asyncio
async def test_a_participant_of_a_janus_room_is_forwarded(service: Service, tmp_path: Path) -> None:
    port = free_ports()
    sdp = (
        f"v=0\no=- 0 0 IN IP4 127.0.0.1\ns=janus\nt=0 0\nm=audio {port} RTP/AVP 111\n"
        f"a=rtpmap:111 opus/48000/2\nm=video {port + 2} RTP/AVP 96\na=rtpmap:96 VP8/90000\n"
    )
    client = RTCPeerConnection()
    client.addTransceiver(Speech(), direction="sendonly")
    client.addTransceiver(Camera(), direction="sendonly")
    with Janus(tmp_path) as janus:
        try:
            await client.setLocalDescription(await client.createOffer())
            room = await asyncio.to_thread(janus.session)
            answer = await asyncio.to_thread(room.publish, client.localDescription.sdp)
            await client.setRemoteDescription(RTCSessionDescription(answer, "answer"))
            ports = {"0": (port, 111), "1": (port + 2, 96)}
            made = await asyncio.to_thread(room.forward, ports)
            assert len(made["forwarders"]) == 2
            answered = await asyncio.to_thread(add, service, sdp, participant="guest")
            assert answered.status_code == 201, answered.text
            call = answered.json()["id"]

            def looked_at() -> bool:
                seconds = service.verdict(call).get("seconds", {})
                # A tone is no speech: it is listened to, and abstained from.
                return bool(seconds) and seconds["scored"] + seconds["abstained"] > 4

            await asyncio.to_thread(wait_until, looked_at, 30, "judged seconds")
            (participant,) = service.call(call)["participants"]
            assert participant["name"] == "guest"
            assert (participant["audio"], participant["video"]) == (True, True)
            assert participant["verdict"]["seconds"]["lost"] < 1
            assert service.http.delete(f"/api/v1/sources/{call}").status_code == 204
        finally:
            await client.close()
