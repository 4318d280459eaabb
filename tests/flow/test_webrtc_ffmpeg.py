"""FFmpeg publishes by WHIP, through PyAV, in a process of its own, with a certificate of RSA.

Its own default certificate (of the GnuTLS build that PyAV carries) is on the curve P-224, which
OpenSSL 4 has no more: nothing on this side can take it.
"""

import asyncio
import datetime
import sys
from pathlib import Path

import pytest
import uvicorn
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from fastapi import FastAPI, Request, Response

from monitor.evidence.matroska import remux
from monitor.ingest.webrtc.whip_offer import read_offer
from monitor.ingest.webrtc.whip_source import WebRtcOptions, WebRtcSource
from monitor.types.packet import EncodedPacket
from monitor.types.sampling import Sampling
from tests.flow.webrtc import MemoryIntake, loopback_only
from tests.unit.evidence.media import frames

__all__ = ["loopback_only"]

pytestmark = pytest.mark.usefixtures("loopback_only")

PUSH = """
import sys, time, av, numpy as np
url, cert, key, profile = sys.argv[1:]
options = {"cert_file": cert, "key_file": key}
with av.open(url, "w", format="whip", options=options) as out:
    quick = {"tune": "zerolatency", "profile": profile, "preset": "fast", "g": "15"}
    video = out.add_stream("libx264", rate=15, options=quick)
    video.width, video.height, video.pix_fmt = 320, 240, "yuv420p"
    audio = out.add_stream("libopus", rate=48000, layout="stereo")
    for i in range(45):
        picture = np.full((240, 320, 3), i * 4 % 256, np.uint8)
        frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
        frame.pts = i
        out.mux(video.encode(frame))
        tone = 8000 * np.sin(np.arange(3200) / 48000 * 2 * np.pi * 300)
        pcm = np.repeat(tone.astype(np.int16), 2)[None]
        sound = av.AudioFrame.from_ndarray(pcm, "s16", "stereo")
        sound.sample_rate, sound.pts = 48000, i * 3200
        out.mux(audio.encode(sound))
        time.sleep(1 / 15)
"""


def certificate(folder: Path, key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey) -> list[str]:
    """Files of a self-signed certificate and its key."""
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "sender")])
    now = datetime.datetime.now(datetime.UTC)
    signed = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    cert_file, key_file = folder / "cert.pem", folder / "key.pem"
    cert_file.write_bytes(signed.public_bytes(serialization.Encoding.PEM))
    key_file.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return [str(cert_file), str(key_file)]


@pytest.mark.parametrize(
    ("kind", "profile"), [("rsa", "high"), ("rsa", "main"), ("p256", "baseline")]
)
async def test_ffmpeg_publishes(tmp_path: Path, kind: str, profile: str) -> None:
    """FFmpeg 8 offers the profile of H.264 that its encoder makes, and no other."""
    kept: list[EncodedPacket] = []
    intake = MemoryIntake(encoded=kept.append)
    sources: list[WebRtcSource] = []
    running: list[asyncio.Task[str]] = []
    app = FastAPI()

    async def publish(request: Request) -> Response:
        offer = read_offer((await request.body()).decode())
        source = WebRtcSource(offer, "remote", Sampling.steady(5), 640, WebRtcOptions())
        answer = await source.answer()
        sources.append(source)
        running.append(asyncio.create_task(source.run(intake)))
        where = {"Location": "/whip/1"}
        return Response(answer, 201, where, media_type="application/sdp")

    async def end() -> Response:
        sources[0].hang_up()
        return Response()

    app.post("/whip")(publish)
    app.delete("/whip/1")(end)
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="warning"))
    serving = asyncio.create_task(server.serve())
    try:
        while not server.started:  # noqa: ASYNC110 - uvicorn offers no event
            await asyncio.sleep(0.05)
        port = server.servers[0].sockets[0].getsockname()[1]
        key = (
            rsa.generate_private_key(65537, 2048)
            if kind == "rsa"
            else ec.generate_private_key(ec.SECP256R1())
        )
        url = f"http://127.0.0.1:{port}/whip"
        pusher = await asyncio.create_subprocess_exec(
            sys.executable, "-c", PUSH, url, *certificate(tmp_path, key), profile,
            stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        _, said = await asyncio.wait_for(pusher.communicate(), 30)
        assert pusher.returncode == 0, said.decode()[-1000:]
        assert await asyncio.wait_for(running[0], 10) == "ended"
    finally:
        for task in running:
            task.cancel()
        server.should_exit = True
        await serving
    assert intake.heard_seconds > 2
    assert len(intake.video) > 8
    clip = remux(kept)
    assert clip is not None
    assert {(t.codec, t.width, t.height) for t in clip.tracks} == {
        ("opus", 0, 0),
        ("h264", 320, 240),
    }
    # A machine that is busy sends more slowly than in real time.
    assert clip.end - clip.start > 2.4
    assert frames(clip.data, "video") > 30
    assert frames(clip.data, "audio") > 100
