"""What cameras send and how they are believed: codecs, and RTSP inside of TLS."""

import asyncio
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from monitor.ingest.pull.rtsp_source import RtspOptions, RtspSource
from monitor.types.sampling import Sampling
from tests.certificates import Issuer, certificate
from tests.e2e.conftest import HUMAN
from tests.e2e.rig.film import AudioCodec, VideoCodec
from tests.e2e.rig.recordings import Recordings
from tests.e2e.rig.rtsp import Mount, RtspServer
from tests.e2e.service import Service
from tests.flow.webrtc import MemoryIntake

CODECS: list[tuple[VideoCodec, AudioCodec]] = [("h265", "aac"), ("vp8", "opus"), ("h264", "pcmu")]


@dataclass(frozen=True)
class Secure:
    """A service that trusts one issuer, and cameras with certificates right and wrong."""

    service: Service
    cameras: dict[str, RtspServer]
    """By what is the matter with their certificate."""


@pytest.fixture(scope="module")
def secure(recordings: Recordings, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Secure]:
    folder = tmp_path_factory.mktemp("secure")
    ours, other = Issuer.new(folder, "ours"), Issuer.new(folder, "other")
    shown = {
        "right": certificate(folder, "localhost", "127.0.0.1", issuer=ours),
        "other name": certificate(folder, "camera.example", issuer=ours),
        "expired": certificate(folder, "localhost", "127.0.0.1", issuer=ours, expired=True),
        "unknown": certificate(folder, "127.0.0.1", "localhost", issuer=other),
    }
    mount = Mount.of(recordings, HUMAN, name="door", loop=True)
    with ExitStack() as stack:
        cameras = {
            name: stack.enter_context(
                RtspServer([mount], folder / name, user="bob", password="p@ss", certificate=file)
            )
            for name, file in shown.items()
        }
        settings = f"""
[rtsp]
tls_ca_file = "{ours.path}"
[[sources]]
uri = "{cameras["unknown"].url("door")}"
tls_ca_file = "{other.path}"
label = "of the settings"
"""
        yield Secure(stack.enter_context(Service(folder / "service", settings)), cameras)


def test_a_camera_behind_tls_is_heard(secure: Secure) -> None:
    camera = secure.cameras["right"]
    for url, transport in (
        (camera.url("door"), "tcp"),
        (camera.url("door").replace("127.0.0.1", "localhost"), "udp"),
    ):
        answer = secure.service.pull(url, transport=transport)
        assert answer.status_code == 201, answer.text
        call = answer.json()["id"]
        assert secure.service.wait_verdict(call, 2, 20)["seconds"]["lost"] == 0
        assert secure.service.http.delete(f"/api/v1/sources/{call}").status_code == 204


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ("other name", "the certificate is not for 127.0.0.1 (rtsp.tls_verify)"),
        ("expired", "the certificate has expired (rtsp.tls_verify)"),
        ("unknown", "the certificate's issuer is not trusted (rtsp.tls_ca_file)"),
    ],
)
def test_a_camera_that_cannot_prove_who_it_is_gets_no_password(
    secure: Secure, fault: str, words: str
) -> None:
    camera = secure.cameras[fault]
    before = camera.plays("door")
    answer = secure.service.pull(camera.url("door"))
    assert answer.status_code == 502, answer.text
    assert answer.json()["reason"] == "untrusted"
    assert words in answer.json()["detail"]
    assert camera.plays("door") == before
    # Whoever asks for it gets the picture all the same.
    answer = secure.service.pull(camera.url("door"), tls_verify=False)
    assert answer.status_code == 201, answer.text
    assert camera.plays("door") == before + 1
    secure.service.http.delete(f"/api/v1/sources/{answer.json()['id']}")
    for text in ("p@ss", "p%40ss"):
        assert text not in secure.service.process.said()


def test_one_source_of_the_settings_may_trust_others(secure: Secure) -> None:
    (known,) = (c for c in secure.service.get("/api/v1/calls") if c["label"] == "of the settings")
    secure.service.wait_verdict(known["id"], 2, 20)


def test_every_codec_of_cameras_is_heard_and_seen(
    service: Service, recordings: Recordings, tmp_path: Path
) -> None:
    mounts = [Mount.of(recordings, HUMAN, v, a, name=f"{v}-{a}") for v, a in CODECS]
    with RtspServer(mounts, tmp_path) as cameras:
        for mount in mounts:
            answer = service.pull(cameras.url(mount.name))
            assert answer.status_code == 201, answer.text
            call = answer.json()["id"]
            with service.events(call) as events:
                face = next(d for k, d in events if k == "window" and d["detector"] == "face")
            assert face["quality"]["face_px"] > 80
            assert service.wait_verdict(call, 2, 20)["seconds"]["lost"] < 0.5
            service.http.delete(f"/api/v1/sources/{call}")


async def test_on_a_full_machine_only_key_frames_of_cameras_are_decoded(
    recordings: Recordings, tmp_path: Path
) -> None:
    mounts = [Mount.of(recordings, HUMAN, v, a, name=f"{v}-{a}") for v, a in CODECS]

    async def pull(url: str) -> MemoryIntake:
        intake = MemoryIntake(key_frames=1.0)
        source = RtspSource(url, "remote", Sampling.steady(30), 640, RtspOptions())
        running = asyncio.create_task(source.run(intake))
        await asyncio.sleep(7)
        running.cancel()
        await asyncio.wait({running})
        return intake

    with RtspServer(mounts, tmp_path) as cameras:
        pulls = [pull(cameras.url(mount.name)) for mount in mounts]
        for intake in await asyncio.gather(*pulls):
            # They show thirty pictures a second, and one key frame.
            assert 3 <= len(intake.video) <= 8
            assert intake.heard_seconds > 4
